"""What changed between two profile versions: winners, accuracy and cost with intervals, cells.

Clusters differ between versions, so nothing is compared cluster by cluster. Versions are compared
on the training questions they share:

* **pairs**: over cells scored in both versions, the mean of (score in B − score in A), and the
  same of costs; a paired 95 % interval, ±1.96·sd/√n. Cells known in one version alone are counted,
  not compared.
* **decisions**: each version's cluster router (alpha 0) decides all shared questions; where the
  two differ, both choices are valued by B's knowledge, out of fold where B has it.
* **winners**: per cluster of B and per dataset, the pair that A's and B's router choose most
  often there, with what the change is worth by the same values.

Values are B's own estimates, so a gain is flattered a little: it says what B believes, and how
surely, not what a test would find.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tasks.profiling.prices_kept import PriceChange, price_changes
from tasks.profiling.store import FOLDER
from tasks.report.comparison import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from profiles.profile import Profile

    Matrix = NDArray[np.float64]
    Numbers = NDArray[np.int64]

Z95 = 1.959963984540054


class PairMove(NamedTuple):
    """One pair in both versions.

    Attributes:
        cells: known in both; `added` in B alone, `dropped` in A alone.
        accuracy_a, accuracy_b: overall, each by its own version (posterior means).
        accuracy: change over the cells scored in both; None without any.
        cost_usd: change of the mean cost of a cell known in both; None likewise.
    """

    pair_id: str
    cells: int
    added: int
    dropped: int
    accuracy_a: float | None
    accuracy_b: float | None
    accuracy: Interval | None
    cost_usd: Interval | None


class WinnerChange(NamedTuple):
    """Where another pair is chosen most often.

    Attributes:
        place: `cluster 3 (words)` of B, or `dataset name`.
        gain: score of B's winner minus A's on these questions, as B values them; None unknown.
    """

    place: str
    questions: int
    before: str
    after: str
    gain: Interval | None


@dataclass(frozen=True, slots=True)
class ProfileDiff:
    """Two versions side by side.

    Attributes:
        questions: shared training questions; `questions_added` in B alone.
        moved: shared questions whose pair differs; None where a version keeps no questions.
        gain: mean score of B's choices minus A's over all shared questions, as B values them.
        cost_change_usd: the same of their mean cost.
        prices: changed prices; None where a version's prices were not kept.
        notes: sentences on what else differs.
    """

    a: str
    b: str
    pairs_added: tuple[str, ...]
    pairs_dropped: tuple[str, ...]
    pairs: tuple[PairMove, ...]
    questions: int
    questions_added: int
    questions_dropped: int
    moved: int | None
    gain: Interval | None
    cost_change_usd: Interval | None
    winners: tuple[WinnerChange, ...]
    prices: tuple[PriceChange, ...] | None
    notes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether both are one version."""
        return self.a == self.b

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        for name in ("pairs", "winners", "prices"):
            if plain[name] is not None:
                plain[name] = [_plain(row) for row in plain[name]]
        lists = {n: list(plain[n]) for n in ("pairs_added", "pairs_dropped", "notes")}
        spans = {n: _plain(plain[n]) for n in ("gain", "cost_change_usd")}
        return plain | lists | spans


def _plain(row: Any) -> Any:  # noqa: ANN401
    if row is None:
        return None
    return {k: v._asdict() if isinstance(v, Interval) else v for k, v in row._asdict().items()}


def diff_profiles(a: Profile, b: Profile, root: Path) -> ProfileDiff:
    """Compare two versions.

    Args:
        a: the earlier one.
        b: the later one.
        root: the warehouse, where the prices of versions are kept.
    """
    in_a, in_b = ({pair.pair_id for pair in one.pairs} for one in (a, b))
    prices = price_changes(root / FOLDER, a.pool_fingerprint, b.pool_fingerprint)
    shared = _Shared(a, b)
    moved, gain, cost, winners = shared.decisions()
    return ProfileDiff(
        a=a.profile_id,
        b=b.profile_id,
        pairs_added=tuple(sorted(in_b - in_a)),
        pairs_dropped=tuple(sorted(in_a - in_b)),
        pairs=tuple(shared.pair(pair_id) for pair_id in sorted(in_a & in_b)),
        questions=len(shared.rows_a),
        questions_added=shared.added,
        questions_dropped=shared.dropped,
        moved=moved,
        gain=gain,
        cost_change_usd=cost,
        winners=tuple(winners),
        prices=None if prices is None else tuple(prices),
        notes=tuple(_notes(a, b)),
    )


def _notes(a: Profile, b: Profile) -> list[str]:
    notes = []
    if a.encoder_fingerprint != b.encoder_fingerprint:
        notes.append(f"the encoder was {a.encoder_fingerprint}, is {b.encoder_fingerprint}")
    if a.k != b.k:
        notes.append(f"{a.k} clusters before, {b.k} now")
    if a.train is None or b.train is None:
        notes.append("a version keeps no training questions: only overall figures are compared")
    routers = [_auto(one) for one in (a, b)]
    if None not in routers and routers[0] != routers[1]:
        notes.append(f"router auto takes {routers[1]}, took {routers[0]} before")
    return notes


def _auto(profile: Profile) -> str | None:
    from profiles.routers.auto import choice_for

    return None if profile.selection is None else choice_for(profile, 0.0).router


class _Shared:
    """The training questions that both versions have, as rows of each."""

    def __init__(self, a: Profile, b: Profile) -> None:
        self._a, self._b = a, b
        ids_a = () if a.train is None else a.train.query_ids
        ids_b = () if b.train is None else b.train.query_ids
        at_a = {query_id: row for row, query_id in enumerate(ids_a)}
        both = [(at_a[query], row) for row, query in enumerate(ids_b) if query in at_a]
        self.rows_a: Numbers = np.array([one for one, _ in both], dtype=np.int64)
        self.rows_b: Numbers = np.array([one for _, one in both], dtype=np.int64)
        self.added, self.dropped = len(ids_b) - len(both), len(ids_a) - len(both)

    def pair(self, pair_id: str) -> PairMove:
        """How one pair moved."""
        a, b = self._a, self._b
        column_a, column_b = a.index()[pair_id], b.index()[pair_id]
        overall = [
            float(one.statistics.score_shrunk[-1, column])
            for one, column in ((a, column_a), (b, column_b))
        ]
        accuracy_a, accuracy_b = (None if math.isnan(value) else value for value in overall)
        if a.train is None or b.train is None:
            return PairMove(pair_id, 0, 0, 0, accuracy_a, accuracy_b, None, None)
        scores_a = a.train.scores[self.rows_a, column_a]
        scores_b = b.train.scores[self.rows_b, column_b]
        known_a, known_b = np.isfinite(scores_a), np.isfinite(scores_b)
        costs = b.train.costs_usd[self.rows_b, column_b] - a.train.costs_usd[self.rows_a, column_a]
        return PairMove(
            pair_id,
            int((known_a & known_b).sum()),
            int((known_b & ~known_a).sum()),
            int((known_a & ~known_b).sum()),
            accuracy_a,
            accuracy_b,
            _paired(scores_b - scores_a),
            _paired(costs),
        )

    def decisions(
        self,
    ) -> tuple[int | None, Interval | None, Interval | None, list[WinnerChange]]:
        """Choices of both versions on the shared questions, as B values them."""
        a, b = self._a, self._b
        if a.train is None or b.train is None or not len(self.rows_b):
            return None, None, None, []
        chosen_a = np.array([pair.pair_id for pair in a.pairs])[_choices(a)[self.rows_a]]
        chosen_b = np.array([pair.pair_id for pair in b.pairs])[_choices(b)[self.rows_b]]
        values = _values(b)[self.rows_b]
        costs = b.train.costs_usd[self.rows_b]
        index = b.index()
        old = np.array([index.get(pair, -1) for pair in chosen_a])
        new = np.array([index[pair] for pair in chosen_b])
        rows = np.arange(len(new))
        worth_old = np.where(old >= 0, values[rows, old], np.nan)
        gains = values[rows, new] - worth_old
        cost = np.where(old >= 0, costs[rows, new] - costs[rows, old], np.nan)
        winners = [
            change
            for place, members in self._places()
            if (change := _winner(place, members, chosen_a, chosen_b, values, index))
        ]
        return int((chosen_a != chosen_b).sum()), _paired(gains), _paired(cost), winners

    def _places(self) -> list[tuple[str, Numbers]]:
        b = self._b
        assert b.train is not None
        labels = b.clusters.assign(b.train.embeddings).labels[self.rows_b]
        places = [
            (f"cluster {k} ({', '.join(b.top_terms[k][:3])})", np.flatnonzero(labels == k))
            for k in range(b.k)
        ]
        if b.selection is not None:
            datasets = b.selection.datasets[self.rows_b]
            places += [
                (f"dataset {name}", np.flatnonzero(datasets == number))
                for number, name in enumerate(b.datasets.names)
            ]
        return places


def _choices(profile: Profile) -> Numbers:
    """(n,) pair that the cluster router chooses for every training question."""
    from profiles.routers.base import RoutingContext
    from profiles.routers.cluster import ClusterRouter

    assert profile.train is not None
    ids = profile.train.query_ids
    context = RoutingContext(query_ids=ids, texts=("",) * len(ids))
    return ClusterRouter(profile).decide(profile.train.embeddings, context).pair


def _values(profile: Profile) -> Matrix:
    """(n, P) scores; out-of-fold estimates, or the cluster's mean, where a cell has none."""
    assert profile.train is not None
    if profile.selection is not None:
        return np.asarray(profile.selection.values, dtype=np.float64)
    labels = profile.clusters.assign(profile.train.embeddings).labels
    scores = profile.train.scores
    return np.where(np.isfinite(scores), scores, profile.statistics.score_shrunk[labels])


def _winner(
    place: str,
    members: Numbers,
    chosen_a: NDArray[np.str_],
    chosen_b: NDArray[np.str_],
    values: Matrix,
    index: dict[str, int],
) -> WinnerChange | None:
    if not len(members):
        return None
    before, after = _most(chosen_a[members]), _most(chosen_b[members])
    if before == after:
        return None
    gain = None
    if before in index:
        gain = _paired(values[members, index[after]] - values[members, index[before]])
    return WinnerChange(place, len(members), before, after, gain)


def _most(names: NDArray[np.str_]) -> str:
    """The most frequent name, the first by alphabet among equals."""
    found, counts = np.unique(names, return_counts=True)
    return str(found[int(counts.argmax())])


def _paired(differences: Matrix | Sequence[float]) -> Interval | None:
    """Mean with ±1.96·sd/√n of the known differences; None with fewer than two."""
    known = np.asarray(differences, dtype=np.float64)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return None
    mean = float(known.mean())
    spread = float(known.std(ddof=1)) / math.sqrt(len(known))
    return Interval(mean, mean - Z95 * spread, mean + Z95 * spread)
