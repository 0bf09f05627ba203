"""Several workers by one command: they share the work, come back, and end together."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from agents.complaints import BadSettings
from agents.settings import Http, Settings
from agents.supervisor import MAX_IN_A_ROW, Supervisor, ports
from tests.processes import Process
from tests.workers import START_MS, Deploy, Deployment, prediction

WAITS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(os.environ["DRIFTLINE__HTTP__PORT"])))
open(sys.argv[1] + f"/{os.getpid()}", "w").close()
while True:
    time.sleep(0.05)
"""
ENDS = """
import os, sys
open(sys.argv[1] + f"/{os.getpid()}", "w").close()
sys.exit(int(sys.argv[2]))
"""


def crew(script: str, folder: Path, *words: str, codes: tuple[int, ...] = (0, 0)) -> Supervisor:
    """Children whose port is the exit code with which they answer SIGTERM."""
    return Supervisor([sys.executable, "-c", script, str(folder), *words], codes, 0.01)


async def started(folder: Path, count: int) -> list[int]:
    """The ids of so many children that are up, or were."""
    while len(found := os.listdir(folder)) < count:  # noqa: ASYNC110 - other processes' files
        await asyncio.sleep(0.02)
    return [int(name) for name in found]


def test_the_exit_code_is_that_of_the_worst_child(tmp_path: Path) -> None:
    async def scenario() -> int:
        supervisor = crew(WAITS, tmp_path, codes=(0, 75, 3))
        running = asyncio.create_task(supervisor.run())
        await started(tmp_path, 3)
        os.kill(os.getpid(), signal.SIGTERM)
        return await running

    assert asyncio.run(scenario()) == 75


def test_a_child_that_dies_is_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> int:
        running = asyncio.create_task(crew(WAITS, tmp_path).run())
        first = await started(tmp_path, 2)
        os.kill(first[0], signal.SIGKILL)
        await started(tmp_path, 3)
        os.kill(os.getpid(), signal.SIGINT)
        return await running

    assert asyncio.run(scenario()) == 0
    assert re.search(r"worker [01] ended with 137: starting it again in 0.01 s", caplog.text)


@pytest.mark.parametrize("code", [2, 69])
def test_what_another_start_would_not_help_ends_all(tmp_path: Path, code: int) -> None:
    script = f"import sys\nif sys.argv[2] != os.environ['DRIFTLINE__HTTP__PORT']:\n{_shifted()}"
    script = f"import os\n{script}\nsys.exit({code})"
    assert asyncio.run(crew(script, tmp_path, "9", codes=(0, 9)).run()) == code


def _shifted() -> str:
    return "\n".join(f"    {line}" for line in WAITS.splitlines())


def test_one_that_never_lasts_ends_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    supervisor = crew(ENDS, tmp_path, "70", codes=(0,))
    supervisor.first_pause_s = 0.0
    assert asyncio.run(supervisor.run()) == 70
    assert len(list(tmp_path.iterdir())) == MAX_IN_A_ROW
    assert "10 times in a row: ending all" in caplog.text


def test_each_child_has_a_port() -> None:
    assert ports(Settings(http=Http(port=6060)), 3) == [6060, 6061, 6062]
    assert ports(Settings(http=Http(port=0)), 2) == [0, 0]
    with pytest.raises(BadSettings, match="65535: 2 workers need as many ports"):
        ports(Settings(http=Http(port=65_535)), 2)


# On a real Kafka


def children(process: Process) -> dict[int, int]:
    """The newest process of each worker, by its number."""
    return {int(n): int(p) for n, p in re.findall(r"worker (\d) is process (\d+)", process.log())}


def counted(d: Deployment, rows: int) -> bool:
    found: int = sum(e["rows"] for e in d.evaluations() if e["window"]["revision"] == 0)
    return found == rows


def shared(process: Process) -> bool:
    """Whether the group has given each of the two half of the 20 source and inner partitions."""
    told = [x for x in process.log().splitlines() if "Setting newly assigned partitions" in x]
    return [line.count("TopicPartition(") for line in told[-2:]] == [10, 10]


def test_two_workers_share_and_come_back_and_end(deploy_real: Deploy) -> None:
    d = deploy_real("[models.m]\npane_s = 3600\nwindows_s = [3600]\n")
    process = d.start(more=("--workers", "2"))
    d.until(lambda: shared(process))
    d.send("predictions", [prediction(i, START_MS + i, {"x": 1.0}) for i in range(500)])
    d.until_taken_in()
    first = children(process)
    os.kill(first[0], signal.SIGKILL)
    d.until(lambda: children(process)[0] != first[0])
    assert children(process)[1] == first[1]
    d.send("predictions", [prediction(i, START_MS + i, {"x": 1.0}) for i in range(500, 900)])
    d.close_time("m", START_MS + 3_600_000)
    d.until(lambda: counted(d, 900))
    assert process.stop() == 0
    assert all(not Path(f"/proc/{pid}").exists() for pid in children(process).values())
