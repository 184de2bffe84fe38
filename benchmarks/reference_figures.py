"""The reference figures of the recorded tables, read from the README that stands beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROUTERS = {
    "random": "random",
    "dataset": "dataset-best",
    "oracle": "oracle",
    "knn 40": "knn",
    "cluster 8": "cluster-plain@8",
    "cluster 16": "cluster-plain@16",
}
"""What a router is called there, and here; `single` carries its pair and is matched apart."""
PER_CLUSTER = "cluster-plain+per_cluster@16"
"""The router of the alpha table: accuracy and cost scaled inside every cluster, K = 16."""

_SECTION = re.compile(r"^### (?P<table>\w+)$")
_SPLIT = re.compile(r"^\*\*(?P<table>\w+), (?P<split>test|ood)\*\*")
_SEEDS = re.compile(
    r"^Cluster K = 16 over random states 0-9: macro [\d.]+ ± (?P<macro>[\d.]+), "
    r"micro [\d.]+ ± (?P<micro>[\d.]+)"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """One router on one split: points of 100, dollars a question where recorded."""

    macro: float
    micro: float
    cost_usd: float | None = None


@dataclass(slots=True)
class Reference:
    """What the README says of one table.

    Attributes:
        splits: figures by split and router.
        by_alpha: figures of `PER_CLUSTER` on split test by alpha.
        spread: by split, standard deviation of (macro, micro) over ten KMeans seeds at K = 16.
    """

    splits: dict[str, dict[str, Figures]] = field(default_factory=dict)
    by_alpha: dict[float, Figures] = field(default_factory=dict)
    spread: dict[str, tuple[float, float]] = field(default_factory=dict)


def read_reference(readme: Path) -> dict[str, Reference]:
    """Reference figures by table, in the README's order.

    Raises:
        ValueError: the README holds no table of figures.
    """
    found: dict[str, Reference] = {}
    table, split, columns = "", "", []
    for line in readme.read_text(encoding="utf-8").splitlines():
        if match := _SECTION.match(line):
            table, split, columns = match["table"], "", []
        elif match := _SPLIT.match(line):
            split, columns = match["split"], []
            found.setdefault(table, Reference()).splits[split] = {}
        elif match := _SEEDS.match(line):
            found[table].spread[split] = (float(match["macro"]), float(match["micro"]))
        elif line.startswith("|") and table in found:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if cells[0] in {"router", "alpha"}:
                columns = cells
            elif columns and not set(line) <= set("|- "):
                _take(found[table], split, dict(zip(columns, cells, strict=True)))
        elif not line.startswith("|"):
            columns = []
    if not found:
        raise ValueError(f"{readme} holds no table of reference figures")
    return found


def _take(reference: Reference, split: str, row: dict[str, str]) -> None:
    cost = row.get("mean cost, $")
    figures = Figures(float(row["macro"]), float(row["micro"]), float(cost) if cost else None)
    if "alpha" in row:
        reference.by_alpha[float(row["alpha"])] = figures
        return
    name = "best-single" if row["router"].startswith("single (") else ROUTERS.get(row["router"])
    if name is not None:
        reference.splits[split][name] = figures
