"""Word problems that are one scene: shopping, output of machines, journeys, comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.generate import names
from tasks.generate.wording import count, plain

if TYPE_CHECKING:
    from random import Random


def shopping(rng: Random, parts: dict[str, str]) -> tuple[list[str], float]:
    """Two kinds of goods, perhaps a fee or a voucher, perhaps change."""
    who = parts["person"]
    first, second = rng.sample(names.THINGS, 2)
    a, b = rng.randint(2, 24), rng.randint(2, 24)
    cents = rng.random() < 0.5
    p, q = (rng.randint(5, 95) * (5 if cents else 100) for _ in range(2))
    total = a * p + b * q
    sentences = [
        rng.choice(
            (
                (
                    f"{who} buys {count(rng, a)} {first} at {plain(p / 100)} coins each and "
                    f"{count(rng, b)} {second} at {plain(q / 100)} coins each."
                ),
                (
                    f"At the market of {parts['town']}, {first} cost {plain(p / 100)} coins "
                    "apiece and "
                    f"{second} cost {plain(q / 100)} coins apiece. {who} takes {count(rng, a)} "
                    f"{first} "
                    f"and {count(rng, b)} {second}."
                ),
            )
        )
    ]
    extra = rng.random()
    if extra < 0.3:
        fee = rng.randint(2, 15)
        sentences.append(f"Delivery to {parts['other']} adds {count(rng, fee)} coins.")
        total += fee * 100
    elif extra < 0.6:
        percent = rng.choice((5, 10, 20, 25, 50))
        sentences.append(f"A voucher takes {percent} percent off the bill.")
        total = total * (100 - percent) // 100 if total * percent % 100 == 0 else total
        if (a * p + b * q) * percent % 100:
            sentences.pop()
    if rng.random() < 0.5:
        note = (total // 100 + rng.randint(1, 80)) * 100
        sentences.append(f"{who} pays with {note // 100} coins.")
        sentences.append(
            rng.choice(("How much change is due?", f"How many coins does {who} get back?"))
        )
        return sentences, (note - total) / 100
    sentences.append(
        rng.choice((f"What does {who} pay in all?", "What is the total bill in coins?"))
    )
    return sentences, total / 100


def output(rng: Random, parts: dict[str, str]) -> tuple[list[str], float]:
    """Machines working for some days, perhaps waste or packing."""
    thing, machines = rng.choice(names.THINGS), rng.randint(2, 12)
    rate, hours, days = rng.randint(4, 95), rng.randint(3, 11), rng.randint(2, 28)
    total = machines * rate * hours * days
    sentences = [
        rng.choice(
            (
                (
                    f"{parts['company']} runs {count(rng, machines)} machines, each turning "
                    f"out {rate} "
                    f"{thing} an hour. They work {count(rng, hours)} hours a day for "
                    f"{count(rng, days)} "
                    f"days."
                ),
                (
                    f"In {parts['town']}, {count(rng, machines)} presses make {rate} {thing} "
                    "per hour "
                    f"each. They run for {count(rng, days)} days, {count(rng, hours)} hours a day."
                ),
            )
        )
    ]
    draw = rng.random()
    if draw < 0.35:
        waste = rng.randint(3, total // 3)
        sentences.append(f"Of these, {waste} {thing} fail inspection.")
        sentences.append(f"How many {thing} pass?")
        return sentences, total - waste
    if draw < 0.6:
        size = rng.choice([k for k in range(2, 13) if total % k == 0])
        sentences.append(f"All {thing} are packed in boxes of {count(rng, size)}.")
        sentences.append("How many boxes are filled?")
        return sentences, total // size
    sentences.append(
        rng.choice((f"How many {thing} is that?", f"How many {thing} come out of it?"))
    )
    return sentences, total


def journey(rng: Random, parts: dict[str, str]) -> tuple[list[str], float]:
    """A trip in two parts: distance, difference or average speed."""
    who = parts["person"]
    h, g = rng.randint(2, 9), rng.randint(2, 9)
    v, w = rng.randint(11, 95), rng.randint(11, 95)
    first, second = rng.choice((("drives", "drives"), ("cycles", "rides on"), ("sails", "sails")))
    text = (
        f"{who} {first} from {parts['town']} for {count(rng, h)} hours at {v} kilometres per hour "
        f"and then {second} towards {parts['other']} for {count(rng, g)} hours at {w} kilometres "
        f"per hour."
    )
    if (h * v + g * w) % (h + g) == 0:
        question = "What is the average speed of the whole trip in kilometres per hour?"
        return [text, question], (h * v + g * w) // (h + g)
    if rng.random() < 0.4 and h * v != g * w:
        question = "By how many kilometres do the two parts of the trip differ?"
        return [text, question], abs(h * v - g * w)
    return [text, "How many kilometres is that altogether?"], h * v + g * w


def comparison(rng: Random, _parts: dict[str, str]) -> tuple[list[str], float]:
    """Three people and how much more or less each of them has."""
    thing = rng.choice(names.THINGS)
    a, b, c = rng.sample(names.FIRST_NAMES, 3)
    x, k, n = rng.randint(12, 240), rng.randint(2, 7), rng.randint(3, 60)
    y = x * k
    more = rng.random() < 0.5
    base, z = (b, y) if rng.random() < 0.5 else (a, x)
    more = more or z <= n
    z = z + n if more else z - n
    clues = [
        f"{b} has {count(rng, k)} times as many {thing} as {a}.",
        f"{c} has {count(rng, n)} {'more' if more else 'fewer'} {thing} than {base}.",
        f"{a} has {x} {thing}.",
    ]
    if rng.random() < 0.5:
        rng.shuffle(clues)
    else:
        clues.reverse()
    draw = rng.random()
    if draw < 0.5:
        return [*clues, f"How many {thing} do the three have together?"], x + y + z
    if draw < 0.75 and y != z:
        high, low = (b, c) if y > z else (c, b)
        return [*clues, f"How many more {thing} does {high} have than {low}?"], abs(y - z)
    return [*clues, f"How many {thing} does {c} have?"], z
