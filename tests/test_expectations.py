import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import auc

from stream.columns import Floats, Ints
from stream.expectations import Curve, Expected

CELLS = 8
COUNTS = st.lists(st.integers(0, 50), min_size=CELLS, max_size=CELLS).map(np.array)
CHANCES = st.lists(st.floats(0, 1), min_size=CELLS, max_size=CELLS).map(sorted).map(np.array)


def rows(expected: Expected) -> tuple[Floats, Ints]:
    """What each row's score stands for, and whether it was answered with the positive class."""
    p = expected.curve.chance
    no, yes = np.repeat(p, expected.negative), np.repeat(p, expected.positive)
    return np.concatenate([no, yes]), np.repeat([0, 1], [len(no), len(yes)])


@given(CHANCES, COUNTS, COUNTS)
def test_expectations_are_the_published_formulas(p: Floats, no: Ints, yes: Ints) -> None:
    """NannyML's, row by row."""
    expected = Expected(Curve(p, np.full(CELLS, 100.0)), no, yes)
    chance, said = rows(expected)
    hits, misses = (chance * said).sum(), (chance * (1 - said)).sum()
    wrong, quiet = ((1 - chance) * said).sum(), ((1 - chance) * (1 - said)).sum()
    known = {
        "accuracy": (hits + quiet, len(chance)),
        "precision": (hits, hits + wrong),
        "recall": (hits, hits + misses),
        "specificity": (quiet, quiet + wrong),
        "f1": (hits, hits + (wrong + misses) / 2),
    }
    found = expected.figures()
    for name, (top, of) in known.items():
        if of > 1e-9:
            assert found[name].value == pytest.approx(top / of, abs=1e-9)
            assert found[name].low <= found[name].value + 1e-12
            assert found[name].value <= found[name].high + 1e-12


@given(CHANCES, COUNTS, COUNTS)
def test_the_expected_area_is_that_of_the_expected_curve(p: Floats, no: Ints, yes: Ints) -> None:
    area = Expected(Curve(p, np.ones(CELLS)), no, yes).auroc()
    ups = (no + yes) * p
    downs = no + yes - ups
    if ups.sum() * downs.sum() < 1e-9:
        return
    true, false = (np.append(0, np.cumsum(x[::-1])) / x.sum() for x in (ups, downs))
    assert area == pytest.approx(auc(false, true), abs=1e-9)


def test_nothing_is_expected_of_no_rows() -> None:
    none = np.zeros(CELLS, dtype=np.int64)
    assert Expected(Curve(np.zeros(CELLS), np.ones(CELLS)), none, none).figures() == {}


@given(COUNTS, COUNTS)
def test_a_curve_is_isotonic_regression(misses: Ints, hits: Ints) -> None:
    labelled = misses + hits
    if not labelled.any():
        return
    places = np.linspace(0.05, 0.95, CELLS)
    curve = Curve.learnt(places, labelled, hits)
    x = np.repeat(places, labelled)
    y = np.concatenate([[0] * m + [1] * h for m, h in zip(misses, hits, strict=True)])
    oracle = IsotonicRegression(out_of_bounds="clip").fit(x, y)
    np.testing.assert_allclose(curve.chance, oracle.predict(places), atol=1e-9)
    assert (curve.weight >= 1).all()


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "specificity", "f1"])
def test_intervals_hold_what_is_realised_in_95_of_100_windows(metric: str) -> None:
    """The curve is learnt from as many labels as the window has rows: both are uncertain."""
    rng = np.random.default_rng(7)
    places = np.linspace(0.05, 0.95, 10)
    within = 0
    for _ in range(400):
        known, live = (rng.integers(10, 200, 10) for _ in range(2))
        curve = Curve.learnt(places, known, rng.binomial(known, places))
        said = rng.binomial(live, places)
        up, down = rng.binomial(said, places), rng.binomial(live - said, places)
        tp, fn, fp = up.sum(), down.sum(), said.sum() - up.sum()
        tn = live.sum() - tp - fn - fp
        realised = {
            "accuracy": (tp + tn) / live.sum(),
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "f1": 2 * tp / (2 * tp + fp + fn),
        }[metric]
        figure = Expected(curve, live - said, said).figures()[metric]
        within += figure.low <= realised <= figure.high
    assert 0.91 <= within / 400 <= 0.99
