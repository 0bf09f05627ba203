"""Arrow messages: the same blocks as the same rows as JSON, and a reason for whatever is wrong."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import arrows
from agents.arrows.tables import Place
from stream.batches import Block, Row, batches_of, decode_batch, encode_batch
from stream.columns import Column
from stream.events import Limits, decode_prediction, decode_truth

START_MS = 1_700_000_000_000
HERE = Place(7, START_MS, Limits())
READ = {"prediction": arrows.predictions, "truth": arrows.truths}
DECODE = {"prediction": decode_prediction, "truth": decode_truth}


def table(rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Rows as they stand in JSON, as columns."""
    return pa.RecordBatch.from_pylist([dict(row) for row in rows])


def as_json(kind: str, rows: Sequence[Mapping[str, Any]], place: Place = HERE) -> list[Row]:
    found: list[Row] = []
    for row in rows:
        value = msgspec.json.encode(row)
        event = DECODE[kind](value, None, place.record_ms, place.limits)
        found.append((place.offset, place.record_ms, event))
    return found


def as_arrow(kind: str, batch: pa.RecordBatch, place: Place = HERE) -> list[Row]:
    return [*READ[kind](arrows.written(batch), place)]


def same_array(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and a.shape == b.shape and bool(np.array_equal(a, b, a.dtype == "f8"))


def same_column(a: Column | None, b: Column | None) -> bool:
    if a is None or b is None:
        return a is b
    return same_array(a.numbers, b.numbers) and same_array(a.codes, b.codes) and a.words == b.words


def same(a: Any, b: Any) -> bool:
    """Whether two fields of two blocks are equal, bit for bit."""
    if isinstance(a, np.ndarray):
        return same_array(a, b)
    if isinstance(a, Column):
        return same_column(a, b)
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(same_column(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return bool(a[0] == b[0]) and same_array(a[1], b[1])
    return bool(a == b)


def assert_same(kind: str, rows: Sequence[Mapping[str, Any]], batch: pa.RecordBatch) -> None:
    """As batches for three partitions of the internal log."""

    def split(given: list[Row]) -> dict[int, list[Block]]:
        found = batches_of("t", "", 0, given, (), 3, 10**6, covered=(7, 7))
        return {p: [x for b in some for x in decode_batch(encode_batch(b)).blocks]
                for p, some in sorted(found.items())}  # fmt: skip

    expected, found = split(as_json(kind, rows)), split(as_arrow(kind, batch))
    assert found.keys() == expected.keys()
    for partition, blocks in expected.items():
        assert len(blocks) == len(found[partition])
        for one, other in zip(blocks, found[partition], strict=True):
            for field in dataclasses.fields(Block):
                a, b = getattr(one, field.name), getattr(other, field.name)
                assert same(a, b), (field.name, a, b)


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
def messages(draw: st.DrawFn, kind: str) -> list[dict[str, Any]]:
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
        fields = common | {"label": label, "version": maybe(NAMES), "source": maybe(WORDS),
                           "revision": st.integers(0, 2**53), "retracted": st.booleans()}  # fmt: skip
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
    return [draw(st.fixed_dictionaries(fields)) for _ in range(n)]


@given(messages("prediction"))
@settings(max_examples=150)
def test_predictions_make_the_blocks_that_json_makes(rows: list[dict[str, Any]]) -> None:
    assert_same("prediction", rows, table(rows))


@given(messages("truth"))
def test_truths_make_the_blocks_that_json_makes(rows: list[dict[str, Any]]) -> None:
    assert_same("truth", rows, table(rows))
