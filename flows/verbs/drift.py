"""`atlas drift`: what the canaries of past nights said of every pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.console import data_json, say, table
from flows.verbs.options import AsJson, Config, Root, home

if TYPE_CHECKING:
    import polars as pl

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def drift(
    pair: Annotated[str | None, typer.Option(help="Every night of this pair.")] = None,
    root: Root = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Show the latest figures of every pair's canaries, with what they were and how sure we are."""
    from tasks.freshness.history import freshness_history

    settings = home(root, config)
    rows = freshness_history(settings.root)
    shown = _latest(rows) if pair is None else _of_pair(rows, pair)
    if json:
        data_json(shown.to_dicts())
        return
    if shown.is_empty():
        say("no canaries were asked yet; `atlas refresh QUESTIONS` asks them once a day")
        return
    table(
        ["night", "pair", "metric", "value", "95 %", "before", "runs", "p", "e", ""],
        [_line(row) for row in shown.iter_rows(named=True)],
    )


def _latest(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.unique(["pair_id", "metric"], keep="last", maintain_order=True).sort(
        "pair_id", "metric"
    )


def _of_pair(rows: pl.DataFrame, pair: str) -> pl.DataFrame:
    import polars as pl

    return rows.filter(pl.col("pair_id") == pair)


def _line(row: dict[str, Any]) -> list[str]:
    metric = row["metric"]
    return [
        row["night"],
        row["pair_id"],
        metric,
        _figure(metric, row["value"]),
        f"{_figure(metric, row['low'])}…{_figure(metric, row['high'])}",
        _figure(metric, row["baseline"]),
        str(row["nights"] + 1),
        "–" if row["p_value"] is None else f"{row['p_value']:.2g}",
        "–" if row["e_value"] is None else f"{row['e_value']:.2g}",
        f"DRIFT {row['direction']}" if row["alarm"] else "",
    ]


def _figure(metric: str, value: float | None) -> str:
    if value is None:
        return "–"
    if metric in ("accuracy", "refusal"):
        return f"{100 * value:.0f} %"
    if metric == "price":
        return f"${value:.6f}"
    return f"{value:.2f} s" if metric == "latency" else f"{value:.0f}"
