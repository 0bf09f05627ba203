"""Worker processes for tests: started, stopped, killed, and what they printed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

ENTRY = ["agents.commands"]  # the module that is started, and its first arguments
PATIENCE_S = 60.0  # a busy machine is no failure


class Running(Protocol):
    """A process that was started, as `subprocess.Popen` has it."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""

    def wait(self, timeout: float) -> int:
        """Its exit code, once it has ended. Raises subprocess.TimeoutExpired."""

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""


Start = Callable[[Sequence[str], Path, Mapping[str, str]], Running]
"""Starts `driftline` with arguments and more variables; what it prints is added to a file."""


def start_command(arguments: Sequence[str], log: Path, variables: Mapping[str, str]) -> Running:
    """The command itself."""
    with log.open("ab") as file:
        command = [sys.executable, "-m", *ENTRY, *arguments]
        environment = os.environ | dict(variables)
        return cast(Running, subprocess.Popen(command, stdout=file, stderr=file, env=environment))


class Process:
    """One `driftline worker`."""

    def __init__(
        self,
        config: Path,
        log: Path,
        stages: str | None,
        start: Start = start_command,
        variables: Mapping[str, str] | None = None,
        more: Sequence[str] = (),
    ) -> None:
        self.log_path = log
        log.touch()
        arguments = ["worker", "--config", str(config), *more]
        arguments += ["--stages", stages] if stages else []
        self.process = start(arguments, log, variables or {})

    def log(self) -> str:
        """What it printed."""
        return self.log_path.read_text(errors="replace")

    def kill(self) -> None:
        """As a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self, within_s: float = PATIENCE_S) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)

    def close(self) -> None:
        """Whatever state it is in, it ends."""
        if self.process.poll() is None:
            self.kill()
