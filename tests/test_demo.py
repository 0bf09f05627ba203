"""The demo: the whole path on embedded servers, nothing lost, nothing left behind."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents import demo
from agents.clusters import Lag
from agents.embedded import CannotEmbed, redis_binary
from agents.findings import Findings
from agents.portfolio import FEATURES

try:
    redis_binary()
    EMBEDS = True
except CannotEmbed:
    EMBEDS = False

pytestmark = pytest.mark.skipif(not EMBEDS, reason="there is no redis-server to embed")
DEMO = [sys.executable, "-m", "agents.commands", "demo", "--months", "5", "--label-delay", "60d"]
PIDS = re.compile(r"redis://127\.0\.0\.1:(\d+)/0, worker (\d+)")


def lag(topic: str, committed: int | None, end: int) -> Lag:
    return Lag(f"driftline.{topic}", 0, committed, 0, end)


def test_the_stream_is_held_back_by_what_is_committed() -> None:
    assert demo._has_room([lag("predictions", None, demo.SOURCE_LAG)])
    assert not demo._has_room([lag("predictions", None, demo.SOURCE_LAG + 1)])
    assert demo._has_room([lag("predictions", 7_000, 7_000), lag("events", 0, demo.INNER_LAG)])
    assert not demo._has_room([lag("signals", 2, demo.INNER_LAG + 3)])


def gone(pid: int) -> bool:
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


def test_it_ends_well_and_leaves_nothing_behind() -> None:
    done = subprocess.run(DEMO, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    found = PIDS.search(done.stdout)
    assert found
    assert gone(int(found[2]))
    words = " ".join(done.stdout.split())
    assert "7,500 predictions sent, 7,500 evaluated; 4,500 truths sent, 4,500 evaluated." in words
    assert "Nothing was lost." in words
    assert done.stderr == ""


def test_json_is_one_event_a_line() -> None:
    done = subprocess.run([*DEMO, "--json"], capture_output=True, timeout=110, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len({event["id"] for event in events}) == len(events)
    rows = {
        subject: sum(e["rows"] for e in events if e.get("subject") == subject)
        for subject in ("inputs", "quality")
    }
    assert rows == {"inputs": 7_500, "quality": 4_500}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_may_be_stopped_at_any_time(number: signal.Signals) -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        found = PIDS.search(child.stdout.readline())
        assert found
        time.sleep(2)
        os.kill(child.pid, number)
        _, said = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in said
    assert gone(int(found[2]))


def told(data: Path | None) -> Findings:
    return asyncio.run(demo.run(demo.Plan(data=data)))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_published_story(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(data / "insurance")
    assert found.fired(FEATURES) == {"miles", "age", "emergency_braking"}
    quality = [a for a in found.alerts.values() if a.reading.role == "quality"]
    assert {r.subject for a in quality for r in a.readings} >= {"accuracy", "log_loss"}
    assert min(found.month_of(a.window.start) for a in quality) > 6
    assert {a.verdict.kind for a in quality if a.state == "firing"} == {"concept-drift"}
    (request,) = found.requests.values()
    assert request.verdict.kind == "concept-drift"
    assert "Nothing was lost." in " ".join(capsys.readouterr().out.split())


def test_a_worker_that_ends_is_shown_with_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    config = demo._config

    def broken(bootstrap: str, url: str, plan: demo.Plan) -> str:
        return config(bootstrap, "redis://127.0.0.1:1/0", plan)

    monkeypatch.setattr(demo, "_config", broken)
    with pytest.raises(demo.DemoFailed) as caught:
        asyncio.run(demo.run(demo.Plan(months=1)))
    assert "the worker has ended" in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)
