"""Silence of labels told by the clock: also where truth precedes its predictions, told once."""

import functools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.events import Prediction, Truth
from stream.pipeline import Pipeline
from tests import test_labelling as labelling
from tests.test_labelling import DAY_MS, PLAIN, START_MS, Event

DAYS, STOP, BACK = 24, 16, 21
LOGS = {"predictions": Prediction, "ground-truth": Truth}
Turn = tuple[str, float]  # a log, and up to which day it is read


def ahead(rng: random.Random, made: float) -> tuple[float, str] | None:
    """No label comes for five days; those of the first of these days came the day before."""
    if STOP <= made < STOP + 1:
        return STOP - 0.5 - made, "0"
    return labelling.until(STOP, BACK)(rng, made)


@functools.cache
def events() -> list[Event]:
    """Of a model, and of another one that goes on to be labelled."""
    found = labelling.story(DAYS, ahead, rows=24) + labelling.story(DAYS, model="n", rows=2)
    return sorted(found, key=lambda e: e.time)


def read(turns: Sequence[Turn], partitions: int = 1, *, restart: bool = False) -> Pipeline:
    """Both logs in turn, each in its own order."""
    pipeline = Pipeline(lambda _: PLAIN, partitions, 1)
    logs = {topic: [e for e in events() if isinstance(e, kind)] for topic, kind in LOGS.items()}
    at = dict.fromkeys(logs, 0)
    for topic, day in turns:
        rows = [(i, e.time, e) for i, e in enumerate(logs[topic])]
        rows = [row for row in rows[at[topic] :] if row[1] < START_MS + day * DAY_MS]
        at[topic] += len(rows)
        for some in (rows[i : i + 60] for i in range(0, len(rows), 60)):
            pipeline.rows(topic, 0, some, some[-1][1])
            pipeline.checkpoint()
            if restart:
                pipeline.restart()
    return pipeline


def lagging(day: float) -> list[Turn]:
    """Truth is read up to the day before it comes again; predictions up to an earlier day."""
    late = [("predictions", day), ("ground-truth", BACK - 0.1)]
    return [*late, *((topic, DAYS) for topic in LOGS)]


@functools.cache
def said(topic: str) -> list[dict[str, Any]]:
    """What is told where predictions come first."""
    return labelling.told(read([(log, DAYS) for log in LOGS]), topic)


def test_truth_that_came_before_its_prediction_is_no_part_of_the_silence() -> None:
    first, last = said("alerts")
    assert (first["state"], last["state"]) == ("firing", "resolved")
    assert "no labels for 1 day since 2023-12-02T00:00:00.000Z" in first["summary"]
    assert START_MS + (STOP + 1) * DAY_MS == 1_701_475_200_000  # that day


@settings(max_examples=4, deadline=None)
@given(st.floats(8, 18), st.sampled_from((1, 2)), st.booleans())
@example(12.0, 1, False)
@example(15.0, 2, True)
def test_predictions_that_are_read_late_change_nothing_of_it(
    day: float, partitions: int, restart: bool
) -> None:
    """What the clock shows of truth holds as far as predictions are known, and no further."""
    pipeline = read(lagging(day), partitions, restart=restart)
    for topic in ("alerts", "evaluations"):
        assert labelling.told(pipeline, topic) == said(topic)


@pytest.mark.parametrize("day", [12, 17.5])
def test_the_clock_tells_before_labels_come_again(day: float) -> None:
    pipeline = read([*lagging(day)[:2], ("predictions", DAYS)])
    assert labelling.told(pipeline) == said("alerts")[:1]
