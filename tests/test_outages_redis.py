"""Redis fails between worker and server in every way that a network can; results are exact."""

import functools
import time

import pytest

from agents.app import EXIT_LATE
from tests.frames import script
from tests.outages import PIECES, Stage, get
from tests.proxies import Place

WRITES = ("stage", "commit", "apply", "finish", "outbox", "remove")
READS = ("pending",)


@pytest.mark.parametrize("place", ["before", "within", "after"])
def test_any_script_may_be_lost_before_within_or_after(stage: Stage, place: Place) -> None:
    scene = stage()
    worker = scene.start()
    scene.register()
    for name in (*WRITES, *READS):
        fault = scene.redis.lose(script(name), place, count=3)
        scene.tell()
        scene.d.until(functools.partial(getattr, fault, "done"))
    worker.kill()
    claims = scene.redis.lose(script("claim"), place, count=3)
    scene.start()
    scene.check()
    assert claims.hits == 3


def test_connections_are_reset_again_and_again(stage: Stage) -> None:
    scene = stage()
    scene.start()
    scene.register()
    for _ in range(PIECES):
        scene.tell()
        for _ in range(10):
            scene.redis.cut()
            time.sleep(0.05)
    scene.check()
    assert scene.redis.counts.cuts > PIECES


def test_redis_away_is_said_and_waited_for(stage: Stage) -> None:
    scene = stage()
    worker = scene.start()
    scene.register()
    scene.tell(2)
    scene.d.until(lambda: get(scene.d.port, "/readyz")[0] == 200)
    scene.redis.refuse()
    scene.tell(2)
    scene.d.until(lambda: "redis" in scene.not_ready())
    assert get(scene.d.port, "/healthz")[0] == 200
    time.sleep(5)
    scene.redis.heal()
    scene.d.until(lambda: scene.not_ready() == {})
    scene.check()
    assert worker.process.poll() is None
    assert scene.redis.counts.refused > 0
    assert worker.log().count("Redis does not do its work") == 1
    assert scene.d.counters()['driftline_outages_total{stage="ledger"}'] > 5


def test_answers_later_than_the_limit(stage: Stage) -> None:
    scene = stage(redis={"timeout_s": 0.5})
    scene.start()
    scene.register()
    for delay_s in (0.7, 0.3, 0.7, 0.0):
        scene.redis.delay(delay_s)
        scene.tell(2)
        time.sleep(3)
    scene.redis.heal()
    scene.check()


def test_redis_silent(stage: Stage) -> None:
    scene = stage(redis={"timeout_s": 0.5})
    scene.start()
    scene.register()
    scene.tell(2)
    scene.redis.silence()
    scene.tell(2)
    scene.d.until(lambda: "redis" in scene.not_ready())
    scene.redis.heal()
    scene.tell(2)
    scene.check()
    assert scene.redis.counts.swallowed > 0


def test_redis_killed_and_started_again(stage: Stage) -> None:
    scene = stage()
    scene.start()
    scene.register()
    for i in range(PIECES):
        scene.tell()
        if i % 2:
            scene.server.kill()
            time.sleep(0.3)
            scene.server.start()
    scene.check()


@pytest.mark.parametrize("how", ["refuse", "silence"])
def test_told_to_stop_while_redis_is_away(stage: Stage, how: str) -> None:
    scene = stage(worker={"checkpoint_s": 0.2, "shutdown_s": 6})
    worker = scene.start()
    scene.register()
    scene.tell(3)
    getattr(scene.redis, how)()
    scene.tell(2)
    time.sleep(1)
    assert scene.stop(worker, 6) == EXIT_LATE
    scene.redis.heal()
    scene.start()
    scene.check()
