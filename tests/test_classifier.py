"""The demo's model learns what it is shown, and always the same."""

import numpy as np

from agents import classifier
from stream.columns import Floats, Ints


def ring(rows: int, seed: int) -> tuple[Floats, Ints]:
    """Points in a plane; the class is the distance from the middle, which no line can tell."""
    inputs = np.random.default_rng(seed).normal(0, [1, 100], (rows, 2))
    distance = np.hypot(inputs[:, 0], inputs[:, 1] / 100)
    return inputs, np.digitize(distance, [0.8, 1.5]).astype(np.int64)


def test_it_learns_what_is_not_linear() -> None:
    fitted = classifier.fit(*ring(1_500, 1), 3, seed=1)
    inputs, classes = ring(1_000, 2)
    answers = fitted.probabilities(inputs)
    np.testing.assert_allclose(answers.sum(axis=1), 1)
    assert (answers.argmax(axis=1) == classes).mean() > 0.9


def test_the_same_seed_gives_the_same_model() -> None:
    inputs, classes = ring(300, 1)
    one, two, other = (classifier.fit(inputs, classes, 3, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.probabilities(inputs), two.probabilities(inputs))
    assert (one.probabilities(inputs) != other.probabilities(inputs)).any()


def test_answers_for_unseen_rows_do_not_flatter() -> None:
    """Labels that mean nothing: a model remembers some of its own, and none of the others."""
    random = np.random.default_rng(3)
    inputs, classes = random.normal(0, 1, (300, 6)), random.integers(0, 3, 300)
    seen = classifier.fit(inputs, classes, 3, 1).probabilities(inputs).argmax(axis=1)
    unseen = classifier.unseen(inputs, classes, 3, 1).argmax(axis=1)
    assert (seen == classes).mean() > 0.5
    assert (unseen == classes).mean() < 0.45
