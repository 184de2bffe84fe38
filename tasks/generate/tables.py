"""Questions on a small table that stands in the text, in one of four layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasks.generate.item import Body
from tasks.generate.wording import cast, plain

if TYPE_CHECKING:
    from random import Random

    from tasks.generate.world import World


class Topic(NamedTuple):
    """What a table is about: who stands in its rows and which numbers they have."""

    title: str
    key: str
    kind: str
    columns: tuple[tuple[str, int, int], ...]
    group: str
    groups: tuple[str, ...]
    product: tuple[str, str] | None


_TOPICS = (
    Topic(
        "Towns on the {river}", "town", "town",
        (("population", 900, 60_000), ("schools", 1, 40), ("area", 5, 400), ("bridges", 1, 20)),
        "region", ("north", "south", "coast"), None,
    ),
    Topic(
        "Orders at {company}", "client", "company",
        (("crates", 3, 200), ("price", 2, 90), ("complaints", 0, 15)),
        "status", ("paid", "open", "late"), ("crates", "price"),
    ),
    Topic(
        "Summer races in {town}", "runner", "person",
        (("age", 17, 70), ("laps", 4, 60), ("points", 10, 900)),
        "club", ("Falcons", "Otters", "Herons"), ("laps", "points"),
    ),
    Topic(
        "Ferries from {town}", "ferry to", "town",
        (("minutes", 12, 300), ("seats", 20, 480), ("fare", 2, 60)),
        "season", ("summer", "winter", "always"), ("seats", "fare"),
    ),
    Topic(
        "Library loans in {town}", "title", "book",
        (("loans", 3, 400), ("pages", 80, 900), ("copies", 1, 30)),
        "shelf", ("red", "green", "blue"), ("pages", "copies"),
    ),
)  # fmt: skip


class Row(NamedTuple):
    """One row: who, which group, and the numbers by column."""

    name: str
    group: str
    values: dict[str, int]


def table_question(rng: Random, world: World) -> Body:
    """A table of four to eight rows and one question about it."""
    parts = cast(rng, world)
    topic = rng.choice(_TOPICS)
    names = [entity.name for entity in rng.sample(world.by_kind[topic.kind], rng.randint(4, 8))]
    columns = {
        name: rng.sample(range(low, high + 1), len(names)) for name, low, high in topic.columns
    }
    rows = [
        Row(name, rng.choice(topic.groups), {column: columns[column][i] for column in columns})
        for i, name in enumerate(names)
    ]
    question, answer, grader = _question(rng, topic, rows)
    title = topic.title.format(**parts)
    table = rng.choice((_pipes, _commas, _sentences, _pipes))(topic, rows)
    text = rng.choice((f"{title}:\n\n{table}\n\n{question}", f"{question}\n\n{title}\n{table}"))
    return Body(text, answer, grader)


def _pipes(topic: Topic, rows: list[Row]) -> str:
    head = [topic.key, topic.group, *(name for name, _, _ in topic.columns)]
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for row in rows:
        cells = [row.name, row.group, *map(str, row.values.values())]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _commas(topic: Topic, rows: list[Row]) -> str:
    lines = [",".join([topic.key, topic.group, *(name for name, _, _ in topic.columns)])]
    lines += [",".join([row.name, row.group, *map(str, row.values.values())]) for row in rows]
    return "\n".join(lines)


def _sentences(topic: Topic, rows: list[Row]) -> str:
    return "\n".join(
        f"- {row.name}: {topic.group} {row.group}, "
        + ", ".join(f"{column} {value}" for column, value in row.values.items())
        for row in rows
    )


def _question(rng: Random, topic: Topic, rows: list[Row]) -> tuple[str, str, str]:
    if topic.product is not None and rng.random() < 0.15:
        first, second = topic.product
        total = sum(row.values[first] * row.values[second] for row in rows)
        return (
            f"For every row multiply {first} by {second}. What do the products add up to?",
            str(total),
            "numeric",
        )
    column, other = rng.sample([name for name, _, _ in topic.columns], 2)
    makers = (
        _total,
        _average,
        _extreme,
        _extreme_other,
        _difference,
        _above,
        _group_total,
        _second,
    )
    return rng.choice(makers)(rng, topic, rows, column, other)


def _total(
    rng: Random, _topic: Topic, rows: list[Row], column: str, _other: str
) -> tuple[str, str, str]:
    total = sum(row.values[column] for row in rows)
    text = rng.choice(
        (
            f"What is the total of {column} over all rows?",
            f"What do the {column} add up to?",
            f"Add up the column {column}.",
        )
    )
    return text, str(total), "numeric"


def _average(
    rng: Random, topic: Topic, rows: list[Row], column: str, other: str
) -> tuple[str, str, str]:
    total = sum(row.values[column] for row in rows)
    if total * 100 % len(rows):
        return _total(rng, topic, rows, column, other)
    text = rng.choice(
        (f"What is the average of {column}?", f"What is the mean {column} per {topic.key}?")
    )
    return text, plain(total / len(rows)), "numeric"


def _top(rows: list[Row], column: str, high: bool) -> Row | None:
    ordered = sorted(rows, key=lambda row: row.values[column], reverse=high)
    tie = ordered[0].values[column] == ordered[1].values[column]
    return None if tie else ordered[0]


def _extreme(
    rng: Random, topic: Topic, rows: list[Row], column: str, other: str
) -> tuple[str, str, str]:
    high = rng.random() < 0.5
    best = _top(rows, column, high)
    if best is None:
        return _total(rng, topic, rows, column, other)
    word = rng.choice(("highest", "largest") if high else ("lowest", "smallest"))
    text = rng.choice(
        (
            f"Which {topic.key} has the {word} {column}?",
            f"Name the {topic.key} with the {word} {column}.",
        )
    )
    return text, best.name, "exact"


def _extreme_other(
    rng: Random, topic: Topic, rows: list[Row], column: str, other: str
) -> tuple[str, str, str]:
    high = rng.random() < 0.5
    best = _top(rows, column, high)
    if best is None:
        return _total(rng, topic, rows, column, other)
    word = rng.choice(("highest", "largest") if high else ("lowest", "smallest"))
    text = rng.choice(
        (
            f"What is the {other} of the {topic.key} with the {word} {column}?",
            f"Find the {topic.key} with the {word} {column} and give its {other}.",
        )
    )
    return text, str(best.values[other]), "numeric"


def _difference(
    rng: Random, _topic: Topic, rows: list[Row], column: str, _other: str
) -> tuple[str, str, str]:
    first, second = rng.sample(rows, 2)
    answer = abs(first.values[column] - second.values[column])
    text = rng.choice(
        (
            f"By how much do {first.name} and {second.name} differ in {column}?",
            f"What is the difference in {column} between {first.name} and {second.name}?",
        )
    )
    return text, str(answer), "numeric"


def _above(
    rng: Random, _topic: Topic, rows: list[Row], column: str, _other: str
) -> tuple[str, str, str]:
    values = sorted(row.values[column] for row in rows)
    limit = values[rng.randint(1, len(values) - 2)] + rng.choice((0, 1))
    if rng.random() < 0.5:
        answer = sum(value > limit for value in values)
        text = rng.choice(
            (
                f"In how many rows is the value of {column} above {limit}?",
                f"How many rows have more than {limit} under {column}?",
            )
        )
    else:
        answer = sum(value < limit for value in values)
        text = rng.choice(
            (
                f"In how many rows is the value of {column} below {limit}?",
                f"How many rows have less than {limit} under {column}?",
            )
        )
    return text, str(answer), "numeric"


def _group_total(
    rng: Random, topic: Topic, rows: list[Row], column: str, _other: str
) -> tuple[str, str, str]:
    group = rng.choice(rows).group
    total = sum(row.values[column] for row in rows if row.group == group)
    text = rng.choice(
        (
            f"Counting only rows whose {topic.group} is {group}, what is the total of {column}?",
            f"What do the {column} add up to where the {topic.group} is {group}?",
        )
    )
    return text, str(total), "numeric"


def _second(
    rng: Random, topic: Topic, rows: list[Row], column: str, other: str
) -> tuple[str, str, str]:
    ordered = sorted(rows, key=lambda row: row.values[column], reverse=True)
    if len({row.values[column] for row in ordered[:3]}) < 3:
        return _total(rng, topic, rows, column, other)
    text = f"Which {topic.key} has the second highest {column}?"
    return text, ordered[1].name, "exact"
