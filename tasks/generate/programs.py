"""Programming questions with hidden tests: chains of list and string steps, and set pieces.

The reference is a JSON object `{"entry_point": name, "tests": ["assert name(...) == ...", ...]}`,
which is what the grader `code` runs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.generate.item import Body
from tasks.generate.program_steps import (
    NUMBER_ENDS,
    NUMBER_STEPS,
    PIECES,
    TEXT_ENDS,
    TEXT_STEPS,
    WORD_ENDS,
    WORD_STEPS,
    Piece,
    Step,
)
from tasks.generate.wording import cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.generate.world import World

_VERBS = ("tidy", "scan", "check", "build", "count", "merge", "sort", "fold", "pack", "trim")
_NOUNS = ("list", "items", "crates", "names", "entries", "values", "records", "letters", "row")
_VOCABULARY = (
    "river", "ferry", "Lantern", "oak", "Ledger", "apple", "quay", "bell", "copper", "Orchard",
    "ink", "level", "noon", "market", "Anna", "tide", "window", "radar", "eve", "stone",
)  # fmt: skip
_ASKING = (
    "The clerk of {town} wants a function `{call}` that {does}.",
    "Could you give me a Python function `{call}`? It {does}.",
    "{person} and {friend} disagree on the function `{call}`. It should be one that {does}.",
    "For the records of {company}, write a function `{call}` that {does}.",
    "In Python, define the function `{call}`; it {does}.",
    "Write a Python function `{call}` that {does}.",
    "Implement `{call}` in Python: it {does}.",
    "{person} needs a Python function `{call}` for the archive of {town}. It {does}.",
    "Please write the function `{call}`, which {does}.",
    "At {company} a small Python function `{call}` is missing; it {does}.",
)


class _Shape(NamedTuple):
    steps: tuple[Step, ...]
    ends: tuple[Step, ...]
    argument: str
    takes: str


_SHAPES = (
    _Shape(NUMBER_STEPS, NUMBER_ENDS, "numbers", "takes a list of whole numbers"),
    _Shape(TEXT_STEPS, TEXT_ENDS, "text", "takes a string"),
    _Shape(WORD_STEPS, WORD_ENDS, "text", "splits a string into its words"),
)


def program(rng: Random, world: World) -> Body:
    """One programming question: a chain of steps (70 %) or a set piece."""
    name = f"{rng.choice(_VERBS)}_{rng.choice(_NOUNS)}"
    draw = rng.random()
    if draw < 0.3:
        return _set_piece(rng, world, name, rng.choice(PIECES))
    shape = _SHAPES[0] if draw < 0.6 else rng.choice(_SHAPES[1:])
    chain = _chain(rng, shape.steps)
    end_text, end = _fill(rng, rng.choice(shape.ends))
    does = ", ".join([shape.takes, *(text for text, _ in chain)]) + f" and {end_text}"

    def solve(value: list[int] | str) -> object:
        words = shape.steps is WORD_STEPS and isinstance(value, str)
        found: Any = str(value).split() if words else value
        for _, run in chain:
            found = run(found)
        return end(found)

    def sample() -> list[Any]:
        return [_ARGUMENTS[shape.argument](rng)]

    return _body(rng, world, f"{name}({shape.argument})", does, solve, sample)


def _chain(rng: Random, steps: tuple[Step, ...]) -> list[tuple[str, Callable[[Any], Any]]]:
    chosen: list[Step] = []
    for _ in range(rng.choice((1, 2, 2, 3))):
        left = [step for step in steps if step.topic not in {one.topic for one in chosen}]
        chosen.append(rng.choice(left))
    return [_fill(rng, step) for step in chosen]


def _fill(rng: Random, step: Step) -> tuple[str, Callable[[Any], Any]]:
    k = rng.randint(step.low, step.high)
    return rng.choice(step.texts).format(k=k), lambda value: step.run(value, k)


def _set_piece(rng: Random, world: World, name: str, piece: Piece) -> Body:
    k = rng.randint(piece.low, piece.high)
    does = rng.choice(piece.texts).format(k=k)

    def sample() -> list[Any]:
        return [_ARGUMENTS[one](rng) for one in piece.arguments]

    call = f"{name}({', '.join(piece.arguments)})".replace("brackets", "text")
    return _body(rng, world, call, does, lambda *args: piece.run(*args, k), sample)


def _number_list(rng: Random) -> list[int]:
    return [rng.randint(-20, 40) for _ in range(rng.randint(4, 9))]


def _phrase(rng: Random) -> str:
    return " ".join(rng.choice(_VOCABULARY) for _ in range(rng.randint(2, 6)))


def _brackets(rng: Random) -> str:
    text = "".join(rng.choice("()") for _ in range(rng.choice((4, 6, 8))))
    return rng.choice((text, "(" * (len(text) // 2) + ")" * (len(text) // 2), "()" + text))


def _body(
    rng: Random,
    world: World,
    call: str,
    does: str,
    solve: Callable[..., Any],
    sample: Callable[[], list[Any]],
) -> Body:
    name = call.partition("(")[0]
    parts = cast(rng, world)
    cases = [sample() for _ in range(7)]
    text = rng.choice(_ASKING).format(call=call, does=does, **parts)
    shown = 2 if rng.random() < 0.6 else 1
    lines = [(f"{name}({', '.join(map(repr, args))})", repr(solve(*args))) for args in cases]
    for called, expected in lines[:shown]:
        text += f" For example, `{called}` returns `{expected}`."
    tests = [f"assert {called} == {expected}" for called, expected in lines]
    return Body(text, json.dumps({"entry_point": name, "tests": tests}), "code")


_ARGUMENTS: dict[str, Callable[[Random], Any]] = {
    "brackets": _brackets,
    "number": lambda rng: rng.randint(0, 9_999_999),
    "numbers": _number_list,
    "others": _number_list,
    "text": _phrase,
}
