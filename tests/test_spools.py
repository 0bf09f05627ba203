"""Spools: a column at a time gives the reference of the whole table, in the memory of a column."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from agents import registration, spools, tables
from agents.roles import Roles
from agents.tables import BadTable, Table

ROWS = 150_000  # more than a block of any reader
ROLES = Roles("answer", "score", label="label")
READ = """
import re, sys
from pathlib import Path
from agents import registration, spools
from agents.roles import Roles
with spools.opened(Path(sys.argv[1])) as table:
    found, _ = registration.build(table, "m", "1", Roles())
assert found.rows == int(sys.argv[2])
print(int(re.search("VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024)
"""


def rows() -> pa.Table:
    random = np.random.default_rng(1)
    label = (random.random(ROWS) < 0.3).astype(np.int64)
    return pa.table(
        {
            "age": pa.array([None, *random.normal(40, 10, ROWS - 1).round(3)]),
            "wide": random.lognormal(0, 3, ROWS),
            "kinds": random.integers(0, 6, ROWS),
            "region": [None if i % 50 == 0 else f"r{i % 700}" for i in range(ROWS)],
            "new": pa.array([None, *[bool(i % 3) for i in range(ROWS - 1)]]),
            "score": np.where(label == 1, 0.8, 0.1),
            "answer": np.where(np.arange(ROWS) % 10 == 0, 1, label),
            "label": label,
        }
    )


def write(kind: str, path: Path) -> None:
    data = rows()
    if kind == "parquet":
        pq.write_table(data, path, row_group_size=40_000)
    elif kind == "json":
        path.write_text("".join(json.dumps(row) + "\n" for row in data.slice(0, 500).to_pylist()))
    else:
        pyarrow.csv.write_csv(data, path)
    if kind == "packed":
        path.write_bytes(gzip.compress(path.read_bytes(), 1))


@pytest.mark.parametrize("kind", ["csv", "parquet", "packed", "json"])
def test_the_same_reference_as_of_the_whole_table(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "rows"
    write(kind, path)
    whole, notes = registration.build(tables.read(path), "m", "1", ROLES)
    with spools.opened(path) as table:
        found, said = registration.build(table, "m", "1", ROLES)
    assert found.document() == whole.document()
    assert found.id == whole.id
    assert said == notes
    assert found.rows in (500, ROWS)


def test_packed_parquet(tmp_path: Path) -> None:
    write("parquet", tmp_path / "rows")
    path = tmp_path / "rows.gz"
    path.write_bytes(gzip.compress((tmp_path / "rows").read_bytes(), 1))
    with spools.opened(path) as table:
        assert table.rows == ROWS
        assert table.columns["region"].names()[:3] == [None, "r1", "r2"]


def test_a_type_that_is_seen_late(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 1_200_000 + "0.5,word\n")
    with spools.opened(path) as table:
        assert table.columns["a"].numbers[[0, -1]].tolist() == [1.0, 0.5]
        assert table.columns["b"].words == ("2", "word")


def test_what_is_no_table_is_said_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for data, said in ((b"", "is empty"), (b"a,b\n", "has no rows"), (b"PAR1 torn", "t.csv")):
        path.write_bytes(data)
        with pytest.raises(BadTable, match=said), spools.opened(path):
            pass


def test_limits_of_rows_and_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,x\n" + "".join(f"n{i},{i}\n" for i in range(100)))
    monkeypatch.setattr(spools, "MAX_WORDS", 99)
    with spools.opened(path) as table:
        with pytest.raises(BadTable, match="--ignore id"):
            _ = table.columns["id"]
        assert len(table.columns["x"]) == 100
    monkeypatch.setattr(spools, "TOO_LONG", "too long")
    monkeypatch.setattr(spools, "MAX_ROWS", 99)
    with pytest.raises(BadTable, match=r"t\.csv: too long"), spools.opened(path):
        pass


def test_columns_that_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [1.5, 2.5], "x.y": [3.0, 4.0], "v": [[[1]], [[2]]]}), path)
    with spools.opened(path) as table:
        assert isinstance(table, Table)
        assert list(table.columns) == ["x", "x.y"]
        assert table.columns["x"].numbers.tolist() == [1.5, 2.5]
        assert list(table.skipped) == ["v"]
        with pytest.raises(KeyError):
            table.columns["v"]


def test_memory_does_not_grow_with_columns_of_parquet(tmp_path: Path) -> None:
    """Forty columns of 250,000 rows, 80 MB as numbers, beside two of them."""
    n = 250_000
    values = np.random.default_rng(1).normal(size=n).round(3)
    peaks = []
    for count in (2, 40):
        data = pa.table({f"f{i}": values for i in range(count)})
        path = tmp_path / f"{count}.parquet"
        pq.write_table(data, path)
        command = [sys.executable, "-c", READ, str(path), str(n)]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True).stdout))
    assert peaks[1] - peaks[0] < 40e6, peaks
