"""stream.disparities: gaps between groups, those of the batch whatever order truth comes in."""

import dataclasses
import datetime
import functools
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from agents import registration
from agents.explain import lines
from agents.roles import Roles
from agents.settings import BadSettings, load
from agents.show import sureness
from agents.tables import Table
from agents.tail import evaluation_text
from stream.columns import column_of
from stream.contrasts import Group, difference, ratio
from stream.disparities import notes
from stream.events import Alert, Evaluation, Prediction, Truth, milliseconds
from stream.explanations import explain
from stream.objectives import OF_GROUPS, Objective
from stream.references import Reference
from stream.settings import DAY_S, ModelSettings
from tests import tales
from tests.tales import DAILY, DAY_MS, START_MS, Tale, Way

PER_DAY, DAYS, TURNED = 700, 3, 1
SEXES = {"F": 0.5, "M": 0.42, "X": 0.08}
GOALS: dict[str, float | Objective] = {
    "selection_rate_difference": Objective(0.05, minimum_labels=200),
    "selection_rate_ratio": 0.9,
    "true_positive_rate_difference": 0.05,
    "calibration_difference": 0.3,
}
SETTINGS = dataclasses.replace(
    DAILY,
    minimum_rows=100,
    power=0,
    segments=("sex",),
    protected=("sex",),
    objectives=GOALS,
    estimate="off",
    complete_coverage=0.0,
)


@dataclasses.dataclass(frozen=True)
class Row:
    """What is known of a prediction in the end. label: None where none came, or was taken back."""

    key: str
    sex: str
    score: float
    answer: str
    label: str | None


@functools.cache
def day(number: int) -> list[Row]:
    """From the second day on women get the positive answer less often, for the same truth."""
    rng = np.random.default_rng(70 + number)
    found = []
    for i in range(PER_DAY):
        sex = str(rng.choice([*SEXES], p=[*SEXES.values()]))
        score = float(rng.choice([0.05, 0.2, 0.45, 0.6, 0.8, 0.95]))
        label = str(int(rng.random() < score))
        bar = 0.7 if number >= TURNED and sex == "F" else 0.5
        known = None if i % 11 == 5 or i % 13 == 0 else label
        found.append(Row(f"{number}-{i}", sex, score, str(int(score > bar)), known))
    return found


@functools.cache
def reference(labels: bool = True) -> Reference:
    rows = [row for n in range(4) for row in day(-10 - n)]
    columns = {
        "x": column_of([row.score * 2 for row in rows]),
        "sex": column_of([row.sex for row in rows]),
        "said": column_of([row.answer for row in rows]),
        "score": column_of([row.score for row in rows]),
    } | ({"label": column_of([row.label for row in rows])} if labels else {})
    label = "label" if labels else None
    roles = Roles("said", score="score", label=label, segments={"sex": "sex"})
    return registration.build(Table(columns, {}, len(rows)), "m", "1", roles, SETTINGS)[0]


@functools.cache
def story(labels: bool = True) -> Tale:
    """Truth a day late: sent twice, revised, taken back."""
    events: list[Prediction | Truth] = []
    for number in range(DAYS):
        for i, row in enumerate(day(number)):
            at = START_MS + number * DAY_MS + i * DAY_MS // PER_DAY
            given = {"sex": row.sex}
            events.append(
                Prediction(row.key, "m", "1", at, {"x": row.score * 2}, prediction=row.answer,
                           score=row.score, segments=given)
            )  # fmt: skip
            known = at + DAY_MS
            if i % 13 == 0:
                events.append(Truth(row.key, "m", known, "1"))
                events.append(Truth(row.key, "m", known + 1, None, revision=1, retracted=True))
            elif row.label is not None and i % 7 == 0:
                events.append(Truth(row.key, "m", known, str(1 - int(row.label))))
                events.append(Truth(row.key, "m", known + 1, row.label, revision=1))
            elif row.label is not None:
                events += [Truth(row.key, "m", known, row.label)] * (1 + (i % 5 == 0))
    end_ms = START_MS + (DAYS + 1) * DAY_MS
    ordered = sorted((e for e in events if e.time < end_ms), key=lambda e: e.time)
    return Tale(reference(labels), ordered, end_ms)


def by_group(rows: list[Row]) -> dict[str, list[Row]]:
    groups = {sex: [row for row in rows if row.sex == sex] for sex in SEXES}
    return {sex: some for sex, some in groups.items() if len(some) >= SETTINGS.minimum_rows}


def batch_of_inputs(number: int) -> dict[str, dict[str, float]]:
    found = {
        sex: float(np.mean([row.answer == "1" for row in some]))
        for sex, some in by_group(day(number)).items()
    }
    return {"selection_rate_difference": found, "selection_rate_ratio": found}


def batch_of_quality(number: int) -> dict[str, dict[str, float]]:
    """By scikit-learn's confusion, of the labels that are there in the end."""
    found: dict[str, dict[str, float]] = {}
    for sex, some in by_group([row for row in day(number) if row.label is not None]).items():
        labels = [row.label for row in some]
        ((tn, fp), (fn, tp)) = confusion_matrix(labels, [row.answer for row in some])
        gap = np.mean([row.score for row in some]) - np.mean([y == "1" for y in labels])
        rates = {
            "true_positive_rate_difference": tp / (tp + fn),
            "false_positive_rate_difference": fp / (fp + tn),
            "calibration_difference": float(gap),
        }
        for metric, value in rates.items():
            found.setdefault(metric, {})[sex] = value
    return found


def told(pipeline: Any, subject: str) -> list[tuple[int, Evaluation]]:
    """Evaluations by the number of the day of their predictions."""
    found = []
    for event in tales.events(pipeline, "evaluations"):
        if event["subject"] == subject:
            end = milliseconds(datetime.datetime.fromisoformat(event["window"]["end"]))
            number = (end - START_MS) // DAY_MS - (1 if subject == "inputs" else 2)
            if 0 <= number < DAYS:
                found.append((number, msgspec.convert(event, Evaluation)))
    return found


@functools.cache
def played() -> Any:
    return tales.play(story(), SETTINGS, Way(2, 3, 77))


def test_gaps_are_those_of_the_batch() -> None:
    seen: dict[str, list[int]] = {"inputs": [], "quality": []}
    for subject, batch in (("inputs", batch_of_inputs), ("quality", batch_of_quality)):
        for number, event in told(played(), subject):
            seen[subject].append(number)
            found = {one.metric: one for one in event.disparities}
            for metric, groups in batch(number).items():
                one = found[metric]
                assert {g.group: g.value for g in one.groups} == pytest.approx(groups, abs=1e-9)
                low, high = min(groups.values()), max(groups.values())
                value = low / high if metric.endswith("ratio") else high - low
                assert one.value == pytest.approx(value, abs=1e-9)
                assert one.low <= one.value <= one.high
                assert one.left_out == ["X"]
                assert one.segment == "sex"
            if subject == "quality":
                both = [found[f"{kind}_positive_rate_difference"] for kind in ("true", "false")]
                worst = found["equalized_odds_difference"]
                assert worst.value == max(one.value for one in both)
                assert worst.high >= max(one.high for one in both)
    assert seen == {"inputs": [0, 1, 2], "quality": [0, 1, 2]}


def test_an_interval_is_that_of_its_two_groups() -> None:
    found = {one.metric: one for one in told(played(), "inputs")[1][1].disparities}
    rows = by_group(day(1))
    groups = [
        Group(sex, sum(r.answer == "1" for r in some) / len(some), len(some), len(some))
        for sex, some in rows.items()
    ]
    one, other = difference(groups), ratio(groups)
    assert one is not None
    assert other is not None
    shown = found["selection_rate_difference"]
    assert shown.n == sum(map(len, rows.values()))
    assert (shown.low, shown.high) == pytest.approx((one.low, one.high))
    shown = found["selection_rate_ratio"]
    assert (shown.low, shown.high) == pytest.approx((other.low, other.high))


def test_what_is_promised_is_judged_and_nothing_else() -> None:
    verdicts = {
        (subject, number): {r.check: r.verdict for r in event.readings if r.check in OF_GROUPS}
        for subject in ("inputs", "quality")
        for number, event in told(played(), subject)
    }
    kept = {"selection_rate_difference": "ok", "selection_rate_ratio": "ok"}
    missed = dict.fromkeys(kept, "moved")
    assert [verdicts["inputs", n] for n in range(DAYS)] == [kept, missed, missed]
    of_truth = {"true_positive_rate_difference": "ok", "calibration_difference": "ok"}
    broken = of_truth | {"true_positive_rate_difference": "moved"}
    assert [verdicts["quality", n] for n in range(DAYS)] == [of_truth, broken, broken]


def test_provisional_gaps_are_told_and_not_judged() -> None:
    s = dataclasses.replace(SETTINGS, complete_coverage=0.9)
    for number, event in told(tales.play(story(), s, Way()), "quality"):
        found = [r for r in event.readings if r.check in OF_GROUPS]
        assert {r.verdict for r in found} == {"not-enough-data"}
        assert all(r.reason.startswith("provisional, not judged: ") for r in found)
        metrics = {one.metric for one in event.disparities}
        assert metrics == {*batch_of_quality(number), "equalized_odds_difference"}


def test_a_broken_promise_is_an_alert_of_its_own_that_asks_for_no_retraining() -> None:
    alerts = [msgspec.convert(e, Alert) for e in tales.events(played(), "alerts")]
    (first, *_) = [e for e in alerts if e.cause == "groups"]
    assert (first.state, first.severity) == ("firing", "page")
    assert {p.cause for p in first.parts} == {
        "quality:selection_rate_difference by sex",
        "quality:selection_rate_ratio by sex",
    }
    assert "groups of a protected attribute" in first.meaning.lower()
    assert "share of positive answers by sex: F " in first.summary
    assert "worse than its objective 0.05" in first.summary
    assert first.summary.endswith("; with selection_rate_ratio by sex")
    assert sureness(first) == f"{first.reading.n:,} predictions"
    later = [p.cause for e in alerts if e.cause == "groups" for p in e.parts]
    assert "quality:true_positive_rate_difference by sex" in later
    for request in tales.events(played(), "retrain-requests"):
        assert "by sex" not in json.dumps(request["evidence"])


def test_gaps_change_nothing_else_that_is_said() -> None:
    """Neither the levels of other checks nor what is told of all rows and of segments."""
    plain = dataclasses.replace(SETTINGS, protected=(), objectives={})
    found = [tales.events(p, "evaluations") for p in (played(), tales.play(story(), plain, Way()))]
    for event in found[0]:
        event["readings"] = [r for r in event["readings"] if r["check"] not in OF_GROUPS]
        assert event.pop("disparities") or not event["rows"]
    for event in found[1]:
        assert event.pop("disparities") == []
    assert sorted(map(json.dumps, found[0])) == sorted(map(json.dumps, found[1]))


WAYS = st.builds(
    Way, st.sampled_from((1, 2, 4)), st.sampled_from((1, 3)), st.sampled_from((61, 900)),
    st.integers(0, 99), st.booleans(),
)  # fmt: skip


@functools.cache
def expected(labels: bool) -> tales.Published:
    return tales.without_offsets(tales.published(tales.play(story(labels), SETTINGS, Way())))


@pytest.mark.parametrize("labels", [True, False])
@settings(max_examples=3, deadline=None)
@given(way=WAYS)
def test_the_same_rows_give_the_same_bytes_however_they_come(labels: bool, way: Way) -> None:
    found = tales.published(tales.play(story(labels), SETTINGS, way))
    assert tales.without_offsets(found) == expected(labels)


def test_without_labels_in_the_reference_answers_alone_are_compared() -> None:
    """What is kept of predictions must not depend on when a reference came to be."""
    found = tales.play(story(False), SETTINGS, Way())
    assert all(event.disparities for _, event in told(found, "inputs"))
    assert [event.disparities for _, event in told(found, "quality")] == [[]] * DAYS


@settings(max_examples=2, deadline=None)
@given(WAYS)
def test_the_first_rows_stand_for_a_reference_too(way: Way) -> None:
    one, other = (
        tales.published(tales.play(story(False), SETTINGS, some, known=False))
        for some in (way, Way())
    )
    assert tales.without_offsets(one) == tales.without_offsets(other)


def test_a_segments_answer_that_its_reference_never_gave_is_counted_or_left_out() -> None:
    """In the reference women never got the positive answer; then some do."""
    rows = [dataclasses.replace(r, answer="0" if r.sex == "F" else r.answer) for r in day(-10)]
    columns = {
        "x": column_of([row.score for row in rows]),
        "sex": column_of([row.sex for row in rows]),
        "said": column_of([row.answer for row in rows]),
    }
    roles = Roles("said", segments={"sex": "sex"})
    never, _ = registration.build(Table(columns, {}, len(rows)), "m", "1", roles, SETTINGS)
    found = told(
        tales.play(dataclasses.replace(story(), reference=never), SETTINGS, Way()), "inputs"
    )
    for number, event in found:
        groups = batch_of_inputs(number)["selection_rate_ratio"]
        shown = {g.group: g.value for g in event.disparities[0].groups}
        assert shown == pytest.approx(groups)
    strange = [
        msgspec.structs.replace(e, prediction="2")
        if isinstance(e, Prediction) and not i % 50
        else e
        for i, e in enumerate(story().events)
    ]
    tale = dataclasses.replace(story(), reference=never, events=strange)
    for _, event in told(tales.play(tale, SETTINGS, Way()), "inputs"):
        assert event.disparities == []
        reasons = {r.reason for r in event.readings if r.check in OF_GROUPS}
        assert reasons == {
            "share of positive answers by sex: fewer than two groups with enough rows to tell"
        }


def test_what_cannot_be_told_is_said() -> None:
    plain = dataclasses.replace(reference(), outputs={})
    assert notes(plain, SETTINGS) == [
        "shares of positive answers by sex are not known: the reference has no answers"
    ]
    assert notes(reference(), SETTINGS) == []
    assert notes(plain, dataclasses.replace(SETTINGS, protected=(), objectives={})) == []


def test_gaps_are_explained_and_printed() -> None:
    told_lines = [text for word, text in lines(explain("m", "1", reference(), SETTINGS))]
    (line,) = [text for text in told_lines if "protected" in text]
    assert line.startswith(
        "sex: protected, gaps between its groups: selection_rate_difference at most 0.05, "
        "selection_rate_ratio at least 0.9, "
    )
    assert not any("watched" in text and "selection" in text for text in told_lines)
    silent = dataclasses.replace(SETTINGS, objectives={})
    found = explain("m", "1", reference(), silent).segments
    assert "sex: protected, gaps between its groups: told and not judged, for no objective" in found
    text = evaluation_text(told(played(), "inputs")[1][1])
    assert "\n    selection_rate_difference by sex: 0." in text
    assert "): F 0." in text


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"protected": ("sex",)}, "names in `segments`"),
        ({"segments": ("sex",), "protected": ("sex", "sex")}, "names in `segments`"),
        ({"objectives": {"selection_rate_ratio": 0.8}}, "where no `protected` is set"),
        (
            {"segments": ("sex",), "protected": ("sex",), "task": "regression",
             "objectives": {"selection_rate_ratio": 0.8}},
            "there is no 'selection_rate_ratio'",
        ),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ModelSettings(**keys)


def test_they_are_set_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "driftline.toml"
    path.write_text(
        '[models.m]\nsegments = ["sex"]\nprotected = ["sex"]\nwindows_s = ["7d"]\n'
        "[models.m.objectives]\n"
        'selection_rate_difference = { value = 0.1, window_s = "7d", minimum_labels = 200 }\n'
    )
    found = load(path).model("m")
    assert found.objectives == {
        "selection_rate_difference": Objective(0.1, 7 * DAY_S, minimum_labels=200)
    }
    assert not found.promises_quality
    path.write_text(path.read_text().replace('protected = ["sex"]', ""))
    with pytest.raises(BadSettings, match="protected"):
        load(path)
