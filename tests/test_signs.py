"""What detectors have seen, in words."""

import pytest

from stream.settings import DAY_S, DetectorSettings, ModelSettings
from stream.signs import KEPT, in_drift, pulse_evaluation, silence, silence_evaluation
from stream.subjects import Subject
from stream.tracks import RESCALED, Pulse, Watched

OF = Subject("m", "1", ModelSettings(evidence_s=7 * DAY_S), 0, 10 * DAY_S * 1000)


def watched(signal: str = "error", pulses: int = 1) -> Watched:
    found = Watched.of(DetectorSettings("ADWIN", signal), f"detector:ADWIN:{signal}", 0, "auto")
    found.pulses = [Pulse(i * 1000, 1_000 + i, 0.5) for i in range(pulses)]
    return found


@pytest.mark.parametrize(
    ("signal", "words", "moved"),
    [
        ("error", "the errors", (None, None, True)),
        ("score", "the scores", (None, True, None)),
        ("age", "age", (True, None, None)),
    ],
)
def test_a_pulse_names_the_signal_the_value_and_the_time(
    signal: str, words: str, moved: tuple[bool | None, ...]
) -> None:
    found = pulse_evaluation(OF, watched(signal), 0)
    (reading,) = found.readings
    assert reading.reason == f"ADWIN saw {words} change at value 1,000, 1970-01-01T00:00:00.000Z"
    assert reading.verdict == "moved"
    assert (found.verdict.inputs, found.verdict.outputs, found.verdict.quality) == moved
    assert found.verdict.kind == "early-sign"


def test_silence_says_for_how_long() -> None:
    found = silence_evaluation(OF, watched())
    assert silence(OF) == "no pulse for 7 days"
    assert found.readings[0].reason == "ADWIN on the errors: no pulse for 7 days"
    assert found.readings[0].verdict == "ok"
    assert found.verdict.kind == "no-sign"


def test_every_pulse_is_an_evaluation_of_its_own() -> None:
    ids = {pulse_evaluation(OF, watched(pulses=n), 0).id for n in (1, 2, 3)}
    assert len(ids | {silence_evaluation(OF, watched()).id}) == 4


def test_the_newest_pulses_are_listed() -> None:
    details = pulse_evaluation(OF, watched(pulses=50), 0).readings[0].details
    assert details["indices"] == list(range(1_050 - KEPT, 1_050))
    assert isinstance(details["values"], list)
    assert len(details["values"]) == KEPT


def test_a_detector_that_was_started_afresh_says_so() -> None:
    one = watched("score")
    one.rebuilt = RESCALED
    assert pulse_evaluation(OF, one, 0).notes == [f"started afresh: {RESCALED}"]


def test_a_pulse_says_since_when_there_was_never_long_without_one() -> None:
    (reading,) = pulse_evaluation(OF, watched(pulses=3), 1_000).readings
    assert reading.reason.endswith("02.000Z; in drift since 1970-01-01T00:00:01.000Z")
    assert reading.details["in_drift_since"] == "1970-01-01T00:00:01.000Z"
    assert reading.details["evidence_s"] == 7 * DAY_S
    assert (
        in_drift(watched("age"), 1_000) == "ADWIN on age: in drift since 1970-01-01T00:00:01.000Z"
    )


@pytest.mark.parametrize(("signal", "said"), [("error", True), ("age", True), ("score", False)])
def test_values_that_no_reference_standardises_are_told_of(signal: str, said: bool) -> None:
    one = watched(signal)
    assert bool(pulse_evaluation(OF, one, 0).notes) is said
    one.scale = (0.0, 1.0)
    assert pulse_evaluation(OF, one, 0).notes == []
