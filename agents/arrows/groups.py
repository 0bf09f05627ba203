"""Groups: the struct columns of a message, such as its features, one field a name."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from agents.arrows import values
from agents.arrows.messages import MAX_PACKED_BYTES
from agents.arrows.values import mask, present, refuse
from stream.columns import Bools, Column, Floats, Ints
from stream.events import Limits, Rejected


@dataclasses.dataclass(frozen=True, slots=True)
class Vector:
    """A feature that is a list of numbers. lengths: shape (n,), -1 where it is null."""

    name: str
    lists: pa.Array
    lengths: Ints

    @property
    def width(self) -> int:
        """Of the longest."""
        return int(self.lengths.max(initial=0))

    def spread(self, rows: Ints) -> dict[str, Column]:
        """Each element of rows of one length as a column; null is one that is missing."""
        length = int(self.lengths[rows[0]])
        if length < 0:
            return {self.name: Column(np.full(len(rows), np.nan))}
        flat = values.numbers(self.lists.take(pa.array(rows)).flatten())
        matrix = flat.reshape(len(rows), length)
        return {f"{self.name}[{i}]": Column(matrix[:, i]) for i in range(length)}


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """A struct that a row may go without. there: shape (n,), which rows have it."""

    columns: dict[str, Column]
    there: Bools

    def matrix(self) -> tuple[tuple[str, ...], Floats]:
        """Names and numbers, shape (n, k)."""
        numbers = [column.numbers for column in self.columns.values()]
        return tuple(self.columns), np.array(numbers, dtype=np.float64).T


def features_of(array: pa.Array, limits: Limits) -> tuple[dict[str, Column], list[Vector]]:
    """Every feature as a column, in order; that of a vector is empty and a `Vector` besides."""
    _struct(array, "features")
    present(array, "features")
    found: dict[str, Column] = {}
    vectors: list[Vector] = []
    for name, child in _children(array, "features", limits):
        if not name:
            raise Rejected("bad-name", "a feature has an empty name")
        if is_list(child.type):
            vectors.append(_vector(name, child, limits))
            found[name] = Column(np.full(len(child), np.nan))
        else:
            found[name] = values.column(child, f"feature {name!r}")
    most = len(found) - len(vectors) + sum(v.width for v in vectors)
    if most > limits.max_features:
        raise Rejected("too-many-features", f"{most}, at most {limits.max_features}")
    return found, vectors


def optional_group(columns: Mapping[str, pa.Array], name: str, limits: Limits) -> Group | None:
    """The probabilities (numbers) or segments (words) of a message; None where it has none."""
    array = columns.get(name)
    if array is None or types.is_null(array.type):
        return None
    _struct(array, name)
    children = _children(array, name, limits)
    there = mask(array.is_valid())
    if not children or not there.any():
        return None
    read = _probability if name == "probabilities" else _segment
    return Group({key: read(child, f"{name} {key!r}", there) for key, child in children}, there)


def _probability(array: pa.Array, name: str, there: Bools) -> Column:
    if not values.is_number(array.type):
        raise Rejected("wrong-type", f"{name}: {array.type}, expected a number")
    refuse("wrong-type", name, mask(array.is_null()) & there, "is null")
    numbers = values.numbers(array)
    refuse("number-out-of-range", name, ~np.isfinite(numbers) & there, "is not finite")
    return Column(numbers)


def _segment(array: pa.Array, name: str, there: Bools) -> Column:
    if not values.is_text(array.type):
        raise Rejected("wrong-type", f"{name}: {array.type}, expected utf8")
    found = values.column(array, name)
    missing = np.ones(len(found), np.bool_) if found.codes is None else found.codes < 0
    refuse("wrong-type", name, missing & there, "is null")
    return found


def _struct(array: pa.Array, name: str) -> None:
    if not types.is_struct(array.type):
        raise Rejected("wrong-type", f"{name}: {array.type}, expected a struct")


def _children(array: pa.Array, name: str, limits: Limits) -> Sequence[tuple[str, pa.Array]]:
    names = [field.name for field in array.type]
    if name == "segments" and len(names) > limits.max_segments:
        raise Rejected("too-many-segments", f"{len(names)}, at most {limits.max_segments}")
    if len(names) > limits.max_features:
        raise Rejected("too-many-features", f"{len(names)} {name}, at most {limits.max_features}")
    if len(set(names)) < len(names):
        raise Rejected("wrong-type", f"{name}: two have the same name")
    longest = max(map(len, names), default=0)
    if longest > limits.max_name_chars:
        raise Rejected("name-too-long", f"{name}: one has {longest} characters")
    return list(zip(names, array.flatten(), strict=True))


def is_list(kind: pa.DataType) -> bool:
    """Whether values are vectors."""
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _vector(name: str, array: pa.Array, limits: Limits) -> Vector:
    label = f"feature {name!r}"
    kind = array.type.value_type
    if not (values.is_number(kind) or types.is_null(kind)):
        raise Rejected("wrong-type", f"{label}: {array.type}, expected a list of numbers")
    lengths = pc.fill_null(pc.list_value_length(array).cast(pa.int64()), -1).to_numpy()
    if lengths.max(initial=0) > limits.max_vector:
        raise Rejected("vector-too-long", f"{lengths.max()}, at most {limits.max_vector}")
    if 8 * int(lengths.clip(0).sum()) > MAX_PACKED_BYTES:
        raise Rejected("too-many-rows", f"{len(array)} rows of {array.type}")
    flat = array.flatten()
    present(flat, f"{label}, an element", "wrong-type")
    return Vector(name, array, lengths)
