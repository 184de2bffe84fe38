"""The corpus: passages that tell the facts of the world, among passages that tell nothing."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.generate.world import Entity, World

STATEMENTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("town", "river"): (
        "{x} lies on the river {v}.",
        "The river {v} runs through {x}.",
        "{x} stands on the banks of the {v}.",
    ),
    ("town", "mayor"): (
        "The mayor of {x} is {v}.",
        "{v} serves as mayor of {x}.",
        "{v} was elected mayor of {x} without opposition.",
    ),
    ("town", "founded"): (
        "{x} was founded in {v}.",
        "{x} received its charter in {v}.",
        "The founding of {x} took place in {v}.",
    ),
    ("town", "population"): (
        "{x} has {v} inhabitants.",
        "The population of {x} is {v}.",
        "At the last count {v} people lived in {x}.",
    ),
    ("town", "speciality"): (
        "{x} is known for its {v}.",
        "The speciality of {x} is {v}.",
        "Visitors come to {x} for its {v}.",
    ),
    ("person", "birthplace"): (
        "{x} was born in {v}.",
        "{x} is a native of {v}.",
        "{x} came into the world in {v}.",
    ),
    ("person", "birth_year"): (
        "{x} was born in the year {v}.",
        "The birth year of {x} is {v}.",
        "The parish book puts the birth of {x} in {v}.",
    ),
    ("person", "employer"): (
        "{x} works for {v}.",
        "{x} is employed by {v}.",
        "{v} employs {x}.",
    ),
    ("person", "profession"): (
        "{x} is by profession {v}.",
        "The profession of {x} is {v}.",
        "{x} has long worked as {v}.",
    ),
    ("company", "headquarters"): (
        "{x} has its headquarters in {v}.",
        "{x} is based in {v}.",
        "The head office of {x} is in {v}.",
    ),
    ("company", "founder"): (
        "{x} was founded by {v}.",
        "{v} founded {x}.",
        "The founder of {x} was {v}.",
    ),
    ("company", "founded"): (
        "{x} was set up in {v}.",
        "{x} opened its doors in {v}.",
        "{x} was established in {v}.",
    ),
    ("company", "product"): (
        "{x} makes {v}.",
        "The main product of {x} is {v}.",
        "{x} produces {v} for the whole region.",
    ),
    ("river", "length"): (
        "The {x} is {v} kilometres long.",
        "The length of the {x} is {v} kilometres.",
        "From end to end the {x} measures {v} kilometres.",
    ),
    ("river", "mouth"): (
        "The {x} flows into {v}.",
        "The {x} empties into {v}.",
        "The {x} ends its course in {v}.",
    ),
    ("river", "source"): (
        "The {x} rises on {v}.",
        "The {x} has its source on {v}.",
        "The springs of the {x} are on {v}.",
    ),
    ("book", "author"): (
        "{x} was written by {v}.",
        "{v} wrote {x}.",
        "{v} is the author of {x}.",
    ),
    ("book", "year"): (
        "{x} was published in {v}.",
        "{x} first appeared in {v}.",
        "{x} was first printed in {v}.",
    ),
}
"""(kind, relation) -> sentences; {x} is the entity, {v} the value."""

_ASIDES: dict[str, tuple[str, ...]] = {
    "town": (
        "{x} is twinned with {town}.",
        "A former mayor of {x} was {person}.",
        "{person} once spent a summer in {x}.",
        "The market square of {x} was paved again a few years ago.",
        "There is a ferry from {x} to {town} on weekdays.",
    ),
    "person": (
        "{x} often travels to {town}.",
        "{x} is a friend of {person}.",
        "{x} left {company} after a quarrel over patents.",
        "A street in {town} is named after {x}.",
    ),
    "company": (
        "A rival of {x} is {company}.",
        "{x} once had a small branch in {town}.",
        "{person} sat on the board of {x} for a year.",
        "The chimney of {x} can be seen from far away.",
    ),
    "river": (
        "The {x} freezes in hard winters.",
        "A barge trip on the {x} takes several days.",
        "{person} painted the {x} many times.",
    ),
    "book": (
        "{x} is often mistaken for {book}.",
        "A copy of {x} is kept in the library of {town}.",
        "{person} reviewed {x} kindly.",
    ),
}
_DISTRACTORS = (
    (
        "The autumn fair of {town} draws visitors from {other}. {person} judged the cakes and "
        "{friend} "
        "led the dancing. Nobody could say afterwards who had won."
    ),
    (
        "A storm passed over {town} and {other} last winter. {company} closed for two days, "
        "and the "
        "river {river} rose above the old quay."
    ),
    (
        "{person} and {friend} played a chess match in {town}. The match ended in a draw after "
        "a long evening, and {company} paid for the supper."
    ),
    (
        "The railway between {town} and {other} follows the {river} for much of the way. "
        "Travellers "
        "praise the view and complain about the seats."
    ),
    (
        "The school choir of {town} sang at the jubilee of {company}. {person} wrote the "
        "programme, "
        "{friend} played the piano."
    ),
    (
        "{person} gave a talk about {book} in the reading room of {town}. The audience asked about "
        "{company} instead."
    ),
)


class Passage(NamedTuple):
    """One text of the corpus."""

    title: str
    text: str


def passages(world: World, seed: int) -> list[Passage]:
    """Two passages an entity with its facts and asides, then passages without any fact."""
    rng = Random(f"corpus {seed}")
    texts = [
        Passage(entity.name, text)
        for group in world.by_kind.values()
        for entity in group
        for text in _entity_texts(rng, world, entity)
    ]
    for number in range(90):
        text = rng.choice(_DISTRACTORS).format(**_cast(rng, world))
        texts.append(Passage(f"Chronicle, page {number + 1}", text))
    return texts


def _cast(rng: Random, world: World) -> dict[str, str]:
    roles = {"other": "town", "friend": "person"}
    kinds = (*world.by_kind, *roles)
    return {role: world.pick(rng, roles.get(role, role)).name for role in kinds}


def _entity_texts(rng: Random, world: World, entity: Entity) -> list[str]:
    facts = [
        rng.choice(STATEMENTS[entity.kind, relation]).format(x=entity.name, v=value)
        for relation, value in entity.facts.items()
    ]
    rng.shuffle(facts)
    half = max(2, (len(facts) + 1) // 2)
    texts = []
    for part in (facts[:half], facts[half:]):
        if part:
            aside = rng.choice(_ASIDES[entity.kind]).format(x=entity.name, **_cast(rng, world))
            part.insert(rng.randrange(len(part) + 1), aside)
            texts.append(" ".join(part))
    return texts


def write_corpus(folder: Path, world: World, seed: int) -> int:
    """Write the corpus: a Markdown file a town, river and person, the rest as JSON lines.

    Returns:
        The number of passages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = passages(world, seed)
    by_title: dict[str, list[str]] = {}
    for passage in texts:
        by_title.setdefault(passage.title, []).append(passage.text)
    lines: list[str] = []
    for title, paragraphs in by_title.items():
        entity = world.by_name.get(title)
        if entity is not None and entity.kind in ("town", "river", "person"):
            stem = title.lower().replace(" ", "-")
            body = "\n\n".join((f"# {title}", *paragraphs))
            (folder / f"{entity.kind}-{stem}.md").write_text(body + "\n", encoding="utf-8")
        else:
            lines += [json.dumps({"title": title, "text": text}) for text in paragraphs]
    (folder / "almanac.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(texts)
