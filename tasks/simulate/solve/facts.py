"""How facts are told and asked for in English: statements in passages, phrases in questions.

One line a relation: the patterns that tell it ({x} the subject, {v} the value) and the noun phrases
and whole questions that ask for it ({x} may itself be such a phrase: a question of two hops).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple


class Relation(NamedTuple):
    """One kind of fact."""

    name: str
    value: str
    """Pattern of the value."""
    told: tuple[str, ...]
    phrases: tuple[str, ...]
    questions: tuple[str, ...]
    keywords: str
    """What to type into a search box beside the subject."""


_NAMED = r"(?:The |the )?[A-Z][\w'-]*(?: (?:of )?[A-Z][\w'-]*)*"
_WORDS = r"[a-z][a-z -]*[a-z]"
_NUMBER = r"\d[\d,]*"

RELATIONS = (
    Relation(
        "river", _NAMED,
        ("{x} lies on the river {v}", "the river {v} runs through {x}",
         "{x} stands on the banks of the {v}"),
        ("river that {x} lies on", "river running through {x}", "river on which {x} stands"),
        ("which river does {x} lie on", "what river runs through {x}"),
        "river banks runs through lies",
    ),
    Relation(
        "mayor", _NAMED,
        ("the mayor of {x} is {v}", "{v} serves as mayor of {x}", "{v} was elected mayor of {x}"),
        ("mayor of {x}", "person who serves as mayor of {x}"),
        ("who is (?:the )?mayor of {x}", "who runs {x} as its mayor"),
        "mayor",
    ),
    Relation(
        "founded", _NUMBER,
        ("{x} was founded in {v}", "{x} received its charter in {v}",
         "the founding of {x} took place in {v}", "{x} was set up in {v}",
         "{x} opened its doors in {v}", "{x} was established in {v}"),
        ("year in which {x} was (?:founded|set up)", "founding year of {x}"),
        ("(?:when|in which year) was {x} (?:founded|set up|established)",),
        "founded charter founding established opened",
    ),
    Relation(
        "population", _NUMBER,
        ("{x} has {v} inhabitants", "the population of {x} is {v}",
         "at the last count {v} people lived in {x}"),
        ("population of {x}", "number of people living in {x}", "number of inhabitants of {x}"),
        ("how many people live in {x}", "how many inhabitants has {x}"),
        "population inhabitants people lived",
    ),
    Relation(
        "speciality", _WORDS,
        ("{x} is known for its {v}", "the speciality of {x} is {v}",
         "visitors come to {x} for its {v}"),
        ("speciality of {x}", "food that {x} is known for"),
        ("what food is {x} known for",),
        "speciality known visitors",
    ),
    Relation(
        "birthplace", r"[A-Z][a-z]+",
        ("{x} was born in {v}", "{x} is a native of {v}", "{x} came into the world in {v}"),
        ("town where {x} was born", "birthplace of {x}", "native town of {x}"),
        ("in which town was {x} born", "where was {x} born"),
        "born native world",
    ),
    Relation(
        "birth_year", _NUMBER,
        ("{x} was born in the year {v}", "the birth year of {x} is {v}",
         "the parish book puts the birth of {x} in {v}"),
        ("year in which {x} was born", "birth year of {x}"),
        ("in which year was {x} born", "when was {x} born"),
        "birth year born parish",
    ),
    Relation(
        "employer", _NAMED,
        ("{x} works for {v}", "{x} is employed by {v}", "{v} employs {x}"),
        ("company that {x} works for", "employer of {x}", "company that employs {x}"),
        ("for which company does {x} work", "who employs {x}"),
        "works employed employs",
    ),
    Relation(
        "profession", _WORDS,
        ("{x} is by profession {v}", "the profession of {x} is {v}", "{x} has long worked as {v}"),
        ("profession of {x}", "occupation of {x}"),
        ("what does {x} do for a living",),
        "profession worked",
    ),
    Relation(
        "headquarters", r"[A-Z][a-z]+",
        ("{x} has its headquarters in {v}", "{x} is based in {v}",
         "the head office of {x} is in {v}"),
        ("town where {x} has its headquarters", "town in which {x} is based",
         "town that is home to the head office of {x}"),
        ("where is {x} based", "in which town is {x} based"),
        "headquarters based head office",
    ),
    Relation(
        "founder", _NAMED,
        ("{x} was founded by {v}", "{v} founded {x}", "the founder of {x} was {v}"),
        ("founder of {x}", "person who founded {x}"),
        ("who founded {x}",),
        "founder founded",
    ),
    Relation(
        "product", _WORDS,
        ("{x} makes {v}", "the main product of {x} is {v}",
         "{x} produces {v} for the whole region"),
        ("main product of {x}", "product that {x} makes"),
        ("what does {x} make",),
        "product makes produces",
    ),
    Relation(
        "length", _NUMBER,
        ("the {x} is {v} kilometres long", "the length of the {x} is {v} kilometres",
         "from end to end the {x} measures {v} kilometres"),
        ("length of {x} in kilometres",),
        ("how many kilometres long is {x}", "how long is {x} in kilometres"),
        "length kilometres long measures",
    ),
    Relation(
        "mouth", _NAMED,
        ("the {x} flows into {v}", "the {x} empties into {v}", "the {x} ends its course in {v}"),
        ("body of water that {x} flows into", "body of water into which {x} empties"),
        ("into which body of water does {x} flow", "where does {x} flow to"),
        "flows empties course",
    ),
    Relation(
        "source", _NAMED,
        ("the {x} rises on {v}", "the {x} has its source on {v}",
         "the springs of the {x} are on {v}"),
        ("mountain on which {x} rises", "source of {x}"),
        ("on which mountain does {x} rise",),
        "rises source springs",
    ),
    Relation(
        "author", _NAMED,
        ("{x} was written by {v}", "{v} wrote {x}", "{v} is the author of {x}"),
        ("author of {x}", "person who wrote {x}"),
        ("who wrote {x}",),
        "author written wrote",
    ),
    Relation(
        "year", _NUMBER,
        ("{x} was published in {v}", "{x} first appeared in {v}", "{x} was first printed in {v}"),
        ("year in which {x} was published", "publication year of {x}"),
        ("in which year was {x} published", "when was {x} published"),
        "published appeared printed year",
    ),
)  # fmt: skip
BY_NAME = {relation.name: relation for relation in RELATIONS}
_VALUES = {relation.name: re.compile(relation.value) for relation in RELATIONS}


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A look-up question: the first subject, then one relation after another."""

    subject: str
    relations: tuple[str, ...]


_PHRASES = tuple(
    (relation.name, re.compile(rf"^(?:the )?{phrase.replace('{x}', '(.+)')}$", re.IGNORECASE))
    for relation in RELATIONS
    for phrase in relation.phrases
)
_QUESTIONS = tuple(
    (relation.name, re.compile(rf"^{question.replace('{x}', '(.+)')}$", re.IGNORECASE))
    for relation in RELATIONS
    for question in relation.questions
)
_ASKING = re.compile(
    r"^(?:(?:according to the \w+, )?(?:what|who|which(?: of these)?) is|please name|tell me|"
    r"i would like to know|can you find out|state|choose) (the .+)$",
    re.IGNORECASE,
)
_ARTICLE = re.compile(
    r"^(?:the )?(?:town of|river|company|book) |^the (?!\w+ of\b)(?=[A-Z][a-z]+$)"
)


def inquiry(sentence: str) -> Inquiry | None:
    """The look-up a sentence asks for, or None."""
    text = sentence.strip().rstrip("?.!").strip()
    for relation, pattern in _QUESTIONS:
        if match := pattern.match(text):
            inner = _subject(match.group(1))
            if inner is not None:
                return Inquiry(inner.subject, (*inner.relations, relation))
    if match := _ASKING.match(text):
        found = _subject(match.group(1))
        return found if found is not None and found.relations else None
    return None


def _subject(text: str) -> Inquiry | None:
    for relation, pattern in _PHRASES:
        if match := pattern.match(text):
            inner = _subject(match.group(1))
            if inner is not None:
                return Inquiry(inner.subject, (*inner.relations, relation))
    bare = _ARTICLE.sub("", text)
    if re.fullmatch(r"[A-Z][\w'-]*(?: [A-Z][\w'-]*)*", bare):
        return Inquiry(bare, ())
    return None


def told(sentence: str, relation: str, subject: str) -> str | None:
    """The value a sentence gives for a relation of a subject, or None."""
    if subject not in sentence:
        return None
    text = sentence.rstrip(".")
    low = text.lower()
    for statement in BY_NAME[relation].told:
        head, _, tail = statement.replace("{x}", subject).lower().partition("{v}")
        start = low.find(head)
        end = low.find(tail, start + len(head)) if tail else len(text)
        if start < 0 or end < 0:
            continue
        found = text[start + len(head) : end]
        if _VALUES[relation].fullmatch(found):
            return found
    return None
