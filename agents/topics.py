"""Topics: what Driftline needs of each, made where it is missing and compared where it is not.

The table NEEDS is all there is to know; the worker makes its topics from it too.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Literal

from agents.catalogs import Catalog, Layout
from agents.clusters import Cluster
from agents.settings import TOPICS, Settings
from agents.store import Unusable

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
FOREVER = -1
OWN_BYTES = 2**20  # of a record, besides what came in: headers, columns' names, other rows
KAFKA_BYTES = 1_048_588  # what a topic takes by Kafka's own default

Standing = Literal["ok", "missing", "differs"]


@dataclasses.dataclass(frozen=True, slots=True)
class Need:
    """What a topic must be like. kept_ms: for how long at least records must be kept.

    ours: Driftline writes it, and its records may be larger than what came in. fixed: its number
    of partitions is part of the state, so that it may never change.
    """

    about: str
    kept_ms: int
    ours: bool = True
    fixed: bool = False

    def bytes(self, settings: Settings) -> int:
        """The largest record it must take."""
        return max_message_bytes(settings) if self.ours else settings.limits.max_bytes


NEEDS: dict[str, Need] = {
    "predictions": Need("what models answered", DAY_MS, ours=False),
    "ground-truth": Need("what really happened", DAY_MS, ours=False),
    "control": Need("references and answers of retraining systems", FOREVER, ours=False),
    "events": Need("the internal log of rows", DAY_MS, fixed=True),
    "signals": Need("what ledgers tell the watch", DAY_MS, fixed=True),
    "alerts": Need("changes of state of alerts", DAY_MS),
    "retrain-requests": Need("what is asked of a retraining system", DAY_MS),
    "evaluations": Need("all readings of each window", DAY_MS),
    "dead-letters": Need("records that could not be used", DAY_MS),
}
assert tuple(NEEDS) == TOPICS


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """How one topic stands. repair: the command that makes it right, where something is wrong."""

    topic: str
    standing: Standing
    said: str
    repair: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One setting of a topic that is not as it must be."""

    key: str
    value: str
    wanted: str
    why: str


def max_message_bytes(settings: Settings) -> int:
    """The largest message of ours: a record as large as may come in, and what we add."""
    return settings.limits.max_bytes + OWN_BYTES


def config_of(settings: Settings, topic: str) -> dict[str, str]:
    """The settings that a topic is made with, by Kafka's names; what is not named is Kafka's own
    default: a week for what may go.
    """
    need = NEEDS[topic]
    most = need.bytes(settings)
    found = {"cleanup.policy": "delete"}
    if need.kept_ms == FOREVER:
        found["retention.ms"] = str(FOREVER)
    if most > KAFKA_BYTES:
        found["max.message.bytes"] = str(most)
    return found


async def ensure(settings: Settings, cluster: Cluster) -> dict[str, int]:
    """Make what is missing where `create` of [topics] allows it; the partitions of each, by full
    name. Raises ConnectionError, Unusable where one is missing and cannot or may not be made.
    """
    t = settings.topics
    names = [t.name(topic) for topic in TOPICS]
    try:
        if t.create:
            await make(settings, cluster)
        return {name: await cluster.partition_count(name) for name in names}
    except (LookupError, RuntimeError) as error:
        advice = "" if t.create else ", and `create` of [topics] is false: driftline topics create"
        raise Unusable(f"{error}{advice}") from error


async def make(settings: Settings, cluster: Cluster) -> None:
    """Make the topics that are missing. Raises ConnectionError, RuntimeError."""
    t = settings.topics
    for topic in TOPICS:
        config = config_of(settings, topic)
        await cluster.ensure_topics([t.name(topic)], t.partitions, t.replication_factor, config)


async def create(settings: Settings, cluster: Cluster, catalog: Catalog) -> dict[str, bool]:
    """Make what is missing, whatever `create` of [topics] says; of each name whether it was.

    Raises ConnectionError, RuntimeError where Kafka refuses.
    """
    t = settings.topics
    there = await catalog.layouts()
    missing = {t.name(topic): t.name(topic) not in there for topic in TOPICS}
    await make(settings, cluster)
    return missing


async def repair(settings: Settings, catalog: Catalog) -> dict[str, list[Difference]]:
    """Change the settings that are not as they must be; what was changed, by name.

    Raises ConnectionError.
    """
    t = settings.topics
    there = await catalog.layouts()
    configs = await catalog.configs(n for n in map(t.name, TOPICS) if n in there) or {}
    done: dict[str, list[Difference]] = {}
    for topic in TOPICS:
        name = t.name(topic)
        wrong = list(differences(settings, topic, configs[name])) if name in configs else []
        if wrong:
            await catalog.alter(name, {d.key: d.wanted for d in wrong})
            done[name] = wrong
    return done


async def check(settings: Settings, catalog: Catalog) -> list[Finding]:
    """How each topic stands, in the order of TOPICS. Raises ConnectionError."""
    t = settings.topics
    there = await catalog.layouts()
    configs = await catalog.configs(n for n in map(t.name, TOPICS) if n in there)
    found = []
    for topic in TOPICS:
        name = t.name(topic)
        if name not in there and configs is None:
            found.append(Finding(name, "ok", "embedded: it comes with its first use"))
        elif name not in there:
            found.append(Finding(name, "missing", "is not there", "driftline topics create"))
        elif configs is None:
            found.append(
                Finding(name, "ok", f"{_layout(there[name])}; embedded, so it has no more")
            )
        else:
            found.append(_compared(settings, topic, there[name], configs[name]))
    return found


def _compared(settings: Settings, topic: str, layout: Layout, config: Mapping[str, str]) -> Finding:
    name = settings.topics.name(topic)
    wrong = list(differences(settings, topic, config))
    if wrong:
        said = "; ".join(f"{d.key} is {d.value}: {d.why}" for d in wrong)
        return Finding(name, "differs", said, _alteration(settings, name, wrong))
    copies = settings.topics.replication_factor
    if layout.copies < copies:
        said = f"{layout.copies} copies of a partition, replication_factor is {copies}"
        command = "kafka-reassign-partitions.sh (see its documentation)"
        return Finding(name, "differs", said, command)
    said = _layout(layout)
    if layout.partitions != settings.topics.partitions:
        fixed = ", and must keep them" if NEEDS[topic].fixed else ""
        said += f" ({settings.topics.partitions} in the settings, for new topics{fixed})"
    kept = _days(int(config.get("retention.ms", FOREVER)))
    most = int(config.get("max.message.bytes", 0))
    return Finding(name, "ok", f"{said}, kept {kept}, records up to {most:,} bytes")


def _alteration(settings: Settings, name: str, wrong: list[Difference]) -> str:
    """Kafka's own command for it."""
    pairs = ",".join(f"{d.key}={d.wanted}" for d in wrong)
    return (
        f"kafka-configs.sh --bootstrap-server {settings.kafka.brokers[0]} --alter"
        f" --entity-type topics --entity-name {name} --add-config {pairs}"
    )


def differences(settings: Settings, topic: str, config: Mapping[str, str]) -> Iterator[Difference]:
    """What of a topic's settings is not as it must be. config: by Kafka's names."""
    need = NEEDS[topic]
    policy = config.get("cleanup.policy", "delete")
    if "compact" in policy:
        why = "compaction drops records that are still to be read"
        yield Difference("cleanup.policy", policy, "delete", why)
    kept_ms = int(config.get("retention.ms", FOREVER))
    if kept_ms != FOREVER and (need.kept_ms == FOREVER or kept_ms < need.kept_ms):
        wanted = FOREVER if need.kept_ms == FOREVER else WEEK_MS
        at_least = "" if need.kept_ms == FOREVER else "at least "
        why = f"records must be kept {at_least}{_days(need.kept_ms)}"
        yield Difference("retention.ms", str(kept_ms), str(wanted), why)
    most, needed = int(config.get("max.message.bytes", KAFKA_BYTES)), need.bytes(settings)
    if most < needed:
        why = f"a record may have {needed:,} bytes"
        yield Difference("max.message.bytes", str(most), str(needed), why)


def _layout(layout: Layout) -> str:
    return f"{layout.partitions} partition{'s' * (layout.partitions > 1)}"


def _days(ms: int) -> str:
    if ms == FOREVER:
        return "for ever"
    return f"{ms / DAY_MS:.3g} day{'s' * (ms != DAY_MS)}"
