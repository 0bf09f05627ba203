"""What scores mean is learnt anew from live labels, and counts from an event time on."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pytest

from stream.appraisals import Appraisal, appraise
from stream.blindness import GAP, Gap
from stream.cohorts import Cohorts
from stream.columns import Bools, Floats, column_of
from stream.estimates import ESTIMATED
from stream.events import Prediction, Truth
from stream.features import summarise
from stream.lessons import Asked, Unfit, lesson
from stream.monitor import Memory
from stream.odds import odds_of
from stream.outcomes import outcomes
from stream.pipeline import Pipeline
from stream.points import MOST_POINTS, taught
from stream.recalibrations import Learnt
from stream.references import Reference
from stream.settings import DAY_S, ModelSettings
from stream.stamps import stamp
from stream.tallies import Tally
from tests import tales
from tests.tales import DAY_MS, START_MS, Tale, Way

SETTINGS = ModelSettings(
    pane_s=DAY_S,
    windows_s=(2 * DAY_S,),
    lateness_s=0,
    label_lateness_s=0,
    idle_s=tales.FOR_EVER_S,
    horizon_s=4 * DAY_S,
    retrain=False,
)
TURN, LEARN, DAYS, ROWS = 3, 12, 20, 250
AFTER = START_MS + TURN * DAY_MS
PLAIN = Way()
SEED = 4


def sharpened(p: Floats, times: float) -> Floats:
    """Probabilities that are surer of themselves than they may be."""
    odds = (p / (1 - p)) ** times
    found: Floats = odds / (1 + odds)
    return found


def drawn(rows: int, seed: int) -> tuple[Floats, Bools]:
    """Chances, and whether it is so."""
    rng = np.random.default_rng(seed)
    p = rng.beta(1.5, 1.5, rows).clip(0.01, 0.99)
    return p, rng.random(rows) < p


@functools.cache
def story() -> Tale:
    """From day TURN on scores are too sure of themselves; answers and truth are as before."""
    p, true = drawn(4_000, 1)
    reference = Reference(
        "m",
        "1",
        {"x": summarise("x", column_of(np.zeros(len(p))))},
        quality={"accuracy": float(((p > 0.5) == true).mean())},
        rows=len(p),
        task="classification",
        odds=odds_of("positive", p, p > 0.5, true, np.ones(len(p), dtype=np.bool_)),
    )
    events: list[tales.Event] = []
    p, true = drawn(DAYS * ROWS, SEED)
    for i, (chance, is_so) in enumerate(zip(p, true, strict=True)):
        at = START_MS + i * DAY_MS // ROWS
        score = float(chance if i < TURN * ROWS else sharpened(chance, 3.0))
        answer = "1" if score > 0.5 else "0"
        events.append(Prediction(f"p{i}", "m", "1", at, {"x": 0.0}, prediction=answer, score=score))
        events.append(Truth(f"p{i}", "m", at + DAY_MS, str(int(is_so))))
    return until(Tale(reference, sorted(events, key=lambda e: e.time), 0), DAYS)


def until(told: Tale, day: int) -> Tale:
    end_ms = START_MS + day * DAY_MS
    return dataclasses.replace(
        told, events=[e for e in told.events if e.time < end_ms], end_ms=end_ms
    )


def kept(pipeline: Pipeline, m: Memory) -> Cohorts:
    """All outcomes that are kept, as `agents.recalibration` reads them."""
    names = sorted(n for own in m.windows["quality"].named.values() for n in own)
    raws = [pipeline.stored[n.partition].fields[n.field(m.key)] for n in names]
    return Cohorts.merged(map(Cohorts.from_bytes, raws))


@functools.cache
def begun(way: Way) -> Pipeline:
    """The story so far, when it is learnt."""
    return tales.play(until(story(), LEARN), SETTINGS, way)


def learnt(way: Way = PLAIN, reference: Reference | None = None, **asked: Any) -> Appraisal:
    pipeline = begun(way)
    m, reference = pipeline.watch.monitors["m/1"].memory, reference or story().reference
    given = {"from_ms": None, "until_ms": None, "active_ms": None, "minimum_labels": 500} | asked
    now = Asked(now_ms=START_MS + LEARN * DAY_MS, **given)
    return appraise(m, reference, lesson(m, reference, kept(pipeline, m), 0, now))


@functools.cache
def lessons() -> Appraisal:
    return learnt(from_ms=AFTER)


@functools.cache
def played(recalibrated: bool, way: Way = PLAIN, before: bool = True) -> Pipeline:
    """The whole story; the event comes first of all, or in good time."""
    event = lessons().lesson.learnt.event
    pipeline = Pipeline(lambda _: SETTINGS, way.partitions, way.sources)
    for part in story().reference.to_parts(600_000, time=START_MS):
        pipeline.control(part)
    waits = recalibrated
    for topic, partition, rows in tales.chunks(story().events, way):
        if waits and (before or rows[-1][1] >= event.learnt_until):
            pipeline.control(msgspec.to_builtins(event))
            waits = False
        pipeline.rows(topic, partition, rows, rows[-1][1])
        pipeline.checkpoint()
        if way.restart:
            pipeline.restart()
    pipeline.control({"type": "watermark", "model": "m", "time": story().end_ms})
    pipeline.checkpoint()
    return pipeline


def readings(pipeline: Pipeline, check: str) -> Mapping[int, dict[str, Any]]:
    """By the day on which a window ended."""
    found: dict[int, dict[str, Any]] = {}
    for event in tales.events(pipeline, "evaluations"):
        end = np.datetime64(event["window"]["end"][:-1], "ms").astype(np.int64)
        found |= {
            int(end - START_MS) // DAY_MS: r for r in event["readings"] if r["check"] == check
        }
    return found


def realised(day: int) -> float:
    """The accuracy of the predictions of the window that ends with a day, by all their labels."""
    start, end = (START_MS + d * DAY_MS for d in (day - 2, day))
    said = {
        e.prediction_id: e.prediction
        for e in story().events
        if isinstance(e, Prediction) and start <= e.time < end
    }
    truth = {e.prediction_id: e.label for e in story().events if isinstance(e, Truth)}
    return float(np.mean([truth[k] == answer for k, answer in said.items() if k in truth]))


# the story


def since() -> int:
    """The day from which on the new curve counts."""
    return (lessons().lesson.learnt.since_ms - START_MS) // DAY_MS


@pytest.mark.parametrize("right", [False, True])
def test_too_sure_of_itself_an_estimate_is_wrong_until_labels_have_taught_it(right: bool) -> None:
    pipeline = played(right)
    estimates, gaps, inside = readings(pipeline, ESTIMATED), readings(pipeline, GAP), []
    for day in range(since() + 1, DAYS):
        details = estimates[day]["details"]
        inside.append(details["low"] <= realised(day) <= details["high"])
        assert ("labels of predictions from" in details["calibrated_by"]) == right
        assert ("calibrated by" in estimates[day]["reason"]) == right
    assert sum(inside) >= len(inside) - 1 if right else not any(inside)  # 95 of 100
    assert {gaps[day]["verdict"] for day in range(TURN + 4, since())} == {"moved"}
    later = {gaps[day]["details"]["trusted"] for day in range(since() + 3, DAYS)}
    assert later == ({"yes"} if right else {"no"})


def test_the_gap_is_of_predictions_that_the_curve_was_not_learnt_from() -> None:
    gap = readings(played(True), GAP)[since() + 2]
    first = lessons().lesson.learnt.event.learnt_until
    assert min(gap["details"]["cohorts"]) >= stamp(first)
    assert gap["details"]["calibrated_by"] == lessons().lesson.learnt.words


def test_the_alarm_about_the_estimate_ends_once_labels_bear_the_new_curve_out() -> None:
    for right, state in ((False, "firing"), (True, "resolved")):
        alerts = tales.events(played(right), "alerts")
        assert [a["state"] for a in alerts if a["cause"] == "estimate"][-1] == state


def test_what_came_before_it_counts_is_as_if_it_had_never_been_sent() -> None:
    plain, taught_ = (tales.events(played(right), "evaluations") for right in (False, True))
    start = stamp(lessons().lesson.learnt.since_ms)
    early = [e for e in plain if e["window"]["end"] <= start]
    assert len(early) >= 2 * LEARN - 1
    assert [e for e in taught_ if e["window"]["end"] <= start] == early


WAYS = (Way(2, 3, 170, 5), Way(3, 2, 900, 7, restart=True))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.partitions} {way.restart}")
def test_partitions_restarts_and_when_it_came_make_no_difference(way: Way) -> None:
    expected = tales.published(played(True))
    assert tales.published(played(True, way, way.restart)) == expected


def test_state_is_of_a_format_of_its_own_once_there_is_one() -> None:
    """An earlier release would go on with the reference's curve, and say nothing."""
    for right, number in ((False, 1), (True, 3)):
        fields = played(right).watched.fields
        assert msgspec.msgpack.decode(fields["monitor/m/1"])["format"] == number
        assert ("learnt/m/1" in fields) == right


# what is learnt


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.partitions} {way.restart}")
def test_what_is_learnt_is_the_same_however_the_labels_came(way: Way) -> None:
    found, plain = learnt(way, from_ms=AFTER), lessons()
    assert found.lesson.learnt.event == plain.lesson.learnt.event
    assert (found.rows, found.tried, found.window) == (plain.rows, plain.tried, plain.window)


def test_it_says_where_scores_are_too_sure_and_that_labels_bear_the_new_curve_out() -> None:
    found = lessons()
    high = found.rows[-1]
    assert high.before > 0.95
    assert high.now == pytest.approx(high.came, abs=0.02)
    for held in (found.learnt, found.tried):
        assert held is not None
        assert held.before - held.realised > 0.1
        assert held.now == pytest.approx(held.realised, abs=0.05)
    assert found.before == "the reference's labels"
    assert found.window is not None
    assert found.window.before.value > found.window.now.high


def test_only_complete_cohorts_of_the_stretch_that_is_asked_for_teach() -> None:
    event = lessons().lesson.learnt.event
    assert event.learnt_from == AFTER
    assert sum(event.labelled) == ROWS * (event.learnt_until - AFTER) // DAY_MS
    assert event.learnt_until < START_MS + LEARN * DAY_MS
    some = learnt(from_ms=AFTER + DAY_MS, until_ms=AFTER + 4 * DAY_MS).lesson
    assert (some.learnt.labels, some.cohorts) == (3 * ROWS, 3)
    recent = learnt().lesson.learnt.event  # of what is still watched
    assert AFTER < recent.learnt_from < recent.learnt_until == event.learnt_until


def test_it_counts_from_the_pane_after_those_that_are_known_unless_it_is_said() -> None:
    end_ms = START_MS + LEARN * DAY_MS
    assert lessons().lesson.learnt.since_ms == end_ms + DAY_MS
    assert learnt(active_ms=end_ms + 5 * DAY_MS).lesson.learnt.since_ms == end_ms + 5 * DAY_MS
    with pytest.raises(Unfit, match="active_from must not lie before learnt_until"):
        learnt(active_ms=AFTER)


def test_nothing_is_learnt_from_too_few_labels_or_without_scores() -> None:
    with pytest.raises(Unfit, match=r"complete cohorts \(of . more .*; 99,999 are needed"):
        learnt(minimum_labels=99_999)
    with pytest.raises(Unfit, match="0 labels"):
        learnt(from_ms=START_MS + LEARN * DAY_MS)
    with pytest.raises(Unfit, match="nothing is estimated from scores"):
        learnt(reference=dataclasses.replace(story().reference, odds=None))


def test_neighbours_are_put_together_and_none_of_them_is_lost() -> None:
    p, true = drawn(20_000, 3)
    found = Tally()
    labels, answers = column_of(true.astype(np.float64)), column_of((p > 0.5).astype(np.float64))
    found.update(outcomes(labels, answers, (("1",), p[:, None])))
    points = taught(found, "positive")
    assert len(points) <= MOST_POINTS
    scores, n, right = map(np.array, zip(*points, strict=True))
    assert (np.diff(scores) > 0).all()
    assert (n.sum(), right.sum()) == (len(p), true.sum())
    assert n.max() < 4 * len(p) / MOST_POINTS


def test_of_many_classes_the_tenths_of_confidence_teach() -> None:
    rng = np.random.default_rng(5)
    names, rows = ("a", "b", "c"), 6_000
    sure = rng.uniform(0.6, 1.0, rows)
    matrix = np.column_stack([sure, (1 - sure) / 2, (1 - sure) / 2])
    everywhere = np.ones(rows, dtype=np.bool_)
    odds = odds_of("answer", sure, everywhere, rng.random(rows) < sure, everywhere)
    reference = dataclasses.replace(story().reference, odds=odds)
    found = Tally()
    labels = column_of([names[int(miss)] for miss in rng.random(rows) > sure - 0.2])
    found.update(outcomes(labels, column_of(["a"] * rows), (names, matrix)))
    points = taught(found, "answer")
    assert [int(10 * score) for score, _, _ in points] == [6, 7, 8, 9]
    scores, n, right = map(list, zip(*points, strict=True))
    event = lessons().lesson.learnt.event
    one = Learnt.of(msgspec.structs.replace(event, scores=scores, labelled=n, right=right))
    for curve, gap in ((None, 0.2), (one, 0.0)):
        held = Gap.of(reference, found, curve)
        assert held is not None
        assert held.gap == pytest.approx(gap, abs=0.02)
