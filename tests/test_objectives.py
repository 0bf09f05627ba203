"""stream.objectives: what is promised, where, and on how many labels."""

import dataclasses
from pathlib import Path

import pytest

from agents.settings import BadSettings, load
from stream.cohorts import Cohorts
from stream.evaluations import Known, quality_evaluation
from stream.events import Reading
from stream.gradings import graded
from stream.objectives import OF_CLASSES, OF_NUMBERS, Objective
from stream.outcomes import outcomes_of_rows
from stream.quality import metrics_of
from stream.settings import DAY_S, ModelSettings
from stream.subjects import Subject
from stream.tallies import Tally

WEEK_S = 7 * DAY_S
BASE = ModelSettings(windows_s=(DAY_S, WEEK_S), minimum_rows=20)


def wishing(**objectives: float | Objective) -> ModelSettings:
    return dataclasses.replace(BASE, objectives=objectives)


def tally_of(right: int, wrong: int) -> Tally:
    """As many right as wrong of each class, with scores that say so."""
    found = Tally()
    for (label, answer, p), n in {
        ("1", "1", 0.9): right // 2,
        ("0", "0", 0.1): right - right // 2,
        ("1", "0", 0.4): wrong // 2,
        ("0", "1", 0.6): wrong - wrong // 2,
    }.items():
        found.update(outcomes_of_rows([label] * n, [answer] * n, [(("1", p),)] * n))
    return found


def read(settings: ModelSettings, tally: Tally, window_s: int = DAY_S) -> dict[str, Reading]:
    return {r.check: r for r in graded(settings, None, tally, "auto", 0.05, window_s)}


def test_the_names_are_those_of_metrics_with_a_better_side() -> None:
    known = metrics_of(ModelSettings(quantile=0.5))
    assert {*OF_CLASSES, *OF_NUMBERS} == {n for n, m in known.items() if m.direction != "none"}
    assert {n for n, m in known.items() if m.needs == "number"} == {*OF_NUMBERS}


def test_only_what_is_promised_is_judged_beside_the_usual_metrics() -> None:
    usual = {"accuracy", "log_loss", "brier", "confidence"}
    assert set(read(BASE, tally_of(80, 20))) == usual
    found = read(wishing(auroc=0.7, f1=0.9), tally_of(80, 20))
    assert set(found) == {*usual, "auroc", "f1"}
    assert (found["auroc"].verdict, found["f1"].verdict) == ("ok", "moved")
    assert "F1 0.8 on" in found["f1"].reason
    assert "worse than its objective 0.9" in found["f1"].reason


@pytest.mark.parametrize(
    ("n", "least", "verdict"),
    [
        (60, None, "moved"),
        (60, 200, "not-enough-data"),
        (300, 200, "moved"),
        (16, None, "not-enough-data"),
        (16, 10, "moved"),
    ],
)
def test_an_objective_is_missed_on_labels_enough(n: int, least: int | None, verdict: str) -> None:
    wish = wishing(accuracy=Objective(0.95, minimum_labels=least))
    reading = read(wish, tally_of(n // 2, n // 2))["accuracy"]
    assert reading.verdict == verdict
    if least == 200 and n < 200:
        assert reading.reason.endswith("; 200 are needed")


def test_an_objective_of_one_window_is_none_of_another() -> None:
    wish = wishing(accuracy=Objective(0.95, WEEK_S), recall=Objective(0.5, WEEK_S))
    assert read(wish, tally_of(50, 50), WEEK_S)["accuracy"].verdict == "moved"
    other = read(wish, tally_of(50, 50), DAY_S)
    assert other["accuracy"].verdict == "no-reference"
    assert other["accuracy"].details["objective"] is None
    assert "recall" not in other


def test_an_evaluation_tells_what_it_does_not_judge() -> None:
    of = Subject("m", "1", BASE, 0, DAY_S * 1000)
    found = quality_evaluation(of, None, Cohorts({0: tally_of(80, 20)}), Known())
    assert {r.check for r in found.readings} == {"accuracy", "log_loss", "brier", "confidence"}
    assert found.metrics["f1"].value == pytest.approx(0.8)
    assert found.metrics["confidently_wrong"].value == 0.0
    assert found.metrics["confidence_when_wrong"].value == pytest.approx(0.6)
    assert {(c.label, c.answer, c.n) for c in found.confusion} == {
        ("1", "1", 40), ("0", "0", 40), ("1", "0", 10), ("0", "1", 10),
    }  # fmt: skip
    assert len(found.tenths) == 10


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"objectives": {"acuracy": 0.8}}, "there is no 'acuracy'"),
        ({"objectives": {"confidence": 0.8}}, "there is no 'confidence'"),
        ({"objectives": {"mae": 0.8}, "task": "classification"}, "there is no 'mae'"),
        ({"objectives": {"auroc": 0.8}, "task": "regression"}, "there is no 'auroc'"),
        ({"objectives": {"quantile_loss": 0.8}}, "no `quantile` is set"),
        ({"objectives": {"f1": Objective(0.8, WEEK_S)}}, "windows that there are, [86400]: f1"),
        ({"objectives": {"f1": Objective(0.8, minimum_labels=1)}}, "2 labels or more each: f1"),
        ({"quantile": 1.0}, "quantile = 1.0: must be more than 0 and less than 1"),
    ],
)
def test_what_cannot_be_promised_is_said(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        ModelSettings(**settings)  # type: ignore[arg-type]
    assert said in str(caught.value)


FILE = """
[models.credit]
windows_s = ["1d", "7d"]
quantile = 0.9
[models.credit.objectives]
accuracy = { value = 0.80, window_s = "7d", minimum_labels = 200 }
f1 = 0.7
"""


def test_objectives_are_read_from_a_file_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "driftline.toml"
    path.write_text(FILE)
    monkeypatch.setenv("DRIFTLINE__DEFAULTS__OBJECTIVES__AUROC", "0.9")
    settings = load(path)
    wanted = {"accuracy": Objective(0.8, WEEK_S, 200), "f1": 0.7}
    assert settings.model("credit").objectives == wanted
    assert settings.model("credit").objective("accuracy", DAY_S) is None
    assert settings.model("credit").objective("f1", DAY_S) == Objective(0.7)
    assert settings.model("other").objectives == {"auroc": 0.9}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("f1 = 0.7\nf2 = 0.8", "models.m.objectives"),
        ('f1 = { window_s = "1d" }', "models.m.objectives.f1.value: is missing"),
        ("f1 = { value = 0.8, labels = 9 }", "models.m.objectives.f1.labels: no such key"),
        ('f1 = "high"', 'models.m.objectives.f1.value = "high"'),
        ('f1 = { value = 0.8, window_s = "7d" }', "f1 is not"),
    ],
)
def test_a_file_that_promises_wrongly_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "driftline.toml"
    path.write_text(f"[models.m.objectives]\n{text}\n")
    with pytest.raises(BadSettings) as caught:
        load(path)
    assert said in str(caught.value)
