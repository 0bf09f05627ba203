"""Tables: what a benchmark found, beside what it aims at."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group
from rich.table import Table as Rendered
from rich.text import Text

Cell = str | int | float | None


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be. text: said in words, with the figure it is judged by.

    value: what was found; None where it could not be measured, which is a miss. at_least, at_most:
    the bounds, one of them or both.
    """

    text: str
    value: float | None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool:
        """Whether it passed."""
        if self.value is None:
            return False
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)

    @property
    def line(self) -> str:
        """One line for people."""
        ends = ((">=", self.at_least), ("<=", self.at_most))
        bound = " and ".join(f"{sign} {x:g}" for sign, x in ends if x is not None)
        found = "not measured" if self.value is None else f"{self.value:.3g}"
        return f"{'pass' if self.met else 'MISS'}  {self.text}: {found} (target {bound})"


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """One figure. columns: the first names the row. notes: what the figures rest on."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    targets: Sequence[Target] = ()
    notes: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        found = dataclasses.asdict(self)
        for told, target in zip(found["targets"], self.targets, strict=True):
            told["met"] = target.met
        return found


def show(table: Table, console: Console) -> None:
    """Print a table with its targets."""
    drawn = Rendered(title=f"{table.name}: {table.title}", title_justify="left")
    for i, column in enumerate(table.columns):
        drawn.add_column(column, justify="right" if i else "left")
    for row in table.rows:
        drawn.add_row(*map(_shown, row))
    colours = {True: "green", False: "bold red"}
    lines = [Text(target.line, colours[target.met]) for target in table.targets]
    console.print(Group(drawn, *lines, *map(Text, table.notes), Text()))


def dump(tables: Sequence[Table], machine: dict[str, str]) -> str:
    """All tables as JSON, with the machine they were taken on."""
    found = {"machine": machine, "tables": [table.document() for table in tables]}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _shown(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 1000:
        return f"{cell:,.0f}"
    return f"{cell:.3g}"
