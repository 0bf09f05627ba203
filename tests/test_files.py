"""Files of rows: kinds, packing, types that a later block widens, and values as JSON knows them."""

import datetime
import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import files, tables
from agents.files import File, time_of, word_of
from agents.tables import BadTable
from stream.events import rfc3339

ROWS = [
    {"id": 1, "age": 20.5, "city": "Ulm", "ok": True},
    {"id": 2, "age": None, "city": None, "ok": False},
    {"id": 3, "age": 22.0, "city": "Köln", "ok": True},
]


def as_csv(path: Path) -> None:
    path.write_text("id,age,city,ok\n1,20.5,Ulm,true\n2,,,false\n3,22.0,Köln,true\n")


def as_semicolons(path: Path) -> None:
    path.write_text("id;age;city;ok\n1;20.5;Ulm;true\n2;;;false\n3;22.0;Köln;true\n")


def as_json(path: Path) -> None:
    path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")


def as_parquet(path: Path) -> None:
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "csv": as_csv,
    "semicolons": as_semicolons,
    "json": as_json,
    "parquet": as_parquet,
}


def everything(file: File, times: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for rows in file.blocks(times):
        assert rows.first == len(found)
        values = zip(*rows.columns.values(), strict=True)
        found += [dict(zip(rows.columns, row, strict=True)) for row in values]
        assert rows.first + rows.count == len(found)
    return found


def packed(path: Path, how: str) -> Path:
    data = path.read_bytes()
    if how == "gzip":
        path.write_bytes(gzip.compress(data))
    elif how == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rows", data)
    return path


@pytest.mark.parametrize("how", ["plain", "gzip", "zip"])
@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_reads_the_same_however_it_is_packed(
    tmp_path: Path, kind: str, how: str
) -> None:
    path = tmp_path / "rows.of.no.known.name"
    WRITERS[kind](path)
    file = File(packed(path, how))
    assert file.names == ["id", "age", "city", "ok"]
    assert everything(file) == ROWS
    assert everything(file) == ROWS, "again and again"


def test_values_are_those_of_a_reference_from_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    as_csv(path)
    columns = tables.read(path).columns
    rows = everything(File(path))
    for name, column in columns.items():
        assert [None if row[name] is None else word_of(row[name]) for row in rows] == column.names()


def test_large_files_come_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK_ROWS", 7)
    monkeypatch.setattr(files, "BLOCK_BYTES", 64)
    for kind in ("csv", "json"):
        path = tmp_path / kind
        rows = [{"a": i, "b": f"w{i}"} for i in range(50)]
        text = "a,b\n" + "".join(f"{r['a']},{r['b']}\n" for r in rows)
        path.write_text(text if kind == "csv" else "\n".join(map(json.dumps, rows)))
        counts = [block.count for block in File(path).blocks()]
        assert sum(counts) == 50
        assert max(counts) <= 7
        assert everything(File(path)) == rows


@pytest.mark.parametrize(
    ("first", "later", "expected"),
    [
        ("7", "7.5", 7.0),
        ("7", "x", "7"),
        ("", "3", None),
        ("2024-01-01", "soon", "2024-01-01"),
        ("true", "7", "true"),
    ],
)
def test_a_later_block_makes_a_columns_type_wider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, later: str, expected: object
) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 64)
    path = tmp_path / "rows.csv"
    path.write_text("k,a\n" + f"k,{first}\n" * 60 + f"k,{later}\n")
    rows = everything(File(path))
    assert rows[0]["a"] == expected
    assert str(rows[-1]["a"]).startswith(later)


def test_times_are_milliseconds_where_wanted_else_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    moment = datetime.datetime(2024, 2, 3, 4, 5, 6, 789_000, datetime.UTC)
    naive = moment.replace(tzinfo=None)
    table = pa.table(
        {
            "zoned": pa.array([moment], pa.timestamp("ns", "Europe/Berlin")),
            "naive": pa.array([naive], pa.timestamp("us")),
            "day": pa.array([naive.date()]),
        }
    )
    pyarrow.parquet.write_table(table, path)
    (row,) = everything(File(path), ("zoned", "naive", "day"))
    ms = 1_706_933_106_789
    assert row == {"zoned": ms, "naive": ms, "day": ms - ms % 86_400_000}
    (plain,) = everything(File(path))
    assert plain["day"] == "2024-02-03"


def test_vectors_are_kept_and_what_json_has_not_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    table = pa.table({"v": [[1.0, 2.0]], "s": [{"a": 1}], "d": pa.array(["x"]).dictionary_encode()})
    pyarrow.parquet.write_table(table, path)
    file = File(path)
    assert everything(file) == [{"v": [1.0, 2.0], "d": "x"}]
    assert "struct" in file.skipped["s"]


def test_a_row_of_json_may_lack_columns_and_bring_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"b": ""}\n')
    assert everything(File(path)) == [{"a": 1, "b": None}, {"a": None, "b": None}]


WRONG = {
    "empty": (b"  \n", "is empty"),
    "array": (b'[{"a": 1}]', "one object a line"),
    "broken line": (b'{"a": 1}\n{"a": \n', "line 2"),
    "no object": (b'{"a": 1}\n7\n', "line 2"),
    "ragged": (b"a,b\n1,2\n1,2,3\n", "Expected 2 columns"),
    "twice": (b"a,a\n1,2\n", "two columns of one name"),
    "header alone": (b"a,b\n", "no rows"),
    "cut gzip": (gzip.compress(b"a,b\n1,2\n" * 9999)[:-20], "cannot be read"),
    "not parquet": (b"PAR1 and nothing else", "cannot be read"),
    "no zip": (b"PK\x03\x04 and nothing else", "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_the_files_name(tmp_path: Path, case: str) -> None:
    data, said = WRONG[case]
    path = tmp_path / "rows"
    path.write_bytes(data)
    with pytest.raises(BadTable, match="rows: ") as error:
        everything(File(path))
    assert said in str(error.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match="no such file"):
        File(tmp_path / "none")


@given(st.integers(10**11, 253_402_300_799_999))
def test_a_time_reads_the_same_in_all_its_forms(ms: int) -> None:
    text = rfc3339(ms)
    assert time_of(text) == ms
    assert time_of(text.removesuffix("Z")) == ms, "without a zone it is UTC"
    assert time_of(text.replace("T", " ").removesuffix("Z") + "+00:00") == ms
    assert time_of(ms) == time_of(float(ms)) == ms


@pytest.mark.parametrize("value", ["soon", None, True, 1_700_000_000, float("nan"), 10**18, [1]])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"time|Invalid isoformat"):
        time_of(value)


@pytest.mark.parametrize(
    ("value", "word"),
    [(7, "7"), (7.0, "7"), (0.5, "0.5"), (True, "true"), ("x", "x"), (2**60, str(2**60))],
)
def test_a_value_as_a_word(value: object, word: str) -> None:
    assert word_of(value) == word
