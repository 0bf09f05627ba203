"""Tables: CSV, JSON lines and Parquet files as columns, packed by gzip or zip or not at all.

What a file is, its first bytes say, not its name: files get renamed.
"""

import dataclasses
import gzip
import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from agents import lists
from stream.columns import Column

MAX_BYTES = 2**31  # unpacked; a reference is a sample of the training data, not the lake
DELIMITERS = ",;\t|"
BOOLEANS = ("false", "true")
UNSUPPORTED = "values of type {} are not supported yet"


class BadTable(ValueError):
    """The file cannot be read as a table; the text says why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Columns of one length, by name. skipped: columns that are left out, and why.

    vectors: columns of lists of numbers, which are a column for each of their numbers, by name.
    """

    columns: Mapping[str, Column]
    skipped: dict[str, str]
    rows: int
    vectors: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every column of the file."""
        inside = {name for own in self.vectors.values() for name in own}
        return [*(n for n in self.columns if n not in inside), *self.vectors, *self.skipped]


def read(path: Path, delimiter: str | None = None) -> Table:
    """The table of a file; a CSV's delimiter is seen from its first line. Raises BadTable."""
    return of(parsed(path, delimiter), path)


def parsed(path: Path, delimiter: str | None = None) -> pa.Table:
    """The same as Arrow has it. Raises BadTable."""
    try:
        return _parse(unpacked(path), delimiter)
    except pa.ArrowException as error:
        raise BadTable(f"{path}: {first_line(error)}") from None
    except BadTable as error:
        raise BadTable(f"{path}: {error}") from None


def of(table: pa.Table, path: Path) -> Table:
    """The columns of an Arrow table that came from a file. Raises BadTable."""
    try:
        return _columns(table)
    except pa.ArrowException as error:
        raise BadTable(f"{path}: {first_line(error)}") from None
    except BadTable as error:
        raise BadTable(f"{path}: {error}") from None


def unpacked(path: Path) -> bytes:
    """What is in a file: a gzip or zip archive of one file is unpacked. Raises BadTable."""
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(data)) as archive:
                data = archive.read(MAX_BYTES + 1)
        elif data.startswith(b"PK\x03\x04"):
            data = _member(data)
    except FileNotFoundError:
        raise BadTable("there is no such file") from None
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise BadTable(f"cannot be read: {error}") from None
    if len(data) > MAX_BYTES:
        raise BadTable(f"holds more than {MAX_BYTES} bytes; take a sample of its rows")
    return data


def _member(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [n for n in archive.namelist() if not n.startswith("__MACOSX/")]
        if len(names) != 1:
            raise BadTable(f"is a zip archive of {len(names)} files, must be one of one")
        with archive.open(names[0]) as member:
            return member.read(MAX_BYTES + 1)


def _parse(data: bytes, delimiter: str | None) -> pa.Table:
    if data.startswith(b"PAR1"):
        return pyarrow.parquet.read_table(io.BytesIO(data))
    if not data.strip():
        raise BadTable("is empty")
    if data.lstrip().startswith(b"{"):
        return pyarrow.json.read_json(io.BytesIO(data))
    return _csv(data, delimiter)


def _csv(data: bytes, delimiter: str | None) -> pa.Table:
    header = data.split(b"\n", 1)[0].decode("utf-8", errors="replace")
    found = delimiter or max(DELIMITERS, key=header.count)
    return pyarrow.csv.read_csv(
        io.BytesIO(data),
        parse_options=pyarrow.csv.ParseOptions(delimiter=found, newlines_in_values=True),
        # "NA" and "null" stay words where a column has words: only nothing is nothing there.
        convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=False),
    )


def _columns(table: pa.Table) -> Table:
    if not table.num_rows:
        raise BadTable("has no rows")
    if len(set(table.column_names)) < len(table.column_names):
        raise BadTable("has two columns of one name")
    columns: dict[str, Column] = {}
    skipped: dict[str, str] = {}
    vectors: dict[str, tuple[str, ...]] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        convert = converter(column.type)
        if convert is not None:
            columns[name] = convert(column)
        elif lists.is_vector(column.type):
            own = dict(lists.columns(name, column))
            vectors[name] = tuple(own)
            columns |= own
        else:
            skipped[name] = UNSUPPORTED.format(column.type)
    check_names(table.column_names, vectors)
    return Table(columns, skipped, table.num_rows, vectors)


def check_names(names: Iterable[str], vectors: Mapping[str, tuple[str, ...]]) -> None:
    """Raises BadTable where a column is called as a vector's number is."""
    both = lists.twice(names, vectors)
    if both:
        raise BadTable(f"has a column {both[0]!r} beside the list that has a number of this name")


def converter(kind: pa.DataType) -> Callable[[pa.Array], Column] | None:
    """What makes a column of values of this type; None: nothing can."""
    types = pa.types
    if types.is_boolean(kind):
        return _truths
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return _numbers
    if types.is_null(kind):
        return lambda column: Column(np.full(len(column), np.nan))
    if types.is_dictionary(kind):
        inner = converter(kind.value_type)
        return inner and (lambda column: inner(column.dictionary_decode()))
    if types.is_string(kind) or types.is_large_string(kind) or types.is_temporal(kind):
        return _words
    return None


def _numbers(column: pa.Array) -> Column:
    numbers = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return Column(np.array(numbers, dtype=np.float64))


def _truths(column: pa.Array) -> Column:
    codes = pc.fill_null(pc.cast(column, pa.int32()), -1).to_numpy(zero_copy_only=False)
    return Column(np.full(len(column), np.nan), np.array(codes, dtype=np.int32), BOOLEANS)


def _words(column: pa.Array) -> Column:
    """Words by their place in a dictionary; an empty word is a missing one."""
    text = pc.cast(column, pa.string())
    coded = pc.dictionary_encode(pc.if_else(pc.equal(text, ""), None, text))
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    words = tuple(coded.dictionary.to_pylist())
    return Column(np.full(len(column), np.nan), np.array(codes, dtype=np.int32), words)


def first_line(error: Exception) -> str:
    """What an error says, without its details."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
