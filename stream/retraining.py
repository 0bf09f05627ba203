"""Retraining: when to ask for it, and what became of what was asked.

One request is outstanding at most for a model version. Answers of the retraining system may come
twice or in the wrong order: a request only ever moves forward, and where it ends does not depend
on the order in which its answers were heard.
"""

import dataclasses
from typing import Literal

Progress = Literal["none", "requested", "accepted", "started", "rejected", "finished"]

# How far a request is. A request that is said to be both rejected and finished was finished.
RANKS: dict[Progress, int] = {
    "none": 0,
    "requested": 1,
    "accepted": 2,
    "started": 3,
    "rejected": 4,
    "finished": 5,
}
OPEN: frozenset[Progress] = frozenset(("requested", "accepted", "started"))


@dataclasses.dataclass(frozen=True, slots=True)
class RetrainState:
    """The request asked last: its id, how far it is, and when that became so (event time)."""

    request_id: str = ""
    progress: Progress = "none"
    changed_ms: int = 0
    requested_ms: int = 0

    @property
    def outstanding(self) -> bool:
        """Whether an answer is still to come."""
        return self.progress in OPEN


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a retraining system says about a request."""

    request_id: str
    progress: Progress
    time_ms: int


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """When asking is allowed. deadline_ms: an answer's time counts up to that after asking."""

    enabled: bool = True
    cooldown_ms: int = 0
    deadline_ms: int = 0
    minimum_labels: int = 0


def answered(state: RetrainState, answer: Answer) -> RetrainState:
    """The state after an answer; one about another request, or from the past, changes nothing."""
    if not state.request_id or answer.request_id != state.request_id:
        return state
    if RANKS[answer.progress] <= RANKS[state.progress]:
        return state
    return dataclasses.replace(state, progress=answer.progress, changed_ms=answer.time_ms)


def requested(request_id: str, time_ms: int) -> RetrainState:
    """The state after asking."""
    return RetrainState(request_id, "requested", time_ms, time_ms)


def refusal(state: RetrainState, time_ms: int, labelled_rows: int, limits: Limits) -> str | None:
    """Why nothing is asked now, or None where it should be."""
    if not limits.enabled:
        return "retrain requests are switched off for this model"
    if state.outstanding:
        return f"request {state.request_id} is {state.progress}"
    if state.progress != "none" and time_ms - _ended_ms(state, limits) < limits.cooldown_ms:
        return f"cooling down since request {state.request_id} was {state.progress}"
    if labelled_rows < limits.minimum_labels:
        return f"{labelled_rows:,} labelled rows, {limits.minimum_labels:,} are needed"
    return None


def _ended_ms(state: RetrainState, limits: Limits) -> int:
    """When the request ended. The clock of whoever answered is not trusted beyond its deadline."""
    latest = state.requested_ms + limits.deadline_ms
    return min(max(state.changed_ms, state.requested_ms), latest)
