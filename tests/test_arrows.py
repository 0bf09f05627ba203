"""Arrow messages: the same blocks as the same rows as JSON, and a reason for whatever is wrong."""

import dataclasses
import datetime
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc
from scipy import stats

from agents import arrows
from agents.arrows import Place
from agents.client import Producer
from stream.batches import Batch, Block, Row, batches_of, decode_batch, encode_batch
from stream.batches.blocks import Kind
from stream.columns import Column
from stream.events import (
    REASONS,
    Limits,
    Prediction,
    Rejected,
    Truth,
    decode_prediction,
    decode_truth,
)
from stream.pipeline import Pipeline
from tests.intakes import Sent, taken_in
from tests.tales import SETTINGS, Tale, Way, chunks, tale
from tests.workers import START_MS as HOUR_ONE_MS
from tests.workers import Deploy

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


def shape(b: Block) -> str:
    classes = None if b.probabilities is None else b.probabilities[0]
    return repr((b.model, b.version, list(b.features), classes, b.segments and list(b.segments)))


def assert_same(kind: Kind, rows: Sequence[Mapping[str, Any]], batch: pa.RecordBatch) -> None:
    """As batches for three partitions of the internal log."""

    def split(given: list[Row]) -> dict[int, list[Block]]:
        found = batches_of("t", "", 0, given, (), 3, 10**6, covered=(7, 7))
        blocks = {p: [x for b in some for x in decode_batch(encode_batch(b)).blocks]
                  for p, some in found.items()}  # fmt: skip
        return {p: sorted(some, key=shape) for p, some in blocks.items()}

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


@given(messages("prediction"))
@settings(max_examples=150)
def test_predictions_make_the_blocks_that_json_makes(rows: list[dict[str, Any]]) -> None:
    assert_same("prediction", rows, table(rows))


@given(messages("truth"))
def test_truths_make_the_blocks_that_json_makes(rows: list[dict[str, Any]]) -> None:
    assert_same("truth", rows, table(rows))


# -- what is wrong with a message

ROW = {"prediction_id": "a", "model": "m", "version": "1", "time": START_MS, "features": {"x": 1.0}}
TRUTH = {"prediction_id": "a", "model": "m", "time": START_MS, "label": 1.0}
NUMBER = pa.struct([("x", pa.int8())])
WORD = pa.array(["a"]).dictionary_encode()
LARGE = pa.array([2**63], pa.uint64())
LIST = pa.FixedSizeListArray.from_arrays(pa.array([1.0] * 1025), 1025)


def spoiled(batch: pa.RecordBatch, how: str) -> pa.RecordBatch:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    if how == "coded":
        columns["model"] = columns["model"].dictionary_encode()
    if how == "nameless":
        columns["prediction_id"] = pa.array([""] * batch.num_rows)
    if how == "ahead":
        columns["time"] = pa.array([START_MS + 10**10] * batch.num_rows)
    return pa.RecordBatch.from_pydict(columns)


PIECES = st.lists(
    st.tuples(
        st.integers(0, 11),
        st.integers(1, 12),
        st.sampled_from(["sound", "sound", "sound", "coded", "nameless", "ahead"]),
    ),
    max_size=8,
)


@pytest.mark.parametrize("kind", ["prediction", "truth"])
@given(st.data(), PIECES, st.booleans())
def test_messages_read_together_are_what_each_is_alone(
    kind: Kind, data: st.DataObject, pieces: list[tuple[int, int, str]], strict: bool
) -> None:
    rows = data.draw(messages(kind))
    unwelcome = rows[0]["model"] if strict else ""

    def check(block: Block) -> None:
        if block.model == unwelcome:
            raise Rejected("unknown-model", unwelcome)

    values: list[tuple[bytes | None, Place]] = [(None, Place(0, START_MS, Limits()))]
    for first, length, how in pieces:
        batch = spoiled(table(rows).slice(first % len(rows), length), how)
        place = Place(len(values), START_MS + len(values), Limits())
        values.append((arrows.written(batch), place))
    alone: list[Row] = []
    refused: dict[int, str] = {}
    for value, place in values:
        try:
            blocks = arrows.rows_in(kind, value, place)
            for block in blocks:
                check(block)
            alone += blocks
        except Rejected as error:
            refused[place.offset] = str(error)
    found = arrows.tables_in(kind, values, check)
    assert {offset: str(error) for offset, error in found.refused.items()} == refused
    assert packed(found.blocks) == packed(alone)


def packed(rows: Sequence[Row]) -> dict[int, list[bytes]]:
    split = batches_of("t", "", 0, rows, (), 3, 10**6, covered=(0, 99))
    return {number: list(map(encode_batch, batches)) for number, batches in split.items()}


def changed(row: Mapping[str, Any], **columns: Any) -> pa.RecordBatch:
    """One good row with other columns; None leaves one out."""
    found = {k: pa.array([v]) for k, v in row.items()} | columns
    return pa.RecordBatch.from_pydict({k: v for k, v in found.items() if v is not None})


def struct(**columns: Any) -> pa.Array:
    return pa.StructArray.from_arrays([pa.array(v) for v in columns.values()], list(columns))


def moments(unit: str, zone: str | None) -> pa.Array:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    return pa.array([START_MS // 1000 * per_second], pa.timestamp(unit, zone))


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


# -- other ways to say the same


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_with_a_zone_are_times(unit: str) -> None:
    (block,) = as_arrow("prediction", changed(ROW, time=moments(unit, "Europe/Berlin")))
    assert isinstance(block, Block)
    assert block.times_ms.tolist() == [START_MS]


@pytest.mark.parametrize(
    "kind", ["int8", "int16", "int32", "int64", "uint8", "uint64", "float16", "float32", "float64"]
)
def test_numbers_of_any_width_are_float64(kind: str) -> None:
    column = pa.array(np.array([1, 2, 3], kind)).cast(kind)
    batch = table([ROW | {"prediction_id": str(i)} for i in range(3)])
    batch = batch.set_column(batch.schema.get_field_index("features"), "features", struct(x=column))
    (block,) = as_arrow("prediction", batch)
    assert isinstance(block, Block)
    assert block.features["x"].numbers.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("text", [pa.utf8(), pa.large_utf8()])
def test_a_dictionary_is_the_text_it_stands_for(text: pa.DataType) -> None:
    rows = [ROW | {"features": {"x": w}} for w in ("a", "b", None, "a")]
    words = pa.DictionaryArray.from_arrays(
        pa.array([2, 1, None, 3], pa.int8()), pa.array(["unused", "b", "a", "a"], text)
    )
    batch = table([ROW] * 4)
    place = batch.schema.get_field_index("features")
    assert_same("prediction", rows, batch.set_column(place, "features", struct(x=words)))


def test_several_record_batches_are_one_message() -> None:
    rows = [ROW | {"prediction_id": str(i), "features": {"x": w}} for i, w in enumerate("abcab")]
    whole = table(rows)
    place = whole.schema.get_field_index("features")
    parts = []
    for part in (whole.slice(0, 2), whole.slice(2)):
        words = part.column(place).field(0).dictionary_encode()
        parts.append(part.set_column(place, "features", struct(x=words)))
    out = pa.BufferOutputStream()
    with ipc.new_stream(out, parts[0].schema) as writer:
        for part in parts:
            writer.write_batch(part)
    found = [*arrows.rows_in("prediction", out.getvalue().to_pybytes(), HERE)]
    assert [len(block) for block in found] == [5]
    (expected,) = as_arrow("prediction", whole)
    assert isinstance(expected, Block)
    assert found[0].features["x"].names() == expected.features["x"].names() == list("abcab")


def test_unknown_columns_are_passed_over() -> None:
    batch = changed(ROW, other=pa.array([datetime.date(2024, 1, 1)]))
    assert len(as_arrow("prediction", batch)) == 1


# -- the document


DOCUMENT = (Path(__file__).parent.parent / "schemas" / "arrow.md").read_text("utf-8")


def test_the_document_names_every_column() -> None:
    for kind, event in (("predictions", Prediction), ("ground-truth", Truth)):
        section = DOCUMENT.split(f"## Columns of `driftline.{kind}`")[1].split("##")[0]
        cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
        assert named == {field.name for field in msgspec.structs.fields(event)}


def test_the_documents_example_is_taken_in() -> None:
    code = DOCUMENT.split("```python\n")[1].split("```")[0]
    sent: list[Any] = []

    class Sender:
        def produce(self, topic: str, value: bytes, headers: Sequence[tuple[str, str]]) -> None:
            sent.append((topic, value, dict(headers)))

    exec(code, {"pa": pa, "producer": Sender()})
    ((topic, value, headers),) = sent
    assert (topic, headers) == ("driftline.predictions", {"content-type": arrows.MEDIA_TYPE})
    place = Place(0, 1_735_689_600_000, Limits())
    (block,) = arrows.rows_in("prediction", value, place)
    assert (block.model, block.version, list(block.features)) == ("claims", "7", ["age", "region"])


# -- the whole way: shares, tallies, signals, alerts, retrain requests


def retold(told: Tale, way: Way, shape: str) -> Pipeline:
    """A story as messages of many rows each (their offsets say so), in JSON or Arrow."""
    pipeline = Pipeline(lambda _: SETTINGS, way.partitions, way.sources)
    for part in told.reference.to_parts(600_000, time=told.events[0].time):
        pipeline.control(part)
    offsets = Counter[tuple[str, int]]()
    for topic, partition, rows in chunks(told.events, way):
        place = Place(offsets[topic, partition], rows[-1][1], Limits())
        offsets[topic, partition] += 1
        kind: Kind = "prediction" if topic == "predictions" else "truth"
        documents = [msgspec.to_builtins(event) for _, _, event in rows]
        found = (
            as_arrow(kind, table(documents), place)
            if shape == "arrow"
            else as_json(kind, documents, place)
        )
        pipeline.rows(topic, partition, found, place.record_ms)
        pipeline.checkpoint()
        if way.restart:
            pipeline.restart()
    pipeline.control({"type": "watermark", "model": "m", "time": told.end_ms})
    pipeline.checkpoint()
    return pipeline


@pytest.mark.parametrize("way", [Way(), Way(3, 2, 37, restart=True)])
def test_arrow_and_json_give_the_same_to_the_last_bit(way: Way) -> None:
    told = tale()
    one, other = retold(told, way, "json"), retold(told, way, "arrow")
    assert one.published == other.published
    assert {m.topic for m in one.published} >= {"evaluations", "alerts", "retrain-requests"}
    assert one.watched == other.watched
    assert one.stored == other.stored, "shares, tallies and pending predictions"
    assert one.references.keys() == other.references.keys()


def test_intake_takes_arrow_and_json_side_by_side() -> None:
    now_ms = Sent(b"").timestamp
    rows = [ROW | {"prediction_id": str(i), "time": now_ms} for i in range(20)]
    arrow = [("Content-Type", arrows.MEDIA_TYPE.encode() + b"; charset=x")]
    bad = arrows.written(table([*rows, rows[0] | {"prediction_id": ""}]))
    outcome = taken_in("predictions", [
        msgspec.json.encode(rows[0]),
        Sent(arrows.written(table(rows)), arrow),
        Sent(bad, arrow),
        Sent(b"{}", arrow),
        Sent(arrows.written(table(rows))),
        msgspec.json.encode(rows[1]),
    ])  # fmt: skip
    assert outcome.reasons == {2: "empty-id", 3: "not-arrow", 4: "not-utf8"}
    assert outcome.letters[0].value == bad
    assert b"row 20" in dict(outcome.letters[0].headers)["driftline-error"]
    found = Counter(
        int(o) for batch in outcome.batches for block in batch.blocks for o in block.offsets
    )
    assert found == {0: 1, 1: 20, 5: 1}
    assert outcome.acked == [6]


def test_control_events_are_not_taken_in_as_arrow() -> None:
    arrow = [("content-type", arrows.MEDIA_TYPE.encode())]
    outcome = taken_in("control", [Sent(arrows.written(table([ROW])), arrow)])
    assert outcome.reasons == {0: "unknown-content-type"}


HOURLY = """
[models.m]
pane_s = 3600
windows_s = [3600]
idle_s = "1h"
minimum_rows = 50
"""


def test_a_clients_batches_through_a_real_worker(deploy: Deploy) -> None:
    d = deploy(HOURLY)
    d.start()
    rng = np.random.default_rng(5)
    reference, live = rng.normal(40, 12, 900), rng.normal(42, 12, 2_000)
    features = {"age": {"values": reference.tolist()}}
    d.control("reference", "m", version="1", features=features, active_from=HOUR_ONE_MS)
    ids = [f"p{i}" for i in range(len(live))]
    times = HOUR_ONE_MS + np.arange(len(live))
    with Producer(d.kafka.bootstrap, "m", "1", prefix=d.name) as client:
        client.predict_batch(ids, {"age": live}, prediction=live > 40, time=times)
        client.truth_batch(ids, live > 41, time=times + 60_000)
    d.close_time("m", HOUR_ONE_MS + 2 * 3_600_000)
    d.until(lambda: d.evaluations("quality") and d.evaluations())
    (evaluation,) = d.evaluations()
    found = {r["subject"]: r["p_value"] for r in evaluation["readings"]}
    assert found["age"] == stats.ks_2samp(reference, live).pvalue
    quality = {r["check"]: r["statistic"] for e in d.evaluations("quality") for r in e["readings"]}
    assert quality["accuracy"] == pytest.approx(np.mean((live > 40) == (live > 41)))
    assert d.read("dead-letters") == []
