"""Detectors are fed in order of event time, whatever the order of arrival."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.detectors import Detector
from stream.settings import DetectorSettings
from stream.signals import Series
from stream.tracks import MAX_PULSES, RESCALED, Pulse, Scales, Track, Watched, scale_of

ADWIN = DetectorSettings("ADWIN", "x", parameters={"grace_period": 0, "clock": 1, "delta": 0.9})
Row = tuple[int, int, float]


def watched(of: DetectorSettings = ADWIN) -> Watched:
    return Watched.of(of, f"detector:{of.name}:{of.signal}", 7, "auto")


def series(rows: list[Row]) -> Series:
    times, ids, values = zip(*rows, strict=True)
    return Series(
        np.array(times, dtype=np.int64),
        np.array(ids, dtype=np.uint64),
        np.array(values, dtype=np.float64),
    )


def pulses(track: Track, until_ms: int, scales: list[Scales] | None = None) -> list[Pulse]:
    return [pulse for _, pulse in track.feed(until_ms, scales or [])]


def in_order(rows: list[Row], cuts: list[int]) -> tuple[list[Pulse], bytes]:
    """What a detector sees that gets the rows one after the other."""
    detector, found = Detector(ADWIN, 7), []
    for time_ms, _, value in sorted(rows):
        if time_ms < max(cuts) and detector.update(value):
            found.append(Pulse(time_ms, detector.n - 1, value))
    return found, detector.snapshot()


ROWS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 2**64 - 1), st.sampled_from((0.0, 0.5, 9.0))),
    min_size=1,
    max_size=80,
    unique_by=lambda row: row[1],
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.lists(st.integers(1, 70), min_size=1, max_size=5), st.randoms(), st.booleans())
def test_the_order_is_time_and_id_whatever_the_arrival(rows, cuts, random, restored) -> None:  # type: ignore[no-untyped-def]
    cuts = sorted(cuts)
    order = sorted(range(len(rows)), key=lambda _: random.random())
    track, found, sequence = Track([watched()]), [], 0
    for until in cuts:
        # what is not late may come at any time before the watermark passes it
        now = [i for i in order if track.fed_ms <= rows[i][0] < until or until == cuts[-1]]
        order = [i for i in order if i not in now]
        for i in now:
            sequence += 1
            track.hold(i % 3, sequence, {"x": series([rows[i]])})
        found += pulses(track, until)
        track.release()
        if restored:
            track = again(track)
    expected, snapshot = in_order(rows, cuts)
    assert found == expected
    assert track.watched[0].detector.snapshot() == snapshot
    assert track.late == 0


def again(track: Track) -> Track:
    """The track after a restart."""
    new = Track([watched()])
    new.fed_ms = track.fed_ms
    new.watched[0].restore(track.watched[0].detector.snapshot())
    for (partition, sequence), held in track.held.items():
        new.hold(partition, sequence, held, again=True)
    return new


def test_what_comes_behind_the_watermark_is_counted_and_not_fed() -> None:
    track = Track([watched()])
    pulses(track, 10)
    track.hold(0, 1, {"x": series([(9, 1, 1.0), (10, 2, 1.0)])})
    pulses(track, 20)
    assert (track.late, track.watched[0].detector.n) == (1, 1)
    assert track.release() == [(0, 1)]
    assert track.held == {}


def test_no_more_is_held_than_there_is_room_for() -> None:
    track = Track([watched()], most=3)
    assert track.hold(0, 1, {"x": series([(1, 1, 1.0), (2, 2, 1.0)])})
    assert not track.hold(0, 2, {"x": series([(3, 3, 1.0), (4, 4, 1.0)])})
    assert track.hold(0, 3, {"x": series([(5, 5, 1.0)])})
    assert (track.rows, track.refused) == (3, 2)


def test_other_signals_are_not_held() -> None:
    assert not Track([watched()]).hold(0, 1, {"y": series([(1, 1, 1.0)])})


def test_pulses_are_forgotten_past_a_limit() -> None:
    noisy = DetectorSettings("KSWIN", "x", parameters={"alpha": 1.0}, cost_us=1e6)
    track = Track([watched(noisy)])
    rng = np.random.default_rng(1)
    track.hold(0, 1, {"x": series([(i, i, float(rng.normal())) for i in range(12_000)])})
    found = pulses(track, 20_000)
    assert len(found) > MAX_PULSES
    assert track.watched[0].pulses == found[-MAX_PULSES:]


def seen(track: Track) -> Watched:
    return track.watched[0]


def test_values_are_standardised_by_the_reference_of_their_time() -> None:
    track = Track([watched()])
    track.hold(0, 1, {"x": series([(t, t, 10.0 + t) for t in range(10)])})
    pulses(track, 6, [Scales(-5, {"x": (10.0, 2.0)}), Scales(5, {"x": (0.0, 1.0)})])
    assert (seen(track).scale, seen(track).detector.n) == ((0.0, 1.0), 1)
    assert seen(track).rebuilt == RESCALED


def test_a_detector_of_raw_values_knows_no_reference() -> None:
    track = Track([watched(dataclasses.replace(ADWIN, raw=True))])
    track.hold(0, 1, {"x": series([(t, t, 1.0) for t in range(10)])})
    pulses(track, 10, [Scales(5, {"x": (0.0, 1.0)})])
    assert (seen(track).detector.n, seen(track).rebuilt, seen(track).scale) == (10, "", None)


def test_values_past_all_numbers_are_skipped() -> None:
    track = Track([watched()])
    track.hold(0, 1, {"x": series([(1, 1, 1e308), (2, 2, -1e308)])})
    assert pulses(track, 9, [Scales(0, {"x": (0.0, 1e-9)})]) == []
    assert seen(track).detector.skipped == 2


@pytest.mark.parametrize(
    "raw", [b"", b"nonsense", Detector(DetectorSettings("PageHinkley", "x")).snapshot()]
)
def test_a_snapshot_that_does_not_fit_starts_the_detector_afresh_and_says_so(raw: bytes) -> None:
    one = watched()
    one.restore(raw)
    assert one.detector.n == 0
    assert one.rebuilt


def test_what_does_not_vary_cannot_be_standardised() -> None:
    assert scale_of(1.0, 0.0) is None
    assert scale_of(float("nan"), 1.0) is None
    assert scale_of(1.0, float("inf")) is None
    assert scale_of(1.0, 2.0) == (1.0, 2.0)
