"""Controls: every partition takes them in, one of them passes them on or complains."""

import json
from typing import Any

from stream.batches import Batch
from stream.changes import Changes
from stream.controls import Controls
from stream.events import REASONS, Limits
from stream.hashes import id_hash
from stream.shelves import Shelf
from tests.ledgers import SETTINGS, reference_of

BATCH = Batch("driftline.control", 3, "", 0, 9, 1_000, [])
REQUIRED = ("reason", "error", "topic", "partition", "offset", "timestamp")


class World:
    def __init__(self, partition: int = 0, partitions: int = 4, limit: int = 10) -> None:
        self.controls = Controls(partition, partitions, Limits())
        self.shelf, self.changes = Shelf(lambda _: SETTINGS, limit), Changes()

    def update(self, event: Any) -> str | None:
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        return self.controls.update(BATCH, (7, 2_000, raw), self.shelf, self.changes)


def registered(version: str = "1") -> dict[str, Any]:
    return {"type": "model-registered", "model": "m", "version": version, "time": 1_000}


def test_what_concerns_the_watch_is_passed_on_by_one_partition() -> None:
    told = []
    for partition in range(4):
        world = World(partition)
        assert world.update(registered()) == "m"
        (book,) = world.shelf
        told.append(len(book.control))
    assert told == [int(p == id_hash("m", "") % 4) for p in range(4)]


def test_a_reference_is_active_from_the_start_a_second_one_from_its_own_time() -> None:
    world = World()
    for values, time_ms in (([1.0, 2.0], 5_000), ([3.0, 4.0], 6_000)):
        for event in reference_of(values).to_parts(600_000, time=time_ms):
            assert world.update(event) == "m"
    (book,) = world.shelf
    assert [since for since, _ in book.active][1:] == [6_000]
    assert book.active[0][0] < 0
    assert set(world.changes.references) == {ref for _, ref in book.active}
    assert world.controls.touched


def test_a_control_event_that_cannot_be_used_is_a_dead_letter_of_the_first_partition() -> None:
    bad = reference_of([1.0, 2.0]).to_parts(600_000, time=1_000)[0] | {"reference_id": "else"}
    for partition, letters in ((0, 2), (1, 0)):
        world = World(partition)
        assert world.update(bad) is None
        assert world.update(b"{") is None
        assert len(world.changes.outbox) == letters
        for letter, reason in zip(
            world.changes.outbox, ("bad-reference", "not-json"), strict=False
        ):
            headers = dict(letter.headers)
            assert headers.pop("driftline-error")
            assert headers == {
                "driftline-reason": reason.encode(),
                "driftline-topic": b"driftline.control",
                "driftline-partition": b"3",
                "driftline-offset": b"7",
                "driftline-timestamp": b"2000",
            }
            assert reason in REASONS
            assert letter.topic == "dead-letters"


def test_a_stated_watermark_is_a_floor_for_the_versions_it_names_and_for_the_truth() -> None:
    for version, floors in ((None, [9_000, 9_000, 9_000]), ("2", [-1, 9_000, -1])):
        world = World()
        for known in "12":
            world.update(registered(known))
        event = {"type": "watermark", "model": "m", "time": 9_000, "version": version}
        assert world.update(event) == "m"
        truths = world.shelf.truths_of("m")
        assert truths is not None
        fronts = [book.front for book in world.shelf] + [truths.front]
        assert [max(front.floor_ms, -1) for front in fronts] == floors


def test_past_the_limit_of_models_nothing_is_opened() -> None:
    world = World(limit=1)
    world.update(registered("1"))
    assert world.update(registered("2")) is None
    reference = reference_of([1.0], "3").to_parts(600_000, time=1_000)[0]
    assert world.update(reference) is None
    world.update({"type": "watermark", "model": "n", "time": 9_000})
    assert world.update({"type": "watermark", "model": "o", "time": 9_000}) is None
    assert len(world.shelf) == 1
