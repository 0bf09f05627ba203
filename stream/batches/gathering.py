"""Gathering: decoded events of one shape into one block of columns."""

import operator
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, starmap
from typing import Any, cast

import msgspec
import numpy as np

from stream.batches.blocks import Block
from stream.columns import Column, Floats, Hashes, Ints, column_of
from stream.events import FeatureValue, Prediction, Scalar, Truth

Hashed = tuple[int, int, Prediction | Truth, int]  # source offset, record time (ms), event, id hash
Shape = tuple[object, ...]
OUTPUTS = ("prediction", "score", "probabilities", "segments", "weight", "control_group")
_NUMBERS = {float, int, type(None)}
_WORDS = {str, type(None)}


def blocks_of(rows: Iterable[Hashed]) -> list[Block]:
    """Blocks of rows in order of offset: one for each model, version and set of columns."""
    shapes: dict[Shape, list[Hashed]] = defaultdict(list)
    for row in rows:
        shapes[_shape(row[2])].append(row)
    return [block for alike in shapes.values() for block in _blocks(alike)]


def spread(features: Mapping[str, FeatureValue]) -> dict[str, FeatureValue]:
    """Every vector as one feature an element.

    >>> spread({"v": [1.0, 2.0], "x": "a"})
    {'v[0]': 1.0, 'v[1]': 2.0, 'x': 'a'}
    """
    found: dict[str, FeatureValue] = {}
    for name, value in features.items():
        if isinstance(value, list):
            found.update({f"{name}[{i}]": x for i, x in enumerate(value)})
        else:
            found[name] = value
    return found


def _shape(event: Prediction | Truth) -> Shape:
    """Kind, model, version and the names of everything named; in the order they came in."""
    if isinstance(event, Truth):
        return ("truth", event.model, event.version)
    groups: Shape = ()
    if event.segments or event.probabilities:
        groups = (tuple(event.segments or ()), tuple(event.probabilities or ()))
    return ("prediction", event.model, event.version, tuple(event.features), groups)


def _blocks(rows: Sequence[Hashed]) -> list[Block]:
    offsets, record_ms, events, hashes = zip(*rows, strict=True)
    common = (
        events[0].model,
        events[0].version,
        np.array(offsets, dtype=np.int64),
        np.array(record_ms, dtype=np.int64),
        np.array([e.time for e in events], dtype=np.int64),
        np.array(hashes, dtype=np.uint64),
    )
    if isinstance(events[0], Truth):
        return [truths_of(cast(Sequence[Truth], events), common)]
    types = _types([e.features for e in events])
    if list in types:  # of other lengths in other rows, perhaps
        return blocks_of((o, ms, _spread(e), h) for o, ms, e, h in rows)
    given = {name: list(map(operator.attrgetter(name), events)) for name in OUTPUTS}
    return [predictions_of(given, common, _features([e.features for e in events], types))]


def _spread(event: Prediction | Truth) -> Prediction:
    assert isinstance(event, Prediction)
    return msgspec.structs.replace(event, features=spread(event.features))


def _types(rows: Iterable[Mapping[str, FeatureValue]]) -> set[type]:
    return set(map(type, chain.from_iterable(row.values() for row in rows)))


# model, version, offsets, record_ms, times_ms, ids
Common = tuple[str, str | None, Ints, Ints, Ints, Hashes]


def truths_of(events: Sequence[Any], common: Common) -> Block:
    """The block of truths, with the attributes of `Truth`, of one model and version."""
    return Block(
        "truth",
        *common,
        label=_column([e.label for e in events]),
        revision=np.array([e.revision for e in events], dtype=np.int64),
        retracted=np.array([e.retracted for e in events], dtype=np.bool_),
    )


def predictions_of(
    given: Mapping[str, Sequence[Any]], common: Common, features: Mapping[str, Column]
) -> Block:
    """The block of predictions of one model version: their features, and what else they have.

    given: the values of OUTPUTS by name, one for each; what no prediction has may be left out.
    All have the same classes and segments.
    """
    control = given.get("control_group", ())
    return Block(
        "prediction",
        *common,
        features=features,
        prediction=_column(given.get("prediction") or (None,) * len(common[2])),
        score=_optional(given.get("score", ())),
        probabilities=_probabilities(given.get("probabilities", ())),
        weight=_optional(given.get("weight", ())),
        segments=_segments(given.get("segments", ())),
        control_group=column_of(control) if any(c is not None for c in control) else None,
    )


def _features(rows: Sequence[Mapping[str, FeatureValue]], types: set[type]) -> dict[str, Column]:
    """Columns by name; all rows have the same names in the same order."""
    names, n = tuple(rows[0]), len(rows)
    if types <= {float}:
        values = chain.from_iterable(row.values() for row in rows)
        matrix = np.fromiter(cast(Iterator[float], values), np.float64, n * len(names))
        matrix = matrix.reshape(n, len(names))
        return {name: Column(matrix[:, i]) for i, name in enumerate(names)}
    columns = zip(*(row.values() for row in rows), strict=True)
    return {name: _column(v) for name, v in zip(names, columns, strict=True)}


def packed_numbers(rows: Sequence[Any], count: int) -> bytes:
    """The `count` features of each row, one row after the other, as float64. None becomes NaN.

    rows: structs with a number or None for each.
    """
    values = msgspec.structs.astuple
    try:
        return b"".join(starmap(struct.Struct(f"={count}d").pack, map(values, rows)))
    except struct.error:  # some are None
        return np.array([values(row) for row in rows], dtype=np.float64).tobytes()


def columns_of(packed: Sequence[bytes], names: Sequence[str]) -> dict[str, Column]:
    """Columns by name, of what `packed_numbers` made of one run of rows after the other."""
    if not names:
        return {}
    matrix = np.frombuffer(b"".join(packed), np.float64).reshape(-1, len(names))
    return {
        name: Column(column)
        for name, column in zip(names, np.ascontiguousarray(matrix.T), strict=True)
    }


def features_of(rows: Iterable[Any], names: Sequence[str]) -> dict[str, Column]:
    """Columns by name. rows: structs with a field for each."""
    given = zip(*map(msgspec.structs.astuple, rows), strict=True)
    return {name: _column(v) for name, v in zip(names, given, strict=False)}


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
    given: Sequence[Mapping[str, float] | None],
) -> tuple[tuple[str, ...], Floats] | None:
    if not given or not given[0]:
        return None
    rows = [tuple(each.values()) for each in given if each is not None]
    return tuple(given[0]), np.array(rows, dtype=np.float64)


def _segments(given: Sequence[Mapping[str, str] | None]) -> dict[str, Column] | None:
    if not given or not given[0]:
        return None
    rows = [each.values() for each in given if each is not None]
    return {n: _words(v) for n, v in zip(given[0], zip(*rows, strict=True), strict=True)}
