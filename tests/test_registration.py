"""Registration: what a table of training data becomes, and what is said about what it lacks."""

import dataclasses
import math

import numpy as np
import pytest

from agents import registration
from agents.roles import Roles
from agents.tables import BadTable, Table
from stream.columns import Column, column_of
from stream.parts import Parts
from stream.settings import ModelSettings

ROWS = 400


def table(**more: Column) -> Table:
    random = np.random.default_rng(1)
    labels = random.random(ROWS) < 0.3
    scores = np.where(labels, 0.8, 0.1)
    columns = {
        "age": column_of(random.normal(40, 10, ROWS)),
        "branch": column_of([f"b{i % 40}" for i in range(ROWS)]),
        "score": column_of(scores),
        "rest": column_of(1 - scores),
        "answer": column_of(np.where(np.arange(ROWS) % 10 == 0, 1.0, labels)),
        "label": column_of(labels.astype(float)),
        **more,
    }
    return Table(columns, {}, ROWS)


def test_what_is_named_nowhere_is_a_feature() -> None:
    roles = Roles("answer", "score", label="label", ignore=("rest",))
    found, notes = registration.build(table(), "m", "1", roles)
    assert {name: f.kind for name, f in found.features.items()} == {
        "age": "number",
        "branch": "category",
    }
    assert set(found.outputs) == {"prediction", "confidence"}
    assert found.task == "classification"
    assert [note.partition(";")[0] for note in notes] == ["uncalibrated: no time order"]


def test_quality_is_measured_where_it_can_be() -> None:
    data = table()
    found, _ = registration.build(data, "m", "1", Roles("answer", "score", label="label"))
    right = data.columns["answer"].numbers == data.columns["label"].numbers
    assert found.quality["accuracy"] == right.mean()
    score, label = data.columns["score"].numbers, data.columns["label"].numbers
    loss = -np.log(np.where(label == 1, score, 1 - score)).mean()
    assert found.quality["log_loss"] == pytest.approx(loss)


def test_a_score_and_two_probabilities_say_the_same() -> None:
    score = Roles("answer", score="score", label="label", ignore=("rest",))
    pair = Roles("answer", probabilities={"1": "score", "0": "rest"}, label="label")
    one, _ = registration.build(table(), "m", "1", score)
    two, _ = registration.build(table(), "m", "1", pair)
    first, second = one.outputs["confidence"], two.outputs["confidence"]
    assert first.mean == pytest.approx(second.mean)
    assert one.quality["log_loss"] == pytest.approx(two.quality["log_loss"])


def test_regression() -> None:
    data = table()
    roles = Roles("age", label="score", ignore=("rest", "answer", "label"))
    found, notes = registration.build(data, "m", "1", roles)
    error = np.abs(data.columns["age"].numbers - data.columns["score"].numbers).mean()
    assert found.quality["mae"] == pytest.approx(error)
    assert any("confidence" in note for note in notes)


@pytest.mark.parametrize("time", [None, "row"])
def test_rows_without_hours_are_refused_where_they_are_compared_by_them(time: str | None) -> None:
    wish = ModelSettings(seasonality="hour-of-day")
    with pytest.raises(BadTable, match=r"seasonality = hour-of-day, .*: name the column of"):
        registration.build(table(), "m", "1", Roles(time=time), wish)


def test_rows_with_times_are_counted_by_hour_too() -> None:
    times = column_of((1.6e12 + np.arange(ROWS) * 3_600_000.0).tolist())
    wish = ModelSettings(seasonality="hour-of-week")
    found, _ = registration.build(table(at=times), "m", "1", Roles("answer", time="at"), wish)
    assert found.season == "hour-of-week"
    hours = [f.hours for f in (*found.features.values(), *found.outputs.values())]
    assert [h.rows.sum() if h else 0 for h in hours] == [ROWS] * len(hours)


def test_what_it_lacks_is_said() -> None:
    ids = column_of([f"id-{i}" for i in range(1_200)])
    data = Table({"id": ids, "age": column_of(np.arange(1_200.0))}, {"vector": "no"}, 1_200)
    _, notes = registration.build(data, "m", "1", Roles())
    said = "\n".join(notes)
    for part in ("'vector' is left out", "--ignore id", "--prediction", "quality"):
        assert part in said


def test_numbers_may_be_names() -> None:
    found, _ = registration.build(table(), "m", "1", Roles(categorical=("rest",)))
    assert found.features["rest"].kind == "category"


def test_weights_are_part_of_the_reference() -> None:
    plain, _ = registration.build(table(), "m", "1", Roles())
    weighed, _ = registration.build(table(), "m", "1", Roles(weights={"age": 0.3, "rest": 0.1}))
    assert weighed.weights == {"age": 0.3, "rest": 0.1}
    assert plain.id != weighed.id


CASES: dict[str, tuple[Roles, str]] = {
    "misspelt": (Roles(label="lable"), "did you mean 'label'"),
    "both": (Roles("answer", "score", {"1": "score"}), "not both"),
    "no answer": (Roles(score="score"), "prediction"),
    "words": (Roles("answer", "branch"), "'branch' holds words"),
    "weight of what is no feature": (Roles("answer", weights={"agge": 1.0}), "did you mean 'age'"),
    "nothing left": (
        Roles("answer", ignore=("age", "branch", "score", "rest", "label")),
        "no column is left",
    ),
}


def test_a_list_is_a_vector_that_can_be_left_out_and_be_nothing_else() -> None:
    own = {f"v[{i}]": column_of(np.arange(1_200.0) * i) for i in range(3)}
    data = dataclasses.replace(table(), vectors={"v": tuple(own)})
    data = dataclasses.replace(data, columns={**data.columns, **own})
    found, _ = registration.build(data, "m", "1", Roles())
    assert found.vectors.elements == {"v": tuple(own)}
    found, _ = registration.build(data, "m", "1", Roles(ignore=("v",)))
    assert not found.vectors
    for roles in (Roles("v"), Roles(label="v"), Roles(time="v"), Roles(categorical=("v",))):
        with pytest.raises(BadTable, match="'v' holds lists of numbers"):
            registration.build(data, "m", "1", roles)


@pytest.mark.parametrize("case", CASES)
def test_wrong_roles_are_refused(case: str) -> None:
    roles, said = CASES[case]
    with pytest.raises(BadTable, match=said):
        registration.build(table(), "m", "1", roles)


def test_missing_values_stay_missing() -> None:
    age = column_of([math.nan, *range(ROWS - 1)])
    found, _ = registration.build(table(age=age), "m", "1", Roles())
    assert found.features["age"].missing == 1


def test_its_parts_give_it_back() -> None:
    found, _ = registration.build(table(), "m", "1", Roles("answer", "score"))
    parts = Parts()
    whole = [parts.add(event) for event in found.to_parts(2_000, time=0)]
    assert len(whole) > 1
    assert whole[-1] is not None
    assert whole[-1].id == found.id


HOURS, IN_AN_HOUR = 48, 20
NUMBERS = np.random.default_rng(3).normal(size=HOURS * IN_AN_HOUR)
HOUR_OF_ROW = np.repeat(np.arange(HOURS), IN_AN_HOUR)
SPELLINGS = {
    "text": column_of([f"2026-01-{h // 24 + 1:02}T{h % 24:02}:30:00Z" for h in HOUR_OF_ROW]),
    "no zone": column_of([f"2026-01-{h // 24 + 1:02} {h % 24:02}:30:00" for h in HOUR_OF_ROW]),
    "milliseconds": column_of((1_767_225_600_000 + 3_600_000 * HOUR_OF_ROW).tolist()),
}


def timed(times: Column) -> Table:
    return Table({"x": Column(NUMBERS), "at": times}, {}, len(NUMBERS))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_column_of_times_calibrates_the_reference(spelling: str) -> None:
    found, notes = registration.build(timed(SPELLINGS[spelling]), "m", "1", Roles(time="at"))
    assert set(found.features) == {"x"}
    assert found.calibration is not None
    assert (found.calibration.panes, found.calibration.rows_a_pane) == (HOURS, IN_AN_HOUR)
    assert "uncalibrated: windows of 1d were not calibrated" in notes  # of two days


def test_rows_in_order_are_a_second_apart() -> None:
    settings = ModelSettings(pane_s=20, windows_s=(20, 40), panes_kept=10)
    roles = Roles(time="row", ignore=("at",))
    table = timed(SPELLINGS["text"])
    found, notes = registration.build(table, "m", "1", roles, settings)
    assert found.calibration is not None
    assert [w.window_s for w in found.calibration.windows] == [20, 40, 60, 80, 120, 160]
    assert "960s" not in notes[-1]


def test_rows_without_a_time_are_left_out_of_the_calibration() -> None:
    some = SPELLINGS["milliseconds"].numbers.copy()
    some[::2] = np.nan
    found, _ = registration.build(timed(Column(some)), "m", "1", Roles(time="at"))
    assert found.calibration is not None
    assert found.calibration.rows_a_pane == IN_AN_HOUR / 2
    assert found.rows == len(NUMBERS)


def test_what_tells_no_order_is_said() -> None:
    same = Column(np.full(len(NUMBERS), 1_767_225_600_000.0))
    found, notes = registration.build(timed(same), "m", "1", Roles(time="at"))
    assert found.calibration is None
    assert notes[-1].startswith("uncalibrated: too few panes with rows")


@pytest.mark.parametrize(
    "times", [column_of(HOUR_OF_ROW.tolist()), column_of(["noon"] * len(NUMBERS))]
)
def test_what_is_no_time_is_refused(times: Column) -> None:
    with pytest.raises(BadTable, match="column 'at', named by --time"):
        registration.build(timed(times), "m", "1", Roles(time="at"))


def test_a_column_of_times_must_be_there() -> None:
    with pytest.raises(BadTable, match="no column 'when'"):
        registration.build(timed(SPELLINGS["text"]), "m", "1", Roles(time="when"))
