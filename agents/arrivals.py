"""Arrivals: what one fetch brought, batch by batch, as the lists that aiokafka's parser makes.

aiokafka takes record after record, copies each into an object of its own and moves its position by
one. Which batches count (transactions, checksums) stays with it; their records come at once.
Built on inner parts of aiokafka 0.14.
"""

import functools
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer.fetcher import (  # type: ignore[import-untyped]
    FetchResult,
    PartitionRecords,
)


class Whole:
    """A batch whose iterator has one item: all its records, in place of a record."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator["Together"]:
        records = list(self._batch)
        return iter([Together(records)] if records else [])


class Together:
    """Records of one batch, at the offset of the last one."""

    def __init__(self, records: list[Any]) -> None:
        self.records = records
        self.offset = records[-1].offset


class Batches:
    """In place of aiokafka's `MemoryRecords`. Markers of transactions are left as they are."""

    def __init__(self, records: Any) -> None:
        self.has_next = records.has_next
        self._next = records.next_batch

    def next_batch(self) -> Any:
        """The next one, which there must be."""
        batch = self._next()
        return batch if batch.is_control_batch else Whole(batch)


class Records(PartitionRecords):  # type: ignore[misc]
    """Lists of records, each with all that `agents.chunks.Record` asks for.

    left: those of the last batch that were more than was asked for.
    """

    left: list[Any]

    def _consumer_record(self, _: Any, together: Any) -> Any:
        """Those of a batch that were not read yet: a fetch begins with a whole batch."""
        records, first = together.records, self.next_fetch_offset
        return records if records[0].offset >= first else [r for r in records if r.offset >= first]

    def take(self, most: int | None) -> tuple[list[Any], bool]:
        """At most so many records, and whether that was the end of them."""
        found, self.left, ended = self.left, [], False
        while not ended and (most is None or len(found) < most):
            some = next(self, None)
            ended = some is None
            found += some or ()
        if most is not None and len(found) > most:
            found, self.left = found[:most], found[most:]
        if not ended:
            self.next_fetch_offset = found[-1].offset + 1
        return found, ended


def take_at_once(result: FetchResult) -> None:
    """Let `result.getall` answer in lists; nothing of it may have been read so far."""
    records = result._partition_records
    if records is None or isinstance(records, Records):
        return
    records.__class__, records.left = Records, []
    records._records = Batches(records._records)
    result.getall = functools.partial(_getall, result)


def _getall(result: FetchResult, max_records: int | None = None) -> list[Any]:
    """What `FetchResult.getall` does."""
    if not result.check_assignment(result._topic_partition) or not result.has_more():
        return []
    found: list[Any]
    found, ended = result._partition_records.take(max_records)
    result._update_position()
    if ended:
        result._partition_records = None
    return found
