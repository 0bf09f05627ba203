"""Alerts: one state machine a cause, as a table. Every change carries its reason.

Verdicts of evaluations come in; changes of state come out. "unknown" (too little data) never
changes anything: absence of evidence neither fires nor resolves.
"""

import dataclasses
from typing import Literal

State = Literal["ok", "pending", "firing", "resolved"]
Seen = Literal["bad", "good", "unknown"]
Change = Literal["pending", "firing", "resolved"]

# (state, what was seen) -> (what is counted, state once the count is reached, state until then)
# "hold" counts bad evaluations in a row, "clear" good ones; "" needs no count. "resolved" lasts
# for the cool-down and then is "ok" again, whatever is seen.
TRANSITIONS: dict[tuple[State, Seen], tuple[str, State, State]] = {
    ("ok", "bad"): ("hold", "firing", "pending"),
    ("ok", "good"): ("", "ok", "ok"),
    ("ok", "unknown"): ("", "ok", "ok"),
    ("pending", "bad"): ("hold", "firing", "pending"),
    ("pending", "good"): ("", "ok", "ok"),
    ("pending", "unknown"): ("", "pending", "pending"),
    ("firing", "bad"): ("", "firing", "firing"),
    ("firing", "good"): ("clear", "resolved", "firing"),
    ("firing", "unknown"): ("", "firing", "firing"),
    ("resolved", "bad"): ("", "resolved", "resolved"),
    ("resolved", "good"): ("", "resolved", "resolved"),
    ("resolved", "unknown"): ("", "resolved", "resolved"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """hold, clear: evaluations in a row. cooldown_ms: event time after resolving."""

    hold: int = 1
    clear: int = 2
    cooldown_ms: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class AlertState:
    """Where one cause stands. bad, good: in a row. since_ms: start of the first bad window.

    changed_ms: when the state last changed.
    """

    state: State = "ok"
    bad: int = 0
    good: int = 0
    since_ms: int = 0
    changed_ms: int = 0


QUIET = AlertState()


@dataclasses.dataclass(frozen=True, slots=True)
class Transition:
    """A change that others are told of."""

    change: Change
    previous: State
    reason: str


def step(
    now: AlertState, seen: Seen, start_ms: int, end_ms: int, rule: Rule
) -> tuple[AlertState, Transition | None]:
    """What an evaluation of the window [start_ms, end_ms) does to a cause.

    A cause that is "ok" has no memory: its state is QUIET, and need not be kept.
    """
    if now.state == "resolved" and end_ms - now.changed_ms >= rule.cooldown_ms:
        now = QUIET
    counted, reached, until = TRANSITIONS[now.state, seen]
    if seen == "unknown":
        return now, None
    bad, good = (now.bad + 1, 0) if seen == "bad" else (0, now.good + 1)
    done = {"hold": bad >= rule.hold, "clear": good >= rule.clear, "": True}[counted]
    after = dataclasses.replace(now, state=reached if done else until, bad=bad, good=good)
    if after.state == "ok":
        after = QUIET
    elif now.state == "ok":
        after = dataclasses.replace(after, since_ms=start_ms)
    if after.state == now.state:
        return after, None
    told = _told(now, bad, good, after.state, rule)
    return (after if after is QUIET else dataclasses.replace(after, changed_ms=end_ms)), told


def _told(now: AlertState, bad: int, good: int, state: State, rule: Rule) -> Transition | None:
    match (now.state, state):
        case (before, "pending"):
            reason = f"moved in {_windows(bad)}; {rule.hold} in a row are needed to fire"
            return Transition("pending", before, reason)
        case (before, "firing"):
            return Transition("firing", before, f"moved in {_windows(bad)}")
        case ("firing", _):
            return Transition("resolved", "firing", f"not moved in {_windows(good)}")
        case ("pending", _):
            reason = f"not moved again after {now.bad} of the {rule.hold} windows needed to fire"
            return Transition("resolved", "pending", reason)
    return None


def _windows(n: int) -> str:
    return "1 window" if n == 1 else f"{n} windows in a row"
