"""Promises: what is kept, what is broken, and what is within chance of both."""

import math

import msgspec
import numpy as np
import pytest

from stream.columns import column_of
from stream.events import Data, Promised, Reading, RetrainRequest, Segment
from stream.intervals import Inflation
from stream.outcomes import outcomes
from stream.promises import Promise, overall
from stream.quality import metrics_of
from stream.settings import ModelSettings
from stream.tallies import Tally
from stream.trials import ALL, Claim, asked_of
from stream.verdicts import closed

SETTINGS = ModelSettings()


def right(n: int, share: float) -> Tally:
    found, hits = Tally(), round(n * share)
    labels = column_of(["a"] * hits + ["b"] * (n - hits))
    found.update(outcomes(labels, column_of(["a"] * n)))
    return found


def errors(values: list[float]) -> Tally:
    found = Tally()
    answers = np.array(values) + 0.25
    found.update(outcomes(column_of(np.full(len(values), 0.25)), column_of(answers)))
    return found


def claim(metric: str, value: float, **more: float | None) -> Claim:
    known: dict[str, float | None] = {"reference": None, "objective": None, **more}
    return Claim(
        metric, ALL, value, value - 0.02, value + 0.02, 900, known["reference"], known["objective"]
    )


def held(
    asked: Claim,
    tally: Tally | None,
    inflation: Inflation | None = None,
    *,
    level: float = 1.0,
    several: int = 1,
) -> Promised:
    metric = metrics_of(SETTINGS)[asked.metric]
    return Promise(asked, metric, tally, SETTINGS, level, several, inflation).held()


@pytest.mark.parametrize(
    ("share", "verdict", "why"),
    [
        (0.90, "worked", None),
        (0.84, "not-known", "within chance of it"),
        (0.80, "did-not", "better than before, but not as promised"),
        (0.75, "did-not", "not as promised, and no better than before beyond chance"),
        (0.60, "did-not", "worse than before"),
    ],
)
def test_accuracy_is_to_be_near_the_references_own(
    share: float, verdict: str, why: str | None
) -> None:
    found = held(claim("accuracy", 0.75, reference=0.89), right(4_000, share))
    assert found.verdict == verdict
    assert found.promised == pytest.approx(0.84)
    assert found.promised_by == "reference"
    assert "at least 0.84 was promised" in found.reason
    assert found.reason.endswith(why or "was promised")
    assert found.now
    assert found.change
    assert found.change.value == pytest.approx(share - 0.75)
    assert found.change.low < found.change.value < found.change.high


def test_an_objective_is_what_counts() -> None:
    asked = claim("accuracy", 0.75, reference=0.99, objective=0.8)
    assert held(asked, right(4_000, 0.9)).verdict == "worked"


def test_as_good_as_promised_and_no_better_than_before_is_not_known() -> None:
    found = held(claim("accuracy", 0.9, objective=0.8), right(4_000, 0.9))
    assert found.verdict == "not-known"
    assert found.reason.endswith("no better than before beyond chance")


def test_few_labels_and_outcomes_that_resemble_each_other_say_less() -> None:
    asked = claim("accuracy", 0.75, objective=0.85)
    assert held(asked, right(2_000, 0.9)).verdict == "worked"
    assert held(asked, right(2_000, 0.9), Inflation(50.0)).verdict == "not-known"
    few = held(asked, right(50, 0.96))
    assert few.verdict == "not-known"
    assert "100 labelled predictions are needed" in few.reason


def test_of_several_promises_one_is_broken_only_beyond_what_chance_does_to_all() -> None:
    asked = claim("accuracy", 0.75, reference=0.89)
    found = [held(asked, right(4_000, 0.825), several=k) for k in (1, 20)]
    assert [one.verdict for one in found] == ["did-not", "not-known"]
    assert found[0].now == found[1].now  # what is told is the interval of 95%
    assert held(asked, right(4_000, 0.80), several=20).verdict == "did-not"


def test_how_well_it_is_known_that_outcomes_resemble_each_other_counts() -> None:
    asked = claim("accuracy", 0.75, reference=0.89)
    verdicts = [
        held(asked, right(4_000, 0.82), Inflation(2.0, freedom)).verdict
        for freedom in (math.inf, 2.0)
    ]
    assert verdicts == ["did-not", "not-known"]


@pytest.mark.parametrize(
    ("before", "level", "verdict", "why"),
    [
        (0.86, 1.0, "worked", None),
        (0.86, 1e-3, "not-known", "no more than chance does to the worst of many windows"),
        (0.82, 1e-3, "worked", None),
        (0.89, 1e-3, "not-known", "no better than before beyond chance"),
    ],
)
def test_the_window_that_asked_was_chosen_for_being_bad(
    before: float, level: float, verdict: str, why: str | None
) -> None:
    """A version that is no better than the old one would beat its worst window."""
    found = held(claim("accuracy", before, objective=0.85), right(9_000, 0.9), level=level)
    assert found.verdict == verdict
    assert found.reason.endswith(why or "was promised")


def test_what_was_not_counted_is_not_known() -> None:
    found = held(claim("accuracy", 0.75, objective=0.85), None)
    assert (found.verdict, found.now, found.change) == ("not-known", None, None)
    assert found.reason == "accuracy 0.75 before; it could not be measured"


def test_of_an_error_less_is_better() -> None:
    rng = np.random.default_rng(0)
    small, large = (errors(rng.normal(0, scale, 3_000).tolist()) for scale in (0.5, 2.0))
    asked = claim("mae", 1.0, reference=0.5)
    assert held(asked, small).verdict == "worked"
    assert held(asked, small).promised == pytest.approx(0.525)
    assert held(asked, large).verdict == "did-not"
    assert "at most" in held(asked, large).reason


@pytest.mark.parametrize(
    ("before", "mean", "verdict"),
    [(0.5, 0.0, "worked"), (-0.5, 0.05, "worked"), (0.5, -0.8, "did-not"), (0.5, 0.25, "did-not")],
)
def test_of_a_mean_error_its_size_counts(before: float, mean: float, verdict: str) -> None:
    values = np.random.default_rng(0).normal(0, 0.3, 4_000)
    asked = claim("bias", before, objective=0.1)
    assert held(asked, errors((values - values.mean() + mean).tolist())).verdict == verdict


def test_all_metrics_must_work_and_none_may_fail() -> None:
    good, bad, open_ = (
        held(claim("accuracy", 0.75, objective=0.85), right(4_000, share))
        for share in (0.95, 0.7, 0.85)
    )
    assert overall([good, good]) == "worked"
    assert overall([good, open_]) == "not-known"
    assert overall([good, open_, bad]) == "did-not"
    assert overall([]) == "not-known"


def reading(n: int, segment: Segment | None = None, **details: float) -> Reading:
    return Reading(
        check="accuracy",
        subject="accuracy",
        role="quality",
        n=n,
        verdict="moved",
        reason="",
        details={"value": 0.5, "low": 0.4, "high": 0.6, **details},
        segment=segment or msgspec.UNSET,
    )


def test_of_a_metric_of_several_windows_the_longest_is_remembered() -> None:
    """And the objective of whichever has one; a segment is a metric of its own."""
    site = Segment(name="site", value="Lyon")
    evidence = [reading(50, objective=0.8), reading(90, reference=0.9), reading(20, site)]
    bare = msgspec.structs.replace(evidence[0], check="odd", details={})
    request = RetrainRequest(
        id="r", time="", model="m", version="1", reason="", evidence=[*evidence, bare],
        alert_ids=[], verdict=closed("worked"), data=Data(start="", end="", offsets=[]),
        labelled_rows=0, priority="normal", deadline="", idempotency_key="r",
    )  # fmt: skip
    asked = asked_of(request, 7)
    assert (asked.request_id, asked.version, asked.requested_ms, asked.answer) == ("r", "1", 7, "")
    known = [(c.segment, c.n, c.reference, c.objective) for c in asked.claims]
    assert known == [(ALL, 90, 0.9, 0.8), (("site", "Lyon"), 20, None, None)]
