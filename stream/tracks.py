"""Tracks: the online detectors of a model version, fed in order of event time.

Values are held until the low watermark has passed them and then fed by (event time, id hash), so
what a detector sees depends neither on the partitions nor on the order of arrival.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from stream.columns import Floats
from stream.detectors import Corrupt, Detector, StateMismatch
from stream.panes import BEFORE_ALL
from stream.rations import Ration, shared
from stream.settings import DetectorSettings, Task
from stream.signals import Series, concatenate

Scale = tuple[float, float]  # mean and standard deviation of a signal in the reference
MAX_PULSES = 100
RESCALED = "its values are standardised with another reference from here on"


@dataclasses.dataclass(frozen=True, slots=True)
class Pulse:
    """A detector fired on its value number `index`, counted from 0, at an event time."""

    time_ms: int
    index: int
    value: float


@dataclasses.dataclass(frozen=True, slots=True)
class Scales:
    """Scales of signals by name, which count from an event time on."""

    since_ms: int
    scales: Mapping[str, Scale]


@dataclasses.dataclass(slots=True)
class Watched:
    """A detector, its newest pulses, and why it had to be started afresh, if it had.

    cause: what its alerts are called by. scale: what its values are standardised by.
    left_out: how many values its ration left out of those up to the one it was fed last. counts:
    pulses by pane, of a detector whose pulses are judged by their number.
    """

    settings: DetectorSettings
    cause: str
    seed: int
    task: Task
    detector: Detector
    ration: Ration
    pulses: list[Pulse] = dataclasses.field(default_factory=list)
    scale: Scale | None = None
    rebuilt: str = ""
    left_out: int = 0
    counts: dict[int, int] = dataclasses.field(default_factory=dict)
    dirty: bool = False

    @classmethod
    def of(
        cls, settings: DetectorSettings, cause: str, seed: int, task: Task, per_s: int = 10_000
    ) -> "Watched":
        """A detector at its beginning. Raises ValueError where the settings cannot work.

        per_s: values a second that it takes of a hot model; fewer where each costs it much.
        """
        detector = Detector(settings, seed, task)
        ration = Ration(min(per_s, detector.kind.most_per_s))
        return cls(settings, cause, seed, task, detector, ration)

    def restore(self, raw: bytes) -> None:
        """Take up a snapshot; a detector of another library version starts afresh and says so."""
        try:
            self.detector = Detector.restore(raw, self.settings, self.seed, self.task)
        except (StateMismatch, Corrupt) as error:
            self.rebuilt = str(error)

    def rescale(self, scale: Scale | None) -> None:
        """Standardise by another scale: what the detector knew is of no use any more."""
        if scale == self.scale or self.settings.raw or self.detector.kind.binary:
            return
        self.scale = scale
        if self.detector.n:
            self.detector = Detector(self.settings, self.seed, self.task)
            self.rebuilt = RESCALED

    def share_of(self, run: Series) -> Series:
        """What of a run it is fed, by what each value costs it."""
        return shared(run, self.detector.share)

    def update(self, run: Series) -> Iterator[Pulse]:
        """Take in values in order; yields the pulses."""
        self.dirty = True
        told, times = run.values.tolist(), run.times_ms.tolist()
        for time_ms, value, raw in zip(times, self._scaled(run.values), told, strict=True):
            if self.detector.update(value):
                pulse = Pulse(time_ms, self.detector.n - 1, raw)
                self.pulses = [*self.pulses[-MAX_PULSES + 1 :], pulse]
                self.left_out = self.ration.left_out_at(time_ms)
                yield pulse
        self.left_out = self.ration.left_out_at(times[-1])

    def _scaled(self, values: Floats) -> list[float]:
        if self.scale is not None:
            with np.errstate(over="ignore"):
                values = (values - self.scale[0]) / self.scale[1]
        found: list[float] = values.tolist()
        return found


class Track:
    """Detectors whose signals share one watermark. fed_ms: all before it has been fed.

    rows: values that are held. late: those that came after that; refused: those for which there
    was no room.
    """

    def __init__(self, watched: list[Watched], most: int = 1_000_000) -> None:
        self.watched, self.most = watched, most
        self.signals = {w.settings.signal for w in watched}
        self.fed_ms = BEFORE_ALL
        self.late = 0
        self.refused = 0
        self.rows = 0
        self.held: dict[tuple[int, int], Mapping[str, Series]] = {}

    def hold(
        self, partition: int, sequence: int, series: Mapping[str, Series], *, again: bool = False
    ) -> bool:
        """Keep what a message brings until it may be fed; whether anything was kept.

        again: the message was held before a restart, and part of it may have been fed.
        """
        mine = {name: run for name, run in series.items() if name in self.signals and len(run)}
        if not mine:
            return False
        rows = _rows(mine)
        if not again:
            self.late += sum(int((run.times_ms < self.fed_ms).sum()) for run in mine.values())
            if self.rows + rows > self.most:
                self.refused += rows
                return False
        self.held[partition, sequence] = mine
        self.rows += rows
        return True

    def feed(self, until_ms: int, scales: Sequence[Scales]) -> Iterator[tuple[Watched, Pulse]]:
        """Feed all values before `until_ms`, one signal after the other; yields the pulses.

        scales: in order of time; a value is standardised by the last that counts at its time.
        """
        if until_ms <= self.fed_ms:
            return
        runs, until_ms = self._runs(until_ms)
        for signal, run in runs.items():
            for watched in self._of(signal) if len(run) else ():
                taken = watched.ration.take(watched.share_of(run))
                for scale, part in _by_scale(taken, signal, scales):
                    watched.rescale(scale)
                    for pulse in watched.update(part):
                        yield watched, pulse
        self.fed_ms = until_ms

    def _of(self, signal: str) -> list[Watched]:
        return [watched for watched in self.watched if watched.settings.signal == signal]

    def _runs(self, until_ms: int) -> tuple[dict[str, Series], int]:
        """What is due of each signal, and up to when: a hot second waits until it is known."""
        found = {signal: self._due(signal, until_ms) for signal in sorted(self.signals)}
        runs = {signal: run for signal, run in found.items() if run is not None}
        limits = [
            w.ration.limit_ms(w.share_of(run), until_ms)
            for s, run in runs.items()
            for w in self._of(s)
        ]
        limit_ms = max(self.fed_ms, min(limits, default=until_ms))
        if limit_ms < until_ms:
            runs = {s: run.take(run.times_ms < limit_ms) for s, run in runs.items()}
        return runs, limit_ms

    def _due(self, signal: str, until_ms: int) -> Series | None:
        runs = [series[signal] for series in self.held.values() if signal in series]
        if not runs:
            return None
        run = concatenate(runs)
        run = run.take((run.times_ms >= self.fed_ms) & (run.times_ms < until_ms))
        return run.take(np.lexsort((run.ids, run.times_ms))) if len(run) else None

    def release(self) -> list[tuple[int, int]]:
        """Forget the messages that were fed whole: their partitions and sequences."""
        done = [
            key
            for key, series in self.held.items()
            if all(int(run.times_ms.max()) < self.fed_ms for run in series.values())
        ]
        for key in done:
            self.rows -= _rows(self.held.pop(key))
        return done


def _rows(series: Mapping[str, Series]) -> int:
    return sum(len(run) for run in series.values())


def _by_scale(
    run: Series, signal: str, scales: Sequence[Scales]
) -> Iterator[tuple[Scale | None, Series]]:
    """A run in order of time, cut where another scale begins to count."""
    starts = np.searchsorted(run.times_ms, [max(s.since_ms, BEFORE_ALL) for s in scales])
    cuts = [0, *starts.tolist(), len(run)]
    found: list[Mapping[str, Scale]] = [{}, *(s.scales for s in scales)]
    for known, first, last in zip(found, cuts, cuts[1:], strict=False):
        if last > first:
            yield known.get(signal), run.take(slice(first, last))


def scale_of(mean: float, sd: float) -> Scale | None:
    """A scale to standardise by; None where the reference does not vary."""
    return (mean, sd) if math.isfinite(mean) and sd > 0 and math.isfinite(sd) else None
