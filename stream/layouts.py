"""Layouts: where each of a share's counts lies in its one vector, and that vector as bytes."""

import weakref
from collections.abc import Iterator

import numpy as np

from stream.columns import Ints
from stream.odds import SAID
from stream.references import Reference

SEGMENT = "segment"  # the role of the names of segments
WHOLE = "whole"  # the role of a vector that is looked at as one
ODDS = "odds"  # the role of counts of scores, by what was answered
Layout = tuple[dict[tuple[str, ...], slice], int]
Packed = tuple[str, str, bytes, bytes]
"""Type of the distances between filled places, "" where every place is written; type of the
counts; both as bytes."""
_LAYOUTS = weakref.WeakKeyDictionary[Reference, Layout]()  # thousands of shares have the same


def layout(reference: Reference) -> Layout:
    """Where each (role, name), and each segment, lies in a share's vector; how long that is."""
    known = _LAYOUTS.get(reference)
    if known is None:
        places: dict[tuple[str, ...], slice] = {}
        start = 0
        for key, width in _widths(reference):
            places[key] = slice(start, start + width)
            start += width
        known = _LAYOUTS[reference] = places, start
    return known


def _widths(reference: Reference) -> Iterator[tuple[tuple[str, ...], int]]:
    """How many counts each has, in their order."""
    yield from ((("input", name), f.width) for name, f in reference.features.items())
    yield from ((("output", name), f.width) for name, f in reference.outputs.items())
    yield from (((SEGMENT, name), f.width) for name, f in reference.dimensions.items())
    yield from (((SEGMENT, *key), layout(own)[1]) for key, own in reference.segments.items())
    if reference.odds is not None:
        yield from (((ODDS, said), reference.odds.score.width) for said in SAID)
    yield from (((WHOLE, name), len(whole.counts)) for name, whole in reference.wholes.items())


def wholes_width(reference: Reference) -> int:
    """How many counts at the end of a vector are of wholes.

    They are large where those of a number's codes are small, so they are packed by themselves.
    """
    return sum(len(whole.counts) for whole in reference.wholes.values())


def pack(vector: Ints, wholes: int) -> Packed:
    """Filled places only, where that is shorter. wholes: how many of the counts are of wholes."""
    own, rest = vector[: len(vector) - wholes], vector[len(vector) - wholes :]
    filled = np.flatnonzero(own)
    steps = np.diff(filled, prepend=0)
    step, value = _smallest(steps), _smallest(own)
    after = rest.astype(_smallest(rest)).tobytes()
    sparse = len(filled) * (np.dtype(step).itemsize + np.dtype(value).itemsize)
    if sparse < len(own) * np.dtype(value).itemsize:
        values = own[filled].astype(value).tobytes()
        return step, value, steps.astype(step).tobytes(), values + after
    return "", value, b"", own.astype(value).tobytes() + after


def _smallest(numbers: Ints) -> str:
    largest = int(numbers.max(initial=0))
    return next(t for t in ("<u1", "<u2", "<u4", "<u8") if largest < 256 ** int(t[2:]))


def unpack(packed: Packed, width: int, wholes: int) -> Ints:
    """The counts, shape (width,), the last of which are of wholes."""
    step, value, steps, values = packed
    own = width - wholes
    filled = len(steps) // np.dtype(step).itemsize if step else own
    size = filled * np.dtype(value).itemsize
    found = np.frombuffer(values[:size], dtype=value).astype(np.int64)
    vector = np.zeros(width, dtype=np.int64)
    if step:
        vector[np.cumsum(np.frombuffer(steps, dtype=step).astype(np.int64))] = found
    else:
        vector[:own] = found
    if wholes:
        rest = values[size:]
        vector[own:] = np.frombuffer(rest, dtype=f"<u{len(rest) // wholes}")
    return vector
