"""A nursery: a process that has imported everything, and forks `driftline` from itself.

A worker starts in a tenth of a second instead of three, so that tests may start hundreds. Its
children are processes like any other: they are killed, stopped and end with their own exit codes.
"""

import contextlib
import ctypes
import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests import mutants
from tests.processes import ENTRY

PR_SET_PDEATHSIG = 1
LOOK_S = 0.02
HOUSEKEEPING_S = 0.5  # for a child that is to look after what is old within a test


class Nursery:
    """The other end of the process below: `with Nursery() as nursery: nursery.start(...)`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        told = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # no thread may be running at a fork
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nurseries"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=told,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # at the end of its input it ends, and all children with it

    def ask(self, **request: Any) -> Any:
        """An answer of the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def start(self, arguments: Sequence[str], log: Path, variables: Mapping[str, str]) -> "Forked":
        """`driftline` with these arguments and more variables; its output is added to a file."""
        told = {"arguments": list(arguments), "log": str(log), "variables": dict(variables)}
        return Forked(self, self.ask(**told, mutant=ENTRY[1:]))


@dataclasses.dataclass(slots=True)
class Forked:
    """As much of `subprocess.Popen` as tests need."""

    nursery: Nursery
    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self.nursery.ask(poll=self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"forked {self.pid}", timeout)
            time.sleep(LOOK_S)
        return code

    def send_signal(self, number: int) -> None:
        """To a process that may have ended already."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _serve() -> None:
    """Fork and wait, as asked on standard input, until it ends."""
    from agents import commands, worker  # noqa: PLC0415 - what the tests' own process need not have

    worker.HOUSEKEEPING_S = HOUSEKEEPING_S
    parent = os.getpid()
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            answer = _poll(request["poll"])
        elif (answer := os.fork()) == 0:
            _end_with(parent)
            _become(request)
            logging.captureWarnings(True)
            sys.exit(commands.run(request["arguments"]))
        print(json.dumps(answer), flush=True)


def _poll(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _end_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _become(request: Mapping[str, Any]) -> None:
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for before, after in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(before, after)
    os.environ.update(request["variables"])
    for name in request["mutant"]:
        mutants.apply(name)


if __name__ == "__main__":
    _serve()
