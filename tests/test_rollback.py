"""Redis is rolled back under running workers, or between two: what it lost is made whole, exactly.

A copy of its data is taken while the story goes on; later that copy is put in its place. What was
published in between is published again under the same ids, with the same words.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from agents.embedded import EmbeddedRedis
from agents.worker import EXIT_UNFIT
from tests import servers
from tests.faults import overtake
from tests.nurseries import Nursery
from tests.processes import PATIENCE_S, Process
from tests.servers import Kafka
from tests.test_crashes import MODEL, SETTINGS, Story
from tests.workers import Deployment

OK = 0
PARTS = 5
SAID = "Redis was rolled back"


class Rolling:
    """A Redis that keeps its data in a folder, of which copies are taken and put back."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.server = EmbeddedRedis(servers.redis_binary(), dir=str(self.home), **options)

    def save(self) -> None:
        """Keep a copy of what it has now, while it is written to."""
        with self.client() as client:
            client.save()
        shutil.copy(self.home / "dump.rdb", self.folder / "copy.rdb")

    def roll_back(self) -> None:
        """It dies, and comes up with the copy."""
        self.server.kill()
        shutil.copy(self.folder / "copy.rdb", self.home / "dump.rdb")
        self.server.start()

    def cut(self, share: float) -> None:
        """It dies, and comes up without the end of its append-only file."""
        self.server.kill()
        log = max(self.home.rglob("*aof"), key=lambda path: path.stat().st_size)
        with log.open("r+b") as file:
            file.truncate(int(log.stat().st_size * share))
        self.server.start()

    def client(self) -> "contextlib.closing[redis.Redis]":
        return contextlib.closing(redis.Redis.from_url(self.server.url))


@pytest.fixture
def snapshots(tmp_path: Path) -> Iterator[Rolling]:
    found = Rolling(tmp_path, appendonly="no", dbfilename="dump.rdb")
    with found.server:
        yield found


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Rolling]:
    found = Rolling(tmp_path, appendonly="yes", appendfsync="always", aof_use_rdb_preamble="no")
    with found.server:
        yield found


class Told(Story):
    """A story on a Redis that is rolled back."""

    def __init__(self, d: Deployment, nursery: Nursery) -> None:
        super().__init__(d, nursery, PARTS)
        d.starting = nursery.start

    def begin(self) -> Process:
        worker = self.d.start(http=True)
        self.send_reference()
        self.d.until_taken_in()
        return worker

    def tell(self, number: int) -> None:
        self.send(self.parts[number])
        self.d.until_idle()

    def said(self) -> int:
        return sum(len(self.d.read(topic)) for topic in ("evaluations", "alerts"))

    def conclude(self) -> None:
        """All is published, nothing else is, and no id has two meanings."""
        self.finish()
        self.check()


@pytest.fixture
def tell(
    real_kafka: Kafka, nursery: Nursery, namespace: str, tmp_path: Path
) -> Iterator[Callable[[Rolling], Told]]:
    with contextlib.ExitStack() as stack:

        def make(where: Rolling) -> Told:
            d = Deployment(real_kafka, where.server.url, namespace, tmp_path, MODEL, **SETTINGS)
            return Told(stack.enter_context(d), nursery)

        yield make


@pytest.mark.parametrize("restarted", [False, True], ids=["alive", "restarted"])
def test_an_older_snapshot_is_made_whole(
    restarted: bool, snapshots: Rolling, tell: Callable[[Rolling], Told]
) -> None:
    story = tell(snapshots)
    worker = story.begin()
    story.tell(0)
    story.send(story.parts[1])
    snapshots.save()  # in the middle of it
    story.tell(2)
    before = story.said()
    story.tell(3)
    story.d.until(lambda: story.said() > before)  # something that Redis is to forget
    if restarted:
        assert worker.stop() == OK
    snapshots.roll_back()
    if restarted:
        worker = story.d.start(http=True)
    story.d.until(lambda: SAID in worker.log())
    story.tell(4)
    story.conclude()
    assert "passed over" in worker.log()


@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_the_lost_end_of_an_append_only_file_is_made_whole(
    share: float, log: Rolling, tell: Callable[[Rolling], Told]
) -> None:
    story = tell(log)
    worker = story.begin()
    for number in range(3):
        story.tell(number)
    story.send(story.parts[3])
    time.sleep(share)  # at any moment
    log.cut(share)
    if share < 0.9:  # else no whole checkpoint may be missing: one is applied again
        story.d.until(lambda: SAID in worker.log())
    story.tell(4)
    story.conclude()


def test_a_flushed_redis_is_filled_again_from_the_begin_of_the_log(
    snapshots: Rolling, tell: Callable[[Rolling], Told]
) -> None:
    story = tell(snapshots)
    worker = story.begin()
    for number in range(3):
        story.tell(number)
    with snapshots.client() as client:
        client.flushall()
    story.tell(3)
    story.d.until(lambda: f"{SAID}: its state is gone" in worker.log())
    story.tell(4)
    story.conclude()


def test_what_kafka_has_no_more_ends_the_worker_in_words(
    snapshots: Rolling, tell: Callable[[Rolling], Told]
) -> None:
    story = tell(snapshots)
    worker = story.begin()
    story.tell(0)
    snapshots.save()
    story.tell(1)
    assert worker.stop() == OK
    snapshots.roll_back()
    overtake(story.d, "events")
    worker = story.d.start(wait=False)
    story.d.processes.remove(worker)
    with contextlib.closing(worker):
        assert worker.process.wait(PATIENCE_S) == EXIT_UNFIT, worker.log()
        assert "Traceback" not in worker.log()
        assert "driftline repair" in worker.log()
