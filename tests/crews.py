"""Workers that may die, stall, lose answers or believe too long in themselves, in one process.

They are the real keepers, cores and intake on a real Redis; only Kafka is a list. What must hold
at every moment is checked here: a worker whose partition was claimed by another writes nothing,
positions and checkpoint numbers never go back, and nothing is acknowledged that Redis lacks.
"""

import asyncio
import concurrent.futures
import dataclasses
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline as Wire

from agents.chunks import TP, Chunk
from agents.context import Context
from agents.counters import Counters
from agents.intake import Intake
from agents.keepers import Core, Keeper
from agents.ledger import LedgerCore
from agents.store import Limits, Store
from agents.watch import WatchCore
from tests.logs import Logs, Lost, Poster
from tests.stories import CONFIG, CONTROL, COUNTS, EVENTS, LEDGERS, SIGNALS, WATCHED, Story
from tests.worlds import Crashed

T = TypeVar("T")
LIMITS = Limits(chunk_bytes=3_000, chunk_ops=6, request_bytes=8_000, fill=3, outbox_bodies=2)
LEDGER_TPS = [TP(EVENTS, number) for number in range(LEDGERS)]
TPS = [*LEDGER_TPS, TP(SIGNALS, 0)]
CORES: dict[str, tuple[str, Callable[[Context, int], Core]]] = {
    EVENTS: ("ledger", LedgerCore),
    SIGNALS: ("watch", WatchCore),
}


@dataclasses.dataclass(frozen=True)
class Fault:
    """What goes wrong at the n-th time that a worker reaches a step of one call.

    crash: the process ends. lost: the request or its answer does. echo: the request arrives once
    more, much later. stall: another worker takes the partition over, then this one goes on.
    work: records that the other takes meanwhile, and makes durable.
    """

    kind: str = ""
    step: str = ""
    hit: int = 1
    work: int = 0


NONE = Fault()


class Client(Redis):
    """A connection that remembers its last request, so that it may arrive once more."""

    def __init__(self, socket: str) -> None:
        super().__init__(unix_socket_path=socket)
        self.kept: list[tuple[Any, ...]] | None = None

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Wire:
        client = self

        class Remembered(Wire):
            async def execute(self, raise_on_error: bool = True) -> list[Any]:
                if client.kept is not None and not client.kept:
                    client.kept += [command[0] for command in self.command_stack]
                return await super().execute(raise_on_error)

        return Remembered(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class Hand:
    """One worker: a loop and a connection of its own, and a process that may be begun anew."""

    def __init__(self, name: str, crew: "Crew") -> None:
        self.name, self.crew = name, crew
        self.runner = asyncio.Runner()
        self.client = Client(crew.socket)
        self.counters = Counters()
        self.fault, self.left = NONE, 0
        self.tp = TPS[0]
        self.claims: dict[TP, int] = {}
        self.usurped = False  # whether somebody else owned the partition as we last committed
        self.late: list[list[tuple[Any, ...]]] = []
        self.begin()

    def begin(self) -> None:
        """A new process: nothing is in memory."""
        store = Store(self.client, self.crew.prefix, LIMITS, self.step)
        poster = cast(Any, Poster(self.crew.logs, self.step))
        self.context = Context(CONFIG, store, poster, self.counters, COUNTS, {}, reach=self.step)
        self.context.models["m"] = WATCHED
        self.context.ack = self._ack
        self.intake = Intake(self.context)
        self.keepers: dict[TP, Keeper] = {}

    def _ack(self, tp: tuple[str, int], position: int) -> None:
        self.crew.acked[TP(*tp)] = max(position, self.crew.acked.get(TP(*tp), 0))

    def step(self, step: str) -> None:
        """A step is reached: time for the fault, then for the books of who owns what."""
        fault = self.fault
        if step == fault.step:
            self.left -= 1
            if self.left == 0:
                self._fail(fault)
        if step == "before claim":
            self.claims[self.tp] = self.crew.claim(self)
        elif step == "before commit":
            self.usurped = self.crew.owners[self.tp] != (self.name, self.claims[self.tp])

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "crash":
            raise Crashed(fault.step)
        if fault.kind == "lost":
            raise Lost(fault.step)
        if fault.kind == "stall":
            self.crew.instead(self, fault)
        elif fault.kind == "echo":
            self.client.kept = []

    def run(self, call: Coroutine[Any, Any, T], fault: Fault = NONE) -> T | None:
        """A call with a fault in it; None where the process ended over it."""
        self.fault, self.left = fault, fault.hit
        try:
            return self.runner.run(call)
        except Crashed:
            self.begin()
            return None
        finally:
            self.fault = NONE
            if self.client.kept:
                self.late.append(self.client.kept)
            self.client.kept = None

    async def keeper(self) -> Keeper:
        """The keeper of the partition at hand, opened anew where it has lost it."""
        known = self.keepers.get(self.tp)
        if known is None or not known.live:
            stage, core = CORES[self.tp.topic]
            known = Keeper(self.context, stage, self.tp, core(self.context, self.tp.partition))
            self.keepers[self.tp] = known
            await known.open()
        return known

    async def take(self, count: int) -> None:
        """Take in some more records of the partition at hand."""
        keeper = await self.keeper()
        base = keeper.next or 0
        records = self.crew.logs.read(self.tp, base, count)
        if records and keeper.live:
            await keeper.handle(records, base, base + len(records))
        await keeper.work()

    async def checkpoint(self) -> None:
        """Make durable what was taken in. Who was replaced before that must be refused."""
        keeper = await self.keeper()
        self.usurped = False
        await keeper.checkpoint()
        assert keeper.refused or not self.usurped, f"{self.name} wrote what is another's: {self.tp}"

    async def tidy(self) -> None:
        """Look at old entries, once."""
        await (await self.keeper()).housekeeping()

    async def work(self, count: int) -> None:
        """Take some records in and make them durable."""
        await self.take(count)
        await self.checkpoint()

    async def forward(self, source: TP, first: int, count: int) -> bool:
        """Intake of some records."""
        records = self.crew.logs.read(source, first, count)
        after = first + len(records)
        await self.intake.handle(Chunk(source.topic, source.partition, records, first, after))
        return True

    async def arrive(self) -> None:
        """What was sent long ago arrives once more."""
        late, self.late = self.late, []
        for command in (command for commands in late for command in commands):
            await cast(Any, self.client).execute_command(*command)

    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.runner.close()


class Crew:
    """Workers on one Redis and one Kafka, and what is known to be durable."""

    def __init__(self, socket: str, prefix: str, told: Story, names: str = "ABC") -> None:
        self.socket, self.prefix, self.told = socket, prefix, told
        self.logs = Logs()
        self.owners: dict[TP, tuple[str, int]] = {}
        self.acked: dict[TP, int] = {}
        self.reached: dict[TP, tuple[int, int]] = {}
        self.positions: dict[TP, int] = {}
        self._claims = 0
        self._elsewhere = concurrent.futures.ThreadPoolExecutor(1)
        self.hands = {name: Hand(name, self) for name in names}
        self._register()

    def _register(self) -> None:
        for raw in self.told.registration:
            self.logs.post(TP(CONTROL, 0), raw, None, self.told.end_ms)
        for tp, records in self.told.records.items():
            self.positions[tp] = 0
            for at_ms, raw in records:
                self.logs.post(tp, raw, None, at_ms)
        self.positions[TP(CONTROL, 0)] = 0
        self.forward("A", TP(CONTROL, 0), len(self.told.registration))

    def claim(self, hand: Hand) -> int:
        """Note who owns the partition from now on."""
        self._claims += 1
        self.owners[hand.tp] = (hand.name, self._claims)
        return self._claims

    def instead(self, stalled: Hand, fault: Fault) -> None:
        """While one worker stalls, the next one takes its partition over."""
        names = sorted(self.hands)
        other = self.hands[names[(names.index(stalled.name) + 1) % len(names)]]
        other.tp = stalled.tp
        other.keepers.pop(stalled.tp, None)
        call = other.work(fault.work) if fault.work else other.keeper()
        self._elsewhere.submit(other.run, call).result()

    def act(
        self, name: str, tp: TP, call: Callable[[Hand], Coroutine[Any, Any, Any]], fault: Fault
    ) -> None:
        """Let a worker do something with a partition of the ledgers or the watch."""
        hand = self.hands[name]
        hand.tp = tp
        hand.run(call(hand), fault)
        self._check(tp)

    def forward(self, name: str, source: TP, count: int, fault: Fault = NONE) -> None:
        """Let a worker take in records of a source partition; committed unless it crashed."""
        first = self.positions[source]
        if len(self.logs.partitions[source]) > first:
            done = self.hands[name].run(self.hands[name].forward(source, first, count), fault)
            if done:
                self.positions[source] = self.acked[source]

    def idle(self, name: str) -> None:
        """Let a worker tell of the source partitions that it has taken in whole."""
        whole = {
            tp
            for tp, position in self.positions.items()
            if tp.topic != CONTROL and position == len(self.logs.partitions[tp])
        }
        hand = self.hands[name]
        for _ in range(2):
            hand.run(hand.intake.tell_idle(whole))

    def _check(self, tp: TP) -> None:
        """Positions in Redis only rise, and are as far as was acknowledged."""
        judge = self.hands["A"]
        key = judge.context.store.partition(CORES[tp.topic][0], tp.partition).key("meta")
        reply = judge.runner.run(cast(Any, judge.client.hmget(key, ["seq", "next"])))
        seq, position = (int(value or 0) for value in reply)
        before = self.reached.get(tp, (0, 0))
        assert seq >= before[0], f"{tp}: checkpoint {before[0]} was followed by {seq}"
        assert position >= before[1], f"{tp}: position {before[1]} was followed by {position}"
        assert position >= self.acked.get(tp, 0), f"{tp}: acknowledged, and not in Redis"
        self.reached[tp] = (seq, position)

    def drain(self) -> None:
        """A fresh worker takes everything in, hears the last words, and tidies up."""
        judge = Hand("Z", self)
        self.hands["Z"] = judge
        self._drain()
        self.logs.post(TP(CONTROL, 0), self.told.end, None, self.told.end_ms)
        self._drain()
        for tp in LEDGER_TPS:
            self._tidy(judge, tp)
        self._drain()

    def _drain(self) -> None:
        before = -1
        while before != (before := sum(map(len, self.logs.partitions.values()))):
            for source in self.positions:
                while self.positions[source] < len(self.logs.partitions[source]):
                    self.forward("Z", source, 10_000)
            for tp in TPS:
                self.act("Z", tp, lambda hand: hand.work(10_000), NONE)

    def _tidy(self, judge: Hand, tp: TP) -> None:
        while True:
            self.act("Z", tp, Hand.tidy, NONE)
            core = judge.keepers[tp].core
            assert isinstance(core, LedgerCore)
            if core.cursor == 0:
                break
        self.act("Z", tp, Hand.checkpoint, NONE)

    def close(self) -> None:
        self._elsewhere.shutdown()
        for hand in self.hands.values():
            hand.close()
