"""Arrow messages that are refused, and the reason that each of them gets."""

import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from agents import arrows
from stream.batches import Batch, encode_batch
from stream.batches.blocks import Kind
from stream.events import (
    REASONS,
    Rejected,
)
from tests.arrows import HERE, ROW, START_MS, TRUTH, as_arrow, changed, moments, struct, table

NUMBER = pa.struct([("x", pa.int8())])
WORD = pa.array(["a"]).dictionary_encode()
LARGE = pa.array([2**63], pa.uint64())
LIST = pa.FixedSizeListArray.from_arrays(pa.array([1.0] * 1025), 1025)


WRONG: list[tuple[str, pa.RecordBatch, str]] = [
    ("missing-field", changed(ROW, prediction_id=None), "no column 'prediction_id'"),
    ("missing-field", changed(ROW, model=None), "no column 'model'"),
    ("missing-field", changed(ROW, features=None), "no column 'features'"),
    ("missing-field", changed(ROW, prediction_id=pa.array([None], pa.utf8())), "row 0 is null"),
    ("missing-field", changed(ROW, model=pa.array([None], pa.utf8())), "row 0 is null"),
    ("missing-field", changed(ROW, time=pa.array([None], pa.int64())), "row 0 is null"),
    ("missing-field", changed(ROW, features=pa.array([None], NUMBER)), "row 0 is null"),
    ("wrong-type", changed(ROW, prediction_id=pa.array([float("nan")])), "expected utf8"),
    ("wrong-type", changed(ROW, prediction_id=WORD), "expected utf8"),
    ("wrong-type", changed(ROW, model=pa.array([1])), "expected utf8"),
    ("wrong-type", changed(ROW, features=pa.array([1.0])), "expected a struct"),
    ("wrong-type", changed(ROW, features=struct(x=[datetime.date(2024, 1, 1)])), "feature 'x'"),
    ("wrong-type", changed(ROW, features=struct(x=[[1.0, None]])), "an element: row 1 is null"),
    ("wrong-type", changed(ROW, features=struct(x=[["a"]])), "expected a list of numbers"),
    ("wrong-type", changed(ROW, prediction=pa.array([b"bytes"])), "binary"),
    ("wrong-type", changed(ROW, score=pa.array(["0.5"])), "expected a number"),
    ("wrong-type", changed(ROW, time=pa.array([1.5])), "expected an integer"),
    ("wrong-type", changed(ROW, control_group=pa.array([1])), "expected bool"),
    ("wrong-type", changed(ROW, client=pa.array([1])), "expected utf8"),
    ("wrong-type", changed(ROW, segments=struct(s=[1])), "expected utf8"),
    ("wrong-type", changed(ROW, segments=struct(s=pa.array([None], pa.utf8()))), "row 0 is null"),
    ("wrong-type", changed(ROW, probabilities=struct(p=["a"])), "expected a number"),
    ("wrong-type", changed(ROW, probabilities=struct(p=pa.array([None], pa.float64()))), "row 0"),
    ("number-out-of-range", changed(ROW, probabilities=struct(p=[float("nan")])), "row 0"),
    ("number-out-of-range", changed(ROW, score=pa.array([float("inf")])), "row 0 is infinite"),
    ("number-out-of-range", changed(ROW, prediction=pa.array([float("-inf")])), "row 0"),
    ("number-out-of-range", changed(ROW, time=LARGE), "row 0 is too large"),
    ("time-without-zone", changed(ROW, time=moments("ms", None)), "with a zone"),
    ("time-in-seconds", changed(ROW, time=pa.array([START_MS // 1000])), "row 0"),
    ("time-out-of-range", changed(ROW, time=pa.array([-1])), "row 0"),
    ("time-in-future", changed(ROW, time=pa.array([START_MS + 10**8])), "row 0"),
    ("empty-id", changed(ROW, prediction_id=pa.array([""])), "row 0 is empty"),
    ("empty-id", changed(ROW, version=pa.array([""])), "empty"),
    ("bad-name", changed(ROW, prediction_id=pa.array(["a\0b"])), "NUL"),
    ("bad-name", changed(ROW, features=struct(**{"": [1.0]})), "empty name"),
    ("name-too-long", changed(ROW, prediction_id=pa.array(["a" * 257])), "256 characters"),
    ("name-too-long", changed(ROW, features=struct(**{"a" * 257: [1.0]})), "257 characters"),
    ("too-many-features", changed(ROW, features=struct(**{str(i): [1] for i in range(2001)})), ""),
    ("too-many-segments", changed(ROW, segments=struct(**{f"s{i}": ["a"] for i in range(65)})), ""),
    ("vector-too-long", changed(ROW, features=struct(v=LIST)), "1025, at most 1024"),
    ("missing-field", changed(TRUTH, label=None), "no column 'label'"),
    ("missing-field", changed(TRUTH, label=pa.array([None], pa.float64())), "not retracted"),
    ("missing-field", changed(TRUTH, label=pa.array([float("nan")])), "not retracted"),
    ("wrong-type", changed(TRUTH, retracted=pa.array([None], pa.bool_())), "row 0 is null"),
    ("wrong-type", changed(TRUTH, revision=pa.array([1.0])), "expected an integer"),
    ("number-out-of-range", changed(TRUTH, revision=pa.array([-1])), "row 0"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "batch", "words"), WRONG)
def test_what_is_wrong_is_named(reason: str, batch: pa.RecordBatch, words: str) -> None:
    kind: Kind = "truth" if "features" not in batch.schema.names and (
        "label" in batch.schema.names or words.endswith("'label'")) else "prediction"  # fmt: skip
    with pytest.raises(Rejected) as refused:
        as_arrow(kind, batch)
    assert refused.value.reason == reason in REASONS
    assert words in refused.value.detail


def rejected(value: bytes | None, kind: Kind = "prediction") -> str:
    with pytest.raises(Rejected) as refused:
        arrows.rows_in(kind, value, HERE)
    return refused.value.reason


def test_one_bad_row_refuses_its_message_and_is_named() -> None:
    rows = [ROW | {"prediction_id": str(i)} for i in range(100)]
    rows[63] = rows[63] | {"prediction_id": ""}
    with pytest.raises(Rejected, match="prediction_id: row 63 is empty"):
        as_arrow("prediction", table(rows))


def test_what_is_no_stream_is_refused() -> None:
    value = arrows.written(table([ROW] * 50))
    assert rejected(None) == rejected(b"") == "empty-value"
    assert rejected(b"{}") == rejected(value + b"x") == rejected(value + value) == "not-arrow"
    assert rejected(arrows.written(table([ROW]).slice(0, 0))) == "empty-value"
    assert rejected(bytes(HERE.limits.max_bytes + 1)) == "too-large"


def test_a_stream_cut_anywhere_is_refused() -> None:
    value = arrows.written(table([ROW] * 50))
    assert {rejected(value[:end]) for end in range(1, len(value))} == {"not-arrow"}


def test_compressed_buffers_are_refused_before_they_are_read() -> None:
    out = pa.BufferOutputStream()
    batch = table([ROW] * 50)
    options = ipc.IpcWriteOptions(compression="zstd")
    with ipc.new_stream(out, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    assert rejected(out.getvalue().to_pybytes()) == "not-arrow"


def test_a_column_that_claims_much_in_few_bytes_is_refused() -> None:
    n = 90_000
    names = {f"x{i}": pa.nulls(n) for i in range(1_000)}
    columns: dict[str, Any] = {
        "prediction_id": pa.array([""] * n),
        "model": pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int8()), ["m"]),
        "version": pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int8()), ["1"]),
        "time": pa.nulls(n),
        "features": pa.StructArray.from_arrays(list(names.values()), list(names)),
    }
    assert rejected(arrows.written(pa.RecordBatch.from_pydict(columns))) == "too-many-rows"


def test_too_many_rows_are_refused() -> None:
    n = 100_001
    ids = pa.array(["a"] * n)
    assert rejected(arrows.written(pa.RecordBatch.from_pydict({"prediction_id": ids}))) == (
        "too-many-rows"
    )


def test_rows_that_would_not_fit_the_internal_log_are_refused() -> None:
    n = 20_000
    small = pa.array([1] * n, pa.int8())
    batch = pa.RecordBatch.from_pydict({
        "prediction_id": [str(i) for i in range(n)],
        "model": pa.array(["m"] * n).dictionary_encode(),
        "version": pa.array(["1"] * n).dictionary_encode(),
        "time": [START_MS] * n,
        "features": struct(**dict.fromkeys("abcdefghij", small)),
    })  # fmt: skip
    assert rejected(arrows.written(batch)) == "too-many-rows"
    assert len(as_arrow("prediction", batch.slice(0, 14_000))) == 1


VALUE = arrows.written(
    pa.RecordBatch.from_pylist([
        ROW | {"prediction": "yes", "features": {"x": 1.0, "w": "word", "v": [1.0, 2.0]},
               "segments": {"s": "t"}, "probabilities": {"yes": 0.5}, "prediction_id": str(i)}
        for i in range(5)
    ])
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, len(VALUE) - 1), st.integers(0, 255)), max_size=8))
@settings(max_examples=400)
def test_damage_is_refused_or_read_but_never_an_error(bytes_: list[tuple[int, int]]) -> None:
    value = bytearray(VALUE)
    for at, byte in bytes_:
        value[at] = byte
    try:
        blocks = arrows.rows_in("prediction", bytes(value), HERE)
    except Rejected as refused:
        assert refused.reason in REASONS  # noqa: PT017 - most are refused, some can be read
    else:
        encode_batch(Batch("t", 0, "", 7, 7, 0, blocks))
