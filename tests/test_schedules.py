"""Random schedules of workers that crash, stall, lose answers and take each other's place.

Keepers, cores and intake are the real ones, on a real Redis. Whatever happens to them: what comes
out, and what is left behind, is what the pipeline in memory makes of the same records.
"""

import functools
import os
import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import verdicts
from tests.crews import NONE, TPS, Crew, Fault, Hand
from tests.examples import as_many_as
from tests.stories import oracle, story

SCHEDULES = int(os.environ.get("DRIFTLINE_SCHEDULES", "200"))
SCRIPTS = ("stage", "commit", "apply", "finish", "sweep", "claim", "outbox", "remove", "pending")
EVERY = [f"{when} {name}" for name in (*SCRIPTS, "post") for when in ("before", "after")]
REACHED = ["before restore", "after restore", "after take", "before ack", "after ack"]
REACHED += ["before produce", "after produce", "before shares", "after shares"]
INTAKE = ["before forward", "before post", "after post", "after forward"]


def _faults(steps: list[str], kinds: tuple[str, ...]) -> st.SearchStrategy[Fault]:
    counts = st.integers(1, 4), st.sampled_from([0, 3, 30])
    return st.builds(Fault, st.sampled_from(kinds), st.sampled_from(steps), *counts)


nothing = st.just(NONE)
faults = st.one_of(
    nothing,
    _faults([*EVERY, *REACHED], ("crash", "stall")),
    _faults(EVERY, ("lost",)),
    _faults([f"before {name}" for name in SCRIPTS], ("echo",)),
)
at_intake = st.one_of(
    nothing, nothing, _faults(INTAKE, ("crash",)), _faults(INTAKE[1:3], ("lost",))
)
who = st.sampled_from("ABC")
where = st.sampled_from(TPS)
count = st.integers(1, 40)
source = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.just("forward"), who, source, count, at_intake),
    st.tuples(st.just("work"), who, where, count, faults),
    st.tuples(st.just("work"), who, where, count, faults),
    st.tuples(st.just("take"), who, where, count, faults),
    st.tuples(st.just("checkpoint"), who, where, faults),
    st.tuples(st.just("tidy"), who, where, faults),
    st.tuples(st.just("again"), source, count),
    st.tuples(st.just("idle"), who),
    st.tuples(st.just("die"), who),
    st.tuples(st.just("arrive"), who),
)


def play(crew: Crew, schedule: list[tuple[Any, ...]]) -> None:
    """Do as the schedule says."""
    sources = sorted(crew.told.records)
    for verb, *rest in schedule:
        match verb, rest:
            case "forward", [name, number, many, fault]:
                crew.forward(name, sources[number], many, fault)
            case "work" | "take", [name, tp, many, fault]:
                method = Hand.work if verb == "work" else Hand.take
                crew.act(name, tp, functools.partial(method, count=many), fault)
            case "checkpoint" | "tidy", [name, tp, fault]:
                crew.act(name, tp, Hand.checkpoint if verb == "checkpoint" else Hand.tidy, fault)
            case "again", [number, back]:
                at = crew.positions[sources[number]]
                crew.positions[sources[number]] = max(0, at - back)
            case "idle", [name]:
                crew.idle(name)
            case "die", [name]:
                crew.hands[name].begin()
            case "arrive", [name]:
                hand = crew.hands[name]
                hand.run(hand.arrive())


@pytest.mark.slow
@pytest.mark.timeout(SCHEDULES * 5)
@pytest.mark.usefixtures("no_pause")
@as_many_as(SCHEDULES)
@given(seed=st.integers(1, 3), schedule=st.lists(steps, min_size=5, max_size=40))
def test_any_schedule_gives_what_the_log_says(
    seed: int, schedule: list[tuple[Any, ...]], redis_socket: str
) -> None:
    crew = Crew(redis_socket, secrets.token_hex(6), story(seed))
    try:
        play(crew, schedule)
        crew.drain()
        verdicts.check(crew, oracle(seed))
    finally:
        crew.close()
