"""Seasons: windows compared with what the reference had at the same hours."""

import dataclasses
import functools
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stream.chronicles import calibrated
from stream.columns import Column, Ints, column_of
from stream.events import Evaluation, Prediction, Reading
from stream.explanations import explain
from stream.features import FeatureReference, summarise
from stream.parts import Parts
from stream.pipeline import Pipeline
from stream.references import Reference
from stream.seasons import Seasonal, spread, tabulated
from stream.settings import DAY_S, HOUR_S, ModelSettings
from stream.shares import Share
from tests import tales

HOUR_MS, DAY_MS = HOUR_S * 1000, DAY_S * 1000
DAYS, ROWS = 14, 40
DAILY = ModelSettings(
    seasonality="hour-of-day",
    windows_s=(HOUR_S, DAY_S),
    minimum_rows=30,
    effect_floor_sd=0.0,
    lateness_s=0,
    label_lateness_s=0,
    idle_s=1e9,
    expects_truth=False,
)
PLAIN = dataclasses.replace(DAILY, seasonality="none")
START_MS = 1_600_041_600_000  # a Monday
Values = npt.NDArray[np.float64]


def seasonal(hours: Ints, random: np.random.Generator) -> dict[str, Column]:
    """Mean and spread follow the hour, as does the share of a name; zeros at night."""
    wave = np.sin(2 * np.pi * hours / 24)
    x = 3 * wave + random.normal(size=len(hours)) * (1 + wave / 2)
    night = np.where(hours % 24 < 6, 0.0, random.exponential(size=len(hours)))
    word = np.where(random.random(len(hours)) < 0.5 + 0.45 * wave, "day", "dark")
    return {"x": Column(x), "night": Column(night), "word": column_of(word.tolist())}


def rows_of(first: int, count: int) -> Ints:
    """The hour of each row, from one hour since START_MS on."""
    return np.repeat(np.arange(first, first + count), ROWS)


@functools.cache
def reference(seasonality: Any = "hour-of-day", days: int = DAYS) -> Reference:
    hours = rows_of(-24 * days, 24 * days)
    columns = seasonal(hours, np.random.default_rng(1))
    plain = Reference.build("m", "1", columns)
    wish = dataclasses.replace(DAILY, seasonality=seasonality)
    return calibrated(plain, columns, {}, START_MS + hours * HOUR_MS, wish)


def evaluations(
    known: Reference,
    wish: ModelSettings,
    columns: dict[str, Column],
    hours: Ints,
    partitions: int = 1,
    chunk: int = 10_000,
) -> list[Evaluation]:
    pipeline = Pipeline(lambda _: wish, partitions)
    for part in known.to_parts(600_000, time=START_MS, active_from=0):
        pipeline.control(part)
    x, night = columns["x"].numbers, columns["night"].numbers
    codes, words = columns["word"].codes, columns["word"].words
    assert codes is not None
    times = START_MS + hours * HOUR_MS + np.arange(len(hours)) % ROWS * 60_000
    rows = [
        (i, t, Prediction(str(i), "m", "1", t, {"x": a, "night": b, "word": words[c]}, None))
        for i, (t, a, b, c) in enumerate(
            zip(times.tolist(), x.tolist(), night.tolist(), codes.tolist(), strict=True)
        )
    ]
    for at in range(0, len(rows), chunk):
        pipeline.rows("predictions", 0, rows[at : at + chunk], rows[at : at + chunk][-1][1])
        pipeline.checkpoint()
        pipeline.restart()
    end = (int(times[-1]) // HOUR_MS + 1) * HOUR_MS
    pipeline.control({"type": "watermark", "model": "m", "time": end})
    pipeline.checkpoint()
    told = [m for m in pipeline.published if m.topic == "evaluations"]
    return [msgspec.json.decode(m.value, type=Evaluation) for m in told]


def last(found: list[Evaluation], window_s: int) -> dict[str, Reading]:
    panes = window_s // HOUR_S
    of = [e for e in found if e.window.panes == panes]
    return {r.subject: r for r in of[-1].readings if r.role == "input"}


@functools.cache
def live(first: int = 0, count: int = 24, shift: float = 0.0) -> list[Evaluation]:
    hours = rows_of(first, count)
    columns = seasonal(hours, np.random.default_rng(first + 2))
    wave = 1 + np.sin(2 * np.pi * hours / 24) / 2
    columns["x"] = Column(columns["x"].numbers + shift * wave)
    return evaluations(reference(), DAILY, columns, hours)


# ranks and weights


def feature(x: Values, hours: Ints, cells: int = 64) -> FeatureReference:
    plain = summarise("x", Column(x), "number")
    return dataclasses.replace(plain, hours=tabulated(plain, Column(x), hours, 24, cells))


def taken(f: FeatureReference, x: Values, hours: Ints) -> Seasonal:
    known = Reference("m", "1", {"x": f})
    found = Seasonal.of(DAILY)
    for hour in np.unique(hours).tolist():
        share, at = Share(known), hours == hour
        share.update({"x": Column(x[at])}, None, None, np.zeros(int(at.sum()), dtype=np.int64))
        found.add(hour, share, DAILY)
    return found


VALUES = st.lists(st.integers(-5, 5).map(float), min_size=5, max_size=40)


@settings(max_examples=60, deadline=None)
@given(VALUES, VALUES, VALUES, st.integers(2, 64))
def test_one_hour_is_compared_with_its_own_values_alone(
    first: list[float], other: list[float], now: list[float], cells: int
) -> None:
    x = np.array([*first, *other])
    f = feature(x, np.repeat([3, 4], [len(first), len(other)]), cells)
    found = taken(f, np.array(now), np.full(len(now), 3))
    expected, ranked = found.ranks(f, "input") or ([], [])
    assert (int(sum(expected)), int(sum(ranked))) == (len(first), len(now))
    middles = [
        (np.sum(np.array(first) < v) + np.sum(np.array(first) <= v)) / 2 / len(first) for v in first
    ]
    at = np.minimum((np.array(middles) * cells).astype(int), cells - 1)
    assert np.asarray(expected).tolist() == np.bincount(at, minlength=cells).tolist()
    gap = np.abs(np.cumsum(expected) / len(first) - np.cumsum(ranked) / len(now)).max()
    assert gap <= stats.ks_2samp(first, now, method="asymp").statistic + 1e-12  # never overstated
    if cells > 2 * len(first) and set(now) <= set(first):
        assert gap == pytest.approx(stats.ks_2samp(first, now, method="asymp").statistic)
    assert found.usual(f).rows == len(first)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.lists(st.integers(0, 60), min_size=24, max_size=24))
def test_a_window_is_compared_with_its_own_mix_of_hours(seed: int, mix: list[int]) -> None:
    random = np.random.default_rng(seed)
    hours = np.arange(24 * 30) % 24
    x = random.normal(size=len(hours)) + hours
    f, now = feature(x, hours), np.repeat(np.arange(24), mix)
    found = taken(f, now + random.normal(size=len(now)), now)
    usual = found.usual(f)
    n, worth = sum(mix), sum(m * m / 30 for m in mix)
    if not n:
        assert usual is f
        return
    assert usual.rows == pytest.approx(n * n / worth, abs=1.0)
    share = sum(m * spread(f, f.hours, h) / 30 for h, m in enumerate(mix) if f.hours) / n
    assert np.abs(np.cumsum(usual.counts) / usual.rows - np.cumsum(share)).max() <= 1 / usual.rows


def test_rows_of_an_hour_that_the_reference_has_not_are_left_out() -> None:
    f = feature(np.arange(100.0), np.full(100, 3))
    found = taken(f, np.arange(50.0), np.repeat([3, 4], 25))
    assert (found.left_out, int(found.rows.sum())) == (25, 25)


# windows


def test_nothing_moves_where_only_the_hours_go_by() -> None:
    found = live()
    assert "moved" not in {r.verdict for e in found for r in e.readings}
    assert {len(e.readings) >= 3 for e in found} == {True}


def test_an_hour_is_compared_with_its_own_and_not_with_the_day() -> None:
    columns = seasonal(rows_of(0, 7), np.random.default_rng(2))
    plain = last(evaluations(reference("none"), PLAIN, columns, rows_of(0, 7)), HOUR_S)
    own = last(live(count=7), HOUR_S)
    assert plain["x"].effect is not None
    assert own["x"].effect is not None
    assert plain["x"].effect.value > 2 * own["x"].effect.value
    assert (plain["x"].p_value or 0) < 1e-6 < (own["x"].p_value or 0)
    assert own["x"].details["looks_back_s"] == 4 * HOUR_S  # an hour of so few rows
    assert own["x"].n_reference == 4 * DAYS * ROWS  # of these four hours of the day
    assert "at the same hours" in own["x"].reason
    assert own["word"].p_value is not None
    assert own["word"].p_value > 0.01


@pytest.mark.parametrize("window_s", [HOUR_S, DAY_S])
def test_a_change_within_the_hours_is_found(window_s: int) -> None:
    reading = last(live(count=24, shift=1.0), window_s)["x"]
    assert (reading.verdict, reading.details["direction"]) == ("moved", "up")
    assert "points of the ranks within the hour, at" in reading.reason
    assert reading.details["by_chance_a_month"] is not None


def test_a_day_gains_too_where_hours_differ_more_than_what_changed() -> None:
    hours = rows_of(0, 24)
    columns = seasonal(hours, np.random.default_rng(2))
    columns["x"] = Column(columns["x"].numbers + 0.25)
    plain = last(evaluations(reference("none"), PLAIN, columns, hours), DAY_S)["x"]
    own = last(evaluations(reference(), DAILY, columns, hours), DAY_S)["x"]
    assert own.verdict == "moved"
    assert (plain.statistic or 1) < (own.statistic or 0)
    by_chance = [float(str(r.details["by_chance_a_month"])) for r in (own, plain)]
    assert by_chance[0] < by_chance[1]


def test_hours_of_the_week_tell_sundays_apart() -> None:
    hours = rows_of(-24 * 28, 24 * 28)
    sunday = hours // 24 % 7 == 6

    def columns_of(hours: Ints, sunday: npt.NDArray[np.bool_], seed: int) -> dict[str, Column]:
        found = seasonal(hours, np.random.default_rng(seed))
        return found | {"x": Column(found["x"].numbers + 4 * sunday)}

    known = columns_of(hours, sunday, 1)
    weekly = dataclasses.replace(DAILY, seasonality="hour-of-week")
    plain = Reference.build("m", "1", known)
    times, now = START_MS + hours * HOUR_MS, rows_of(0, 24)
    quiet = columns_of(now, np.zeros(len(now), dtype=np.bool_), 5)
    wrong = columns_of(now, np.ones(len(now), dtype=np.bool_), 5)
    made = calibrated(plain, known, {}, times, weekly)
    assert made.calibration is not None
    assert made.calibration.season == made.season == "hour-of-week"
    for columns, verdict in ((quiet, "ok"), (wrong, "moved")):
        assert last(evaluations(made, weekly, columns, now), DAY_S)["x"].verdict == verdict


@pytest.mark.parametrize(("partitions", "chunk"), [(2, 10_000), (3, 97)])
def test_the_same_for_any_partitions_chunks_and_restarts(partitions: int, chunk: int) -> None:
    columns = seasonal(rows_of(0, 7), np.random.default_rng(2))
    found = evaluations(reference(), DAILY, columns, rows_of(0, 7), partitions, chunk)
    assert found == live(count=7)


# references


def test_hours_and_calibration_come_through_parts() -> None:
    parts, found = Parts(), None
    for part in reference().to_parts(10_000):
        told = msgspec.json.decode(msgspec.json.encode(part))
        parts = Parts.from_bytes(parts.to_bytes())
        found = parts.add(told) or found
    assert found is not None
    assert (found.id, found.season) == (reference().id, "hour-of-day")
    assert Reference.from_bytes(found.to_bytes()).id == found.id


def test_without_hours_a_reference_is_what_it_was() -> None:
    known = reference("none")
    assert known.season == "none"
    assert "season" not in known.document()["calibration"]
    assert all("hours" not in f for f in known.document()["features"].values())


@pytest.mark.parametrize("seasonality", ["none", "hour-of-week"])
def test_a_reference_without_these_hours_is_refused_with_the_repair(seasonality: str) -> None:
    pipeline = Pipeline(lambda _: DAILY)
    for part in reference(seasonality).to_parts(600_000, time=START_MS):
        pipeline.control(part)
    pipeline.checkpoint()
    (letter,) = [m for m in pipeline.published if m.topic == "dead-letters"]
    headers = dict(letter.headers)
    assert headers["driftline-reason"] == b"bad-reference"
    assert b"seasonality = hour-of-day" in (headers["driftline-error"] or b"")
    assert b"driftline reference --time" in (headers["driftline-error"] or b"")


def test_a_reference_from_before_the_setting_is_said_to_lack_hours() -> None:
    wish = PLAIN
    pipeline = Pipeline(lambda _: wish)
    for part in reference("none").to_parts(600_000, time=START_MS, active_from=0):
        pipeline.control(part)
    pipeline.checkpoint()
    wish = DAILY
    pipeline.restart()
    rows = [
        (i, t, Prediction(str(i), "m", "1", t, {"x": 0.0}, None))
        for i, t in enumerate(range(START_MS, START_MS + HOUR_MS, 60_000))
    ]
    pipeline.rows("predictions", 0, rows, rows[-1][1])
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + HOUR_MS})
    pipeline.checkpoint()
    found = tales.events(pipeline, "evaluations")[0]
    assert (found["rows"], found["readings"]) == (60, [])
    (note,) = found["notes"]
    assert note.startswith("seasonality = hour-of-day: the reference has no hours; register")


def test_first_rows_do_not_become_a_reference_by_hour() -> None:
    pipeline = Pipeline(lambda _: dataclasses.replace(DAILY, reference_rows=30))
    rows = [
        (i, t, Prediction(str(i), "m", "1", t, {"x": 0.0}, None))
        for i, t in enumerate(range(START_MS, START_MS + 3 * HOUR_MS, 60_000))
    ]
    pipeline.rows("predictions", 0, rows, rows[-1][1])
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + 3 * HOUR_MS})
    pipeline.checkpoint()
    assert not pipeline.references
    told = tales.events(pipeline, "evaluations")
    assert {"--time COLUMN" in e["notes"][0] for e in told} == {True}


def test_too_few_days_are_not_calibrated() -> None:
    few = reference(days=5)
    assert (few.season, few.calibration) == ("hour-of-day", None)


def test_a_calibration_by_hour_says_nothing_of_plain_windows() -> None:
    found = explain("m", "1", reference(), PLAIN)
    assert found.promises == [
        "uncalibrated: seasonality is none, it was calibrated for hour-of-day"
    ]
    assert found.compared_with == "all rows of the reference"


def test_an_explanation_says_what_is_compared_and_finds_smaller_shifts() -> None:
    own = explain("m", "1", reference(), DAILY)
    assert "the same hours of the day (UTC)" in own.compared_with
    plain = explain("m", "1", reference("none"), PLAIN)
    hour, other = own.windows[0], plain.windows[0]
    assert hour.gap is not None
    assert other.gap is not None
    assert hour.gap < other.gap
