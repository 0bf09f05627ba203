import subprocess
import sys
import time

import pytest

from agents.children import Child

SLEEP = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('here', flush=True); time.sleep(60)",
]


def started(command: list[str]) -> Child:
    child = Child(command)
    while "here" not in child.log():
        assert child.running
        time.sleep(0.01)
    return child


def test_the_child_has_the_id_that_we_know() -> None:
    child = Child([sys.executable, "-c", "import os; print(os.getpid())"])
    assert child.wait(20) == 0
    assert int(child.log()) == child.pid
    child.kill()


def test_stop_ends_it() -> None:
    child = started(SLEEP)
    child.stop()
    assert not child.running


def test_stop_ends_one_that_will_not() -> None:
    child = started(STUBBORN)
    child.stop(patience_s=0.2)
    assert not child.running


def test_kill_and_stop_may_come_twice_and_late() -> None:
    child = started(SLEEP)
    child.kill()
    child.kill()
    child.stop()
    assert child.log() == ""


def test_the_log_is_its_tail() -> None:
    child = Child([sys.executable, "-c", "print('x' * 100_000 + 'end')"])
    assert child.wait(20) == 0
    assert child.log(5) == "xend\n"
    child.kill()


def test_a_program_that_is_not_there_fails_in_its_log() -> None:
    child = Child(["/no/such/program"])
    assert child.wait(20) != 0
    assert "/no/such/program" in child.log() or "FileNotFoundError" in child.log()
    child.kill()


def test_waiting_has_an_end() -> None:
    child = started(SLEEP)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.05)
    child.kill()
