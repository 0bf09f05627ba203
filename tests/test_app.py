import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.app import EXIT_LATE, EXIT_UNKNOWN
from agents.clusters import Cluster
from agents.producers import Message, Producer
from tests.brokers import ApacheKafka
from tests.servers import Kafka

PARTITIONS = 4


class Worker:
    """One `tests.echo` process, and what it has written down so far."""

    def __init__(self, kafka: Kafka, group: str, topics: list[str], **told: Any) -> None:
        given = {"bootstrap": kafka.bootstrap, "group": group, "topics": topics, **told}
        self._out = tempfile.TemporaryFile("a+")  # noqa: SIM115 (closed by `close`)
        self._err = tempfile.TemporaryFile("a+")  # noqa: SIM115 (closed by `close`)
        command = [sys.executable, "-m", "tests.echo", json.dumps(given)]
        self.process = subprocess.Popen(command, stdout=self._out, stderr=self._err)

    def lines(self, kind: str) -> list[dict[str, Any]]:
        # Not with the file's own position: the child shares that one, and moves it as it writes.
        said = os.pread(self._out.fileno(), os.fstat(self._out.fileno()).st_size, 0).decode()
        written = [line for line in said.splitlines(True) if line.endswith("\n")]
        return [found for line in written if (found := json.loads(line))["kind"] == kind]

    def offsets(self) -> dict[tuple[str, int], list[int]]:
        """What was handled, by partition, in the order of handling."""
        found: dict[tuple[str, int], list[int]] = defaultdict(list)
        for line in self.lines("chunk"):
            found[line["tp"][0], line["tp"][1]] += line["offsets"]
        return found

    def count(self) -> int:
        return sum(map(len, self.offsets().values()))

    def ends(self) -> list[int]:
        """The last offset handled of each partition."""
        return [offsets[-1] for _, offsets in sorted(self.offsets().items())]

    def log(self) -> str:
        self._err.seek(0)
        return self._err.read()

    def until(self, true: Callable[[], Any], within_s: float = 30) -> None:
        end = time.monotonic() + within_s
        while not true():
            assert time.monotonic() < end, f"not in time; its log:\n{self.log()}"
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM, within_s: float = 30) -> int:
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self._out.close()
        self._err.close()


Start = Callable[..., Worker]


@pytest.fixture
def start() -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def started(*args: Any, **told: Any) -> Worker:
            worker = Worker(*args, **told)
            stack.callback(worker.close)
            return worker

        yield started


def fill(kafka: Kafka, topic: str, count: int, first: int = 0) -> None:
    """Records that say their own offset, the same in each of 4 partitions."""
    kafka.create_topics(topic)

    async def main() -> None:
        producer = Producer([kafka.bootstrap])
        numbers = range(first, first + count)
        await producer.produce_all(
            [Message(topic, b"%d" % n, partition=p) for n in numbers for p in range(PARTITIONS)]
        )
        await producer.close()

    asyncio.run(main())


def committed(kafka: Kafka, group: str, topic: str) -> list[int | None]:
    lags = asyncio.run(Cluster([kafka.bootstrap]).positions(group, [topic]))
    return [lag.committed for lag in lags]


def test_every_record_once_in_order_in_chunks_and_after_a_restart_none_again(
    broker: Kafka, namespace: str, start: Start
) -> None:
    fill(broker, namespace, 5_000)
    first = start(broker, namespace, [namespace])
    first.until(lambda: first.count() == 5_000 * PARTITIONS)
    assert first.stop() == 0
    whole = {(namespace, p): list(range(5_000)) for p in range(PARTITIONS)}
    assert first.offsets() == whole
    assert len(first.lines("chunk")) < 1_000
    for p in range(PARTITIONS):
        edges = [(x["base"], x["next"]) for x in first.lines("chunk") if x["tp"][1] == p]
        assert [a for a, _ in edges[1:]] == [b for _, b in edges[:-1]]
    assert committed(broker, namespace, namespace) == [5_000] * PARTITIONS

    fill(broker, namespace, 10, first=5_000)
    second = start(broker, namespace, [namespace])
    second.until(lambda: second.count() >= 10 * PARTITIONS)
    assert second.stop() == 0
    assert second.offsets() == {(namespace, p): list(range(5_000, 5_010)) for p in range(4)}
    assert "expected offset" not in first.log() + second.log()


def test_commits_follow_the_acknowledgements_while_it_runs(
    broker: Kafka, namespace: str, start: Start
) -> None:
    fill(broker, namespace, 100)
    worker = start(broker, namespace, [namespace])
    worker.until(lambda: committed(broker, namespace, namespace) == [100] * PARTITIONS)
    assert worker.count() == 100 * PARTITIONS


def test_what_is_not_acknowledged_is_not_committed(
    broker: Kafka, namespace: str, start: Start
) -> None:
    fill(broker, namespace, 100)
    worker = start(broker, namespace, [namespace], acks="never")
    worker.until(lambda: worker.count() == 100 * PARTITIONS)
    time.sleep(1.5)
    assert worker.stop() == 0
    assert committed(broker, namespace, namespace) == [None] * PARTITIONS


def test_reading_starts_where_the_assignment_says_and_not_before(
    broker: Kafka, namespace: str, start: Start
) -> None:
    fill(broker, namespace, 300)
    told = {"starts": {"0": 250, "1": 0, "2": 300}, "assign_s": 2.0}
    worker = start(broker, namespace, [namespace], **told)
    worker.until(lambda: worker.count() >= 650)
    assert worker.lines("assigned")[0]["at"] <= worker.lines("chunk")[0]["at"]
    fill(broker, namespace, 1, first=300)
    worker.until(lambda: worker.count() >= 654)
    assert worker.stop() == 0
    starts = {0: 250, 1: 0, 2: 300, 3: 0}
    assert worker.offsets() == {(namespace, p): [*range(s, 301)] for p, s in starts.items()}


def test_an_unknown_error_ends_the_process_and_its_records_come_again(
    broker: Kafka, namespace: str, start: Start
) -> None:
    fill(broker, namespace, 200)
    told = {"options": {"max_chunk_records": 30}}
    failing = start(broker, namespace, [namespace], fails_at=100, **told)
    assert failing.process.wait(30) == EXIT_UNKNOWN
    assert "did not expect offset 100" in failing.log()
    assert "CRITICAL" in failing.log()
    after = start(broker, namespace, [namespace], **told)
    after.until(lambda: after.ends() == [199] * PARTITIONS)
    assert after.stop() == 0
    for tp, offsets in after.offsets().items():
        assert offsets == list(range(offsets[0], 200))
        assert offsets[0] <= len(failing.offsets()[tp]) <= 100


def test_sigterm_finishes_the_handler_in_flight_and_commits_what_the_hand_over_acknowledges(
    broker: Kafka, namespace: str, start: Start
) -> None:
    fill(broker, namespace, 100)
    told = {"handle_s": 1.0, "acks": "revoked", "options": {"max_chunk_records": 10}}
    worker = start(broker, namespace, [namespace], **told)
    worker.until(lambda: worker.lines("chunk"))
    time.sleep(0.3)  # the next one is being handled
    before = len(worker.lines("chunk"))
    assert worker.stop() == 0
    chunks = worker.lines("chunk")
    assert len(chunks) == before + 1
    assert len(worker.lines("revoked")) == 1
    assert worker.lines("revoked")[0]["at"] >= chunks[-1]["at"]
    done = {x["tp"][1]: x["next"] for x in chunks}
    assert committed(broker, namespace, namespace) == [done.get(p) for p in range(PARTITIONS)]


def test_a_handler_that_never_ends_does_not_hold_the_process(
    mock_kafka: Kafka, namespace: str, start: Start
) -> None:
    fill(mock_kafka, namespace, 10)
    told = {"handle_s": 600.0, "options": {"shutdown_s": 4.0}}
    worker = start(mock_kafka, namespace, [namespace], **told)
    worker.until(lambda: worker.lines("assigned"))
    time.sleep(1.0)
    begun = time.monotonic()
    assert worker.stop() in (0, EXIT_LATE)
    assert time.monotonic() - begun < 6
    assert committed(mock_kafka, namespace, namespace) == [None] * PARTITIONS


def test_a_slow_topic_does_not_starve_the_others(
    broker: Kafka, namespace: str, start: Start
) -> None:
    slow, quick = f"{namespace}.slow", f"{namespace}.quick"
    fill(broker, slow, 20_000)
    fill(broker, quick, 20_000)
    told = {"handle_s": 600.0, "slow": slow, "options": {"max_chunk_records": 100}}
    worker = start(broker, namespace, [slow, quick], **told)
    worker.until(lambda: worker.count() == 20_000 * PARTITIONS)
    assert set(worker.offsets()) == {(quick, p) for p in range(PARTITIONS)}
    begun = time.time()
    fill(broker, quick, 1, first=20_000)
    worker.until(lambda: worker.count() == 20_001 * PARTITIONS)
    assert time.time() - begun < 5


def test_a_partition_that_is_opened_again_drops_what_was_buffered_and_starts_anew(
    broker: Kafka, namespace: str, start: Start
) -> None:
    fill(broker, namespace, 400)
    told = {"starts": {"0": 7}, "rewinds_at": 60, "options": {"max_chunk_records": 20}}
    worker = start(broker, namespace, [namespace], **told)
    worker.until(lambda: worker.ends() == [399] * PARTITIONS)
    assert worker.stop() == 0
    (rewound,) = (tuple(line["tps"][0]) for line in worker.lines("assigned")[1:])
    for tp, offsets in worker.offsets().items():
        first = 7 if tp[1] == 0 else 0
        cut = next((i for i, x in enumerate(offsets) if i and x != offsets[i - 1] + 1), None)
        if tp != rewound:
            assert offsets == list(range(first, 400))
            continue
        assert cut is not None
        assert offsets[:cut] == list(range(first, offsets[cut - 1] + 1))
        assert offsets[cut:] == list(range(offsets[cut], 400))
        assert offsets[cut] == 7 if tp[1] == 0 else offsets[cut] <= 60 < offsets[cut] + 21


def test_kafka_may_come_late_go_away_and_be_gone_at_the_end(
    real_kafka: Kafka, namespace: str, start: Start, tmp_path: Path
) -> None:
    if real_kafka.kind != "apache":
        pytest.skip(f"needs a Kafka of its own to stop; this is {real_kafka.note}")
    with ApacheKafka(tmp_path) as own:
        kafka = Kafka(own.bootstrap, "apache", "its own")
        own.kill()
        worker = start(kafka, namespace, [namespace])
        time.sleep(3)
        own.start()
        fill(kafka, namespace, 100)
        worker.until(lambda: worker.count() == 100 * PARTITIONS, 60)
        own.kill()
        time.sleep(8)  # longer than its session
        own.start()
        fill(kafka, namespace, 100, first=100)
        worker.until(lambda: worker.ends() == [199] * PARTITIONS, 60)
        worker.until(lambda: committed(kafka, namespace, namespace) == [200] * PARTITIONS)
        own.kill()
        assert worker.stop() == 0
        assert "Traceback" not in worker.log()


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_records_are_read_however_their_producer_compressed_them(
    kafka: Kafka, namespace: str, start: Start, codec: str
) -> None:
    kafka.create_topics(namespace)

    async def main() -> None:
        producer = Producer([kafka.bootstrap], compression_type=codec)
        await producer.produce_all([Message(namespace, b"%d" % n, partition=0) for n in range(999)])
        await producer.close()

    asyncio.run(main())
    worker = start(kafka, namespace, [namespace])
    worker.until(lambda: worker.count() == 999)


def test_another_worker_takes_over_from_a_killed_one(
    real_kafka: Kafka, namespace: str, start: Start
) -> None:
    fill(real_kafka, namespace, 100)
    first = start(real_kafka, namespace, [namespace])
    first.until(lambda: first.count() == 100 * PARTITIONS)
    second = start(real_kafka, namespace, [namespace])
    second.until(lambda: second.lines("assigned"))
    first.until(lambda: len(first.lines("assigned")) == 2)
    shares = [{tuple(tp) for tp in w.lines("assigned")[-1]["tps"]} for w in (first, second)]
    assert sorted(map(len, shares)) == [2, 2]
    assert not shares[0] & shares[1]
    fill(real_kafka, namespace, 100, first=100)
    first.until(lambda: first.count() + second.count() == 200 * PARTITIONS)
    assert second.offsets() == {tp: list(range(100, 200)) for tp in shares[1]}
    second.until(lambda: committed(real_kafka, namespace, namespace) == [200] * PARTITIONS)
    first.stop(signal.SIGKILL)
    fill(real_kafka, namespace, 100, first=200)
    second.until(lambda: len(second.offsets()) == PARTITIONS and second.count() >= 600)
    assert second.stop() == 0
    for tp, offsets in second.offsets().items():
        assert offsets == list(range(100 if tp in shares[1] else 200, 300))


def test_workers_of_different_stages_share_one_group(
    real_kafka: Kafka, namespace: str, start: Start
) -> None:
    one, two = f"{namespace}.one", f"{namespace}.two"
    fill(real_kafka, one, 50)
    fill(real_kafka, two, 50)
    left = start(real_kafka, namespace, [one])
    right = start(real_kafka, namespace, [two])
    left.until(lambda: len(left.offsets()) == PARTITIONS and left.count() >= 200)
    right.until(lambda: len(right.offsets()) == PARTITIONS and right.count() >= 200)
    assert {topic for topic, _ in left.offsets()} == {one}
    assert {topic for topic, _ in right.offsets()} == {two}
    assert (left.stop(), right.stop()) == (0, 0)
