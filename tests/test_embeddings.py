"""Embeddings from end to end: a Parquet file with a list column, played against another."""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import commands
from stream.checks import check_share
from stream.chronicles import calibrated
from stream.columns import Column
from stream.events import Prediction, Reading, rfc3339
from stream.events.inputs import FeatureValue
from stream.explanations import explain
from stream.judgements import wholes
from stream.references import Reference
from stream.settings import DAY_S, ModelSettings
from stream.shares import Share
from stream.vectors import element
from tests import tales
from tests.tales import Published, Tale, Way

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000  # 2024-01-01
SIZE, PER_DAY, MOVED = 8, 120, 6  # the day from which the world is another one
OPTIONS = ["--id", "id", "--time", "t", "--prediction", "p", "--window", "1d", "--pane", "1d"]
JSON = ("--format", "json")


def file(path: Path, values: np.ndarray, start_ms: int) -> Path:
    """Rows with an embedding each, PER_DAY a day."""
    times = [rfc3339(start_ms + i * DAY_MS // PER_DAY) for i in range(len(values))]
    kind = pa.list_(pa.float32(), SIZE)
    columns = {
        "id": pa.array([f"{start_ms}-{i}" for i in range(len(values))]),
        "t": pa.array(times),
        "embedding": pa.array(values.astype(np.float32).tolist(), kind),
        "x": np.random.default_rng(3).normal(size=len(values)),
        "p": pa.array(["yes" if x > 0 else "no" for x in values[:, 0]]),
    }
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def reference(tmp_path: Path) -> str:
    known = np.random.default_rng(1).normal(size=(20 * PER_DAY, SIZE))
    return str(file(tmp_path / "reference.parquet", known, START_MS - 20 * DAY_MS))


def played(live: Path, reference: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    command = ["backtest", str(live), "--reference", reference, *OPTIONS, *words]
    assert commands.run(command) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def alerted(out: str) -> tuple[list[Any], Any]:
    """All events, and the one alert of the embedding when it moved."""
    found = [json.loads(line) for line in out.splitlines()]
    firing = [e for e in found if e["type"] == "driftline.alert.v1" and e["state"] == "firing"]
    assert [(e["parts"][0]["cause"], e["time"][:10]) for e in firing] == [
        ("input:embedding", "2024-01-08")
    ]
    return found, firing[0]


def test_a_number_of_an_embedding_that_moves_is_named(
    tmp_path: Path, reference: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.random.default_rng(2).normal(size=(10 * PER_DAY, SIZE))
    values[MOVED * PER_DAY :, 5] += 1.0
    live = file(tmp_path / "rows.parquet", values, START_MS)
    report = tmp_path / "report.html"
    found, alert = alerted(played(live, reference, capsys, *JSON, "--report", str(report)))
    assert f"embedding: 1 of {SIZE} numbers moved, most embedding[5]: median " in alert["summary"]
    checked = {r["subject"] for e in found for r in e.get("readings", ()) if r["role"] == "input"}
    assert checked == {"embedding", "x"}
    assert "drawn: embedding[5]" in report.read_text(encoding="utf-8")


def test_an_embedding_can_be_left_out(
    tmp_path: Path, reference: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.random.default_rng(2).normal(3, size=(2 * PER_DAY, SIZE))
    live = file(tmp_path / "rows.parquet", values, START_MS)
    out = played(live, reference, capsys, *JSON, "--ignore", "embedding,id")
    found = [json.loads(line) for line in out.splitlines()]
    assert "embedding" not in {r["subject"] for e in found for r in e.get("readings", ())}


# what is between the numbers


def tied(seed: int, rows: int, rho: float = 0.95) -> np.ndarray:
    """Numbers of which the first two go together, each of them as if it were alone."""
    values = np.random.default_rng(seed).normal(size=(rows, SIZE))
    values[:, 1] = rho * values[:, 0] + np.sqrt(1 - rho**2) * values[:, 1]
    return values


def turned(values: np.ndarray) -> np.ndarray:
    """Every number as before, and the first two tied the other way round."""
    found = values.copy()
    found[:, 1] *= -1
    return found


def columns(values: np.ndarray) -> dict[str, Column]:
    return {element("v", i): Column(values[:, i].copy()) for i in range(values.shape[1])}


def readings(known: Reference, share: Share, of: ModelSettings) -> dict[str, Reading]:
    found = check_share(known, share, 0.001, of, window_s=DAY_S)
    return {r.check: r for r in found if r.role == "input"}


def share_of(known: Reference, values: np.ndarray) -> Share:
    found = Share(known)
    found.update(columns(values), None, None, np.arange(len(values)))
    return found


def test_what_changes_between_the_numbers_alone_is_found_by_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start_ms = START_MS - 20 * DAY_MS
    known = str(file(tmp_path / "reference.parquet", tied(1, 20 * PER_DAY), start_ms))
    values = tied(2, 10 * PER_DAY)
    values[MOVED * PER_DAY :] = turned(values[MOVED * PER_DAY :])
    live = file(tmp_path / "rows.parquet", values, START_MS)
    report = tmp_path / "report.html"
    found, alert = alerted(played(live, known, capsys, *JSON, "--report", str(report)))
    told = alert["summary"]
    assert f"embedding as a whole ({SIZE} numbers) changed as much as a shift by 1." in told
    assert f"none of its {SIZE} numbers moved by itself" in told
    moved = {r["check"] for e in found for r in e.get("readings", ()) if r["verdict"] == "moved"}
    assert moved == {"mmd"}
    assert "drawn: embedding[" in report.read_text(encoding="utf-8")


def test_few_rows_that_show_nothing_are_no_good_news() -> None:
    known = Reference.build("m", "1", columns(tied(1, 3_000)))
    few = readings(known, share_of(known, tied(2, 200)), ModelSettings())["mmd"]
    assert few.verdict == "not-enough-data"
    needed = int(str(few.details["rows_needed"]))
    assert 1_000 < needed <= 3_000
    assert "200 rows, to see a change of 0.1 reference standard deviations takes" in few.reason
    fewer = readings(known, share_of(known, tied(2, 90)), ModelSettings())["mmd"]
    assert fewer.reason == f"v as a whole ({SIZE} numbers): 90 rows, 100 are needed"
    assert readings(known, share_of(known, tied(2, 200)), ModelSettings(power=0))[
        "mmd"
    ].verdict in (
        "ok",
        "insignificant",
    )


def test_the_rows_that_are_needed_find_a_shift_of_the_floor_as_often_as_power_says() -> None:
    random = np.random.default_rng(5)
    known = Reference.build("m", "1", columns(random.normal(size=(40_000, SIZE))))
    bare = ModelSettings(effect_floor_sd=0.3, windows_s=(DAY_S,))
    line = np.array([0.3, *[0.0] * (SIZE - 1)])
    few = readings(known, share_of(known, random.normal(size=(100, SIZE))), bare)["mmd"]
    rows, seen = int(str(few.details["rows_needed"])), 0
    for _ in range(40):
        share = share_of(known, random.normal(size=(rows, SIZE)) + line)
        reading = readings(known, share, bare)["mmd"]
        seen += (reading.p_value or 1.0) <= (reading.level or 0.0)
    assert 24 <= seen <= 40  # 32 expected


# exact, however it is played


def story() -> Tale:
    """Three days of whole, short and null embeddings; on the last day they are turned."""
    rows = 150
    values = tied(3, 3 * rows)
    values[2 * rows :] = turned(values[2 * rows :])
    predictions = []
    for i, row in enumerate(values.tolist()):
        given: list[float] | None = row if i % 10 else row[:3] if i % 20 else None
        features: dict[str, FeatureValue] = {"v": given, "x": row[0] * row[1]}
        time_ms = tales.START_MS + i * DAY_MS // rows
        predictions.append(Prediction(f"p{i}", "m", "1", time_ms, features))
    known = columns(tied(1, 600))
    known["x"] = Column(known["v[0]"].numbers * known["v[1]"].numbers)
    ordered = sorted([*predictions[:50], *predictions], key=lambda e: e.time)
    reference = Reference.build("m", "1", known)
    return Tale(reference, ordered, tales.START_MS + 3 * DAY_MS)


CALM = dataclasses.replace(tales.SETTINGS, detectors=())
WAYS = st.builds(
    Way, st.integers(1, 3), st.integers(1, 3), st.sampled_from([7, 60, 500]), st.integers(0, 9)
)


@functools.cache
def expected() -> Published:
    pipeline = tales.play(story(), CALM, Way())
    evaluations = tales.events(pipeline, "evaluations")
    whole = [r for e in evaluations for r in e["readings"] if r["check"] == "mmd"]
    assert {r["verdict"] for r in whole} >= {"moved", "not-enough-data"}
    assert max(r["n"] for r in whole) == 405  # of three days, but for those that lack a number
    assert "input:v@1d" in tales.named(tales.events(pipeline, "alerts"))
    return tales.without_offsets(tales.published(pipeline))


@settings(max_examples=4, deadline=None)
@given(WAYS, st.booleans())
def test_the_same_rows_give_the_same_bytes_however_they_come(way: Way, restart: bool) -> None:
    found = tales.play(story(), CALM, dataclasses.replace(way, restart=restart))
    assert tales.without_offsets(tales.published(found)) == expected()


def test_a_models_own_first_rows_make_a_whole_too() -> None:
    pipeline = tales.play(story(), CALM, Way(2, 1, 50), known=False)
    (known,) = pipeline.references.values()
    assert known.wholes["v"].counts.sum() > 0
    checks = {r["check"] for e in tales.events(pipeline, "evaluations") for r in e["readings"]}
    assert "mmd" in checks


def test_a_window_is_compared_with_the_one_before_as_a_whole_too() -> None:
    """On the third day against the second; that they are as ever since would be no change."""
    before = dataclasses.replace(CALM, reference="previous-window", windows_s=(DAY_S,))
    pipeline = tales.play(story(), before, Way())
    found = [
        (e["time"][:10], r["verdict"], r["n"], r["n_reference"], r["reason"])
        for e in tales.events(pipeline, "evaluations")
        for r in e["readings"]
        if r["check"] == "mmd"
    ]
    assert [one[1:4] for one in found] == [("ok", 135, 135), ("moved", 135, 135)]
    assert "changed since the window before as much as" in found[-1][-1]


# where it is not looked at, and why


def test_it_can_be_turned_off_and_is_left_out_where_it_says_nothing() -> None:
    known = story().reference
    assert wholes(known, CALM) == ["v"]
    assert explain("m", "1", known, CALM).watched["mmd"] == ["v"]
    assert wholes(known, dataclasses.replace(CALM, ignore=("v[1]",))) == []
    off = dataclasses.replace(CALM, whole_vectors=False)
    assert wholes(known, off) == []
    assert not any("whole" in text for text in explain("m", "1", known, off).lacks)
    older = dataclasses.replace(known, wholes={})
    assert any(
        "v: not compared as a whole" in text for text in explain("m", "1", older, CALM).lacks
    )
    hourly = ModelSettings(seasonality="hour-of-day")
    assert wholes(known, hourly) == []
    assert any("by seasonality" in text for text in explain("m", "1", known, hourly).lacks)


# rows that resemble each other


def test_the_references_own_windows_say_how_much_chance_does() -> None:
    """Rows of a pane share a level: a window is worth fewer rows, and moves less often."""
    panes, rows = 30 * 24, 20

    def world(seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        level = np.repeat(random.normal(size=(panes, SIZE)) * 0.45, rows, axis=0)
        return level + random.normal(size=(panes * rows, SIZE))

    plain = ModelSettings(expects_truth=False)
    values = world(1)
    times = tales.START_MS + np.arange(panes * rows) * (3_600_000 // rows)
    known = Reference.build("m", "1", columns(values))
    made = calibrated(known, columns(values), {}, times, plain)
    assert Reference.from_bytes(made.to_bytes()).id == made.id
    found = made.calibration
    assert found is not None
    assert [len(found.wholes["v"]), len(found.wholes["v"][0])] == [len(found.windows), 4]
    live = world(2).reshape(30, 24 * rows, SIZE)
    told = [readings(made, share_of(made, day), plain)["mmd"] for day in live]
    naive = [readings(known, share_of(known, day), plain)["mmd"] for day in live]
    assert sum((r.p_value or 1) < 0.001 for r in naive) > 10
    assert {r.verdict for r in told} <= {"ok", "not-enough-data", "insignificant"}
    assert all(2 < float(str(r.details["variance_inflation"])) < 7 for r in told)
    shifted = share_of(made, live[0] + 0.6)
    assert readings(made, shifted, plain)["mmd"].verdict == "moved"
