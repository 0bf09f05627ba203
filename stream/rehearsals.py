"""Rehearsals: a detector runs over months in which nothing changes, to see how often it fires.

They are made of a reference's own rows in order of time, drawn again in whole days (in panes where
there are few days), so that values that resemble each other still do. Source: the block bootstrap
(Carlstein 1986). Where blocks meet values jump, so that the rate is rather too high than too low.
"""

import dataclasses
import math

import numpy as np

from stream.columns import Floats, Ints
from stream.detectors import Detector
from stream.pulses import PulseLaw, in_one_line
from stream.settings import DetectorSettings, ModelSettings
from stream.slots import Panes
from stream.tracks import Scale

MOST_US = 3e6  # that one rehearsal may cost
TIMES = 4  # as long as the reference
LEAST_DAYS, LEAST_BLOCKS = 7, 7
LEAST_WINDOWS, LEAST_COUNTED = 3.0, 8


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """Values in order of their rows, shape (rows,), and when these were."""

    values: Floats
    times_ms: Ints
    panes: Panes
    scale: Scale | None


def rehearse(
    of: DetectorSettings, signal: Signal, settings: ModelSettings, seed: int
) -> PulseLaw | None:
    """The law of a detector's pulses; None where the reference is too short, or too dear."""
    detector = Detector(of, seed, settings.task)
    inside = signal.panes.number >= 0
    known = inside & np.isfinite(signal.values)
    order = np.argsort(signal.times_ms[known], kind="stable")
    values, number = signal.values[known][order], signal.panes.number[known][order]
    windows = len(np.unique(number)) * settings.pane_s / settings.evidence_s
    blocks = _blocks(number, signal.panes)
    if windows < LEAST_WINDOWS or len(blocks) < LEAST_BLOCKS:
        return None
    a_window = len(values) / windows
    most = min(TIMES * len(values), MOST_US / detector.cost_us / detector.share)
    counts = np.zeros(int(most / a_window), dtype=np.int64)
    if len(counts) < LEAST_COUNTED:
        return None
    if signal.scale is not None and not of.raw and not detector.kind.binary:
        values = (values - signal.scale[0]) / signal.scale[1]
    _run(detector, values, blocks, counts, a_window, np.random.default_rng([seed, len(values)]))
    pulses = float(counts.mean()) * windows
    return PulseLaw(
        detector=in_one_line(of),
        evidence_s=settings.evidence_s,
        rows=int(inside.sum()),
        pulses=pulses,
        dispersion=_dispersion(counts),
    )


def _blocks(number: Ints, panes: Panes) -> list[slice]:
    """Rows of each day, or of each pane where there are less than a week of days."""
    days = (number + panes.first) // panes.a_day
    unit = days if len(np.unique(days)) >= LEAST_DAYS else number
    starts = np.flatnonzero(np.diff(unit, prepend=unit[:1] - 1))
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(unit)], strict=True)]


def _run(
    detector: Detector,
    values: Floats,
    blocks: list[slice],
    counts: Ints,
    a_window: float,
    random: np.random.Generator,
) -> None:
    """Count the pulses of each window. a_window: rows of one."""
    at, end = 0, len(counts) * a_window
    while at < end:
        block = values[blocks[int(random.integers(len(blocks)))]]
        places = np.flatnonzero(random.random(len(block)) < detector.share)
        for place, value in zip(places.tolist(), block[places].tolist(), strict=True):
            if detector.update(value) and at + place < end:
                counts[int((at + place) / a_window)] += 1
        at += len(block)


def _dispersion(counts: Ints) -> float:
    """Rather too large than too small: it is known from so many windows alone."""
    mean = float(counts.mean())
    if mean == 0:
        return 1.0
    unsure = 1 + math.sqrt(2 / (len(counts) - 1))
    return max(1.0, float(counts.var(ddof=1)) / mean * unsure)
