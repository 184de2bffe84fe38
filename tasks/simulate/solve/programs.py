"""Reads programming questions and writes the function: chains of steps, and set pieces."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.simulate.solve.program_phrases import ENDS, PIECES, STEPS, Phrase

if TYPE_CHECKING:
    from random import Random

_CALL = re.compile(r"`([A-Za-z_]\w*)\(([\w, ]*)\)`")
_EXAMPLE = re.compile(r"`(\w+\([^`]*\))` returns `([^`]*)`")


@dataclass(frozen=True, slots=True)
class Task:
    """A function to write, as a model understood it.

    Attributes:
        name: of the function.
        arguments: their names.
        body: lines of the function, not indented by the function's own four spaces.
        steps: how many things it does.
        slips: other bodies, each with one real mistake.
        examples: (call, expected value) as the text shows them.
    """

    name: str
    arguments: str
    body: tuple[str, ...]
    steps: int
    slips: tuple[tuple[str, ...], ...]
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def domain(self) -> str:
        """Always `code`."""
        return "code"

    @property
    def load(self) -> float:
        """More steps are harder."""
        return 0.35 * (self.steps - 3)

    def misread(self, rng: Random) -> Task:
        """The same function with one real mistake."""
        return replace(self, body=rng.choice(self.slips) if self.slips else ("return None",))

    def source(self) -> str:
        """The function as Python source."""
        lines = "\n".join(f"    {line}" for line in self.body)
        return f"def {self.name}({self.arguments}):\n{lines}\n"

    def broken(self) -> str:
        """The source with a slip of the pen that stops it from running."""
        last = self.body[-1]
        wrong = last.replace("result", "resutl", 1) if "result" in last else f"{last})"
        return replace(self, body=(*self.body[:-1], wrong)).source()

    def checks(self) -> str:
        """The examples of the text as assertions, and a word when they hold."""
        lines = [f"assert {call} == {expected}, {call!r}" for call, expected in self.examples]
        return "\n".join([*lines, "print('checks passed')", ""])


def read(text: str) -> Task | None:
    """The function a text asks for, or None when it asks for none."""
    call = _CALL.search(text)
    if call is None or ("unction" not in text and "Implement" not in text):
        return None
    name, arguments = call.groups()
    asked = _EXAMPLE.sub("", text[call.end() :])
    examples = tuple(_EXAMPLE.findall(text))
    found = _piece(asked, arguments) or _chain(asked, arguments)
    if found is None:
        return Task(name, arguments, ("return None",), 4, (), examples)
    body, steps, slips = found
    return Task(name, arguments, body, steps, slips, examples)


Found = tuple[tuple[str, ...], int, tuple[tuple[str, ...], ...]]


def _piece(text: str, arguments: str) -> Found | None:
    for piece in PIECES:
        match = piece.pattern.search(text)
        if match is None:
            continue
        number = int(match.groupdict().get("k") or 0)
        names = [name.strip() for name in arguments.split(",")]
        slots = {"k": number, "a": names[0], "b": names[-1], "near": number + 1}
        bodies = [tuple(body.format(**slots).split("\n")) for body in (piece.body, *piece.slips)]
        return bodies[0], 3, tuple(bodies[1:])
    return None


def _chain(text: str, argument: str) -> Found | None:
    if "into its words" in text:
        shape, first = "words", f"result = {argument}.split()"
    elif "list of" in text:
        shape, first = "numbers", f"result = list({argument})"
    else:
        shape, first = "text", f"result = {argument}"
    steps = [line for _, line, _ in _matches(text, STEPS[shape])]
    ends = _matches(text, ENDS[shape])
    if not ends:
        return None
    end = ends[-1][1]
    slips = [(first, *steps[:place], *steps[place + 1 :], end) for place in range(len(steps))] + [
        (first, *steps[:place], slip, *steps[place + 1 :], end)
        for place, (_, _, slip) in enumerate(_matches(text, STEPS[shape]))
        if slip
    ]
    if ends[-1][2]:
        slips.append((first, *steps, ends[-1][2]))
    return (first, *steps, end), len(steps) + 1, tuple(slips)


def _matches(text: str, phrases: tuple[Phrase, ...]) -> list[tuple[int, str, str]]:
    found = []
    for phrase in phrases:
        for match in phrase.pattern.finditer(text):
            k = int(match.groupdict().get("k") or 0)
            found.append(
                (match.start(), phrase.code.format(k=k), phrase.slip.format(k=k, near=k + 1))
            )
    return sorted(found)
