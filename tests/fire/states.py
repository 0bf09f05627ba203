"""The final state, out of Redis and out of a pipeline in memory, in one form that can be compared.

What depends on timing alone is left out: numbers of messages and of checkpoints, record times of
chunks, and how the truth of a pane that is sealed was noted.
"""

import asyncio
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import structs

from agents.settings import Settings
from agents.store import Partition, Store, connect
from stream.books import Book
from stream.entries import unpack_entry
from stream.fronts import Front
from stream.ledger import Ledger
from stream.monitor import Memory
from stream.pipeline import Pipeline
from stream.references import Reference
from stream.samples import Sample
from stream.signals import ShareName
from stream.watch import Watch

Flat = dict[str, object]
STAGES = ("ledger", "watch")
SETTLED = ("duplicate-predictions", "duplicate-truths", "late-predictions", "too-old-predictions")


@dataclasses.dataclass(slots=True)
class States:
    """Fields of every partition of both stages, pending entries of the ledgers, references."""

    settings: Settings
    fields: dict[str, list[dict[str, bytes]]]
    pending: list[dict[int, bytes]]
    references: dict[str, Reference]

    @classmethod
    def in_memory(cls, settings: Settings, pipeline: Pipeline) -> "States":
        """Those of a pipeline."""
        ledgers, watch = [s.fields for s in pipeline.stored], [pipeline.watched.fields]
        pending = [s.pending for s in pipeline.stored]
        fields = {"ledger": ledgers, "watch": watch}
        return cls(settings, fields, pending, pipeline.references)

    @classmethod
    def in_redis(cls, settings: Settings, partitions: Mapping[str, int]) -> "States":
        """Those of a deployment, taken over from its workers. partitions: of both stages."""
        return asyncio.run(_load(settings, partitions))

    def flat(self) -> Flat:
        """Everything by its name."""
        watch = Watch(self.settings.model)
        watch.restore({field: raw for some in self.fields["watch"] for field, raw in some.items()})
        names = {
            (key, name.partition, name.field(key)): name
            for key, monitor in watch.monitors.items()
            for windows in monitor.memory.windows.values()
            for named in windows.named.values()
            for name in named
        }
        found: Flat = {}
        for number in range(len(self.pending)):
            found |= self._ledger(number, {at: n for at, n in names.items() if at[1] == number})
        for key, monitor in watch.monitors.items():
            found |= {f"{key} {name}": value for name, value in _monitor(monitor.memory)}
        return found

    def _ledger(self, number: int, names: Mapping[tuple[str, int, str], ShareName]) -> Flat:
        fields = self.fields["ledger"][number]
        ledger = Ledger(number, len(self.pending), self.settings.model)
        ledger.restore(fields, self.references)
        found: Flat = {}
        marks = {s: m.offset for s, m in ledger.sources.marks.items() if "control" not in s[0]}
        found["marks"] = marks
        books = {book.key: book for book in ledger.shelf}
        for book in books.values():
            found |= {f"{book.key} {name}": value for name, value in _book(book)}
        for model, truths in ledger.shelf.truths.items():
            found[f"{model} truth"] = _front(truths.front)
        for (key, _, field), name in names.items():
            book = books[key]
            found[f"{key} {field}"] = self._page(book, name, fields.get(field))
        found |= self._waiting(ledger, self.pending[number])
        return {f"ledger {number}: {name}": value for name, value in found.items()}

    def _page(self, book: Book, name: ShareName, raw: bytes | None) -> object:
        """A sealed share. Rows that were kept raw, for how long is chance, are counted now."""
        if raw is None or name.kind == "quality" or name.reference:
            return raw
        sample, reference = Sample.from_bytes(raw), book.reference_of(name.pane)
        if reference:
            return sample.counted(reference, book.settings.positive).to_bytes()
        ids = sorted(int(i) for block in sample.blocks for i in block.ids)
        return sample.seen, sample.sources, ids

    def _waiting(self, ledger: Ledger, pending: Mapping[int, bytes]) -> Flat:
        """Entries by id hash, but for those that may be gone: housekeeping has hours of its own."""
        tables = ledger.matches.tables
        found: Flat = {}
        for key, raw in pending.items():
            entry = unpack_entry(raw, tables)
            first = (entry.forecasts or entry.labels)[0]
            model = tables.subjects.word(first.subject).partition("\0")[0]
            if entry.newest_ms() >= ledger._line_ms(model):
                items: list[Any] = [*entry.forecasts, *entry.labels]
                found[f"pending {key}"] = sorted(
                    (tables.subjects.word(item.subject), str(structs.replace(item, subject=0)))
                    for item in items
                )
        return found


async def _load(settings: Settings, partitions: Mapping[str, int]) -> States:
    client = connect(settings.redis.url.get_secret_value())
    store = Store(client, settings.redis.key_prefix)
    fields: dict[str, list[dict[str, bytes]]] = {stage: [] for stage in STAGES}
    pending: list[dict[int, bytes]] = []
    for stage in STAGES:
        for number in range(partitions[stage]):
            partition = store.partition(stage, number)
            claim = await partition.claim()
            assert not claim.backlog, f"{partition.name} has not published all"
            fields[stage].append(await partition.load())
            if stage == "ledger":
                pending.append(await _pending(partition))
    references = {}
    for ref in {ref for some in fields["ledger"] for ref in Ledger.references_in(some)}:
        references[ref] = Reference.from_bytes(await store.get_reference(ref) or b"")
    await client.aclose()
    return States(settings, fields, pending, references)


async def _pending(partition: Partition) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    cursor = 0
    while True:
        cursor, some = await partition.scan_pending(cursor)
        found |= some
        if not cursor:
            return found


def _front(front: Front) -> object:
    heard = {partition: heard.newest_ms for partition, heard in front.heard.items()}
    return front.partitions, front.floor_ms, front.watermark_ms, heard


def _book(book: Book) -> Iterator[tuple[str, object]]:
    yield "front", _front(book.front)
    yield "active", book.active
    for pages in (book.inputs, book.quality):
        yield f"{pages.kind} until", pages.until_ms
        yield f"{pages.kind} revisions", pages.revisions
        yield f"{pages.kind} open", sorted(pages.open)


def _monitor(m: Memory) -> Iterator[tuple[str, object]]:
    yield "alerts", (m.alerts, m.shown, m.groups)
    yield "history", m.history
    yield "retraining", m.retraining
    yield "active", (m.active, m.first, m.owner)
    for reason in SETTLED:
        yield reason, m.counts.get(reason, 0)
    for kind, progress in m.progress.items():
        yield f"{kind} done", (progress.done_ms, progress.late, progress.revisions)
        yield f"{kind} facts", progress.facts
        names = [n for some in m.windows[kind].named.values() for n in some]
        yield f"{kind} named", {dataclasses.replace(name, reference="") for name in names}
        track = m.tracks[kind]
        yield f"{kind} track", (track.fed_ms, track.late, track.refused, track.rows)
    for watched in m.watched:
        known = watched.pulses, watched.scale, watched.detector.snapshot()
        yield f"detector {watched.cause}", known
