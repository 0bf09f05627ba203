"""stream.losses: the values whose means the metrics are."""

import math

import numpy as np
import pytest

from stream.columns import column_of
from stream.losses import losses
from stream.outcomes import Outcomes, outcomes
from stream.quality import METRICS, Tally, metrics_for


def means(found: Outcomes) -> dict[str, float]:
    told = {name: float(np.nanmean(values)) for name, values in losses(found).items()}
    return told | ({"rmse": math.sqrt(told["rmse"])} if "rmse" in told else {})


def metrics(found: Outcomes, names: set[str]) -> dict[str, float]:
    tally = Tally()
    tally.update(found)
    figures = {name: METRICS[name].get(tally) for name in metrics_for(tally) if name in names}
    return {name: figure.value for name, figure in figures.items() if figure}


def test_their_means_are_the_metrics_of_classes() -> None:
    random = np.random.default_rng(1)
    labels, answers = (column_of(["ab"[int(x)] for x in random.random(200) < 0.3]) for _ in "xx")
    scores = (("a",), random.random((200, 1)))
    found = outcomes(labels, answers, scores)
    expected = metrics(found, {"accuracy", "log_loss", "brier"})
    assert set(expected) == {"accuracy", "log_loss", "brier"}
    assert {name: means(found)[name] for name in expected} == pytest.approx(expected)


def test_their_means_are_the_metrics_of_numbers() -> None:
    random = np.random.default_rng(2)
    labels, answers = (column_of((random.normal(size=200) * 3).tolist()) for _ in "xx")
    found = outcomes(labels, answers, task="regression")
    expected = metrics(found, {"mae", "rmse", "bias"})
    assert set(expected) == {"mae", "rmse", "bias"}
    assert means(found) == pytest.approx(expected)


def test_what_is_not_there_has_none() -> None:
    assert losses(Outcomes(np.ones(3, dtype=np.int64))) == {}
