"""A worker that finds damaged state ends in words, with its own exit code, and counts nothing."""

import pytest
import redis

from agents.worker import EXIT_UNFIT
from tests.processes import PATIENCE_S
from tests.workers import START_MS, Deploy, prediction

LABELS = """
[models.m]
pane_s = 3600
windows_s = [3600]
"""


@pytest.mark.slow
def test_damaged_state_ends_the_worker_in_words(deploy: Deploy, redis_url: str) -> None:
    d = deploy(LABELS)
    worker = d.start()
    d.send("predictions", [prediction(i, START_MS + i, {"x": 1.0}) for i in range(50)])
    d.until_idle()
    assert worker.stop() == 0
    with redis.Redis.from_url(redis_url) as client:
        keys = [key for key in client.scan_iter("*{ledger:*}:state") if client.hlen(key)]
        for key in keys:
            client.hset(key, "ledger", client.hget(key, "ledger")[:-1])
        before = {key: client.hgetall(key) for key in keys}
        process = d.start(wait=False)
        assert process.process.wait(PATIENCE_S) == EXIT_UNFIT, process.log()
        assert {key: client.hgetall(key) for key in keys} == before
    said = process.log()
    assert "field 'ledger' of ledger:" in said
    assert "Restore Redis from a whole copy" in said
    assert "Traceback" not in said
