"""stream.quality: equal to scikit-learn's figures, and sure only of what the data support."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from stream.columns import column_of
from stream.grades import Grade
from stream.quality import METRICS, Tally, metrics_for, outcomes
from stream.settings import ModelSettings, Task

CLASSES = ("a", "b", "c")
PLAIN = ModelSettings(minimum_rows=2)


def classified(seed: int, n: int, k: int) -> tuple[Tally, dict[str, float]]:
    """A tally of k classes with ties and rounded probabilities, and scikit-learn's figures."""
    rng = np.random.default_rng(seed)
    p = np.round(rng.dirichlet(np.ones(k), size=n), 2) + 0.01
    p /= p.sum(axis=1, keepdims=True)
    y = rng.integers(0, k, n)
    y[:k] = range(k)
    answer = p.argmax(axis=1)
    names = [CLASSES[i] for i in y]
    tally = Tally()
    tally.update(
        outcomes(column_of(names), column_of([CLASSES[i] for i in answer]), (CLASSES[:k], p))
    )
    brier = oracle.brier_score_loss(
        names, p if k > 2 else p[:, 1], labels=CLASSES[:k], **({"pos_label": "b"} if k == 2 else {})
    )
    return tally, {
        "accuracy": oracle.accuracy_score(y, answer),
        "log_loss": oracle.log_loss(y, p, labels=range(k)),
        "brier": brier,
        "confidence": p.max(axis=1).mean(),
    }


def measured(
    label: np.ndarray[tuple[int], np.dtype[np.float64]],
    answer: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> Tally:
    tally = Tally()
    tally.update(outcomes(column_of(label), column_of(answer), task="regression"))
    return tally


def judged(hits: int, n: int) -> Tally:
    return Tally(n=n, judged=n, hits=hits)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(3, 3000), st.sampled_from([2, 3]))
def test_classification_equals_scikit_learn(seed: int, n: int, k: int) -> None:
    tally, expected = classified(seed, n, k)
    assert metrics_for(tally) == list(expected)
    for name, value in expected.items():
        figure = METRICS[name].get(tally)
        assert figure is not None
        assert figure.n == n
        assert figure.value == pytest.approx(value, rel=1e-12)
        assert figure.low <= figure.value <= figure.high


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 3000), st.sampled_from([1e-9, 1.0, 1e12, 1e80]))
def test_regression_equals_scikit_learn(seed: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    label = np.round(rng.normal(size=n), 1) * min(scale, 1e60)
    answer = label + np.round(rng.normal(size=n), 1) * min(scale, 1e60)
    tally = measured(label, answer)
    expected = {
        "mae": oracle.mean_absolute_error(label, answer),
        "rmse": oracle.root_mean_squared_error(label, answer),
        "bias": math.fsum((answer - label).tolist()) / n,
    }
    assert metrics_for(tally, "regression") == list(expected)
    for name, value in expected.items():
        figure = METRICS[name].get(tally)
        assert figure is not None
        assert figure.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_an_empty_tally_has_no_figures_and_says_so(name: str) -> None:
    metric = METRICS[name]
    assert metric.get(Tally()) is None
    assert metric.change(Tally(), 0.5) is None
    assert metric.change(Tally(), Tally()) is None
    reading = Grade(metric, Tally(), 0.5, 0.5, 0.05, PLAIN).reading()
    assert (reading.verdict, reading.n) == ("not-enough-data", 0)
    assert reading.reason.startswith("no labelled predictions")
    assert metrics_for(Tally()) == []


@pytest.mark.parametrize("name", METRICS)
def test_a_tally_against_itself_has_not_changed(name: str) -> None:
    rng = np.random.default_rng(3)
    tally, _ = classified(3, 500, 3)
    tally.merge(measured(rng.normal(size=500), rng.normal(size=500)))
    change = METRICS[name].change(tally, tally)
    assert change is not None
    assert change.effect == 0
    assert change.p_value >= 0.5


@pytest.mark.parametrize(
    ("tally", "task", "expected"),
    [
        (Tally(n=5, judged=5, hits=3, numbers=5), "auto", ["accuracy"]),
        (Tally(n=5, judged=5, numbers=5, fractional=2), "auto", ["mae", "rmse", "bias"]),
        (Tally(n=5, judged=5, numbers=5), "regression", ["mae", "rmse", "bias"]),
    ],
)
def test_the_task_chooses_the_metrics(tally: Tally, task: Task, expected: list[str]) -> None:
    assert metrics_for(tally, task) == expected


def test_a_fall_in_words() -> None:
    reading = Grade(METRICS["accuracy"], judged(1051, 1480), 0.87, None, 1e-3, PLAIN).reading()
    assert reading.reason == (
        "accuracy 0.870 -> 0.710 on 1,480 labelled predictions (95% interval 0.687 to 0.733); "
        "chance does as much in fewer than one month in a million"
    )
    assert reading.verdict == "moved"
    assert reading.p_value is not None
    assert reading.p_value < 1e-50
    assert reading.effect is not None
    assert reading.effect.value == pytest.approx(0.87 - 1051 / 1480)


@pytest.mark.parametrize(
    ("hits", "n", "reference", "objective", "verdict"),
    [
        (800, 1000, 0.82, None, "ok"),
        (80, 100, 0.82, None, "not-enough-data"),
        (76, 100, 0.82, None, "not-enough-data"),
        (60, 100, 0.82, None, "moved"),
        (350, 470, 0.82, None, "moved"),
        (79_000, 100_000, 0.80, None, "small"),
        (700, 1000, 0.80, None, "moved"),
        (700, 1000, None, None, "no-reference"),
        (700, 1000, None, 0.80, "moved"),
        (790, 1000, None, 0.80, "ok"),
        (700, 1000, 0.70, 0.80, "moved"),
        (1, 2, 0.99, 0.99, "not-enough-data"),
    ],
)
def test_verdicts(
    hits: int, n: int, reference: float | None, objective: float | None, verdict: str
) -> None:
    model = ModelSettings(minimum_rows=50)
    reading = Grade(
        METRICS["accuracy"], judged(hits, n), reference, objective, 0.05, model
    ).reading()
    assert reading.verdict == verdict
    assert ("worse than its objective" in reading.reason) == (
        verdict == "moved" and bool(objective)
    )


def test_losses_are_worse_when_larger_and_their_effect_is_a_share() -> None:
    rng = np.random.default_rng(1)
    label = rng.normal(size=2000)
    before = measured(label, label + rng.normal(size=2000))
    after = measured(label, label + 1.5 * rng.normal(size=2000))
    for name in ("mae", "rmse"):
        worse, better = METRICS[name].change(after, before), METRICS[name].change(before, after)
        assert worse is not None
        assert better is not None
        assert worse.effect == pytest.approx(0.5, abs=0.06)
        assert worse.p_value < 1e-30
        assert better.p_value > 0.999
        assert Grade(METRICS[name], after, before, None, 1e-3, PLAIN).reading().verdict == "moved"
        assert Grade(METRICS[name], before, after, None, 1e-3, PLAIN).reading().verdict == "ok"
    bias = measured(label, label + 0.3)
    assert Grade(METRICS["bias"], bias, 0.0, None, 1e-3, PLAIN).reading().verdict == "moved"
    assert Grade(METRICS["bias"], bias, None, 0.2, 1e-3, PLAIN).reading().verdict == "moved"
    assert Grade(METRICS["bias"], bias, None, 0.4, 1e-3, PLAIN).reading().verdict == "ok"


def test_confidence_explains_and_never_accuses() -> None:
    tally, _ = classified(1, 2000, 3)
    reading = Grade(METRICS["confidence"], tally, 0.99, 0.99, 0.05, PLAIN).reading()
    assert reading.verdict == "ok"
    assert reading.p_value == 0.0
    assert "when right" in reading.reason
    assert "when wrong" in reading.reason


@pytest.mark.parametrize(
    ("name", "accused"), [("accuracy", 0.05), ("log_loss", 0.05), ("mae", 0.05)]
)
def test_the_level_is_the_rate_of_false_accusations(name: str, accused: float) -> None:
    rng = np.random.default_rng(9)
    found = 0
    for _ in range(600):
        p = rng.random(400)
        y = rng.random(400) < p
        if name == "mae":
            tally, truth = measured(p, p + rng.exponential(size=400)), 1.0
        else:
            tally = Tally()
            words = column_of(["1" if x else "0" for x in y])
            said = column_of(["1" if x else "0" for x in p >= 0.5])
            tally.update(outcomes(words, said, (("1",), p[:, None])))
            truth = 0.75 if name == "accuracy" else 0.5
        change = METRICS[name].change(tally, truth)
        assert change is not None
        found += change.p_value < accused
    assert found / 600 == pytest.approx(accused, abs=0.025)
