"""Small stories as raw records, and what the pipeline in memory makes of them."""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import structs

from agents.chunks import TP
from agents.settings import Settings
from stream.events import Limits as Decoding
from stream.events import Prediction, Truth, decode_prediction, decode_truth
from stream.pipeline import Pipeline
from stream.settings import DAY_S, ModelSettings
from tests import tales
from tests.tales import DAY_MS, START_MS, Tale

CONFIG = Settings()
SOURCES = 2  # partitions of each topic of predictions and truth
LEDGERS = 2
NAMES = {"predictions": SOURCES, "ground-truth": SOURCES, "control": 1, "events": LEDGERS}
COUNTS = {CONFIG.topics.name(name): count for name, count in NAMES.items()}
COUNTS[CONFIG.topics.name("signals")] = 1
PREDICTIONS, TRUTHS, CONTROL, EVENTS, SIGNALS = COUNTS

WATCHED: ModelSettings = dataclasses.replace(
    tales.SETTINGS,
    windows_s=(DAY_S, 2 * DAY_S),
    idle_s=DAY_S / 4,
    minimum_rows=10,
    reference_rows=20,
    retrain_minimum_labels=20,
    horizon_s=DAY_S,
)
"""Truth comes within the horizon, which is short enough that entries expire before the end."""


@dataclasses.dataclass(frozen=True)
class Story:
    """Raw records by source partition, as (record time in ms, value), and the last words.

    registration: control events that come before all others. All times are event times.
    """

    registration: Sequence[bytes]
    records: dict[TP, list[tuple[int, bytes]]]
    end: bytes
    end_ms: int


@functools.cache
def story(seed: int) -> Story:
    """Four days of a few predictions; some truth is doubled, revised or taken back.

    Source partition 1 falls silent half-way.
    """
    told = tales.tale(days=4, rows=16, delay_ms=DAY_MS // 3, seed=seed)
    parts = told.reference.to_parts(600_000, time=START_MS)
    end = {"type": "watermark", "model": "m", "time": told.end_ms}
    said = [msgspec.json.encode(part) for part in parts]
    return Story(said, _records(told), msgspec.json.encode(end), told.end_ms)


def _records(told: Tale) -> dict[TP, list[tuple[int, bytes]]]:
    found: dict[TP, list[tuple[int, bytes]]] = defaultdict(list)
    half_ms = (START_MS + told.end_ms) // 2
    for i, event in enumerate(told.events):
        topic = PREDICTIONS if isinstance(event, Prediction) else TRUTHS
        place = TP(topic, i // 3 % SOURCES if event.time < half_ms else 0)
        found[place] += [(one.time, _raw(one)) for one in _said(i, event)]
    for rows in found.values():
        rows.sort(key=lambda row: row[0])
    return dict(found)


def _said(i: int, event: Prediction | Truth) -> Sequence[Prediction | Truth]:
    """An event, and what else is said of its id."""
    if i % 7 == 1:
        return event, event
    if isinstance(event, Truth) and i % 5 == 1:
        other = "0" if event.label == "1" else "1"
        return event, structs.replace(event, label=other, revision=1, time=event.time + 1)
    if isinstance(event, Truth) and i % 11 == 1:
        return event, structs.replace(event, retracted=True, revision=2, time=event.time + 1)
    return (event,)


def _raw(event: Prediction | Truth) -> bytes:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return msgspec.json.encode({k: v for k, v in fields.items() if v not in (None, {}, "")})


@functools.cache
def oracle(seed: int) -> Pipeline:
    """The story told in memory, one source partition after the other, without any accident."""
    told = story(seed)
    pipeline = Pipeline(lambda _: WATCHED, LEDGERS, SOURCES)
    for raw in told.registration:
        pipeline.control(msgspec.json.decode(raw))
    for tp, records in sorted(told.records.items()):
        decode = decode_prediction if tp.topic == PREDICTIONS else decode_truth
        rows = [
            (offset, at_ms, decode(raw, None, at_ms, Decoding()))
            for offset, (at_ms, raw) in enumerate(records)
        ]
        pipeline.rows(tp.topic, tp.partition, rows, rows[-1][1])
        pipeline.checkpoint()
    pipeline.control(msgspec.json.decode(told.end))
    pipeline.checkpoint()
    for ledger, state in zip(pipeline.ledgers, pipeline.stored, strict=True):
        ledger.expire(state.pending)
    pipeline.checkpoint()
    return pipeline
