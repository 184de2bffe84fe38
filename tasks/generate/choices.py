"""Choice questions of five options: facts, sums, sequences, and what other kinds ask."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.generate import algebra, dates, logic, stories
from tasks.generate.item import Body
from tasks.generate.lookups import PHRASES, mention
from tasks.generate.wording import cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.generate.world import World

LETTERS = "ABCDE"
_FORM = "Answer with the letter of the right option."


def choice(rng: Random, world: World) -> Body:
    """One choice question, of one of seven forms."""
    form: Callable[[Random, World], tuple[str, str, list[str]]] = rng.choices(
        (_fact, _borrowed, _sequence, _equal, _extreme, _property, _first_word),
        (4, 4, 2, 2, 2, 2, 1),
    )[0]
    question, right, wrong = form(rng, world)
    options = [right, *wrong]
    rng.shuffle(options)
    mark = rng.choice(("{}) ", "({}) ", "{}. ", "{}: "))
    lines = [mark.format(letter) + text for letter, text in zip(LETTERS, options, strict=True)]
    listed = rng.choice(("\n", "\n", "\n", "  ")).join(lines)
    return Body(f"{question}\n{listed}", LETTERS[options.index(right)], "choice", _FORM)


def _fact(rng: Random, world: World) -> tuple[str, str, list[str]]:
    entity = world.pick(rng, rng.choice(tuple(world.by_kind)))
    relation = rng.choice(tuple(entity.facts))
    right = entity.facts[relation]
    if right.isdigit():
        wrong = near(rng, int(right), 60)
    else:
        others = {one.facts[relation] for one in world.by_kind[entity.kind]} - {right}
        wrong = rng.sample(sorted(others), 4)
    phrase = rng.choice(PHRASES[entity.kind, relation]).format(x=mention(rng, entity))
    asked = rng.choice(("What is {}?", "Which of these is {}?", "Choose {}."))
    return asked.format(phrase), right, wrong


def near(rng: Random, value: int, spread: int) -> list[str]:
    """Four other numbers near a value, as a slip would give them."""
    found: set[int] = set()
    while len(found) < 4:
        off = rng.choice((1, -1)) * rng.choice((1, 2, 10, rng.randint(1, spread)))
        found |= {value + off} - {value}
    return [str(number) for number in sorted(found)]


def _borrowed(rng: Random, world: World) -> tuple[str, str, list[str]]:
    makers = (stories.story, algebra.equation, dates.date_or_unit, logic.puzzle)
    while True:
        body = rng.choice(makers)(rng, world)
        question = re.sub(r" Write it as [A-Z:-]+\.$", "", body.text)
        if re.fullmatch(r"-?\d{1,9}", body.reference):
            return question, body.reference, near(rng, int(body.reference), 40)
        if body.reference in dates.WEEKDAYS:
            others = [day for day in dates.WEEKDAYS if day != body.reference]
            return question, body.reference, rng.sample(others, 4)


def _sequence(rng: Random, world: World) -> tuple[str, str, list[str]]:
    start, step = rng.randint(1, 60), rng.randint(2, 19)
    if rng.random() < 0.5:
        terms = [start + step * i for i in range(6)]
    elif rng.random() < 0.5:
        factor = rng.choice((2, 3))
        terms = [rng.randint(1, 9)]
        while len(terms) < 6:
            terms.append(terms[-1] * factor)
    else:
        terms = [start]
        for i in range(5):
            terms.append(terms[-1] + step + i)
    shown = ", ".join(map(str, terms[:-1]))
    question = rng.choice(
        (
            f"Which number comes next: {shown}, ...?",
            f"The house numbers in {cast(rng, world)['town']} run {shown}. Which one follows?",
            f"Continue the sequence {shown}.",
        )
    )
    return question, str(terms[-1]), near(rng, terms[-1], 30)


def _equal(rng: Random, _world: World) -> tuple[str, str, list[str]]:
    a, b, c = rng.randint(12, 99), rng.randint(3, 29), rng.randint(5, 200)
    text, value = rng.choice(
        (
            (f"{a} × {b} + {c}", a * b + c),
            (f"{a} × {b} − {c}", a * b - c),
            (f"({a} + {c}) × {b}", (a + c) * b),
        )
    )
    question = rng.choice((f"Which of these equals {text}?", f"What is {text}?"))
    return question, str(value), near(rng, value, 50)


def _extreme(rng: Random, _world: World) -> tuple[str, str, list[str]]:
    largest = rng.random() < 0.5
    if rng.random() < 0.5:
        pairs = {(rng.randint(1, 28), rng.randint(2, 31)) for _ in range(5)}
        values = {f"{a}/{b}": a / b for a, b in pairs}
    else:
        values = {f"{rng.randint(2, 9)}^{rng.randint(3, 9)}": 0.0 for _ in range(5)}
        values = {text: float(int(text[0]) ** int(text[2])) for text in values}
    if len(set(values.values())) < 5:
        return _extreme(rng, _world)
    ordered = sorted(values, key=lambda text: values[text], reverse=largest)
    word = rng.choice(("largest", "greatest") if largest else ("smallest", "least"))
    return f"Which of these numbers is the {word}?", ordered[0], ordered[1:]


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))


def _property(rng: Random, _world: World) -> tuple[str, str, list[str]]:
    if rng.random() < 0.5:
        right = rng.choice([n for n in range(101, 700) if _is_prime(n)])
        odd = [n for n in range(91, 700, 2) if not _is_prime(n) and n % 5]
        return "Which of these numbers is prime?", str(right), [str(n) for n in rng.sample(odd, 4)]
    k = rng.choice((3, 7, 8, 9, 11, 12, 13))
    right = k * rng.randint(14, 90)
    wrong = rng.sample([n for n in range(right - 60, right + 60) if n % k], 4)
    question = rng.choice(
        (f"Which of these numbers is divisible by {k}?", f"Which number is a multiple of {k}?")
    )
    return question, str(right), [str(n) for n in wrong]


def _first_word(rng: Random, world: World) -> tuple[str, str, list[str]]:
    kind = rng.choice(("town", "person", "company"))
    words = [entity.name for entity in rng.sample(world.by_kind[kind], 5)]
    last = rng.random() < 0.5
    ordered = sorted(words, reverse=last)
    side = "last" if last else "first"
    return f"Which of these names comes {side} in alphabetical order?", ordered[0], ordered[1:]
