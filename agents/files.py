"""Files of rows, a block at a time: CSV, JSON lines and Parquet, packed by gzip or zip or not.

For files larger than memory; `agents/tables.py` reads a whole one as columns. Values mean the
same in both: an empty word is a missing one, times become text, decimals numbers.
"""

import contextlib
import dataclasses
import datetime
import gzip
import math
import re
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from agents.lists import is_vector
from agents.tables import DELIMITERS, BadTable
from stream.columns import name_of_number
from stream.events import milliseconds, rfc3339

BLOCK_ROWS = 10_000
BLOCK_BYTES = 2**22  # of CSV text parsed at once
LINE_BYTES = 2**24  # of one row of JSON
HEAD_BYTES = 2**16
SECONDS_MS = 10**11  # a number of a smaller size is no epoch ms of our times: 1973
WRONG_TYPE = re.compile(r"In CSV column #(\d+): .*conversion error to (\S+?):", re.DOTALL)
WIDER = {"null": pa.float64(), "int64": pa.float64()}  # anything else becomes words

Values = list[Any]
_lines = msgspec.json.Decoder(dict[str, Any])


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive rows. columns: a list of values each, as JSON knows them. first: row number."""

    first: int
    count: int
    columns: dict[str, Values]


class File:
    """A file of rows that can be read again and again. skipped: columns left out, and why.

    kind: csv, json or parquet, whatever it is packed with.
    """

    def __init__(self, path: Path, delimiter: str | None = None) -> None:
        """Reads as much as it takes to know the columns. Raises BadTable."""
        self.path, self.delimiter = path, delimiter
        self.skipped: dict[str, str] = {}
        self._types: dict[str, pa.DataType] = {}
        with self._words():
            self.kind = self._kind_of(path)
            self._csv_types()
            self.names = next((list(rows.columns) for rows in self._blocks(())), [])
        if not self.names:
            raise BadTable(f"{path}: has no rows")

    def blocks(
        self, times: Collection[str] = (), only: Collection[str] | None = None
    ) -> Iterator[Rows]:
        """All rows in order, at most BLOCK_ROWS at once. times: columns wanted as epoch ms.

        only: the columns that are needed, None: all. Raises BadTable.
        """
        with self._words():
            for rows in self._blocks(times, only):
                for name in self.names if only is None else only:
                    if name not in rows.columns:
                        rows.columns[name] = [None] * rows.count
                yield rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows of a CSV file as they are parsed, a block at once. Raises BadTable."""
        with self._words(), opened(self.path) as file:
            yield from self._csv(file)

    @contextlib.contextmanager
    def _words(self) -> Iterator[None]:
        """Whatever is wrong with the file, with its name and in words."""
        try:
            yield
        except FileNotFoundError:
            raise BadTable(f"{self.path}: there is no such file") from None
        except BadTable as error:
            name = "" if str(error).startswith(str(self.path)) else f"{self.path}: "
            raise BadTable(f"{name}{error}") from None
        except (OSError, EOFError, zipfile.BadZipFile, pa.ArrowException) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadTable(f"{self.path}: cannot be read: {said}") from None

    def _kind_of(self, path: Path) -> str:
        with opened(path) as file:
            head = file.read(HEAD_BYTES)
        if head.startswith(b"PAR1"):
            return "parquet"
        start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not start:
            raise BadTable("is empty")
        if start.startswith(b"["):
            raise BadTable("is one JSON array; one object a line is needed (jq -c '.[]')")
        if start.startswith(b"{"):
            return "json"
        if self.delimiter is None:
            header = head.split(b"\n", 1)[0].decode("utf-8", errors="replace")
            self.delimiter = max(DELIMITERS, key=header.count)
        return "csv"

    def _blocks(
        self, times: Collection[str], only: Collection[str] | None = None
    ) -> Iterator[Rows]:
        if self.kind == "json":
            yield from self._json()
            return
        first = 0
        with opened(self.path) as file:
            batches = self._csv(file) if self.kind == "csv" else _parquet(file)
            for batch in batches:
                for at in range(0, batch.num_rows, BLOCK_ROWS):
                    piece = batch.slice(at, BLOCK_ROWS)
                    yield Rows(first + at, piece.num_rows, self._values(piece, times, only))
                first += batch.num_rows

    def _csv(self, file: IO[bytes]) -> Iterator[pa.RecordBatch]:
        reader = pyarrow.csv.open_csv(
            file,
            read_options=pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=True
            ),
            # "NA" and "null" stay words where a column has words: only nothing is nothing there.
            convert_options=pyarrow.csv.ConvertOptions(
                strings_can_be_null=False, column_types=self._types
            ),
        )
        if len(set(reader.schema.names)) < len(reader.schema.names):
            raise BadTable("has two columns of one name")
        yield from reader

    def _csv_types(self) -> None:
        """The first block decides on a column's type; where a later one disagrees, it is wider."""
        while self.kind == "csv":
            with opened(self.path) as file:
                names: list[str] = []
                try:
                    for batch in self._csv(file):
                        names = batch.schema.names
                        self._types |= {f.name: f.type for f in batch.schema}
                except pa.ArrowInvalid as error:
                    self._widen(error, names)
                else:
                    return

    def _widen(self, error: pa.ArrowInvalid, names: list[str]) -> None:
        found = WRONG_TYPE.search(str(error))
        if found is None or int(found[1]) >= len(names):
            raise error
        wider = WIDER.get(found[2], pa.string())
        name = names[int(found[1])]
        if self._types.get(name) == wider:
            raise error
        self._types[name] = wider

    def _values(
        self, batch: pa.RecordBatch, times: Collection[str], only: Collection[str] | None
    ) -> dict[str, Values]:
        found: dict[str, Values] = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if only is not None and name not in only:
                continue
            plain = _plain(column, name in times)
            if plain is None:
                self.skipped[name] = f"values of type {column.type} are not supported"
            else:
                found[name] = plain.to_pylist()
        return found

    def _json(self) -> Iterator[Rows]:
        rows: list[dict[str, Any]] = []
        number = first = 0
        with opened(self.path) as file:
            while line := file.readline(LINE_BYTES):
                number += 1
                if line.strip():
                    rows.append(_row(line, number))
                if len(rows) == BLOCK_ROWS:
                    yield _columns(rows, first)
                    first, rows = first + len(rows), []
        if rows:
            yield _columns(rows, first)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """What is in a file: a gzip or zip archive of one file is unpacked as it is read."""
    with contextlib.ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(path.open("rb"))
        head = file.read(4)
        file.seek(0)
        if head.startswith(b"\x1f\x8b"):
            file = cast(IO[bytes], stack.enter_context(gzip.open(file)))
        elif head == b"PK\x03\x04":
            archive = stack.enter_context(zipfile.ZipFile(file))
            names = [n for n in archive.namelist() if not n.startswith("__MACOSX/")]
            if len(names) != 1:
                raise BadTable(f"is a zip archive of {len(names)} files, must be one of one")
            file = stack.enter_context(archive.open(names[0]))
        yield file


def _parquet(file: IO[bytes]) -> Iterator[pa.RecordBatch]:
    return iter(pyarrow.parquet.ParquetFile(file).iter_batches(BLOCK_ROWS))


def _plain(column: pa.Array, as_time: bool) -> pa.Array | None:
    """The same as Python knows it from JSON; None where that cannot be."""
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        return _plain(column.dictionary_decode(), as_time)
    if types.is_temporal(kind):
        return _time_column(column, as_time)
    if types.is_decimal(kind):
        return pc.cast(column, pa.float64(), safe=False)
    if types.is_string(kind) or types.is_large_string(kind):
        return pc.if_else(pc.equal(column, ""), None, column)
    simple = (types.is_boolean, types.is_integer, types.is_floating, types.is_null)
    return column if any(test(kind) for test in simple) or is_vector(kind) else None


def _time_column(column: pa.Array, as_time: bool) -> pa.Array:
    """Epoch ms where a time is wanted, else text. A time without a zone is one of UTC."""
    kind, types = column.type, pa.types
    if as_time and (types.is_timestamp(kind) or types.is_date(kind)):
        zone = kind.tz if types.is_timestamp(kind) else None
        return pc.cast(pc.cast(column, pa.timestamp("ms", zone), safe=False), pa.int64())
    return pc.cast(column, pa.string())


def _row(line: bytes, number: int) -> dict[str, Any]:
    try:
        return _lines.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadTable(f"line {number}: not a JSON object: {error}") from None


def _columns(rows: list[dict[str, Any]], first: int) -> Rows:
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    for values in columns.values():
        for i, value in enumerate(values):
            if value == "":
                values[i] = None
    return Rows(first, len(rows), columns)


def time_of(value: Any) -> int:
    """Epoch ms of a time as files have it: text (UTC where it has no zone), or a number of ms.

    Raises ValueError.
    """
    if isinstance(value, str):
        moment = datetime.datetime.fromisoformat(value)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
        found = milliseconds(zoned)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        found = round(value)
        if abs(found) < SECONDS_MS:
            raise ValueError("is no time in milliseconds since 1970; seconds are not taken")
    else:
        raise ValueError("is no time")
    rfc3339(found)
    return found


def word_of(value: Any) -> str:
    """A value as the name of a category, or as an id: 7 and 7.0 are "7"."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return (name_of_number(float(value)) if abs(value) < 2**53 else None) or str(value)
    return str(value)
