"""Stages: what each step of ingest costs by itself, in one thread, without Kafka and Redis.

The steps are those of the worker, on the same records in the same chunks; what the whole takes
beyond their sum is transport: fetching, producing, Redis, threads that wait for each other.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from agents.store.changes import Changes as Stored
from agents.store.changes import Limits as Sizes
from agents.store.changes import redo_of
from agents.worker import MAX_VALUE_BYTES
from bench.samples import reference_event, rows_of
from stream.batches import Batch, batches_of, decode_batch, encode_batch
from stream.batches.reading import Raw, read_predictions
from stream.batches.shapes import Shapes
from stream.events import Limits
from stream.ledger import Ledger
from stream.marks import marks_of, told_to_all
from stream.settings import ModelSettings

Answer = TypeVar("Answer")
CHUNK = 3_500  # records that one fetch of a megabyte brings
BATCH_BYTES = 700_000
REFERENCE_ROWS = 2_000


class Stages:
    """Seconds of processor time by step, over all that was taken in."""

    def __init__(self, partitions: int, now_ms: int, features: int) -> None:
        self.partitions, self.now_ms = partitions, now_ms
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.shapes, self.limits = Shapes(), Limits()
        settings = ModelSettings()
        self.ledgers = [Ledger(p, partitions, lambda _: settings) for p in range(partitions)]
        event = reference_event(rows_of(REFERENCE_ROWS, now_ms, features, seed=2), now_ms)
        for ledger in self.ledgers:
            ledger.apply(Batch("", 0, "", 0, 0, now_ms, [], [(0, now_ms, event)]), {})
            ledger.changes()

    def take(self, source: int, first: int, values: Sequence[bytes]) -> None:
        """A chunk of a source partition, through intake and ledgers."""
        times = np.full(len(values), self.now_ms)
        raw = Raw(np.arange(first, first + len(values)), times, values)
        read = self._timed("decode JSON", read_predictions, raw, self.shapes, self.limits)
        for number, batch in self._timed("split", self._split, source, raw, read.blocks):
            packed = self._timed("pack", encode_batch, batch)
            found = self._timed("unpack", decode_batch, packed)
            self._timed("look up", self.ledgers[number].wanted, found)
            self._timed("join and count", self.ledgers[number].apply, found, {})

    def _split(self, source: int, raw: Raw, blocks: list[Any]) -> list[tuple[int, Batch]]:
        covered, n = (int(raw.offsets[0]), int(raw.offsets[-1])), self.partitions
        split = batches_of("t", "", source, blocks, (), n, BATCH_BYTES, covered=covered)
        empty = Batch("t", source, "", *covered, self.now_ms, [])
        told = told_to_all(split, empty, marks_of(blocks), n, n)
        return [(number, batch) for number, some in told.items() for batch in some]

    def checkpoint(self) -> None:
        """What each ledger has to make durable."""
        for ledger in self.ledgers:
            made = self._timed("checkpoint", ledger.changes)
            stored = Stored(made.puts, made.deletes, made.pending_puts, made.pending_deletes)
            self._timed("checkpoint", redo_of, stored, Sizes(value_bytes=MAX_VALUE_BYTES))

    def _timed(self, name: str, step: Callable[..., Answer], *args: Any) -> Answer:
        start = time.thread_time()
        answer = step(*args)
        self.spent[name] += time.thread_time() - start
        return answer


def stages(
    values: Sequence[bytes], now_ms: int, features: int, partitions: int
) -> dict[str, float]:
    """Microseconds a record by step."""
    found = Stages(partitions, now_ms, features)
    for number, (source, first, some) in enumerate(_chunks(values, partitions)):
        found.take(source, first, some)
        if number % partitions == partitions - 1:
            found.checkpoint()
    return {name: spent / len(values) * 1e6 for name, spent in found.spent.items()}


def _chunks(values: Sequence[bytes], partitions: int) -> Iterator[tuple[int, int, Sequence[bytes]]]:
    own = [values[p::partitions] for p in range(partitions)]
    for at in range(0, len(own[0]), CHUNK):
        yield from ((p, at, own[p][at : at + CHUNK]) for p in range(partitions) if own[p][at:])
