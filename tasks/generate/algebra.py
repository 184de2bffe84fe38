"""Algebra: one unknown, two unknowns, quadratics; in symbols, in words and as small scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.generate import names
from tasks.generate.item import Body
from tasks.generate.wording import cast, count

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.generate.world import World

_FORM = "Give only the value."


def equation(rng: Random, world: World) -> Body:
    """One algebra question, of one of six forms."""
    form: Callable[[Random, dict[str, str]], tuple[str, int]] = rng.choices(
        (_linear, _riddle, _quadratic, _system, _tickets, _heads, _ages), (3, 3, 3, 3, 2, 1, 1)
    )[0]
    text, answer = form(rng, cast(rng, world))
    return Body(text, str(answer), "numeric", _FORM)


def _term(coefficient: int, name: str, first: bool = False) -> str:
    sign = "-" if coefficient < 0 else "+"
    size = abs(coefficient)
    body = name if size == 1 and name else f"{size}{name}"
    if first:
        return f"-{body}" if coefficient < 0 else body
    return f" {sign} {body}"


def _linear(rng: Random, parts: dict[str, str]) -> tuple[str, int]:
    name = rng.choice("xyztnk")
    root = rng.choice((-1, 1, 1, 1)) * rng.randint(2, 60)
    a, c = rng.sample([k for k in range(-9, 15) if k not in (0, 1)], 2)
    b = rng.randint(-90, 90) or 7
    if rng.random() < 0.35:
        shift = rng.randint(1, 20)
        text = f"{abs(a) + 1}({name} + {shift}) = {(abs(a) + 1) * (root + shift)}"
    elif rng.random() < 0.5:
        text = f"{_term(a, name, True)}{_term(b, '')} = {a * root + b}"
    else:
        d = a * root + b - c * root
        right = _term(c, name, True) + (_term(d, "") if d else "")
        text = f"{_term(a, name, True)}{_term(b, '')} = {right}"
    asked = rng.choice(
        (
            f"Solve for {name}: {text}.",
            f"Find {name} if {text}.",
            f"What value of {name} satisfies {text}?",
            f"On a wall in {parts['town']} someone wrote {text}. What is {name}?",
        )
    )
    return asked, root


def _riddle(rng: Random, parts: dict[str, str]) -> tuple[str, int]:
    n, k, b = rng.randint(3, 90), rng.randint(2, 12), rng.randint(2, 80)
    who = parts["person"].split()[0]
    times = {2: "twice", 3: "three times"}.get(k, f"{count(rng, k)} times")
    options = (
        (
            (
                f"{who} thinks of a number, multiplies it by {count(rng, k)} and adds {b}. The "
                "result "
                f"is {k * n + b}. What is the number?"
            ),
            n,
        ),
        (
            (
                f"I think of a number. I multiply it by {count(rng, k)} and subtract {b}, "
                "which gives "
                f"{k * n - b}. Which number did I think of?"
            ),
            n,
        ),
        (f"If {b} is added to {times} a number, the result is {k * n + b}. Find the number.", n),
        (f"{b} less than {times} a number is {k * n - b}. What is the number?", n),
        (f"{b} more than {times} a number equals {k * n + b}. What is that number?", n),
        (
            (
                f"The sum of three consecutive whole numbers is {3 * n + 3}. What is the "
                "smallest of "
                f"them?"
            ),
            n,
        ),
        (
            f"The sum of two consecutive whole numbers is {2 * n + 1}. What is the larger one?",
            n + 1,
        ),
    )
    return rng.choice(options)


def _quadratic(rng: Random, _parts: dict[str, str]) -> tuple[str, int]:
    name = rng.choice("xyzt")
    p, q = rng.sample([k for k in range(-15, 24) if k], 2)
    b, c = -(p + q), p * q
    square = rng.choice((f"{name}^2", f"{name}²"))
    middle = _term(b, name) if b else ""
    text = f"{square}{middle}{_term(c, '')} = 0"
    if rng.random() < 0.3:
        text = f"{square}{middle} = {-c}"
    which, answer = rng.choice(
        (
            ("larger", max(p, q)),
            ("smaller", min(p, q)),
            ("greatest", max(p, q)),
            ("least", min(p, q)),
        )
    )
    options = (
        (f"What is the {which} solution of {text}?", answer),
        (f"Find the {which} root of {text}.", answer),
        (f"The equation {text} has two solutions. What is the {which} one?", answer),
        (f"What is the sum of the squares of the solutions of {text}?", p * p + q * q),
        (f"By how much do the two solutions of {text} differ?", abs(p - q)),
    )
    return rng.choice(options)


def _system(rng: Random, _parts: dict[str, str]) -> tuple[str, int]:
    u, v = rng.choice(("xy", "ab", "pq", "mn"))
    x, y = rng.randint(-12, 30), rng.randint(-12, 30)
    while True:
        a, b, c, d = (rng.choice((-3, -2, -1, 1, 2, 3, 4, 5, 7)) for _ in range(4))
        if a * d != b * c:
            break
    first = f"{_term(a, u, True)}{_term(b, v)} = {a * x + b * y}"
    second = f"{_term(c, u, True)}{_term(d, v)} = {c * x + d * y}"
    joined = rng.choice((f"{first} and {second}", f"{first}, {second}", f"{first}; {second}"))
    target, answer = rng.choice(
        ((u, x), (v, y), (f"{u} + {v}", x + y), (f"{u} - {v}", x - y), (f"{u} * {v}", x * y))
    )
    options = (
        f"Given {joined}: what is {target}?",
        f"If {joined}, find {target}.",
        f"Solve the system {joined} and state {target}.",
    )
    return rng.choice(options), answer


def _tickets(rng: Random, parts: dict[str, str]) -> tuple[str, int]:
    first, second = rng.sample(("adult", "child", "student", "guest", "member", "evening"), 2)
    m, n = rng.randint(6, 95), rng.randint(6, 95)
    p, q = rng.sample(range(2, 29), 2)
    asked, answer = rng.choice(((first, m), (second, n)))
    text = rng.choice(
        (
            (
                f"The museum of {parts['town']} sells {first} tickets at {p} coins and "
                f"{second} tickets "
                f"at {q} coins. One day {m + n} tickets were sold for {m * p + n * q} coins in "
                "all. How "
                f"many {asked} tickets were sold?"
            ),
            (
                f"At a concert of {parts['company']}, each {first} ticket costs {p} coins and each "
                f"{second} ticket {q} coins. {m + n} people paid {m * p + n * q} coins "
                "together. How many "
                f"{asked} tickets were sold?"
            ),
        )
    )
    return text, answer


def _heads(rng: Random, parts: dict[str, str]) -> tuple[str, int]:
    birds, beasts = rng.choice(("hens", "geese", "ducks")), rng.choice(("goats", "sheep", "cows"))
    m, n = rng.randint(4, 70), rng.randint(4, 70)
    asked, answer = rng.choice(((birds, m), (beasts, n)))
    text = (
        f"On a farm near {parts['town']} there are {birds} and {beasts}: {m + n} heads and "
        f"{2 * m + 4 * n} legs in all. How many {asked} are there?"
    )
    return text, answer


def _ages(rng: Random, _parts: dict[str, str]) -> tuple[str, int]:
    old, young = rng.sample(names.FIRST_NAMES, 2)
    later, factor = rng.randint(2, 15), rng.randint(3, 7)
    age = (factor - 1) * rng.randint(1, 6)
    now = factor * age
    gap, total = now - age, now + age
    options = (
        (
            (
                f"{old} is {count(rng, factor)} times as old as {young}. Together they are "
                f"{total} years "
                f"old. How old is {young}?"
            ),
            age,
        ),
        (
            (
                f"{old} is {gap} years older than {young}, and {count(rng, factor)} times as "
                "old. How old "
                f"is {old}?"
            ),
            now,
        ),
        (
            (
                f"{old} is {count(rng, factor)} times as old as {young}. In {later} years "
                "their ages will "
                f"add up to {total + 2 * later}. How old is {old} today?"
            ),
            now,
        ),
    )
    return rng.choice(options)
