"""Online detectors in the monitor: their pulses, their alerts, and their state."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.alerts import AlertState
from stream.columns import column_of
from stream.events import Prediction
from stream.monitor import Memory
from stream.monitor.sensing import in_drift_since, scales_of
from stream.pulses import causes
from stream.references import Reference
from stream.settings import DAY_S, DetectorSettings
from stream.tracks import MAX_PULSES, Pulse
from tests import tales
from tests.tales import DAY_MS, SETTINGS, Way
from tests.test_monitor import GOOD, PLAIN, Row, days_of, firing, memory


def test_a_detectors_alert_resolves_when_its_evidence_has_grown_old() -> None:
    pipeline = tales.play(tales.tale(), SETTINGS, Way())
    (fired, over) = (firing(pipeline, s)["detector:ADWIN:x"] for s in ("firing", "resolved"))
    assert fired["reason"] == "the detector fired"
    assert fired["since"] == fired["time"] == over["since"]
    assert over["reason"] == "no pulse for 1 day"
    assert over["summary"] == "m 1: resolved: ADWIN on x: no pulse for 1 day"


@pytest.mark.parametrize("way", [Way(), Way(3, 2, 50, 5, True)])
def test_a_pulse_is_told_of_in_every_window_as_long_as_it_is_evidence(way: Way) -> None:
    lasting = dataclasses.replace(SETTINGS, evidence_s=2 * DAY_S)
    for wish, windows in ((SETTINGS, 1), (lasting, 2)):
        pipeline = tales.play(tales.tale(), wish, way)
        (fired, over) = (firing(pipeline, s)["detector:ADWIN:x"] for s in ("firing", "resolved"))
        said = f"ADWIN on x: in drift since {fired['since']}"
        told = [
            e["window"]["end"]
            for e in tales.events(pipeline, "evaluations")
            if e["subject"] == "inputs" and e["window"]["panes"] == 1 and said in e["notes"]
        ]
        assert len(told) == windows
        assert all(fired["time"] < end < over["time"] for end in told)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(0, 60))
def test_a_drift_lasts_from_the_first_of_pulses_that_are_never_far_apart(
    days: list[int], now: int
) -> None:
    wish = dataclasses.replace(SETTINGS, evidence_s=3 * DAY_S)
    m = Memory("m", "1", wish)
    one = m.watched[0]
    one.pulses = [Pulse(day * DAY_MS, i, 0.0) for i, day in enumerate(sorted(days))]
    known = {day for day in days if day <= now}
    expected = max(known, default=None)
    if expected is None or now - expected > 3:
        assert in_drift_since(m, one, now * DAY_MS) is None
        return
    while earlier := {day for day in known if 0 < expected - day <= 3}:
        expected = min(earlier)
    assert in_drift_since(m, one, now * DAY_MS) == expected * DAY_MS


def test_a_drift_of_more_pulses_than_are_kept_began_with_its_alert() -> None:
    m = Memory("m", "1", SETTINGS)
    one = m.watched[0]
    one.pulses = [Pulse(DAY_MS + i, i, 0.0) for i in range(MAX_PULSES)]
    m.alerts[one.cause] = AlertState("firing", 1, 0, DAY_MS - 5, DAY_MS - 5)
    assert in_drift_since(m, one, DAY_MS + MAX_PULSES) == DAY_MS - 5
    one.pulses = one.pulses[1:]
    assert in_drift_since(m, one, DAY_MS + MAX_PULSES) == DAY_MS + 1


def test_detectors_of_one_name_and_signal_are_numbered() -> None:
    twice = dataclasses.replace(PLAIN, detectors=(DetectorSettings("ADWIN"),) * 3)
    assert causes(twice) == [
        "detector:ADWIN:error",
        "detector:ADWIN:error#2",
        "detector:ADWIN:error#3",
    ]


def test_a_detector_that_fires_all_the_time_is_told_of_once_a_pane() -> None:
    noisy = DetectorSettings(
        "KSWIN", "x", parameters={"alpha": 1.0, "window_size": 4, "stat_size": 2}, cost_us=1e6
    )
    wish = dataclasses.replace(PLAIN, detectors=(noisy,), evidence_s=2 * DAY_S)
    pipeline = tales.play(days_of(GOOD, GOOD, GOOD), wish, Way())
    told = [e for e in tales.events(pipeline, "evaluations") if e["subject"] == "detectors"]
    assert len(told) == 3
    assert len(memory(pipeline).watched[0].pulses) > 20


def test_a_detector_that_the_settings_name_no_more_is_forgotten_and_its_alert_ends() -> None:
    told = tales.tale(days=6)
    pipeline = tales.play(told, dataclasses.replace(SETTINGS, evidence_s=30 * DAY_S), Way())
    assert "detector:ADWIN:x" in memory(pipeline).alerts
    pipeline.settings = lambda _: dataclasses.replace(SETTINGS, detectors=())
    pipeline.restart()
    more = tales.tale(days=8)
    rows: list[Row] = [
        (5_000 + i, e.time, e)
        for i, e in enumerate(more.events)
        if isinstance(e, Prediction) and e.time >= told.end_ms
    ]
    pipeline.rows("predictions", 0, rows, more.end_ms)
    pipeline.control({"type": "watermark", "model": "m", "time": more.end_ms})
    pipeline.checkpoint()
    assert "detector:ADWIN:x" in firing(pipeline, "resolved")
    assert not any("detector" in field for field in pipeline.watched.fields)


def test_a_detector_added_later_leaves_the_others_as_they_are() -> None:
    pipeline = tales.play(tales.tale(days=6), SETTINGS, Way())
    known = {w.cause: w.detector.n for w in memory(pipeline).watched}
    more = (DetectorSettings("KSWIN", "y"), *SETTINGS.detectors)
    pipeline.settings = lambda _: dataclasses.replace(SETTINGS, detectors=more)
    pipeline.restart()
    found = {w.cause: w.detector.n for w in memory(pipeline).watched}
    assert found == known | {"detector:KSWIN:y": 0}


def test_scales_come_from_what_the_reference_knows() -> None:
    x = column_of([1.0, 3.0, 1.0, 3.0])
    bare = Reference.build("m", "1", {"x": x, "same": column_of([0.5] * 4)}, numeric=["x"])
    assert scales_of(bare) == {"x": (2.0, 1.0)}
    with_quality = Reference.build("m", "1", {}, quality={"accuracy": 0.8})
    mean, sd = scales_of(with_quality)["error"]
    assert (mean, sd) == pytest.approx((0.2, 0.4))
    sizes = Reference.build("m", "1", {}, quality={"mae": 3.0, "rmse": 5.0, "bias": 1.0})
    assert scales_of(sizes)["error"] == pytest.approx((3.0, 4.0))
    perfect = Reference.build("m", "1", {}, quality={"accuracy": 1.0})
    assert scales_of(perfect) == {}
