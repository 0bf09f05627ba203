"""Requests to retrain: one at a time, whatever the order of the answers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.retraining import (
    OPEN,
    RANKS,
    Answer,
    Limits,
    Progress,
    RetrainState,
    answered,
    refusal,
    requested,
)

SAID: tuple[Progress, ...] = ("accepted", "started", "finished", "rejected")
LIMITS = Limits(cooldown_ms=10, deadline_ms=100, minimum_labels=5)


@given(st.permutations([Answer("r", said, 50) for said in SAID]), st.integers(0, 4))
def test_any_order_ends_the_same(answers: list[Answer], repeated: int) -> None:
    state = requested("r", 40)
    for answer in [*answers, *answers[:repeated]]:
        state = answered(state, answer)
    assert state == RetrainState("r", "finished", 50, 40)


@given(st.lists(st.builds(Answer, st.sampled_from("ra"), st.sampled_from(SAID), st.integers(0, 9))))
def test_a_request_only_moves_forward(answers: list[Answer]) -> None:
    state = requested("r", 0)
    for answer in answers:
        after = answered(state, answer)
        assert RANKS[after.progress] >= RANKS[state.progress]
        assert answered(after, answer) == after
        state = after
    heard = {answer.progress for answer in answers if answer.request_id == "r"}
    assert state.progress == max({"requested", *heard}, key=lambda p: RANKS[p])


def test_answers_about_other_requests_change_nothing() -> None:
    for state in (RetrainState(), requested("r", 0)):
        assert answered(state, Answer("other", "finished", 1)) is state
        assert answered(state, Answer("", "finished", 1)) is state


@pytest.mark.parametrize("progress", sorted(OPEN))
def test_one_request_is_outstanding_at_most(progress: Progress) -> None:
    state = RetrainState("r", progress, 0, 0)
    assert state.outstanding
    assert refusal(state, 10**9, 10**9, LIMITS) == f"request r is {progress}"


@pytest.mark.parametrize("progress", ["finished", "rejected"])
def test_the_end_of_a_request_begins_the_cool_down(progress: Progress) -> None:
    state = RetrainState("r", progress, 50, 40)
    assert refusal(state, 59, 5, LIMITS) == f"cooling down since request r was {progress}"
    assert refusal(state, 60, 5, LIMITS) is None


@pytest.mark.parametrize(("said", "over"), [(10**15, 150), (-(10**15), 50)])
def test_a_wrong_clock_cannot_end_asking_for_ever(said: int, over: int) -> None:
    state = answered(requested("r", 40), Answer("r", "rejected", said))
    assert refusal(state, over - 1, 5, LIMITS) is not None
    assert refusal(state, over, 5, LIMITS) is None


def test_too_few_labels_are_waited_for() -> None:
    assert refusal(RetrainState(), 0, 4, LIMITS) == "4 labelled rows, 5 are needed"
    assert refusal(RetrainState(), 0, 5, LIMITS) is None


def test_asking_can_be_switched_off() -> None:
    off = Limits(enabled=False)
    assert (
        refusal(RetrainState(), 0, 100, off) == "retrain requests are switched off for this model"
    )


def test_the_ranks_order_the_life_of_a_request() -> None:
    for a, b in itertools.pairwise(("none", "requested", "accepted", "started", "finished")):
        assert RANKS[a] < RANKS[b]  # type: ignore[index]
