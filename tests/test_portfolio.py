"""The generated portfolio has the shapes that were measured on the published one."""

import numpy as np
import pytest

from agents import portfolio, story

MEANS = {  # of the published reference: mean and standard deviation
    "training": (0.21, 0.41),
    "age": (35.1, 12.8),
    "emergency_braking": (0.394, 0.489),
    "braking_distance": (39.9, 4.8),
    "power": (134.9, 35.0),
    "miles": (81.0, 25.5),
}
LAST = {  # and the mean of its month 36
    "training": 0.20,
    "age": 39.4,
    "emergency_braking": 0.94,
    "braking_distance": 40.0,
    "power": 135.2,
    "miles": 62.8,
}
QUARTILES = {"age": (25.1, 32.7, 42.6), "power": (110, 131, 157), "miles": (62.7, 77.1, 95.6)}


@pytest.mark.parametrize("name", portfolio.FEATURES)
def test_the_reference_and_the_last_month(name: str) -> None:
    mean, sd = MEANS[name]
    known = portfolio.policies(0, 7).feature(name)
    assert known.mean() == pytest.approx(mean, abs=sd / 10)
    assert known.std() == pytest.approx(sd, rel=0.1)
    assert portfolio.policies(36, 7).feature(name).mean() == pytest.approx(LAST[name], abs=sd / 10)


@pytest.mark.parametrize("name", QUARTILES)
def test_quartiles(name: str) -> None:
    known = portfolio.policies(0, 7).feature(name)
    spread = MEANS[name][1]
    np.testing.assert_allclose(
        np.quantile(known, [0.25, 0.5, 0.75]), QUARTILES[name], atol=spread / 8
    )


def test_groups() -> None:
    shares = np.bincount(portfolio.policies(0, 7).groups, minlength=3) / portfolio.ROWS
    np.testing.assert_allclose(shares, [0.39, 0.325, 0.29], atol=0.03)


def test_a_month_does_not_depend_on_the_others() -> None:
    few, many = portfolio.generate(3, 1)[1], portfolio.generate(5, 1)[1]
    np.testing.assert_array_equal(few[2].features, many[2].features)
    assert (portfolio.policies(3, 2).features != few[2].features).any()


@pytest.mark.parametrize("source", ["generated", "published"])
def test_the_model_gets_worse_and_does_not_notice(
    source: str, request: pytest.FixtureRequest
) -> None:
    if source == "generated":
        told = story.generate()
    else:
        told = story.load(request.getfixturevalue("data") / "insurance", 36)
    answers = [told.model.probabilities(month.features) for month in told.months]
    right = [
        (a.argmax(axis=1) == m.groups).mean() for a, m in zip(answers, told.months, strict=True)
    ]
    sure = [a.max(axis=1).mean() for a in answers]
    assert np.mean(right[:3]) == pytest.approx(0.88, abs=0.03)
    assert np.mean(right[-3:]) == pytest.approx(0.54, abs=0.04)
    assert np.ptp(sure) < 0.03
    assert np.mean(sure) == pytest.approx(0.85, abs=0.02)
    assert told.reference.quality["accuracy"] == pytest.approx(0.88, abs=0.02)
