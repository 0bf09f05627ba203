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
from stream.batches import Block, Row, batches_of, decode_batch, encode_batch
from stream.batches.blocks import Kind
from stream.columns import Column
from stream.events import (
    Limits,
    Prediction,
    Rejected,
    Truth,
)
from stream.pipeline import Pipeline
from tests.arrows import (
    HERE,
    ROW,
    START_MS,
    as_arrow,
    as_json,
    changed,
    messages,
    moments,
    struct,
    table,
)
from tests.intakes import Sent, taken_in
from tests.tales import SETTINGS, Tale, Way, chunks, tale
from tests.workers import START_MS as HOUR_ONE_MS
from tests.workers import Deploy


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


@given(messages("prediction"))
@settings(max_examples=150)
def test_predictions_make_the_blocks_that_json_makes(rows: list[dict[str, Any]]) -> None:
    assert_same("prediction", rows, table(rows))


@given(messages("truth"))
def test_truths_make_the_blocks_that_json_makes(rows: list[dict[str, Any]]) -> None:
    assert_same("truth", rows, table(rows))


# -- several messages together


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
