"""A logic puzzle as clues over an assignment, solved by trying every case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.simulate.solve.base import NO_ANSWER, HeadWork, tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

    Case = Mapping[str, Any]

_HOLDS: dict[str, Callable[[Case, Clue], bool]] = {
    "before": lambda case, clue: case[clue.a] < case[clue.b],
    "right before": lambda case, clue: case[clue.a] + 1 == case[clue.b],
    "at": lambda case, clue: case[clue.a] == clue.place,
    "has": lambda case, clue: case[clue.b] == clue.a,
    "liar": lambda case, clue: not case[clue.a],
    "honest": lambda case, clue: bool(case[clue.a]),
    "same": lambda case, clue: case[clue.a] == case[clue.b],
    "some liar": lambda case, clue: not (case[clue.a] and case[clue.b]),
    "one honest": lambda case, clue: case[clue.a] != case[clue.b],
    "both liars": lambda case, clue: not (case[clue.a] or case[clue.b]),
}
_CODE = {
    "before": "case[{a!r}] < case[{b!r}]",
    "right before": "case[{a!r}] + 1 == case[{b!r}]",
    "at": "case[{a!r}] == {place}",
    "has": "case[{b!r}] == {a!r}",
    "liar": "not case[{a!r}]",
    "honest": "case[{a!r}]",
    "same": "case[{a!r}] == case[{b!r}]",
    "some liar": "not (case[{a!r}] and case[{b!r}])",
    "one honest": "case[{a!r}] != case[{b!r}]",
    "both liars": "not (case[{a!r}] or case[{b!r}])",
}


class Clue(NamedTuple):
    """One thing a puzzle says.

    Attributes:
        kind: before | right before | at | has | liar | honest | same | some liar | one honest |
            both liars.
        a: the person it is about (for `has`: who has it).
        b: the other person, or the thing.
        place: 0-based place, for `at`.
        denied: whether the text says that it is not so.
        speaker: who claims it; a claim holds exactly when its speaker is honest.
    """

    kind: str
    a: str
    b: str = ""
    place: int = 0
    denied: bool = False
    speaker: str = ""

    def holds(self, case: Case) -> bool:
        """Whether a case fits the clue."""
        said = _HOLDS[self.kind](case, self) != self.denied
        return said == case[self.speaker] if self.speaker else said

    def code(self) -> str:
        """The same as a Python condition over `case`."""
        said = _CODE[self.kind].format(a=self.a, b=self.b, place=self.place)
        said = f"not ({said})" if self.denied else said
        return f"({said}) == case[{self.speaker!r}]" if self.speaker else said


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A puzzle.

    Attributes:
        form: order (name -> place) | truth (name -> honest) | belongings (thing -> name).
        names: the people.
        things: what they have, for belongings.
        clues: what is said.
        asked: place (who came at `goal`) | count (of liars) | honest | liar (the only one) |
            owner (of `goal`).
        goal: the place or the thing.
    """

    form: str
    names: tuple[str, ...]
    things: tuple[str, ...]
    clues: tuple[Clue, ...]
    asked: str
    goal: str = ""

    @property
    def domain(self) -> str:
        """Always `logic`."""
        return "logic"

    @property
    def load(self) -> float:
        """More people and more clues are harder."""
        return 0.45 * (len(self.names) - 4) + 0.1 * (len(self.clues) - 4)

    def misread(self, rng: Random) -> Puzzle:
        """A clue overlooked or turned round."""
        right, wrong = self.solve(), self
        for _ in range(6):
            place = rng.randrange(len(self.clues))
            clue = self.clues[place]
            kept = (self.clues[:place], self.clues[place + 1 :])
            turned = clue._replace(denied=not clue.denied)
            middle = () if rng.random() < 0.4 else (turned,)
            wrong = replace(self, clues=(*kept[0], *middle, *kept[1]))
            if wrong.solve() not in (right, NO_ANSWER):
                break
        return wrong

    def _cases(self) -> Iterator[Case]:
        if self.form == "order":
            for order in permutations(range(len(self.names))):
                yield dict(zip(self.names, order, strict=True))
        elif self.form == "truth":
            for values in product((True, False), repeat=len(self.names)):
                yield dict(zip(self.names, values, strict=True))
        else:
            for people in permutations(self.names, len(self.things)):
                yield dict(zip(self.things, people, strict=True))

    def _answer(self, case: Case) -> str:
        if self.asked == "place":
            return next((name for name in self.names if case[name] == int(self.goal)), NO_ANSWER)
        if self.asked == "owner":
            return str(case.get(self.goal, NO_ANSWER))
        if self.asked == "count":
            return str(sum(not honest for honest in case.values()))
        sought = self.asked == "honest"
        return next((name for name in self.names if case[name] == sought), NO_ANSWER)

    def solve(self) -> str:
        """The answer in the first case that fits all clues."""
        for case in self._cases():
            if all(clue.holds(case) for clue in self.clues):
                return self._answer(case)
        return NO_ANSWER

    def by_head(self, rng: Random, slip: float) -> HeadWork:
        """Trying cases without paper: the more cases, the likelier one goes missing."""
        cases = {"order": 1.1, "truth": 0.9, "belongings": 0.8}[self.form]
        steps = [f"There are {len(self.clues)} clues; I rule out what they exclude."]
        if rng.random() < slip * min(0.95, cases * (0.25 + 0.12 * len(self.clues))):
            return HeadWork(self.misread(rng).solve(), steps)
        return HeadWork(self.solve(), steps)

    def calculation(self) -> str | None:
        """No calculator helps with a puzzle."""
        return None

    def program(self) -> str | None:
        """Brute force over every case."""
        clues = " and ".join(f"({clue.code()})" for clue in self.clues)
        loop = {
            "order": "for values in permutations(range(len(keys))):",
            "truth": "for values in product((True, False), repeat=len(keys)):",
            "belongings": f"for values in permutations({list(self.names)!r}, len(keys)):",
        }[self.form]
        answer = {
            "place": f"[name for name in keys if case[name] == {self.goal or 0}][0]",
            "owner": f"case[{self.goal!r}]",
            "count": "sum(not honest for honest in case.values())",
            "honest": "[name for name in keys if case[name]][0]",
            "liar": "[name for name in keys if not case[name]][0]",
        }[self.asked]
        keys = self.things if self.form == "belongings" else self.names
        return (
            "from itertools import permutations, product\n\n"
            f"keys = {list(keys)!r}\n{loop}\n"
            "    case = dict(zip(keys, values))\n"
            f"    if {clues or 'True'}:\n"
            f"        print({answer})\n        break\n"
        )

    def conclude(self, output: str) -> str:
        """What the program printed."""
        return tidy(output)
