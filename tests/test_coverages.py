"""How truth comes, over all model versions, as gauges; of one it is what its evaluations say."""

import dataclasses
from typing import Any

import pytest

from agents import coverages
from agents.coverages import AGES_S, SHARES
from stream.pipeline import Pipeline
from stream.settings import DAY_S
from tests import tales
from tests.tales import Way
from tests.test_ages import PLAIN, quality, spread


def played(share: float = 1.0, delays: int = 4) -> Pipeline:
    return tales.play(spread(share, delays=delays), PLAIN, Way(chunk=1_000))


def labels_of(pipeline: Pipeline) -> dict[str, Any]:
    found: dict[str, Any] = quality(pipeline)[-1]["labels"]
    return found


def known_of(*some: Pipeline) -> list[coverages.Known]:
    monitors = [m for pipeline in some for m in pipeline.watch.monitors.values()]
    return [*coverages.known_of(monitor.memory for monitor in monitors)]


def test_of_one_model_it_is_what_its_evaluations_say() -> None:
    one = played()
    told = labels_of(one)
    known, points = known_of(one), {p["age_seconds"]: p for p in told["coverage_by_age"]}
    found = coverages.by_age(known)
    assert found["1d",] == pytest.approx(points[DAY_S]["share"], abs=1e-6)
    assert not found.keys() & {("1h",), ("30d",)}  # less than a pane, more than the horizon
    assert coverages.delays(known) == {
        ("0.5",): told["delay_median_seconds"],
        ("0.9",): told["delay_p90_seconds"],
    }
    states, predictions = coverages.cohorts(known)
    assert states["complete",] == told["cohorts_complete"]
    assert states["provisional",] == told["cohorts_provisional"]
    assert sum(predictions.values()) == sum(int(c.made.sum()) for _, c in known)


def test_of_several_each_counts_by_its_predictions_and_the_slowest_tells_the_delay() -> None:
    quick, slow = played(delays=1), played(delays=4)
    apart = [coverages.by_age(known_of(one))["1d",] for one in (quick, slow)]
    both = known_of(quick, slow)
    rows = [int(census.delays.risk[0]) for _, census in both]
    mean = sum(a * n for a, n in zip(apart, rows, strict=True)) / sum(rows)
    assert coverages.by_age(both)["1d",] == pytest.approx(mean)
    assert coverages.delays(both) == coverages.delays(known_of(slow))


def test_what_is_not_known_is_not_told() -> None:
    half = played(share=0.5)
    assert ("0.9",) not in coverages.delays(known_of(half))
    assert coverages.by_age([]) == coverages.delays([]) == {}
    s = dataclasses.replace(PLAIN, expects_truth=False)
    none = tales.play(spread(), s, Way(chunk=1_000))
    assert known_of(none) == []


def test_ages_and_shares_are_called_as_they_are() -> None:
    assert [*AGES_S.values()] == sorted(AGES_S.values())
    assert all(float(name) == share for name, share in SHARES.items())
