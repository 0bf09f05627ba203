"""Crash points: for tests, a process can be told to die at a step of its work.

`DRIFTLINE_CRASH="after commit:3"` ends it at the third time that the step is reached, as a loss of
power would: no clean-up, nothing flushed, nothing committed. Where the variable is not set, a step
costs one call of a function that does nothing.
"""

import logging
import os
from collections.abc import Callable, Mapping
from typing import Final

from agents.complaints import BadSettings, suggest
from agents.store import Hook, nothing
from agents.store.scripts import NAMES

log = logging.getLogger(__name__)

VARIABLE: Final = "DRIFTLINE_CRASH"
EXIT_CRASHED: Final = 86

SCRIPTS: dict[str, tuple[str, str]] = {
    "apply": ("a run of chunks of a committed checkpoint is to be applied", "it is applied"),
    "claim": ("a partition is to be claimed", "it is claimed, nothing is loaded"),
    "claims": ("the owners of a ledger's checkpoints are to be asked for", "they are known"),
    "commit": ("all is staged", "the checkpoint is committed, its answer not seen"),
    "finish": ("all is applied", "the redo record is removed"),
    "ids": ("ids of pending entries are to be read", "a slice of them was read"),
    "migrate": ("an old bucket of pending entries is to be taken over", "it is taken over"),
    "outbox": ("the outbox is to be read", "messages are read, none is published"),
    "pending": ("pending entries are to be looked up", "they are looked up"),
    "remove": ("messages are published", "they are removed from the outbox"),
    "scan": ("old pending entries are to be looked for", "a slice of them was looked at"),
    "stage": ("a run of chunks is to be staged", "it is staged"),
    "sweep": ("what an earlier attempt left is to be removed", "it is removed"),
}
STEPS: dict[str, str] = {
    "before restore": "a partition is claimed, its state not yet loaded",
    "after restore": "a partition is loaded, its backlog not yet published",
    "after take": "a chunk of events or signals is in memory, and nowhere else",
    "before reference": "a reference is to be kept, before the checkpoint that names it",
    "after reference": "it is kept",
    "before ack": "a checkpoint is durable, Kafka is not to be told yet",
    "after ack": "Kafka may be told, nothing of the outbox is published",
    "before produce": "messages of the outbox are to be published",
    "after produce": "Kafka has them, the outbox still does too",
    "before shares": "sealed shares are to be read for an evaluation",
    "after shares": "they are read",
    "before close": "a partition is given back, its last checkpoint not begun",
    "after close": "it is given back",
    "before forward": "intake has decoded a chunk, nothing is produced",
    "between forward and letters": "intake has produced what it accepts, dead letters not",
    "after forward": "intake has produced and flushed all of a chunk, nothing is acknowledged",
    "after receipt": "intake has acknowledged a chunk, nothing is committed",
    "before offsets": "offsets are to be committed to Kafka",
    "after offsets": "they are",
}


def _points() -> dict[str, str]:
    found = dict(STEPS)
    for name in sorted(NAMES):
        before, after = SCRIPTS.get(name, (f"{name}.lua is to run", f"{name}.lua has run"))
        found |= {f"before {name}": before, f"after {name}": after}
    return found


POINTS: Final = _points()
"""What has happened at each point. A script's points are those of its calls from this process."""


class Crash:
    """A hook that ends the process at the n-th time that a point is reached."""

    def __init__(self, point: str, hit: int, end: Callable[[int], object] = os._exit) -> None:
        self.point, self.left, self._end = point, hit, end

    def __call__(self, step: str) -> None:
        """A step is reached."""
        if step == self.point:
            self.left -= 1
            if self.left == 0:
                self._end(EXIT_CRASHED)


def from_environment(variables: Mapping[str, str]) -> Hook:
    """What is to be told of every step. Raises BadSettings, naming what is allowed."""
    told = variables.get(VARIABLE, "")
    if not told:
        return nothing
    point, _, hit = told.partition(":")
    if point not in POINTS:
        raise BadSettings(f"{VARIABLE}: no point {point!r}; {suggest(point, POINTS)}")
    if not (hit or "1").isdecimal() or int(hit or "1") == 0:
        raise BadSettings(f"{VARIABLE}: {hit!r} is no count from 1: write {point + ':3'!r}")
    log.warning("%s=%s: this process will end itself; unset it in production", VARIABLE, told)
    return Crash(point, int(hit or "1"))
