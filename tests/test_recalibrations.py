"""Recalibrations: what an event says of scores, and which of several counts."""

import dataclasses
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression

from stream.columns import Bools, Floats, column_of
from stream.events import Limits, Recalibration, decode_control
from stream.odds import odds_of
from stream.outcomes import outcomes
from stream.pipeline import Pipeline
from stream.points import taught
from stream.recalibrations import MOST, Learnt, Recalibrations
from stream.settings import ModelSettings
from stream.stamps import stamp
from stream.tallies import Tally

UNTIL_MS, DAY_MS = 1_700_000_000_000, 86_400_000
EVENT = Recalibration(
    model="m",
    version="1",
    time=UNTIL_MS,
    reference_id="r",
    scores=[0.2, 0.7],
    labelled=[8, 8],
    right=[3, 4],
    learnt_from=UNTIL_MS - DAY_MS,
    learnt_until=UNTIL_MS,
)
POINTS = st.lists(
    st.tuples(st.integers(0, 1_000), st.integers(1, 50), st.floats(0, 1)),
    min_size=1,
    max_size=40,
    unique_by=lambda point: point[0],
)


def event_of(points: list[tuple[int, int, float]], **more: Any) -> Recalibration:
    points = sorted(points)
    given: dict[str, Any] = {
        "scores": [place / 1_000 for place, _, _ in points],
        "labelled": [n for _, n, _ in points],
        "right": [int(n * share) for _, n, share in points],
    }
    return msgspec.structs.replace(EVENT, **given | more)


@given(POINTS)
def test_the_curve_is_scikit_learns_isotonic_regression(
    points: list[tuple[int, int, float]],
) -> None:
    one = Learnt.of(event_of(points))
    shares, weights = one.right / one.labelled, one.labelled
    expected = IsotonicRegression().fit(one.scores, shares, weights).predict(one.scores)
    np.testing.assert_allclose(one.curve(one.scores).chance, expected, atol=1e-9)
    everywhere = one.curve(np.linspace(-0.1, 1.1, 300)).chance
    assert (np.diff(everywhere) >= 0).all()
    assert set(everywhere) <= set(one.curve(one.scores).chance)


def test_estimates_by_it_hold_the_truth_as_often_as_their_interval_says() -> None:
    """Live scores are surer than any of the reference's: most of them share one of its codes."""
    rng = np.random.default_rng(1)
    p, everywhere = rng.uniform(0.2, 0.8, 3_000), np.ones(3_000, dtype=np.bool_)
    odds = odds_of("positive", p, p > 0.5, rng.random(3_000) < p, everywhere)
    assert odds is not None
    inside, gaps = [], []
    for _ in range(200):
        scores, true = _too_sure(rng, 1_500)
        tally = Tally()
        classed = column_of(true.astype(float)), column_of((scores > 0.5).astype(float))
        tally.update(outcomes(*classed, (("1",), scores[:, None])))
        places, labelled, right = map(list, zip(*taught(tally, "positive"), strict=True))
        event = msgspec.structs.replace(EVENT, scores=places, labelled=labelled, right=right)
        scores, true = _too_sure(rng, 600)
        counts = [odds.counts_of(scores[said]) for said in (scores <= 0.5, scores > 0.5)]
        expected = dataclasses.replace(odds.expectation(*counts), curve=Learnt.of(event).over(odds))
        figure, real = expected.figures()["accuracy"], ((scores > 0.5) == true).mean()
        inside.append(figure.low <= real <= figure.high)
        gaps.append(figure.value - real)
    assert binomtest(sum(inside), 200, 0.95).pvalue > 1e-3
    assert abs(np.mean(gaps)) < 0.01


def _too_sure(rng: np.random.Generator, rows: int) -> tuple[Floats, Bools]:
    p = rng.beta(1.5, 1.5, rows).clip(0.01, 0.99)
    odds = (p / (1 - p)) ** 3
    return odds / (1 + odds), rng.random(rows) < p


@given(st.permutations(range(6)), st.integers(0, 5))
def test_several_count_the_same_in_any_order_twice_and_after_a_restart(
    order: list[int], twice: int
) -> None:
    since = [UNTIL_MS + DAY_MS * (i // 2) for i in range(6)]  # two at a time
    some = [event_of([(500, 9, i / 6)], active_from=since[i], time=i) for i in range(6)]

    def known(places: list[int]) -> Recalibrations:
        found = Recalibrations()
        for i in places:
            found.update(some[i], 0)
            again = Recalibrations()
            again.load(found.to_bytes())
            found = again
        return found

    plain, other = known([*range(6)]), known([*order, twice])
    assert other.to_bytes() == plain.to_bytes()
    for day in range(-1, 4):
        one = other.at(UNTIL_MS + DAY_MS * day, "r")
        assert (one and one.event) == (some[min(2 * day + 1, 5)] if day >= 0 else None)
        assert other.at(UNTIL_MS + DAY_MS * day, "another") is None


def test_what_was_replaced_long_ago_is_forgotten_and_there_is_a_limit() -> None:
    found = Recalibrations()
    for i in range(MOST + 5):
        found.update(event_of([(500, 9, 0.5)], active_from=UNTIL_MS + i), 0)
    assert len(found.known) == MOST
    assert found.known[-1].since_ms == UNTIL_MS + MOST + 4
    found.update(event_of([(500, 9, 0.5)]), found.known[-2].since_ms)
    assert [one.since_ms - UNTIL_MS for one in found.known] == [MOST + 3, MOST + 4]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"scores": [0.1]}, "the same length"),
    ({"scores": [], "labelled": [], "right": []}, "1 to 2,000 scores"),
    ({"scores": [0.1, 1.5]}, "0 to 1"),
    ({"scores": [0.5, 0.5]}, "must rise"),
    ({"right": [3, -1]}, "as many as are labelled"),
    ({"right": [9, 1]}, "as many as are labelled"),
    ({"labelled": [0, 8], "right": [0, 1]}, "must have a label"),
    ({"labelled": [2**53, 2**53]}, "at most"),
    ({"learnt_from": UNTIL_MS}, "before learnt_until"),
    ({"active_from": UNTIL_MS - 1}, "labels of later"),
]


@pytest.mark.parametrize(("change", "why"), WRONG, ids=[why for _, why in WRONG])
def test_one_that_contradicts_itself_is_a_dead_letter_and_counts_for_nothing(
    change: dict[str, Any], why: str
) -> None:
    pipeline = Pipeline(lambda _: ModelSettings(), 2)
    pipeline.control(msgspec.to_builtins(msgspec.structs.replace(EVENT, **change)))
    pipeline.checkpoint()
    (letter,) = pipeline.published
    assert dict(letter.headers)["driftline-reason"] == b"bad-recalibration"
    assert why in dict(letter.headers)["driftline-error"].decode()
    assert not any(field.startswith("learnt/") for field in pipeline.watched.fields)


def test_it_may_count_from_a_time_that_is_far_ahead() -> None:
    ahead = msgspec.to_builtins(EVENT) | {"active_from": "2100-01-01T00:00:00Z"}
    found = decode_control(json.dumps(ahead).encode(), None, UNTIL_MS, Limits())
    assert isinstance(found, Recalibration)
    assert stamp(found.active_from or 0) == "2100-01-01T00:00:00.000Z"


@pytest.mark.parametrize("raw", [b"", b"\x91\x01", msgspec.msgpack.encode([{"type": "watermark"}])])
def test_damaged_state_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="damaged recalibrations"):
        Recalibrations().load(raw)
