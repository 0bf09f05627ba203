"""Lists: columns of Parquet and JSON whose values are lists of numbers, which are vectors.

A list column `v` becomes the columns `v[0]`, `v[1]`, ..., as a prediction's vector does.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stream.columns import Column
from stream.vectors import element

Matrix = npt.NDArray[np.floating]


def is_vector(kind: pa.DataType) -> bool:
    """Whether values of a type are lists of numbers."""
    types = pa.types
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    inside = (types.is_integer, types.is_floating)
    return any(a(kind) for a in lists) and any(b(kind.value_type) for b in inside)


def width(column: pa.Array) -> int:
    """Numbers of the longest list."""
    if pa.types.is_fixed_size_list(column.type):
        return int(column.type.list_size)
    return int(pc.max(pc.list_value_length(column)).as_py() or 0)


def matrix(column: pa.Array, size: int) -> Matrix:
    """The lists as rows, shape (n, size); NaN where one is null, or has a null, or is shorter."""
    inside = column.type.value_type
    kind = np.float32 if pa.types.is_float32(inside) else np.float64
    found = np.full((len(column), size), np.nan, dtype=kind)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    flat = pc.cast(pc.list_flatten(column), pa.from_numpy_dtype(kind), safe=False)
    values = flat.to_numpy(zero_copy_only=False)
    found[np.arange(size) < lengths[:, None]] = values
    return found


def names(name: str, size: int) -> tuple[str, ...]:
    """What the columns of a vector are called."""
    return tuple(element(name, place) for place in range(size))


def columns(name: str, column: pa.Array) -> Iterator[tuple[str, Column]]:
    """Each number of a vector as a column of its own."""
    size = width(column)
    found = matrix(column, size)
    for place, called in enumerate(names(name, size)):
        yield called, Column(found[:, place].astype(np.float64))


def twice(known: Iterable[str], vectors: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Names that are a column's, and a vector's number's as well."""
    return sorted({*known} & {called for own in vectors.values() for called in own})
