"""`python -m bench [TABLE ...]`: measure, and print tables with their targets."""

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.machine import machine
from bench.options import Options
from bench.tables import Table, dump, show

# What the user types -> the module whose `run(options)` makes the table, or a list of several; in
# the order of a full run
BENCHES: dict[str, str] = {
    "ingest": "bench.ingest",
    "arrow": "bench.arrow",
    "pending": "bench.pending",
    "peers": "bench.peers",
    "cost": "bench.cost",
    "latency": "bench.latency",
    "scale": "bench.scale",
    "truth": "bench.truth",
}
SIMULATIONS = {  # of months: an hour or more, and the same on every machine; run by name alone
    "decisions": "bench.decisions",
    "seasons": "bench.seasons",
    "vectors": "bench.vectors",
    "retraining": "bench.retraining",
    "labelling": "bench.labelling",
}
ALL = BENCHES | SIMULATIONS


def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="[TABLE]...")] = None,
    scale: Annotated[float, typer.Option(help="How much work; below 1 for a quick look.")] = 1.0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that simulate.")] = 1,
    keep: Annotated[
        Path | None, typer.Option(help="Folder of simulated months: kept, and gone on with.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures there too.")] = None,
) -> None:
    """Measure the tables that are named, or all that time a machine; exit code 1 for a miss."""
    unknown = [name for name in names or () if name not in ALL]
    if unknown:
        raise typer.BadParameter(f"no table {unknown[0]!r}; there are {', '.join(ALL)}")
    console, found = Console(), list[Table]()
    for name in names or BENCHES:
        made = _run(name, scale, jobs, keep)
        found += made
        for table in made:
            show(table, console)
    if json is not None:
        json.write_text(dump(found, machine()))
    sys.exit(any(not target.met for table in found for target in table.targets))


def _run(name: str, scale: float, jobs: int, keep: Path | None) -> list[Table]:
    module = importlib.import_module(ALL[name])
    with tempfile.TemporaryDirectory(prefix=f"driftline-{name}-") as folder:
        made: Table | list[Table] = module.run(Options(Path(folder), scale, jobs, keep))
    return [made] if isinstance(made, Table) else made


if __name__ == "__main__":
    typer.run(main)
