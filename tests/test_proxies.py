"""The tests' own proxy does what it says."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from agents.clusters import Cluster
from agents.producers import Message, Producer
from agents.store.scripts import sources
from tests import frames, proxies
from tests.conftest import or_skipped
from tests.proxies import Place, Proxy
from tests.servers import Kafka, Redis

Client = redis.Redis


@pytest.fixture
def proxy(redis_url: str, redis_server: Redis) -> Iterator[Proxy]:
    with Proxy(f"127.0.0.1:{redis_server.port}") as found:
        yield found


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Client]:
    once = Retry(NoBackoff(), 0)
    with contextlib.closing(redis.Redis.from_url(proxy.redis_url, retry=once)) as found:
        yield found


def test_what_passes_is_counted(proxy: Proxy, client: Client) -> None:
    assert client.echo("word" * 50_000) == b"word" * 50_000
    assert proxy.counts.connections == 1
    assert min(proxy.counts.bytes_in, proxy.counts.bytes_out) > 200_000


def test_a_cut_is_a_reset_and_the_next_connection_works(proxy: Proxy, client: Client) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port)) as raw:
        raw.sendall(b"PING\r\n")
        assert raw.recv(100) == b"+PONG\r\n"
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            raw.recv(100)
    assert client.ping()
    assert proxy.counts.cuts == 1


def test_refused_until_healed(proxy: Proxy, client: Client) -> None:
    assert client.ping()
    proxy.refuse()
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            client.ping()
    assert proxy.counts.refused >= 1
    proxy.heal()
    assert client.ping()


@pytest.mark.parametrize(("place", "done"), [("before", 0), ("within", 0), ("after", 1)])
def test_a_request_is_lost_before_within_or_after(
    proxy: Proxy, client: Client, place: Place, done: int
) -> None:
    fault = proxy.lose(lambda text: b"INCR" in text, place, count=2)
    client.set("other", 1)
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            client.incr("n")
    assert int(client.get("n") or 0) == 2 * done
    assert client.incr("n") == 2 * done + 1
    assert (fault.hits, fault.left) == (2, 0)


def test_a_script_is_known_by_its_digest(proxy: Proxy, client: Client) -> None:
    digest = client.script_load(sources()["outbox"])
    fault = proxy.lose(frames.script("outbox"))
    other = proxy.lose(frames.script("claim"))
    with pytest.raises(redis.ConnectionError):
        client.evalsha(digest, 2, "a", "b", "owner", 1)
    assert (fault.hits, other.hits) == (1, 0)


def test_silence_is_for_ever_for_those_that_met_it(proxy: Proxy) -> None:
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=0.3) as old,
        contextlib.closing(redis.Redis.from_url(proxy.redis_url)) as later,
    ):
        old.sendall(b"PING\r\n")
        assert old.recv(100) == b"+PONG\r\n"
        proxy.silence()
        old.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            old.recv(100)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.3) as new:
            new.sendall(b"PING\r\n")
            with pytest.raises(TimeoutError):
                new.recv(100)
        proxy.heal()
        old.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            old.recv(100)
        assert later.ping()
    assert proxy.counts.swallowed >= 12


def test_answers_are_late(proxy: Proxy, client: Client) -> None:
    assert client.ping()
    proxy.delay(0.3)
    begun = time.monotonic()
    assert client.ping()
    assert time.monotonic() - begun >= 0.3


def test_a_server_that_is_not_there_is_a_reset(client: Client, proxy: Proxy) -> None:
    proxy.target = "127.0.0.1:1"
    with pytest.raises(redis.ConnectionError):
        client.ping()


def test_kafkas_frames_come_whole_and_by_their_numbers() -> None:
    asked = b"".join(
        (8 + len(word)).to_bytes(4) + key.to_bytes(2) + bytes(2) + number.to_bytes(4) + word
        for key, number, word in [(0, 7, b"a-topic"), (1, 8, b""), (0, 9, b"another")]
    )
    framing = frames.Kafka(answers=False)
    found = [frame for i in range(len(asked)) for frame in framing.split(asked[i : i + 1])]
    assert [frame.tag for frame in found] == [7, 8, 9]
    assert b"".join(frame.raw for frame in found) == asked
    wanted = frames.api(frames.PRODUCE, "a-topic")
    assert [wanted(frame.text) for frame in found] == [True, False, False]
    answer = (5).to_bytes(4) + (9).to_bytes(4) + b"x"
    assert [frame.tag for frame in frames.Kafka(answers=True).split(answer * 2)] == [9, 9]


def test_kafkas_clients_stay_on_the_proxy_and_lose_answers(tmp_path: Path) -> None:
    with or_skipped(), proxies.proxied_kafka(tmp_path / "kafka") as (broker, proxy):
        kafka = Kafka(broker.bootstrap, "apache", "its own")
        kafka.create_topics("a-topic", partitions=1)
        fault = proxy.lose(frames.api(frames.PRODUCE, "a-topic"), count=2)
        asyncio.run(produce(proxy.address))
        assert fault.hits == 2
        assert proxy.counts.bytes_in > 10_000
        (lag,) = asyncio.run(Cluster([broker.bootstrap]).positions("nobody", ["a-topic"]))
        assert lag.end == 10  # the producer is idempotent: sent three times, written once


async def produce(address: str) -> None:
    producer = Producer([address])
    await producer.produce_all([Message("a-topic", bytes(1_000)) for _ in range(10)])
    await producer.close()
