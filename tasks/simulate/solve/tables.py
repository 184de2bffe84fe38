"""A question about a small table: what is asked of which column, and every way to answer it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from tasks.simulate.solve.base import NO_ANSWER, HeadWork, tidy
from tasks.simulate.solve.expressions import show, slipped

if TYPE_CHECKING:
    from random import Random

Cells = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class TableQuestion:
    """A table and what is asked of it.

    Attributes:
        header: column names, the first one the key.
        rows: cells as texts, in the order of the header.
        asked: total | mean | count | name | cell | difference | products.
        column: the column that is added up, compared or counted.
        other: the column to report (cell) or to multiply with (products).
        low: whether the smallest is sought.
        rank: 0 the extreme, 1 the next to it.
        limit: bound of a count, with `below` for its side.
        below: whether the count is of rows under the limit.
        where: (column, value) that rows must match.
        names: the two rows of a difference.
    """

    header: tuple[str, ...]
    rows: Cells
    asked: str
    column: str
    other: str = ""
    low: bool = False
    rank: int = 0
    limit: int = 0
    below: bool = False
    where: tuple[str, str] | None = None
    names: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """Always `tables`."""
        return "tables"

    @property
    def load(self) -> float:
        """More rows and more arithmetic are harder."""
        heavy = {"products": 1.2, "mean": 0.4, "total": 0.2, "count": -0.1}.get(self.asked, -0.5)
        return heavy + 0.15 * (len(self.rows) - 6) + 0.3 * bool(self.where) + 0.3 * self.rank

    def misread(self, rng: Random) -> TableQuestion:
        """The wrong column, a row overlooked, the condition forgotten, the wrong end."""
        numeric = [name for name in self.header if name != self.column and self._is_numeric(name)]
        mistakes: list[TableQuestion] = [replace(self, rows=self._without(rng))]
        if numeric:
            mistakes.append(replace(self, column=rng.choice(numeric)))
        if self.where:
            mistakes.append(replace(self, where=None))
        if self.asked in ("name", "cell"):
            mistakes += [replace(self, low=not self.low), replace(self, rank=1 - self.rank)]
        if self.asked == "count":
            mistakes.append(replace(self, below=not self.below))
        if self.asked == "mean":
            mistakes.append(replace(self, asked="total"))
        if self.asked == "cell":
            mistakes.append(replace(self, asked="name"))
        rng.shuffle(mistakes)
        right = self.solve()
        return next((one for one in mistakes if one.solve() != right), mistakes[0])

    def _without(self, rng: Random) -> Cells:
        if len(self.rows) < 3:
            return self.rows
        gone = rng.randrange(len(self.rows))
        return self.rows[:gone] + self.rows[gone + 1 :]

    def _is_numeric(self, name: str) -> bool:
        place = self.header.index(name)
        return all(row[place].isdigit() for row in self.rows)

    def _kept(self) -> list[tuple[str, ...]]:
        if self.where is None:
            return list(self.rows)
        place = self.header.index(self.where[0])
        return [row for row in self.rows if row[place] == self.where[1]]

    def _numbers(self, column: str) -> list[int]:
        place = self.header.index(column)
        return [int(row[place]) for row in self._kept()]

    def solve(self) -> str:
        """The exact answer."""
        try:
            return self._answer()
        except (ValueError, IndexError, ArithmeticError):
            return NO_ANSWER

    def _answer(self) -> str:
        numbers = self._numbers(self.column)
        if self.asked == "total":
            return str(sum(numbers))
        if self.asked == "mean":
            return show(Fraction(sum(numbers), len(numbers)))
        if self.asked == "count":
            return str(sum(n < self.limit if self.below else n > self.limit for n in numbers))
        if self.asked == "products":
            pairs = zip(numbers, self._numbers(self.other), strict=True)
            return str(sum(a * b for a, b in pairs))
        if self.asked == "difference":
            first, second = (
                int(row[self.header.index(self.column)])
                for name in self.names
                for row in self.rows
                if row[0] == name
            )
            return str(abs(first - second))
        order = sorted(range(len(numbers)), key=lambda i: numbers[i], reverse=not self.low)
        row = self._kept()[order[self.rank]]
        return row[self.header.index(self.other)] if self.asked == "cell" else row[0]

    def by_head(self, rng: Random, slip: float) -> HeadWork:
        """Adding up and comparing by eye: longer columns slip more often."""
        effort = {"products": 0.9, "mean": 0.55, "total": 0.5, "count": 0.25}.get(self.asked, 0.2)
        size = max((len(row[self.header.index(self.column)]) for row in self.rows), default=1)
        steps = [f"I go through the column {self.column} row by row."]
        answer = self.solve()
        if rng.random() >= slip * effort * (0.5 + 0.12 * size + 0.05 * len(self.rows)):
            return HeadWork(answer, steps)
        if re.fullmatch(r"-?\d+(?:\.\d+)?", answer):
            near = rng.choice((1, -1)) if self.asked == "count" else 0
            value = Fraction(answer)
            return HeadWork(show(value + near if near else slipped(value, rng)), steps)
        return HeadWork(rng.choice([row[0] for row in self.rows]), steps)

    def calculation(self) -> str | None:
        """The numbers of the column as one sum, where the question is a sum."""
        if self.asked not in ("total", "mean", "products", "difference"):
            return None
        numbers = [str(number) for number in self._numbers(self.column)]
        if self.asked == "products":
            other = self._numbers(self.other)
            return " + ".join(f"{a} * {b}" for a, b in zip(numbers, other, strict=True))
        if self.asked == "difference":
            place = self.header.index(self.column)
            cells = {row[0]: row[place] for row in self.rows}
            found = [cells[name] for name in self.names if name in cells]
            return f"abs({' - '.join(found)})" if len(found) == 2 else None
        total = " + ".join(numbers) or "0"
        return f"({total}) / {len(numbers)}" if self.asked == "mean" else total

    def program(self) -> str | None:
        """The table as a list of dicts, and the question as an expression over it."""
        lines = ["rows = ["]
        for row in self.rows:
            cells = (int(cell) if cell.isdigit() else cell for cell in row)
            lines.append(f"    {dict(zip(self.header, cells, strict=True))!r},")
        lines.append("]")
        if self.where:
            lines.append(
                f"rows = [row for row in rows if row[{self.where[0]!r}] == {self.where[1]!r}]"
            )
        return "\n".join([*lines, f"print({self._query()})", ""])

    def _query(self) -> str:
        column, key = repr(self.column), repr(self.header[0])
        if self.asked == "total":
            return f"sum(row[{column}] for row in rows)"
        if self.asked == "mean":
            return f"sum(row[{column}] for row in rows) / len(rows)"
        if self.asked == "count":
            return f"sum(row[{column}] {'<' if self.below else '>'} {self.limit} for row in rows)"
        if self.asked == "products":
            return f"sum(row[{column}] * row[{self.other!r}] for row in rows)"
        if self.asked == "difference":
            picked = f"[row[{column}] for row in rows if row[{key}] in {list(self.names)!r}]"
            return f"max({picked}) - min({picked})"
        ordered = f"sorted(rows, key=lambda row: row[{column}], reverse={not self.low})"
        shown = repr(self.other) if self.asked == "cell" else key
        return f"{ordered}[{self.rank}][{shown}]"

    def conclude(self, output: str) -> str:
        """What the program printed."""
        return tidy(output)
