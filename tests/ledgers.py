"""Ledgers without Kafka and Redis: what their tests share."""

from collections.abc import Sequence

import numpy as np

from stream.batches import Batch, Block, batches_of, decode_batch, encode_batch
from stream.changes import Changes, OutMessage
from stream.cohorts import Cohorts
from stream.columns import Column, column_of
from stream.events import Prediction, Scalar, Truth
from stream.ledger import Ledger
from stream.marks import marks_of, told_to_all
from stream.pipeline import State
from stream.references import Reference
from stream.samples import Sample
from stream.settings import ModelSettings
from stream.shares import Share
from stream.signals import Signals, decode_signals

Row = tuple[int, int, Prediction | Truth]  # source offset, record time (ms), event
PANE_MS = 10_000
FOREVER_S = 1e9
SETTINGS = ModelSettings(
    pane_s=10, windows_s=(10,), lateness_s=0, label_lateness_s=0, idle_s=FOREVER_S, horizon_s=1_000
)


def prediction(number: int, time_ms: int, answer: Scalar = 1.0, **more: object) -> Prediction:
    features = {"x": float(number)}
    fields = {"prediction_id": str(number), "model": "m", "version": "1", "features": features}
    return Prediction(**fields | {"time": time_ms, "prediction": answer} | more)  # type: ignore[arg-type]


def truth(number: int, time_ms: int, label: Scalar = 1.0, **more: object) -> Truth:
    return Truth(str(number), "m", time_ms, label, **more)  # type: ignore[arg-type]


def rows(*events: Prediction | Truth, first: int = 0) -> list[Row]:
    """Events as records of one source partition, of record times that are event times."""
    return [(first + i, event.time, event) for i, event in enumerate(events)]


def block_of(*events: Prediction | Truth) -> Block:
    return batch_of(*events).blocks[0]


def batch_of(*events: Prediction | Truth, first: int = 0, source: int = 0) -> Batch:
    return chunk(rows(*events, first=first), source)


def chunk(some: Sequence[Row], source: int = 0, sources: int = 1, topic: str = "") -> Batch:
    """What the only partition of the internal log gets of a chunk."""
    offsets = [row[0] for row in some]
    covered = (min(offsets), max(offsets))
    name = topic or ("truths" if isinstance(some[0][2], Truth) else "predictions")
    split = batches_of(name, "", source, some, (), 1, 2**20, covered=covered)
    empty = Batch(name, source, "", *covered, max(row[1] for row in some), [])
    ((batch,),) = told_to_all(split, empty, marks_of(some), 1, sources).values()
    return decode_batch(encode_batch(batch))


class Kept:
    """A ledger, and what its checkpoints have made durable."""

    def __init__(self, settings: ModelSettings = SETTINGS, max_models: int = 100) -> None:
        self.settings, self.max_models = settings, max_models
        self.state = State()
        self.references: dict[str, Reference] = {}
        self.out: list[OutMessage] = []
        self.ledger = self.new()

    def new(self) -> Ledger:
        return Ledger(0, 1, lambda _: self.settings, max_models=self.max_models)

    def apply(self, *batches: Batch) -> None:
        for batch in batches:
            found = {
                int(key): self.state.pending.get(int(key)) for key in self.ledger.wanted(batch)
            }
            self.ledger.apply(batch, {k: raw for k, raw in found.items() if raw is not None})

    def checkpoint(self) -> Changes:
        changes = self.ledger.changes()
        for ref, raw in changes.references.items():
            self.references[ref] = Reference.from_bytes(raw)
        self.state.apply(changes)
        self.out += changes.outbox
        return changes

    def restart(self) -> None:
        """Forget what was not made durable, and take up what was."""
        self.ledger = self.new()
        wanted = Ledger.references_in(self.state.fields)
        self.ledger.restore(self.state.fields, {ref: self.references[ref] for ref in wanted})

    def expire(self) -> None:
        self.ledger.expire(self.state.pending)

    def signals(self) -> list[Signals]:
        return [decode_signals(m.value) for m in self.out if m.topic == "signals"]

    def fields(self, kind: str) -> dict[str, bytes]:
        return {f: raw for f, raw in self.state.fields.items() if f.startswith(f"{kind}/")}

    def inputs(self, reference: Reference, version: str = "1") -> dict[int, Share]:
        """What was counted of each pane: sealed and open, all revisions."""
        found: dict[int, Share] = {}
        for pane, page in self.pages("inputs", version):
            share = page
            assert isinstance(share, Share | Sample)
            if isinstance(share, Sample):
                share = share.counted(reference, "1")
            found.setdefault(pane, Share(reference)).merge(share)
        return found

    def quality(self, version: str = "1") -> dict[int, Cohorts]:
        found: dict[int, Cohorts] = {}
        for pane, page in self.pages("quality", version):
            assert isinstance(page, Cohorts)
            found.setdefault(pane, Cohorts()).merge(page)
        return found

    def pages(self, kind: str, version: str) -> list[tuple[int, Share | Sample | Cohorts]]:
        """Open and sealed pages of a version; two versions need tests of their own."""
        book = self.ledger.shelf.book("m", version)
        assert book is not None
        book.settle()
        found: list[tuple[int, Share | Sample | Cohorts]] = []
        found += book.inputs.open.items() if kind == "inputs" else book.quality.open.items()
        told = [signals for signals in self.signals() if signals.version == version]
        names = {name for signals in told for name in signals.sealed if name.kind == kind}
        for name in sorted(names):
            raw = self.state.fields[name.field(book.key)]
            if kind == "quality":
                found.append((name.pane, Cohorts.from_bytes(raw)))
            elif name.reference:
                share = Share.from_bytes(raw, self.references[name.reference])
                found.append((name.pane, share))
            else:
                found.append((name.pane, Sample.from_bytes(raw)))
        return found


def reference_of(values: Sequence[float], version: str = "1") -> Reference:
    columns: dict[str, Column] = {"x": column_of(np.array(values, dtype=np.float64))}
    return Reference.build("m", version, columns)
