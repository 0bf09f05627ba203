"""Recalibration: what live labels say of a model's scores, read from Redis and sent as an event.

Sealed counts are read, which do not change: a running worker does not notice.
"""

import msgspec

from agents.catalogs import Catalog
from agents.clusters import Cluster
from agents.producers import Message, Producer
from agents.settings import Settings
from agents.status import memory_of
from agents.store import Store
from agents.visits import visited
from stream.appraisals import Appraisal, appraise
from stream.books import model_key
from stream.cohorts import Cohorts
from stream.lessons import Asked, Unfit, lesson
from stream.monitor import Memory
from stream.panes import BEFORE_ALL
from stream.recalibrations import Learnt
from stream.references import Reference
from stream.signals import Kind, ShareName

TOGETHER = 256  # shares that are asked for at once
FIELDS = ("monitor", "ages", "names-inputs", "names-quality", "learnt")


async def gather(settings: Settings, model: str, version: str | None, asked: Asked) -> Appraisal:
    """What labels teach, and what it changes. Raises ConnectionError, Unusable, Unfit."""
    layouts = await Catalog(settings.kafka).layouts()
    name = settings.topics.name("signals")
    partitions = layouts[name].partitions if name in layouts else 0
    async with visited(settings) as (_, store):
        m = await _memory(settings, store, partitions, model, version)
        reference = await _reference(store, m)
        outcomes, kept_ms = await _outcomes(store, m)
        found = lesson(m, reference, outcomes, kept_ms, asked)
        await _newest(store, m, reference)
    return appraise(m, reference, found)


async def publish(settings: Settings, learnt: Learnt) -> None:
    """Send it to the control topic. Raises ConnectionError, DeliveryFailed."""
    topic, event = settings.topics.name("control"), learnt.event
    await Cluster(settings.kafka).partition_count(topic)
    producer = Producer(settings.kafka, max_message_bytes=settings.limits.max_bytes)
    try:
        await producer.produce_all(
            [Message(topic, msgspec.json.encode(event), event.model.encode())]
        )
    finally:
        await producer.close()


async def _memory(
    settings: Settings, store: Store, partitions: int, model: str, version: str | None
) -> Memory:
    """What the watch knows of a model version. Raises Unfit where it is not clear which."""
    own, *_ = whose = model_key(model, version or "").split("/")
    known: dict[str, dict[str, bytes]] = {}
    for number in range(partitions):
        for field, raw in (await store.partition("watch", number).load(f"*/{own}/*", [])).items():
            kind, *key = field.split("/")[:3]
            if kind in FIELDS and key[:1] == [own] and (version is None or key == whose):
                known.setdefault("/".join(key), {})[field] = raw
    found = [memory_of(settings, own) for key, own in known.items() if f"monitor/{key}" in own]
    if len(found) == 1:
        return found[0]
    if not found:
        said = model if version is None else f"{model} {version}"
        raise Unfit(f"{said} is not watched; `driftline status` says what is")
    versions = ", ".join(sorted(m.version for m in found))
    raise Unfit(f"{model} is watched in several versions, name one with --version: {versions}")


async def _reference(store: Store, m: Memory) -> Reference:
    """The one that counts for the newest window."""
    pane = max(p.done_ms for p in m.progress.values()) - m.pane_ms
    ref = next((ref for since, ref in reversed(m.active) if since <= pane), None)
    raw = None if ref is None else await store.get_reference(ref)
    if raw is None:
        raise Unfit(f"{m.model} {m.version} has no reference yet")
    reference = Reference.from_bytes(raw)
    m.references[reference.id] = reference
    return reference


async def _shares(store: Store, m: Memory, kind: Kind, names: list[ShareName]) -> None:
    """Put sealed shares into memory."""
    for at in range(0, len(names), TOGETHER):
        some = names[at : at + TOGETHER]
        fields = [name.field(m.key) for name in some]
        raws = await store.read_shares("ledger", [name.partition for name in some], fields)
        for name, raw in zip(some, raws, strict=True):
            m.windows[kind].add(name, raw, m.references)


async def _outcomes(store: Store, m: Memory) -> tuple[Cohorts, int]:
    """Outcomes of all panes of label time that are kept, and from when on all are."""
    windows, done_ms = m.windows["quality"], m.progress["quality"].done_ms
    named = {n for pane, own in windows.named.items() if pane < done_ms for n in own}
    await _shares(store, m, "quality", sorted(named))
    gone = [pane for pane, found in windows.panes.items() if found.gone]
    kept_ms = max(m.kept_from("quality"), max(gone, default=BEFORE_ALL) + m.pane_ms, 0)
    some = (found.cohorts for pane, found in windows.panes.items() if pane >= kept_ms)
    return Cohorts.merged(some), kept_ms


async def _newest(store: Store, m: Memory, reference: Reference) -> None:
    """Put the newest window of predictions into memory, as far as it is of this reference."""
    end = m.progress["inputs"].done_ms
    names = m.windows["inputs"].wanted(end, m.settings.windows_s[0] * 1000)
    await _shares(store, m, "inputs", [n for n in names if n.reference == reference.id])
