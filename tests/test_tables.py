"""Tables: the same columns come out of every format and every packing."""

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from agents import spools, tables
from agents.tables import BadTable
from stream.columns import Column

ROWS = [
    {"age": 31.5, "miles": 12, "region": "NA", "new": True},
    {"age": None, "miles": 7, "region": "north", "new": False},
    {"age": 44.25, "miles": -3, "region": "", "new": True},
]


def csv(delimiter: str) -> bytes:
    lines = ["age,miles,region,new", "31.5,12,NA,true", ",7,north,false", "44.25,-3,,true", ""]
    return "\n".join(lines).replace(",", delimiter).encode()


def parquet(path: Path, **options: str) -> bytes:
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), path, **options)
    return path.read_bytes()


def names(column: Column) -> list[str | None]:
    return column.names()


def check(found: tables.Table) -> None:
    assert found.rows == 3
    assert list(found.columns) == ["age", "miles", "region", "new"]
    np.testing.assert_array_equal(found.columns["age"].numbers, [31.5, np.nan, 44.25])
    np.testing.assert_array_equal(found.columns["miles"].numbers, [12, 7, -3])
    assert found.columns["region"].names() == ["NA", "north", None]
    assert found.columns["new"].names() == ["true", "false", "true"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_with_any_usual_delimiter(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(csv(delimiter))
    check(tables.read(path))


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    check(tables.read(path))


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.dat"
    parquet(path)
    check(tables.read(path))


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(gzip.compress(csv(",")))
    check(tables.read(path))


def test_a_zip_archive_that_is_called_gz(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("t.csv", csv(";"))
    check(tables.read(path))


def test_dictionaries_dates_and_what_is_not_supported(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table(
        {
            "word": pa.array(["a", None, "b"]).dictionary_encode(),
            "day": pa.array([1, 2, 3], pa.date32()),
            "price": pa.array([1, 2, None], pa.decimal128(10, 2)),
            "vectors": pa.array([[[1.0]], [[2.0]], []]),
            "nothing": pa.nulls(3),
        }
    )
    pyarrow.parquet.write_table(table, path)
    found = tables.read(path)
    assert found.columns["word"].names() == ["a", None, "b"]
    assert found.columns["day"].names()[0] == "1970-01-02"
    np.testing.assert_array_equal(found.columns["price"].numbers, [1, 2, np.nan])
    assert np.isnan(found.columns["nothing"].numbers).all()
    assert "vectors" in found.skipped


def test_a_column_of_many_chunks(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("n,w\n" + "".join(f"{i},w{i % 3}\n" for i in range(300_000)))
    found = tables.read(path).columns
    assert found["n"].numbers.sum() == 300_000 * 299_999 / 2
    assert found["w"].names()[299_999] == f"w{299_999 % 3}"


CASES = {
    b"": "is empty",
    b" \n": "is empty",
    b"a,b\n": "no rows",
    b"a,b\n1,2\n1\n": "Expected 2 columns",
    b"a,a\n1,2\n": "two columns of one name",
    b'{"a": 1}\n{"a": "x"': "JSON",
    b"PAR1": "arquet",
    b"\x1f\x8b\x08\x00": "cannot be read",
    b"PK\x03\x04": "cannot be read",
}


@pytest.mark.parametrize("data", CASES)
def test_what_is_no_table_is_said(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad"
    path.write_bytes(data)
    with pytest.raises(BadTable) as caught:
        tables.read(path)
    assert str(caught.value).startswith(str(path))
    assert CASES[data] in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match="there is no such file"):
        tables.read(tmp_path / "none")


def test_a_file_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_BYTES", 1_000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"a\n" + b"1\n" * 10_000))
    with pytest.raises(BadTable, match="take a sample"):
        tables.read(path)


def lists_of_numbers() -> pa.Table:
    numbers = [[1.5, 2.0], None, [3.0], [None, 4.0], []]
    fixed = pa.array([[1, 2], None, [3, 4], [5, None], [7, 8]], pa.list_(pa.int64(), 2))
    return pa.table({"v": pa.array(numbers, pa.list_(pa.float32())), "w": fixed, "x": range(5)})


def test_lists_of_numbers_are_a_column_for_each_of_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(lists_of_numbers(), path, row_group_size=2)
    nan = np.nan
    expected = {
        "v[0]": [1.5, nan, 3, nan, nan],
        "v[1]": [2, nan, nan, 4, nan],
        "w[0]": [1, nan, 3, 5, 7],
        "w[1]": [2, nan, 4, nan, 8],
        "x": [0, 1, 2, 3, 4],
    }
    with spools.opened(path) as spooled:
        for found in (tables.read(path), spooled):
            assert list(found.columns) == list(expected)
            assert found.vectors == {"v": ("v[0]", "v[1]"), "w": ("w[0]", "w[1]")}
            assert sorted(found.names) == ["v", "w", "x"]
            for name, values in expected.items():
                np.testing.assert_array_equal(found.columns[name].numbers, values)


def test_a_column_called_as_a_number_of_a_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = pa.table({"v[1]": [0.0, 1.0], "v": [[1.0, 2.0], [3.0, 4.0]]})
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(BadTable, match=r"a column 'v\[1\]' beside the list"):
        tables.read(path)
    with pytest.raises(BadTable, match=r"a column 'v\[1\]' beside the list"), spools.opened(path):
        pass
