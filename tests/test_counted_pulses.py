"""Pulses that are judged by their number, from the reference to the alert."""

import dataclasses
from typing import Any

import msgspec
import numpy as np

from agents.explain import lines
from stream.chronicles import calibrated
from stream.columns import Column
from stream.events import Prediction
from stream.explanations import explain
from stream.references import Reference
from stream.settings import DAY_S, DetectorSettings
from tests import tales
from tests.tales import DAY_MS, SETTINGS, START_MS, Tale, Way

HOUR_MS, ROWS, DAYS = 3_600_000, 12, 21
OFTEN = DetectorSettings("PageHinkley", "x", parameters={"threshold": 10.0, "min_instances": 5})
WISH = dataclasses.replace(
    SETTINGS,
    pane_s=3_600,
    windows_s=(DAY_S,),
    detectors=(OFTEN, DetectorSettings("ADWIN", "score")),
    minimum_rows=10,
    reference_rows=10,
)
CAUSE = "detector:PageHinkley:x"


def reference() -> Reference:
    x = {"x": Column(np.random.default_rng(1).normal(size=DAYS * 24 * ROWS))}
    plain = Reference.build("m", "1", x)
    times = np.repeat(np.arange(DAYS * 24) * HOUR_MS, ROWS)
    return calibrated(plain, x, {}, times, WISH)


CALIBRATED = reference()


def tale(known: Reference, *spreads: float) -> Tale:
    """Days of values of these deviations."""
    random, events = np.random.default_rng(2), []
    for day, spread in enumerate(spreads):
        for i, value in enumerate(random.normal(scale=spread, size=24 * ROWS).tolist()):
            time_ms = START_MS + day * DAY_MS + i * HOUR_MS // ROWS
            events.append(Prediction(f"p{day}-{i}", "m", "1", time_ms, {"x": value}))
    return Tale(known, events, START_MS + len(spreads) * DAY_MS)


def told(known: Reference, way: Way, *spreads: float) -> tuple[list[Any], list[Any], Any]:
    """Alerts of the detector, its evaluations, and all that was published."""
    pipeline = tales.play(tale(known, *spreads), WISH, way)
    alerts = [e for e in tales.events(pipeline, "alerts") if e["cause"] == CAUSE]
    found = [e for e in tales.events(pipeline, "evaluations") if e["subject"] == "detectors"]
    return alerts, found, tales.published(pipeline)


def test_pulses_that_chance_makes_raise_no_alert() -> None:
    alerts, found, _ = told(CALIBRATED, Way(), 1, 1)
    assert alerts == []
    assert len(found) > 3
    assert {e["readings"][0]["verdict"] for e in found} == {"ok"}
    assert {e["verdict"]["kind"] for e in found} == {"no-sign"}
    plain = dataclasses.replace(CALIBRATED, calibration=None)
    assert [e["state"] for e in told(plain, Way(), 1)[0]][:1] == ["firing"]


def test_more_of_them_do_and_it_ends_when_they_are_usual_again() -> None:
    alerts, found, _ = told(CALIBRATED, Way(1, 1, 2_000), 1, 8, 1, 1)
    assert [e["state"] for e in alerts] == ["firing", "resolved"]
    assert START_MS + DAY_MS < tales_ms(alerts[0]["time"]) < START_MS + 2 * DAY_MS
    assert alerts[0]["severity"] == "notice"
    sure = alerts[0]["how_sure"]
    assert 0 < sure["p_value"] <= sure["level"]
    reading = alerts[0]["reading"]
    assert "are usual; chance does as much" in reading["reason"]
    assert reading["statistic"] > 2 * reading["details"]["usual"]
    moved = [e for e in found if e["readings"][0]["verdict"] == "moved"]
    assert {e["verdict"]["kind"] for e in moved} == {"early-sign"}


def tales_ms(text: str) -> int:
    return int(np.datetime64(text.removesuffix("Z"), "ms").astype(np.int64))


def test_what_is_said_depends_neither_on_partitions_nor_on_restarts() -> None:
    one, other = (told(CALIBRATED, way, 1, 8)[2] for way in (Way(2, 1, 50), Way(3, 2, 30, 5, True)))
    assert one == other


def test_state_that_an_earlier_release_would_misread_has_a_format_of_its_own() -> None:
    formats = {}
    for calibration in (CALIBRATED.calibration, None):
        known = dataclasses.replace(CALIBRATED, calibration=calibration)
        pipeline = tales.play(tale(known, 8), WISH, Way())
        state = msgspec.msgpack.decode(pipeline.watched.fields["monitor/m/1"], strict=False)
        formats[calibration is not None] = state["format"]
        pipeline.restart()
    assert formats == {True: 2, False: 1}


def test_what_is_to_be_expected_is_explained() -> None:
    found = explain("m", "1", CALIBRATED, WISH)
    (one,) = found.detectors
    assert one.name == "PageHinkley of x"
    assert 0 < one.usual < one.alarm_from
    assert one.by_chance_a_month == 0.25 * WISH.false_alarms_per_month
    said = dict(lines(found))
    assert "are usual" in said["pulses"]
    assert any(text.startswith("detector:ADWIN:score: each pulse") for text in found.lacks)
    assert explain("m", "1", None, WISH).detectors == []


def test_the_law_is_part_of_the_reference_and_of_its_events() -> None:
    again = Reference.from_bytes(CALIBRATED.to_bytes())
    assert again.calibration == CALIBRATED.calibration
    assert CALIBRATED.calibration is not None
    assert set(CALIBRATED.calibration.detectors) == {CAUSE}
    none = dataclasses.replace(WISH, detectors=())  # then nothing is there, as before
    x = {"x": Column(np.random.default_rng(1).normal(size=DAYS * 24 * ROWS))}
    times = np.repeat(np.arange(DAYS * 24) * HOUR_MS, ROWS)
    plain = calibrated(Reference.build("m", "1", x), x, {}, times, none)
    assert "detectors" not in plain.document()["calibration"]
