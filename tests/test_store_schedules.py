"""Random schedules of owners, crashes, stalls and retries against an oracle of plain lists.

The oracle decides at the moment at which a script is sent: what it holds is the sum of the
checkpoints that were committed, in order, each once. Redis must then say the same.
"""

import concurrent.futures
import os
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from agents.store import (
    Changes,
    Claim,
    OutMessage,
    Refused,
    nothing,
    sources,
)
from tests.examples import as_many_as
from tests.redises import binaries, serve
from tests.schedules import Oracle, Worker, keys_of, whole_outbox
from tests.worlds import Crashed, pending

T = TypeVar("T")
LOUD = ["stage", "commit", "apply", "finish", "claim", "remove", "sweep"]
FIELDS = ["a", "b", "c", "d"]
HASHES = [0, 1, 1 << 32, 6 << 32, 1 << 62, 2**64 - 1]
Fault = tuple[str, str, int]
STEPS = [f"{when} {name}" for name in LOUD for when in ("before", "after")]
faults = st.one_of(
    st.just(("none", "", 0)),
    st.tuples(
        st.sampled_from(["crash", "stall", "stall and commit"]),
        st.sampled_from(STEPS),
        st.integers(1, 3),
    ),
)
values = st.binary(max_size=30)
changed = st.builds(
    lambda puts, deletes, pending, gone, outbox: Changes(
        puts=puts,
        deletes=deletes - puts.keys(),
        pending_puts=pending,
        pending_deletes=gone - pending.keys(),
        outbox=[OutMessage("t", None, value) for value in outbox],
    ),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=4),
    st.sets(st.sampled_from(FIELDS)),
    st.dictionaries(st.sampled_from(HASHES), values, max_size=4),
    st.sets(st.sampled_from(HASHES)),
    st.lists(values, max_size=5),
)
stubborn = st.sampled_from([False, False, False, True])
who = st.sampled_from(["A", "B"])


class Schedules(RuleBasedStateMachine):
    """Two workers that both believe in themselves."""

    socket = ""
    texts: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        super().__init__()
        prefix = secrets.token_hex(6)
        names = ("A", "B", "judge")
        self.workers = {n: Worker(n, self.socket, prefix, self.texts) for n in names}
        self.oracle = Oracle()
        self.position = 0
        self.elsewhere = concurrent.futures.ThreadPoolExecutor(1)

    @rule(who=who, fault=faults)
    def claim(self, who: str, fault: Fault) -> None:
        worker = self.workers[who]
        worker.claimed = -1
        claim = self._play(worker, worker.partition.claim, fault)
        if not isinstance(claim, Claim):
            return
        worker.claimed = worker.claiming
        worker.noticed = False
        if self._owns(worker):
            assert (claim.seq, claim.backlog) == (len(self.oracle.log), self._backlog())
            assert worker.run(worker.partition.load()) == self.oracle.state()

    @rule(who=who, some=changed, stubborn=stubborn)
    def prepare(self, who: str, some: Changes, stubborn: bool) -> None:
        worker = self.workers[who]
        if worker.noticed and not stubborn:
            self.claim(who, ("none", "", 0))
        self.position += 1
        attempt = worker.partition.prepare(some, self.position, "topic")
        worker.attempts.append(attempt)
        self.oracle.changes[attempt.id] = some
        self.oracle.bases[attempt.id] = (who, worker.claimed)

    @rule(who=who, back=st.integers(0, 2), fault=faults)
    def checkpoint(self, who: str, back: int, fault: Fault) -> None:
        worker = self.workers[who]
        if len(worker.attempts) <= back:
            return
        worker.attempt = attempt = worker.attempts[-1 - back]
        answer = self._play(worker, lambda: worker.partition.checkpoint(attempt), fault)
        if isinstance(answer, Refused):
            assert not self.oracle.acceptable(attempt)
        elif answer is None:
            assert attempt in self.oracle.log

    @rule(who=who, some=changed, fault=faults)
    def work(self, who: str, some: Changes, fault: Fault) -> None:
        self.prepare(who, some, stubborn=False)
        self.checkpoint(who, 0, fault)

    @rule(who=who, count=st.integers(1, 4), fault=faults)
    def relay(self, who: str, count: int, fault: Fault) -> None:
        worker = self.workers[who]
        if worker.noticed:
            self.claim(who, ("none", "", 0))
        owned = self._owns(worker)
        try:
            found = worker.run(worker.partition.outbox(count))
        except Refused:
            assert not owned
            return
        assert owned
        head, outbox = self.oracle.head, self.oracle.outbox()
        assert found == list(enumerate(outbox))[head : head + count][: len(found)]
        assert found or head == len(outbox)
        refs = [ref for ref, _ in found]
        if refs:
            self._play(worker, lambda: worker.partition.remove(refs), fault, refs[-1] + 1)

    @invariant()
    def what_is_committed_is_counted_once(self) -> None:
        assert len({prepared.id for prepared in self.oracle.log}) == len(self.oracle.log)

    def teardown(self) -> None:
        try:
            self._judge()
        finally:
            self.elsewhere.shutdown()
            for worker in self.workers.values():
                worker.close()

    def _judge(self) -> None:
        judge, oracle = self.workers["judge"], self.oracle
        claim = judge.run(judge.partition.claim())
        assert claim.seq == len(oracle.log)
        assert claim.next == (oracle.log[-1].next if oracle.log else None)
        assert judge.run(judge.partition.load()) == oracle.state()
        assert judge.run(pending(judge.partition, enough=1)) == oracle.pending()
        assert claim.pending == len(oracle.pending())
        assert claim.backlog == self._backlog()
        assert judge.run(whole_outbox(judge)) == oracle.outbox()[oracle.head :]
        keys = judge.run(keys_of(judge))
        kinds = {key.decode().removeprefix(judge.partition.key("")).split(":")[0] for key in keys}
        assert kinds <= {"meta", "state", "pending", "claims"}

    def _play(
        self,
        worker: Worker,
        call: Callable[[], Coroutine[Any, Any, T]],
        fault: Fault,
        stop: int = 0,
    ) -> T | Refused | Crashed:
        """Run a call with a fault at its n-th step; the oracle follows every script sent."""
        kind, at, left = fault

        def hook(step: str) -> None:
            nonlocal left
            left -= step == at
            if step == at and left == 0:
                if kind == "crash":
                    raise Crashed(step)
                self.elsewhere.submit(self._take_over, worker.name, kind).result()
            self._follow(worker, step, stop)

        worker.hook = hook
        try:
            return worker.run(call())
        except (Refused, Crashed) as error:
            worker.noticed = True
            return error
        finally:
            worker.hook = nothing

    def _take_over(self, stalled: str, kind: str) -> None:
        """While one worker stalls, the other becomes the owner and perhaps goes on."""
        other = self.workers["B" if stalled == "A" else "A"]
        other.hook = lambda step: self._follow(other, step, 0)
        other.run(other.partition.claim())
        other.claimed = other.claiming
        other.noticed = False
        if kind == "stall and commit":
            puts = dict.fromkeys(FIELDS, b"taken over")
            some = Changes(puts=puts, pending_deletes=set(HASHES))
            self.prepare(other.name, some, stubborn=True)
            other.attempt = other.attempts[-1]
            other.run(other.partition.checkpoint(other.attempt))
        other.hook = nothing

    def _follow(self, worker: Worker, step: str, stop: int) -> None:
        if step == "before claim":
            self.oracle.claims += 1
            worker.claiming = self.oracle.claims
            self.oracle.owner = (worker.name, worker.claiming)
        elif step == "before commit" and worker.attempt:
            self.oracle.commit(worker.attempt)
        elif step == "before remove" and self._owns(worker):
            self.oracle.head = max(self.oracle.head, stop)

    def _owns(self, worker: Worker) -> bool:
        return self.oracle.owner == (worker.name, worker.claimed)

    def _backlog(self) -> int:
        return len(self.oracle.outbox()) - self.oracle.head


def play(binary: str, texts: dict[str, str], schedules: int) -> None:
    with serve(binaries()[binary]) as path:
        machine = type("Machine", (Schedules,), {"socket": path, "texts": texts})
        run_state_machine_as_test(
            machine,
            settings=as_many_as(schedules, steps=25),
        )


@pytest.mark.parametrize("binary", sorted(binaries()))
def test_any_schedule_gives_the_sum_of_what_was_committed(binary: str) -> None:
    play(binary, sources(), int(os.environ.get("DRIFTLINE_SCHEDULES", "100")))
