"""Repeats: what the clients of Kafka say at every try, hundreds of times a minute, is said once."""

import logging
import re
import time
from collections.abc import Callable

CLIENTS = ("aiokafka", "agents.producers", "agents.clusters", "mode.timers")
QUIET_S = 60.0
MOST = 1_000  # kinds of lines that are remembered
NUMBERS = re.compile(r"\d+")


class Repeats(logging.Filter):
    """Lets a warning of CLIENTS pass once in QUIET_S, with how many were like it but for numbers.

    For handlers. Below warnings, and of everybody else, all passes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, int]] = {}  # said when, left out since

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it passes."""
        if record.levelno < logging.WARNING or not record.name.startswith(CLIENTS):
            return True
        text = record.getMessage()
        kind = record.name, NUMBERS.sub("0", text)
        now_s = self._clock()
        said_s, left_out = self._known.get(kind, (-QUIET_S, 0))
        if now_s - said_s < QUIET_S:
            self._known[kind] = said_s, left_out + 1
            return False
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[kind] = now_s, 0
        if left_out:
            told = f"{text} (and {left_out} times more in the last {now_s - said_s:.0f} s)"
            record.msg, record.args = told, ()
        return True
