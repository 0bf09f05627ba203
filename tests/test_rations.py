"""A hot model's detectors get a sample, and always the same one."""

import dataclasses
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.detectors import DETECTORS, Detector
from stream.events import Prediction
from stream.rations import Ration, shared
from stream.settings import DetectorSettings
from stream.signals import Series
from stream.thinning import taken
from stream.tracks import Track, Watched
from tests import tales
from tests.tales import SETTINGS, START_MS, Tale, Way

RAW = DetectorSettings("ADWIN", "x", raw=True)
DEAR = dataclasses.replace(RAW, cost_us=0.3)  # three values of ten
Row = tuple[int, int, float]
ROWS = st.lists(
    st.tuples(st.integers(0, 5_999), st.integers(0, 2**64 - 1), st.floats(-9, 9)),
    min_size=1,
    max_size=150,
    unique_by=lambda row: row[1],
)


def series(rows: list[Row]) -> Series:
    times, ids, values = zip(*rows, strict=True)
    return Series(np.array(times), np.array(ids, dtype=np.uint64), np.array(values))


def track_of(per_s: int, of: DetectorSettings = RAW) -> Track:
    return Track([Watched.of(of, "detector:ADWIN:x", 1, "auto", per_s)])


def sample(rows: list[Row], per_s: int, share: float = 1.0) -> tuple[list[Row], int]:
    """What is to be taken, said plainly; and how many a hot second leaves out."""
    rows = [row for row in rows if row[1] // 2**16 % 2**32 < int(share * 2**32)]
    seconds = [sorted(r for r in rows if r[0] // 1_000 == s) for s in range(7)]
    found: list[Row] = []
    for before, own in zip([[], *seconds], seconds, strict=False):
        hot = len(before) > per_s
        lowest = sorted(own, key=lambda row: row[1])[:per_s]
        found += sorted(lowest) if hot else own
    return found, len(rows) - len(found)


@settings(max_examples=60, deadline=None)
@given(
    ROWS,
    st.lists(st.integers(1, 6_500), max_size=8),
    st.integers(1, 12),
    st.randoms(),
    st.sampled_from((RAW, DEAR)),
)
def test_the_sample_is_the_same_whatever_the_arrival(rows, cuts, per_s, chance, of) -> None:  # type: ignore[no-untyped-def]
    track, left = track_of(per_s, of), list(rows)
    chance.shuffle(left)
    for number, until_ms in enumerate([*sorted(cuts), 7_000]):
        now = [row for row in left if row[0] < until_ms or chance.random() < 0.3]
        left = [row for row in left if row not in now]
        for i, row in enumerate(now):
            track.hold(i % 3, number * 1_000 + i, {"x": series([row])})
        list(track.feed(until_ms, []))
        track.release()
        track = again(track, per_s, of)
    plain = Watched.of(of, "", 1, "auto")
    expected, left_out = sample(rows, per_s, plain.detector.share)
    list(plain.update(series(expected)) if expected else ())
    (watched,) = track.watched
    assert watched.detector.snapshot() == plain.detector.snapshot()
    assert (watched.ration.left_out, track.late) == (left_out, 0)


def again(track: Track, per_s: int, of: DetectorSettings) -> Track:
    """The track after a restart."""
    new = track_of(per_s, of)
    new.fed_ms = track.fed_ms
    new.watched[0].restore(track.watched[0].detector.snapshot())
    new.watched[0].ration.load(track.watched[0].ration.dump())
    for at, held in track.held.items():
        new.hold(*at, held, again=True)
    return new


def test_what_has_one_time_is_taken_whole() -> None:
    ration = Ration(10)
    run = series([(5_000, i, 0.0) for i in range(100)])
    assert len(ration.take(run)) == 100
    assert (ration.left_out, ration.limit_ms(run, 6_500)) == (0, 6_000)


def test_what_costs_a_detector_more_is_taken_more_rarely() -> None:
    kswin = Watched.of(DetectorSettings("KSWIN", "x"), "", 1, "auto", 10_000)
    assert kswin.ration.per_s == DETECTORS["KSWIN"].most_per_s == 1_000
    assert Watched.of(RAW, "", 1, "auto", 10_000).ration.per_s == 10_000


def test_what_costs_a_detector_too_much_is_a_share_of_all_values() -> None:
    kswin = DetectorSettings("KSWIN", "x")
    shares = [
        Detector(dataclasses.replace(kswin, **more)).share
        for more in ({}, {"cost_us": 50.0}, {"raw": True}, {"raw": True, "cost_us": 25.0})
    ]
    assert shares == [1 / 25, 1 / 5, 1.0, 1 / 10]
    large = Detector(dataclasses.replace(kswin, parameters={"stat_size": 40}))
    assert large.share * large.cost_us == 10.0
    assert large.cost_us > Detector(kswin).cost_us


@pytest.mark.parametrize("cost_us", [0.0, -1.0, math.nan, math.inf])
def test_what_a_value_may_cost_is_more_than_nothing(cost_us: float) -> None:
    with pytest.raises(ValueError, match="must be more than 0"):
        Detector(DetectorSettings("ADWIN", "x", cost_us=cost_us))


def test_the_share_is_one_of_any_other_sample_too() -> None:
    """Neither joining a sample of predictions nor a hot second takes the share away, or adds."""
    ids = np.random.default_rng(6).integers(0, 2**64, 400_000, dtype=np.uint64)
    thinned = ids[taken(ids, np.full(len(ids), 3))]
    lowest = np.sort(ids)[:50_000]
    for some in (ids, thinned, lowest):
        run = Series(np.zeros(len(some), np.int64), some, np.zeros(len(some)))
        assert len(shared(run, 0.04)) / len(some) == pytest.approx(0.04, rel=0.1)


def test_a_sample_by_cost_is_the_same_for_any_workers_and_restarts_and_says_so() -> None:
    dear = DetectorSettings("KSWIN", "x", parameters={"alpha": 0.0001}, cost_us=50.0)
    settings_of = dataclasses.replace(SETTINGS, detectors=(dear,))
    pipelines = [
        tales.play(hot_tale(), settings_of, way)
        for way in (Way(1, 1, 6_000), Way(3, 2, 700, 5, True))
    ]
    one, other = map(tales.published, pipelines)
    assert one == other
    told = [e for e in tales.events(pipelines[0], "evaluations") if e["subject"] == "detectors"]
    assert told[0]["readings"][0]["details"]["share_taken"] == 0.2
    assert told[0]["readings"][0]["n"] < 1_500
    assert told[0]["notes"][-1] == (
        "a sample of the values: one in 5, by the hashes of ids, for KSWIN takes 250 microseconds "
        "a value and 50 are allowed in the mean (`cost_us`)"
    )


def hot_tale() -> Tale:
    """Five values a second for twenty minutes; after half of it they are others."""
    chance = random.Random(3)
    events = [
        Prediction(f"p{i}", "m", "1", START_MS + i * 200, {"x": chance.gauss(4.0 * (i > 3_000))})
        for i in range(6_000)
    ]
    return dataclasses.replace(tales.tale(days=1), events=events, end_ms=START_MS + tales.DAY_MS)


def test_the_readings_say_that_it_is_a_sample() -> None:
    hot = dataclasses.replace(SETTINGS, detectors=(RAW,), max_signals_per_s=2)
    pipelines = [
        tales.play(hot_tale(), hot, way) for way in (Way(1, 1, 6_000), Way(3, 2, 700, 5, True))
    ]
    one, other = map(tales.published, pipelines)
    assert one == other
    told = [e for e in tales.events(pipelines[0], "evaluations") if e["subject"] == "detectors"]
    first = told[0]
    left_out = first["readings"][0]["details"]["left_out"]
    assert left_out > 1_000
    assert first["notes"] == [
        f"a sample of the values: {left_out:,} were left out so far, as of a second that follows "
        "one of more than 2 no more than 2 are taken"
    ]
