"""stream.monitor.silences: a model that goes silent is told of, once, and by event time."""

import dataclasses
import functools
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events import Prediction
from stream.fronts import Front
from stream.pipeline import Pipeline
from stream.settings import DAY_S, ModelSettings
from stream.signals import MAGIC, QUIET, UNLABELLED, Signals, decode_signals, encode_signals
from tests import tales
from tests.tales import Way

HOUR_MS, DAY_MS, START_MS = 3_600_000, 86_400_000, 1_700_006_400_000
PLAIN = ModelSettings(pane_s=6 * 3_600, windows_s=(DAY_S,), expects_truth=False, retrain=False)


def rows_of(model: str, days: Sequence[int], delay_ms: int = 0) -> Iterator[tuple[int, Prediction]]:
    """A row every three hours on some days, and their record times."""
    for day in days:
        for i in range(8):
            time_ms = START_MS + day * DAY_MS + i * 3 * HOUR_MS
            event = Prediction(f"{model}{day}-{i}", model, "1", time_ms, {"x": float(i)}, "a")
            yield time_ms + delay_ms, event


def played(
    rows: Sequence[tuple[int, Prediction]],
    wish: ModelSettings = PLAIN,
    way: Way = Way(chunk=10),  # noqa: B008
) -> Pipeline:
    """Fed in order of record time; what lies in one source partition keeps its order."""
    rows = sorted(rows, key=lambda row: row[0])
    return tales.fed([e for _, e in rows], wish, way, [at for at, _ in rows])


def silences(pipeline: Pipeline, topic: str = "evaluations") -> list[dict[str, Any]]:
    """What was said of silence, each event once."""
    found = {e["id"]: e for e in tales.events(pipeline, topic) if e["model"] == "m"}
    if topic == "alerts":
        return [e for e in found.values() if e["cause"].startswith("data:rows")]
    return [e for e in found.values() if any(r["check"] == "silence" for r in e["readings"])]


OTHER = [*rows_of("n", range(16))]
SILENT = [*rows_of("m", range(9)), *OTHER]
BACK = [*SILENT, *rows_of("m", range(12, 16))]


@functools.cache
def told(topic: str) -> list[dict[str, Any]]:
    """What is said of a silence that is over, played in one way."""
    return silences(played(BACK), topic)


def test_a_model_that_falls_silent_is_told_of_though_nothing_of_it_comes() -> None:
    (found,) = silences(played(SILENT))
    assert (found["rows"], found["window"]["panes"], found["subject"]) == (0, 4, "inputs")
    assert found["window"]["start"] == "2023-11-24T00:00:00.000Z"
    assert found["verdict"]["kind"] == "silence"
    (reading,) = found["readings"]
    assert reading["reason"] == (
        "no rows for 1 day since 2023-11-24T00:00:00.000Z; 8 to 8 in the 7 windows before"
    )
    (alert,) = silences(played(SILENT), "alerts")
    assert (alert["state"], alert["severity"], alert["cause"]) == ("firing", "notice", "data:rows")
    assert alert["evaluation_id"] == found["id"]


def test_it_is_over_when_rows_come_again() -> None:
    fired, resolved = silences(played(BACK), "alerts")
    assert (fired["state"], resolved["state"]) == ("firing", "resolved")
    assert resolved["time"] > "2023-11-27"
    assert "they come again, 2 in the last pane" in resolved["summary"]


@settings(max_examples=5, deadline=None)
@given(
    st.builds(
        Way,
        st.sampled_from((1, 2)),
        st.sampled_from((1, 2)),
        st.sampled_from((5, 80)),
        st.integers(0, 99),
        st.booleans(),
    )
)
def test_the_same_is_said_of_it_however_it_is_played(way: Way) -> None:
    """Also where nobody else speaks: then it is known as soon as rows come again.

    No source partition has rows of both models, hours apart: it would be taken for idle.
    """
    for rows in (BACK, [row for row in BACK if row[1].model == "m"]):
        pipeline = played(rows, way=way)
        for topic in ("evaluations", "alerts"):
            assert silences(pipeline, topic) == told(topic)
            assert told(topic)


def test_each_length_of_windows_is_told_of_once() -> None:
    wish = dataclasses.replace(PLAIN, windows_s=(6 * 3_600, DAY_S))
    assert [e["window"]["panes"] for e in silences(played(SILENT, wish))] == [1, 4]
    assert {e["cause"] for e in silences(played(SILENT, wish), "alerts")} == {
        "data:rows@6h",
        "data:rows@1d",
    }


@pytest.mark.parametrize(
    ("days", "why"),
    [
        ([*range(5)], "known for too short"),
        ([0, 1, 2, 3, 6, 7, 8], "silent before, so it is nothing new"),
        ([*range(16)], "not silent"),
    ],
)
def test_what_is_usual_is_not_told(days: list[int], why: str) -> None:
    assert silences(played([*rows_of("m", days), *OTHER])) == [], why


def test_the_end_of_a_replay_is_no_silence() -> None:
    pipeline = played([*rows_of("m", range(9))])
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + 30 * DAY_MS})
    pipeline.checkpoint()
    assert silences(pipeline) == []


def test_rows_that_are_sent_once_a_day_are_not_taken_for_silence_until_they_are() -> None:
    """All of a day at its end. By the clock of the others they are silent, and only late."""
    rows = [*OTHER]
    for day in range(12):
        end_ms = START_MS + (day + 1) * DAY_MS
        rows += [(end_ms, event) for _, event in rows_of("m", [day])]
    wish = dataclasses.replace(PLAIN, windows_s=(6 * 3_600,))
    usual = [row for row in rows if row[0] <= START_MS + 13 * DAY_MS]
    assert silences(played(usual, wish, Way(chunk=1))) == []
    (found,) = silences(played(rows, wish, Way(chunk=1)))
    assert found["window"]["start"] == "2023-11-27T00:00:00.000Z"


def test_a_front_knows_of_silence_only_from_all_its_source_partitions() -> None:
    front = Front(partitions=2)
    assert front.silence({0: 100, 1: 100}, 10) is None
    front.update(0, 1_000, 50)
    assert front.silence({0: 100}, 10) is None
    assert front.silence({0: 100, 1: 55}, 10) is None
    assert front.silence({0: 100, 1: 80}, 10) == (1_000, 1_030)
    front.update(1, 990, 95)
    assert front.silence({0: 100, 1: 200}, 10) is None


def test_a_ledger_does_not_speak_of_a_silent_model_for_ever() -> None:
    pipeline = played([*rows_of("m", range(9)), *rows_of("n", range(40))], way=Way(chunk=8))
    signals = pipeline.watch.monitors["m/1"].memory.clocks.clocks[0].sequence
    more = played([*rows_of("m", range(9)), *rows_of("n", range(80))], way=Way(chunk=8))
    assert more.watch.monitors["m/1"].memory.clocks.clocks[0].sequence <= signals + 1


def test_what_says_nothing_of_silence_is_written_as_ever() -> None:
    plain = Signals("m", "1", 0, 1, 1)
    quiet = dataclasses.replace(plain, quiet=(5, 9))
    assert encode_signals(plain).startswith(MAGIC)
    assert encode_signals(quiet).startswith(QUIET)
    labels = dataclasses.replace(plain, label_quiet=(5, 9, (3,)))
    both = dataclasses.replace(quiet, label_quiet=(5, 9, ()))
    assert {encode_signals(one)[:4] for one in (labels, both)} == {UNLABELLED}
    said = [plain, quiet, labels, both]
    assert [decode_signals(encode_signals(one)) for one in said] == said
    state = json.dumps([*played([*rows_of("m", range(3))]).watched.fields])
    assert "silence" not in state
