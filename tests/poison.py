"""Bad records of every kind, by topic, with the reason against each; good ones, and what came of
them in a form that can be compared."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from stream.batches import Block
from tests import malformed
from tests.intakes import Outcome, Sent

NOW_MS = 1_772_442_900_000
ARROW = [("content-type", b"application/vnd.apache.arrow.stream")]
SOURCES = ("predictions", "ground-truth", "control")
LARGEST = 1_000_000
PER_KIND = 2  # of the malformed documents, which tests of their own try one by one

Bad = tuple[str, Sent]


def good(topic: str, number: int) -> Sent:
    """One that is taken in."""
    event: dict[str, Any] = {"model": f"m{number % 2}", "time": NOW_MS + number}
    if topic == "predictions":
        event |= {"prediction_id": f"p{number}", "version": "1", "prediction": "yes"}
        event |= {"features": {"x": number / 2, "c": "ab"[number % 2]}}
    elif topic == "ground-truth":
        event |= {"prediction_id": f"p{number}", "label": "yes"}
    else:
        event |= {"type": "model-registered", "version": "1", "owner": f"team {number}"}
    return Sent(json.dumps(event).encode())


def changed(topic: str, **fields: object) -> bytes:
    """A good one with other fields; None leaves one out."""
    event = json.loads(good(topic, 0).value or b"") | fields
    return json.dumps({k: v for k, v in event.items() if v is not None}).encode()


def stream(table: pa.Table) -> bytes:
    """An Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def bad(topic: str) -> Iterator[Bad]:
    """Kind and record, everything that a topic refuses."""
    yield from _values(topic)
    yield from _times(topic)
    yield from _types(topic)
    if topic != "control":
        yield from _arrows(topic)
    taken: dict[str, int] = {}
    for kind, value in malformed.cases():
        taken[kind] = taken.get(kind, 0) + 1
        if taken[kind] <= PER_KIND:
            yield "malformed " + kind, Sent(value)


def _values(topic: str) -> Iterator[Bad]:
    deep = b'{"a":' * 60_000 + b"1" + b"}" * 60_000
    yield "null", Sent(None)
    yield "nothing", Sent(b"")
    yield "huge", Sent(changed(topic, client="x" * LARGEST))
    yield "deep", Sent(deep)
    yield "not UTF-8", Sent(changed(topic, model="M").replace(b'"M"', b'"\xff\xfe"'))
    yield "half a pair", Sent(changed(topic, model="M").replace(b'"M"', b'"\\ud800"'))
    yield "a list", Sent(b"[]")
    yield "no model", Sent(changed(topic, model=None))
    yield "an empty model", Sent(changed(topic, model=""))
    yield "a model that is a number", Sent(changed(topic, model=7))
    yield "a NUL", Sent(changed(topic, model="a\0b"))
    yield "a long name", Sent(changed(topic, model="m" * 300))
    yield "cut", Sent((good(topic, 0).value or b"")[:-1])
    yield "two", Sent((good(topic, 0).value or b"") * 2)
    if topic == "control":
        yield "an unknown type", Sent(changed(topic, type="launch"))
        yield "no type", Sent(changed(topic, type=None))
    else:
        yield "no id", Sent(changed(topic, prediction_id=None), key=None)
        yield "an empty id", Sent(changed(topic, prediction_id=""))
        yield "an id from no text", Sent(changed(topic, prediction_id=None), key=b"\xff\xfe")
    if topic == "predictions":
        yield "NaN", Sent(changed(topic).replace(b"0.0", b"NaN"))
        yield "a number too large", Sent(changed(topic).replace(b"0.0", b"1e999"))
        yield "many features", Sent(changed(topic, features={str(i): 1 for i in range(2_001)}))
        yield "many segments", Sent(changed(topic, segments={str(i): "x" for i in range(65)}))
        yield "a long vector", Sent(changed(topic, features={"v": [0] * 1_025}))


def _times(topic: str) -> Iterator[Bad]:
    yield "no time", Sent(changed(topic, time=None))
    yield "seconds", Sent(changed(topic, time=NOW_MS // 1000))
    yield "a time without a zone", Sent(changed(topic, time="2026-01-01T00:00:00"))
    yield "a time of the future", Sent(changed(topic, time=NOW_MS + 10**12))
    yield "a time that is none", Sent(changed(topic, time="yesterday"))
    yield "a time before all", Sent(changed(topic, time="1969-12-31T23:59:59Z"))


def _types(topic: str) -> Iterator[Bad]:
    value = good(topic, 0).value
    for name in (b"application/avro", b"application/cloudevents+json", b"\xff\xfe", b"text/plain"):
        yield f"content type {name!r}", Sent(value, [("content-type", name)])
    if topic == "control":
        yield "Arrow where there is none", Sent(value, ARROW)


def _arrows(topic: str) -> Iterator[Bad]:
    whole = stream(pa.table({"prediction_id": ["a"], "model": ["m"]}))
    yield "JSON that says it is Arrow", Sent(good(topic, 0).value, ARROW)
    yield "no bytes of Arrow", Sent(b"", ARROW)
    yield "null that says it is Arrow", Sent(None, ARROW)
    yield "garbage", Sent(bytes(range(256)) * 4, ARROW)
    yield "half a stream", Sent(whole[: len(whole) // 2], ARROW)
    yield "a stream and more", Sent(whole + b"more", ARROW)
    yield "no columns of ours", Sent(stream(pa.table({"a": [1]})), ARROW)
    yield "Arrow that says it is JSON", Sent(whole)


def rows(found: Outcome, leave_out: int | None = None) -> list[tuple[Any, ...]]:
    """All rows and control events, with all that is in them, in order of their source."""
    told = [row for batch in found.batches for block in batch.blocks for row in _rows(block)]
    told += {("control", *row) for batch in found.batches for row in batch.control}
    return sorted((row for row in told if row[1] != leave_out), key=lambda row: row[1])


def _rows(block: Block) -> Iterator[tuple[Any, ...]]:
    columns: dict[str, Any] = {**block.features, "prediction": block.prediction}
    named = {name: c.names() for name, c in columns.items() if c is not None}
    labels = block.label.names() if block.label is not None else [None] * len(block)
    for i, offset in enumerate(block.offsets.tolist()):
        values = tuple(sorted((name, found[i]) for name, found in named.items()))
        place = (block.kind, offset, block.model, block.version)
        yield *place, int(block.ids[i]), int(block.times_ms[i]), values, labels[i]
