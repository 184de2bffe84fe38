"""What routers are worth out of fold, and which one `auto` takes: for terminal, JSON and MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tasks.report import formats as f
from tasks.report.layout import Block, Column, Note, Table

if TYPE_CHECKING:
    from profiles.profile import Profile
    from profiles.selection import Choice, Estimate

ALPHA = 0.0
"""Costs are left aside: not every profile knows them."""


def judged(profile: Profile) -> tuple[tuple[Estimate, ...], Choice] | None:
    """Every candidate, the whole sweep over K among them, and what `auto` takes at alpha 0.

    Returns:
        None for profiles that do not say what routers are worth.
    """
    from profiles.selection import assess, choose, known_choices

    selection = profile.selection
    if selection is None:
        return None
    others = known_choices(selection)
    return assess(selection, ALPHA, others), choose(selection, ALPHA, others)


def selection_blocks(profile: Profile) -> Iterator[Block]:
    """Router by router: score and gain on training questions left out of its fit."""
    found = judged(profile)
    if found is None:
        return
    estimates, choice = found
    yield Note(
        f"routers on {f.count(estimates[0].n)} training questions left out of their fit, alpha 0:"
    )
    yield Table(
        columns=(Column("router", "left"), Column("score"), Column("gain, points 95 %")),
        rows=[(_label(one, profile), f.score(one.score), _gain(one)) for one in estimates],
    )
    yield Note(f"auto takes {choice.sentence}")


def _label(one: Estimate, profile: Profile) -> str:
    return f"{one.label} *" if one.k == profile.k else one.label


def _gain(one: Estimate) -> str:
    if not one.sd and not one.gain:
        return f.DASH
    low, high = one.interval
    return f"{f.signed(100 * one.gain, 2)} [{f.signed(100 * low, 2)}, {f.signed(100 * high, 2)}]"


def selection_json(profile: Profile) -> dict[str, Any] | None:
    """The same as plain values; None for profiles that do not say what routers are worth."""
    found = judged(profile)
    if found is None:
        return None
    estimates, choice = found
    return {
        "alpha": ALPHA,
        "k": profile.k,
        "estimates": [one.as_json() for one in estimates],
        "auto": choice.router,
        "why": choice.sentence,
    }


def selection_metrics(profile: Profile) -> Iterator[tuple[str, float]]:
    """Names and values for MLflow: score and gain of every candidate, in points."""
    found = judged(profile)
    for one in found[0] if found else ():
        name = one.router if one.k is None else f"{one.router} K {one.k:02d}"
        yield f"out of fold/{name}/score", 100 * one.score
        yield f"out of fold/{name}/gain", 100 * one.gain
