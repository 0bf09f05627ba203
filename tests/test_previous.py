"""The window before as the reference: what it sees, what it waits for, what it does not promise."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from stream.calibrations import UNCALIBRATED, Calibration, Law, WindowLaw
from stream.events import Prediction
from stream.explanations import explain
from stream.monitor import Memory
from stream.pipeline import Pipeline
from stream.references import Reference
from stream.settings import DAY_S, ModelSettings
from tests import tales
from tests.tales import DAY_MS, SETTINGS, START_MS

ROWS, DAYS = 60, 10
PREVIOUS = dataclasses.replace(
    SETTINGS, reference="previous-window", windows_s=(DAY_S, 2 * DAY_S), detectors=()
)
VALUES = np.random.default_rng(3).normal(size=(DAYS, ROWS)) + 3.0 * (np.arange(DAYS) >= 5)[:, None]
Row = tuple[int, int, Prediction]


def rows(days: Sequence[int] = range(DAYS)) -> list[Row]:
    found: list[Row] = []
    for day in days:
        for i, x in enumerate(VALUES[day].tolist()):
            t = START_MS + day * DAY_MS + i * DAY_MS // ROWS
            features = {"x": x, "y": 1.0, "c": "ab"[i % 2]}
            found.append((len(found), t, Prediction(f"{day}-{i}", "m", "1", t, features, "1")))
    return found


def play(
    wish: ModelSettings = PREVIOUS,
    told: list[Row] | None = None,
    partitions: int = 1,
    chunk: int = 10_000,
) -> Pipeline:
    pipeline = Pipeline(lambda _: wish, partitions)
    for part in tales.tale().reference.to_parts(600_000, time=START_MS, active_from=0):
        pipeline.control(part)
    told = rows() if told is None else told
    for at in range(0, len(told), chunk):
        some = told[at : at + chunk]
        pipeline.rows("predictions", 0, some, some[-1][1])
        pipeline.checkpoint()
        if chunk < len(told):
            pipeline.restart()
    pipeline.control({"type": "watermark", "model": "m", "time": START_MS + DAYS * DAY_MS})
    pipeline.checkpoint()
    return pipeline


@functools.cache
def played() -> Pipeline:
    return play()


def evaluations(pipeline: Pipeline, panes: int = 1) -> dict[int, dict[str, Any]]:
    """Of inputs, by the day of the window's last pane."""
    found = [e for e in tales.events(pipeline, "evaluations") if e["subject"] == "inputs"]
    starts = {e["window"]["end"]: e for e in found if e["window"]["panes"] == panes}
    day = np.timedelta64(1, "D")
    first = np.datetime64(START_MS, "ms")
    return {
        int((np.datetime64(end.removesuffix("Z"), "ms") - first) / day) - 1: e
        for end, e in starts.items()
    }


def reading(event: dict[str, Any], check: str = "ks") -> dict[str, Any]:
    (found,) = [r for r in event["readings"] if (r["subject"], r["check"]) == ("x", check)]
    return dict(found)


def test_only_the_window_after_a_change_differs_from_the_one_before() -> None:
    found = evaluations(played())
    moved = [d for d, e in found.items() if e["readings"] and reading(e)["verdict"] == "moved"]
    assert moved == [5]
    assert " since the window before, largest gap" in reading(found[5])["reason"]
    two = evaluations(played(), panes=2)
    assert [d for d, e in two.items() if e["readings"] and reading(e)["verdict"] == "moved"] == [
        *(5, 6, 7)
    ]


def test_both_windows_are_compared_to_one_bin_of_the_reference() -> None:
    for day, event in evaluations(played()).items():
        if day == 0:
            continue
        plain = stats.ks_2samp(VALUES[day - 1], VALUES[day])
        one = reading(event)
        assert (one["n"], one["n_reference"]) == (ROWS, ROWS)
        resolution = one["details"]["resolution"]
        if VALUES[day].max() < tales.tale().reference.features["x"].edges[-1]:
            assert one["statistic"] <= plain.statistic + 1e-12 <= one["statistic"] + 2 * resolution


@pytest.mark.parametrize(("panes", "first"), [(1, 1), (2, 3)])
def test_before_there_is_a_whole_window_before_it_there_is_not_enough(
    panes: int, first: int
) -> None:
    for day, event in evaluations(played(), panes).items():
        early = day < first
        assert (event["readings"] == []) == early
        assert (
            any(n.startswith("not enough data yet: the window be") for n in event["notes"]) == early
        )
        assert (event["verdict"]["kind"] == "unknown") == early
        assert any(n.startswith("compared with the window before") for n in event["notes"]) != early


def test_a_window_before_it_with_few_rows_is_not_enough() -> None:
    pipeline = play(told=[*rows(range(3)), *rows((3,))[:10], *rows(range(4, DAYS))])
    (note,) = evaluations(pipeline)[4]["notes"]
    assert note == "not enough data yet: 10 rows in the window before, 30 are needed"


@pytest.mark.parametrize(("partitions", "chunk"), [(2, 10_000), (1, 50), (3, 77)])
def test_the_same_for_any_partitions_chunks_and_restarts(partitions: int, chunk: int) -> None:
    assert tales.published(play(PREVIOUS, None, partitions, chunk)) == tales.published(played())


def memory(pipeline: Pipeline) -> Memory:
    (monitor,) = pipeline.watch.monitors.values()
    return monitor.memory


def test_panes_are_kept_for_two_windows_and_no_longer() -> None:
    fixed = dataclasses.replace(PREVIOUS, reference="fixed")
    for wish, days in ((PREVIOUS, 4), (fixed, 2)):
        kept = memory(play(wish)).windows["inputs"].panes
        assert min(kept) == START_MS + (DAYS - days) * DAY_MS
    with pytest.raises(ValueError, match="enough for the longest window and the one before"):
        dataclasses.replace(PREVIOUS, panes_kept=3)
    least = dataclasses.replace(PREVIOUS, panes_kept=4)
    found, plain = evaluations(play(least, chunk=ROWS), 2), evaluations(played(), 2)
    assert [reading(found[day]) for day in range(3, DAYS)] == [
        reading(plain[day]) for day in range(3, DAYS)
    ]


def test_hours_and_the_window_before_are_not_both_compared() -> None:
    with pytest.raises(
        ValueError, match=r"reference = .*: must be fixed where seasonality = hour-"
    ):
        ModelSettings(reference="previous-window", seasonality="hour-of-day")


def calibrated() -> Reference:
    laws = (Law(1, 0.0, 2.0),)
    known = Calibration(
        seed=0,
        pane_s=DAY_S,
        panes=90,
        days=90,
        rows_a_pane=60.0,
        order="panes",
        windows=(WindowLaw(DAY_S, laws), WindowLaw(2 * DAY_S, laws)),
        features={"x": (1.0, 1.0)},
    )
    return dataclasses.replace(tales.tale().reference, calibration=known)


def test_it_is_not_calibrated_and_says_so() -> None:
    found = explain("m", "1", calibrated(), PREVIOUS)
    assert (found.promised, found.promises) == (
        False,
        ["uncalibrated: windows are compared with the one before, not with the reference"],
    )
    assert found.compared_with.startswith("inputs and outputs: the window before")
    assert {w.by_chance_a_month for w in found.windows} == {None}
    assert UNCALIBRATED in evaluations(played())[5]["notes"]


# what a reference is, is said by control events alone


def test_no_row_changes_a_reference() -> None:
    known = tales.tale().reference
    for wish in (PREVIOUS, dataclasses.replace(PREVIOUS, reference="fixed")):
        pipeline = play(wish)
        assert {r.id: r.to_bytes() for r in pipeline.references.values()} == {
            known.id: known.to_bytes()
        }
        assert [ref for _, ref in memory(pipeline).active] == [known.id]
        told = tales.events(pipeline, "evaluations")
        assert {e["reference_id"] for e in told if e["readings"] and e["subject"] == "inputs"} == {
            known.id
        }
        assert not [m for m in pipeline.published if m.topic == "control"]


def test_first_rows_become_one_by_a_control_event_once() -> None:
    fixed = dataclasses.replace(PREVIOUS, reference="fixed", windows_s=(DAY_S,))
    pipeline = Pipeline(lambda _: fixed)
    for at, row in enumerate(told := rows()):
        if row[1] % DAY_MS == 0:
            pipeline.rows("predictions", 0, told[at : at + ROWS], row[1] + DAY_MS - 1)
            pipeline.checkpoint()
    said = [m for m in pipeline.published if m.topic == "control"]
    assert len(said) == 1
    (own,) = pipeline.references.values()
    assert own.rows == 2 * ROWS
    assert [ref for _, ref in memory(pipeline).active] == [own.id]
