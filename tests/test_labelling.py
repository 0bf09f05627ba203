"""stream.monitor.labelling: labels that stop, come later or are of another mix are told of."""

import dataclasses
import functools
import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.events import Prediction, Truth
from stream.labelling import CHECKS
from stream.pipeline import Pipeline
from stream.settings import DAY_S, ModelSettings
from tests import tales
from tests.tales import Way

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
START_MS = 1_700_006_400_000  # 2023-11-15
PLAIN = ModelSettings(
    pane_s=12 * 3_600,
    windows_s=(DAY_S,),
    horizon_s=6 * DAY_S,
    idle_s=DAY_S,
    retrain=False,
    minimum_rows=50,
    reference_rows=100,
)
ROWS = 48  # predictions a day
Event = Prediction | Truth
Labeller = Callable[[random.Random, float], tuple[float, str] | None]


def usual(rng: random.Random, day: float) -> tuple[float, str]:
    """Days of delay, and the label. What is labelled soon is mostly "1"."""
    del day
    delay = rng.expovariate(1.0) + 0.3
    return delay, "1" if rng.random() < (0.6 if delay < 0.8 else 0.2) else "0"


def story(
    days: int, labeller: Labeller = usual, *, model: str = "m", seed: int = 1, rows: int = ROWS
) -> list[Event]:
    """Predictions of so many days, and the truth that had come by then."""
    rng, found = random.Random(seed), list[Event]()
    for i in range(days * rows):
        time_ms = START_MS + i * DAY_MS // rows
        said = "1" if rng.random() < 0.4 else "0"
        found.append(Prediction(f"{model}{i}", model, "1", time_ms, {"x": i % 7 + 0.5}, said))
        told = labeller(rng, i / rows)
        if told is not None and told[0] < 6:
            at_ms = time_ms + round(told[0] * DAY_MS)
            found.append(Truth(f"{model}{i}", model, at_ms, told[1]))
    return [event for event in found if event.time < START_MS + days * DAY_MS]


def until(day: float, back: float = 1e9) -> Labeller:
    """No label comes between two days."""

    def labeller(rng: random.Random, made: float) -> tuple[float, str] | None:
        delay, label = usual(rng, made)
        return None if day <= made + delay < back else (delay, label)

    return labeller


def played(
    events: Sequence[Event],
    wish: ModelSettings = PLAIN,
    *,
    chunk: int = 100,
    sources: int = 1,
    partitions: int = 1,
    restart: bool = False,
    seed: int = 0,
) -> Pipeline:
    """Fed by source partition, in any order among them: what lies in one keeps its order."""
    way = Way(partitions, sources, chunk, seed, restart)
    return tales.fed(sorted(events, key=lambda e: e.time), wish, way)


def told(pipeline: Pipeline, topic: str = "alerts") -> list[dict[str, Any]]:
    """What was said of labels, each event once, in order of event time."""
    found = {e["id"]: e for e in tales.events(pipeline, topic) if e["model"] == "m"}
    key = "reading" if topic == "alerts" else "readings"
    about = [e for e in found.values() if _checks(e[key]) & {*CHECKS}]
    return sorted(about, key=lambda e: (e["time"], e["id"]))


def _checks(readings: Any) -> set[str]:
    return {r["check"] for r in (readings if isinstance(readings, list) else [readings])}


def summary(alerts: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(e["cause"], e["state"], e["time"][:10]) for e in alerts]


OTHER = story(26, model="n", rows=4)
STOP = [*story(26, until(16)), *OTHER]
BACK = [*story(26, until(16, 21)), *OTHER]


def test_labels_that_stop_are_told_of_though_none_comes() -> None:
    pipeline = played(STOP)
    (alert,) = told(pipeline)
    assert summary([alert]) == [("data:label-silence", "firing", "2023-12-02")]
    assert (alert["severity"], alert["reading"]["role"]) == ("notice", "data")
    assert "about 48 were due" in alert["summary"]
    assert alert["summary"].startswith("m 1: no labels for 1 day since 2023-12-01T00:00:00.000Z")
    assert "Check that labels are still made" in alert["action"]
    (found,) = told(pipeline, "evaluations")
    assert (found["rows"], found["subject"], found["verdict"]["kind"]) == (
        0,
        "quality",
        "labelling-incident",
    )
    assert tales.events(pipeline, "retrain-requests") == []


def test_it_is_over_when_they_come_again() -> None:
    first, *_, last = told(played(BACK))
    assert first["state"] == "firing"
    assert summary([last]) == [("data:label-silence", "resolved", "2023-12-06")]
    assert "they come again" in last["summary"]


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (story(26, until(6)), "known for too short"),
        ([e for e in STOP if e.time < START_MS + 16 * DAY_MS or e.model == "n"], "none was due"),
        (story(26), "they do not stop"),
    ],
)
def test_what_is_no_silence_of_labels_is_not_told(events: list[Event], why: str) -> None:
    assert told(played([*events, *OTHER])) == [], why


def test_a_pause_that_is_usual_is_not_told() -> None:
    """Nobody labels on Saturdays and Sundays."""

    def office(rng: random.Random, made: float) -> tuple[float, str] | None:
        delay, label = usual(rng, made)
        day = made + delay
        return (delay + (2 if int(day) % 7 in (3, 4) else 0), label)

    assert told(played([*story(33, office), *story(33, model="n", rows=4)])) == []


def shifted(rng: random.Random, made: float) -> tuple[float, str] | None:
    """From the 18th day on it takes three times as long, and half of it never comes."""
    delay, label = usual(rng, made)
    if made >= 18:
        return None if rng.random() < 0.5 else (3 * delay, label)
    return delay, label


def renamed(rng: random.Random, made: float) -> tuple[float, str] | None:
    delay, label = usual(rng, made)
    return (delay, f"class {label}" if made + delay >= 18 else label)


@pytest.mark.parametrize(
    ("labeller", "cause", "words"),
    [
        (shifted, "data:label-delay", "labels come later: half of those that come had come within"),
        (renamed, "data:label-mix", "the mix of labels jumped: the share of"),
    ],
)
def test_labels_that_change_are_told_of(labeller: Labeller, cause: str, words: str) -> None:
    first, *_ = alerts = told(played(story(26, labeller, rows=200)))
    assert {alert["cause"] for alert in alerts if alert["state"] == "firing"} == {cause}
    assert "2023-12-03" < first["time"] < "2023-12-07"
    assert words in first["summary"]
    assert first["verdict"]["kind"] == "labelling-incident"
    assert first["severity"] == "notice"


def test_labels_that_are_quick_are_no_other_mix_when_there_are_more_of_them() -> None:
    """Traffic that comes at once brings quick labels first: nothing has changed at equal age."""
    more = [
        msgspec.structs.replace(e, prediction_id=f"b{e.prediction_id}")
        for e in story(26, seed=2, rows=200)
    ]
    late = START_MS + 18 * DAY_MS
    born = {e.prediction_id for e in more if isinstance(e, Prediction) and e.time >= late}
    assert told(played([*story(26), *(e for e in more if e.prediction_id in born)])) == []


def test_who_does_not_want_it_is_told_nothing_and_keeps_nothing() -> None:
    pipeline = played(BACK, dataclasses.replace(PLAIN, watch_labels=False))
    assert told(pipeline) == []
    assert not [f for f in pipeline.watched.fields if f.startswith(("labelling", "stint"))]


STORIES: dict[str, list[Event]] = {
    "back": BACK,
    "alone": [e for e in BACK if e.model == "m"],  # it is known when labels come again
    "shifted": story(23, shifted, rows=100),
    "renamed": story(23, renamed, rows=100),
}


@functools.cache
def said(name: str, topic: str) -> list[dict[str, Any]]:
    return told(played(STORIES[name]), topic)


@settings(max_examples=3, deadline=None)
@given(
    st.sampled_from(sorted(STORIES)), st.sampled_from((1, 2)), st.sampled_from((1, 2)),
    st.sampled_from((150, 500)), st.booleans(), st.integers(0, 99),
)  # fmt: skip
@example("back", 2, 2, 300, True, 5)
@example("renamed", 2, 1, 300, True, 7)
def test_the_same_is_said_of_labels_however_it_is_played(
    name: str, partitions: int, sources: int, chunk: int, restart: bool, seed: int
) -> None:
    """Whether by the clock, or once labels come again; whichever of the logs is read first."""
    pipeline = played(
        STORIES[name],
        chunk=chunk,
        sources=sources,
        partitions=partitions,
        restart=restart,
        seed=seed,
    )
    for topic in ("evaluations", "alerts"):
        assert told(pipeline, topic) == said(name, topic)
    assert said(name, "alerts")
