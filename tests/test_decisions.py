"""Decisions: a small part of the simulation of `python -m bench decisions`, with fixed seeds."""

import dataclasses
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.decisions import CASES, DEFAULT, Case, quiet, rate
from bench.delays import (
    ALWAYS,
    NEVER,
    OURS,
    STORIES,
    Score,
    Seen,
    errors_month,
    numbers_month,
    rival,
)
from bench.months import (
    HOUR_S,
    WARM_HOURS,
    Alarms,
    agrees,
    alarms_of,
    month_of,
    reference_of,
    settings_of,
)
from bench.options import Options
from bench.worlds import HOURS_A_DAY, WORLDS, columns
from stream.settings import DAY_S

MONTHS = 6


@pytest.mark.parametrize(
    "name", ["i.i.d. normal", "AR(1) .9", "daily season", "200 categories, overdispersed"]
)
def test_nothing_alarms_about_as_often_as_the_budget_says(name: str, tmp_path: Path) -> None:
    every = quiet(Options(tmp_path), name, MONTHS, DEFAULT)
    found = every[Case(1.0)]
    _, low, high = rate(found, 1.0)
    assert low <= 1.5
    assert high >= 0.5 or WORLDS[name].named
    assert sum(one.in_alarm for one in found) <= 0.02 * sum(one.hours for one in found)
    for case in CASES:  # what is stricter never alarms longer
        assert sum(one.in_alarm for one in every[case]) <= sum(one.in_alarm for one in found)


def test_months_are_the_same_however_they_are_dealt_out(tmp_path: Path) -> None:
    name, alone = "200 categories, overdispersed", Options(tmp_path)
    shared = dataclasses.replace(alone, jobs=2)
    assert quiet(alone, name, 3, DEFAULT) == quiet(shared, name, 3, DEFAULT)


@pytest.mark.parametrize("name", ["daily season", "200 categories"])
def test_months_say_what_evaluations_say_where_much_alarms(name: str) -> None:
    world, loose = WORLDS[name], settings_of(200.0, (HOUR_S, DAY_S))
    random = np.random.default_rng(6)
    reference = reference_of(world, random, loose)
    live = columns(world, random, WARM_HOURS + 2 * HOURS_A_DAY)
    month = month_of(reference, live, world.rows)
    assert 0 < month.moved(loose).sum() < month.hours
    assert all(agrees(month, live, hour, loose) for hour in range(WARM_HOURS, 2 * WARM_HOURS))


def test_the_budget_would_not_hold_if_rows_were_taken_for_independent() -> None:
    world, settings = WORLDS["AR(1) .9"], settings_of(1.0, DEFAULT)
    random = np.random.default_rng(5)
    reference = reference_of(world, random, settings)
    live = columns(world, random, WARM_HOURS + 10 * HOURS_A_DAY)
    known = reference.calibration
    assert known is not None
    features = {"f0": tuple(1.0 for _ in known.features["f0"])}
    blind = dataclasses.replace(
        reference, calibration=msgspec.structs.replace(known, features=features)
    )
    calm, loud = (
        alarms_of(month_of(r, live, world.rows).moved(settings), settings)
        for r in (reference, blind)
    )
    assert calm.in_alarm < 0.02 * calm.hours
    assert loud.in_alarm > 0.5 * loud.hours


def test_a_lasting_shift_is_found_within_hours() -> None:
    name = "i.i.d., 1,000 an hour"
    assert STORIES[name].study[1:] == (1, 1, 1, 1)
    found = numbers_month(name, 0, rivals=())
    small, *large = found[OURS].delays
    assert large[1:] == [1, 1, 1]
    assert large[0] <= 3
    assert small < HOURS_A_DAY


def test_more_errors_are_found_within_hours() -> None:
    few, more, many = errors_month(0, rivals=())[OURS].delays
    assert few < HOURS_A_DAY
    assert more <= few
    assert many == 1


def test_neither_alarms_without_end_nor_silence_wins() -> None:
    found = errors_month(1, rivals=("HDDMW",))
    score = {which: Score([seen]).value for which, seen in found.items()}
    assert score[ALWAYS] == 1
    assert score[NEVER] == 0
    assert score[OURS] > 10
    by_chance = Seen(1_000, 100, tuple(np.random.default_rng(1).exponential(10, 2_000)))
    assert Score([by_chance]).value == pytest.approx(1, rel=0.1)
    half = Seen(1_000, 1, (10.0, math.inf))
    assert Score([half]).value == 50
    assert Score([half]).quantile(0, 0.9) == 10


def test_a_rival_sees_values_one_by_one() -> None:
    random = np.random.default_rng(3)
    calm = random.normal(size=3_000)
    found = rival("ADWIN", 0, calm, [calm[:500] + 5, calm[:500]], 100)
    assert found.hours == 30
    assert 0 < found.delays[0] < 5
    assert found.delays[1] == math.inf


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
