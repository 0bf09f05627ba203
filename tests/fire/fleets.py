"""A fleet: workers of one deployment that are killed, stopped, frozen and started again."""

import dataclasses
import random
import signal
import time
from typing import Self

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from agents.settings import load
from tests.fire.states import STAGES
from tests.processes import Process
from tests.workers import Deployment

Seqs = dict[str, int]
LIMIT_S = 60  # within which a worker ends that is told to: three at once, on a busy machine
STOP_S = 90  # one that takes longer than its limit ends by itself, with another exit code
FACTOR = 2  # a period between two blows is at least so many times as long as a recovery
PATIENCE_S = 120.0  # a busy machine is no failure
PATIENT = Retry(ConstantBackoff(0.2), 300)  # while Redis is away, or reads its file again
SHORT = {"session_timeout_s": 3, "heartbeat_s": 0.5, "commit_s": 0.5}
WORKER = {"checkpoint_s": 0.5, "shutdown_s": LIMIT_S}


@dataclasses.dataclass(slots=True)
class Fleet:
    """members: the workers that are meant to run. blows: kills, stops and freezes so far."""

    deployment: Deployment
    client: "redis.Redis"
    rng: random.Random
    members: list[Process] = dataclasses.field(default_factory=list)
    blows: int = 0

    @classmethod
    def of(cls, d: Deployment, size: int = 3, url: str = "", seed: int = 1) -> Self:
        """So many workers, all of which take part once this returns. url: of Redis, directly."""
        url = url or load(d.config).redis.url.get_secret_value()
        fleet = cls(d, redis.Redis.from_url(url, retry=PATIENT), random.Random(seed))
        for _ in range(size):
            fleet.enlist()
        fleet.until_joined()
        return fleet

    def until_joined(self) -> None:
        """Wait until every member takes part."""
        self.deployment.until(lambda: all(map(joined, self.members)), PATIENCE_S)

    def enlist(self) -> Process:
        """One worker more."""
        self.members.append(self.deployment.start(wait=not self.members))
        return self.members[-1]

    def pick(self, spare: Process | None = None) -> Process:
        """A random one, but not this one."""
        return self.rng.choice([member for member in self.members if member is not spare])

    def kill(self, member: Process) -> None:
        """As a crash would; it is no member any more."""
        self.members.remove(member)
        self.blows += 1
        member.kill()

    def retire(self, member: Process, within_s: float = STOP_S) -> int:
        """Stop one in good order; its exit code."""
        self.members.remove(member)
        self.blows += 1
        return member.stop(within_s)

    def stop(self) -> None:
        """All of them, in good order."""
        for member in self.members:
            member.process.send_signal(signal.SIGTERM)
        codes = [member.process.wait(STOP_S) for member in self.members]
        assert not any(codes), f"workers ended with {codes}\n{self.deployment.logs()}"
        self.members.clear()

    def seqs(self) -> Seqs:
        """The number of the last checkpoint of every partition of both stages."""
        found: Seqs = {}
        for stage in STAGES:
            for number in range(self.deployment.partitions("events")):
                key = f"{self.deployment.name}:{{{stage}:{number}}}:meta"
                found[f"{stage}:{number}"] = int(self.client.hget(key, "seq") or 0)
        return found

    def recovered(self, before: Seqs) -> float:
        """Wait until every partition has gone past a checkpoint; after how many seconds."""
        start = time.monotonic()
        self.deployment.until(
            lambda: all(n > before[at] for at, n in self.seqs().items()), PATIENCE_S
        )
        return time.monotonic() - start

    def measure(self) -> float:
        """Seconds from a kill until all partitions move again, its successor among the owners."""
        start = time.monotonic()
        self.kill(self.pick())
        self.enlist()
        self.recovered(self.seqs())
        self.until_joined()
        self.recovered(self.seqs())
        return time.monotonic() - start


def joined(member: Process) -> bool:
    """Whether a worker has got its share of the partitions at least once."""
    return "Setting newly assigned partitions" in member.log()


def freeze(member: Process) -> None:
    """As a machine that hangs."""
    member.process.send_signal(signal.SIGSTOP)


def thaw(member: Process) -> None:
    """It goes on where it was."""
    member.process.send_signal(signal.SIGCONT)
