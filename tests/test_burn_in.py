"""Burn-in: a version that is new is evaluated, and nobody is told."""

import dataclasses
import datetime
import functools
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from stream.events import Prediction
from stream.explanations import explain
from stream.pipeline import Pipeline
from stream.settings import DAY_S, ModelSettings
from tests import tales
from tests.tales import DAY_MS, SETTINGS, START_MS, Way

DAYS = 6
KINDS = ("inputs", "quality")
UNTIL = "burn-in until 2022-01-14T00:00:00.000Z: nobody is told"


@functools.cache
def played(days: int = DAYS) -> Pipeline:
    return tales.play(tales.tale(), burning(days), Way())


def burning(days: int) -> ModelSettings:
    return dataclasses.replace(SETTINGS, burn_in_s=days * DAY_S)


def day_of(event: dict[str, Any]) -> int:
    return int((stamped(event["time"]) - START_MS - 1) // DAY_MS)


def stamped(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def test_nobody_is_told_in_it_and_somebody_after_it() -> None:
    before, after = (tales.events(played(days), "alerts") for days in (0, DAYS))
    assert min(map(day_of, before)) < DAYS <= min(map(day_of, after))
    asked = [tales.events(played(days), "retrain-requests")[0] for days in (0, DAYS)]
    assert day_of(asked[0]) < DAYS <= day_of(asked[1])


def test_evaluations_are_what_they_were_and_say_so() -> None:
    plain, found = (
        {e["id"]: e for e in tales.events(played(days), "evaluations") if e["subject"] in KINDS}
        for days in (0, DAYS)
    )
    assert plain.keys() <= found.keys()
    for key, event in plain.items():
        own = found[key]
        assert (own["readings"], own["rows"]) == (event["readings"], event["rows"])
        burns = day_of(event) < DAYS
        assert (UNTIL in own["notes"]) == burns
        assert own["verdict"]["action"].startswith("Burn-in until 2022-01-14") == burns
        assert own["verdict"]["kind"] == event["verdict"]["kind"]


@settings(max_examples=5, deadline=None)
@given(tales.ways(7, 100, 1_000))
def test_it_ends_at_the_same_time_however_it_is_played(way: Way) -> None:
    found = tales.without_offsets(tales.published(tales.play(tales.tale(), burning(DAYS), way)))
    assert found == tales.without_offsets(tales.published(played()))


def rows(version: str, day: int, days: int) -> list[Any]:
    start = START_MS + day * DAY_MS
    return [
        (i, t, Prediction(f"{version}-{i}", "m", version, t, {"x": 9.0, "y": 1.0, "c": "a"}, "1"))
        for i, t in enumerate(range(start, start + days * DAY_MS, DAY_MS // 40))
    ]


def test_each_version_has_one_of_its_own() -> None:
    wish = dataclasses.replace(SETTINGS, burn_in_s=2 * DAY_S, windows_s=(DAY_S,), detectors=())
    pipeline, reference = Pipeline(lambda _: wish), tales.tale().reference
    for version in ("1", "2"):
        known = dataclasses.replace(reference, version=version)
        for part in known.to_parts(600_000, time=START_MS, active_from=0):
            pipeline.control(part)
    both = sorted([*rows("1", 0, 6), *rows("2", 3, 3)], key=lambda row: row[1])
    told = [(i, t, event) for i, (_, t, event) in enumerate(both)]
    pipeline.rows("predictions", 0, told, told[-1][1])
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + 6 * DAY_MS})
    pipeline.checkpoint()
    alerts = tales.events(pipeline, "alerts")
    first = {v: min(day_of(a) for a in alerts if a["version"] == v) for v in ("1", "2")}
    assert first == {"1": 2, "2": 5}


def test_a_version_that_was_there_before_the_setting_does_not_burn_in() -> None:
    wish = dataclasses.replace(SETTINGS, windows_s=(DAY_S,), detectors=())
    pipeline = Pipeline(lambda _: wish)
    for part in tales.tale().reference.to_parts(600_000, time=START_MS, active_from=0):
        pipeline.control(part)
    told = rows("1", 0, 3)
    pipeline.rows("predictions", 0, told[:60], told[59][1])
    pipeline.checkpoint()
    before = len(tales.events(pipeline, "alerts"))
    assert before
    wish = dataclasses.replace(wish, burn_in_s=30 * DAY_S)
    pipeline.restart()
    pipeline.rows("predictions", 0, told[60:], told[-1][1])
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + 3 * DAY_MS})
    pipeline.checkpoint()
    notes = [note for e in tales.events(pipeline, "evaluations") for note in e["notes"]]
    assert not any("burn-in" in note for note in notes)


def test_state_has_nothing_of_it_where_there_is_none() -> None:
    for days, there in ((0, False), (DAYS, True)):
        fields = played(days).watched.fields
        (raw,) = [raw for name, raw in fields.items() if name.startswith("monitor/")]
        assert ("began" in msgspec.msgpack.decode(raw, strict=False)) == there


@pytest.mark.parametrize("burn_in_s", [-DAY_S, DAY_S // 2])
def test_it_is_whole_panes(burn_in_s: int) -> None:
    with pytest.raises(ValueError, match=r"burn_in_s = .*: must be 0 or a multiple of pane_s"):
        dataclasses.replace(SETTINGS, burn_in_s=burn_in_s)


def test_an_explanation_says_so() -> None:
    assert explain("m", "1", None, burning(DAYS)).burn_in_s == DAYS * DAY_S
