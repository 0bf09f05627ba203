"""The soak: workers on real servers, and every fault there is, one after the other, at random.

`python -m tests.soak --minutes 60` runs one and prints its counts; a test runs a shorter one.
"""

import argparse
import contextlib
import dataclasses
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from agents.embedded import EmbeddedRedis
from tests import servers
from tests.brokers import ApacheKafka
from tests.fire import verdicts
from tests.fire.fleets import FACTOR, SHORT, WORKER, Fleet, freeze, thaw
from tests.fire.loads import Load
from tests.fire.stories import TABLES, Story
from tests.fire.verdicts import Verdict
from tests.processes import Process
from tests.proxies import Proxy, proxied_kafka
from tests.servers import Kafka
from tests.workers import INNER, Deployment

AWAY_S = 1.0  # how long a server is away
FROZEN_S = 5.0  # longer than a session
POISON = 97  # one record in about so many


@dataclasses.dataclass(frozen=True, slots=True)
class Size:
    """What a process holds."""

    rss_mb: float
    files: int

    @classmethod
    def of(cls, process: Process) -> Self:
        """Now, as Linux tells it."""
        folder = Path("/proc") / str(process.process.pid)
        pages = int((folder / "statm").read_text().split()[1])
        rss = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        return cls(round(rss, 1), len(list((folder / "fd").iterdir())))


@dataclasses.dataclass(slots=True)
class Soak:
    """A fleet, its servers and what is between them. elder: the worker that is never ended."""

    fleet: Fleet
    redis: EmbeddedRedis
    broker: ApacheKafka
    to_redis: Proxy
    to_kafka: Proxy
    rng: random.Random
    done: Counter[str] = dataclasses.field(default_factory=Counter)

    @property
    def elder(self) -> Process:
        """The worker whose size is watched."""
        return self.fleet.members[0]

    def kill(self) -> None:
        self.fleet.kill(self.fleet.pick(self.elder))
        self.fleet.enlist()

    def stop(self) -> None:
        code = self.fleet.retire(self.fleet.pick(self.elder))
        assert code == 0, self.fleet.deployment.logs()
        self.fleet.enlist()

    def freeze(self) -> None:
        member = self.fleet.pick()
        freeze(member)
        time.sleep(FROZEN_S)
        thaw(member)

    def restart_redis(self) -> None:
        self.redis.kill()
        time.sleep(AWAY_S)
        self.redis.start()

    def restart_broker(self) -> None:
        self.broker.kill()
        time.sleep(AWAY_S)
        self.broker.start()

    def cut_redis(self) -> None:
        self.to_redis.cut()

    def cut_kafka(self) -> None:
        self.to_kafka.cut()

    def lose_an_answer(self) -> None:
        self.to_redis.lose()

    def poison(self) -> None:
        d = self.fleet.deployment
        for inner in INNER:
            for partition in range(d.partitions(inner)):
                d.send(inner, [b"no message of ours"], partition=partition)

    def blow(self, name: str) -> float:
        """One fault, and how long until all partitions have gone on, and newcomers take part.

        A worker that starts while its broker is away gives up, as it should: none may be starting.
        """
        before, start = self.fleet.seqs(), time.monotonic()
        FAULTS[name](self)
        self.done[name] += 1
        self.fleet.recovered(before)
        self.fleet.until_joined()
        self.fleet.recovered(self.fleet.seqs())
        return time.monotonic() - start


FAULTS: dict[str, Callable[[Soak], None]] = {
    "kill": Soak.kill,
    "stop": Soak.stop,
    "freeze": Soak.freeze,
    "Redis restarted": Soak.restart_redis,
    "broker restarted": Soak.restart_broker,
    "Redis cut": Soak.cut_redis,
    "Kafka cut": Soak.cut_kafka,
    "answer lost": Soak.lose_an_answer,
    "inner log poisoned": Soak.poison,
}


def order(rng: random.Random) -> Iterator[str]:
    """All faults in a random order, again and again."""
    while True:
        yield from rng.sample(sorted(FAULTS), len(FAULTS))


@contextlib.contextmanager
def scene(folder: Path, name: str) -> Iterator[Soak]:
    """Servers of its own, which may be killed, and workers that reach them through proxies."""
    binary, kept = servers.redis_binary(), str(folder)
    with contextlib.ExitStack() as stack:
        options = {"appendonly": "yes", "appendfsync": "always", "dir": kept}
        redis = stack.enter_context(EmbeddedRedis(binary, **options))
        broker, to_kafka = stack.enter_context(proxied_kafka(folder / "kafka"))
        to_redis = stack.enter_context(Proxy(f"127.0.0.1:{redis.port}"))
        direct = Kafka(broker.bootstrap, "apache", "its own")
        kafka = SHORT | {"brokers": [to_kafka.address]}
        told = (direct, to_redis.redis_url, name, folder, TABLES)
        d = stack.enter_context(Deployment(*told, kafka=kafka, worker=WORKER))
        fleet = Fleet.of(d, 3, redis.url)
        yield Soak(fleet, redis, broker, to_redis, to_kafka, random.Random(1))


def run(soak: Soak, seconds: float, say: Callable[[str], object]) -> Verdict:
    """Fault after fault, each once at least, for so long. Raises AssertionError where not exact."""
    d = soak.fleet.deployment
    verdicts.register(d)
    with Load(d.access, d.name, Story(poison=POISON)) as load:
        soak.fleet.recovered(soak.fleet.seqs())
        began, end = Size.of(soak.elder), time.monotonic() + seconds
        for name in order(soak.rng):
            if time.monotonic() > end and len(soak.done) == len(FAULTS):
                break
            took_s = soak.blow(name)
            say(f"{name}: all partitions went on after {took_s:.1f} s")
            assert load.running, load.failures
            time.sleep((FACTOR - 1) * took_s)
        ended, elder = Size.of(soak.elder), soak.elder
        verdicts.finish(soak.fleet, load)
    verdict = verdicts.judge(soak.fleet, load)
    say(told(soak, verdict, (began, ended)))
    inner = [at for at in verdicts.lettered(d) if at[0] in map(d.topic, INNER)]
    assert len(inner) == soak.done["inner log poisoned"] * sum(map(d.partitions, INNER))
    assert elder.process.returncode == 0
    assert soak.to_redis.counts.cuts
    assert soak.to_kafka.counts.cuts
    return verdict


def told(soak: Soak, verdict: Verdict, sizes: tuple[Size, Size]) -> str:
    """All counts in one line."""
    faults = ", ".join(f"{name}: {count}" for name, count in sorted(soak.done.items()))
    cuts = soak.to_redis.counts.cuts + soak.to_kafka.counts.cuts
    (began, ended) = sizes
    return (
        f"{verdict}; {faults}, connections cut: {cuts}; the oldest worker: "
        f"{began.rss_mb} to {ended.rss_mb} MB, {began.files} to {ended.files} open files"
    )


def main() -> None:
    """For the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, scene(Path(folder), "soak") as soak:
        run(soak, 60 * given.minutes, lambda text: print(text, flush=True))


if __name__ == "__main__":
    main()
