"""Processes: a worker and its rivals, and the processor time that they take."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
CONTESTANTS = Path(__file__).parent / "contestants"


@dataclasses.dataclass(frozen=True, slots=True)
class Spent:
    """What n rows took. cpu_s: user and system time of the whole process, all its threads."""

    rows: int
    cpu_s: float
    wall_s: float

    @property
    def micros(self) -> float:
        """Microseconds of one core a row."""
        return self.cpu_s / self.rows * 1e6


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a running process has taken, in steps of a tick."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Worker:
    """One `driftline worker` of a configuration file, its output in `log`."""

    def __init__(self, config: Path, log: Path) -> None:
        self._log = log.open("ab")
        self._path = log
        command = [sys.executable, "-m", "agents.commands", "worker", "--config", str(config)]
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def until(self, true: Callable[[], bool], within_s: float, look_s: float = 0.05) -> None:
        """Wait for something. Raises RuntimeError with its log where it does not come."""
        end = time.monotonic() + within_s
        while not true():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the worker does not get there:\n{self._path.read_text()}")
            time.sleep(look_s)

    def pause(self) -> None:
        """Stop it where it is, so that what is measured begins at a definite point."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The opposite of `pause`."""
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait(10)
        self._log.close()


def contestant(python: Path | str, name: str, *words: str, within_s: float = 600.0) -> Spent:
    """Run a script of `contestants`, which prints what it took as JSON. Raises RuntimeError."""
    command: Sequence[str] = [str(python), str(CONTESTANTS / f"{name}.py"), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=True)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{name}: {error.stderr[-2_000:]}") from None
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{name}: not within {within_s:.0f} s") from None
    printed = re.findall(r"{.*}", done.stdout)  # Faust shows a cursor before it
    if not printed:
        raise RuntimeError(f"{name} printed no figures: {done.stdout[-500:]} {done.stderr[-500:]}")
    return Spent(**json.loads(printed[-1]))
