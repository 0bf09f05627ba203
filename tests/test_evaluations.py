"""All readings of a window, judged together."""

import dataclasses

import numpy as np
import pytest

from stream.cohorts import Cohorts
from stream.columns import column_of
from stream.evaluations import Known, inputs_evaluation, level_of, moved, quality_evaluation
from stream.events import Reading
from stream.gradings import UNCALIBRATED
from stream.outcomes import outcomes_of_rows
from stream.references import Reference
from stream.remarks import unreferenced_evaluation
from stream.settings import DAY_S, MONTH_S, ModelSettings
from stream.shares import Share
from stream.subjects import Subject
from stream.traffic import Traffic
from stream.windows import Merged

DAY_MS = DAY_S * 1000
SETTINGS = ModelSettings(pane_s=DAY_S, windows_s=(DAY_S,), minimum_rows=20)
OF = Subject("m", "1", SETTINGS, 10 * DAY_MS, 11 * DAY_MS)
REFERENCE = Reference.build(
    "m",
    "1",
    {"x": column_of([float(i) for i in range(100)])},
    prediction=column_of(["0", "1"] * 50),
    confidence=np.linspace(0.8, 1.0, 100),
    quality={"accuracy": 0.9},
    task="classification",
)


def reading(role: str, verdict: str = "ok", subject: str = "x", check: str = "ks") -> Reading:
    return Reading(check=check, subject=subject, role=role, n=1, verdict=verdict, reason="")  # type: ignore[arg-type]


def share(values: list[float], strange: bool = False) -> Share:
    found = Share(REFERENCE)
    n = len(values)
    features = {"x": column_of(values)}
    features |= {f"new{i}": column_of(values) for i in range(7)} if strange else {}
    found.update(features, column_of(["0"] * n), np.full(n, 0.9), np.zeros(n, dtype=np.int64))
    return found


def told(right: int, wrong: int, sure: float = 0.9, pane: int = 0) -> Cohorts:
    found = Cohorts()
    n = right + wrong
    labels = ["1"] * right + ["0"] * wrong
    scores = [(("1", sure), ("0", 1.0 - sure))] * n
    outcomes = outcomes_of_rows(labels, ["1"] * n, scores, [1] * n, "classification")
    found.cell(pane).update(outcomes)
    return found


def test_the_promise_is_shared_out_over_the_evaluations_of_a_month() -> None:
    monthly = dataclasses.replace(SETTINGS, pane_s=MONTH_S, windows_s=(MONTH_S,))
    assert level_of(monthly) == 0.05  # the ceiling
    assert level_of(SETTINGS) == pytest.approx(0.5 / 30)
    twice = dataclasses.replace(SETTINGS, windows_s=(DAY_S, 2 * DAY_S))
    assert level_of(twice) == pytest.approx(0.5 / 60)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], None),
        (["not-enough-data", "no-reference"], None),
        (["ok", "not-enough-data"], False),
        (["small", "insignificant"], False),
        (["ok", "moved"], True),
    ],
)
def test_moved_is_what_any_reading_says_and_unknown_where_none_can(
    verdicts: list[str], expected: bool | None
) -> None:
    assert moved([reading("input", v) for v in verdicts], ("input",)) is expected
    assert moved([reading("output", v) for v in verdicts], ("input",)) is None


def test_an_id_is_of_the_identity_and_never_of_what_was_measured() -> None:
    first = inputs_evaluation(OF, REFERENCE, Merged(share([1.0] * 30)))
    second = inputs_evaluation(OF, REFERENCE, Merged(share([2.0] * 50)))
    assert first.id == second.id
    again = dataclasses.replace(OF, revision=1)
    longer = dataclasses.replace(OF, start_ms=9 * DAY_MS)
    ids = {inputs_evaluation(o, REFERENCE, Merged(share([1.0]))).id for o in (OF, again, longer)}
    assert len(ids) == 3


def test_what_was_left_out_is_said() -> None:
    merged = Merged(share([1.0] * 30, strange=True), other=5, sampled=2_000, gone=7)
    assert inputs_evaluation(OF, REFERENCE, merged, 9 * DAY_MS).notes == [
        "no reference was registered: the model's own rows before 1970-01-10T00:00:00.000Z stand "
        "for one, so what was wrong by then is not seen",
        "5 rows counted against another reference are left out",
        "of 2,000 rows a sample of 30 is compared",
        "7 rows are left out: their counts were not kept that long",
        "not in the reference and not checked: new0, new1, new2, new3, new4 and 2 more",
        "uncalibrated: no time order",
    ]


def test_without_a_reference_it_says_how_many_rows_are_lacking() -> None:
    found = unreferenced_evaluation(OF, 60, 1_000, made=False)
    assert found.notes[0].startswith("no reference is registered: 60 rows collected so far; the")
    assert found.verdict.kind == "unknown"
    made = unreferenced_evaluation(OF, 1_200, 1_000, made=True)
    assert made.notes[0].endswith("from the end of this window on they stand for one")


KNOWN = Known(False, False, 500, "classification")


@pytest.mark.parametrize(
    ("cohorts", "kind"),
    [
        (told(90, 10), "healthy"),
        (told(60, 40), "concept-drift"),  # as sure as ever
        (told(60, 40, sure=0.6), "quality-loss"),  # it knows that it does not know
        (told(5, 5), "unknown"),
    ],
)
def test_quality_is_judged_with_the_confidence(cohorts: Cohorts, kind: str) -> None:
    known = KNOWN if kind != "unknown" else Known()
    found = quality_evaluation(OF, REFERENCE, cohorts, known)
    assert found.verdict.kind == kind
    assert found.rows == cohorts.rows


def test_confidence_says_nothing_where_accuracy_did_not_fall() -> None:
    found = quality_evaluation(
        OF,
        dataclasses.replace(REFERENCE, quality={"accuracy": 0.5, "log_loss": 0.01}),
        told(80, 20),
        KNOWN,
    )
    assert (found.verdict.quality, found.verdict.kind) == (True, "quality-loss")


def test_an_objective_is_enough_to_judge_by() -> None:
    wish = dataclasses.replace(SETTINGS, objectives={"accuracy": 0.9})
    of = dataclasses.replace(OF, settings=wish)
    assert quality_evaluation(of, None, told(50, 50), Known()).verdict.quality is True
    assert quality_evaluation(OF, None, told(50, 50), Known()).verdict.quality is None


@pytest.mark.parametrize(
    ("reference", "right", "kind"),
    [
        (REFERENCE, 88, "below-objective"),  # as in the reference, which was promised too much of
        (REFERENCE, 60, "concept-drift"),
        (None, 60, "quality-loss"),  # nothing is known to compare with
    ],
)
def test_a_broken_promise_alone_is_no_fall(
    reference: Reference | None, right: int, kind: str
) -> None:
    wish = dataclasses.replace(SETTINGS, objectives={"accuracy": 0.99})
    of = dataclasses.replace(OF, settings=wish)
    verdict = quality_evaluation(of, reference, told(right, 100 - right), KNOWN).verdict
    assert (verdict.quality, verdict.kind) == (True, kind)
    assert ("fell" in verdict.meaning.lower().replace("that it fell is not shown", "")) == (
        kind != "below-objective"
    )


def test_coverage_names_the_predictions_the_truth_is_about() -> None:
    found = quality_evaluation(OF, REFERENCE, told(90, 10, pane=3 * DAY_MS), KNOWN)
    assert found.notes == [
        "truth for 100 of predictions made from 1970-01-04 to 1970-01-05, 500 in all",
        UNCALIBRATED,
    ]
    hourly = dataclasses.replace(OF, settings=ModelSettings())
    unknown = quality_evaluation(hourly, REFERENCE, told(90, 10, pane=3_600_000), Known(gone=3))
    assert unknown.notes == [
        "truth for 100 of predictions made from 1970-01-01T01:00:00.000Z to "
        "1970-01-01T02:00:00.000Z",
        "3 rows are left out: their counts were not kept that long",
        UNCALIBRATED,
    ]


def test_a_feature_that_stands_still_is_an_incident_and_values_out_of_range_are_none() -> None:
    reference = Reference.build("m", "1", {"x": column_of([float(i) for i in range(100)])})
    for check, values, kind in (
        ("constant", [20.0] * 100, "data-quality-incident"),
        ("range", [float(i) for i in range(60, 160)], "covariate-shift"),
    ):
        seen = Share(reference)
        seen.update({"x": column_of(values)}, None, None, np.zeros(100, dtype=np.int64))
        found = inputs_evaluation(OF, reference, Merged(seen))
        assert [(r.check, r.verdict) for r in found.readings] == [("ks", "moved"), (check, "moved")]
        assert found.verdict.kind == kind


def test_a_notice_alone_moves_nothing() -> None:
    usual = [float(i) for i in range(100)]
    few = Traffic(100, 0, (1_000,) * 7)
    found = inputs_evaluation(OF, REFERENCE, Merged(share(usual)), traffic=few)
    assert [r.verdict for r in found.readings if r.subject == "rows"] == ["moved"]
    assert found.verdict.inputs is False


def test_a_floor_for_a_feature_that_is_not_there_is_said() -> None:
    settings = dataclasses.replace(SETTINGS, effect_floors={"x": 1.0, "agee": 2.0})
    of = dataclasses.replace(OF, settings=settings)
    notes = inputs_evaluation(of, REFERENCE, Merged(share([float(i) for i in range(100)]))).notes
    assert "effect_floors names what the reference has not: agee" in notes
