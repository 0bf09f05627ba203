import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stream import effects
from stream.columns import column_of
from stream.events import Effect
from stream.features import summarise
from stream.measures import Comparison, chi_square, ks
from stream.settings import ModelSettings
from tests.test_checks import main

SETTINGS = ModelSettings()
RNG = np.random.default_rng(2)
AGES = np.round(RNG.normal(40, 10, 2_000))
SIZES = st.floats(0, 1e6)


def with_floors(**floors: float) -> ModelSettings:
    return dataclasses.replace(SETTINGS, effect_floors=floors)


def test_a_number_is_measured_in_deviations_or_in_its_own_unit_where_it_has_a_floor() -> None:
    age = summarise("age", column_of(AGES), "number")
    live = age.counts_of(column_of(AGES + 2))
    usual, own = (ks(Comparison(age, live, s)).effect for s in (SETTINGS, with_floors(age=3.0)))
    distance = stats.wasserstein_distance(AGES, AGES + 2)
    assert usual is not None
    assert own is not None
    assert usual.value == pytest.approx(distance / AGES.std(), rel=0.02)
    assert (usual.floor, usual.unit) == (0.1, "reference standard deviations")
    assert own.value == pytest.approx(distance, rel=0.02)
    assert (own.floor, own.unit) == (3.0, "in its own unit")


def test_a_floor_of_its_own_decides_and_is_said() -> None:
    age = summarise("age", column_of(AGES), "number")
    live = age.counts_of(column_of(AGES + 2))
    assert main(Comparison(age, live, SETTINGS)).verdict == "moved"
    assert main(Comparison(age, live, with_floors(age=1.5))).verdict == "moved"
    small = main(Comparison(age, live, with_floors(age=3.0)))
    assert small.verdict == "small"
    assert small.reason.endswith("real but small: 2 in its own unit, 3 would matter")


def test_a_category_has_a_floor_as_a_share_and_an_output_a_name_of_its_own() -> None:
    colour = summarise("colour", column_of(["red", "blue"] * 500))
    live = colour.counts_of(column_of(["red"] * 590 + ["blue"] * 410))
    settings = with_floors(colour=0.1)
    assert main(Comparison(colour, live, SETTINGS)).verdict == "moved"
    assert main(Comparison(colour, live, settings)).verdict == "small"
    assert main(Comparison(colour, live, settings, role="output")).verdict == "moved"
    own = dataclasses.replace(SETTINGS, effect_floors={"output:colour": 0.1})
    assert main(Comparison(colour, live, own, role="output")).verdict == "small"


def test_a_floor_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="effect_floors"):
        with_floors(age=-1.0)


def test_every_reading_says_how_far_which_way_and_how_severe() -> None:
    age = summarise("age", column_of(AGES), "number")
    live = np.concatenate([AGES * 1.2 - 3, [np.nan] * 100])
    details = ks(Comparison(age, age.counts_of(column_of(live)), SETTINGS)).details
    quartiles = [np.quantile(x, [0.25, 0.5, 0.75]) for x in (AGES, AGES * 1.2 - 3)]
    assert details["quartile_shifts"] == pytest.approx(quartiles[1] - quartiles[0], abs=0.5)
    assert details["median_shift"] == pytest.approx(quartiles[1][1] - quartiles[0][1], abs=0.5)
    assert details["missing_rate"] == 100 / 2_100
    assert details["missing_rate_reference"] == 0
    assert details["wasserstein_sd"] == pytest.approx(details["wasserstein"] / AGES.std())
    assert details["direction"] == "up"
    colour = summarise("colour", column_of(["red"] * 300 + ["blue"] * 700 + ["grey"]))
    fewer = colour.counts_of(column_of(["red"] * 30 + ["blue"] * 170))
    details = chi_square(Comparison(colour, fewer, SETTINGS)).details
    assert (details["category"], details["direction"]) == ("blue", "up")
    assert details["absent"] == 1
    assert details["severity"] == pytest.approx(0.15 / 0.225, abs=0.01)


def effect(value: float, floor: float | None, unit: str = effects.IN_ROWS) -> Effect:
    return Effect(name="x", value=value, floor=floor, unit=unit)


@given(SIZES, SIZES, SIZES)
def test_severity_rises_from_nothing_to_one_with_its_half_at_the_floor(
    one: float, other: float, floor: float
) -> None:
    low, high = (effects.severity(effect(x, floor)) for x in sorted((one, other)))
    assert 0 <= low <= high <= 1
    assert effects.severity(effect(0.0, floor)) == 0
    if floor > 0:
        assert effects.severity(effect(floor, floor)) == 0.5
        assert effects.severity(effect(-9 * floor, floor)) == pytest.approx(0.9)


def test_without_a_floor_the_default_of_the_unit_scales_severity() -> None:
    assert effects.severity(effect(0.1, 0.0, effects.IN_SD)) == 0.5
    assert effects.severity(effect(SETTINGS.effect_floor_share, None)) == 0.5
    assert effects.severity(effect(effects.LARGEST, 1.0)) == 1


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_shifts_are_finite_and_have_a_direction(before: float, after: float) -> None:
    moved = effects.shift(before, after)
    assert np.isfinite(moved)
    assert effects.direction(before, after) == effects.direction(0.0, moved)


def test_names_of_no_feature_are_told() -> None:
    known = {"age", "output:prediction"}
    assert effects.notes({"age": 1.0}, known) == []
    assert effects.notes({"age": 1.0, "agee": 2.0, "prediction": 0.1}, known) == [
        "effect_floors names what the reference has not: agee, prediction"
    ]
