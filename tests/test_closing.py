"""Closing the loop: a new version's first weeks beside what was asked, and by single rows."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events import Prediction, Truth
from stream.pipeline import Pipeline
from stream.settings import DAY_S
from stream.tallies import Tally
from stream.trials import ALL, Asked, Claim, Trial
from tests import tales
from tests.tales import DAY_MS, START_MS, Event, Way
from tests.test_monitor import PLAIN, ms

ROWS = 60  # a day
WEEK = dataclasses.replace(
    PLAIN, retrain_trial_s=7 * DAY_S, horizon_s=5 * DAY_S, objectives={"accuracy": 0.8}
)
OLD = range(6)  # days of the old version; then the new one's
FIRST = 8


def rows(
    version: str, days: Iterable[int], right: float, *, seed: int, delay: int = DAY_MS
) -> list[Event]:
    """Answers of which a share is right, and their truth after up to twice the delay."""
    rng, found = np.random.default_rng(seed), list[Event]()
    for day, i in itertools.product(days, range(ROWS)):
        time_ms = START_MS + day * DAY_MS + i * (DAY_MS // ROWS)
        key, said = f"{version}-{day}-{i}", str(rng.integers(2))
        label = said if rng.random() < right else str(1 - int(said))
        features: dict[str, Any] = {"x": float(rng.normal())}
        found.append(Prediction(key, "m", version, time_ms, features, prediction=said))
        found.append(Truth(key, "m", time_ms + int(rng.integers(2 * delay)), label))
    return found


def story(right: float, days: int = 12, *, seed: int = 5) -> list[Event]:
    """An old version that is bad from its third day on, and a new one from the ninth day on."""
    events = rows("1", range(3), 0.9, seed=seed) + rows("1", range(3, 6), 0.55, seed=seed + 1)
    events += rows("2", range(FIRST, FIRST + days), right, seed=seed + 2)
    return sorted(events, key=lambda e: e.time)


def answer(request: dict[str, Any], version: str | None = "2") -> dict[str, Any]:
    event: dict[str, Any] = {"type": "retraining-finished", "model": "m", "version": "1"}
    return event | {"new_version": version, "time": request["time"], "request_id": request["id"]}


def asked_about(pipeline: Pipeline) -> dict[str, Any]:
    """The request about the old version."""
    found = tales.events(pipeline, "retrain-requests")
    return next(request for request in found if request["version"] == "1")


def play(
    events: Sequence[Event],
    way: Way = Way(chunk=500),  # noqa: B008
    *,
    answered_after: int = 6,
    version: str | None = "2",
    wish: Any = WEEK,
) -> Pipeline:
    """answered_after: days of event time after which the request is answered."""
    pipeline = Pipeline(lambda _: wish, way.partitions, way.sources)
    until_ms = START_MS + answered_after * DAY_MS
    number = itertools.count()
    for early in (True, False):
        own = [e for e in events if (e.time < until_ms) == early]
        base = next(number) * len(events)
        for topic, partition, found in tales.chunks(own, way):
            pipeline.rows(
                topic, partition, [(base + at, *rest) for at, *rest in found], found[-1][1]
            )
            pipeline.checkpoint()
            if way.restart:
                pipeline.restart()
        pipeline.control({"type": "watermark", "model": "m", "time": until_ms})
        pipeline.checkpoint()
        if early:
            pipeline.control(answer(asked_about(pipeline), version))
            pipeline.checkpoint()
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + 60 * DAY_MS})
    pipeline.checkpoint()
    return pipeline


def told(pipeline: Pipeline) -> list[dict[str, Any]]:
    return [e for e in tales.events(pipeline, "evaluations") if "retrained" in e]


def notices(pipeline: Pipeline) -> list[tuple[str, str, str]]:
    alerts = [e for e in tales.events(pipeline, "alerts") if e["cause"] == "retraining"]
    return [(e["state"], e["time"], e["severity"]) for e in alerts]


def by_hand(events: Sequence[Event]) -> dict[str, Any]:
    """The same of single rows: until when it is waited, how many rows, and how many are right."""
    start_ms, until_ms = START_MS + FIRST * DAY_MS, START_MS + (FIRST + 7) * DAY_MS
    made = {
        e.prediction_id: e
        for e in events
        if isinstance(e, Prediction) and e.version == "2" and start_ms <= e.time < until_ms
    }
    truths = [e for e in events if isinstance(e, Truth) and e.prediction_id in made]
    for end_ms in range(until_ms, until_ms + WEEK.horizon_s * 1000 + 1, DAY_MS):
        known = [e for e in truths if e.time < end_ms]
        if len(known) >= 0.9 * len(made) or end_ms == until_ms + WEEK.horizon_s * 1000:
            right = sum(made[e.prediction_id].prediction == e.label for e in known)
            return {"at": end_ms, "made": len(made), "known": len(known), "right": right}
    raise AssertionError


@pytest.mark.parametrize(
    ("right", "verdict"), [(0.95, "worked"), (0.8, "not-known"), (0.55, "did-not")]
)
def test_what_a_new_version_came_to_is_told_once(right: float, verdict: str) -> None:
    events = story(right)
    pipeline = play(events)
    (found,), hand = told(pipeline), by_hand(events)
    said = found["retrained"]
    request = asked_about(pipeline)
    assert (said["request_id"], said["replaces"]) == (request["id"], "1")
    assert (found["version"], found["subject"], found["readings"]) == ("2", "quality", [])
    assert said["verdict"] == verdict
    assert ms(found["time"]) == hand["at"]
    assert (said["predictions"], said["labelled"]) == (hand["made"], hand["known"])
    (accuracy,) = said["metrics"]
    assert accuracy["now"]["value"] == hand["right"] / hand["known"]
    (asked,) = [r for r in request["evidence"] if r["check"] == "accuracy"]
    assert accuracy["before"]["value"] == asked["details"]["value"]
    assert (accuracy["promised"], accuracy["promised_by"]) == (0.8, "objective")
    over = hand["at"] + DAY_MS
    expected = [("firing", hand["at"], "notice"), ("resolved", over, "notice")]
    said = [(state, ms(at), severity) for state, at, severity in notices(pipeline)]
    assert said == (expected if verdict == "did-not" else [])


@settings(max_examples=4, deadline=None)
@given(
    st.sampled_from((0.95, 0.55)),
    st.integers(6, 20),
    st.booleans(),
    st.integers(0, 9),
    st.sampled_from((1, 2)),
)
def test_neither_a_late_answer_nor_the_order_of_arrival_changes_it(
    right: float, day: int, restart: bool, seed: int, partitions: int
) -> None:
    """What was judged before the answer came is read again."""
    events = story(right)
    plain = play(events)
    way = Way(partitions, 2, 400, seed, restart)
    other = play(events, way, answered_after=day)
    assert told(other) == told(plain)
    assert notices(other) == notices(plain)


def test_truth_that_never_comes_is_waited_for_no_longer_than_the_horizon() -> None:
    events = [
        e
        for e in story(0.95)
        if isinstance(e, Prediction)
        or e.prediction_id.startswith("1-")
        or int(e.prediction_id.split("-")[2]) < 3
    ]
    (found,), hand = told(play(events)), by_hand(events)
    assert ms(found["time"]) == hand["at"] == START_MS + (FIRST + 7 + 5) * DAY_MS
    assert found["retrained"]["verdict"] == "not-known"
    assert found["retrained"]["labelled"] == 21
    assert "30 labelled predictions are needed" in found["retrained"]["reason"]


@pytest.mark.parametrize("version", [None, "1", "3"])
def test_a_version_that_cannot_be_told_apart_or_never_comes_is_not_compared(
    version: str | None,
) -> None:
    assert told(play(story(0.95, 10), version=version)) == []


def test_it_can_be_switched_off() -> None:
    pipeline = play(story(0.95, 10), wish=dataclasses.replace(WEEK, retrain_trial_s=0))
    assert told(pipeline) == []
    assert loops(pipeline) == []


def waiting() -> Pipeline:
    """In the middle of a trial."""
    pipeline = Pipeline(lambda _: WEEK)
    events = [e for e in story(0.95) if e.time < START_MS + 12 * DAY_MS]
    for topic, partition, found in tales.chunks(events, Way(chunk=10_000)):
        pipeline.rows(topic, partition, found, found[-1][1])
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + 12 * DAY_MS})
    pipeline.checkpoint()
    pipeline.control(answer(asked_about(pipeline)))
    pipeline.checkpoint()
    assert loops(pipeline) == ["trial/m/2"]
    return pipeline


def test_a_trial_that_waits_is_saved_when_something_changed() -> None:
    watch = waiting().watch
    monitor = watch.monitors["m/2"]
    for _ in range(2):
        watch.stir(monitor.key)
        watch.advance()
        found = watch.changes()
        assert (found.puts, found.deletes, found.outbox) == ({}, set(), [])
    assert monitor.memory.loop.trial is not None
    monitor.memory.loop.trial.begin(START_MS + FIRST * DAY_MS)
    assert set(monitor.save().puts) == {"trial/m/2"}


def test_it_can_be_switched_off_while_it_waits() -> None:
    pipeline = waiting()
    pipeline.settings = lambda _: dataclasses.replace(WEEK, retrain_trial_s=0)
    pipeline.restart()
    pipeline.checkpoint()
    assert loops(pipeline) == []
    assert told(pipeline) == []


def test_what_is_remembered_of_a_request_is_gone_once_it_is_answered() -> None:
    events = [e for e in story(0.95) if e.time < START_MS + 12 * DAY_MS]
    assert loops(play(events, answered_after=40)) == []
    assert loops(play(events, version="1")) == []
    assert loops(play(events, version="3")) == ["asked/m/1"]


def loops(pipeline: Pipeline) -> list[str]:
    return [field for field in pipeline.watched.fields if field.startswith(("asked/", "trial/"))]


@pytest.mark.parametrize("kind", [Asked, Trial])
def test_damaged_state_is_refused(kind: type[Asked | Trial]) -> None:
    asked = Asked("r", "1", 5, [Claim("accuracy", ALL, 0.5, 0.4, 0.6, 9, None, 0.8)])
    trial = Trial(asked, 7, 8, 9, 10, {ALL: {0: Tally(n=3)}, ("site", "a"): {2: Tally(n=1)}}, 11)
    raw = (asked if kind is Asked else trial).to_bytes()
    again: Asked | Trial = kind.from_bytes(raw)
    assert again.to_bytes() == raw
    assert (trial.labelled, again == (asked if kind is Asked else trial)) == (3, True)
    for end in range(len(raw)):
        with pytest.raises(ValueError, match="damaged"):
            kind.from_bytes(raw[:end])
