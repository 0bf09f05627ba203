"""Alerts: one state machine a cause, as a table. Every change carries its reason.

Verdicts of evaluations come in; changes of state come out. "unknown" (too little data) never
changes anything: absence of evidence neither fires nor resolves.
"""

import dataclasses
from typing import Literal

State = Literal["quiet", "pending", "firing", "cooling"]
Seen = Literal["bad", "good", "unknown"]
Change = Literal["pending", "firing", "resolved"]

# (state, what was seen) -> (what is counted, state once the count is reached, state until then)
# "hold" counts bad evaluations in a row, "clear" good ones; "" needs no count.
TRANSITIONS: dict[tuple[State, Seen], tuple[str, State, State]] = {
    ("quiet", "bad"): ("hold", "firing", "pending"),
    ("quiet", "good"): ("", "quiet", "quiet"),
    ("pending", "bad"): ("hold", "firing", "pending"),
    ("pending", "good"): ("", "quiet", "quiet"),
    ("firing", "bad"): ("", "firing", "firing"),
    ("firing", "good"): ("clear", "cooling", "firing"),
    ("cooling", "bad"): ("", "cooling", "cooling"),
    ("cooling", "good"): ("", "cooling", "cooling"),
    ("quiet", "unknown"): ("", "quiet", "quiet"),
    ("pending", "unknown"): ("", "pending", "pending"),
    ("firing", "unknown"): ("", "firing", "firing"),
    ("cooling", "unknown"): ("", "cooling", "cooling"),
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

    changed_ms: when the state last changed. episode: how often it has begun to be bad.
    """

    state: State = "quiet"
    bad: int = 0
    good: int = 0
    since_ms: int = 0
    changed_ms: int = 0
    episode: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Transition:
    """A change that others are told of."""

    change: Change
    previous: State
    reason: str


def step(
    now: AlertState, seen: Seen, start_ms: int, end_ms: int, rule: Rule
) -> tuple[AlertState, Transition | None]:
    """What an evaluation of the window [start_ms, end_ms) does to a cause."""
    if now.state == "cooling" and end_ms - now.changed_ms >= rule.cooldown_ms:
        now = dataclasses.replace(now, state="quiet", bad=0, good=0)
    if seen == "unknown":
        return now, None
    bad, good = (now.bad + 1, 0) if seen == "bad" else (0, now.good + 1)
    counted, reached, meanwhile = TRANSITIONS[now.state, seen]
    done = {"hold": bad >= rule.hold, "clear": good >= rule.clear, "": True}[counted]
    state = reached if done else meanwhile
    after = dataclasses.replace(now, state=state, bad=bad, good=good)
    if now.state == "quiet" and seen == "bad":
        after = dataclasses.replace(after, since_ms=start_ms, episode=now.episode + 1)
    if state == now.state:
        return after, None
    after = dataclasses.replace(after, changed_ms=end_ms)
    return after, _told(now, after, rule)


def _told(before: AlertState, after: AlertState, rule: Rule) -> Transition | None:
    match (before.state, after.state):
        case (_, "pending"):
            reason = f"bad once; {rule.hold} in a row are needed to fire"
            return Transition("pending", before.state, reason)
        case (_, "firing"):
            times = "once" if after.bad == 1 else f"{after.bad} times in a row"
            return Transition("firing", before.state, f"bad {times}")
        case ("firing", _):
            times = "once" if after.good == 1 else f"{after.good} times in a row"
            return Transition("resolved", before.state, f"good {times}")
        case ("pending", _):
            reason = f"good again after {before.bad} of {rule.hold} bad evaluations"
            return Transition("resolved", before.state, reason)
    return None
