"""Seasons: a small part of the simulation of `python -m bench seasons`, with fixed seeds."""

import numpy as np
import pytest

from bench.months import HOUR_S, WARM_HOURS, reference_of
from bench.seasons import WORLD, delays, quiet, ratio, wish
from bench.worlds import columns
from stream.columns import Column
from stream.evaluations import inputs_evaluation
from stream.hours import hour_of
from stream.seasons import Seasonal
from stream.settings import DAY_S
from stream.shares import Share
from stream.subjects import Subject
from stream.windows import Merged


@pytest.mark.parametrize("window_s", [HOUR_S, DAY_S])
def test_nothing_alarms_about_as_often_as_the_budget_says(window_s: int) -> None:
    found = quiet(WORLD, 3, window_s)
    assert sum(one.alarms for one in found) <= 9
    assert sum(one.in_alarm for one in found) <= 0.02 * sum(one.hours for one in found)


def test_an_hour_gains() -> None:
    own, plain = (delays(WORLD, 1, HOUR_S, way) for way in ("hour-of-day", "none"))
    assert max(own[0.25]) <= 5.0
    assert min(plain[0.25]) > 24.0


def test_the_arrays_are_what_the_core_measures() -> None:
    settings, random = wish(DAY_S, "hour-of-day"), np.random.default_rng(4)
    reference = reference_of(WORLD, random, settings)
    live = columns(WORLD, random, 3 * WARM_HOURS)
    arrays = ratio(reference, reference.features["f0"], live[0], WORLD.rows, DAY_S)
    seasonal, total = Seasonal.of(settings), Share(reference)
    for hour in range(24, 48):
        share, rows = Share(reference), slice(hour * WORLD.rows, (hour + 1) * WORLD.rows)
        zeros = np.zeros(WORLD.rows, dtype=np.int64)
        share.update({"f0": Column(live[0][rows])}, None, None, zeros)
        seasonal.add(hour_of(hour * HOUR_S * 1000, "hour-of-day"), share, settings)
        total.merge(share)
    of = Subject("m", "1", settings, DAY_S * 1000, 2 * DAY_S * 1000)
    found = inputs_evaluation(of, reference, Merged(total, against=seasonal)).readings
    (one,) = [r for r in found if r.check == "ks"]
    assert reference.calibration is not None
    assert one.statistic is not None
    assert one.n is not None
    assert one.n_reference is not None
    n = one.n * one.n_reference / (one.n + one.n_reference)
    inflation = reference.calibration.features["f0"][-1]
    assert one.statistic**2 * n / inflation == pytest.approx(arrays[24], rel=0.02)
