"""Gathering: decoded events of one shape into one block of columns."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import cast

import numpy as np

from stream.batches.blocks import Block
from stream.columns import Column, Floats, Hashes, Ints, column_of
from stream.events import FeatureValue, Prediction, Scalar, Truth

Hashed = tuple[int, int, Prediction | Truth, int]  # source offset, record time (ms), event, id hash
Shape = tuple[object, ...]
_NUMBERS = {float, type(None)}
_WORDS = {str, type(None)}


def shape_of(event: Prediction | Truth) -> Shape:
    """What rows of one block have in common: kind, model, version and names of columns."""
    if isinstance(event, Truth):
        return ("truth", event.model, event.version)
    vectors = list in map(type, event.features.values())
    names = tuple(flat(event.features) if vectors else event.features)
    groups: Shape = ()
    if event.segments or event.probabilities:
        groups = (tuple(event.segments or ()), tuple(event.probabilities or ()))
    return ("prediction", event.model, event.version, names, groups)


def flat(features: Mapping[str, FeatureValue]) -> dict[str, Scalar]:
    """Features with every vector spread: {"v": [1, 2]} is {"v[0]": 1, "v[1]": 2}."""
    found: dict[str, Scalar] = {}
    for name, value in features.items():
        if isinstance(value, list):
            found.update({f"{name}[{i}]": x for i, x in enumerate(value)})
        else:
            found[name] = value
    return found


def block_of(rows: Sequence[Hashed]) -> Block:
    """The block of rows of one shape, in order of offset; at least one row."""
    offsets, record_ms, events, hashes = zip(*rows, strict=True)
    first = events[0]
    common = (
        first.model,
        first.version,
        np.array(offsets, dtype=np.int64),
        np.array(record_ms, dtype=np.int64),
        np.array([e.time for e in events], dtype=np.int64),
        np.array(hashes, dtype=np.uint64),
    )
    if isinstance(first, Truth):
        return _truths(cast(Sequence[Truth], events), common)
    return _predictions(cast(Sequence[Prediction], events), common)


_Common = tuple[str, str | None, Ints, Ints, Ints, Hashes]


def _truths(events: Sequence[Truth], common: _Common) -> Block:
    return Block(
        "truth",
        *common,
        label=_column([e.label for e in events]),
        revision=np.array([e.revision for e in events], dtype=np.int64),
        retracted=np.array([e.retracted for e in events], dtype=np.bool_),
    )


def _predictions(events: Sequence[Prediction], common: _Common) -> Block:
    first = events[0]
    classes = tuple(first.probabilities or ())
    segments = tuple(first.segments or ())
    control = [e.control_group for e in events]
    return Block(
        "prediction",
        *common,
        features=_features([e.features for e in events]),
        prediction=_column([e.prediction for e in events]),
        score=_optional([e.score for e in events]),
        probabilities=_probabilities(events, classes) if classes else None,
        weight=_optional([e.weight for e in events]),
        segments=_segments(events, segments) if segments else None,
        control_group=column_of(control) if any(c is not None for c in control) else None,
    )


def _features(rows: Sequence[Mapping[str, FeatureValue]]) -> dict[str, Column]:
    """Columns by name; all rows have the same names in the same order once spread."""
    if any(list in map(type, row.values()) for row in rows):
        rows = [flat(row) for row in rows]
    names = tuple(rows[0])
    if set(map(type, chain.from_iterable(row.values() for row in rows))) <= _NUMBERS:
        matrix = np.array([tuple(row.values()) for row in rows], dtype=np.float64)
        return {name: Column(matrix[:, i]) for i, name in enumerate(names)}
    values = zip(*(row.values() for row in rows), strict=True)
    return {name: _column(v) for name, v in zip(names, values, strict=True)}


def _column(values: Sequence[FeatureValue]) -> Column:
    types = set(map(type, values))
    if types <= _NUMBERS:
        return Column(np.array(values, dtype=np.float64))  # None becomes NaN
    if types <= _WORDS:
        return _words(cast(Sequence[str | None], values))
    return column_of(cast(Sequence[Scalar], values))


def _words(values: Sequence[str | None]) -> Column:
    words = tuple(w for w in dict.fromkeys(values) if w is not None)
    index: dict[str | None, int] = {w: i for i, w in enumerate(words)}
    index[None] = -1
    codes = np.fromiter(map(index.__getitem__, values), np.int32, len(values))
    return Column(np.full(len(values), np.nan), codes, words)


def _optional(values: Sequence[float | None]) -> Floats | None:
    if all(v is None for v in values):
        return None
    return np.array(values, dtype=np.float64)


def _probabilities(
    events: Sequence[Prediction], classes: tuple[str, ...]
) -> tuple[tuple[str, ...], Floats]:
    rows = [tuple(e.probabilities.values()) for e in events if e.probabilities is not None]
    return classes, np.array(rows, dtype=np.float64)


def _segments(events: Sequence[Prediction], names: tuple[str, ...]) -> dict[str, Column]:
    rows = [e.segments.values() for e in events if e.segments is not None]
    return {n: _words(v) for n, v in zip(names, zip(*rows, strict=True), strict=True)}
