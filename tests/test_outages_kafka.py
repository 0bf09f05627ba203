"""Kafka fails between worker and server in every way that a network can; results are exact."""

import functools
import time

import pytest

from agents.app import EXIT_LATE
from tests import frames
from tests.frames import api
from tests.outages import PIECES, Stage, get
from tests.proxies import Place

SHORT = {"session_timeout_s": 3, "heartbeat_s": 0.5, "request_timeout_s": 3}
WRITTEN = ("events", "signals", "evaluations", "alerts")
STEADY = (frames.FETCH, frames.OFFSET_COMMIT, frames.HEARTBEAT)
FOR_EVER = 10**9
AT_START = (
    frames.METADATA,
    frames.FIND_COORDINATOR,
    frames.JOIN_GROUP,
    frames.SYNC_GROUP,
    frames.OFFSET_FETCH,
    frames.INIT_PRODUCER,
)


@pytest.mark.parametrize("place", ["before", "within", "after"])
def test_any_request_may_be_lost_before_within_or_after(stage: Stage, place: Place) -> None:
    scene = stage()
    lose = functools.partial(scene.kafka.lose, place=place, count=2)
    worker = scene.start()
    scene.register()
    writes = [lose(api(frames.PRODUCE, scene.d.topic(name))) for name in WRITTEN]
    scene.tell(5)
    scene.d.until(lambda: all(fault.done for fault in writes))
    steady = [lose(api(key)) for key in STEADY]
    scene.tell()
    scene.d.until(lambda: all(fault.done for fault in steady))
    worker.kill()
    start = [lose(api(key)) for key in AT_START[1:]]
    scene.start()
    scene.check()
    assert all(fault.done for fault in start)


def test_connections_are_reset_again_and_again(stage: Stage) -> None:
    scene = stage()
    scene.start()
    scene.register()
    for _ in range(PIECES):
        scene.tell()
        for _ in range(5):
            scene.kafka.cut()
            time.sleep(0.1)
    scene.check()


@pytest.mark.parametrize("how", ["refuse", "silence"])
def test_kafka_away_is_said_and_waited_for(stage: Stage, how: str) -> None:
    scene = stage(kafka=SHORT)
    worker = scene.start()
    scene.register()
    scene.tell(3)
    scene.d.until(lambda: scene.not_ready() == {})
    getattr(scene.kafka, how)()
    scene.tell(3)
    scene.d.until(lambda: "kafka" in scene.not_ready())
    assert get(scene.d.port, "/healthz")[0] == 200
    time.sleep(6)
    scene.kafka.heal()
    scene.d.until(lambda: scene.not_ready() == {})
    scene.check()
    assert worker.process.poll() is None


def test_answers_later_than_the_limit(stage: Stage) -> None:
    scene = stage(kafka=SHORT)
    scene.start()
    scene.register()
    for delay_s in (4.0, 1.0):
        scene.kafka.delay(delay_s)
        scene.tell(2)
        time.sleep(6)
    scene.kafka.heal()
    scene.check()


def test_the_broker_is_killed_or_stopped_and_started_again(stage: Stage) -> None:
    scene = stage()
    scene.start()
    scene.register()
    for end in (scene.broker.kill, scene.broker.stop):
        scene.tell(2)
        end()
        time.sleep(1)
        scene.broker.start()
    scene.check()


@pytest.mark.parametrize(("how", "both"), [("refuse", False), ("silence", True)])
def test_told_to_stop_while_kafka_is_away(stage: Stage, how: str, both: bool) -> None:
    scene = stage(worker={"checkpoint_s": 0.2, "shutdown_s": 6})
    worker = scene.start()
    scene.register()
    in_hand = scene.kafka.lose(api(frames.PRODUCE, scene.d.topic("events")), "before", FOR_EVER)
    scene.tell(3)
    scene.d.until(lambda: in_hand.hits)
    for proxy in (scene.kafka, scene.redis) if both else (scene.kafka,):
        getattr(proxy, how)()
    scene.tell(2)
    time.sleep(1)
    assert scene.stop(worker, 6) == EXIT_LATE
    scene.kafka.heal()
    scene.redis.heal()
    scene.start()
    scene.check()
