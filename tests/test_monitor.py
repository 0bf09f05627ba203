"""The monitor: what it says, what it remembers, and that it forgets."""

import collections
import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.columns import column_of
from stream.evaluations import TAKEN_BACK
from stream.events import Prediction, Truth
from stream.events.times import LAST_MS
from stream.monitor import Memory, judging, receiving
from stream.pipeline import Pipeline
from stream.references import Reference
from stream.rivals import NO_PAIRS
from stream.settings import DAY_S, ModelSettings
from stream.signals import Signals
from tests import tales
from tests.tales import DAY_MS, SETTINGS, START_MS, Tale, Way

PLAIN = dataclasses.replace(SETTINGS, windows_s=(DAY_S,), detectors=())
Row = tuple[int, int, Any]


def ms(text: str) -> int:
    return int(np.datetime64(text.removesuffix("Z"), "ms").astype(np.int64))


def memory(pipeline: Pipeline) -> Memory:
    (monitor,) = pipeline.watch.monitors.values()
    return monitor.memory


def firing(pipeline: Pipeline, state: str = "firing") -> dict[str, Any]:
    found = [e for e in tales.events(pipeline, "alerts") if e["state"] == state]
    return {e["cause"]: e for e in reversed(found)}


# evidence


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 99), st.sampled_from((1, 3)), st.sampled_from((50, 150)), st.booleans())
def test_a_request_names_the_rows_that_brute_force_finds(seed, sources, labels, restart) -> None:  # type: ignore[no-untyped-def]
    way = Way(2, sources, 60, seed, restart)
    wish = dataclasses.replace(SETTINGS, retrain_minimum_labels=labels, detectors=())
    told = tales.tale()
    pipeline = tales.play(told, wish, way)
    (request,) = tales.events(pipeline, "retrain-requests")
    alerts = {e["id"]: e for e in tales.events(pipeline, "alerts")}
    since = min(ms(alerts[i]["since"]) for i in request["alert_ids"])
    until = ms(request["time"])
    truths = [e for e in told.events if isinstance(e, Truth) and since <= e.time < until]
    assert request["labelled_rows"] == len(truths) >= labels
    about = {e.prediction_id for e in truths}
    made = [e for e in told.events if isinstance(e, Prediction) and e.prediction_id in about]
    first = min(e.time for e in made) // DAY_MS * DAY_MS
    last = max(e.time for e in made) // DAY_MS * DAY_MS + DAY_MS
    assert (ms(request["data"]["start"]), ms(request["data"]["end"])) == (first, last)
    made = [e for e in told.events if isinstance(e, Prediction) and first <= e.time < last]
    expected = offsets_of(told, {id(e) for e in (*made, *truths)}, way)
    assert request["data"]["offsets"] == expected


def offsets_of(told: Tale, wanted: set[int], way: Way) -> list[dict[str, Any]]:
    found: dict[tuple[str, int], list[int]] = collections.defaultdict(list)
    for topic, partition, rows in tales.chunks(told.events, way):
        found[topic, partition] += [row[0] for row in rows if id(row[2]) in wanted]
    return [
        {"topic": topic, "partition": part, "first": min(at), "last": max(at)}
        for (topic, part), at in sorted(found.items())
        if at
    ]


def test_a_challenger_is_told_of_and_wakes_nobody() -> None:
    """All else is told as of the version in use."""
    used, beside = (
        tales.play(tales.tale(), dataclasses.replace(PLAIN, challengers=names), Way())
        for names in (("2",), ("1",))
    )
    severities = [{e["severity"] for e in tales.events(p, "alerts")} for p in (used, beside)]
    assert severities == [{"page", "notice"}, {"notice"}]
    assert len(tales.events(used, "retrain-requests")) == 1
    assert tales.events(beside, "retrain-requests") == []
    told = [[e | {"severity": ""} for e in tales.events(p, "alerts")] for p in (used, beside)]
    assert told[0] == told[1]
    evaluations = [tales.events(p, "evaluations") for p in (used, beside)]
    for event in evaluations[1]:
        assert event.pop("beside") == []  # there is no other version to be beside
        if event["subject"] == "quality":
            event["notes"].remove(NO_PAIRS)
    assert evaluations[0] == evaluations[1]


def test_too_few_labels_are_asked_about_later() -> None:
    asked = {}
    for labels in (50, 150):
        wish = dataclasses.replace(PLAIN, retrain_minimum_labels=labels)
        (request,) = tales.events(tales.play(tales.tale(), wish, Way()), "retrain-requests")
        asked[labels] = ms(request["time"])
    assert asked[50] < asked[150]


def request_and(pipeline: Pipeline, told: Tale, *answers: str) -> list[dict[str, Any]]:
    """Play the first request, answer it, and play on for another week of bad quality."""
    (request,) = tales.events(pipeline, "retrain-requests")
    for answer in answers:
        event = {"type": f"retraining-{answer}", "model": "m", "version": "1"}
        event |= {"time": request["time"], "request_id": request["id"]}
        pipeline.control(event)
    later = tales.tale(days=12)
    rows: dict[str, list[Row]] = {"predictions": [], "ground-truth": []}
    for e in later.events:
        if e.time >= told.end_ms:
            topic = "predictions" if isinstance(e, Prediction) else "ground-truth"
            rows[topic].append((10_000 + len(rows[topic]), e.time, e))
    for topic, own in rows.items():
        pipeline.rows(topic, 0, own, own[-1][1])
    pipeline.control({"type": "watermark", "model": "m", "time": later.end_ms})
    pipeline.checkpoint()
    return tales.events(pipeline, "retrain-requests")


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        ((), 1),
        (("accepted", "started"), 1),
        (("accepted", "started", "finished"), 2),
        (("finished", "started", "accepted", "finished"), 2),
        (("rejected",), 2),
    ],
)
def test_a_request_is_outstanding_until_it_is_answered(
    answers: tuple[str, ...], requests: int
) -> None:
    wish = dataclasses.replace(PLAIN, retrain_cooldown_s=DAY_S)
    told = tales.tale()
    found = request_and(tales.play(told, wish, Way()), told, *answers)
    assert len({e["idempotency_key"] for e in found}) == len(found) == requests


def test_a_cool_down_keeps_the_next_request_back() -> None:
    wish = dataclasses.replace(PLAIN, retrain_cooldown_s=30 * DAY_S)
    told = tales.tale()
    assert len(request_and(tales.play(told, wish, Way()), told, "finished")) == 1


# sentences


def test_alerts_name_everything_a_person_needs() -> None:
    pipeline = tales.play(tales.tale(), SETTINGS, Way())
    for e in tales.events(pipeline, "alerts"):
        assert e["summary"].startswith("m 1: ")
        assert e["owner"] == "team-risk"
        assert ms(e["since"]) <= ms(e["time"])
        assert e["meaning"]
        assert e["action"]
        assert e["how_sure"]["n"] > 0
        assert e["previous"] in ("ok", "pending", "firing", "resolved")
        assert e["severity"] == ("page" if e["cause"].startswith("quality") else "notice")
        detector = e["cause"].startswith("detector:")
        assert detector == (e["how_sure"]["p_value"] is None)
        assert e["verdict"]["kind"] in ("early-sign", "no-sign") or not detector


def test_windows_of_several_lengths_have_causes_of_their_own() -> None:
    found = firing(tales.play(tales.tale(), SETTINGS, Way()))
    day, days = found["input@1d"], found["input@3d"]
    assert day["summary"].endswith("(window of 1 day)")
    assert days["summary"].endswith("(window of 3 days)")
    assert day["window"]["panes"] == 1
    assert days["window"]["panes"] == 3
    assert ms(days["since"]) < ms(day["since"])
    assert {part["cause"] for part in days["parts"]} == {"input:x@3d"}


def test_a_single_window_needs_no_name() -> None:
    found = firing(tales.play(tales.tale(), PLAIN, Way()))
    assert found["input"]["parts"][0]["cause"] == "input:x"
    assert "window of" not in found["input"]["summary"]


def days_of(*days: list[float | None], name: str = "x") -> Tale:
    """Values of a feature, day by day, against a reference of the numbers from 0 to 99."""
    events = [
        Prediction(f"p{day}-{i}", "m", "1", START_MS + day * DAY_MS + i, {name: value})
        for day, values in enumerate(days)
        for i, value in enumerate(values)
    ]
    reference = Reference.build("m", "1", {"x": column_of([float(i) for i in range(100)])})
    return Tale(reference, events, START_MS + len(days) * DAY_MS)


GOOD: list[float | None] = [float(i) for i in range(100)]
HOLES: list[float | None] = [None if i % 2 else float(i) for i in range(100)]


def test_missing_values_are_an_incident_that_ends_when_nothing_is_missing() -> None:
    pipeline = tales.play(days_of(GOOD, HOLES, GOOD, GOOD, GOOD), PLAIN, Way())
    (fired, over) = (firing(pipeline, s)["data"] for s in ("firing", "resolved"))
    assert fired["verdict"]["kind"] == "data-quality-incident"
    assert fired["summary"].startswith("m 1: x: missing rose 0% -> 50.0%")
    assert over["summary"] == "m 1: resolved: x: nothing missing"
    assert over["reason"] == "not moved in 2 windows in a row"
    assert memory(pipeline).alerts == {}


def test_a_feature_that_its_reference_lost_is_let_go() -> None:
    pipeline = tales.play(days_of([500.0] * 100), PLAIN, Way())
    assert "input" in firing(pipeline)
    other = Reference.build("m", "1", {"y": column_of(GOOD)})
    for part in other.to_parts(10**6, time=START_MS + DAY_MS, active_from=START_MS + DAY_MS):
        pipeline.control(part)
    more = days_of([], GOOD, GOOD, GOOD, name="y")
    rows: list[Row] = [(1_000 + i, e.time, e) for i, e in enumerate(more.events)]
    pipeline.rows("predictions", 0, rows, more.end_ms)
    pipeline.control({"type": "watermark", "model": "m", "time": more.end_ms})
    pipeline.checkpoint()
    over = firing(pipeline, "resolved")["input"]
    assert over["summary"] == "m 1: resolved: x: not in the reference any more, not checked"


def test_the_newest_registration_names_the_owner() -> None:
    pipeline = tales.play(days_of(GOOD), PLAIN, Way())
    for time_ms, owner in ((20, "new"), (10, "old"), (20, None)):
        event = {"type": "model-registered", "model": "m", "version": "1", "time": time_ms}
        pipeline.control(event | ({"owner": owner} if owner else {}))
    pipeline.checkpoint()
    assert memory(pipeline).owner == "new"
    pipeline.restart()
    assert memory(pipeline).owner == "new"


# late rows


def test_what_comes_late_is_evaluated_again_as_a_revision() -> None:
    pipeline = tales.play(days_of(GOOD, GOOD, GOOD), PLAIN, Way(2))
    before = len(tales.events(pipeline, "alerts"))
    late: list[Row] = [
        (500 + i, START_MS, Prediction(f"late-{i}", "m", "1", START_MS, {"x": 900.0}))
        for i in range(150)
    ]
    pipeline.rows("predictions", 0, late, START_MS + 3 * DAY_MS)
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + 4 * DAY_MS})
    pipeline.checkpoint()
    found = [e for e in tales.events(pipeline, "evaluations") if e["window"]["revision"]]
    assert [(e["window"]["revision"], e["rows"], e["verdict"]["inputs"]) for e in found] == [
        (1, 250, True)
    ]
    assert ms(found[0]["window"]["start"]) == START_MS
    assert len(tales.events(pipeline, "alerts")) == before
    assert len({e["id"] for e in tales.events(pipeline, "evaluations")}) == 4


def test_many_late_windows_are_done_in_several_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MAX_DUE", 2)
    test_what_comes_late_is_evaluated_again_as_a_revision()
    pipeline = tales.play(tales.tale(), SETTINGS, Way())
    monkeypatch.undo()
    assert tales.published(pipeline) == tales.published(tales.play(tales.tale(), SETTINGS, Way()))


def test_shares_that_are_no_more_are_left_out_and_said_so() -> None:
    two = dataclasses.replace(PLAIN, windows_s=(2 * DAY_S,))
    pipeline = tales.play(days_of(GOOD, GOOD), two, Way())
    del pipeline.stored[0].fields[f"inputs/m/1/{START_MS}/0"]
    pipeline.restart()
    late: list[Row] = [(500, START_MS, Prediction("a", "m", "1", START_MS + DAY_MS, {"x": 1.0}))]
    pipeline.rows("predictions", 0, late, START_MS + 3 * DAY_MS)
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + 3 * DAY_MS})
    pipeline.checkpoint()
    last = tales.events(pipeline, "evaluations")[-1]
    assert (last["rows"], last["window"]["revision"]) == (101, 1)
    gone = "100 rows are left out: their counts were not kept that long"
    assert last["notes"] == [gone, "uncalibrated: no time order"]


def test_truth_that_is_corrected_later_is_no_business_of_later_windows() -> None:
    told = tales.tale(days=3, delay_ms=0)
    labels = [e for e in told.events if isinstance(e, Truth)]
    back = [msgspec.structs.replace(e, revision=1, retracted=True) for e in labels]
    back = [msgspec.structs.replace(e, time=told.end_ms + i) for i, e in enumerate(back)]
    turned = [
        msgspec.structs.replace(e, revision=2, label="0", time=told.end_ms + DAY_MS + i)
        for i, e in enumerate(labels)
    ]
    whole = Tale(told.reference, [*told.events, *back, *turned], told.end_ms + 2 * DAY_MS)
    pipeline = tales.play(whole, SETTINGS, Way(2, 1, 40))
    found = [e for e in tales.events(pipeline, "evaluations") if e["subject"] == "quality"]
    assert [e["rows"] for e in found if e["window"]["panes"] == 1] == [60, 60, 60, 0, 0]
    assert not [e for e in found if TAKEN_BACK in e["notes"]]
    assert all(r["statistic"] >= 0.0 for e in found for r in e["readings"])


# limits


@pytest.mark.parametrize("time_ms", [0, 1, DAY_MS, LAST_MS - DAY_MS, LAST_MS])
@pytest.mark.parametrize("known", [True, False])
def test_no_event_time_is_too_much(time_ms: int, known: bool) -> None:
    far = dataclasses.replace(SETTINGS, minimum_rows=2, reference_rows=2, evidence_s=10**9)
    told = tales.tale(days=2)
    events = [
        Prediction(f"p{i}", "m", "1", time_ms, {"x": 1e300 * i, "c": "z"}, "1", score=0.5)
        for i in range(5)
    ]
    truths = [Truth(f"p{i}", "m", time_ms, "0") for i in range(5)]
    end = Tale(told.reference, [*events, *truths], time_ms + 3 * DAY_MS)
    pipeline = tales.play(dataclasses.replace(end, end_ms=LAST_MS), far, Way(2), known=known)
    for name in ("evaluations", "alerts"):
        for e in tales.events(pipeline, name):
            assert 0 <= ms(e["time"]) <= LAST_MS


def long_story(days: int, settings: ModelSettings) -> Pipeline:
    return tales.play(tales.tale(days=days, rows=12), settings, Way())


def test_what_is_remembered_does_not_grow_with_time() -> None:
    small = dataclasses.replace(
        SETTINGS,
        panes_kept=5,
        minimum_rows=5,
        reference_rows=5,
        retrain_minimum_labels=5,
        horizon_s=10 * DAY_S,
    )
    sizes = []
    for days in (30, 60):
        pipeline = long_story(days, small)
        m = memory(pipeline)
        assert len(m.windows["inputs"].named) <= 10
        assert len(m.windows["quality"].named) <= 5
        assert all(len(p.facts) <= 10 and len(p.revisions) <= 10 for p in m.progress.values())
        assert all(len(known) <= 10 for known in m.history.values())
        assert len(m.windows["inputs"].panes) <= 3
        assert all(not track.held for track in m.tracks.values())
        fields = pipeline.watched.fields  # of stints there are 40 at most, of 3 days each
        again, cohorts = (
            sum(f.startswith(kind) for f in fields) for kind in ("later/", "vintage/")
        )
        assert again <= cohorts  # those that may be told of again
        sizes.append(sum(not field.startswith(("stint/", "later/")) for field in fields))
    assert sizes[0] == sizes[1]


def test_inputs_wait_for_the_truth_but_not_for_ever() -> None:
    small = dataclasses.replace(SETTINGS, panes_kept=5, minimum_rows=5)
    told = tales.tale(days=30, rows=12)
    alone = [e for e in told.events if isinstance(e, Prediction)]
    pipeline = tales.play(dataclasses.replace(told, events=alone), small, Way())
    assert len(memory(pipeline).windows["inputs"].named) == 10


def test_a_cause_too_many_raises_no_alert() -> None:
    pipeline = tales.play(tales.tale(), dataclasses.replace(PLAIN, max_alerts=1), Way())
    assert len(memory(pipeline).alerts) == 1
    assert memory(pipeline).counts["alerts-left-out"] > 0


def test_kinds_of_counts_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "MAX_COUNTS", 2)
    m = Memory("m", "1", PLAIN)
    for i in range(4):
        receiving.receive(m, Signals("m", "1", 0, 1, i + 1, counts={f"reason {i % 3}": 2}))
    assert m.counts == {"reason 0": 4, "reason 1": 2}


def test_references_that_were_replaced_long_ago_are_forgotten() -> None:
    small = dataclasses.replace(PLAIN, panes_kept=2)
    pipeline = tales.play(days_of(GOOD), small, Way())
    for day in range(1, 12):
        other = Reference.build("m", "1", {"x": column_of([float(i + day) for i in range(100)])})
        start = START_MS + day * DAY_MS
        for part in other.to_parts(10**6, time=start, active_from=start):
            pipeline.control(part)
        rows: list[Row] = [
            (day * 1_000 + i, start + i, Prediction(f"{day}-{i}", "m", "1", start + i, {"x": 1.0}))
            for i in range(40)
        ]
        pipeline.rows("predictions", 0, rows, start)
        pipeline.control({"type": "watermark", "model": "m", "time": start + DAY_MS})
        pipeline.checkpoint()
    m = memory(pipeline)
    assert len(m.active) <= 6
    assert len(m.references) <= 6


# references


def test_first_rows_give_way_to_a_reference_registered_meanwhile() -> None:
    m = Memory("m", "1", PLAIN)
    m.first = (START_MS, "own")
    m.active = [m.first]
    receiving.receive(m, Signals("m", "1", 0, 1, 1))
    assert m.active == [(START_MS, "own")]
    receiving.receive(m, Signals("m", "1", 0, 1, 2, active=((-1, "theirs"),)))
    assert m.active == [(-1, "theirs")]


def test_first_rows_that_were_taken_up_stay_until_a_later_reference_counts() -> None:
    m = Memory("m", "1", PLAIN)
    m.first = (START_MS, "own")
    both = (m.first, (START_MS + DAY_MS, "theirs"))
    receiving.receive(m, Signals("m", "1", 0, 1, 1, active=both))
    assert m.active == [*both]


# state


def test_state_of_another_format_is_refused() -> None:
    pipeline = tales.play(days_of(GOOD), PLAIN, Way())
    state = msgspec.msgpack.decode(pipeline.watched.fields["monitor/m/1"], strict=False)
    pipeline.watched.fields["monitor/m/1"] = msgspec.msgpack.encode(state | {"format": 99})
    with pytest.raises(ValueError, match="of format 99, not 3"):
        pipeline.restart()
