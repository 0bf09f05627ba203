"""Writing: columns of numpy, pyarrow or plain Python as record batches of the Arrow format."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import types

from agents.arrows.messages import MAX_PACKED_BYTES

ROWS = 10_000  # of one message, at most
BYTES = 400_000  # of one message, about
WORDS = 1_000  # a larger dictionary would weigh more than the words themselves


def record_batch(ids: Any, model: str, version: str | None, columns: Mapping[str, Any]) -> Any:
    """Ids, a model and columns (None: left out) as rows. Raises ValueError naming a column."""
    found = {"prediction_id": array(ids, "prediction_id")}
    n = len(found["prediction_id"])
    found["model"] = _same(model, n)
    if version is not None:
        found["version"] = _same(version, n)
    for name, values in columns.items():
        if values is None:
            continue
        if name == "time":
            found[name] = times(values, n)
        elif name in ("features", "probabilities", "segments"):
            found[name] = group(values, name, n)
        else:
            found[name] = array(values, name)
        if len(found[name]) != n:
            raise ValueError(f"{name}: {len(found[name])} values for {n} prediction ids")
    return pa.RecordBatch.from_pydict(found)


def group(values: Any, name: str, rows: int) -> pa.Array:
    """A mapping, a table or a data frame of columns, or a struct array, as a struct array."""
    if isinstance(values, pa.StructArray):
        return values
    if not isinstance(values, Mapping):
        values = _columns_of(values, name)
    fields = {key: array(column, f"{name}.{key}") for key, column in values.items()}
    for key, column in fields.items():
        if len(column) != rows:
            raise ValueError(f"{name}.{key}: {len(column)} values for {rows} prediction ids")
    if not fields:
        return pa.array([{}] * rows, pa.struct([]))
    return pa.StructArray.from_arrays(list(fields.values()), list(fields))


def _columns_of(values: Any, name: str) -> Mapping[str, Any]:
    if not hasattr(values, "__arrow_c_stream__") and not hasattr(values, "__arrow_c_array__"):
        raise ValueError(
            f"{name}: {type(values).__name__}, expected a mapping, an Arrow table or a data frame"
        )
    table = values if isinstance(values, pa.Table | pa.RecordBatch) else pa.table(values)
    return dict(zip(table.schema.names, table.columns, strict=True))


def array(values: Any, name: str) -> pa.Array:
    """One column. Raises ValueError where Arrow cannot hold it."""
    try:
        found = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
        if isinstance(found, pa.ChunkedArray):
            found = found.combine_chunks()
        return _plain(found)
    except (pa.ArrowException, TypeError) as failure:
        raise ValueError(f"{name}: {failure}") from None


def _plain(found: pa.Array) -> pa.Array:
    """Without types that the format does not know and that have a twin which it knows."""
    if types.is_dictionary(found.type):
        inner = found.type.value_type
        text = types.is_string(inner) or types.is_large_string(inner)
        if not text or len(found.dictionary) > WORDS:
            return _plain(found.cast(inner))
    if types.is_string_view(found.type):
        return found.cast(pa.utf8())
    return found


def _same(word: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), [word])


def times(values: Any, rows: int) -> pa.Array:
    """One time for all, or a column; numpy's own times, which know no zone, are UTC."""
    if isinstance(values, int | np.integer):
        return pa.array(np.full(rows, int(values)))
    if isinstance(values, datetime.datetime):
        if values.tzinfo is None:
            raise ValueError("time: it has no zone; write datetime.now(datetime.UTC) or the like")
        return pa.array([values] * rows, pa.timestamp("us", "UTC"))
    found = array(values, "time")
    if isinstance(values, np.ndarray) and types.is_timestamp(found.type):
        return found.cast(pa.timestamp(found.type.unit, "UTC"))
    if types.is_floating(found.type):
        raise ValueError(f"time: {found.type}, expected whole numbers of milliseconds")
    return found


def pieces(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows in parts that each make one message, with the number of each part's first row."""
    n = batch.num_rows
    if n == 0:
        return
    width = sum(max(1, column.type.num_fields) for column in batch.columns)
    packed, wire = 48 + 8 * (width + 8), batch.nbytes // n + 1
    step = max(1, min(ROWS, BYTES // wire, MAX_PACKED_BYTES // 2 // packed))
    for first in range(0, n, step):
        yield first, batch.slice(first, step)
