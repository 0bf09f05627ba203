"""Telling: one alert for all features that moved, and one for all that are well again."""

import dataclasses
from typing import Any

import msgspec
import pytest

from stream import notices
from stream.columns import column_of
from stream.events import FeatureValue, Prediction
from stream.monitor import Memory
from stream.pipeline import Pipeline
from stream.references import Reference
from stream.settings import DAY_S
from tests import tales
from tests.tales import DAY_MS, SETTINGS, START_MS, Tale, Way

ROWS = 100
WISH = dataclasses.replace(SETTINGS, windows_s=(DAY_S,), detectors=(), clear=1)
PLAIN = Way()
VALUES = [float(i) + 0.5 for i in range(ROWS)]


def story(
    *days: dict[str, float | None], features: int = 3, weights: dict[str, float] | None = None
) -> Tale:
    """Features f0, f1, ...; on each day those that are named are so much larger, None: missing."""
    names = [f"f{i}" for i in range(features)]
    rows = []
    for day, moved in enumerate(days):
        for i, value in enumerate(VALUES):
            by = {name: moved.get(name, 0.0) for name in names}
            features_of: dict[str, FeatureValue] = {
                name: None if x is None else value + x for name, x in by.items()
            }
            at_ms = START_MS + day * DAY_MS + i
            rows.append(Prediction(f"{day}-{i}", "m", "1", at_ms, features_of))
    reference = Reference.build("m", "1", {name: column_of(VALUES) for name in names})
    reference = dataclasses.replace(reference, weights=weights or {})
    return Tale(reference, rows, START_MS + len(days) * DAY_MS)


def told(tale: Tale, way: Way = PLAIN) -> list[dict[str, Any]]:
    return tales.events(tales.play(tale, WISH, way), "alerts")


def lines(alerts: list[dict[str, Any]]) -> list[tuple[str, str, str, list[str]]]:
    return [
        (e["cause"], e["previous"], e["state"], [part["cause"] for part in e["parts"]])
        for e in alerts
    ]


def test_twenty_features_wake_a_pager_once() -> None:
    moved: dict[str, float | None] = {f"f{i}": 30.0 + 2 * i for i in range(20)}
    fired, over = told(story({}, moved, {}, features=21))
    assert (fired["state"], over["state"]) == ("firing", "resolved")
    assert [part["cause"] for part in fired["parts"]] == [f"input:f{i}" for i in range(19, -1, -1)]
    assert sum(part["share"] for part in fired["parts"]) == pytest.approx(1.0)
    assert fired["reading"] == fired["parts"][0]["reading"]
    assert fired["reading"]["subject"] == "f19"
    assert fired["summary"].endswith(
        "; this is 5% of all that moved, f18 5%, f17 5%, f16 5%, 16 more 80%"
    )
    assert over["summary"].endswith("; with f18, f17, f16 and 16 more")
    assert over["reading"]["subject"] == "f19"
    assert {part["share"] for part in over["parts"]} == {None}


def test_an_alert_about_very_many_features_names_those_that_explain_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notices, "MOST_PARTS", 5)
    fired, over = told(story({f"f{i}": 30.0 + 2 * i for i in range(20)}, {}, features=20))
    assert [part["cause"] for part in fired["parts"]] == [f"input:f{i}" for i in range(19, 14, -1)]
    assert fired["others"] == over["others"] == 15
    assert fired["summary"].endswith("f16 5%, 16 more 80%")


def test_what_the_model_leans_on_most_is_named_first() -> None:
    tale = story({"f0": 200.0, "f1": 60.0, "f2": 100.0}, weights={"f1": 0.6, "f0": 0.1, "f2": 0.1})
    (fired,) = told(tale)
    assert [part["reading"]["subject"] for part in fired["parts"]] == ["f1", "f0", "f2"]
    assert fired["parts"][0]["share"] == pytest.approx(0.6 / 0.8, abs=0.01)
    assert fired["summary"].startswith("m 1: f1: median")


def test_what_moves_later_joins_the_alert_that_is_open() -> None:
    alerts = told(story({"f0": 90.0}, {"f0": 90.0, "f1": 80.0}, {"f1": 80.0}, {}))
    assert lines(alerts) == [
        ("input", "ok", "firing", ["input:f0"]),
        ("input", "firing", "firing", ["input:f1", "input:f0"]),
        ("input", "firing", "resolved", ["input:f1", "input:f0"]),
    ]
    assert [part["new"] for part in alerts[1]["parts"]] == [True, False]
    assert alerts[1]["summary"].startswith("m 1: now also f1: median")
    assert alerts[1]["reason"] == "joined by f1: moved in 1 window"
    assert len({e["since"] for e in alerts}) == 1
    assert len({e["id"] for e in alerts}) == 3


def test_features_that_moved_and_features_that_are_missing_are_two_causes() -> None:
    missing: dict[str, float | None] = {"f1": None, "f2": None}
    alerts = told(story({"f0": 90.0, **missing}))
    assert lines(alerts) == [
        ("input", "ok", "firing", ["input:f0"]),
        ("data", "ok", "firing", ["data:f1", "data:f2"]),
    ]


def test_what_is_over_before_an_alert_opens_again_is_no_part_of_it() -> None:
    alerts = told(story({"f0": 90.0}, {}, {"f1": 90.0}))
    assert lines(alerts)[1:] == [
        ("input", "firing", "resolved", ["input:f0"]),
        ("input", "ok", "firing", ["input:f1"]),
    ]


@pytest.mark.parametrize("chunk", [7, 50])
def test_restarts_change_nothing(chunk: int) -> None:
    days: list[dict[str, float | None]]
    days = [{"f0": 90.0}, {"f0": 90.0, "f1": 80.0}, {"f1": 80.0}, {}, {"f2": 70.0}]
    way = Way(chunk=chunk)
    plain = told(story(*days), way)
    assert told(story(*days), dataclasses.replace(way, restart=True)) == plain
    assert len(plain) == 4


def test_a_metric_that_falls_with_another_asks_for_one_retraining() -> None:
    pipeline = tales.play(tales.tale(), dataclasses.replace(WISH, minimum_rows=20), Way())
    (request,) = tales.events(pipeline, "retrain-requests")
    alerts = {e["id"]: e for e in tales.events(pipeline, "alerts")}
    assert {alerts[name]["cause"] for name in request["alert_ids"]} == {"quality"}
    assert len(set(request["alert_ids"])) == len(request["alert_ids"])


# what an earlier release has left


def memory(pipeline: Pipeline) -> Memory:
    (monitor,) = pipeline.watch.monitors.values()
    return monitor.memory


def earlier(pipeline: Pipeline) -> None:
    """The state as a release that knew no groups wrote it."""
    field = "alerts/m/1"
    state = msgspec.msgpack.decode(pipeline.watched.fields[field], strict=False)
    assert state.pop("groups")
    pipeline.watched.fields[field] = msgspec.msgpack.encode(state)
    pipeline.restart()


def go_on(pipeline: Pipeline, whole: Tale, from_ms: int) -> None:
    rows = [(10_000 + i, e.time, e) for i, e in enumerate(whole.events) if e.time >= from_ms]
    pipeline.rows("predictions", 0, rows, whole.end_ms)
    pipeline.control({"type": "watermark", "model": "m", "time": whole.end_ms})
    pipeline.checkpoint()


def test_what_fired_by_itself_in_an_earlier_release_is_over_by_itself() -> None:
    days: list[dict[str, float | None]]
    days = [{"f0": 90.0, "f1": 80.0}, {"f0": 90.0, "f2": 70.0}, {}]
    pipeline = tales.play(story(days[0]), WISH, Way())
    earlier(pipeline)
    assert memory(pipeline).groups == {}
    go_on(pipeline, story(*days), START_MS + DAY_MS)
    assert lines(tales.events(pipeline, "alerts"))[1:] == [
        ("input:f1", "firing", "resolved", ["input:f1"]),
        ("input", "ok", "firing", ["input:f2"]),
        ("input:f0", "firing", "resolved", ["input:f0"]),
        ("input", "firing", "resolved", ["input:f2"]),
    ]


def test_a_model_without_alerts_has_the_state_that_it_had_before() -> None:
    pipeline = tales.play(story({}), WISH, Way())
    state = msgspec.msgpack.decode(pipeline.watched.fields["alerts/m/1"], strict=False)
    assert state.keys() == {"format", "alerts", "shown", "history"}
