"""Random schedules in which Redis is rolled back, also in the middle of a call.

As in `tests/test_schedules.py`, but that a copy of Redis is kept at some step and put back at a
later one: what comes out, and what is left behind, is what the log says all the same.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from agents.chunks import TP
from tests import test_schedules as schedules
from tests import verdicts
from tests.crews import NONE, TPS, Crew, Fault, Hand
from tests.examples import as_many_as
from tests.stories import Story, oracle, story

SCHEDULES = int(os.environ.get("DRIFTLINE_SCHEDULES", "60"))
STEPS = [*schedules.EVERY, *schedules.REACHED, "before claims", "after claims"]


class Keeping(Hand):
    """A worker to which a fault may be that Redis is copied, or rolled back."""

    crew: "Rolling"

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "keep":
            self.crew.keep()
        elif fault.kind == "roll back":
            self.crew.roll_back()
        else:
            super()._fail(fault)


class Rolling(Crew):
    """Workers on a Redis of which copies are taken and put back."""

    def __init__(self, socket: str, prefix: str, told: Story) -> None:
        self.redis = redis.Redis(unix_socket_path=socket)
        self.rollbacks = self.before = 0
        super().__init__(socket, prefix, told)
        for hand in self.hands.values():
            hand.__class__ = Keeping
        self.keep()

    def _keys(self) -> list[bytes]:
        return cast(list[bytes], self.redis.keys(f"{self.prefix}:*"))

    def keep(self) -> None:
        """Take a copy."""
        self.copy: dict[bytes, Any] = {key: self.redis.dump(key) for key in self._keys()}
        self.owned = dict(self.owners)

    def roll_back(self) -> None:
        """Put the last copy back. What was known to be durable is not any more."""
        for key in self._keys():
            self.redis.delete(key)
        for key, value in self.copy.items():
            self.redis.restore(key, 0, value)
        self.owners = dict.fromkeys(TPS, ("", -1)) | self.owned
        self.reached = {}
        self.rollbacks += 1
        self._forget()

    def _forget(self) -> None:
        self.acked = {tp: at for tp, at in self.acked.items() if tp not in TPS}

    def act(
        self, name: str, tp: TP, call: Callable[[Hand], Coroutine[Any, Any, Any]], fault: Fault
    ) -> None:
        """Let a worker do something. Of a call in which Redis is rolled back, what it acknowledges
        may be lost as well: it was durable before.
        """
        self.before = self.rollbacks
        super().act(name, tp, call, fault)

    def _check(self, tp: TP) -> None:
        if self.before != self.rollbacks:
            self._forget()
        super()._check(tp)

    def close(self) -> None:
        self.redis.close()
        super().close()


faults = schedules._faults(STEPS, ("keep", "keep", "roll back"))
steps = st.one_of(
    schedules.steps,
    st.tuples(st.just("work"), schedules.who, schedules.where, schedules.count, faults),
    st.tuples(st.just("checkpoint"), schedules.who, schedules.where, faults),
    st.tuples(st.just("keep")),
    st.tuples(st.just("roll back")),
    st.tuples(st.just("undercut"), schedules.who, schedules.source, schedules.count),
)


def play(crew: Rolling, schedule: list[tuple[Any, ...]]) -> None:
    """Do as the schedule says."""
    for step in schedule:
        if step == ("keep",):
            crew.keep()
        elif step == ("roll back",):
            crew.roll_back()
        elif step[0] == "undercut":
            undercut(crew, *step[1:])
        else:
            schedules.play(crew, [step])


def undercut(crew: Rolling, name: str, source: int, count: int) -> None:
    """The watch has taken in what the ledgers told, and not a byte of it written, when they lose
    it: the rollback does not reach back to a checkpoint of the watch.
    """
    *ledgers, watch = TPS
    crew.act(name, watch, Hand.checkpoint, NONE)
    crew.keep()
    crew.forward(name, sorted(crew.told.records)[source], count)
    for tp in ledgers:
        crew.act(name, tp, lambda hand: hand.work(count), NONE)
    crew.act(name, watch, lambda hand: hand.take(count), NONE)
    crew.roll_back()
    crew.act(name, watch, Hand.checkpoint, NONE)


@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("no_pause")
@as_many_as(SCHEDULES)
@given(seed=st.integers(1, 3), schedule=st.lists(steps, min_size=10, max_size=50))
def test_any_rollback_is_made_whole(
    seed: int, schedule: list[tuple[Any, ...]], redis_socket: str
) -> None:
    with contextlib.closing(Rolling(redis_socket, secrets.token_hex(6), story(seed))) as crew:
        play(crew, schedule)
        crew.drain()
        verdicts.check(crew, oracle(seed))
