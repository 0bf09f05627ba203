"""Trials: a reference against itself, to measure how often an alarm would be false.

Nothing changes within a reference, so whatever fires in it is false. Its rows, in order, are cut
into parts; each in turn is played against a reference of all the others, with the settings of
production. So every row is looked at once, by a reference that does not know it.
"""

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import stats

from agents import tables
from agents.backtest.accounts import Account, Alarm, months
from agents.backtest.runs import Run, Task, reference_of
from agents.tables import BadTable

PARTS = 5
SURE = 0.95  # of the interval beside the rate
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. months: of event time that was looked at. budget: alarms a month.

    in_alarm: the share of the evaluations at whose time any alert was firing.
    """

    parts: int
    rows: int
    months: float
    evaluations: int
    alarms: list[Alarm]
    in_alarm: float
    budget: float

    @property
    def rate(self) -> float:
        """False alarms a month."""
        return len(self.alarms) / self.months

    @property
    def interval(self) -> tuple[float, float]:
        """Between which the true rate lies: exact bounds of a Poisson count (Garwood 1936)."""
        k, tail = len(self.alarms), (1 - SURE) / 2
        low = float(stats.chi2.ppf(tail, 2 * k)) / 2 if k else 0.0
        return low / self.months, float(stats.chi2.ppf(1 - tail, 2 * k + 2)) / 2 / self.months


def trial(task: Task, file: Path, parts: int = PARTS, say: Say = lambda _: None) -> Trial:
    """Play a reference against itself. task: its plan's columns and clock. Raises BadTable."""
    whole = tables.parsed(file, task.plan.delimiter)
    time = task.plan.columns.time
    if time is not None and time not in whole.column_names:
        raise BadTable(f"{file}: has no column {time!r} (--time); --a-a plays it in order of time")
    if time is not None:
        whole = whole.take(pc.sort_indices(whole[time]))
    if whole.num_rows < 2 * parts:
        raise BadTable(f"{file}: has {whole.num_rows} rows, too few to be split")
    accounts, lengths = [], []
    with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
        for number, (held, rest) in enumerate(_splits(whole, parts), start=1):
            say(f"reference against itself: part {number} of {parts}")
            run = _run(task, held, rest, Path(folder) / f"part-{number}.parquet")
            accounts.append(Account(run.published()))
            lengths.append(months(run.survey.first_ms, run.inputs_end_ms))
    return _sum(task, whole.num_rows, accounts, sum(lengths))


def _splits(whole: pa.Table, parts: int) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Consecutive rows that are held out, and all the others."""
    ends = [whole.num_rows * i // parts for i in range(parts + 1)]
    for first, last in itertools.pairwise(ends):
        held = whole.slice(first, last - first)
        yield held, pa.concat_tables([whole.slice(0, first), whole.slice(last)])


def _run(task: Task, held: pa.Table, rest: pa.Table, path: Path) -> Run:
    pq.write_table(held, path)
    own = task.plan.columns.among(held.column_names)
    plan = dataclasses.replace(task.plan, file=path, columns=own, truth=(), shuffle=None)
    part = dataclasses.replace(task, plan=plan)
    reference, _ = reference_of(part, tables.of(rest, path), path)
    return Run(part, reference)


def _sum(task: Task, rows: int, accounts: list[Account], length: float) -> Trial:
    evaluations = [sum(map(len, account.ends.values())) for account in accounts]
    inside = sum(a.in_alarm() * n for a, n in zip(accounts, evaluations, strict=True))
    return Trial(
        len(accounts),
        rows,
        length,
        sum(evaluations),
        [alarm for account in accounts for alarm in account.alarms],
        inside / max(1, sum(evaluations)),
        task.model.false_alarms_per_month,
    )
