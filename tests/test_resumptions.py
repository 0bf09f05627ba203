"""Messages to the watch that are lost for good: every window is judged as if they had come."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from stream.clocks import Gap
from stream.panes import BEFORE_ALL
from stream.pipeline import Pipeline
from stream.resumptions import LOST, SHARES, Standing, close, concerns, holes, key_of
from tests import tales
from tests.tales import START_MS, Tale, Way

PLAIN = dataclasses.replace(tales.SETTINGS, detectors=())
TOLD = tales.tale()


class Lossy(Pipeline):
    """Its signals are lost while it is deaf."""

    deaf = False
    lost = 0

    def _save_ledgers(self) -> None:
        for ledger, state in zip(self.ledgers, self.stored, strict=True):
            changes = ledger.changes()
            self._save(state, changes)
            for message in changes.outbox:
                if message.topic != "signals":
                    self.published.append(message)
                elif self.deaf:
                    self.lost += 1
                else:
                    self.watch.receive(message.value)

    def mend(self) -> int:
        """Close all holes; how many messages are missing."""
        found = holes(self.watch, list(self._standings()))
        for hole in found:
            close(self.watch, hole)
        assert not holes(self.watch, list(self._standings()))
        self._save(self.watched, self.watch.changes())
        return sum(hole.lost for hole in found)

    def _standings(self) -> Iterator[Standing]:
        for ledger, state in zip(self.ledgers, self.stored, strict=True):
            for book in ledger.shelf:
                sealed = {
                    field: raw
                    for field, raw in state.fields.items()
                    if field.startswith(SHARES) and key_of(field) == book.key
                }
                truths = ledger.shelf.truths.get(book.model)
                label_ms = truths.watermark_ms if truths else BEFORE_ALL
                where = (ledger.partition, self.partitions)
                yield Standing(book, *where, label_ms, sealed, ())


def play(way: Way, deaf: range, told: Tale = TOLD, *, mend_last: bool = False) -> Lossy:
    """The story, with the watch deaf during some chunks and mended behind them."""
    pipeline = Lossy(lambda _: PLAIN, way.partitions, way.sources)
    for part in told.reference.to_parts(600_000, time=START_MS):
        pipeline.control(part)
    for number, (topic, partition, rows) in enumerate(tales.chunks(told.events, way)):
        pipeline.deaf = number in deaf
        pipeline.rows(topic, partition, rows, rows[-1][1])
        pipeline.checkpoint()
        if number + 1 == deaf.stop and not mend_last:
            assert pipeline.mend() == pipeline.lost
            pipeline.restart()
    pipeline.control({"type": "watermark", "model": "m", "time": told.end_ms})
    pipeline.checkpoint()
    if mend_last:
        assert pipeline.mend() == pipeline.lost
        pipeline.checkpoint()
    return pipeline


def by_id(pipeline: Pipeline, topic: str) -> dict[str, Any]:
    """What came out on a topic."""
    return {event["id"]: event for event in tales.events(pipeline, topic)}


WAYS = [Way(), Way(partitions=3, sources=2, chunk=40), Way(partitions=2, chunk=7)]
DEAF = [range(2), range(1, 4), range(3, 5)]


@pytest.mark.parametrize("deaf", DEAF, ids=str)
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_window_is_judged_as_if_nothing_had_been_lost(way: Way, deaf: range) -> None:
    found, wanted = play(way, deaf), play(way, range(0))
    assert found.lost > 0
    assert wanted.lost == 0
    for topic in ("evaluations", "alerts"):  # in another order, perhaps
        assert by_id(found, topic) == by_id(wanted, topic)
    (monitor,) = found.watch.monitors.values()
    assert monitor.memory.counts[LOST] == found.lost


def test_where_nothing_follows_watermarks_come_from_the_ledger() -> None:
    found = play(WAYS[1], range(1, 10_000), mend_last=True)
    wanted = play(WAYS[1], range(0))
    assert by_id(found, "evaluations") == by_id(wanted, "evaluations")


def test_without_it_the_watch_stops_with_the_command() -> None:
    pipeline = Lossy(lambda _: PLAIN, 1, 1)
    for number, (topic, partition, rows) in enumerate(tales.chunks(TOLD.events, Way())):
        pipeline.deaf = number == 1
        pipeline.rows(topic, partition, rows, rows[-1][1])
        if number == 2:
            with pytest.raises(Gap, match=r"driftline repair signals$"):
                pipeline.checkpoint()
            return
        pipeline.checkpoint()


def test_a_watch_ahead_of_its_ledgers_goes_back_to_them() -> None:
    pipeline = play(Way(), range(0))
    ledger, watch = pipeline.ledgers[0], pipeline.watch
    (book,) = ledger.shelf
    (monitor,) = watch.monitors.values()
    book.sequence -= 3
    (hole,) = holes(watch, list(pipeline._standings()))
    assert hole.lost == 0
    close(watch, hole)
    assert monitor.memory.clocks.clocks[0].sequence == book.sequence


def test_what_waits_is_not_lost() -> None:
    pipeline = play(Way(), range(0))
    ledger = pipeline.ledgers[0]
    (book,) = ledger.shelf
    known, book.sequence = book.sequence, book.sequence + 5
    waiting = [known + 3, known + 4, known + 5]
    (one,) = pipeline._standings()
    (hole,) = holes(pipeline.watch, [dataclasses.replace(one, waiting=waiting)])
    assert (hole.first, hole.last) == (known + 1, known + 2)


def test_only_what_concerns_a_model_version_is_told_again() -> None:
    (book,) = play(Way(), range(0)).ledgers[0].shelf
    event = {"type": "retraining-accepted", "model": "m", "version": "1"}
    assert concerns(event, book)
    assert not concerns(event | {"version": "2"}, book)
    assert concerns(event | {"type": "recalibration"}, book)
    assert not concerns(event | {"type": "reference"}, book)
