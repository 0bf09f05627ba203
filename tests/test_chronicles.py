"""Chronicles: references whose rows have times, from the columns to the judgements."""

import dataclasses

import msgspec
import numpy as np
import pytest

from stream.calibrations import UNCALIBRATED
from stream.chronicles import NO_TIME, calibrated
from stream.columns import Column, Floats, Ints, column_of
from stream.evaluations import inputs_evaluation, level_of
from stream.events import Evaluation, Reading
from stream.judgements import shares
from stream.parts import Parts
from stream.references import Reference
from stream.settings import DAY_S, ModelSettings
from stream.shares import Share
from stream.subjects import Subject
from stream.windows import Merged

HOURS, ROWS, HOUR_MS = 240, 60, 3_600_000
N = HOURS * ROWS
SETTINGS = ModelSettings(effect_floor_sd=0.0)
TIMES = np.repeat(np.arange(HOURS) * HOUR_MS, ROWS)
RANDOM = np.random.default_rng(1)
COLUMNS = {
    "x": Column(RANDOM.normal(size=N)),
    "age": Column(RANDOM.integers(18, 90, N).astype(float)),
    "word": column_of([("a", "b", "c")[i % 3] for i in range(N)]),
    "constant": Column(np.full(N, 2.5)),
}
SURE = Column(RANDOM.uniform(0.5, 1, N))
PLAIN = Reference.build("m", "1", COLUMNS, confidence=SURE.numbers)


def timed(times: Ints = TIMES, settings: ModelSettings = SETTINGS) -> Reference:
    return calibrated(PLAIN, COLUMNS, {"confidence": SURE}, times, settings)


REFERENCE = timed()


def evaluation(
    reference: Reference, shift: float, settings: ModelSettings = SETTINGS
) -> Evaluation:
    share, rows = Share(reference), slice(0, 24 * ROWS)
    some = {name: column.take(rows) for name, column in COLUMNS.items()}
    some["x"] = Column(some["x"].numbers + shift)
    zeros = np.zeros(24 * ROWS, dtype=np.int64)
    share.update(some, None, SURE.numbers[rows], zeros)
    of = Subject("m", "1", settings, 10 * DAY_S * 1000, 11 * DAY_S * 1000)
    return inputs_evaluation(of, reference, Merged(share))


def test_numbers_that_vary_are_calibrated() -> None:
    found = REFERENCE.calibration
    assert found is not None
    assert (set(found.features), set(found.outputs)) == ({"x", "age", "word"}, {"confidence"})
    assert (found.panes, found.days, found.rows_a_pane) == (240, 10, 60.0)
    lengths = [3_600, DAY_S, 2 * DAY_S, 3 * DAY_S]  # so far as the reference has three of them
    assert [w.window_s for w in found.windows] == lengths
    assert len({w.laws for w in found.windows[1:]}) == 1


def test_categories_alone_are_calibrated_as_they_are_beside_numbers() -> None:
    found = timed(settings=dataclasses.replace(SETTINGS, ignore=("x", "age", "confidence")))
    assert found.calibration is not None
    assert REFERENCE.calibration is not None
    assert set(found.calibration.features) == {"word"}
    assert found.calibration.features["word"] == REFERENCE.calibration.features["word"]
    assert (found.calibration.panes, found.calibration.rows_a_pane) == (240, 60.0)
    assert Reference.from_bytes(found.to_bytes()).calibration == found.calibration


def test_a_feature_that_is_ignored_is_not() -> None:
    found = timed(settings=dataclasses.replace(SETTINGS, ignore=("x",))).calibration
    assert found is not None
    assert set(found.features) == {"age", "word"}


@pytest.mark.parametrize("times", [np.full(N, NO_TIME), np.zeros(N, dtype=np.int64)])
def test_rows_that_tell_no_order_leave_the_reference_as_it_was(times: Ints) -> None:
    assert timed(times) == dataclasses.replace(PLAIN, calibration=None) or (
        timed(times).id == PLAIN.id
    )


def test_what_is_not_calibrated_keeps_its_id_and_its_bytes() -> None:
    assert "calibration" not in PLAIN.document()
    assert all("calibration" not in part for part in PLAIN.to_parts(10_000))
    assert REFERENCE.id != PLAIN.id


def test_the_order_of_rows_does_not_matter_but_their_times_do() -> None:
    order = np.random.default_rng(2).permutation(N)
    mixed = {name: column.take(order) for name, column in COLUMNS.items()}
    answers = {"confidence": SURE.take(order)}
    assert calibrated(PLAIN, mixed, answers, TIMES[order], SETTINGS).id == REFERENCE.id
    assert timed(TIMES[order]).id != REFERENCE.id


def test_a_calibration_comes_through_bytes_and_parts() -> None:
    assert Reference.from_bytes(REFERENCE.to_bytes()).calibration == REFERENCE.calibration
    parts, found = Parts(), None
    told = [msgspec.json.decode(msgspec.json.encode(p)) for p in REFERENCE.to_parts(10_000)]
    assert len(told) > 1
    for part in reversed(told):
        parts = Parts.from_bytes(parts.to_bytes())
        found = parts.add(part) or found
    assert found is not None
    assert (found.id, found.calibration) == (REFERENCE.id, REFERENCE.calibration)


def test_a_part_holds_the_figures_of_its_own_features() -> None:
    for part in REFERENCE.to_parts(10_000):
        assert set(part["calibration"]["features"]) <= set(part["features"])


def test_a_calibrated_window_says_how_often_a_month_chance_does_as_much() -> None:
    moved = {r.subject: r for r in evaluation(REFERENCE, 0.3).readings}["x"]
    assert moved.verdict == "moved"
    assert "chance does as much in fewer than one month in" in moved.reason
    assert float(str(moved.details["by_chance_a_month"])) < 1.0
    assert moved.details["variance_inflation"] == pytest.approx(1.0, abs=0.2)
    quiet = {r.subject: r for r in evaluation(REFERENCE, 0.0).readings}["x"]
    assert (quiet.verdict, quiet.level) == ("ok", moved.level)
    assert quiet.p_value is not None
    assert quiet.level is not None
    assert quiet.p_value > quiet.level
    assert quiet.p_value == {r.subject: r for r in evaluation(PLAIN, 0.0).readings}["x"].p_value


def test_rows_that_stand_for_fewer_need_a_larger_gap() -> None:
    found = REFERENCE.calibration
    assert found is not None
    inflated = msgspec.structs.replace(found, features={"x": (9.0, 9.0), "age": (1.0, 1.0)})
    reference = dataclasses.replace(REFERENCE, calibration=inflated)
    verdicts = [
        {r.subject: r.verdict for r in evaluation(reference, shift).readings}["x"]
        for shift in (0.15, 0.9)
    ]
    assert verdicts == ["ok", "moved"]
    assert {r.subject: r.verdict for r in evaluation(REFERENCE, 0.15).readings}["x"] == "moved"


def test_what_is_not_calibrated_is_judged_beside_it_at_its_share_of_the_budget() -> None:
    numbers, others = shares(REFERENCE, SETTINGS)
    assert (numbers, others) == pytest.approx((4 / 5, 1 / 5))  # the constant is a number too
    word = {r.subject: r for r in evaluation(REFERENCE, 0.0).readings}["word"]
    assert word.level is not None
    assert word.level <= others / 720


def test_half_of_the_budget_is_for_quality_where_it_can_be_judged() -> None:
    known = dataclasses.replace(PLAIN, quality={"accuracy": 0.9})
    assert sum(shares(known, SETTINGS)) == pytest.approx(0.5)
    never = dataclasses.replace(SETTINGS, expects_truth=False)
    assert sum(shares(known, never)) == pytest.approx(1.0)
    promised = dataclasses.replace(SETTINGS, objectives={"accuracy": 0.9})
    assert sum(shares(PLAIN, promised)) == pytest.approx(0.5)


def test_an_evaluation_says_what_its_reference_lacks() -> None:
    assert UNCALIBRATED in evaluation(PLAIN, 0.0).notes
    assert evaluation(REFERENCE, 0.0).notes == [
        "10d of reference, windows of 1d: 1 is not promised"
    ]


def test_other_panes_than_those_calibrated_are_judged_as_without_calibration() -> None:
    minutes = dataclasses.replace(SETTINGS, pane_s=1_800)
    first, second = (evaluation(r, 0.3, minutes) for r in (REFERENCE, PLAIN))
    assert first.readings == second.readings
    assert first.notes == ["uncalibrated: panes are of 30m, it was calibrated for 1h"]
    assert max(r.level or 0 for r in first.readings) <= level_of(minutes)


def test_categories_that_come_in_batches_need_a_larger_change() -> None:
    random = np.random.default_rng(4)
    often = random.beta(20, 20, HOURS + 24)  # each hour has a share of its own
    draws = random.random((HOURS + 24, ROWS)) < often[:, None]
    words = column_of([("b", "a")[int(x)] for x in draws.ravel()])
    columns = {"word": words.take(slice(0, N)), "x": COLUMNS["x"]}
    plain = Reference.build("m", "1", columns)
    reference = calibrated(plain, columns, {}, TIMES, SETTINGS)
    assert reference.calibration is not None
    assert reference.calibration.features["word"][-1] > 1.5

    def reading(known: Reference, column: Column) -> Reading:
        share, zeros = Share(known), np.zeros(len(column), dtype=np.int64)
        share.update({"word": column, "x": Column(np.zeros(len(column)))}, None, None, zeros)
        of = Subject("m", "1", SETTINGS, 10 * DAY_S * 1000, 11 * DAY_S * 1000)
        found = inputs_evaluation(of, known, Merged(share)).readings
        return {r.subject: r for r in found if r.check == "chi-square"}["word"]

    live = words.take(slice(N, None))
    calm, naive = reading(reference, live), reading(plain, live)
    assert calm.p_value == naive.p_value
    assert calm.level is not None
    assert naive.level is not None
    assert calm.level < naive.level / 10
    assert calm.verdict != "moved"
    moved = reading(reference, column_of(["a"] * len(live)))
    assert moved.verdict == "moved"
    assert "chance does as much in fewer than one month in" in moved.reason


def test_missing_values_that_come_together_need_a_larger_change() -> None:
    random = np.random.default_rng(5)

    def holed(hours: int, often: float, together: bool) -> Column:
        share = random.beta(often, 19 * often, hours) if together else np.full(hours, 0.05)
        values: Floats = random.normal(size=hours * ROWS)
        values[random.random(hours * ROWS) < np.repeat(share, ROWS)] = np.nan
        return Column(values)

    def reference_of(column: Column) -> Reference:
        columns = {"x": column, "y": COLUMNS["x"]}
        return calibrated(Reference.build("m", "1", columns), columns, {}, TIMES, SETTINGS)

    even, uneven = (reference_of(holed(HOURS, 0.5, together)) for together in (False, True))
    figures = [r.calibration.missing["x"][-1] for r in (even, uneven) if r.calibration]
    assert figures[0] == pytest.approx(1.0, abs=0.3)
    assert figures[1] > 3
    assert "y" not in uneven.calibration.missing  # type: ignore[union-attr]

    def reading(known: Reference, column: Column) -> Reading:
        share, zeros = Share(known), np.zeros(len(column), dtype=np.int64)
        share.update({"x": column, "y": Column(zeros.astype(np.float64))}, None, None, zeros)
        of = Subject("m", "1", SETTINGS, 10 * DAY_S * 1000, 11 * DAY_S * 1000)
        found = inputs_evaluation(of, known, Merged(share)).readings
        return {r.subject: r for r in found if r.check == "missing"}["x"]

    live = column_of([None if i % 11 == 0 else 1.0 for i in range(24 * ROWS)])  # not one of 20
    plain = dataclasses.replace(uneven, calibration=None)
    assert (reading(uneven, live).level or 0) < (reading(plain, live).level or 0) / 10
    assert reading(uneven, live).p_value == reading(plain, live).p_value


def test_what_varies_beside_features_comes_through_bytes_and_parts_and_is_else_left_out() -> None:
    assert REFERENCE.calibration is not None
    assert not {"missing", "quality"} & REFERENCE.document()["calibration"].keys()
    figures = {"x": (1.5, 2.0, 2.0, 2.0), "output:prediction": (1.0, 3.0, 3.0, 3.0)}
    more = msgspec.structs.replace(
        REFERENCE.calibration, missing=figures, quality={"brier": (2.0, 2.5, 2.5, 2.5)}
    )
    reference = dataclasses.replace(REFERENCE, calibration=more)
    assert Reference.from_bytes(reference.to_bytes()).calibration == more
    parts, found = Parts(), None
    for part in reference.to_parts(10_000):
        assert "output:prediction" in part["calibration"]["missing"]
        found = parts.add(part) or found
    assert found is not None
    assert (found.id, found.calibration) == (reference.id, more)
