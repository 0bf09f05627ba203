"""Retraining: when to ask for it, and what became of what was asked.

One request is outstanding at most for a model version. Answers of the retraining system may come
twice or in the wrong order: a request only ever moves forward.
"""

import dataclasses
from typing import Literal

Progress = Literal["none", "requested", "accepted", "started", "finished", "rejected"]

RANKS: dict[Progress, int] = {
    "none": 0,
    "requested": 1,
    "accepted": 2,
    "started": 3,
    "finished": 4,
    "rejected": 4,
}


@dataclasses.dataclass(frozen=True, slots=True)
class RetrainState:
    """The request asked last: its id, how far it is, and when that became so (event time)."""

    request_id: str = ""
    progress: Progress = "none"
    changed_ms: int = 0
    requests: int = 0

    @property
    def outstanding(self) -> bool:
        """Whether an answer is still to come."""
        return self.progress in ("requested", "accepted", "started")


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a retraining system says about a request."""

    request_id: str
    progress: Progress
    time_ms: int


def answered(state: RetrainState, answer: Answer) -> RetrainState:
    """The state after an answer; one about another request, or from the past, changes nothing."""
    if answer.request_id != state.request_id or RANKS[answer.progress] <= RANKS[state.progress]:
        return state
    return dataclasses.replace(state, progress=answer.progress, changed_ms=answer.time_ms)


def requested(state: RetrainState, request_id: str, time_ms: int) -> RetrainState:
    """The state after asking."""
    return RetrainState(request_id, "requested", time_ms, state.requests + 1)


def refusal(
    state: RetrainState,
    time_ms: int,
    labelled_rows: int,
    *,
    enabled: bool,
    cooldown_ms: int,
    minimum_labels: int,
) -> str | None:
    """Why nothing is asked now, or None where it should be."""
    if not enabled:
        return "retrain requests are switched off for this model"
    if state.outstanding:
        return f"request {state.request_id} is {state.progress}"
    since_ms = time_ms - state.changed_ms
    if state.progress != "none" and since_ms < cooldown_ms:
        return f"cooling down since request {state.request_id} was {state.progress}"
    if labelled_rows < minimum_labels:
        return f"{labelled_rows:,} labelled rows, {minimum_labels:,} are needed"
    return None
