"""How a simulated model goes after a fact: from memory, or by one search a hop."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tasks.simulate.solve.facts import BY_NAME, RELATIONS, Inquiry, told
from tasks.simulate.solve.words import sentences

if TYPE_CHECKING:
    from tasks.simulate.behaviour import Turn

_EMPTY_HANDED = 0.55
"""Share of models' failures to find a fact that they admit, rather than invent one."""


class Pursuit(NamedTuple):
    """Where the pursuit of a fact stands: a value, or a query to send next, or neither."""

    value: str | None
    query: str | None
    steps: tuple[str, ...]


def pursue(asked: Inquiry, turn: Turn) -> Pursuit:
    """The next query, or the value with the working that led to it."""
    if turn.tool != "search":
        return _from_memory(asked, turn)
    mind, skills = turn.mind, turn.parameters.skills
    load = 0.6 * (len(asked.relations) - 1.4)
    if not mind.manages(skills.lookup, load, "read"):
        asked = _misread(asked, turn)
    subject, spent = asked.subject, 0
    steps: list[str] = []
    for hop, relation in enumerate(asked.relations):
        for attempt in range(2):
            if spent == len(turn.outputs):
                if not turn.may_call:
                    return _given_up(relation, turn, steps)
                return Pursuit(None, _query(subject, relation, turn, hop, attempt), ())
            output = turn.outputs[spent]
            spent += 1
            value = _extract(output, relation, subject, turn, hop)
            if value is not None:
                break
            if not mind.manages(turn.parameters.tool_use.search, 0.0, f"again {hop}"):
                return _given_up(relation, turn, steps)
        if value is None:
            return _given_up(relation, turn, steps)
        steps.append(f"{relation.replace('_', ' ')} of {subject}: {value}.")
        subject = value
    return Pursuit(subject, None, tuple(steps))


def _misread(asked: Inquiry, turn: Turn) -> Inquiry:
    rng = turn.mind.rng("misread")
    if len(asked.relations) > 1 and rng.random() < 0.7:
        return Inquiry(asked.subject, asked.relations[:-1])
    kind = BY_NAME[asked.relations[-1]].value
    others = [
        one.name for one in RELATIONS if one.value == kind and one.name != asked.relations[-1]
    ]
    return Inquiry(asked.subject, (*asked.relations[:-1], rng.choice(others or ["mayor"])))


def _query(subject: str, relation: str, turn: Turn, hop: int, attempt: int) -> str:
    if attempt:
        return f"{subject} {relation.replace('_', ' ')}"
    if turn.mind.manages(turn.parameters.tool_use.search, -0.8, f"query {hop}"):
        return f"{subject} {BY_NAME[relation].keywords}"
    return f"{BY_NAME[relation].keywords} {subject.split()[0]}"


def _extract(output: str, relation: str, subject: str, turn: Turn, hop: int) -> str | None:
    lines = sentences(output)
    found = next((value for line in lines if (value := told(line, relation, subject))), None)
    if found is None or turn.mind.manages(turn.parameters.tool_use.search, -1.0, f"extract {hop}"):
        return found
    numeric = BY_NAME[relation].value.startswith(r"\d")
    pattern = r"\b\d{2,}\b" if numeric else r"\b[A-Z][a-z]+(?: [A-Z][a-z]+)*\b"
    others = [one for one in re.findall(pattern, output) if one not in (found, subject)]
    return turn.mind.rng(f"wrong {hop}").choice(others) if others else found


def _from_memory(asked: Inquiry, turn: Turn) -> Pursuit:
    subject = asked.subject
    for hop, relation in enumerate(asked.relations):
        known = turn.mind.uniform(f"recall {hop}") < turn.parameters.skills.recall
        value = turn.knowledge.fact(relation, subject) if known else None
        if value is None:
            return _given_up(asked.relations[-1], turn, [])
        subject = value
    return Pursuit(subject, None, ("I remember this.",))


def _given_up(relation: str, turn: Turn, steps: list[str]) -> Pursuit:
    if turn.mind.uniform("admit") < _EMPTY_HANDED:
        return Pursuit(None, None, (*steps, "I do not know and could not find it."))
    value = turn.knowledge.invented(relation, turn.mind.rng("invent"))
    return Pursuit(value, None, (*steps, "This is what I believe."))
