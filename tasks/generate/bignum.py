"""Arithmetic with big numbers: exact whole-number answers, bare or in the words of a trade."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tasks.generate import names
from tasks.generate.item import Body
from tasks.generate.wording import cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.generate.world import World

_FORM = "Give the exact whole number."


def big_number(rng: Random, world: World) -> Body:
    """One computation with big numbers, of one of six forms."""
    form: Callable[[Random, dict[str, str]], tuple[str, int]] = rng.choices(
        (_product, _mixed, _sum, _power, _remainder, _divisor, _digits), (4, 3, 3, 2, 3, 2, 2)
    )[0]
    text, answer = form(rng, cast(rng, world))
    return Body(text, str(answer), "numeric", _FORM)


def _show(rng: Random, number: int) -> str:
    return f"{number:,}" if rng.random() < 0.5 else str(number)


def _digits_of(rng: Random, low: int, high: int) -> int:
    size = rng.randint(low, high)
    return rng.randint(10 ** (size - 1), 10**size - 1)


def _product(rng: Random, parts: dict[str, str]) -> tuple[str, int]:
    a, b = _digits_of(rng, 3, 6), _digits_of(rng, 2, 5)
    x, y = _show(rng, a), _show(rng, b)
    thing, box = rng.choice(names.THINGS), rng.choice(names.CONTAINERS)
    text = rng.choice(
        (
            f"Compute {x} × {y}.",
            f"What is {x} * {y}?",
            f"What is the product of {x} and {y}?",
            f"Multiply {x} by {y}.",
            (
                f"{parts['company']} ships {x} {box} with {y} {thing} in each. How many {thing} is "
                f"that?"
            ),
            (
                f"Each of the {x} households of {parts['town']} pays {y} coins a year. How "
                "many coins "
                f"does the town take in?"
            ),
        )
    )
    return text, a * b


def _mixed(rng: Random, parts: dict[str, str]) -> tuple[str, int]:
    a, b, c = _digits_of(rng, 2, 5), _digits_of(rng, 2, 4), _digits_of(rng, 2, 5)
    x, y, z = (_show(rng, number) for number in (a, b, c))
    options = (
        (f"Compute {x} × {y} + {z}.", a * b + c),
        (f"What is ({x} + {z}) × {y}?", (a + c) * b),
        (f"Evaluate {x} × {y} − {z}.", a * b - c),
        (f"Multiply {x} by {y}, then subtract {z}.", a * b - c),
        (f"Add {z} to the product of {x} and {y}.", a * b + c),
        (f"Take the sum of {x} and {z} and multiply it by {y}.", (a + c) * b),
        (
            (
                f"{parts['company']} fills {x} crates with {y} bottles each and has {z} "
                "bottles left "
                f"over. How many bottles are there?"
            ),
            a * b + c,
        ),
    )
    return rng.choice(options)


def _sum(rng: Random, parts: dict[str, str]) -> tuple[str, int]:
    a, b, c = (_digits_of(rng, 5, 9) for _ in range(3))
    x, y, z = (_show(rng, number) for number in (a, b, c))
    high, low = max(a, b), min(a, b)
    options = (
        (f"What is {x} + {y} + {z}?", a + b + c),
        (f"Find the sum of {x}, {y} and {z}.", a + b + c),
        (f"What is the difference between {x} and {y}?", high - low),
        (
            (
                f"{parts['town']} spent {x} coins on roads, {y} coins on schools and {z} coins "
                "on the "
                f"quay. What did it spend in total?"
            ),
            a + b + c,
        ),
        (f"Subtract {_show(rng, low)} from {_show(rng, high)}.", high - low),
    )
    return rng.choice(options)


def _power(rng: Random, _parts: dict[str, str]) -> tuple[str, int]:
    base, exponent = rng.randint(2, 29), rng.randint(4, 11)
    text = rng.choice(
        (
            f"What is {base} to the power of {exponent}?",
            f"Compute {base}^{exponent}.",
            f"Raise {base} to the power {exponent}.",
        )
    )
    return text, base**exponent


def _remainder(rng: Random, parts: dict[str, str]) -> tuple[str, int]:
    a, b = _digits_of(rng, 5, 9), _digits_of(rng, 2, 3)
    x, y = _show(rng, a), str(b)
    thing = rng.choice(names.THINGS)
    text = rng.choice(
        (
            f"What is the remainder when {x} is divided by {y}?",
            f"What remainder does {x} leave on division by {y}?",
            f"Compute {x} mod {y}.",
            (
                f"{parts['company']} packs {x} {thing} in boxes of {y}. How many {thing} are left "
                "over?"
            ),
        )
    )
    return text, a % b


def _divisor(rng: Random, _parts: dict[str, str]) -> tuple[str, int]:
    common = rng.randint(4, 96)
    a, b = common * rng.randint(11, 140), common * rng.randint(11, 140)
    if rng.random() < 0.6:
        text = rng.choice(
            (
                f"What is the greatest common divisor of {a} and {b}?",
                f"Find the largest whole number that divides both {a} and {b}.",
            )
        )
        return text, math.gcd(a, b)
    text = rng.choice(
        (
            f"What is the least common multiple of {a} and {b}?",
            f"Find the smallest positive number that both {a} and {b} divide.",
        )
    )
    return text, math.lcm(a, b)


def _digits(rng: Random, _parts: dict[str, str]) -> tuple[str, int]:
    if rng.random() < 0.5:
        base, exponent = rng.randint(2, 13), rng.randint(9, 24)
        text = rng.choice(
            (
                f"What is the sum of the digits of {base}^{exponent}?",
                f"Add up the digits of {base} to the power of {exponent}.",
            )
        )
        return text, sum(map(int, str(base**exponent)))
    a, b = _digits_of(rng, 3, 5), _digits_of(rng, 3, 5)
    text = rng.choice(
        (
            f"What is the sum of the digits of {a} × {b}?",
            f"Add up the digits of the product of {a} and {b}.",
        )
    )
    return text, sum(map(int, str(a * b)))
