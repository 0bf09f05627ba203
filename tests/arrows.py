"""Arrow messages for tests: made of rows, read as rows, spoiled a column at a time."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
from hypothesis import strategies as st

from agents import arrows
from agents.arrows import Place
from stream.batches import Row
from stream.batches.blocks import Kind
from stream.events import (
    Limits,
    decode_prediction,
    decode_truth,
)

START_MS = 1_700_000_000_000
HERE = Place(7, START_MS, Limits())
DECODE: dict[str, Any] = {"prediction": decode_prediction, "truth": decode_truth}


def table(rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Rows as they stand in JSON, as columns."""
    return pa.RecordBatch.from_pylist([dict(row) for row in rows])


def as_json(kind: Kind, rows: Sequence[Mapping[str, Any]], place: Place = HERE) -> list[Row]:
    found: list[Row] = []
    for row in rows:
        value = msgspec.json.encode(row)
        event = DECODE[kind](value, None, place.record_ms, place.limits)
        found.append((place.offset, place.record_ms, event))
    return found


def as_arrow(kind: Kind, batch: pa.RecordBatch, place: Place = HERE) -> list[Row]:
    return [*arrows.rows_in(kind, arrows.written(batch), place)]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1,
                max_size=4)  # fmt: skip


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


KINDS: list[st.SearchStrategy[Any]] = [
    NUMBERS, st.integers(-(2**63), 2**63 - 1), WORDS, st.booleans(), st.none(),
]  # fmt: skip


@st.composite
def messages(draw: st.DrawFn, kind: Kind) -> list[dict[str, Any]]:
    """Rows that one schema can hold: every field has one type, and may be null where JSON may."""
    n = draw(st.integers(1, 12))
    answer = maybe(draw(st.sampled_from(KINDS)))
    models = draw(st.lists(NAMES, min_size=1, max_size=2))
    common = {
        "prediction_id": NAMES,
        "model": st.sampled_from(models),
        "time": st.integers(START_MS - 10**9, START_MS),
    }
    if kind == "truth":
        label = draw(st.sampled_from(KINDS[:4]))
        fields = common | {
            "label": label,
            "version": maybe(NAMES),
            "source": maybe(WORDS),
            "revision": st.integers(0, 2**53),
            "retracted": st.booleans(),
        }
        return [draw(st.fixed_dictionaries(fields)) for _ in range(n)]
    names = draw(st.lists(NAMES, unique=True, min_size=1, max_size=4))
    vector = st.lists(NUMBERS, max_size=3)
    features = {name: maybe(draw(st.sampled_from([*KINDS, vector]))) for name in names}
    words = draw(st.lists(NAMES, unique=True, min_size=1, max_size=3))
    fields = common | {
        "version": NAMES,
        "features": st.fixed_dictionaries(features),
        "prediction": answer,
        "score": maybe(NUMBERS),
        "probabilities": maybe(st.fixed_dictionaries(dict.fromkeys(words, NUMBERS))),
        "segments": maybe(st.fixed_dictionaries(dict.fromkeys(words, WORDS))),
        "weight": maybe(NUMBERS),
        "request_id": maybe(WORDS),
        "control_group": maybe(st.booleans()),
        "client": maybe(WORDS),
    }
    return [ordered(draw(st.fixed_dictionaries(fields)), names, words) for _ in range(n)]


def ordered(row: dict[str, Any], features: list[str], words: list[str]) -> dict[str, Any]:
    """A schema has one order of names, and so have rows of one shape."""
    orders = {"features": features, "probabilities": words, "segments": words}
    for name, order in orders.items():
        if row[name] is not None:
            row[name] = {key: row[name][key] for key in order}
    return row


ROW = {"prediction_id": "a", "model": "m", "version": "1", "time": START_MS, "features": {"x": 1.0}}
TRUTH = {"prediction_id": "a", "model": "m", "time": START_MS, "label": 1.0}


def changed(row: Mapping[str, Any], **columns: Any) -> pa.RecordBatch:
    """One good row with other columns; None leaves one out."""
    found = {k: pa.array([v]) for k, v in row.items()} | columns
    return pa.RecordBatch.from_pydict({k: v for k, v in found.items() if v is not None})


def struct(**columns: Any) -> pa.Array:
    return pa.StructArray.from_arrays([pa.array(v) for v in columns.values()], list(columns))


def moments(unit: str, zone: str | None) -> pa.Array:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    return pa.array([START_MS // 1000 * per_second], pa.timestamp(unit, zone))
