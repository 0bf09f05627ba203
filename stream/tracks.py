"""Tracks: the online detectors of a model version, fed in order of event time.

Values are held until the low watermark has passed them and then fed by (event time, id hash), so
what a detector sees depends neither on the partitions nor on the order of arrival.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np

from stream.detectors import Corrupt, Detector, StateMismatch
from stream.panes import BEFORE_ALL
from stream.settings import DetectorSettings
from stream.signals import Series, concatenate

Scale = tuple[float, float]  # mean and standard deviation of a signal in the reference
MAX_PULSES = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Pulse:
    """A detector fired on its value number `index`, counted from 0, at an event time."""

    time_ms: int
    index: int
    value: float


@dataclasses.dataclass(slots=True)
class Watched:
    """A detector, its newest pulses, and whether it had to be started afresh."""

    settings: DetectorSettings
    detector: Detector
    pulses: list[Pulse] = dataclasses.field(default_factory=list)
    rebuilt: str = ""
    dirty: bool = False

    @property
    def cause(self) -> str:
        """What its alerts are called by."""
        return f"detector:{self.settings.name}:{self.settings.signal}"

    def restore(self, raw: bytes, seed: int) -> None:
        """Take up a snapshot; a detector of another library version starts afresh and says so."""
        try:
            self.detector = Detector.restore(raw, self.settings, seed)
        except (StateMismatch, Corrupt) as error:
            self.rebuilt = str(error)


class Track:
    """Detectors whose signals share one watermark. fed_ms: all before it has been fed."""

    def __init__(self, watched: list[Watched]) -> None:
        self.watched = watched
        self.signals = {w.settings.signal for w in watched}
        self.fed_ms = BEFORE_ALL
        self.late = 0
        self.held: dict[tuple[int, int], Mapping[str, Series]] = {}

    def hold(
        self, partition: int, sequence: int, series: Mapping[str, Series], *, again: bool = False
    ) -> bool:
        """Keep what a message brings until it may be fed; whether there was anything.

        again: the message was held before a restart, and part of it may have been fed.
        """
        mine = {name: run for name, run in series.items() if name in self.signals and len(run)}
        if not again:
            self.late += sum(int((run.times_ms < self.fed_ms).sum()) for run in mine.values())
        if mine:
            self.held[partition, sequence] = mine
        return bool(mine)

    def feed(self, until_ms: int, scales: Mapping[str, Scale]) -> Iterator[tuple[Watched, Pulse]]:
        """Feed all values before `until_ms`, one signal after the other; yields the pulses."""
        if until_ms <= self.fed_ms:
            return
        for signal in sorted(self.signals):
            run = self._due(signal, until_ms)
            if run is not None:
                for watched in self.watched:
                    if watched.settings.signal == signal:
                        yield from _feed(watched, run, scales.get(signal))
        self.fed_ms = until_ms

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
            del self.held[key]
        return done


def _feed(watched: Watched, run: Series, scale: Scale | None) -> Iterator[tuple[Watched, Pulse]]:
    values = run.values
    raw = watched.settings.raw or watched.detector.kind.binary
    if scale is not None and not raw:
        values = (values - scale[0]) / scale[1]
    watched.dirty = True
    for time_ms, value, told in zip(
        run.times_ms.tolist(), values.tolist(), run.values.tolist(), strict=True
    ):
        if watched.detector.update(value):
            pulse = Pulse(time_ms, watched.detector.n - 1, told)
            watched.pulses = [*watched.pulses[-MAX_PULSES + 1 :], pulse]
            yield watched, pulse


def scale_of(mean: float, sd: float) -> Scale | None:
    """A scale to standardise by; None where the reference does not vary."""
    return (mean, sd) if math.isfinite(mean) and sd > 0 and math.isfinite(sd) else None
