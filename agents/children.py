"""Child processes that never outlive us: servers for the demo and for the tests.

A small Python launcher asks Linux to end the child when its parent ends, however that happens,
and then becomes the child (`exec`: the same process id, nobody in between). This needs no
`preexec_fn`, which is unsafe next to the threads of a Kafka client.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO

_LAUNCHER = """
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, int(sys.argv[2]), 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent has gone already")
os.execv(sys.argv[3], sys.argv[3:])
"""


def bound(command: Sequence[str], ending: signal.Signals = signal.SIGKILL) -> list[str]:
    """A command that is sent a signal when the thread that starts it ends (on Linux)."""
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER]
    return [*launcher, str(os.getpid()), str(int(ending)), *command]


class Child:
    """A running command, in a session of its own, so that Ctrl-C reaches only us.

    Linux ends it when the thread that started it ends: start it from one that stays. Elsewhere
    only an orderly exit of ours ends it. Its output goes to a file without a name.
    """

    def __init__(self, command: Sequence[str], cwd: str | None = None) -> None:
        """Start `command`, whose first word is the path of a program. Raises OSError."""
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - kill() closes it
        self._process = subprocess.Popen(
            bound(command),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        atexit.register(self.kill)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def log(self, most: int = 8_000) -> str:
        """The last `most` bytes that it printed."""
        if self._log.closed:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), most, max(0, size - most))
        return tail.decode(errors="replace")

    def wait(self, timeout_s: float) -> int:
        """The exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout_s)

    def stop(self, patience_s: float = 10.0) -> None:
        """Ask it to end, wait, and end it the hard way if it does not."""
        if self.running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)
        self.kill()

    def kill(self) -> None:
        """End it at once. Does nothing to one that has ended."""
        atexit.unregister(self.kill)
        if self.running:
            self._process.kill()
        self._process.wait()
        self._log.close()
