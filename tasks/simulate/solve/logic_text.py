"""Reads logic puzzles: who takes part, what is said of whom, what is asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.simulate.solve.base import Calculation
from tasks.simulate.solve.expressions import op
from tasks.simulate.solve.logic import Clue, Puzzle
from tasks.simulate.solve.words import NUMBER, sentences, value

if TYPE_CHECKING:
    from collections.abc import Callable

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
_PLACE = rf"({'|'.join(_ORDINALS)}|last)"
_W = r"([A-Z][a-z]+)"
_LIST = r"((?:[A-Z][a-z]+, )*[A-Z][a-z]+ and [A-Z][a-z]+)"
_RACERS = re.compile(rf"{_LIST} (?:took part|competed|raced)")
_ISLANDERS = re.compile(rf"(?:In [A-Z][a-z]+, )?{_LIST} each either always tell")
_OWNERS = re.compile(rf"{_LIST} from \w+ each have a different [a-z]+: ([^.]+)\.")
_CAME = re.compile(rf"Who came {_PLACE}\?")

_ORDER_CLUES: tuple[tuple[re.Pattern[str], Callable[..., Clue]], ...] = (
    (re.compile(rf"{_W} finished right before {_W}"), lambda a, b: Clue("right before", a, b)),
    (re.compile(rf"{_W} came directly after {_W}"), lambda b, a: Clue("right before", a, b)),
    (re.compile(rf"{_W} (?:finished before|beat) {_W}"), lambda a, b: Clue("before", a, b)),
    (re.compile(rf"{_W} came in after {_W}"), lambda b, a: Clue("before", a, b)),
)
_AT = re.compile(rf"{_W} (came|was not) {_PLACE}\.")
_CLAIMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"at least one of {_W} and {_W} is a liar"), "some liar"),
    (re.compile(rf"exactly one of {_W} and {_W} tells the truth"), "one honest"),
    (re.compile(rf"both {_W} and {_W} are liars"), "both liars"),
    (re.compile(rf"{_W} and {_W} are of the same kind"), "same"),
    (re.compile(rf"{_W} is a liar"), "liar"),
    (re.compile(rf"{_W} tells the truth"), "honest"),
)
_SPEECH = re.compile(rf"(?:{_W} says(?: that|:)|According to {_W},) (.+)")
_SETS = re.compile(rf"({NUMBER}) (?:[a-z ]+ )?like ([a-z]+)")
_BOTH = re.compile(rf"({NUMBER})(?: [a-z]+)? like both")
_NEITHER = re.compile(rf"({NUMBER})(?: [a-z]+)? like neither")
_TOTAL = re.compile(rf"\bOf ({NUMBER}) ")


def read(text: str) -> Puzzle | Calculation | None:
    """The puzzle of a text, or None when there is none."""
    return _order(text) or _truth(text) or _belongings(text) or _sets(text)


def _people(listed: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[A-Z][a-z]+", listed))


def _order(text: str) -> Puzzle | None:
    racers, asked = _RACERS.search(text), _CAME.search(text)
    if racers is None or asked is None:
        return None
    names = _people(racers.group(1))
    clues: list[Clue] = []
    for line in sentences(text[racers.end() :]):
        if match := _AT.search(line):
            name, verb, word = match.groups()
            clues.append(Clue("at", name, place=_place(word, names), denied=verb != "came"))
            continue
        for pattern, make in _ORDER_CLUES:
            if match := pattern.search(line):
                clues.append(make(*match.groups()))
                break
    clues = [clue for clue in clues if {clue.a, clue.b or clue.a} <= set(names)]
    return Puzzle("order", names, (), tuple(clues), "place", str(_place(asked.group(1), names)))


def _place(word: str, names: tuple[str, ...]) -> int:
    return len(names) - 1 if word == "last" else _ORDINALS.index(word)


def _truth(text: str) -> Puzzle | None:
    islanders = _ISLANDERS.search(text)
    if islanders is None:
        return None
    names = _people(islanders.group(1))
    clues = []
    for line in sentences(text[islanders.end() :]):
        speech = _SPEECH.search(line)
        if speech is None:
            continue
        speaker, said = speech.group(1) or speech.group(2), speech.group(3)
        for pattern, kind in _CLAIMS:
            if match := pattern.search(said):
                a, b = (*match.groups(), "")[:2]
                clues.append(Clue(kind, a, b, speaker=speaker))
                break
    only = "honest" if "telling the truth" in text else "liar"
    asked = "count" if "How many" in text else only
    return Puzzle("truth", names, (), tuple(clues), asked) if clues else None


def _belongings(text: str) -> Puzzle | None:
    owners = _OWNERS.search(text)
    if owners is None:
        return None
    names = _people(owners.group(1))
    things = tuple(re.split(r", | and ", owners.group(2)))
    clues: list[Clue] = []
    goal = ""
    for line in sentences(text[owners.end() :]):
        thing = next((one for one in things if re.search(rf"\b{re.escape(one)}\b", line)), None)
        if thing is None:
            continue
        if line.startswith("Who "):
            goal = thing
            continue
        denied = "does not" in line or line.startswith("Neither")
        people = [name for name in _people(line) if name in names]
        clues += [Clue("has", name, thing, denied=denied) for name in people]
    return Puzzle("belongings", names, things, tuple(clues), "owner", goal) if clues else None


def _sets(text: str) -> Calculation | None:
    likes = _SETS.findall(text)
    groups = [value(number) for number, liked in likes if liked not in ("both", "neither")]
    if len(groups) != 2:
        return None
    a, b = groups
    total, both, none = (pattern.search(text) for pattern in (_TOTAL, _BOTH, _NEITHER))
    question = text[text.rfind("How many") :]
    if "neither" in question and total and both:
        any_of = op("-", op("+", a, b), value(both.group(1)))
        found = op("-", value(total.group(1)), any_of)
    elif "like both" in question and total and none:
        inside = op("-", value(total.group(1)), value(none.group(1)))
        found = op("-", op("+", a, b), inside)
    elif "exactly one" in question and both:
        found = op("-", op("+", a, b), op("*", 2, value(both.group(1))))
    elif "at least one" in question and both:
        found = op("-", op("+", a, b), value(both.group(1)))
    else:
        return None
    return Calculation("logic", found, -0.3)
