"""Look-up questions of one and two hops: the facts stand in the corpus and nowhere else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tasks.generate.item import Body

if TYPE_CHECKING:
    from random import Random

    from tasks.generate.world import Entity, World

PHRASES: dict[tuple[str, str], tuple[str, ...]] = {
    ("town", "river"): (
        "the river that {x} lies on",
        "the river running through {x}",
        "the river on which {x} stands",
    ),
    ("town", "mayor"): ("the mayor of {x}", "the person who serves as mayor of {x}"),
    ("town", "founded"): ("the year in which {x} was founded", "the founding year of {x}"),
    ("town", "population"): (
        "the population of {x}",
        "the number of people living in {x}",
        "the number of inhabitants of {x}",
    ),
    ("town", "speciality"): ("the speciality of {x}", "the food that {x} is known for"),
    ("person", "birthplace"): (
        "the town where {x} was born",
        "the birthplace of {x}",
        "the native town of {x}",
    ),
    ("person", "birth_year"): ("the year in which {x} was born", "the birth year of {x}"),
    ("person", "employer"): (
        "the company that {x} works for",
        "the employer of {x}",
        "the company that employs {x}",
    ),
    ("person", "profession"): ("the profession of {x}", "the occupation of {x}"),
    ("company", "headquarters"): (
        "the town where {x} has its headquarters",
        "the town in which {x} is based",
        "the town that is home to the head office of {x}",
    ),
    ("company", "founder"): ("the founder of {x}", "the person who founded {x}"),
    ("company", "founded"): ("the year in which {x} was set up", "the founding year of {x}"),
    ("company", "product"): ("the main product of {x}", "the product that {x} makes"),
    ("river", "length"): ("the length of {x} in kilometres",),
    ("river", "mouth"): (
        "the body of water that {x} flows into",
        "the body of water into which {x} empties",
    ),
    ("river", "source"): ("the mountain on which {x} rises", "the source of {x}"),
    ("book", "author"): ("the author of {x}", "the person who wrote {x}"),
    ("book", "year"): ("the year in which {x} was published", "the publication year of {x}"),
}
"""(kind, relation) -> noun phrases; they nest, which is how questions of two hops are made."""

_DIRECT: dict[tuple[str, str], tuple[str, ...]] = {
    ("town", "river"): ("Which river does {x} lie on?", "What river runs through {x}?"),
    ("town", "mayor"): ("Who is mayor of {x}?", "Who runs {x} as its mayor?"),
    ("town", "founded"): ("When was {x} founded?", "In which year was {x} founded?"),
    ("town", "population"): ("How many people live in {x}?", "How many inhabitants has {x}?"),
    ("town", "speciality"): ("What food is {x} known for?",),
    ("person", "birthplace"): ("In which town was {x} born?", "Where was {x} born?"),
    ("person", "birth_year"): ("In which year was {x} born?",),
    ("person", "employer"): ("For which company does {x} work?", "Who employs {x}?"),
    ("person", "profession"): ("What does {x} do for a living?",),
    ("company", "headquarters"): ("Where is {x} based?", "In which town is {x} based?"),
    ("company", "founder"): ("Who founded {x}?",),
    ("company", "founded"): ("When was {x} set up?", "In which year was {x} set up?"),
    ("company", "product"): ("What does {x} make?",),
    ("river", "length"): ("How many kilometres long is {x}?", "How long is {x} in kilometres?"),
    ("river", "mouth"): ("Into which body of water does {x} flow?", "Where does {x} flow to?"),
    ("river", "source"): ("On which mountain does {x} rise?",),
    ("book", "author"): ("Who wrote {x}?",),
    ("book", "year"): ("In which year was {x} published?", "When was {x} published?"),
}
_ASKING = (
    "What is {np}?",
    "Please name {np}.",
    "Tell me {np}.",
    "I would like to know {np}.",
    "Can you find out {np}?",
    "According to the almanac, what is {np}?",
    "State {np}.",
)
_NUMERIC = ("founded", "population", "birth_year", "length", "year")
_PHRASE = ("speciality", "profession", "product")


def look_up(rng: Random, world: World) -> Body:
    """A question of one hop (40 %) or two."""
    if rng.random() < 0.4:
        entity = world.pick(rng, rng.choice(tuple(world.by_kind)))
        relation = rng.choice(tuple(entity.facts))
        return _body(rng, entity, relation, mention(rng, entity))
    while True:
        first = world.pick(rng, rng.choice(("town", "company", "person", "book")))
        bridge = rng.choice(tuple(first.facts))
        middle = world.by_name.get(first.facts[bridge])
        if middle is not None:
            break
    relation = rng.choice(tuple(middle.facts))
    inner = rng.choice(PHRASES[first.kind, bridge]).format(x=mention(rng, first))
    return _body(rng, middle, relation, inner)


def mention(rng: Random, entity: Entity) -> str:
    """How a question names an entity."""
    if entity.kind == "river":
        return rng.choice((f"the river {entity.name}", f"the {entity.name}"))
    if entity.kind == "town":
        return rng.choice((entity.name, entity.name, f"the town of {entity.name}"))
    if entity.kind in ("company", "book"):
        return rng.choice((entity.name, f"the {entity.kind} {entity.name}"))
    return entity.name


def _body(rng: Random, entity: Entity, relation: str, subject: str) -> Body:
    key = (entity.kind, relation)
    if rng.random() < 0.5:
        text = rng.choice(_DIRECT[key]).format(x=subject)
    else:
        text = rng.choice(_ASKING).format(np=rng.choice(PHRASES[key]).format(x=subject))
    value = entity.facts[relation]
    if relation in _NUMERIC:
        return Body(text, value, "numeric", "Give just the number.")
    if relation in _PHRASE:
        return Body(text, value, "token_f1")
    bare = value.removeprefix("the ")
    accepted = [value] if bare == value else [value, bare]
    return Body(text, json.dumps(accepted) if len(accepted) > 1 else value, "exact")
