import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from stream.batches import Block
from stream.columns import Floats, Ints, column_of
from stream.estimates import estimated
from stream.events import Reading
from stream.features import summarise
from stream.odds import odds_of
from stream.references import Reference
from stream.samples import count_rows
from stream.settings import ModelSettings
from stream.shares import Share

SETTINGS = ModelSettings()
ROWS = 20_000


def scores(rows: int, seed: int, doubt: float = 0.0) -> Floats:
    """Probabilities; doubt, 0 to 1, draws them towards 1/2."""
    p = np.random.default_rng(seed).beta(0.5, 0.5, rows)
    return p + doubt * (0.5 - p)


def truth(p: Floats, seed: int) -> Ints:
    drawn: Ints = (np.random.default_rng(seed).random(len(p)) < p).astype(np.int64)
    return drawn


def reference() -> Reference:
    p = scores(ROWS, 1)
    answers, labels = p > 0.5, truth(p, 2) == 1
    made = Reference(
        "m", "1", {"x": summarise("x", column_of(np.zeros(ROWS)))}, rows=ROWS, task="classification"
    )
    return dataclasses.replace(
        made, odds=odds_of("positive", p, answers, labels, np.ones(ROWS, dtype=np.bool_))
    )


REFERENCE = reference()


def block(p: Floats, **more: object) -> Block:
    n = len(p)
    rows = np.arange(n, dtype=np.int64)
    given = {"prediction": column_of((p > 0.5).astype(np.float64)), "score": p} | more
    return Block("prediction", "m", "1", rows, rows, rows, rows.astype(np.uint64), **given)  # type: ignore[arg-type]


def share(*blocks: Block, positive: str = "1", of: Reference = REFERENCE) -> Share:
    found = Share(of)
    for one in blocks:
        count_rows(found, one, positive)
    return found


def reading(found: Share, settings: ModelSettings = SETTINGS, level: float = 1e-4) -> Reading:
    (told,) = estimated(found.reference, found, settings, level, 3_600)
    return told


def test_the_estimate_of_the_same_scores_is_the_references_own() -> None:
    told = reading(share(block(scores(5_000, 3))))
    assert told.verdict == "ok"
    assert told.statistic == pytest.approx(told.details["reference"], abs=0.01)
    assert told.n_reference == ROWS
    assert "no labels needed" in told.reason


def test_doubt_is_seen_and_is_as_large_as_the_labels_say_later() -> None:
    p = scores(5_000, 4, doubt=0.3)
    told = reading(share(block(p)))
    right = ((p > 0.5) == truth(p, 5)).mean()
    assert told.verdict == "moved"
    low, high = told.details["low"], told.details["high"]
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert low <= right <= high
    assert told.effect is not None
    assert told.effect.value >= SETTINGS.estimate_floor
    assert "chance does as much" in told.reason


def test_more_certainty_is_no_fault() -> None:
    sure = scores(5_000, 6, doubt=-0.05).clip(0, 1)
    assert reading(share(block(sure))).verdict == "ok"


def test_a_fall_below_the_floor_is_small_and_one_of_few_rows_is_not_judged() -> None:
    p = scores(5_000, 4, doubt=0.3)
    coarse = dataclasses.replace(SETTINGS, effect_floor_estimate=0.5)
    assert reading(share(block(p)), coarse).verdict == "small"
    assert reading(share(block(p[:99]))).verdict == "not-enough-data"
    assert reading(share()).verdict == "not-enough-data"


def test_unless_set_a_fall_matters_from_half_of_that_of_quality_on() -> None:
    for quality, estimate, floor in ((0.05, None, 0.025), (3.0, None, 1.0), (0.05, 0.0, 0.0)):
        floors = {"effect_floor_quality": quality, "effect_floor_estimate": estimate}
        assert dataclasses.replace(SETTINGS, **floors).estimate_floor == floor  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"estimate = -0\.1: must be between 0 and 1"):
        dataclasses.replace(SETTINGS, effect_floor_estimate=-0.1)


def test_other_figures_are_what_labels_would_say_too() -> None:
    p = scores(50_000, 8)
    told, labels = reading(share(block(p))).details, truth(p, 9)
    answers = (p > 0.5).astype(np.int64)
    assert told["precision"] == pytest.approx(precision_score(labels, answers), abs=0.02)
    assert told["recall"] == pytest.approx(recall_score(labels, answers), abs=0.02)
    assert told["f1"] == pytest.approx(f1_score(labels, answers), abs=0.02)


def test_off_says_nothing() -> None:
    found = share(block(scores(500, 3)))
    assert estimated(REFERENCE, found, ModelSettings(estimate="off"), 1e-4, 3_600) == []


def test_without_labels_in_the_reference_no_scores_are_counted() -> None:
    plain = dataclasses.replace(REFERENCE, odds=None)
    found = share(block(scores(500, 3)), of=plain)
    assert estimated(plain, found, SETTINGS, 1e-4, 3_600) == []
    assert len(found.vector) == len(Share(plain).vector) < len(Share(REFERENCE).vector)


@pytest.mark.parametrize("classes", [("0", "1"), ("1", "0")])
def test_probabilities_of_two_classes_say_the_same_as_the_score(classes: tuple[str, str]) -> None:
    p = scores(1_000, 3)
    matrix = np.column_stack([p if name == "1" else 1 - p for name in classes])
    both = block(p, score=None, probabilities=(classes, matrix))
    assert reading(share(both)) == reading(share(block(p)))


def test_rows_without_a_score_or_an_answer_say_nothing() -> None:
    p = scores(1_000, 3)
    holes = p.copy()
    holes[::2] = np.nan
    answers = column_of([None if i % 2 else float(x > 0.5) for i, x in enumerate(p)])
    assert reading(share(block(holes))).n == 500
    assert reading(share(block(p, prediction=answers))).n == 500
    assert reading(share(block(p, prediction=None))).n == 0
    assert reading(share(block(p, score=None))).n == 0


@given(st.lists(st.integers(0, 400), max_size=5), st.randoms(use_true_random=False))
def test_any_order_split_merge_and_restart_gives_the_same_counts(cuts: list[int], random) -> None:  # type: ignore[no-untyped-def]
    p = scores(400, 3)
    whole = share(block(p))
    ends = [0, *sorted(cuts), 400]
    parts = [share(block(p[a:b])) for a, b in itertools.pairwise(ends)]
    random.shuffle(parts)
    kept = [Share.from_bytes(part.to_bytes(), REFERENCE) for part in parts]
    merged = Share.merged(REFERENCE, kept)
    np.testing.assert_array_equal(merged.vector, whole.vector)
    assert reading(merged) == reading(whole)


def test_many_classes_have_an_estimated_accuracy_alone() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.dirichlet([0.5, 0.5, 0.5], ROWS)
    names = ("a", "b", "c")
    said = matrix.argmax(axis=1)
    right = rng.random(ROWS) < matrix.max(axis=1)
    everywhere = np.ones(ROWS, dtype=np.bool_)
    odds = odds_of("answer", matrix.max(axis=1), everywhere, right, everywhere)
    known = dataclasses.replace(REFERENCE, odds=odds)
    answers = column_of([names[i] for i in said])
    live = block(matrix[:, 0], score=None, prediction=answers, probabilities=(names, matrix))
    told = reading(share(live, of=known))
    assert told.statistic == pytest.approx(right.mean(), abs=1e-9)
    assert "precision" not in told.details
