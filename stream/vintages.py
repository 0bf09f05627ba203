"""Vintages: quality by the time of prediction, told of once no more truth is waited for.

A vintage is as long as a cohort of old predictions (`stream.ages`). Where more of its truth comes
after that, or truth is corrected, it is told of again: not with every label, but when it is twice
as old as it was, and for the last time when no truth about it counts any more.
"""

import dataclasses
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


class _Later(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    told_ms: int
    fresh: bool
    rows: Packed


@dataclasses.dataclass(slots=True)
class Later:
    """One that was told of. fresh: whether anything became known since."""

    strata: Strata
    told_ms: int
    fresh: bool = False


class Vintages:
    """One model version. found: outcomes by start and exponent, none where it was told of.

    later: those that were told of, and may be again. changed, amended: those to be saved, or to be
    deleted where they are not found. stale: an earlier release, which knows of no `later`, was
    the last to write.
    """

    def __init__(self, ages: Ages) -> None:
        self.length_ms, self.horizon_ms = ages.whole_ms, ages.horizon_ms
        self.found: dict[int, Strata | None] = {}
        self.later: dict[int, Later] = {}
        self.changed: set[int] = set()
        self.amended: set[int] = set()
        self.stale = False

    def add(self, outcomes: Cohorts, ages: Ages) -> None:
        """Take in outcomes that became known in a pane of label time."""
        for exponent, _, made, tally in outcomes.parts():
            start = made - made % self.length_ms
            known = self.found.get(start, {})
            if known is not None and start >= ages.since_ms and ages.knows(made):
                known.setdefault(exponent, Tally()).merge(tally)
                self.found[start] = known
                self.changed.add(start)
            later = self.later.get(start)
            if later is not None and ages.knows(made):
                later.strata.setdefault(exponent, Tally()).merge(tally)
                later.fresh = True
                self.amended.add(start)

    def complete(
        self,
        end_ms: int,
        census: Census,
        task: Task,
        metrics: Mapping[str, Metric] = METRICS,
        learn: Learn | None = None,
    ) -> list[CohortFigures]:
        """Those that have become complete, in order.

        learn: takes the start, the end and the outcomes of each.
        """
        told = []
        for start in sorted(start for start, strata in self.found.items() if strata is not None):
            cohorts = census.within(start, start + self.length_ms)
            if start + self.length_ms <= end_ms and census.complete[cohorts].all():
                known = self.found[start] or {}
                if learn is not None:
                    learn(start, start + self.length_ms, known)
                figures = [*_figures(weighted(known), task, metrics)]
                told.append(self._told(start, end_ms, census, figures))
                self.found[start] = None
                self.changed.add(start)
                self.later[start] = Later(known, end_ms)
                self.amended.add(start)
        return told

    def corrected(
        self, end_ms: int, census: Census, task: Task, metrics: Mapping[str, Metric] = METRICS
    ) -> list[CohortFigures]:
        """Those that are told of again, in order."""
        told = []
        for start, later in sorted(self.later.items()):
            final = self._final(start, end_ms)
            twice = end_ms - start >= 2 * (later.told_ms - start)
            if later.fresh and (twice or final):
                figures = [*_figures(weighted(later.strata), task, metrics)]
                told.append(self._told(start, end_ms, census, figures))
                later.told_ms, later.fresh = end_ms, False
                self.amended.add(start)
            if final:
                del self.later[start]
                self.amended.add(start)
        return told

    def _final(self, start: int, end_ms: int) -> bool:
        """Whether no truth about it counts any more."""
        return end_ms >= start + self.length_ms + self.horizon_ms

    def leaving(self, oldest_ms: int) -> bool:
        """Whether some are to be forgotten of which there is news: label time made a great step."""
        news = {start for start, strata in self.found.items() if strata is not None}
        news |= {start for start, later in self.later.items() if later.fresh}
        return any(start + self.length_ms <= oldest_ms for start in news)

    def _told(
        self, start: int, end_ms: int, census: Census, figures: list[CohortFigure]
    ) -> CohortFigures:
        cohorts = census.within(start, start + self.length_ms)
        return CohortFigures(
            start=stamp(start),
            end=stamp(start + self.length_ms),
            predictions=int(census.made[cohorts].sum()),
            labelled=int(census.labelled[cohorts].sum()),
            figures=figures,
            final=self._final(start, end_ms),
        )

    def forget(self, ages: Ages) -> None:
        """Drop what the ages have dropped."""
        gone = [start for start in self.found if start + self.length_ms <= ages.oldest_ms]
        for start in gone:
            del self.found[start]
            if self.later.pop(start, None) is not None:
                self.amended.add(start)
        self.changed |= {*gone}

    def save(self) -> Iterator[tuple[int, bytes | None]]:
        """What changed since the last call, by start; None: it is gone."""
        for start in sorted(self.changed):
            strata, known = self.found.get(start), start in self.found
            yield start, msgspec.msgpack.encode(_packed(strata or {})) if known else None
        self.changed = set()

    def save_later(self) -> Iterator[tuple[int, bytes | None]]:
        """The same of those that were told of."""
        for start in sorted(self.amended):
            one = self.later.get(start)
            packed = one and _Later(one.told_ms, one.fresh, _packed(one.strata))
            yield start, None if packed is None else msgspec.msgpack.encode(packed)
        self.amended = set()

    def load(self, start: int, raw: bytes) -> None:
        """Take up what `save` gave. Raises ValueError on anything else."""
        try:
            rows = msgspec.msgpack.decode(raw, type=Packed)
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged vintage: {error}") from error
        self.found[start] = _unpacked(rows) or None

    def load_later(self, start: int, raw: bytes) -> None:
        """Take up what `save_later` gave. Raises ValueError on anything else."""
        try:
            told = msgspec.msgpack.decode(raw, type=_Later)
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged vintage that was told of: {error}") from error
        self.later[start] = Later(_unpacked(told.rows), told.told_ms, told.fresh)


def _packed(strata: Strata) -> Packed:
    return [(k, tally.to_bytes()) for k, tally in sorted(strata.items())]


def _unpacked(rows: Packed) -> Strata:
    return {k: Tally.from_bytes(tally) for k, tally in rows}


def _figures(tally: Tally, task: Task, metrics: Mapping[str, Metric]) -> Iterator[CohortFigure]:
    for name, found in figures_for(tally, task, metrics).items() if tally.sound() else ():
        yield CohortFigure(
            metric=name, value=found.value, low=found.low, high=found.high, n=found.n
        )
