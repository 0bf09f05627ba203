"""Groups: the alerts of one model and one sort of cause as a single one, told of once.

Every feature, output and metric has a state of its own (`stream.alerts`). A group is open while any
of its members is not at ease: it is told of when it opens, when more members fire, and when the
last of them is at ease again.
"""

import dataclasses
from collections.abc import Collection, Sequence
from typing import Literal

from stream import figures
from stream.alerts import State, Transition

NAMED = 3  # members named in a reason
UNEASY: frozenset[State] = frozenset(("pending", "firing"))


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """An open alert. told: what was said of it last. since_ms: where the first of it began.

    members: the causes that have been part of it, in the order in which they came.
    """

    told: Literal["pending", "firing"]
    since_ms: int
    members: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """A member's change of state. since_ms: where what moved began. called: its name in words."""

    cause: str
    change: Transition
    since_ms: int
    called: str = ""


def regroup(
    now: Group | None, moves: Sequence[Move], uneasy: Collection[str]
) -> tuple[Group | None, Transition | None]:
    """What an evaluation's moves do to a group, None where it is not open, and what is told.

    uneasy: members that are pending or firing after them. Answers the group that is open then.
    """
    came = [move for move in moves if move.change.change != "resolved"]
    members = tuple(dict.fromkeys([*(now.members if now else ()), *(m.cause for m in came)]))
    if not any(cause in uneasy for cause in members):
        last = moves[-1].change
        return None, dataclasses.replace(last, previous=now.told) if now else None
    since_ms = min([m.since_ms for m in came] + ([now.since_ms] if now else []))
    before: State = now.told if now else "ok"
    fired = [move for move in moves if move.change.change == "firing"]
    if fired:
        told = Transition("firing", before, _reason(before, fired))
        return Group("firing", since_ms, members), told
    if now is None:
        return Group("pending", since_ms, members), Transition("pending", "ok", _reason("ok", came))
    return Group(now.told, since_ms, members), None


def _reason(before: State, moves: Sequence[Move]) -> str:
    """Why, of moves in one evaluation: all of them count by the same rule."""
    why = moves[0].change.reason
    if before != "firing":
        return why
    return f"joined by {figures.listed([move.called for move in moves], NAMED)}: {why}"
