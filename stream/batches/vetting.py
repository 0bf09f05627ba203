"""Vetting: decoded records checked as columns. What is not beyond doubt is left to `stream.events`.

Nothing here gives a reason, and a record that is fine may be doubted: it only takes longer.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from stream.columns import Bools, Ints
from stream.events import Limits, Rejected
from stream.events.decode import FAILURES, MAX_REVISION, YEAR_MS, check_groups, check_names
from stream.events.times import FIRST_MS, LAST_MS, milliseconds

NEVER_MS = -1


def wires_of(
    values: Sequence[bytes | None], decode: Callable[[bytes], Any], limits: Limits
) -> list[Any]:
    """What each value decodes to, None where there is any doubt."""
    try:
        found = list(map(decode, cast(Sequence[bytes], values)))
    except (*FAILURES, TypeError):  # None is no bytes
        found = [_wire(value, decode) for value in values]
        plain = False
    else:
        plain = all(map(bytes.isascii, cast(Sequence[bytes], values)))
    if not plain or max(map(len, cast(Sequence[bytes], values)), default=0) > limits.max_bytes:
        for i, value in enumerate(values):
            found[i] = found[i] if value and _is_text(value, limits) else None
    return found


def _wire(value: bytes | None, decode: Callable[[bytes], Any]) -> Any:
    try:
        return decode(value or b"")
    except FAILURES:
        return None


def _is_text(value: bytes, limits: Limits) -> bool:
    if len(value) > limits.max_bytes:
        return False
    if value.isascii():
        return True
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def vetted(
    ids: Sequence[str],
    models: Sequence[str],
    versions: Sequence[str | None],
    times: Sequence[Any],
    record_ms: Ints,
    limits: Limits,
) -> tuple[Ints, Bools]:
    """Event times (ms) and a mask of the rows whose names and time are beyond doubt, shape (n,)."""
    times_ms = _times(times)
    fit = (times_ms >= FIRST_MS) & (times_ms <= LAST_MS)
    fit &= (record_ms < 0) | (times_ms - limits.max_ahead_ms <= record_ms)
    fit &= (record_ms <= YEAR_MS) | (np.abs(times_ms * 1000 - record_ms) >= YEAR_MS)  # no seconds
    fit &= _ids(ids, limits)
    fit &= _names(models, limits)
    fit &= _names(versions, limits)
    return times_ms, fit


def _times(given: Sequence[Any]) -> Ints:
    if set(map(type, given)) != {int}:
        given = [_milliseconds(time) for time in given]
    try:
        found = np.array(given, dtype=np.int64)
    except OverflowError:
        found = np.array([t if 0 <= t <= LAST_MS else NEVER_MS for t in given], dtype=np.int64)
    return np.clip(found, NEVER_MS, LAST_MS + 1)  # so that it can be multiplied


def _milliseconds(time: int | float | datetime.datetime) -> int:
    if isinstance(time, datetime.datetime):
        return NEVER_MS if time.tzinfo is None else milliseconds(time)
    return int(time) if isinstance(time, int) or time.is_integer() else NEVER_MS


def _ids(ids: Sequence[str], limits: Limits) -> Bools | bool:
    """Which ids can be one. They are looked at together, as far as that goes."""
    lengths = list(map(len, ids))
    short = not ids or (min(lengths) > 0 and max(lengths) <= limits.max_name_chars)
    if short and "\0" not in "".join(ids):
        return True
    return np.array([_can_be(one, limits) for one in ids], dtype=np.bool_)


def _names(names: Sequence[str | None], limits: Limits) -> Bools | bool:
    """Which names can be one; None can. Few are different."""
    wrong = {name for name in set(names) if not _can_be(name, limits)}
    return np.array([name not in wrong for name in names], dtype=np.bool_) if wrong else True


def _can_be(name: str | None, limits: Limits) -> bool:
    try:
        check_names(() if name is None else (name,), limits)
    except Rejected:
        return False
    return True


def grouped(given: Mapping[str, Sequence[Any]], limits: Limits) -> Bools:
    """Which predictions have probabilities and segments within the limits, or none."""
    both = zip(given["probabilities"], given["segments"], strict=True)
    return np.array([_fits(*each, limits) for each in both], dtype=np.bool_)


def has_groups(given: Mapping[str, Sequence[Any]]) -> bool:
    """Whether any prediction has probabilities or segments."""
    both = (given["probabilities"], given["segments"])
    return any(each is not None for values in both for each in values)


def _fits(
    probabilities: Mapping[str, float] | None, segments: Mapping[str, str] | None, limits: Limits
) -> bool:
    if probabilities is None and segments is None:
        return True
    try:
        check_groups(probabilities or {}, segments or {}, limits)
    except Rejected:
        return False
    return True


def stated(rows: Sequence[Any]) -> Bools:
    """Which truths say something, with a revision that can be one."""
    said = (
        (row.label is not None or row.retracted) and 0 <= row.revision <= MAX_REVISION
        for row in rows
    )
    return np.fromiter(said, np.bool_, len(rows))
