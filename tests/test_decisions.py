"""Decisions: a small part of the simulation of `python -m bench decisions`, with fixed seeds."""

import dataclasses

import numpy as np
import pytest

from bench.decisions import delays, quiet, rate
from bench.months import HOUR_S, WARM_HOURS, Alarms, alarms_of, month_of, reference_of, settings_of
from bench.worlds import HOURS_A_DAY, WORLDS, columns
from stream.settings import DAY_S

MONTHS = 6


@pytest.mark.parametrize("name", ["i.i.d. normal", "AR(1) .9", "daily season"])
def test_nothing_alarms_about_as_often_as_the_budget_says(name: str) -> None:
    found = quiet(WORLDS[name], MONTHS, (DAY_S,))[1.0]
    _, low, high = rate(found, 1.0)
    assert low <= 1.5
    assert high >= 0.5
    assert sum(one.in_alarm for one in found) <= 0.02 * sum(one.hours for one in found)


def test_the_budget_would_not_hold_if_rows_were_taken_for_independent() -> None:
    world, settings = WORLDS["AR(1) .9"], settings_of(1.0, (DAY_S,))
    random = np.random.default_rng(5)
    reference = reference_of(world, random, settings)
    live = columns(world, random, WARM_HOURS + 10 * HOURS_A_DAY)
    month = month_of(reference, live, world.rows, (DAY_S,))
    assert reference.calibration is not None
    inflation = reference.calibration.features["f0"][-1]
    naive = dataclasses.replace(month, ratio={DAY_S: month.ratio[DAY_S] * inflation})
    calm, loud = (alarms_of(m.sure(settings), settings) for m in (month, naive))
    assert calm.in_alarm < 0.02 * calm.hours
    assert loud.in_alarm > 0.5 * loud.hours


def test_a_lasting_shift_is_found_within_hours() -> None:
    world = dataclasses.replace(WORLDS["i.i.d. normal"], rows=1_000)
    found = delays(world, 2)
    assert [max(found[shift]) for shift in (0.25, 0.5, 1.0, 2.0)] <= [3, 1, 1, 1]
    assert max(found[0.1]) < HOURS_A_DAY


def test_a_rate_is_bounded_by_chance_and_by_how_much_months_differ() -> None:
    even = [Alarms(1, 1, 720, 5)] * 100
    ratio, low, high = rate(even, 1.0)
    assert ratio == 1.0
    assert (low, high) == pytest.approx((0.81, 1.22), abs=0.01)  # Poisson's, of 100
    uneven = [Alarms(0, 0, 720, 0)] * 90 + [Alarms(10, 10, 720, 50)] * 10
    assert rate(uneven, 1.0)[2] > high
    assert rate([Alarms(0, 0, 720, 0)] * 4, 1.0)[:2] == (0.0, 0.0)


def test_alarms_are_counted_as_a_model_pages() -> None:
    settings = settings_of(1.0, (HOUR_S,))
    sure = np.zeros((20, 2), dtype=bool)
    sure[3, 0] = sure[4, 1] = sure[12, 1] = True
    found = alarms_of(sure, settings)
    assert (found.alarms, found.alerts, found.hours) == (2, 3, 20)
    assert found.in_alarm == 3 + 2  # two quiet hours end an alert
