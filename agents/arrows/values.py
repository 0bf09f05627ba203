"""Values: one Arrow array of any allowed type as a `Column`, or `Rejected` naming field and row."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from stream.batches.tables import in_order
from stream.columns import Bools, Codes, Column, Floats, Ints
from stream.events import Limits, Rejected
from stream.events.decode import YEAR_MS, check_names
from stream.events.times import FIRST_MS, LAST_MS
from stream.hashes import Texts

PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def is_text(kind: pa.DataType) -> bool:
    """Text, also as a dictionary."""
    inner = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(inner) or types.is_large_string(inner))


def is_number(kind: pa.DataType) -> bool:
    """Integers and floating-point numbers of any width."""
    return bool(types.is_integer(kind) or types.is_floating(kind))


def column(array: pa.Array, name: str) -> Column:
    """Numbers, words or truth values; null is missing, and so is NaN."""
    kind = array.type
    if is_number(kind):
        return Column(numbers(array))
    if types.is_null(kind):
        return Column(np.full(len(array), np.nan))
    if types.is_boolean(kind):
        codes = pc.fill_null(array.cast(pa.int8()), -1).to_numpy().astype(np.int32)
        return _worded(codes, ("false", "true"))
    if is_text(kind):
        return _worded(*_words(array))
    raise Rejected("wrong-type", f"{name}: {kind} is no type of a value")


def _worded(codes: Codes, words: tuple[str, ...]) -> Column:
    return Column(np.full(len(codes), np.nan), codes, words)


def numbers(array: pa.Array) -> Floats:
    """As float64, null as NaN."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def _words(array: pa.Array) -> tuple[Codes, tuple[str, ...]]:
    """Codes (-1 is null) into distinct words, in any order."""
    encoded = array if types.is_dictionary(array.type) else array.dictionary_encode()
    codes = _codes(encoded.indices)
    words = encoded.dictionary.to_pylist()
    if len(set(words)) == len(words) and None not in words:
        return codes, tuple(words)
    places = {word: i for i, word in enumerate(dict.fromkeys(w for w in words if w is not None))}
    table = np.array([-1 if w is None else places[w] for w in words] + [-1], dtype=np.int32)
    return table[codes], tuple(places)


def _codes(indices: pa.Array) -> Codes:
    """As int32, -1 where null. Arrow's own functions cost more than a thousand rows do."""
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int32()), -1)
    found: Codes = indices.to_numpy().astype(np.int32, copy=False)
    return found


def bounded(found: Column, name: str) -> Column:
    """The same; Rejected where a number is infinite."""
    return Column(finite(found.numbers, name), found.codes, found.words)


def finite(values: Floats, name: str) -> Floats:
    """The same; Rejected where one is infinite."""
    refuse("number-out-of-range", name, np.isinf(values), "is infinite")
    return values


def refuse(reason: str, name: str, rows: Bools, words: str) -> None:
    """Rejected, naming the first of the rows that a mask marks, where it marks any."""
    if rows.any():
        raise Rejected(reason, f"{name}: row {int(rows.argmax())} {words}")


def mask(array: pa.Array) -> Bools:
    """A boolean array without nulls as a mask."""
    found: Bools = array.to_numpy(zero_copy_only=False)
    return found


def present(array: pa.Array, name: str, reason: str = "missing-field") -> None:
    """Rejected where a value is null."""
    if array.null_count:
        refuse(reason, name, mask(array.is_null()), "is null")


def truth_values(array: pa.Array, name: str) -> Bools:
    """A column of truth values without nulls."""
    _must(types.is_boolean, array, name, "bool")
    present(array, name, "wrong-type")
    return mask(array)


def whole(array: pa.Array, name: str) -> Ints:
    """A column of whole numbers without nulls."""
    _must(types.is_integer, array, name, "an integer")
    present(array, name, "wrong-type")
    if types.is_uint64(array.type):
        refuse("number-out-of-range", name, array.to_numpy() > np.uint64(2**63 - 1), "is too large")
    found: Ints = array.to_numpy().astype(np.int64, copy=False)
    return found


def _must(allowed: Callable[[pa.DataType], Any], array: pa.Array, name: str, words: str) -> None:
    if not allowed(array.type):
        raise Rejected("wrong-type", f"{name}: {array.type}, expected {words}")


def ids(array: pa.Array, name: str, limits: Limits) -> Texts:
    """A column of ids: text, each of 1 to max_name_chars characters and without NUL."""
    if not (types.is_string(array.type) or types.is_large_string(array.type)):
        raise Rejected("wrong-type", f"{name}: {array.type}, expected utf8 or large_utf8")
    present(array, name)
    found = texts(array)
    refuse("empty-id", name, found.lengths == 0, "is empty")
    longest = limits.max_name_chars
    if found.lengths.max(initial=0) > longest:  # bytes; of characters there may be fewer
        chars = pc.utf8_length(array).to_numpy()
        refuse("name-too-long", name, chars > longest, f"is longer than {longest} characters")
    if not found.data.all():
        refuse("bad-name", name, mask(pc.match_substring(array, "\x00")), "holds a NUL character")
    return found


def texts(array: pa.Array) -> Texts:
    """A column of text without nulls, as it lies in Arrow's buffers."""
    _, places, data = array.buffers()
    wide = types.is_large_string(array.type)
    ends = np.frombuffer(places, "<i8" if wide else "<i4")[array.offset :][: len(array) + 1]
    starts = ends.astype(np.int64)
    held = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    first, last = int(starts[0]), int(starts[-1])
    return Texts(held[first:last], starts[:-1] - first, np.diff(starts))


def names(array: pa.Array, name: str, limits: Limits, *, optional: bool = False) -> Column:
    """A column of few distinct names, such as models. Only words that are used are looked at."""
    if not (is_text(array.type) or (optional and types.is_null(array.type))):
        raise Rejected("wrong-type", f"{name}: {array.type}, expected utf8 or a dictionary of it")
    found = in_order(column(array, name))
    if not optional and (found.codes is None or (found.codes < 0).any()):
        missing = np.ones(len(found), np.bool_) if found.codes is None else found.codes < 0
        refuse("missing-field", name, missing, "is null")
    check_names(found.words, limits)
    return found


def text(array: pa.Array, name: str) -> None:
    """Rejected where a column that is passed over is not of the type it should have."""
    if not (is_text(array.type) or types.is_null(array.type)):
        raise Rejected("wrong-type", f"{name}: {array.type}, expected utf8")


def times(array: pa.Array, record_ms: Ints, limits: Limits) -> Ints:
    """Event times in ms since the epoch, held to the same rules as in JSON.

    record_ms: of each row's record, shape (n,).
    """
    present(array, "time")
    if types.is_timestamp(array.type):
        if array.type.tz is None:
            raise Rejected("time-without-zone", f"time: {array.type}, expected one with a zone")
        ms = _milliseconds(array.cast(pa.int64()).to_numpy(), PER_SECOND[array.type.unit])
        given = False
    else:
        _must(types.is_integer, array, "time", "an integer of milliseconds or a timestamp")
        ms = whole(array, "time")
        given = True
    refuse("time-out-of-range", "time", (ms < FIRST_MS) | (ms > LAST_MS), "is not in 1970 to 9999")
    if given:
        seconds = (np.abs(ms * 1_000 - record_ms) < YEAR_MS) & (record_ms > YEAR_MS)
        refuse("time-in-seconds", "time", seconds, "read as milliseconds is in January 1970")
    ahead = (ms - limits.max_ahead_ms > record_ms) & (record_ms >= 0)
    refuse("time-in-future", "time", ahead, f"is over {limits.max_ahead_ms} ms in the future")
    return ms


def _milliseconds(values: Ints, per_second: int) -> Ints:
    """What is finer is cut off; what is out of range stays so."""
    if per_second >= 1_000:
        return values // (per_second // 1_000)
    return np.clip(values, -1, LAST_MS // 1_000 + 1) * 1_000
