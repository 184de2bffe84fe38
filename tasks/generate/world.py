"""An invented world: the facts that the corpus tells and the look-up questions ask for."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tasks.generate import names

if TYPE_CHECKING:
    from collections.abc import Sequence

TOWNS, RIVERS, PEOPLE, COMPANIES, BOOKS = 44, 18, 80, 44, 30


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing of the world and what is true of it.

    Attributes:
        kind: person | town | company | river | book.
        name: as texts write it, without an article.
        facts: relation -> value; a value that names an entity is that entity's name.
    """

    kind: str
    name: str
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class World:
    """All entities by kind, in a fixed order, and the same by name."""

    by_kind: dict[str, tuple[Entity, ...]]
    by_name: dict[str, Entity]

    def pick(self, rng: Random, kind: str) -> Entity:
        """One entity of a kind."""
        return rng.choice(self.by_kind[kind])


def build_world(seed: int) -> World:
    """Invent the world of a seed: about two hundred entities, five to six facts each at most."""
    rng = Random(f"world {seed}")
    towns = names.town_names(rng)[:TOWNS]
    rivers = names.river_names(rng)[:RIVERS]
    people = names.person_names(rng)[:PEOPLE]
    companies = names.company_names(rng)[:COMPANIES]
    books = names.book_names(rng)[:BOOKS]
    entities = [
        *_rivers(rng, rivers),
        *_towns(rng, towns, rivers, people),
        *_people(rng, people, towns, companies),
        *_companies(rng, companies, towns, people),
        *(
            Entity("book", book, {"author": rng.choice(people), "year": _year(rng, 1840, 1990)})
            for book in books
        ),
    ]
    kinds = dict.fromkeys(entity.kind for entity in entities)
    by_kind = {kind: tuple(one for one in entities if one.kind == kind) for kind in kinds}
    return World(by_kind, {entity.name: entity for entity in entities})


def _year(rng: Random, low: int, high: int) -> str:
    return str(rng.randint(low, high))


def _rivers(rng: Random, rivers: Sequence[str]) -> list[Entity]:
    return [
        Entity(
            "river",
            river,
            {
                "length": str(rng.randint(40, 980)),
                "mouth": rng.choice(names.WATERS),
                "source": rng.choice(names.MOUNTAINS),
            },
        )
        for river in rivers
    ]


def _towns(
    rng: Random, towns: Sequence[str], rivers: Sequence[str], people: Sequence[str]
) -> list[Entity]:
    mayors = rng.sample(people, len(towns))
    return [
        Entity(
            "town",
            town,
            {
                "founded": _year(rng, 1102, 1790),
                "mayor": mayor,
                "population": str(rng.randint(21, 980) * 100 + rng.randint(1, 99)),
                "river": rng.choice(rivers),
                "speciality": rng.choice(names.SPECIALITIES),
            },
        )
        for town, mayor in zip(towns, mayors, strict=True)
    ]


def _people(
    rng: Random, people: Sequence[str], towns: Sequence[str], companies: Sequence[str]
) -> list[Entity]:
    return [
        Entity(
            "person",
            person,
            {
                "birth_year": _year(rng, 1801, 1975),
                "birthplace": rng.choice(towns),
                "employer": rng.choice(companies),
                "profession": rng.choice(names.PROFESSIONS),
            },
        )
        for person in people
    ]


def _companies(
    rng: Random, companies: Sequence[str], towns: Sequence[str], people: Sequence[str]
) -> list[Entity]:
    return [
        Entity(
            "company",
            company,
            {
                "founded": _year(rng, 1795, 1985),
                "founder": rng.choice(people),
                "headquarters": rng.choice(towns),
                "product": rng.choice(names.PRODUCTS),
            },
        )
        for company in companies
    ]
