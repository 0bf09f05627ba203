"""A worker dies at every point there is: what its successors make of it is exact.

Each point takes three workers in a row: at its first hit, at its first hit again (during the
recovery from the one before), and at a later one. A fourth one finishes the story.
"""

import asyncio
import signal
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import msgspec
import pytest
import redis
from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped]
from aiokafka.errors import GroupCoordinatorNotAvailableError  # type: ignore[import-untyped]
from aiokafka.protocol.group import LeaveGroupRequest  # type: ignore[import-untyped]

from agents.complaints import BadSettings
from agents.crashes import EXIT_CRASHED, POINTS, VARIABLE, Crash, from_environment
from agents.embedded import EmbeddedRedis
from agents.store import nothing
from stream.events import Prediction
from stream.pipeline import Pipeline
from tests import oracles, servers, tales
from tests.nurseries import Nursery
from tests.processes import PATIENCE_S, Process
from tests.servers import Kafka
from tests.workers import Deploy, Deployment

OK, USAGE = 0, 2
PARTITIONS = 2
LATER = 3
ALONE = ("before reference", "after reference")
LATEST = dict.fromkeys(ALONE, PARTITIONS)  # there is one reference, and each partition keeps it
GOING = ("before close", "after close")  # only who is told to stop gets there
MODEL = f"[models.m]{tales.KEYS}"
SETTINGS: dict[str, dict[str, object]] = {
    "topics": {"partitions": PARTITIONS},
    "worker": {"checkpoint_s": 0.1, "max_chunk_records": 25},
}
DAMAGED = b"no JSON"
AT_ONCE = 3
LIMIT_S = 600  # each wait in here has its own
LATER_S = 15  # for a later hit: how many there are depends on how the chunks fell
OLD_BUCKETS = 4


def chain(point: str) -> list[tuple[str, int]]:
    """At which point and hit one worker after the other dies."""
    if point.endswith("sweep"):  # nothing is swept but what an attempt has left
        return [("after stage", 1), (point, 1)] * 2
    if point.endswith(
        ("ids", "pending")
    ):  # a store that was empty when it was claimed is not asked
        return [("after apply", LATER), (point, 1), (point, LATER)]
    return [(point, 1), (point, 1), (point, LATEST.get(point, LATER))]


def old_buckets(d: Deployment) -> None:
    """What is pending lies as an earlier version kept it: in a fixed number of buckets."""
    with closing(redis.Redis.from_url(str(d.told["redis"]["url"]))) as client:
        for number in range(PARTITIONS):
            tag = f"{d.name}:{{ledger:{number}}}:"
            keys: Any = list(client.scan_iter(f"{tag}pending:*"))
            entries: dict[bytes, bytes] = {}
            for key in keys:
                entries |= client.hgetall(key)  # type: ignore[arg-type]
                client.delete(key)
            for name, value in entries.items():
                client.hset(f"{tag}pending:{name[0] * OLD_BUCKETS // 256}", name, value)
            client.hdel(f"{tag}meta", "spread")
            client.hset(f"{tag}meta", "buckets", OLD_BUCKETS)


class Story:
    """A tale in parts, sent to a deployment, and what came of it.

    oracle: the core fed with all of it, once it is finished.
    """

    oracle: Pipeline

    def __init__(self, d: Deployment, nursery: Nursery, parts: int) -> None:
        self.d, self.nursery = d, nursery
        self.tale = tales.tale()
        self.reference = self.tale.reference.to_parts(600_000, time=tales.START_MS)
        self.end = [{"type": "watermark", "model": "m", "time": self.tale.end_ms}]
        size = len(self.tale.events) // parts + 1
        self.parts = [self.tale.events[i * size : (i + 1) * size] for i in range(parts)]

    def worker(self, crash: str = "") -> Process:
        return self.d.start(start=self.nursery.start, variables={VARIABLE: crash})

    def send_reference(self) -> None:
        self.d.send("control", self.reference, partition=0)

    def send(self, part: Sequence[Any]) -> None:
        for topic in ("predictions", "ground-truth"):
            own = [e for e in part if isinstance(e, Prediction) == (topic == "predictions")]
            for partition in range(PARTITIONS):
                values = [_plain(e) for e in own[partition::PARTITIONS]]
                self.d.send(topic, [*values, DAMAGED], partition=partition)

    def dies(self, point: str, hit: int) -> None:
        """A worker takes up what there is, and dies at the point.

        Where a first hit is waited for, it must come; a later one may not, and then it is killed.
        """
        worker = self.worker(f"{point}:{hit}")
        if point in GOING:
            self.d.until_taken_in()
            worker.process.send_signal(signal.SIGTERM)
        try:
            code = worker.process.wait(PATIENCE_S if hit == 1 else LATER_S)
            assert code == EXIT_CRASHED, worker.log()
        except subprocess.TimeoutExpired:
            assert hit > 1, worker.log()
            worker.kill()
        assert f"{VARIABLE}={point}:{hit}" in worker.log()
        bury(self.d)

    def finish(self) -> None:
        """All is taken in and published, and the last worker leaves."""
        self.d.until_taken_in()
        self.d.send("control", self.end, partition=0)
        self.d.until_taken_in()
        oracles.read_all(self.d)
        self.oracle = oracles.oracle_of(self.d, self.reference, self.end)
        expected = oracles.expected(self.oracle)
        self.d.until(lambda: self._all(expected))  # what is committed may still have to be judged
        self.d.until_idle()
        assert self.d.processes[-1].stop() == OK

    def _all(self, expected: oracles.Published) -> bool:
        found = oracles.published(self.d)
        return all(found[topic].keys() >= bodies.keys() for topic, bodies in expected.items())

    def check(self) -> None:
        """What was published and what is held is what the core alone makes of it."""
        oracles.read_all(self.d)
        expected = oracles.expected(self.oracle)
        assert all(expected.values())
        assert oracles.published(self.d) == expected
        assert oracles.held(self.d, self.oracle) == oracles.expected_state(self.oracle)
        letters = {r.headers["driftline-offset"] for r in self.d.read("dead-letters")}
        assert letters


def _plain(event: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(event)
    return {name: value for name, value in found.items() if value is not None}


def bury(d: Deployment) -> None:
    """Tell the group that its members are dead, as it would find out by itself in a while."""
    asyncio.run(_bury(d))


async def _bury(d: Deployment) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=d.kafka.bootstrap)
    await admin.start()
    try:
        answer = await _described(admin, d.name)
        coordinator = await admin.find_coordinator(d.name)
        for group in answer.groups:
            for member in group[5]:
                await admin._send_request(LeaveGroupRequest(d.name, member[0]), coordinator)
    finally:
        await admin.close()


async def _described(admin: AIOKafkaAdminClient, group: str) -> Any:
    """What a broker knows of a group; one that has only just started makes coordinators first."""
    for _ in range(100):
        try:
            (answer,) = await admin.describe_consumer_groups([group])
        except GroupCoordinatorNotAvailableError:
            await asyncio.sleep(0.2)
        else:
            return answer
    raise AssertionError(f"no coordinator for {group}")


def play(point: str, d: Deployment, nursery: Nursery) -> None:
    """Workers die at a point one after the other; the last one lives, and all is exact."""
    deaths = chain(point)
    story = Story(d, nursery, len(deaths) + 1)
    first = story.worker()
    if point in ALONE:
        first.kill()
        bury(d)
        story.send_reference()
    else:
        story.send_reference()
        d.until_taken_in()
        assert first.stop() == OK
    for part, (step, hit) in zip(story.parts, deaths, strict=False):
        story.send([] if point in ALONE else part)
        if point.endswith("migrate"):
            old_buckets(d)
        story.dies(step, hit)
    story.worker()
    d.until_taken_in()
    for part in story.parts if point in ALONE else story.parts[-1:]:
        story.send(part)
    story.finish()
    story.check()


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, real_kafka: Kafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """Every point that was asked for, some side by side: each is mostly waited for."""
    asked = [_point(item) for item in request.session.items]
    wanted = [point for point in asked if point]
    with Nursery() as nursery, EmbeddedRedis(servers.redis_binary()) as server:

        def one(point: str) -> None:
            folder = tmp_path_factory.mktemp("crash")
            name = f"c{uuid.uuid4().hex[:10]}"
            with Deployment(real_kafka, server.url, name, folder, MODEL, **SETTINGS) as d:
                play(point, d, nursery)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield {point: pool.submit(one, point) for point in wanted}
            pool.shutdown(cancel_futures=True)


def _point(item: pytest.Item) -> str:
    ours = isinstance(item, pytest.Function) and "played" in item.fixturenames
    return str(item.callspec.params["point"]) if ours else ""  # type: ignore[attr-defined]


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_leaves_nothing_out_and_counts_nothing_twice(
    point: str, played: dict[str, Future[None]]
) -> None:
    played[point].result()


WRONG = {
    "after comit:3": "'after comit'; did you mean 'after commit'? known: before restore, ",
    "after commit:0": "'0' is no count from 1: write 'after commit:3'",
    "after commit:x": "'x' is no count from 1",
    ":1": "no point ''",
}


@pytest.mark.parametrize("told", WRONG)
def test_a_point_that_is_none_is_refused_with_those_that_are(told: str) -> None:
    with pytest.raises(BadSettings) as refused:
        from_environment({VARIABLE: told})
    assert WRONG[told] in str(refused.value)


def test_a_worker_with_a_wrong_point_does_not_start(deploy: Deploy) -> None:
    worker = deploy().start(wait=False, variables={VARIABLE: "after lunch"})
    assert worker.process.wait(PATIENCE_S) == USAGE
    assert f"{VARIABLE}: no point 'after lunch'" in worker.log()
    assert "Traceback" not in worker.log()


def test_without_the_variable_nothing_is_heard() -> None:
    assert from_environment({}) is nothing
    assert from_environment({VARIABLE: ""}) is nothing


def test_the_hit_that_counts_is_the_one_told() -> None:
    ended: list[int] = []
    crash = Crash("after commit", 2, ended.append)
    for step in ("after commit", "before commit", "after commit", "after commit"):
        crash(step)
    assert ended == [EXIT_CRASHED]
