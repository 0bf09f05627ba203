"""Vintages: quality by the time of prediction, told of once no more truth is waited for.

A vintage is as long as a cohort of old predictions (`stream.ages`). What becomes known after it was
told of changes the windows of label time alone.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from stream.ages import Ages, Census
from stream.cohorts import Cohorts
from stream.events import CohortFigure, CohortFigures
from stream.quality import METRICS, Metric, figures_for
from stream.settings import Task
from stream.stamps import stamp
from stream.tallies import Tally
from stream.weights import weighted

Strata = dict[int, Tally]
Packed = list[tuple[int, bytes]]
Learn = Callable[[int, int, Strata], None]


class Vintages:
    """One model version. found: outcomes by start and exponent, none where it was told of.

    changed: those to be saved, or to be deleted where they are not found.
    """

    def __init__(self, ages: Ages) -> None:
        self.length_ms = ages.whole_ms
        self.found: dict[int, Strata | None] = {}
        self.changed: set[int] = set()

    def add(self, outcomes: Cohorts, ages: Ages) -> None:
        """Take in outcomes that became known in a pane of label time."""
        for exponent, _, made, tally in outcomes.parts():
            start = made - made % self.length_ms
            known = self.found.get(start, {})
            if known is not None and start >= ages.since_ms and ages.knows(made):
                known.setdefault(exponent, Tally()).merge(tally)
                self.found[start] = known
                self.changed.add(start)

    def complete(
        self,
        end_ms: int,
        census: Census,
        task: Task,
        metrics: Mapping[str, Metric] = METRICS,
        learn: Learn | None = None,
    ) -> list[CohortFigures]:
        """Those that have become complete, in order; each is told of once.

        learn: takes the start, the end and the outcomes of each.
        """
        told = []
        for start in sorted(start for start, strata in self.found.items() if strata is not None):
            cohorts = census.within(start, start + self.length_ms)
            if start + self.length_ms <= end_ms and census.complete[cohorts].all():
                strata = self.found[start] or {}
                if learn is not None:
                    learn(start, start + self.length_ms, strata)
                figures = _figures(weighted(strata), task, metrics)
                told.append(self._told(start, census, cohorts, [*figures]))
        return told

    def leaving(self, oldest_ms: int) -> bool:
        """Whether some were not told of and are to be forgotten: label time made a great step."""
        untold = (start for start, strata in self.found.items() if strata is not None)
        return any(start + self.length_ms <= oldest_ms for start in untold)

    def _told(
        self, start: int, census: Census, cohorts: slice, figures: list[CohortFigure]
    ) -> CohortFigures:
        self.found[start] = None
        self.changed.add(start)
        return CohortFigures(
            start=stamp(start),
            end=stamp(start + self.length_ms),
            predictions=int(census.made[cohorts].sum()),
            labelled=int(census.labelled[cohorts].sum()),
            figures=figures,
        )

    def forget(self, ages: Ages) -> None:
        """Drop what the ages have dropped."""
        gone = [start for start in self.found if start + self.length_ms <= ages.oldest_ms]
        for start in gone:
            del self.found[start]
        self.changed |= {*gone}

    def save(self) -> Iterator[tuple[int, bytes | None]]:
        """What changed since the last call, by start; None: it is gone."""
        for start in sorted(self.changed):
            strata = self.found.get(start)
            rows = [(k, tally.to_bytes()) for k, tally in sorted((strata or {}).items())]
            yield start, msgspec.msgpack.encode(rows) if start in self.found else None
        self.changed = set()

    def load(self, start: int, raw: bytes) -> None:
        """Take up what `save` gave. Raises ValueError on anything else."""
        try:
            rows = msgspec.msgpack.decode(raw, type=Packed)
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged vintage: {error}") from error
        self.found[start] = {k: Tally.from_bytes(tally) for k, tally in rows} or None


def _figures(tally: Tally, task: Task, metrics: Mapping[str, Metric]) -> Iterator[CohortFigure]:
    for name, found in figures_for(tally, task, metrics).items() if tally.sound() else ():
        yield CohortFigure(
            metric=name, value=found.value, low=found.low, high=found.high, n=found.n
        )
