"""Labels teach a watch by themselves: the same however they came, and nothing else changes."""

import dataclasses
import functools
import itertools
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from agents.backtest.accounts import at
from agents.tail import evaluation_text
from stream.alerts import AlertState
from stream.blindness import GAP, Gap
from stream.cohorts import Cohorts
from stream.columns import column_of
from stream.courses import Course, gap_of
from stream.estimates import ESTIMATED
from stream.events import Evaluation, Prediction, Recalibrated, Truth
from stream.monitor import Memory, learning
from stream.outcomes import outcomes
from stream.pipeline import Pipeline
from stream.points import MINIMUM_LABELS
from stream.settings import DAY_S, ModelSettings
from stream.subjects import Subject
from stream.tallies import Tally
from tests import tales
from tests.tales import DAY_MS, START_MS, Way
from tests.test_lessons import DAYS, ROWS, SETTINGS, TURN, drawn, readings, realised, story

EVERY = 3  # days
TAUGHT = dataclasses.replace(SETTINGS, recalibrate_every_s=EVERY * DAY_S)
PLAIN = Way()


@functools.cache
def played(way: Way = PLAIN, wish: int = EVERY) -> Pipeline:
    told = dataclasses.replace(SETTINGS, recalibrate_every_s=wish * DAY_S)
    return tales.play(story(), told, way)


def told(pipeline: Pipeline) -> dict[int, Recalibrated]:
    """By the day on which a window ended."""
    found = {}
    for event in tales.events(pipeline, "evaluations"):
        if "recalibrated" in event:
            day = (at(event["window"]["end"]) - START_MS) // DAY_MS
            found[day] = msgspec.convert(event["recalibrated"], Recalibrated)
    return found


# the story: from day TURN on scores are too sure of themselves


def test_what_is_estimated_follows_what_labels_have_taught() -> None:
    plain, found = readings(played(), ESTIMATED), told(played())
    last = range(DAYS - 6, DAYS)
    for day in last:
        accuracy = found[day].accuracy
        assert accuracy is not None
        assert abs(accuracy.value - realised(day)) < 0.08
        assert plain[day]["statistic"] - realised(day) > 0.1
        assert accuracy.reference == plain[day]["details"]["reference"]
    errors = [found[day].accuracy.value - realised(day) for day in last]  # type: ignore[union-attr]
    assert abs(np.mean(errors)) < 0.04


def test_lessons_are_of_what_was_complete_and_of_nothing_twice() -> None:
    lessons = {one.since: one for one in told(played()).values()}
    times = [
        [at(x) for x in (one.learnt_from, one.learnt_until, one.since)] for one in lessons.values()
    ]
    assert len(times) >= 5
    for (start, end, since), (later, _, after) in itertools.pairwise(times):
        assert start < end <= since
        assert end <= later
        assert after - since >= EVERY * DAY_MS
    for one in lessons.values():
        assert one.labels >= MINIMUM_LABELS
        assert one.labels % ROWS == 0  # whole days
        assert one.chances == sorted(one.chances)
        assert len(one.chances) == 11


def test_a_lesson_counts_for_predictions_from_its_own_time_on() -> None:
    """It is made at the end of a window, of labels that came by then, a day after predictions."""
    found = told(played())
    for since in {one.since for one in found.values()}:
        days = [day for day, one in found.items() if one.since == since]
        assert START_MS + min(days) * DAY_MS == at(since) + DAY_MS
        assert at(since) >= at(found[min(days)].learnt_until) + DAY_MS


def test_the_gap_is_of_what_was_estimated_when_it_was() -> None:
    """Labels of a window came a day later: of the predictions of the window that ended the day
    before, whose estimate was told then.
    """
    found = told(played())
    same = [
        d
        for d in found
        if d - 1 in found and d - 2 in found and found[d - 2].since == found[d - 1].since
    ]
    assert len(same) >= 5
    for day in same:
        before, gap = found[day - 1].accuracy, found[day].gap
        assert before is not None
        assert gap is not None
        expected = before.value - realised(day - 1)
        assert gap.value == pytest.approx(expected, abs=0.01)
        assert gap.n == before.n


def test_the_words_tell_where_it_comes_from() -> None:
    *_, event = (e for e in tales.events(played(), "evaluations") if "recalibrated" in e)
    text = evaluation_text(msgspec.convert(event, Evaluation))
    assert f"as {event['recalibrated']['labels']} labels of predictions from" in text
    assert "such estimates were" in text


# exactness


@settings(max_examples=3)
@given(tales.ways(170, 900, 5_000))
def test_lessons_are_the_same_however_labels_came(way: Way) -> None:
    """Chunks of 5,000: all predictions are read before the first label, or the other way round."""
    assert tales.published(played(way)) == tales.published(played())


def test_all_else_is_as_without_it() -> None:
    def without(pipeline: Pipeline) -> list[tuple[str, dict[str, Any]]]:
        found = [(m.topic, json.loads(m.value)) for m in pipeline.published]
        return [(topic, {k: v for k, v in e.items() if k != "recalibrated"}) for topic, e in found]

    assert without(played()) == without(played(PLAIN, 0))
    assert not told(played(PLAIN, 0))
    gaps = readings(played(), GAP)
    assert {gaps[day]["details"]["trusted"] for day in range(TURN + 4, DAYS)} == {"no"}


def test_what_becomes_known_of_a_complete_cohort_changes_no_lesson_that_was_taught() -> None:
    """A fifth of the labels are corrected three days later; cohorts were complete by then."""
    first = [e for e in story().events if isinstance(e, Truth)][::5]
    later = [
        msgspec.structs.replace(
            e, time=e.time + 3 * DAY_MS, label=str(1 - int(str(e.label))), revision=1
        )
        for e in first
    ]
    some = [e for e in later if e.time < story().end_ms]
    events = sorted([*story().events, *some], key=lambda e: e.time)
    found = told(tales.play(dataclasses.replace(story(), events=events), TAUGHT, PLAIN))
    assert _lessons(found) == _lessons(told(played()))


def _lessons(found: dict[int, Recalibrated]) -> list[tuple[Any, ...]]:
    return [(day, o.since, o.labels, o.learnt_until, o.chances) for day, o in found.items()]


def test_counts_that_were_taken_up_again_are_not_kept() -> None:
    """All predictions are judged before the first label: their counts are read a second time."""
    pipeline = Pipeline(lambda _: TAUGHT)
    for part in story().reference.to_parts(600_000, time=START_MS):
        pipeline.control(part)
    for kind, topic in ((Prediction, "predictions"), (Truth, "ground-truth")):
        own = [e for e in story().events if isinstance(e, kind)]
        pipeline.rows(topic, 0, [(i, e.time, e) for i, e in enumerate(own)], own[-1].time)
        pipeline.checkpoint()
    memory = pipeline.watch.monitors["m/1"].memory
    assert len(memory.windows["inputs"].named) >= DAYS - 1
    assert told(pipeline).keys() >= {*range(10, DAYS - 2)}
    assert len(memory.windows["inputs"].panes) <= 6  # of a window, and of what was due beside it


def test_where_counts_are_not_kept_any_more_nothing_is_estimated() -> None:
    memory = tales.play(story(), TAUGHT, PLAIN).watch.monitors["m/1"].memory
    end_ms = memory.progress["quality"].done_ms
    of = Subject("m", "1", TAUGHT, end_ms - 2 * DAY_MS, end_ms)
    for gone, known in ((0, True), (5, False)):
        memory.windows["inputs"].panes[end_ms - DAY_MS].gone = gone
        found = learning.told(memory, of, 2 * DAY_MS, Cohorts())
        assert found
        assert (found.accuracy is not None) == known
        assert "have taught" in found.reason


# state


def test_nothing_is_kept_where_nobody_wants_it() -> None:
    kinds = ("course/m/1", "lessons/m/1")
    assert all(kind in played().watched.fields for kind in kinds)
    assert not any(kind in played(PLAIN, 0).watched.fields for kind in kinds)


def test_switched_off_it_is_forgotten() -> None:
    pipeline = tales.play(
        dataclasses.replace(story(), events=story().events[:4_000]), TAUGHT, PLAIN
    )
    assert "lessons/m/1" in pipeline.watched.fields
    pipeline.settings = lambda _: SETTINGS
    pipeline.restart()
    pipeline.control({"type": "watermark", "model": "m", "time": story().end_ms + DAY_MS})
    pipeline.checkpoint()
    assert not [f for f in pipeline.watched.fields if f.startswith(("course", "lessons"))]


@pytest.mark.parametrize("raw", [b"", b"\x91\x01", msgspec.msgpack.encode([1, 2, 3])])
def test_damaged_state_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="damaged course"):
        Course(DAY_MS).load(raw)


# what is learnt, and what is not


def tally_of(rows: int, seed: int = 1, sharp: float = 1.0) -> Tally:
    p, true = drawn(rows, seed)
    scores = p**sharp / (p**sharp + (1 - p) ** sharp)
    found = Tally()
    labels, answers = (
        column_of(true.astype(np.float64)),
        column_of((scores > 0.5).astype(np.float64)),
    )
    found.update(outcomes(labels, answers, (("1",), scores[:, None])))
    return found


def taught(course: Course, at: int) -> int:
    course.teach(("m", "1"), story().reference, at * DAY_MS, 0)
    return len(course.lessons.known)


def test_labels_are_gathered_until_there_are_enough() -> None:
    course = Course(EVERY * DAY_MS)
    assert taught(course, 0) == 0
    course.gather(0, DAY_MS, {0: tally_of(MINIMUM_LABELS - 100)})
    assert taught(course, 1) == 0
    course.gather(DAY_MS, 2 * DAY_MS, {0: tally_of(50), 1: tally_of(50)})
    assert taught(course, 2) == 1
    (learnt,) = course.lessons.known
    assert (learnt.labels, learnt.event.learnt_from, learnt.until_ms) == (
        MINIMUM_LABELS,
        0,
        2 * DAY_MS,
    )
    course.gather(2 * DAY_MS, 3 * DAY_MS, {0: tally_of(600)})
    assert taught(course, 4) == 1  # it is too early
    again = Course(EVERY * DAY_MS)
    again.load(course.to_bytes())
    again.lessons.load(course.lessons.to_bytes())
    assert taught(again, 5) == taught(course, 5) == 2
    assert again.to_bytes() == course.to_bytes()


@pytest.mark.parametrize("check", ["label-mix", "label-delay"])
def test_nothing_is_learnt_while_a_notice_says_that_labels_are_odd(check: str) -> None:
    m = Memory("m", "1", TAUGHT)
    assert m.course is not None
    m.active, m.references = [(0, story().reference.id)], {story().reference.id: story().reference}
    for state, lessons in (("firing", 0), ("resolved", 0)):
        m.alerts[f"data:{check}"] = AlertState(state)  # type: ignore[arg-type]
        if state == "firing":
            m.course.gather(0, DAY_MS, {0: tally_of(600)})
        learning.teach(m, 2 * DAY_MS)
        assert len(m.course.lessons.known) == lessons
    m.course.gather(DAY_MS, 2 * DAY_MS, {0: tally_of(600, 2)})
    learning.teach(m, 3 * DAY_MS)
    (learnt,) = m.course.lessons.known
    assert (learnt.labels, learnt.event.learnt_from) == (600, DAY_MS)


def test_each_outcome_is_held_against_the_lesson_of_its_own_time() -> None:
    course = Course(EVERY * DAY_MS)
    for day, sharp in ((1, 1.0), (4, 3.0)):
        course.gather((day - 1) * DAY_MS, day * DAY_MS, {0: tally_of(2_000, day, sharp)})
        taught(course, day)
    before, first, second = (tally_of(300, 7 + i, 3.0) for i in range(3))
    cohorts = Cohorts({0: before, DAY_MS: first})
    cohorts.sample(2).cell(5 * DAY_MS).merge(second)
    found = gap_of(story().reference, cohorts, course.lessons, SETTINGS)
    assert found is not None
    gaps = [
        Gap.of(story().reference, tally, learnt)
        for tally, learnt in zip((first, second), course.lessons.known, strict=True)
    ]
    assert found.n == 600
    assert found.value == pytest.approx(sum(g.gap for g in gaps if g) / 2)
    assert found.low < found.value < found.high
    assert gaps[0] is not None
    assert gaps[0].gap > 0.08
    assert gap_of(story().reference, Cohorts({0: before}), course.lessons, SETTINGS) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"recalibrate_every_s": DAY_S},
        {"expects_truth": False},
        {"estimate": "off"},
        {"pane_s": 9 * DAY_S, "windows_s": (9 * DAY_S,)},
    ],
)
def test_lessons_last_until_the_truth_of_what_they_were_used_for_is_there(
    wrong: dict[str, Any],
) -> None:
    given = {"recalibrate_every_s": 8 * DAY_S, "horizon_s": 230 * DAY_S}
    ModelSettings(**given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="recalibrate_every_s"):
        ModelSettings(**given | wrong)
