"""stream.detectors: river's published answers, and one contract over the registry."""

import inspect
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.detectors import DETECTORS, Corrupt, Detector, StateMismatch
from stream.settings import DetectorSettings

Stream = Sequence[float]
NAMES = sorted(DETECTORS)
REAL = [name for name in NAMES if not DETECTORS[name].binary]
BINARY = [name for name in NAMES if DETECTORS[name].binary]


def make(name: str, seed: int = 7, **parameters: float | bool | str) -> Detector:
    return Detector(DetectorSettings(name, raw=True, parameters=parameters), seed)


def fired(detector: Detector, stream: Stream) -> list[int]:
    return [i for i, x in enumerate(stream) if detector.update(x)]


def docstring_stream(name: str) -> Stream:
    """The streams of river's docstrings."""
    if name in REAL:
        rng = random.Random(12345)
        return rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)
    rng = random.Random(42)
    if name == "FHDDM":
        return rng.choices([0, 1], k=250) + rng.choices([0, 1], k=250, weights=[0.9, 0.1])
    weights = [0.3, 0.7]
    return rng.choices([0, 1], k=1000) + rng.choices([0, 1], k=1000, weights=weights)


def lively(name: str, n: int, seed: int) -> Stream:
    """A stream on which every detector fires now and then."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.random(n // 50 + 1), 50)[:n]
    if name in BINARY:
        return [float(x) for x in rng.random(n) < level]
    return [float(x) for x in rng.normal(size=n) + 8 * level]


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("ADWIN", {}, [1023]),
        ("KSWIN", {"alpha": 0.0001, "seed": 42}, [1016]),
        ("PageHinkley", {}, [1006]),
        ("HDDMW", {}, [1077]),
        ("FHDDM", {}, [315]),
        ("FHDDM", {"short_window_size": 20}, [279]),
    ],
)
def test_river_docstrings(name: str, parameters: dict[str, Any], expected: list[int]) -> None:
    assert fired(make(name, **parameters), docstring_stream(name)) == expected


def test_adwin_on_the_stream_of_capymoas_tutorial() -> None:
    rng = np.random.default_rng(42)
    stream = rng.integers(0, 2, size=2000).astype(float)
    stream[1000:] = rng.integers(6, 12, size=1000)
    assert [i + 1 for i in fired(make("ADWIN"), stream.tolist())] == [1024]


@pytest.mark.parametrize("name", NAMES)
def test_answers_as_river_does(name: str) -> None:
    stream = lively(name, 2000, 1)
    ours = make(name)
    plain = DETECTORS[name].make(**({"seed": 7} if name == "KSWIN" else {}))
    found = []
    for i, x in enumerate(stream):
        plain.update(x)
        if plain.drift_detected:
            found.append(i)
    assert fired(ours, stream) == found
    assert found, "the stream should make the detector fire"
    assert ours.n == len(stream)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12, deadline=None)
@given(cut=st.integers(0, 400), seed=st.integers(0, 1000))
def test_restored_continues_identically_wherever_it_was_cut(name: str, cut: int, seed: int) -> None:
    stream = lively(name, 400, seed)
    whole = make(name)
    before = fired(whole, stream[:cut])
    snapshot = whole.snapshot()
    again = Detector.restore(snapshot, whole.settings, 7)
    assert again.snapshot() == snapshot
    assert fired(again, stream[cut:]) == fired(whole, stream[cut:])
    assert again.snapshot() == whole.snapshot()
    assert before == fired(make(name), stream)[: len(before)]


@pytest.mark.parametrize("name", NAMES)
def test_restored_at_every_single_point(name: str) -> None:
    stream = lively(name, 260, 3)
    whole, hopping = make(name), make(name)
    for x in stream:
        hopping = Detector.restore(hopping.snapshot(), hopping.settings, 7)
        assert hopping.update(x) == whole.update(x)
    assert hopping.snapshot() == whole.snapshot()


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_lists_every_parameter_of_its_class(name: str) -> None:
    taken = set(inspect.signature(DETECTORS[name].make).parameters) - {"window"}
    assert set(DETECTORS[name].parameters) == taken


@pytest.mark.parametrize("name", NAMES)
def test_any_number_is_taken_or_counted(name: str) -> None:
    detector = make(name)
    odd = [0, 1, 1.0, True, 0.5, -1, 1e308, -1e308, 5e-324, float("nan"), float("inf"), 2**62]
    for x in odd * 60:
        detector.update(x)
    assert detector.n + detector.skipped == len(odd) * 60
    assert detector.skipped == 60 * (8 if DETECTORS[name].binary else 2)


@pytest.mark.parametrize("name", NAMES)
def test_two_runs_fire_alike_and_an_unseeded_one_is_seeded(name: str) -> None:
    stream = lively(name, 1500, 5)
    assert fired(make(name), stream) == fired(make(name), stream)
    assert ("seed" in make(name).parameters) == ("seed" in DETECTORS[name].parameters)


@pytest.mark.parametrize("name", BINARY)
def test_errors_that_rise_fire_and_errors_that_fall_do_not(name: str) -> None:
    rng = np.random.default_rng(2)
    calm, bad = rng.random(1000) < 0.1, rng.random(1000) < 0.7
    stream = [float(x) for x in np.concatenate([calm, bad])]
    rising = Detector(DetectorSettings(name, "error"))
    assert any(i >= 1000 for i in fired(rising, stream))
    if name in {"FHDDM", "HDDMA", "HDDMW"}:
        falling = Detector(DetectorSettings(name, "error"))
        assert fired(falling, stream[::-1]) == []


@pytest.mark.parametrize(
    ("settings_", "task", "message"),
    [
        (DetectorSettings("HDDM_A"), "auto", "name = 'HDDM_A': must be one of ADWIN"),
        (DetectorSettings("DDM", "score"), "auto", "signal = 'score'.*must be 'error'.*ADWIN"),
        (DetectorSettings("DDM"), "regression", "name = 'DDM'.*must be one of ADWIN"),
        (DetectorSettings("ADWIN", parameters={"deltas": 1}), "auto", "'deltas'.*one of delta"),
        (DetectorSettings("ADWIN", parameters={"delta": 2}), "auto", "delta = 2: must be a num"),
        (DetectorSettings("ADWIN", parameters={"clock": 0}), "auto", "clock = 0: must be a whole"),
        (DetectorSettings("ADWIN", parameters={"clock": 1.5}), "auto", "clock = 1.5"),
        (DetectorSettings("ADWIN", parameters={"clock": True}), "auto", "clock = True"),
        (DetectorSettings("KSWIN", parameters={"stat_size": 60}), "auto", "stat_size = 60.*= 50"),
        (DetectorSettings("KSWIN", parameters={"window": 60}), "auto", "'window': must be one of"),
        (DetectorSettings("EDDM", parameters={"beta": 0.99}), "auto", "beta = 0.99: must be at"),
        (DetectorSettings("PageHinkley", parameters={"mode": "x"}), "auto", "one of up, down, bo"),
        (DetectorSettings("FHDDM", parameters={"short_window_size": 101}), "auto", "= 100"),
        (DetectorSettings("HDDMA", parameters={"two_sided_test": 1}), "auto", "true or false"),
    ],
)
def test_what_cannot_work_is_refused_in_words(
    settings_: DetectorSettings, task: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Detector(settings_, task=task)  # type: ignore[arg-type]


def test_other_parameters_class_or_version_are_a_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = make("ADWIN")
    data = detector.snapshot()
    for other in (
        DetectorSettings("ADWIN", raw=True, parameters={"delta": 0.1}),
        DetectorSettings("ADWIN", "score", raw=True),
        DetectorSettings("KSWIN", raw=True),
    ):
        with pytest.raises(StateMismatch):
            Detector.restore(data, other, 7)
    monkeypatch.setattr("stream.detectors.river_version", "0.27.0")
    with pytest.raises(StateMismatch, match=r"version is '0\.26\.1', here it is '0\.27\.0'"):
        Detector.restore(data, detector.settings, 7)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_bytes_are_corrupt_and_nothing_else(name: str) -> None:
    detector = make(name)
    fired(detector, lively(name, 300, 1))
    data = detector.snapshot()
    rng = random.Random(1)
    for _ in range(60):
        at = rng.randrange(len(data))
        for bad in (data[:at], data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], data + b"x"):
            with pytest.raises(Corrupt):
                Detector.restore(bad, detector.settings, 7)
