"""Reaches: windows of few rows look back further; how far depends on numbers of rows alone."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stream import judgements
from stream.calibrations import longer
from stream.checks import measure
from stream.chronicles import calibrated
from stream.columns import Column, Floats, Ints, column_of
from stream.events import Prediction
from stream.explanations import explain
from stream.measures import Comparison
from stream.monitor import Memory
from stream.pipeline import Pipeline
from stream.reaches import Need, Reach, chosen, multiples, needs_of
from stream.references import Reference
from stream.settings import DAY_S, HOUR_S, ModelSettings
from tests import tales
from tests.tales import DAY_MS, START_MS, Tale, Way

KNOWN_DAYS, KNOWN_ROWS = 120, 30
FEW = dataclasses.replace(
    tales.SETTINGS,
    windows_s=(DAY_S, 2 * DAY_S),
    effect_floor_sd=0.6,
    effect_floor_share=0.4,
    minimum_rows=10,
    detectors=(),
)
ROWS = (20, 18, 0, 25, 5, 31, 150, 12, 9, 22, 25, 15, 8, 30, 17, 40, 11, 60)
"""Of each day."""


def columns(rng: np.random.Generator, rows: int) -> dict[str, Column]:
    names = np.array(["a", "b"])[rng.integers(0, 2, rows)].tolist()
    return {"x": Column(rng.normal(size=rows)), "c": column_of(names)}


@functools.cache
def reference(*, timed: bool = True) -> Reference:
    rng = np.random.default_rng(4)
    found = columns(rng, KNOWN_DAYS * KNOWN_ROWS)
    plain = Reference.build("m", "1", found)
    times = START_MS - (1 + np.repeat(np.arange(KNOWN_DAYS), KNOWN_ROWS)) * DAY_MS
    return calibrated(plain, found, {}, times, FEW) if timed else plain


VALUES = np.random.default_rng(5).normal(size=sum(ROWS))
DAYS = np.repeat(np.arange(len(ROWS)), ROWS)


def told(rows: Sequence[int] = ROWS, shift: float = 0.0, *, timed: bool = True) -> Tale:
    """Rows of a number and a category; the number moves on the tenth day."""
    found: list[tales.Event] = []
    for day, count in enumerate(rows):
        for i in range(count):
            time_ms = START_MS + day * DAY_MS + i * DAY_MS // count
            x = float(VALUES[len(found) % len(VALUES)]) + shift * (day >= 10)
            key, c = f"p{len(found)}", "ab"[i % 2]
            found.append(Prediction(key, "m", "1", time_ms, {"x": x, "c": c}))
    return Tale(reference(timed=timed), found, START_MS + len(rows) * DAY_MS)


@functools.cache
def played(shift: float = 0.0) -> Pipeline:
    return tales.play(told(shift=shift), FEW, Way())


def evaluations(pipeline: Pipeline, panes: int = 1) -> dict[int, dict[str, Any]]:
    """By the day of the window's last pane."""
    found = [e for e in tales.events(pipeline, "evaluations") if e["window"]["panes"] == panes]
    return {day_of(e["window"]["end"]) - 1: e for e in found}


def day_of(text: str) -> int:
    at = np.datetime64(text.removesuffix("Z"), "ms")
    return int((at - np.datetime64(START_MS, "ms")) / np.timedelta64(1, "D"))


def looks_back(event: dict[str, Any]) -> int | None:
    """Seconds, None where all readings are of the window itself; the same for all of them."""
    readings = [r for r in event["readings"] if r["check"] in ("ks", "chi-square")]
    (found,) = {r["details"].get("looks_back_s") for r in readings}
    return None if found is None else int(found)


def memory(pipeline: Pipeline) -> Memory:
    (monitor,) = pipeline.watch.monitors.values()
    return monitor.memory


# what is chosen

LENGTHS = (DAY_S, 2 * DAY_S, 3 * DAY_S, 4 * DAY_S)


@given(st.lists(st.integers(0, 300), min_size=4, max_size=4), st.floats(1, 900), st.floats(0.3, 5))
def test_the_shortest_length_with_rows_enough_or_with_most(
    days: list[int], rows: float, inflation: float
) -> None:
    up_to = dict(zip(LENGTHS, itertools.accumulate(days), strict=True))
    need = (Need(rows, inflation, 3_600.0),)
    found = chosen(reference(), FEW, DAY_S, up_to.__getitem__, lambda _: need)
    enough = [length for length in LENGTHS if up_to[length] >= found.needed]
    dense = max(up_to[length] / (length / DAY_S) for length in LENGTHS) > 1.2 * KNOWN_ROWS
    if not dense:  # else rows of one pane resemble each other the more
        most = next(length for length in LENGTHS if up_to[length] == max(up_to.values()))
        assert found.window_s == (enough[0] if enough else most)
        assert found.needed >= max(FEW.minimum_rows, rows * inflation * 0.9)
    assert found.rows == days[0]
    assert found.window_s in LENGTHS
    shorter = [length for length in LENGTHS if length < found.window_s]
    assert all(up_to[length] < up_to[found.window_s] for length in shorter)


def test_what_is_needed_is_what_readings_say_is_needed() -> None:
    known = reference()
    (need, _) = needs_of(known, FEW, DAY_S)
    share_rows = 400
    live = Column(np.random.default_rng(6).normal(size=share_rows))
    f = known.features["x"]
    m = measure(Comparison(f, f.counts_of(live), FEW), "ks")
    (chance,) = judgements.chances(known, [m], FEW, DAY_S)
    assert chance is not None
    assert need.inflation == pytest.approx(known.calibration.inflation("x", "input", DAY_S))  # type: ignore[union-attr]
    events = evaluations(played())
    for event in (events[5], events[13]):
        (reading,) = [r for r in event["readings"] if r["check"] == "ks"]
        length_s = looks_back(event) or DAY_S
        (own, _) = needs_of(known, FEW, length_s)
        least = own.rows * reading["details"]["variance_inflation"]
        needed = np.ceil(least / (1 - least / f.rows))
        assert reading["details"]["rows_needed"] == max(FEW.minimum_rows, needed)


def test_it_looks_no_further_than_is_calibrated_kept_and_wanted() -> None:
    known = reference()
    assert [*multiples(known, FEW, DAY_S)] == [*LENGTHS]
    assert [*multiples(None, FEW, DAY_S)] == [DAY_S]
    assert [*multiples(reference(timed=False), FEW, DAY_S)] == [DAY_S]
    for change, most in (
        ({"reach_back": 1}, 1),
        ({"reach_back": 2}, 2),
        ({"panes_kept": 3}, 3),
        ({"reference": "previous-window"}, 1),
        ({"reach_back": 9}, 6),  # some of them are lengths that the window of two days may have
    ):
        wish = dataclasses.replace(FEW, **change)
        assert len([*multiples(known, wish, DAY_S)]) == most, change
    for wrong in (0, 32):
        with pytest.raises(ValueError, match=r"reach_back = .*: must be between 1 and 31"):
            dataclasses.replace(FEW, reach_back=wrong)


def test_there_is_room_for_some_lengths_and_the_longer_window_counts() -> None:
    week = ModelSettings(windows_s=(DAY_S, 7 * DAY_S))
    found = longer(week)
    assert found == {
        days * DAY_S: of * DAY_S for days, of in ((2, 1), (3, 1), (4, 1), (14, 7), (21, 7))
    }
    both = longer(ModelSettings(windows_s=(DAY_S, 2 * DAY_S), reach_back=6))
    assert both[6 * DAY_S] == 2 * DAY_S
    assert longer(ModelSettings(reach_back=1)) == {}


# what is evaluated


def test_few_rows_look_back_and_say_so() -> None:
    found = evaluations(played())
    for day, event in found.items():
        assert (day_of(event["window"]["start"]), event["window"]["panes"]) == (day, 1)
        back = (looks_back(event) or DAY_S) // DAY_S
        assert event["rows"] == ROWS[day]
        (read,) = {r["n"] for r in event["readings"] if r["check"] in ("ks", "chi-square")}
        assert read == sum(ROWS[max(0, day + 1 - back) : day + 1])
        said = [n for n in event["notes"] if "looks back" in n]
        assert len(said) == (back > 1)
        if said:
            assert said[0].startswith(f"1 day had {ROWS[day]} rows, ")
            assert said[0].endswith(f" are needed: looks back {back} days")
    assert {looks_back(e) for e in found.values()} == {None, *(n * DAY_S for n in (2, 3, 4))}
    assert looks_back(found[6]) is None  # a day of many rows
    assert looks_back(evaluations(played(), 2)[6]) is None


def test_a_reading_is_the_test_of_all_the_rows_it_says() -> None:
    known = columns(np.random.default_rng(4), KNOWN_DAYS * KNOWN_ROWS)["x"].numbers
    for day, event in evaluations(played()).items():
        back = (looks_back(event) or DAY_S) // DAY_S
        live = VALUES[(day - back < DAYS) & (day >= DAYS)]
        (reading,) = [r for r in event["readings"] if r["check"] == "ks"]
        assert reading["n"] == len(live)
        plain = stats.ks_2samp(known, live).statistic
        apart = plain - reading["statistic"]
        assert -1e-12 <= apart <= reading["details"]["resolution"] + 1e-12


def test_what_the_rows_say_does_not_change_how_far_it_looks() -> None:
    quiet, moved = evaluations(played()), evaluations(played(3.0))
    assert [looks_back(e) for e in quiet.values()] == [looks_back(e) for e in moved.values()]
    verdicts = [r["verdict"] for e in moved.values() for r in e["readings"] if r["check"] == "ks"]
    assert "moved" in verdicts


def test_alerts_are_of_the_window_as_configured_and_say_how_far_it_looks() -> None:
    alerts = tales.events(played(3.0), "alerts")
    assert tales.named(alerts) == {"input:x@1d", "input:x@2d"}
    assert {day_of(e["window"]["end"]) for e in alerts} == {11}
    back = [e for e in alerts if "looks_back_s" in e["reading"]["details"]]
    assert back
    for event in back:
        days = event["reading"]["details"]["looks_back_s"] // DAY_S
        length = "1 day" if event["window"]["panes"] == 1 else "2 days"
        assert event["summary"].endswith(f"(window of {length}, looks back {days} days)")


def test_ids_do_not_depend_on_how_far_it_looks() -> None:
    plain = dataclasses.replace(FEW, reach_back=1)
    near = tales.play(told(), plain, Way())
    ids = [{e["id"] for e in tales.events(p, "evaluations")} for p in (near, played())]
    assert ids[0] == ids[1]
    assert {looks_back(e) for e in evaluations(near).values()} == {None}


def test_numbers_of_rows_and_silences_are_of_the_window_as_configured() -> None:
    rows = (*[40] * 8, 3, 40)
    pipeline = tales.play(told(rows=rows), FEW, Way())
    readings = evaluations(pipeline)[8]["readings"]
    (volume,) = [r for r in readings if r["check"] == "volume"]
    assert (volume["n"], "looks_back_s" in volume["details"]) == (3, False)


@pytest.mark.parametrize(
    ("changed", "timed"), [({"reach_back": 1}, True), ({}, False), ({"power": 0.0}, True)]
)
def test_without_need_or_calibration_windows_are_as_configured(
    changed: dict[str, Any], timed: bool
) -> None:
    wish = dataclasses.replace(FEW, minimum_rows=2, **changed)
    pipeline = tales.play(told(rows=(20, 25, 30, 22), timed=timed), wish, Way())
    found = evaluations(pipeline)
    assert [e["rows"] for e in found.values()] == [20, 25, 30, 22]


# exactness


WAYS = tales.ways(7, 50, 1_000)


@settings(max_examples=6, deadline=None)
@given(WAYS)
def test_the_same_however_it_is_played(way: Way) -> None:
    found = tales.published(tales.play(told(shift=3.0), FEW, way))
    assert tales.without_offsets(found) == tales.without_offsets(tales.published(played(3.0)))


def test_late_rows_are_in_the_window_that_ends_with_their_pane() -> None:
    late = Prediction("late", "m", "1", START_MS + 4 * DAY_MS, {"x": 0.0, "c": "a"})
    pipeline = tales.play(told(), FEW, Way())
    end_ms = START_MS + len(ROWS) * DAY_MS
    pipeline.rows("predictions", 0, [(10_000, late.time, late)], end_ms)
    pipeline.control({"type": "watermark", "model": "m", "time": end_ms + DAY_MS})
    pipeline.checkpoint()
    before, again = evaluations(played()), evaluations(pipeline)
    assert again[4]["window"]["revision"] == 1
    assert again[4]["rows"] == before[4]["rows"] + 1
    assert {d: e for d, e in again.items() if d != 4} == {d: e for d, e in before.items() if d != 4}


def test_rows_enough_leave_bytes_and_memory_as_they_were() -> None:
    """But for the reference, which knows more lengths."""
    plain = dataclasses.replace(FEW, reach_back=1)
    pipelines = [tales.play(told(rows=[400] * 6), wish, Way()) for wish in (FEW, plain)]
    assert tales.published(pipelines[0]) == tales.published(pipelines[1])
    assert pipelines[0].watched.fields == pipelines[1].watched.fields
    kept = [sorted(memory(p).windows["inputs"].panes) for p in pipelines]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 2


def test_panes_are_in_memory_as_far_as_it_looked() -> None:
    pipeline = played()
    kept = memory(pipeline).windows["inputs"].panes
    last = evaluations(pipeline, 2)[len(ROWS) - 1]
    assert min(kept) <= START_MS + (len(ROWS) * DAY_S - (looks_back(last) or 0)) * 1000
    assert len(kept) <= 8


# levels

BUDGET = 30.0
HOURLY = ModelSettings(
    windows_s=(DAY_S,),
    effect_floor_sd=0.3,
    false_alarms_per_month=BUDGET,
    expects_truth=False,
    clear=2,
)
HOURS, A_DAY = 30 * 24, 150


def month(seed: int, wish: ModelSettings = HOURLY) -> tuple[int, set[int]]:
    """Alarms of a month in which nothing changes, and how far its windows looked.

    Rows by chance, and more on some days than on others.
    """
    rng = np.random.default_rng([7, seed])
    known = quiet_reference(rng, wish)
    f = known.features["x"]
    rows = rng.poisson(A_DAY / 24 * np.repeat(rng.uniform(0.5, 1.5, HOURS // 24 + 4), 24))
    up_to = np.concatenate([[0], rows.cumsum()])
    codes = f.codes(Column(rounded(rng, int(rows.sum()))))
    needs = functools.cache(lambda length_s: needs_of(known, wish, length_s))
    quiet, alarms, reached = wish.clear, 0, set()
    for end in range(96, len(rows)):
        ups = {days * DAY_S: up_to[end - days * 24] for days in range(1, 5)}
        rows_of = {length_s: int(up_to[end] - first) for length_s, first in ups.items()}
        found = chosen(known, wish, DAY_S, rows_of.__getitem__, needs)
        reached.add(found.window_s)
        counts = np.bincount(codes[ups[found.window_s] : up_to[end]], minlength=f.width)
        sure = is_sure(known, counts, wish, found.window_s)
        alarms += sure and quiet >= wish.clear
        quiet = 0 if sure else quiet + 1
    return alarms, reached


def is_sure(known: Reference, counts: Ints, wish: ModelSettings, window_s: int) -> bool:
    """What the core makes of it; where the gap is small it need not be asked."""
    f, allowed = known.features["x"], judgements.allowed_of(known, wish, window_s)
    assert allowed is not None
    assert known.calibration is not None
    n, m = int(counts.sum()), f.rows
    gap = np.abs((counts / n - f.counts / m).cumsum()).max()
    inflation = known.calibration.inflation("x", "input", window_s, n)
    if gap**2 * n * m / (n + m) < 0.9 * allowed.threshold * (inflation or 0.0):
        return False
    seen = measure(Comparison(f, counts, wish), "ks")
    (chance,) = judgements.chances(known, [seen], wish, window_s)
    return chance is not None and chance.sure  # None of fewer than `minimum_rows`


def rounded(rng: np.random.Generator, rows: int) -> Floats:
    return np.round(rng.normal(size=rows), 1)


def quiet_reference(rng: np.random.Generator, wish: ModelSettings) -> Reference:
    """Of sixty days."""
    x = {"x": Column(rounded(rng, 60 * A_DAY))}
    times = np.sort(rng.integers(0, 60 * 24, 60 * A_DAY)) * HOUR_S * 1000
    return calibrated(Reference.build("m", "1", x), x, {}, times, wish)


def test_the_level_is_kept_however_far_windows_look() -> None:
    """Thirty alarms a month are allowed, so that a few months show it."""
    months = [month(seed) for seed in range(3)]
    reached = set.union(*(lengths for _, lengths in months))
    assert len(reached) >= 3
    alarms = sum(alarms for alarms, _ in months)
    assert 0 < alarms <= 1.1 * BUDGET * len(months)


# explained


def test_it_is_explained_how_far_windows_look() -> None:
    found = explain("m", "1", reference(), FEW, 20.0)
    first, second = found.windows
    assert (first.rows, first.window_s) == (20, DAY_S)
    assert first.reach_s > DAY_S
    assert second.reach_s >= first.reach_s
    plenty = explain("m", "1", reference(), FEW, 1_000.0)
    assert [w.reach_s for w in plenty.windows] == [DAY_S, 2 * DAY_S]
    assert plenty.promised
    assert found.promises[2].startswith(f"120d of reference, windows of {first.reach_s // DAY_S}d")


def test_words() -> None:
    assert Reach(4 * DAY_S, DAY_S, 130, 400).words == (
        "1 day had 130 rows, 400 are needed: looks back 4 days"
    )
