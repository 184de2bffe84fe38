"""A policy's card for people: what it was trained on, held-out figures, guard per price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.report import formats as f
from tasks.report.layout import Block, Column, Document, Labelled, Note, Style, Table

Card = Mapping[str, Any]


def card_document(card: Card, title: str, head: Sequence[tuple[str, str]] = ()) -> Document:
    """Everything that a card says.

    Args:
        card: as `tasks.learn.train_policy.run_training` makes it.
        title: of the document.
        head: lines of the registry, put before those of the card.
    """
    settings = card["settings"]
    unit = card["cost_unit_usd"]
    rows: list[tuple[str, str, Style]] = [(label, text, "") for label, text in head]
    rows += [
        ("policy", card["policy_id"], "bold"),
        ("trained", f"{card['trained_at']}, code {card['code_version']}", ""),
        ("profile", card["profile_id"], ""),
        ("learnt from", f"{f.count(card['questions'])} questions × {len(card['pairs'])} pairs", ""),
        ("estimator", _estimator(card, settings), ""),
        ("pairs", ", ".join(f.pair_label(pair) for pair in card["pairs"]), ""),
        ("calls", f"{card['max_calls']} a question at most", ""),
        ("unit of cost", "a call" if unit is None else f"{f.plain_dollars(unit)} dollars", ""),
        ("data", f"{card['data']['training']}, held out {card['data']['held_out']}", "dim"),
    ]
    blocks: list[Block] = [Labelled(rows), Note("the guard's choice on training questions:")]
    blocks += [_guard(card), *held_out_blocks(card)]
    error = card["reliability"]["error"]
    blocks.append(Note(f"confidence is off by {f.score(error)} on average, out of fold", "dim"))
    return Document(title, blocks)


def held_out_document(card: Card) -> Document:
    """The held-out table alone."""
    return Document(f"{card['policy_id']} on held-out questions", held_out_blocks(card))


def held_out_blocks(card: Card) -> list[Block]:
    """The held-out table with what is to be known of it."""
    held = card["held_out"]
    if not held["rows"]:
        return [Note("no held-out question has outcomes: nothing is known of its worth", "yellow")]
    note = f"on {f.count(held['questions'])} held-out questions, in points with 95 % intervals"
    if held["left_out"]:
        note += f"; {f.count(held['left_out'])} more lack a cell that some router wanted"
    gain = Note("utility: accuracy − price × cost; gain: of utility over best-single", "dim")
    return [Note(f"{note}:"), _held_out(held["rows"]), gain]


def _estimator(card: Card, settings: Mapping[str, Any]) -> str:
    told = f"{card['estimator']}, seed {card['seed']}, {settings['networks']} network"
    told += "s" if settings["networks"] > 1 else ""
    return f"{told}, {settings['folds']} folds of the guard"


def _guard(card: Card) -> Table:
    pairs = card["pairs"]

    def chosen(point: Mapping[str, Any]) -> str:
        if point["strategy"] != "cascade":
            return str(point["strategy"])
        return "cascade " + " → ".join(f.pair_label(pairs[at]) for at in point["cascade"][0])

    unit = card["cost_unit_usd"]
    cost = "units" if unit is None else "$/1k"
    rows = [
        (
            f"{point['price']:.4g}",
            chosen(point),
            f.score(point["score"]),
            f"{point['cost']:.2f}" if unit is None else f"{1000 * unit * point['cost']:.3f}",
            f"{point['calls']:.2f}",
        )
        for point in card["guard"]
    ]
    return Table(
        (
            Column("price"),
            Column("strategy", "left", shrinks=True),
            Column("accuracy"),
            Column(cost),
            Column("calls"),
        ),
        rows,
    )


def _held_out(rows: Sequence[Mapping[str, Any]]) -> Table:
    shown, best = [], set()
    for number, row in enumerate(rows):
        first = number == 0 or rows[number - 1]["price"] != row["price"]
        same = [other for other in rows if other["price"] == row["price"]]
        if row["utility"][0] == max(other["utility"][0] for other in same):
            best.add(number)
        name = row["router"]
        name += f": {row['decided']}" if row["decided"] != row["router"] else ""
        shown.append(
            (
                f"{row['price']:g}" if first else "",
                name,
                _figure(row["accuracy"]),
                f.DASH if row["cost_usd"] is None else f"{1000 * row['cost_usd']:.3f}",
                f"{row['calls']:.2f}",
                f"{100 * row['utility'][0]:.1f}",
                f.DASH if row["router"] == "best-single" else _gain(row["gain"]),
            )
        )
    return Table(
        (
            Column("price"),
            Column("router", "left", shrinks=True),
            Column("accuracy"),
            Column("$/1k"),
            Column("calls"),
            Column("utility"),
            Column("gain"),
        ),
        shown,
        frozenset(best),
    )


def _figure(figure: Sequence[float]) -> str:
    value, low, high = (100 * part for part in figure)
    return f"{value:.1f} ± {(high - low) / 2:.1f}"


def _gain(figure: Sequence[float]) -> str:
    # Nought is nought: no sign where rounding leaves none.
    value, low, high = (round(100 * part, 1) + 0.0 for part in figure)
    return f"{value:+.1f} [{low:.1f}, {high:.1f}]"
