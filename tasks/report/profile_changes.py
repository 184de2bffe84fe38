"""What differs between two versions, as rows of a page; `tasks.profiling.diff` works it out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.report import formats as f
from tasks.report.profile_page_facts import Change, Changes

if TYPE_CHECKING:
    from profiles.profile import Profile
    from tasks.profiling.diff import PairMove, ProfileDiff, WinnerChange
    from tasks.report.comparison import Interval


def changes_from(diff: ProfileDiff, old: Profile, new: Profile) -> Changes:
    """The rows of a page: what is beyond chance first matters, the rest is folded away.

    Args:
        diff: of `old` and `new`.
        old: the earlier version.
        new: the later one.
    """
    rows = [
        *_pool(diff),
        *_questions(old, new),
        *_choices(diff),
        *(_winner(change) for change in diff.winners),
        *(row for move in diff.pairs for row in _pair(move)),
    ]
    loud = sum(row.matters for row in rows)
    summary = "nothing moved beyond what chance explains"
    if loud:
        summary = f"{loud} thing{'s' * (loud != 1)} changed beyond chance"
    return Changes(old.profile_id, old.created_at, tuple(rows), summary, diff.notes)


def _pool(diff: ProfileDiff) -> Iterator[Change]:
    for name in diff.pairs_added:
        yield Change(f"pair {f.pair_label(name)}", f.DASH, "new", matters=True)
    for name in diff.pairs_dropped:
        yield Change(f"pair {f.pair_label(name)}", "there", "gone", matters=True)
    for price in diff.prices or ():
        before, after = f.dollars(price.before_usd), f.dollars(price.after_usd)
        yield Change(f"price of {f.clean(price.what)}", before, after, matters=True)


def _questions(old: Profile, new: Profile) -> Iterator[Change]:
    before, after = (int(one.clusters.sizes.sum()) for one in (old, new))
    if before != after:
        move = f"{after - before:+,}".replace("-", f.MINUS)
        yield Change("training questions", f.count(before), f.count(after), move, matters=True)


def _choices(diff: ProfileDiff) -> Iterator[Change]:
    if diff.moved:
        share = f"{f.count(diff.moved)} of {f.count(diff.questions)}"
        yield Change("shared questions that go to another pair", f.DASH, share, matters=True)
        yield Change(
            "accuracy of the choices on them all", f.DASH, f.DASH, _points(diff.gain),
            matters=_sure(diff.gain),
        )  # fmt: skip
    if diff.moved and diff.cost_change_usd is not None:
        yield Change(
            "$ per 1,000 of the choices", f.DASH, f.DASH, _dollars(diff.cost_change_usd),
            matters=_sure(diff.cost_change_usd),
        )  # fmt: skip


def _winner(change: WinnerChange) -> Change:
    what = f"chosen most often in {f.clean(change.place)}"
    before, after = (f.pair_label(name) for name in (change.before, change.after))
    return Change(what, before, after, _points(change.gain), matters=_sure(change.gain))


def _pair(move: PairMove) -> Iterator[Change]:
    name = f.pair_label(move.pair_id)
    if move.accuracy_a != move.accuracy_b:
        known = move.accuracy is not None and any(move.accuracy)
        said = _points(move.accuracy) if known else f"{f.count(move.added)} new cells"
        yield Change(
            f"accuracy of {name}", f.points(move.accuracy_a), f.points(move.accuracy_b), said,
            matters=_sure(move.accuracy),
        )  # fmt: skip
    if move.cost_usd is not None and any(move.cost_usd):
        yield Change(
            f"$ per 1,000 of {name}", f.DASH, f.DASH, _dollars(move.cost_usd),
            matters=_sure(move.cost_usd),
        )  # fmt: skip


def _sure(change: Interval | None) -> bool:
    return change is not None and (change.low > 0 or change.high < 0)


def _points(change: Interval | None) -> str:
    if change is None:
        return f.UNKNOWN
    value, low, high = (f.signed(100 * part) for part in change)
    return f"{value} [{low}, {high}]"


def _dollars(change: Interval) -> str:
    value, low, high = (f.plain_dollars(1000 * part) for part in change)
    return f"{value} [{low}, {high}]"
