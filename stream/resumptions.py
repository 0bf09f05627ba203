"""Resumptions: how the watch goes on after messages of a ledger partition that are gone for good.

What a ledger has sealed it still has, so one message can stand for all that is lost: it names
every sealed share again, repeats references, answers and, where nothing else follows, watermarks.
Every window is judged as if nothing had happened. Values for the online detectors travel in
messages alone: those are lost, and how many messages it were is counted as `lost-signals`.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import cast

from stream.books import Book
from stream.clocks import Clock, Clocks
from stream.cohorts import Cohorts
from stream.monitor import Monitor
from stream.panes import BEFORE_ALL
from stream.references import Reference
from stream.samples import Sample
from stream.shares import Share
from stream.signals import Kind, ShareName, Signals
from stream.watch import Watch

SHARES = ("inputs/", "quality/", "answers/")  # fields of sealed ones
LOST = "lost-signals"
TOLD = ("retraining-", "model-registered", "recalibration")  # control events that a watch keeps


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """What a ledger partition still knows of a model version it has told the watch about.

    waiting: sequences of messages that are still to be read. label_watermark_ms: of the truth.
    """

    book: Book
    partition: int
    partitions: int
    label_watermark_ms: int
    sealed: Mapping[str, bytes]
    waiting: Collection[int]

    @property
    def key(self) -> str:
        """Of the model version."""
        return self.book.key


@dataclasses.dataclass(frozen=True, slots=True)
class Hole:
    """Messages first to last of a ledger partition about a model version will never be read.

    A last before first - 1: the watch knows of messages that the ledger never sent.
    """

    standing: Standing
    first: int
    last: int

    @property
    def lost(self) -> int:
        """How many there are."""
        return max(0, self.last - self.first + 1)


def holes(watch: Watch, standings: Collection[Standing]) -> list[Hole]:
    """What of the ledgers' messages the watch has not seen and never will."""
    return [hole for one in standings if (hole := _hole(watch, one)) is not None]


def _hole(watch: Watch, standing: Standing) -> Hole | None:
    known = _clock(watch, standing).sequence
    told = standing.book.sequence
    if known > told:
        return Hole(standing, known + 1, min(standing.waiting, default=told + 1) - 1)
    first = min((n for n in standing.waiting if n > known), default=told + 1)
    return Hole(standing, known + 1, first - 1) if first > known + 1 else None


def _clock(watch: Watch, standing: Standing) -> Clock:
    known = watch.monitors.get(standing.key)
    clocks = known.memory.clocks if known else Clocks()
    return clocks.clocks.get(standing.partition, Clock())


def close(watch: Watch, hole: Hole, control: tuple[bytes, ...] = ()) -> None:
    """Let the watch go on behind a hole. control: events about the model, as they came.

    Raises ValueError where a sealed share is damaged.
    """
    one, book = hole.standing, hole.standing.book
    monitor = watch.open(book.model, book.version)
    clock = monitor.memory.clocks.clocks.setdefault(one.partition, Clock())
    clock.sequence = hole.last - 1
    ends = not any(n > hole.last for n in one.waiting)
    message = Signals(
        book.model,
        book.version,
        one.partition,
        one.partitions,
        hole.last,
        watermark_ms=book.watermark_ms if ends else BEFORE_ALL,
        label_watermark_ms=one.label_watermark_ms if ends else BEFORE_ALL,
        active=tuple(book.active),
        sealed=tuple(_names(one, monitor)),
        control=control,
        counts={LOST: hole.lost} if hole.lost else {},
    )
    assert monitor.receive(message)
    watch.stir(one.key)


def _names(standing: Standing, monitor: Monitor) -> Iterator[ShareName]:
    """The sealed shares that the watch has not heard of and that a window may still ask for."""
    memory = monitor.memory
    for field, raw in sorted(standing.sealed.items()):
        kind, pane, revision = _place(field)
        known = memory.windows[kind].named.get(pane, set())
        same = any((n.revision, n.partition) == (revision, standing.partition) for n in known)
        if not same and pane >= memory.kept_from(kind):
            reference, rows = _content(kind, raw, standing.book.references)
            yield ShareName(kind, pane, revision, standing.partition, reference, rows)


def _place(field: str) -> tuple[Kind, int, int]:
    kind, _, _, pane, revision = field.split("/")
    return cast(Kind, kind), int(pane), int(revision)


def _content(kind: Kind, raw: bytes, references: Mapping[str, Reference]) -> tuple[str, int]:
    """The reference of a share, "" where it has none, and its rows."""
    if kind != "inputs":
        return "", Cohorts.from_bytes(raw).rows
    for ref, reference in references.items():
        try:
            return ref, Share.from_bytes(raw, reference).rows
        except ValueError:
            continue
    return "", Sample.from_bytes(raw).seen


def concerns(event: Mapping[str, object], book: Book) -> bool:
    """Whether a control event is one that the watch of a model version is told of."""
    own = event.get("model") == book.model and event.get("version") == book.version
    return own and str(event.get("type", "")).startswith(TOLD)


def key_of(field: str) -> str:
    """The model version that a sealed share's field belongs to."""
    _, model, version, *_ = field.split("/")
    return f"{model}/{version}"
