"""Arithmetic word problems of two to four steps: a stock that changes, or one of the scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.generate import names
from tasks.generate.item import Body
from tasks.generate.scenes import comparison, journey, output, shopping
from tasks.generate.wording import cast, count, plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.generate.world import World

_FORM = "Answer with a single number."
_ASIDES = (
    "The stall stands at number {n} on the main street.",
    "The oldest building in {town} dates from {year}.",
    "It was the {n}th market of the season.",
    "The walk over from {other} took {n} minutes.",
    "{friend} looked on from the balcony.",
    "The weather was mild for the season.",
)


def story(rng: Random, world: World) -> Body:
    """One word problem, in one of five forms."""
    form: Callable[[Random, dict[str, str]], tuple[list[str], float]] = rng.choices(
        (_stock, shopping, output, journey, comparison), (4, 2, 2, 1, 2)
    )[0]
    parts = cast(rng, world)
    parts["person"] = parts["person"].split()[0]
    parts["friend"] = rng.choice([name for name in names.FIRST_NAMES if name != parts["person"]])
    sentences, answer = form(rng, parts)
    if rng.random() < 0.4:
        aside = rng.choice(_ASIDES).format(
            n=rng.randint(4, 40), year=rng.randint(1200, 1900), **parts
        )
        sentences.insert(rng.randrange(len(sentences)), aside)
    return Body(" ".join(sentences), plain(answer), "numeric", _FORM)


def _stock(rng: Random, parts: dict[str, str]) -> tuple[list[str], float]:
    who, thing = parts["person"], rng.choice(names.THINGS)
    stock = rng.randint(30, 900)
    first = rng.choice(
        (
            f"{who} has {stock} {thing}.",
            f"{who} starts the week with {stock} {thing}.",
            f"There are {stock} {thing} in the store of {who} in {parts['town']}.",
            f"On Monday {who} counted {stock} {thing}.",
            f"{who} owns {stock} {thing}.",
        )
    )
    sentences = [first]
    for _ in range(rng.randint(1, 3)):
        event = rng.choice((_gain, _gain_groups, _loss, _loss_groups, _scale))
        sentence, stock = event(rng, parts, thing, stock)
        sentences.append(_with_time(rng, sentence))
    question, answer = _stock_question(rng, who, thing, stock)
    return [*sentences, question], answer


def _with_time(rng: Random, sentence: str) -> str:
    time = rng.choice(("", "", "Then", "Later", "The next day", "After lunch", "On Friday"))
    return f"{time} {sentence}" if time else sentence


Event = tuple[str, int]


def _gain(rng: Random, parts: dict[str, str], thing: str, stock: int) -> Event:
    who, n = parts["person"], rng.randint(3, 400)
    number = count(rng, n)
    sentence = rng.choice(
        (
            f"{who} buys {number} more.",
            f"{who} receives {number} {thing} from {parts['friend']}.",
            f"{parts['friend']} brings {who} another {number}.",
            f"{who} finds {number} more {thing} in the attic.",
            f"{parts['company']} delivers {number} further {thing}.",
            f"{who} collects {number} additional {thing}.",
        )
    )
    return sentence, stock + n


def _gain_groups(rng: Random, parts: dict[str, str], thing: str, stock: int) -> Event:
    groups, size = rng.randint(2, 14), rng.randint(3, 48)
    box, who = rng.choice(names.CONTAINERS), parts["person"]
    k, m = count(rng, groups), count(rng, size)
    sentence = rng.choice(
        (
            f"{who} buys {k} {box} of {m} {thing} each.",
            f"{who} receives {k} {box} with {m} {thing} in each.",
            f"{parts['company']} delivers {k} {box} holding {m} {thing} apiece.",
            f"{parts['friend']} brings {k} more {box}, each containing {m} {thing}.",
        )
    )
    return sentence, stock + groups * size


def _loss(rng: Random, parts: dict[str, str], thing: str, stock: int) -> Event:
    n = rng.randint(1, max(1, stock // 2))
    who, number = parts["person"], count(rng, n)
    sentence = rng.choice(
        (
            f"{who} sells {number} of them.",
            f"{who} gives {number} {thing} to {parts['friend']}.",
            f"{who} loses {number} on the way to {parts['other']}.",
            f"{number} {thing} turn out to be broken and are thrown away.",
            f"{who} donates {number} {thing} to the school of {parts['town']}.",
            f"{parts['friend']} borrows {number} of the {thing}.",
        )
    )
    return sentence[0].upper() + sentence[1:], stock - n


def _loss_groups(rng: Random, parts: dict[str, str], thing: str, stock: int) -> Event:
    groups = rng.randint(2, 9)
    size = max(1, rng.randint(1, max(1, stock // (groups * 2))))
    if groups * size > stock:
        return _gain(rng, parts, thing, stock)
    who, k, m = parts["person"], count(rng, groups), count(rng, size)
    noun = thing if size > 1 else thing[:-1]
    box = rng.choice(names.CONTAINERS)
    sentence = rng.choice(
        (
            f"{who} gives {m} {noun} to each of {k} neighbours.",
            f"{who} sells {k} {box} of {m} {noun} each.",
            f"{who} sends {k} {box} with {m} {noun} in each to {parts['other']}.",
        )
    )
    return sentence, stock - groups * size


def _scale(rng: Random, parts: dict[str, str], thing: str, stock: int) -> Event:
    who = parts["person"]
    if stock % 2 == 0 and rng.random() < 0.5:
        return f"{who} sells half of the {thing}.", stock // 2
    if stock % 3 == 0:
        return f"{who} gives a third of the {thing} to {parts['friend']}.", stock - stock // 3
    if stock % 4 == 0:
        return f"{who} gives away a quarter of the {thing}.", stock - stock // 4
    if stock < 500:
        word, factor = rng.choice((("doubles", 2), ("triples", 3)))
        return f"{who} {word} the number of {thing}.", stock * factor
    return _gain(rng, parts, thing, stock)


def _stock_question(rng: Random, who: str, thing: str, stock: int) -> tuple[str, float]:
    shares = [k for k in range(2, 13) if stock and stock % k == 0]
    draw = rng.random()
    if draw < 0.25 and shares:
        k = rng.choice(shares)
        text = rng.choice(
            (
                (
                    f"What remains is shared equally among {count(rng, k)} children. "
                    f"How many {thing} does each child get?"
                ),
                (
                    f"The rest is divided evenly between {count(rng, k)} shelves. "
                    f"How many {thing} are on each shelf?"
                ),
            )
        )
        return text, stock // k
    if draw < 0.45:
        price = rng.randint(2, 19)
        return (
            f"The remaining {thing} are sold at {count(rng, price)} coins apiece. "
            f"How many coins does that bring in?"
        ), stock * price
    text = rng.choice(
        (
            f"How many {thing} does {who} have now?",
            f"How many {thing} are there in the end?",
            f"What is the number of {thing} that {who} ends up with?",
            f"Work out how many {thing} {who} has at the end.",
        )
    )
    return text, stock
