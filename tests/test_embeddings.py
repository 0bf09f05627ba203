"""Embeddings from end to end: a Parquet file with a list column, played against another."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agents import commands
from stream.events import rfc3339

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000  # 2024-01-01
SIZE, PER_DAY, MOVED = 8, 120, 6  # the day from which the world is another one
OPTIONS = ["--id", "id", "--time", "t", "--prediction", "p", "--window", "1d", "--pane", "1d"]


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


def test_a_number_of_an_embedding_that_moves_is_named(
    tmp_path: Path, reference: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.random.default_rng(2).normal(size=(10 * PER_DAY, SIZE))
    values[MOVED * PER_DAY :, 5] += 1.0
    live = file(tmp_path / "rows.parquet", values, START_MS)
    report = tmp_path / "report.html"
    out = played(live, reference, capsys, "--format", "json", "--report", str(report))
    found = [json.loads(line) for line in out.splitlines()]
    firing = [e for e in found if e["type"] == "driftline.alert.v1" and e["state"] == "firing"]
    assert [(e["parts"][0]["cause"], e["time"][:10]) for e in firing] == [
        ("input:embedding", "2024-01-08")
    ]
    assert (
        f"embedding: 1 of {SIZE} numbers moved, most embedding[5]: median "
        in (firing[0]["summary"])
    )
    checked = {r["subject"] for e in found for r in e.get("readings", ()) if r["role"] == "input"}
    assert checked == {"embedding", "x"}
    assert "drawn: embedding[5]" in report.read_text(encoding="utf-8")


def test_an_embedding_can_be_left_out(
    tmp_path: Path, reference: str, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.random.default_rng(2).normal(3, size=(2 * PER_DAY, SIZE))
    live = file(tmp_path / "rows.parquet", values, START_MS)
    out = played(live, reference, capsys, "--format", "json", "--ignore", "embedding,id")
    found = [json.loads(line) for line in out.splitlines()]
    assert "embedding" not in {r["subject"] for e in found for r in e.get("readings", ())}
