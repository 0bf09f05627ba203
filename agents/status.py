"""Status: what Driftline knows at this moment, read from Redis and Kafka without touching either.

The state of a model is that of its last checkpoint. No partition is claimed: a running worker does
not notice.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from agents.catalogs import Catalog
from agents.clusters import Cluster, Lag
from agents.repair.losses import Loss, losses
from agents.settings import Settings
from agents.store import Store
from agents.visits import visited
from stream.events import rfc3339
from stream.monitor import Memory
from stream.panes import BEFORE_ALL
from stream.references import Reference
from stream.stamps import day
from stream.watch import Watch

STAGES = {
    "intake": ("predictions", "ground-truth", "control"),
    "ledger": ("events",),
    "watch": ("signals",),
}
FIELDS = "[aml][loe]*"  # monitor/..., alerts/..., learnt/...; not what there is of every pane


class StageLag(msgspec.Struct, frozen=True, kw_only=True):
    """How far a stage is. records: written and not yet done; partitions: all, and those read."""

    stage: str
    records: int
    partitions: int
    begun: int


class AlertStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One cause that is pending or firing. since: the first bad window; changed: its state."""

    cause: str
    state: str
    since: str
    changed: str


class Retraining(msgspec.Struct, frozen=True, kw_only=True):
    """The request asked last, and how far it is."""

    progress: str
    request_id: str | None = None
    requested: str | None = None
    changed: str | None = None


class ReferenceStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A reference, and from which event time it counts (None: from the beginning)."""

    id: str
    since: str | None
    rows: int | None = None
    features: int | None = None


class Recalibrated(msgspec.Struct, frozen=True, kw_only=True):
    """What scores mean by live labels. since: from which event time it counts."""

    reference: str
    since: str
    labels: int
    learnt_from: str
    learnt_until: str


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One model version. Watermarks: no event before them is expected; None: not known yet.

    evaluated: the end of the last window of inputs and of quality. counts: rows that were late,
    too old and the like. recalibrated: what scores mean by live labels, the newest last.
    """

    model: str
    version: str
    owner: str | None
    references: list[ReferenceStanding]
    watermark: str | None
    label_watermark: str | None
    evaluated: dict[str, str | None]
    alerts: list[AlertStanding]
    retraining: Retraining
    counts: dict[str, int]
    recalibrated: list[Recalibrated] = []


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. damaged: what in Redis could not be read. lost: what repairs have given up."""

    lags: list[StageLag]
    models: list[ModelStatus]
    damaged: list[str] = []
    lost: list[Loss] = []


async def gather(settings: Settings) -> Status:
    """Ask Kafka and Redis. Raises ConnectionError, Unusable."""
    names = {topic: settings.topics.name(topic) for topics in STAGES.values() for topic in topics}
    layouts = await Catalog(settings.kafka).layouts()
    there = {topic: name for topic, name in names.items() if name in layouts}
    lags = await Cluster(settings.kafka).positions(settings.kafka.group_id, there.values())
    signals = layouts[names["signals"]].partitions if "signals" in there else 0
    async with visited(settings) as (client, store):
        models, damaged = await _models(settings, client, signals)
        lost = await losses(store)
    return Status(lags=list(_stages(there, lags)), models=models, damaged=damaged, lost=lost)


def _stages(names: Mapping[str, str], lags: Sequence[Lag]) -> Iterator[StageLag]:
    for stage, topics in STAGES.items():
        mine = {names[topic] for topic in topics if topic in names}
        own = [lag for lag in lags if lag.topic in mine]
        yield StageLag(
            stage=stage,
            records=sum(lag.behind for lag in own),
            partitions=len(own),
            begun=sum(lag.committed is not None for lag in own),
        )


async def _models(
    settings: Settings, client: Any, partitions: int
) -> tuple[list[ModelStatus], list[str]]:
    await client.ping()
    store = Store(client, settings.redis.key_prefix)
    memories: list[Memory] = []
    damaged: list[str] = []
    for number in range(partitions):
        fields = await store.partition("watch", number).load(FIELDS, damaged)
        for field in sorted(f for f in fields if f.startswith("monitor/")):
            key = field.removeprefix("monitor/")
            own = [f"{kind}/{key}" for kind in ("monitor", "alerts", "learnt")]
            try:
                memories.append(memory_of(settings, {f: fields[f] for f in own if f in fields}))
            except (ValueError, KeyError, TypeError) as error:
                damaged.append(f"{field} of watch {number}: {error}")
    ids = sorted({ref for memory in memories for _, ref in memory.active})
    raws = await asyncio.gather(*(store.get_reference(ref) for ref in ids))
    references = {ref: _reference(raw) for ref, raw in zip(ids, raws, strict=True)}
    memories.sort(key=lambda memory: (memory.model, memory.version))
    return [_model(memory, references) for memory in memories], damaged


def memory_of(settings: Settings, fields: Mapping[str, bytes]) -> Memory:
    """What the watch knows of one model version. Raises ValueError where it is damaged."""
    watch = Watch(settings.model)
    watch.restore(fields)
    (monitor,) = watch.monitors.values()
    return monitor.memory


def _reference(raw: bytes | None) -> Reference | None:
    try:
        return None if raw is None else Reference.from_bytes(raw)
    except ValueError:
        return None


def _model(memory: Memory, references: Mapping[str, Reference | None]) -> ModelStatus:
    told = memory.retraining
    return ModelStatus(
        model=memory.model,
        version=memory.version,
        owner=memory.owner,
        references=[_standing(since, ref, references.get(ref)) for since, ref in memory.active],
        watermark=_time(memory.clocks.low_ms()),
        label_watermark=_time(memory.clocks.label_low_ms()),
        evaluated={kind: _time(p.done_ms) for kind, p in memory.progress.items()},
        alerts=[
            AlertStanding(
                cause=cause,
                state=state.state,
                since=rfc3339(state.since_ms),
                changed=rfc3339(state.changed_ms),
            )
            for cause, state in sorted(memory.alerts.items())
            if state.state in ("pending", "firing")
        ],
        retraining=Retraining(
            progress=told.progress,
            request_id=told.request_id or None,
            requested=rfc3339(told.requested_ms) if told.request_id else None,
            changed=rfc3339(told.changed_ms) if told.request_id else None,
        ),
        counts=memory.counts | _left_out(memory),
        recalibrated=[
            Recalibrated(
                reference=one.event.reference_id,
                since=rfc3339(one.since_ms),
                labels=one.labels,
                learnt_from=rfc3339(one.event.learnt_from),
                learnt_until=rfc3339(one.until_ms),
            )
            for one in memory.learnt.known
        ],
    )


def _left_out(memory: Memory) -> dict[str, int]:
    """Values for detectors for which there was no room."""
    refused = sum(track.refused for track in memory.tracks.values())
    sampled = sum(watched.ration.left_out for watched in memory.watched)
    found = {"values-left-out": refused, "values-not-in-the-sample": sampled}
    return {reason: count for reason, count in found.items() if count}


def _standing(since_ms: int, ref: str, found: Reference | None) -> ReferenceStanding:
    return ReferenceStanding(
        id=ref,
        since=_time(since_ms),
        rows=None if found is None else found.rows,
        features=None if found is None else len(found.features),
    )


def _time(ms: int) -> str | None:
    return None if ms <= max(BEFORE_ALL, 0) else rfc3339(ms)


# for people


def show(found: Status, console: Console) -> None:
    """The lags, and a table or a list of the models."""
    console.print(Text(" | ".join(_lag_text(lag) for lag in found.lags)))
    for text in found.damaged:
        console.print(Text(f"cannot be read: {text}", style="red"))
    for loss in found.lost:
        told = f"given up {day(loss.time)}: {loss.topic}/{loss.partition} {loss.about}"
        console.print(Text(told, style="red"))
    if not found.models:
        console.print(Text("No model has been watched yet: send predictions, or `driftline demo`."))
    for model in found.models:
        console.print(_model_text(model))


def _lag_text(lag: StageLag) -> str:
    if not lag.partitions:
        return f"{lag.stage}: no topic yet"
    if not lag.begun:
        return f"{lag.stage}: nothing read yet, {lag.records:,} records wait"
    return f"{lag.stage}: {lag.records:,} behind"


def _model_text(model: ModelStatus) -> Group:
    references = ", ".join(_reference_text(one) for one in model.references)
    evaluated = (f"{kind} up to {day(end)}" for kind, end in model.evaluated.items() if end)
    rows = {
        "owner": model.owner or "nobody is named",
        "reference": references or "none yet",
        "watermark": f"{_known(model.watermark)}; of the truth {_known(model.label_watermark)}",
        "evaluated": ", ".join(evaluated) or "nothing yet",
        "retraining": _retraining_text(model.retraining),
        "scores": "; ".join(map(_recalibrated_text, model.recalibrated[-1:])),
        "counts": ", ".join(f"{n:,} {name}" for name, n in sorted(model.counts.items()) if n),
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        if value:
            grid.add_row(Text(f"  {name}", style="dim"), Text(value))
    parts: list[Any] = [Text(f"\n{model.model} {model.version}", style="bold"), grid]
    if model.alerts:
        parts.append(_alerts(model.alerts))
    return Group(*parts)


def _alerts(alerts: Sequence[AlertStanding]) -> Table:
    found = Table("  alert", "state", "since", "changed", box=SIMPLE_HEAD, pad_edge=False)
    for alert in alerts:
        style = "red" if alert.state == "firing" else ""
        cells = (f"  {alert.cause}", alert.state, day(alert.since), day(alert.changed))
        found.add_row(*map(Text, cells), style=style)
    return found


def _reference_text(one: ReferenceStanding) -> str:
    size = "" if one.rows is None else f", {one.rows:,} rows of {one.features} features"
    since = "" if one.since is None else f", from {day(one.since)}"
    return f"{one.id[:12]}{size}{since}"


def _recalibrated_text(one: Recalibrated) -> str:
    span = f"{day(one.learnt_from)} to {day(one.learnt_until)}"
    return f"mean from {day(one.since)} on what {one.labels:,} labels of {span} say"


def _retraining_text(told: Retraining) -> str:
    if told.request_id is None:
        return "never asked for"
    return f"{told.progress} since {_known(told.changed)}: request {told.request_id}"


def _known(time_text: str | None) -> str:
    return "not known" if time_text is None else day(time_text)
