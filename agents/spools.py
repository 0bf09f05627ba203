"""Spools: a table of many rows, of which one column at a time is in memory.

Parquet is read where it lies. A CSV file is parsed in blocks and written to a temporary folder as
Parquet, eight bytes a number. The numbers of a vector are read together. JSON lines
are read whole (`agents/tables.py`).
"""

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agents import files, lists, tables
from agents.lists import is_vector
from agents.tables import UNSUPPORTED, BadTable, Table, check_names, converter, first_line
from stream.columns import Column

MAX_ROWS = 100_000_000
MAX_WORDS = 1_000_000  # different ones of a column
BLOCK_ROWS = 1 << 16
TOO_LONG = f"has more than {MAX_ROWS:,} rows; take a sample of them"


@contextlib.contextmanager
def opened(path: Path, delimiter: str | None = None) -> Iterator[Table]:
    """The table of a file, while the context lasts. Raises BadTable, also when a column is read."""
    file = files.File(path, delimiter)
    if file.kind == "json":
        yield tables.read(path)
        return
    with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
        try:
            found = _parquet(file, Path(folder))
        except pa.ArrowException as error:
            raise BadTable(f"{path}: {first_line(error)}") from None
        with found:
            yield _table(found, path)


def _parquet(file: files.File, folder: Path) -> pq.ParquetFile:
    source = folder / "rows.parquet"
    if file.kind == "csv":
        _write(file, source)
    else:
        with file.path.open("rb") as raw:
            plain = raw.read(4) == b"PAR1"
        if plain:
            source = file.path
        else:
            with files.opened(file.path) as packed, source.open("wb") as target:
                shutil.copyfileobj(packed, target)
    return pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20)


def _write(file: files.File, target: Path) -> None:
    batches = file.batches()
    first = next(batches)
    words = [f.name for f in first.schema if pa.types.is_string(f.type)]
    rows = 0
    with pq.ParquetWriter(target, first.schema, compression="lz4", use_dictionary=words) as writer:
        for batch in itertools.chain([first], batches):
            rows += batch.num_rows
            if rows > MAX_ROWS:
                raise BadTable(f"{file.path}: {TOO_LONG}")
            writer.write_table(pa.Table.from_batches([batch]))  # as a batch, much is kept back


def _table(file: pq.ParquetFile, path: Path) -> Table:
    schema, rows = file.schema_arrow, file.metadata.num_rows
    if not rows:
        raise BadTable(f"{path}: has no rows")
    if rows > MAX_ROWS:
        raise BadTable(f"{path}: {TOO_LONG}")
    if len(set(schema.names)) < len(schema.names):
        raise BadTable(f"{path}: has two columns of one name")
    vectors = {f.name: _numbers_of(file, f) for f in schema if is_vector(f.type)}
    check_names(schema.names, vectors)
    own = [
        n for f in schema for n in (vectors.get(f.name) or ((f.name,) if converter(f.type) else ()))
    ]
    skipped = {
        f.name: UNSUPPORTED.format(f.type)
        for f in schema
        if converter(f.type) is None and f.name not in vectors
    }
    return Table(_Columns(file, own, vectors), skipped, rows, vectors)


def _numbers_of(file: pq.ParquetFile, field: pa.Field) -> tuple[str, ...]:
    """Names of a vector's numbers: as many as its longest list has."""
    if pa.types.is_fixed_size_list(field.type):
        return lists.names(field.name, field.type.list_size)
    batches = file.iter_batches(BLOCK_ROWS, columns=[field.name])
    return lists.names(field.name, max(lists.width(b.column(field.name)) for b in batches))


class _Columns(Mapping[str, Column]):
    """Columns that are read whenever they are asked for; of the newest vector all is kept."""

    def __init__(
        self, file: pq.ParquetFile, names: list[str], vectors: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._file, self._names = file, dict.fromkeys(names)
        self._sizes = {name: len(own) for name, own in vectors.items()}
        self._places = {n: (name, i) for name, own in vectors.items() for i, n in enumerate(own)}
        self._kept: tuple[str, lists.Matrix] | None = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> Column:
        if name not in self._names:
            raise KeyError(name)
        try:
            if name in self._places:
                return self._number(*self._places[name])
            return self._read(name)
        except (pa.ArrowException, OSError) as error:
            raise BadTable(f"column {name!r} cannot be read: {first_line(error)}") from None

    def _number(self, vector: str, place: int) -> Column:
        """One number of each row's vector: all of them are read at once."""
        if self._kept is None or self._kept[0] != vector:
            self._kept = None  # before the next is read
            batches = self._file.iter_batches(BLOCK_ROWS, columns=[vector])
            size = self._sizes[vector]
            whole = np.concatenate([lists.matrix(b.column(vector), size) for b in batches])
            self._kept = vector, whole
        return Column(self._kept[1][:, place].astype(np.float64))

    def _read(self, name: str) -> Column:
        rows = self._file.metadata.num_rows
        convert = converter(self._file.schema_arrow.field(name).type)
        assert convert is not None
        numbers, at = np.empty(rows), 0
        codes: np.ndarray | None = None
        words: dict[str, int] = {}
        for batch in self._file.iter_batches(BLOCK_ROWS, columns=[name]):
            part = convert(batch.column(name))  # a name with dots may bring others along
            place = slice(at, at + len(part))
            numbers[place] = part.numbers
            if part.codes is not None:
                codes = np.full(rows, -1, dtype=np.int32) if codes is None else codes
                codes[place] = _renamed(name, part, words)
            at += len(part)
        return Column(numbers, codes, tuple(words))


def _renamed(name: str, part: Column, words: dict[str, int]) -> np.ndarray:
    """The codes of a part, as places among the words of all."""
    assert part.codes is not None
    places = [words.setdefault(word, len(words)) for word in part.words]
    if len(words) > MAX_WORDS:
        raise BadTable(
            f"column {name!r} has more than {MAX_WORDS:,} different words; if it is an "
            f"identifier, leave it out with --ignore {name}"
        )
    return np.array([*places, -1], dtype=np.int32)[part.codes]
