"""stream.rehearsals: how often detectors fire where nothing changes, from a reference alone."""

import dataclasses

import numpy as np
import pytest
from scipy import signal as filters

from stream.columns import Floats
from stream.detectors import Detector
from stream.pulses import level_of_pulses
from stream.rehearsals import Signal, rehearse
from stream.settings import DAY_S, DetectorSettings, ModelSettings
from stream.slots import panes_of

HOUR_MS, ROWS, DAYS = 3_600_000, 100, 30
SETTINGS = ModelSettings()
PAGE_HINKLEY = DetectorSettings("PageHinkley", "x")


def normal(seed: int, days: int = DAYS) -> Floats:
    return np.random.default_rng(seed).normal(size=days * 24 * ROWS)


def autoregressive(seed: int, days: int = DAYS) -> Floats:
    new = np.random.default_rng(seed).normal(size=days * 24 * ROWS + 200) * np.sqrt(1 - 0.81)
    found: Floats = filters.lfilter([1.0], [1.0, -0.9], new)[200:]
    return found


def signal_of(values: Floats) -> Signal:
    times = np.repeat(np.arange(len(values) // ROWS) * HOUR_MS, ROWS)
    return Signal(values, times, panes_of(times, 3_600, -1), (0.0, 1.0))


@pytest.mark.parametrize(
    ("of", "values", "every"),
    [
        (PAGE_HINKLEY, normal(1), 1_622),
        (dataclasses.replace(PAGE_HINKLEY, name="ADWIN"), normal(2), None),
        (dataclasses.replace(PAGE_HINKLEY, name="ADWIN"), autoregressive(3), None),
    ],
)
def test_the_rate_is_that_of_values_that_were_not_seen(
    of: DetectorSettings, values: Floats, every: int | None
) -> None:
    law = rehearse(of, signal_of(values), SETTINGS, 7)
    assert law is not None
    assert law.rows == len(values)
    if every is not None:  # as measured with long runs of river's own
        assert law.rows / law.pulses == pytest.approx(every, rel=0.25)
    live = autoregressive(9) if law.pulses > 100 else normal(9)
    detector = Detector(of, 7)
    fired = sum(detector.update(x) for x in live.tolist())
    assert law.p_value(fired, len(live)) > 0.001
    assert law.pulses == pytest.approx(fired, abs=4 * fired**0.5 + 2)


def test_a_dear_detector_is_rehearsed_on_the_share_that_it_gets() -> None:
    kswin = DetectorSettings("KSWIN", "x", parameters={"alpha": 0.05}, cost_us=5.0)
    law = rehearse(kswin, signal_of(normal(4)), SETTINGS, 7)
    assert law is not None
    every = len(normal(4)) * Detector(kswin).share / law.pulses
    assert 50 < every < 300  # after 100 values each, with a chance of one in twenty


def test_the_same_reference_gives_the_same_law() -> None:
    one, two = (rehearse(PAGE_HINKLEY, signal_of(normal(5)), SETTINGS, 7) for _ in "xx")
    assert one == two
    order = np.random.default_rng(1).permutation(DAYS * 24)
    first = signal_of(normal(5))
    mixed = np.concatenate([np.arange(h * ROWS, (h + 1) * ROWS) for h in order])
    shuffled = Signal(
        first.values[mixed],
        first.times_ms[mixed],
        panes_of(first.times_ms[mixed], 3_600, -1),
        first.scale,
    )
    assert rehearse(PAGE_HINKLEY, shuffled, SETTINGS, 7) == one


@pytest.mark.parametrize(
    ("days", "evidence_s", "of"),
    [
        (2, DAY_S, PAGE_HINKLEY),
        (DAYS, 20 * DAY_S, PAGE_HINKLEY),
        (DAYS, DAY_S, DetectorSettings("KSWIN", "x", raw=True, parameters={"stat_size": 45})),
    ],
)
def test_what_is_too_short_or_too_dear_has_no_law(
    days: int, evidence_s: int, of: DetectorSettings
) -> None:
    wish = dataclasses.replace(SETTINGS, evidence_s=evidence_s)
    values = np.repeat(normal(6, days), 20 if of.raw else 1)
    times = np.repeat(np.arange(days * 24) * HOUR_MS, len(values) // days // 24)
    told = Signal(values, times, panes_of(times, 3_600, -1), None)
    assert rehearse(of, told, wish, 7) is None


def test_months_in_which_nothing_changes_alarm_no_more_often_than_the_budget_allows() -> None:
    wish = dataclasses.replace(SETTINGS, detectors=(PAGE_HINKLEY,), false_alarms_per_month=4.0)
    alarms, pulses = 0, 0
    for seed in range(4):
        law = rehearse(PAGE_HINKLEY, signal_of(autoregressive(20 + seed)), wish, seed)
        assert law is not None
        level = level_of_pulses({"detector:PageHinkley:x": law}, wish)
        detector, fired = Detector(PAGE_HINKLEY, seed), np.zeros(DAYS * 24, dtype=np.int64)
        for i, x in enumerate(autoregressive(40 + seed).tolist()):
            fired[i // ROWS] += detector.update(x)
        up_to = np.concatenate([[0], fired.cumsum()])
        days = up_to[24:] - up_to[:-24]
        bad = np.array([law.p_value(int(n), 24 * ROWS) <= level for n in days])
        alarms += int((bad & ~np.concatenate([[False], bad[:-1]])).sum())
        pulses += int(fired.sum())
    assert pulses > 400  # each would be a notice
    assert alarms <= 4  # expected at most: one a month
