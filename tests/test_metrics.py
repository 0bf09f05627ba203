"""The metrics of stream.quality.MORE: scikit-learn's figures, however outcomes come."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from stream.columns import Floats, column_of
from stream.grades import Grade
from stream.intervals import Z95
from stream.outcomes import LEAST_P, outcomes
from stream.ovr import MOST
from stream.quality import METRICS, MORE, metrics_for, metrics_of
from stream.rankings import UNTOLD, notes
from stream.scorecards import by_score, confused, measured
from stream.scores import cells, middles
from stream.settings import ModelSettings
from stream.tallies import NAMES, Tally
from tests.outcomes import Row, outcomes_of, tally_of

PLAIN = ModelSettings(minimum_rows=2, quantile=0.8)
ALL = metrics_of(PLAIN)


def binary(seed: int, n: int, words: tuple[str, str] = ("0", "1")) -> tuple[list[Row], Floats]:
    """Rows of a sloppy model with ties in its scores, and the scores."""
    rng = np.random.default_rng(seed)
    p = middles()[cells(np.round(rng.random(n), 2))]
    y = (rng.random(n) < p**1.5).astype(int)
    a = (p + rng.normal(scale=0.1, size=n) > 0.5).astype(int)
    y[:2], a[:2] = (0, 1), (1, 0)
    rows: list[Row] = [(words[y[i]], words[a[i]], ((words[1], float(p[i])),)) for i in range(n)]
    return rows, p


def several(seed: int, n: int) -> tuple[list[Row], Floats]:
    rng = np.random.default_rng(seed)
    p = np.array([rng.multinomial(100, x) for x in rng.dirichlet(np.ones(3), size=n)]) / 100
    y, names = rng.integers(0, 3, n), "abc"
    y[:3] = range(3)
    rows: list[Row] = [
        (names[y[i]], names[p[i].argmax()], tuple(zip(names, p[i].tolist(), strict=True)))
        for i in range(n)
    ]
    return rows, p


def come(rows: list[Row], rng: Random) -> Tally:
    """The rows in parts, in any order, some revised and some taken back and sent again."""
    parts = [Tally() for _ in range(3)]
    for i in rng.sample(range(len(rows)), len(rows)):
        label, answer, scores = rows[i]
        part = rng.choice(parts)
        if rng.random() < 0.3:
            wrong: Row = (rng.choice(["0", "1", "a"]), answer, scores)
            part.update(outcomes_of([wrong]))
            rng.choice(parts).update(outcomes_of([wrong], -1))
        part.update(outcomes_of([(label, answer, scores)]))
    found = Tally()
    for part in parts:
        found.merge(Tally.from_bytes(part.to_bytes()))
    return found


def value(name: str, tally: Tally) -> float:
    figure = ALL[name].get(tally)
    assert figure is not None, name
    assert figure.low <= figure.value + 1e-12, name
    assert figure.value <= figure.high + 1e-12, name
    assert figure.n > 0
    return figure.value


def calibration_error(p: Floats, true: Floats) -> float:
    place = np.minimum((p * 10).astype(int), 9)
    return sum(abs(float((true - p)[place == i].sum())) for i in range(10)) / len(p)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(4, 120), st.sampled_from([("0", "1"), ("no", "yes")]))
def test_two_classes_equal_scikit_learn(seed: int, n: int, words: tuple[str, str]) -> None:
    rows, p = binary(seed, n, words)
    y, a = (np.array([row[i] == words[1] for row in rows]).astype(int) for i in (0, 1))
    sure = np.where(a == 1, p, 1 - p)
    expected = {
        "balanced_accuracy": oracle.balanced_accuracy_score(y, a),
        "precision": oracle.precision_score(y, a),
        "recall": oracle.recall_score(y, a),
        "specificity": oracle.recall_score(1 - y, 1 - a),
        "f1": oracle.f1_score(y, a),
        "auroc": oracle.roc_auc_score(y, p),
        "average_precision": oracle.average_precision_score(y, p),
        "calibration_error": calibration_error(p, y.astype(float)),
        "confidently_wrong": ((sure >= 0.9) & (a != y)).mean(),
    }
    if (a != y).any() and (a == y).any():
        expected["confidence_when_right"] = sure[a == y].mean()
        expected["confidence_when_wrong"] = sure[a != y].mean()
    tally = come(rows, Random(seed))
    for name, right in expected.items():
        assert value(name, tally) == pytest.approx(right, abs=1e-9), name
    assert set(metrics_for(tally, metrics=ALL)) >= {*expected, "lift"}
    assert tally == tally_of(rows)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(4, 120))
def test_several_classes_equal_scikit_learns_macro_averages(seed: int, n: int) -> None:
    rows, p = several(seed, n)
    y, a = ([row[i] for row in rows] for i in (0, 1))
    names, sure = ["a", "b", "c"], p.max(axis=1)
    matrix = oracle.multilabel_confusion_matrix(y, a, labels=names)
    right = np.array(y) == np.array(a)
    expected = {
        "balanced_accuracy": oracle.balanced_accuracy_score(y, a),
        "precision": oracle.precision_score(y, a, average="macro", zero_division=0),
        "recall": oracle.recall_score(y, a, average="macro", zero_division=0),
        "specificity": np.mean([m[0, 0] / m[0].sum() for m in matrix]),
        "f1": oracle.f1_score(y, a, average="macro", zero_division=0),
        "calibration_error": calibration_error(sure, right.astype(float)),
        "confidently_wrong": ((sure >= 0.9) & ~right).mean(),
        "auroc": oracle.roc_auc_score(y, p, multi_class="ovr", average="macro"),
        "average_precision": oracle.average_precision_score(y, p, average="macro"),
        "log_loss": oracle.log_loss(y, np.maximum(p, LEAST_P), labels=names),
        "brier": oracle.brier_score_loss(y, p, labels=names),
    }
    tally = come(rows, Random(seed))
    assert tally == tally_of(rows)
    for name, wanted in expected.items():
        assert value(name, tally) == pytest.approx(wanted, abs=1e-9), name
    assert "lift" not in metrics_for(tally, metrics=ALL)
    table = oracle.confusion_matrix(y, a, labels=names)
    told = {(c.label, c.answer): c.n for c in confused(tally, "auto")}
    assert told == {
        (names[i], names[j]): table[i, j] for i in range(3) for j in range(3) if table[i, j]
    }


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(3, 120), st.sampled_from([1e-9, 1.0, 1e60]))
def test_numbers_equal_scikit_learn(seed: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    label = (np.round(rng.normal(size=n), 1) + 0.05) * scale
    label[0] += scale
    answer = label + np.round(rng.normal(size=n), 1) * scale
    tally = come(
        [(y, x, ()) for y, x in zip(label.tolist(), answer.tolist(), strict=True)], Random(seed)
    )
    assert value("r2", tally) == pytest.approx(oracle.r2_score(label, answer), rel=1e-9, abs=1e-9)
    wanted = oracle.mean_pinball_loss(label, answer, alpha=0.8)
    assert value("quantile_loss", tally) == pytest.approx(wanted, rel=1e-9)
    assert "quantile_loss" not in metrics_for(tally, metrics=metrics_of(ModelSettings()))


@pytest.mark.parametrize("size", [0.55, 1e3, 1e6, 1e8, -3e8])
def test_labels_that_are_large_beside_their_spread(size: float) -> None:
    rng = np.random.default_rng(4)
    label = size + rng.normal(size=300)
    answer = label + rng.normal(size=300) / 2
    found = ALL["r2"].get(numbered(label, answer))
    assert found is not None
    assert found.value == pytest.approx(oracle.r2_score(label, answer), rel=1e-9)
    assert found.low < found.value - 0.01 < found.value + 0.01 < found.high
    assert ALL["r2"].get(numbered(np.full(300, size), answer)) is None


def numbered(label: Floats, answer: Floats) -> Tally:
    found = Tally()
    found.update(outcomes(column_of(label), column_of(answer), task="regression"))
    return found


@pytest.mark.parametrize("name", MORE)
def test_nothing_known_is_no_figure(name: str) -> None:
    metric = ALL[name]
    assert metric.get(Tally()) is None
    assert metric.change(Tally(), 0.5) is None
    reading = Grade(metric, Tally(), 0.5, 0.5, 0.05, PLAIN).reading()
    assert reading.verdict == "not-enough-data"


@pytest.mark.parametrize("name", MORE)
def test_what_was_counted_by_an_earlier_release_alone_is_not_measured_by_halves(name: str) -> None:
    rows, _ = binary(3, 200)
    new, old = tally_of(rows), Tally()
    numbers = column_of(np.arange(200.0)), column_of(np.arange(200.0) % 7)
    new.update(outcomes(*numbers, task="regression"))
    for field in NAMES:
        setattr(old, field, getattr(new, field))
    assert ALL[name].get(new) is not None
    new.merge(old)
    if not name.startswith("confidence_when"):
        assert ALL[name].get(new) is None


@pytest.mark.parametrize("name", MORE)
def test_a_tally_against_itself_has_not_changed_and_against_better_it_has(name: str) -> None:
    rng = np.random.default_rng(3)
    y, good = rng.normal(size=800), rng.normal(size=800)
    told, _ = binary(5, 800)
    tally = tally_of(told)
    tally.update(outcomes(column_of(y), column_of(y + good), task="regression"))
    metric = ALL[name]
    change = metric.change(tally, tally)
    assert change is not None
    assert change.effect == 0
    assert change.p_value >= 0.5
    now = metric.get(tally)
    assert now is not None
    if metric.direction != "none":
        side = 1 if metric.direction == "higher" else -1
        worse = metric.change(tally, now.value + side * 0.5 * max(1.0, now.value))
        better = metric.change(tally, now.value - side * 0.5 * max(1.0, now.value))
        assert worse is not None
        assert better is not None
        assert worse.effect > 0 > better.effect
        assert worse.p_value < 1e-3
        assert better.p_value > 0.999


COVERED = ("balanced_accuracy", "precision", "recall", "specificity", "f1", "auroc",
           "average_precision", "confidently_wrong", "r2", "quantile_loss", "lift")  # fmt: skip


def drawn(rng: np.random.Generator, n: int) -> Tally:
    """A tally of one window of a world that stays as it is."""
    p = rng.random(n)
    y = (rng.random(n) < p**1.5).astype(np.float64)
    found = Tally()
    said, truth = column_of((p > 0.5).astype(np.float64)), column_of(y)
    found.update(outcomes(truth, said, (("1",), p[:, None]), task="classification"))
    label = rng.normal(size=n)
    answer = label + rng.normal(size=n)
    found.update(outcomes(column_of(label), column_of(answer), task="regression"))
    return found


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    whole = drawn(rng, 400_000)
    truth = {name: value(name, whole) for name in COVERED}
    held = dict.fromkeys(COVERED, 0)
    for _ in range(300):
        tally = drawn(rng, 400)
        for name in COVERED:
            figure = ALL[name].get(tally)
            assert figure is not None
            held[name] += figure.low <= truth[name] <= figure.high
    shares = {name: n / 300 for name, n in held.items()}
    assert all(share >= 0.91 for share in shares.values()), shares
    assert all(share <= 0.99 for name, share in shares.items() if name != "lift"), shares


def window_of(rng: np.random.Generator, k: int, n: int) -> Tally:
    """A tally of one window of k classes, of which the later ones are rarer."""
    z = rng.normal(size=(n, k)) - np.arange(k) / 4
    odds = np.exp(z)
    p = odds / odds.sum(axis=1, keepdims=True)
    y = (z + rng.gumbel(size=(n, k))).argmax(axis=1)
    names = tuple(f"{i:02}" for i in range(k))
    found = Tally()
    label, answer = (column_of([names[i] for i in ids]) for ids in (y, z.argmax(axis=1)))
    found.update(outcomes(label, answer, (names, p), task="classification"))
    return found


@pytest.mark.parametrize(("k", "widest"), [(3, 2.5), (8, 4.0)])
def test_intervals_of_several_classes_hold_the_truth_at_least_as_often(
    k: int, widest: float
) -> None:
    rng = np.random.default_rng(12)
    whole, found = window_of(rng, k, 100_000), [window_of(rng, k, 300) for _ in range(150)]
    for name in ("auroc", "average_precision"):
        truth, told = value(name, whole), [ALL[name].get(tally) for tally in found]
        some = [figure for figure in told if figure is not None]
        assert len(some) == 150
        assert sum(f.low <= truth <= f.high for f in some) >= 0.93 * 150
        width = np.mean([f.high - f.low for f in some])
        spread = np.std([f.value for f in some])
        assert width / (2 * Z95 * spread) < widest


def test_perfect_and_lonely_figures_have_a_width() -> None:
    rows: list[Row] = [("1", "1", (("1", 0.9),)), ("0", "0", (("1", 0.2),))] * 5
    tally = tally_of(rows)
    for name in ("auroc", "average_precision", "f1", "recall", "balanced_accuracy"):
        figure = ALL[name].get(tally)
        assert figure is not None
        assert figure.value == 1.0
        assert 0 < figure.low < 1
        assert figure.high == 1.0


def test_a_window_of_one_class_says_what_it_can() -> None:
    rows: list[Row] = [("no", "no", (("yes", 0.2), ("no", 0.8)))] * 9
    names = metrics_for(tally_of(rows), metrics=ALL)
    assert "precision" not in names
    assert "auroc" not in names
    assert {"balanced_accuracy", "calibration_error", "confidently_wrong"} <= set(names)


def test_classes_that_no_label_names_are_left_out_of_the_mean() -> None:
    rows, p = several(7, 60)
    rows, p = [row for row in rows if row[0] != "c"], p[[row[0] != "c" for row in rows]]
    y = np.array([row[0] for row in rows])
    parts = [oracle.roc_auc_score(y == name, p[:, i]) for i, name in enumerate("ab")]
    assert value("auroc", tally_of(rows)) == pytest.approx(np.mean(parts), abs=1e-12)
    parts = [oracle.average_precision_score(y == name, p[:, i]) for i, name in enumerate("ab")]
    assert value("average_precision", tally_of(rows)) == pytest.approx(np.mean(parts), abs=1e-12)
    one = tally_of([row for row in rows if row[0] == "a"])
    assert not {"auroc", "average_precision"} & {*metrics_for(one, metrics=ALL)}
    assert notes(one) == []


def test_a_label_without_a_probability_is_none_of_the_classes() -> None:
    rows, p = several(8, 60)
    rows = [("new" if row[0] == "c" else row[0], *row[1:]) for row in rows]
    y = np.array([row[0] for row in rows])
    parts = [oracle.roc_auc_score(y == name, p[:, i]) for i, name in enumerate("ab")]
    assert value("auroc", tally_of(rows)) == pytest.approx(np.mean(parts), abs=1e-12)


def test_where_predictions_name_different_classes_it_is_said_that_they_are_not_ranked() -> None:
    rows, _ = several(9, 60)
    label, answer, sure = rows[0]
    for other in ((*sure[:2], ("d", 0.1)), (*sure, ("d", 0.0)), sure[:2]):
        tally = tally_of([*rows, (label, answer, other)])
        assert not {"auroc", "average_precision"} & {*metrics_for(tally, metrics=ALL)}
        assert {"log_loss", "f1"} <= {*metrics_for(tally, metrics=ALL)}
        assert notes(tally) == [UNTOLD]
        tally.update(outcomes_of([(label, answer, other)], -1))
        assert tally == tally_of(rows)
        assert notes(tally) == []
    assert notes(tally_of(binary(9, 60)[0])) == notes(Tally()) == []


@pytest.mark.parametrize("k", [MOST, MOST + 1])
def test_classes_are_ranked_up_to_a_limit_and_beyond_it_that_is_said(k: int) -> None:
    tally = window_of(np.random.default_rng(3), k, 200)
    assert notes(tally) == ([UNTOLD] if k > MOST else [])
    assert ("auroc" in metrics_for(tally, metrics=ALL)) == (k <= MOST)
    assert "balanced_accuracy" in metrics_for(tally, metrics=ALL)


def test_a_class_with_a_single_row_makes_the_interval_wide() -> None:
    rows, _ = several(10, 200)
    sure = (("a", 0.2), ("b", 0.3), ("c", 0.5))
    known = [row for row in rows if row[0] != "c"]
    two, three = (ALL["auroc"].get(tally_of(some)) for some in (known, [*known, ("c", "c", sure)]))
    assert two is not None
    assert three is not None
    assert three.high - three.low > 2 * (two.high - two.low)


def test_a_scorecard_tells_all_beside_the_reference_and_tenths_add_up() -> None:
    rows, p = binary(8, 1000)
    found = measured(PLAIN, None, tally_of(rows), "auto", 86_400)
    assert set(found) == {*METRICS, *MORE} - {"mae", "rmse", "bias", "r2", "quantile_loss"}
    assert all(m.low <= m.value <= m.high and m.reference is None for m in found.values())
    parts = by_score(tally_of(rows))
    positives = sum(row[0] == "1" for row in rows)
    assert len(parts) == 10
    assert math.fsum(part.positives for part in parts) == pytest.approx(positives)
    assert parts[-1].captured == pytest.approx(1.0)
    assert parts[0].lift == pytest.approx(found["lift"].value)
    order = np.sort(p)[::-1]
    if order[99] != order[100]:
        first = sum(row[0] == "1" for row, s in zip(rows, p, strict=True) if s >= order[99])
        assert parts[0].positives == pytest.approx(first)
