"""Leisure: how long work that takes its time may go on. The shell knows; the core asks."""

import dataclasses
from collections.abc import Callable


class Interrupted(Exception):
    """What was being measured is dropped, to be measured again; nothing of it was applied."""


def _never() -> bool:
    return False


def _nothing() -> None:
    """There is always time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Leisure:
    """enough: asked between windows, whether the rest is to wait for the next turn.

    between: called between two features; raises Interrupted where the work is not wanted any more.
    """

    enough: Callable[[], bool] = _never
    between: Callable[[], None] = _nothing


ALWAYS = Leisure()
