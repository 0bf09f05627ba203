"""Scorecards: every metric with its interval, and what it is held against, in plain lines."""

import dataclasses

import msgspec
import pytest

from agents.scorecards import metric_lines, objective_text, scorecard, truth_text
from agents.tail import evaluation_text
from stream import figures
from stream.blindness import GAP
from stream.estimates import ESTIMATED
from stream.events import Evaluation, Labels, Measured, Reading
from stream.quality import METRICS, MORE
from tests.histories import SETTINGS, Course, Kind, history, told

PROMISED = {"score": {"auroc": 0.7, "accuracy": 0.99}, "numbers": {"mae": 100.0}}


def evaluations(kind: Kind) -> list[Evaluation]:
    """Of quality, of windows with truth."""
    wish = dataclasses.replace(SETTINGS, objectives=PROMISED[kind])
    pipeline = told(history(kind, 3, 200), Course(), wish)
    raw = [m.value for m in pipeline.published if m.topic == "evaluations"]
    found = [msgspec.json.decode(one, type=Evaluation) for one in raw]
    return [e for e in found if e.subject == "quality" and e.metrics]


@pytest.mark.parametrize("kind", ["score", "numbers"])
def test_every_metric_has_a_line_with_its_value_interval_and_n(kind: Kind) -> None:
    found = evaluations(kind)[-1]
    lines = metric_lines(found)
    assert len(lines) == len(found.metrics) >= 5
    for m, line in zip(found.metrics.values(), lines, strict=True):
        assert figures.number(m.value) in line
        assert f"95% {figures.pair(m.low, m.high)[0]} to " in line
        assert f"n {m.n:,}" in line
    promised = [line for line in lines if "objective" in line]
    assert len(promised) == len(PROMISED[kind])
    text = evaluation_text(found)
    assert all(f"    {line}" in text.splitlines() for line in lines)


def test_how_much_truth_there_is_is_said_and_cohorts_once_they_are_complete() -> None:
    found = evaluations("score")
    assert all("provisional: truth of" in evaluation_text(e) for e in found)
    told_of = [e for e in found if e.labels and e.labels.completed]
    assert told_of
    assert "complete: predictions from 2022-01-08" in evaluation_text(told_of[0])
    assert "wrong answers: " in evaluation_text(found[-1])


@pytest.mark.parametrize(
    ("final", "said"), [(True, ", final; "), (False, ", more may come; "), (msgspec.UNSET, "; ")]
)
def test_a_cohort_that_is_told_of_again_says_whether_it_is_final(
    final: bool | msgspec.UnsetType, said: str
) -> None:
    found = next(e for e in evaluations("score") if e.labels and e.labels.completed)
    assert found.labels is not None
    one = msgspec.structs.replace(found.labels.completed[0], final=final)
    labels = msgspec.structs.replace(found.labels, completed=[], corrected=[one])
    (line,) = [
        line
        for line in scorecard(msgspec.structs.replace(found, labels=labels), str)
        if line.startswith("corrected: ")
    ]
    assert f"truth of {one.labelled:,} of {one.predictions:,}{said}" in line


def test_truth_in_words() -> None:
    labels = Labels(
        provisional=True,
        predictions=1_200,
        labelled=300,
        cohorts_complete=3,
        cohorts_provisional=4,
        delay_median_seconds=2 * 86_400,
    )
    assert truth_text(labels) == (
        "provisional: truth of 300 of 1,200 predictions, 25.0%; 3 of 7 cohorts are complete; of all"
        " truth comes half within 2 days"
    )
    none = msgspec.structs.replace(labels, predictions=0, labelled=0, delay_median_seconds=None)
    assert truth_text(none).endswith("truth of 0 of 0 predictions; 3 of 7 cohorts are complete")


def reading(check: str, verdict: str = "ok", reason: str = "said") -> Reading:
    fields = {"check": check, "subject": check, "role": "quality", "n": 9}
    return msgspec.convert(fields | {"verdict": verdict, "reason": reason}, Reading)


@pytest.mark.parametrize(
    ("name", "low", "high", "verdict", "said"),
    [
        ("accuracy", 0.8, 0.9, "ok", "at least 0.8: met"),
        ("accuracy", 0.7, 0.9, "ok", "at least 0.8: not sure, the interval holds it"),
        ("accuracy", 0.7, 0.79, "moved", "at least 0.8: MISSED"),
        ("accuracy", 0.7, 0.79, "not-enough-data", "at least 0.8: missed, but not judged"),
        ("brier", 0.7, 0.8, "ok", "at most 0.8: met"),
        ("brier", 0.81, 0.9, "moved", "at most 0.8: MISSED"),
        ("bias", -0.8, 0.8, "ok", "at most 0.8: met"),
        ("bias", -1.0, -0.9, "moved", "at most 0.8: MISSED"),
        ("bias", -1.0, 0.0, "ok", "at most 0.8: not sure, the interval holds it"),
    ],
)
def test_an_objective_is_met_missed_or_neither(
    name: str, low: float, high: float, verdict: str, said: str
) -> None:
    m = Measured(value=(low + high) / 2, low=low, high=high, n=9)
    assert objective_text(name, 0.8, m, reading(name, verdict)) == f"objective {said}"


def test_estimates_are_told_where_they_raise_nothing_and_once_where_they_do() -> None:
    found = evaluations("score")[-1]
    for name in (ESTIMATED, GAP):
        fine = msgspec.structs.replace(found, readings=[reading(name, "ok", "as it was")])
        assert scorecard(fine, str)[0] == "as it was"
        bad = msgspec.structs.replace(found, readings=[reading(name, "moved", "it fell")])
        assert evaluation_text(bad).count("it fell") == 1


def test_metrics_of_a_later_release_are_told_by_their_name() -> None:
    found = evaluations("numbers")[-1]
    m = Measured(value=0.5, low=0.4, high=0.6, n=7, reference=0.55)
    later = msgspec.structs.replace(found, metrics={"kappa": m}, readings=[reading("kappa")])
    assert metric_lines(later) == ["kappa  0.5  95% 0.400 to 0.600  n 7  reference 0.55"]
    assert "kappa" not in {*METRICS, *MORE}
