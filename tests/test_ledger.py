"""A ledger counts every row once, whatever is delivered again, and tells the watch in order."""

import dataclasses
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.batches import Batch
from stream.columns import Column, column_of
from stream.events import Prediction, Truth
from stream.ledger import WIDE
from stream.panes import BEFORE_ALL, pane_of
from stream.references import Reference
from stream.settings import DetectorSettings
from stream.shares import Share
from stream.sources import Replaced
from tests.ledgers import (
    PANE_MS,
    SETTINGS,
    Kept,
    Row,
    batch_of,
    chunk,
    prediction,
    reference_of,
    rows,
    truth,
)

REFERENCE = reference_of([float(i) for i in range(50)])
TOLD = REFERENCE.to_parts(600_000, time=0)


def controlled(kept: Kept, *events: dict[str, object]) -> None:
    known = kept.ledger.sources.applied(("control", 0), "")
    controls = [(known + 1 + i, 0, msgspec.json.encode(e)) for i, e in enumerate(events)]
    kept.apply(Batch("control", 0, "", controls[0][0], controls[-1][0], 0, [], controls))


def with_reference() -> Kept:
    kept = Kept()
    controlled(kept, *TOLD)
    return kept


# Exactly once


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    """Predictions and truth in two source partitions, with producers' duplicates."""
    times = draw(st.lists(st.integers(0, 80_000), min_size=1, max_size=30))
    ids = [draw(st.integers(0, 20)) for _ in times]
    first = dict(reversed(list(zip(ids, times, strict=True))))  # one time for an id
    return rows(*(prediction(n, first[n], float(n % 3)) for n in ids))


@st.composite
def deliveries(draw: st.DrawFn, most: int) -> list[tuple[int, int, str]]:
    """Chunks (first, behind) that cover 0 to `most`; some go back; what is done after each."""
    found, at = [], 0
    while at < most:
        start = draw(st.integers(0, at))
        at = max(at, draw(st.integers(at + 1, most)))
        found.append((start, at, draw(st.sampled_from(["", "checkpoint", "crash"]))))
    return found


@given(st.data())
@settings(max_examples=60)
def test_every_row_is_counted_once_whatever_is_delivered_again(data: st.DataObject) -> None:
    log = data.draw(logs())
    kept = with_reference()
    kept.checkpoint()
    at = 0
    for first, behind, after in data.draw(deliveries(len(log))):
        start = min(first, at)
        kept.apply(chunk(log[start:behind]))
        if after == "checkpoint":
            kept.checkpoint()
            at = behind
        elif after == "crash":
            kept.restart()  # what was not made durable comes again
            applied = kept.ledger.sources.applied(("predictions", 0), "")
            kept.apply(*([chunk(log[applied + 1 : behind])] if applied + 1 < behind else []))
            at = applied + 1
    kept.checkpoint()
    kept.restart()
    expected: dict[int, Share] = {}
    for number in {row[2].prediction_id for row in log}:
        event = next(row[2] for row in log if row[2].prediction_id == number)
        share = expected.setdefault(pane_of(event.time, PANE_MS), Share(REFERENCE))
        share.update({"x": column_of([float(number)])}, None, None, np.array([event.time]))
    counted = kept.inputs(REFERENCE)
    assert {p: s.vector.tolist() for p, s in counted.items()} == {
        p: s.vector.tolist() for p, s in expected.items()
    }
    assert sum(s.rows for s in counted.values()) == len({row[2].prediction_id for row in log})


def test_a_batch_that_was_applied_changes_nothing() -> None:
    kept = with_reference()
    batch = batch_of(prediction(1, 5), prediction(2, 6))
    kept.apply(batch, batch)
    assert kept.inputs(REFERENCE)[0].rows == 2


def test_a_batch_that_was_applied_is_not_counted_again_where_its_entries_had_no_room() -> None:
    kept = Kept(dataclasses.replace(SETTINGS, max_pending=1))
    controlled(kept, *TOLD)
    batch = batch_of(prediction(1, 5), prediction(2, 6), prediction(3, 7))
    kept.apply(batch, batch)
    kept.checkpoint()
    kept.restart()
    kept.apply(batch)
    assert kept.inputs(REFERENCE)[0].rows == 3


def test_a_source_topic_that_was_made_anew_is_refused() -> None:
    kept = Kept()
    kept.apply(Batch("predictions", 0, "one", 0, 0, 0, []))
    with pytest.raises(Replaced, match="made anew"):
        kept.apply(Batch("predictions", 0, "two", 0, 0, 0, []))


# The join, from batches to tallies


def oracle(predictions: list[Prediction], truths: list[Truth]) -> Counter[tuple[str, bool]]:
    """How often an answer of a version was right and wrong, by brute force."""
    found: Counter[tuple[str, bool]] = Counter()
    made: dict[tuple[str, str], Prediction] = {}
    for event in predictions:
        made.setdefault((event.prediction_id, event.version), event)
    for (number, version), event in made.items():
        fitting = [
            t
            for t in truths
            if t.prediction_id == number
            and t.version in (None, version)
            and abs(t.time - event.time) <= SETTINGS.horizon_s * 1000
        ]
        fitting.sort(key=lambda t: (t.revision, t.time, t.retracted, repr(t.label)))
        if fitting and not fitting[-1].retracted:
            found[version, fitting[-1].label == event.prediction] += 1
    return found


@st.composite
def joined(draw: st.DrawFn) -> tuple[list[Prediction], list[Truth]]:
    ids, versions = st.integers(0, 4), st.sampled_from(["1", "2"])
    keys = draw(st.lists(st.tuples(ids, versions), min_size=1, max_size=12))
    times = {key: draw(st.integers(0, 60_000)) for key in keys}
    answers = {key: draw(st.sampled_from([0.0, 1.0])) for key in keys}
    predictions = [prediction(k[0], times[k], answers[k], version=k[1]) for k in keys]
    label = st.builds(
        lambda n, t, x, v, r, back: truth(n, t, x, version=v, revision=r, retracted=back),
        ids,
        st.one_of(st.integers(0, 60_000), st.integers(0, 2_000_000)),
        st.sampled_from([0.0, 1.0]),
        st.sampled_from([None, "1", "2"]),
        st.integers(0, 2),
        st.sampled_from([False, False, True]),
    )
    truths = draw(st.lists(label, max_size=20))
    truths += draw(st.lists(st.sampled_from(truths), max_size=3)) if truths else []
    return predictions, truths


@given(st.data())
@settings(max_examples=80)
def test_tallies_do_not_depend_on_order_batches_or_restarts(data: st.DataObject) -> None:
    predictions, truths = data.draw(joined())
    kept, places = Kept(), {"predictions": 0, "truths": 0}
    logs = {"predictions": rows(*predictions), "truths": rows(*truths)}
    while any(places[name] < len(log) for name, log in logs.items()):
        name = data.draw(st.sampled_from([n for n, log in logs.items() if places[n] < len(log)]))
        size = data.draw(st.integers(1, len(logs[name])))
        kept.apply(chunk(logs[name][places[name] : places[name] + size]))
        places[name] += size
        if data.draw(st.booleans()):
            kept.checkpoint()
            if data.draw(st.booleans()):
                kept.restart()
    kept.checkpoint()
    counted: Counter[tuple[str, bool]] = Counter()
    for version in ("1", "2"):
        for cohorts in kept.quality(version).values():
            total = cohorts.total()
            counted[version, True] += total.hits
            counted[version, False] += total.judged - total.hits
    assert +counted == oracle(predictions, truths)


def test_no_sum_is_negative_in_the_end_where_all_truth_was_taken_back() -> None:
    kept = Kept()
    kept.apply(batch_of(prediction(1, 5)))
    kept.apply(batch_of(truth(1, 20_000)))
    kept.apply(batch_of(truth(1, 40_000, retracted=True), first=1))
    kept.checkpoint()
    assert sum(c.total().judged for c in kept.quality().values()) == 0


# Time


def test_a_pane_is_sealed_when_the_watermark_passes_its_end() -> None:
    kept = Kept()
    kept.apply(batch_of(prediction(1, 5), prediction(2, PANE_MS - 1)))
    kept.checkpoint()
    assert not kept.fields("inputs")
    kept.apply(batch_of(prediction(3, PANE_MS), first=2))
    kept.checkpoint()
    assert list(kept.fields("inputs")) == ["inputs/m/1/0/0"]
    assert list(kept.fields("open-inputs")) == [f"open-inputs/m/1/{PANE_MS}"]


def test_what_comes_late_is_counted_and_becomes_another_revision() -> None:
    kept = Kept()
    kept.apply(batch_of(prediction(1, 5), prediction(2, PANE_MS)))
    kept.apply(batch_of(prediction(3, 6), first=2))
    kept.apply(batch_of(prediction(4, 2 * PANE_MS), first=3))
    kept.checkpoint()
    assert {"inputs/m/1/0/0", "inputs/m/1/0/1"} <= set(kept.fields("inputs"))
    assert kept.signals()[-1].counts == {"late-predictions": 1}
    assert kept.inputs(REFERENCE)[0].rows == 2


def test_what_is_older_than_all_kept_panes_is_counted_as_too_old_and_not_joined() -> None:
    kept = Kept(dataclasses.replace(SETTINGS, panes_kept=2))
    kept.apply(batch_of(prediction(1, 100 * PANE_MS)), batch_of(truth(1, 100 * PANE_MS)))
    kept.apply(batch_of(prediction(2, 5), first=1), batch_of(truth(1, 5, 0.0), first=1))
    kept.checkpoint()
    assert kept.signals()[-1].counts == {"too-old-predictions": 1, "too-old-truths": 1}
    assert len(kept.state.pending) == 1
    assert kept.quality()[100 * PANE_MS].total().hits == 1


def test_shares_past_what_is_kept_are_removed() -> None:
    kept = Kept(dataclasses.replace(SETTINGS, panes_kept=3))
    for i in range(8):
        kept.apply(batch_of(prediction(i, i * PANE_MS), first=i))
        kept.checkpoint()
    assert sorted(kept.fields("inputs")) == [f"inputs/m/1/{p * PANE_MS}/0" for p in (4, 5, 6)]


# What the watch is told


def test_messages_are_numbered_without_holes_also_over_a_restart() -> None:
    kept = Kept()
    for i in range(4):
        kept.apply(batch_of(prediction(i, i * PANE_MS), first=i))
        kept.checkpoint()
        kept.restart()
    numbers = [told.sequence for told in kept.signals()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_who_has_no_news_sends_nothing() -> None:
    kept = Kept()
    kept.apply(batch_of(prediction(1, 5)))
    kept.checkpoint()
    kept.apply(Batch("predictions", 0, "", 1, 1, 7, []))
    kept.apply(Batch("elsewhere", 0, "", 1, 1, 7, []))
    changes = kept.checkpoint()
    assert not changes.outbox
    assert set(changes.puts) == {"ledger"}
    assert not kept.checkpoint()


def test_errors_and_scores_go_to_the_detectors_with_their_event_times() -> None:
    detectors = (DetectorSettings("ADWIN"), DetectorSettings("ADWIN", signal="score"))
    kept = Kept(dataclasses.replace(SETTINGS, detectors=detectors))
    kept.apply(batch_of(prediction(1, 5, score=0.7), prediction(2, 6, score=float("nan"))))
    kept.apply(batch_of(truth(1, 9, 0.0), truth(2, 8, 1.0), truth(1, 10, 0.0, revision=1)))
    kept.checkpoint()
    series = {name: run for told in kept.signals() for name, run in told.series.items()}
    assert series["score"].values.tolist() == [0.7]
    assert sorted(zip(series["error"].times_ms, series["error"].values, strict=True)) == [
        (8, 0.0),
        (9, 1.0),
    ]


# Limits


def test_rows_of_too_many_models_are_not_counted_and_said_so() -> None:
    kept = Kept(max_models=2)
    events = [prediction(i, 5, model=f"m{i}") for i in range(4)]
    kept.apply(batch_of(*events))
    kept.apply(batch_of(*(Truth(str(i), f"m{i}", 7, 1.0) for i in range(6))))
    kept.checkpoint()
    assert len(kept.ledger.shelf) == 2
    assert len(kept.ledger.shelf.truths) == 2
    assert kept.ledger.counted()["too-many-models"] == 2 + 4


def test_pending_entries_are_bounded_and_what_has_no_room_is_counted_unjoined() -> None:
    kept = Kept(dataclasses.replace(SETTINGS, max_pending=2))
    kept.apply(batch_of(*(prediction(i, i) for i in range(5))))
    kept.apply(batch_of(*(truth(i, 10 + i) for i in range(5))))
    kept.checkpoint()
    assert len(kept.state.pending) == kept.ledger.matches.pending == 2
    assert kept.inputs(REFERENCE)[0].rows == 5
    assert kept.quality()[0].total().hits == 2
    assert kept.ledger.counted()["pending-full"] == 3 + 3


def test_the_watermark_of_a_model_nobody_has_seen_is_before_all() -> None:
    kept = Kept()
    assert kept.ledger._line_ms("nobody") < BEFORE_ALL


# Truth that is not expected


def test_without_truth_predictions_are_counted_and_none_waits() -> None:
    kept = Kept(dataclasses.replace(SETTINGS, expects_truth=False))
    controlled(kept, *TOLD)
    batch = batch_of(prediction(1, 5), prediction(2, 6), prediction(1, 5))
    assert len(kept.ledger.wanted(batch)) == 0
    kept.apply(batch, batch)
    assert not kept.checkpoint().pending_puts
    kept.restart()
    assert kept.inputs(REFERENCE)[0].rows == 3
    assert kept.ledger.matches.pending == 0


def test_truth_that_is_not_expected_is_told_and_not_kept() -> None:
    kept = Kept(dataclasses.replace(SETTINGS, expects_truth=False))
    kept.apply(batch_of(prediction(1, 5)), batch_of(truth(1, 7), truth(2, 7)))
    kept.checkpoint()
    assert kept.ledger.counted()["unexpected-truths"] == 2
    assert not kept.state.pending
    assert not kept.quality()


def test_what_takes_long_is_known_beforehand() -> None:
    kept, names = Kept(), [f"f{i}" for i in range(WIDE + 1)]
    plain = batch_of(prediction(1, 5))
    assert not kept.ledger.heavy(plain)
    assert kept.ledger.heavy(batch_of(prediction(2, 6, features=dict.fromkeys(names, 1.0))))
    few = Column(np.array([1.0, 2.5]))
    wide = Reference.build("m", "1", dict.fromkeys(names, few)).to_parts(600_000, time=0)
    assert kept.ledger.heavy(Batch("control", 0, "", 0, 0, 0, [], [(0, 0, b"{}")]))
    controlled(kept, *wide)
    assert kept.ledger.heavy(plain)
