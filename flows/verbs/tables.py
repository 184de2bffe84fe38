"""`atlas tables`: what ATLAS writes, table by table."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.console import data, data_json, table
from flows.failures import CommandError
from flows.verbs.options import AsJson

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def tables(
    name: Annotated[str | None, typer.Argument(help="Show the columns of this table.")] = None,
    json: AsJson = False,
) -> None:
    """Describe the tables that ATLAS writes, or the columns of one of them."""
    from warehouse.tables import SCHEMAS, describe

    if name is None:
        listed = [
            {"table": one.name, "grain": one.grain, "description": one.description}
            for one in SCHEMAS.values()
        ]
        if json:
            data_json(listed)
        else:
            table(["table", "one row", "holds"], [list(row.values()) for row in listed])
        return
    if name not in SCHEMAS:
        raise CommandError(
            f"There is no table {name!r}; there are: {', '.join(SCHEMAS)}.", "atlas tables"
        )
    columns = describe(name)
    if json:
        data_json([column._asdict() | {"values": list(column.values)} for column in columns])
        return
    data(f"{name}: {SCHEMAS[name].description}")
    table(
        ["column", "type", "unit", "meaning"],
        [
            [c.name + ("!" if c.required else ""), c.type, c.unit or "", c.description]
            for c in columns
        ],
    )
