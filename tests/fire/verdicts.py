"""The verdict: what came out of a deployment against the oracle, and what was counted."""

import contextlib
import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from stream.batches import decode_batch
from tests.fire.fleets import Fleet
from tests.fire.loads import Load
from tests.fire.oracles import DECODERS, OUT, Oracle, Said, published
from tests.fire.records import records
from tests.fire.states import States
from tests.fire.stories import MODELS, Story, references
from tests.workers import START_MS, Deployment

PART_BYTES = 600_000
FAR_MS = 10**7  # behind all that was told, so that every window is closed
SHOWN = 5
PLACE = ("topic", "partition", "offset")


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of a run that was found exact.

    sent_twice: by the load. duplicates_suppressed: rows that intake forwarded again, and those that
    were sent twice. published_again: events with an id that was there. lost: predictions, outcomes.
    """

    events_in: int
    predictions: int
    outcomes: int
    poison: int
    sent_twice: int
    duplicates_suppressed: int
    published: int
    published_again: int
    checkpoints: int
    lost: int

    def __str__(self) -> str:
        named = {name.replace("_", " "): n for name, n in dataclasses.asdict(self).items()}
        return ", ".join(f"{name}: {count:,}" for name, count in named.items())


def register(d: Deployment) -> None:
    """Tell what the models were trained on, before anything else."""
    for reference in references():
        d.send("control", reference.to_parts(PART_BYTES, time=START_MS))
    d.until_taken_in()


@contextlib.contextmanager
def under_load(fleet: Fleet) -> Iterator[Load]:
    """The models are registered and a load runs; what came of it must be exact, nothing lost."""
    d = fleet.deployment
    register(d)
    with Load(d.access, d.name, Story()) as load:
        fleet.recovered(fleet.seqs())
        yield load
        finish(fleet, load)
    assert judge(fleet, load).lost == 0


@contextlib.contextmanager
def overcome(fleet: Fleet, load: Load, period_s: float) -> Iterator[None]:
    """After a blow and a successor for who it hit, all partitions go on, and so did the load."""
    before, sent = fleet.seqs(), load.delivered
    yield
    fleet.enlist()
    time.sleep(period_s)
    fleet.recovered(before)
    assert load.running
    assert load.delivered > sent


def finish(fleet: Fleet, load: Load, within_s: float = 180) -> None:
    """The load tells its last; event time is closed, all is done, and the workers end well."""
    d = fleet.deployment
    load.finish()
    d.until_taken_in(within_s)
    for model in MODELS:
        said = {"type": "watermark", "model": model.name, "time": load.story.end_ms + FAR_MS}
        d.send("control", [said])
    d.until_idle(within_s)
    fleet.stop()


def judge(fleet: Fleet, load: Load) -> Verdict:
    """Everything equals the oracle's. Raises AssertionError that names what does not."""
    d = fleet.deployment
    oracle = Oracle.of(d)
    assert oracle.taken == load.sent
    assert len(oracle.rejected) == load.story.poisoned
    assert _letters(d) == oracle.rejected
    found, again = published(d)
    _same(found, oracle.published())
    assert {topic for topic, _ in found} == set(OUT), "the story is to make all kinds of events"
    checkpoints = sum(fleet.seqs().values())
    partitions = {"ledger": d.partitions("events"), "watch": d.partitions("signals")}
    state = States.in_redis(oracle.settings, partitions).flat()
    _same(state, States.in_memory(oracle.settings, oracle.pipeline).flat())
    predictions, outcomes = _counted(found, "inputs"), _counted(found, "quality")
    return Verdict(
        events_in=sum(load.sent.values()),
        predictions=predictions.total(),
        outcomes=outcomes.total(),
        sent_twice=load.story.twice,
        poison=load.story.poisoned,
        duplicates_suppressed=load.story.twice + _repeated(d),
        published=len(found),
        published_again=again,
        checkpoints=checkpoints,
        lost=_lost(load.story, predictions, outcomes),
    )


def _lost(story: Story, predictions: Counter[str], outcomes: Counter[str]) -> int:
    """What was told and not counted. What was counted and not told is an error of its own."""
    told = Counter({("p", m): n for m, n in story.predictions.items()})
    told += Counter({("o", m): n for m, n in story.outcomes.items()})
    counted = Counter({("p", m): n for m, n in predictions.items()})
    counted += Counter({("o", m): n for m, n in outcomes.items()})
    assert not counted - told
    return (told - counted).total()


def _counted(found: Mapping[Any, Said], subject: str) -> Counter[str]:
    """Rows by model, as the evaluations of single panes say.

    As long as a model has no reference, they speak of all rows since its beginning.
    """
    events = [msgspec.json.decode(said[1] or b"") for (topic, _), said in found.items()]
    sums: Counter[str] = Counter()
    first: Counter[str] = Counter()
    for e in (e for e in events if e.get("subject") == subject and e["window"]["panes"] == 1):
        if subject == "inputs" and e["reference_id"] is None:
            first[e["model"]] = max(first[e["model"]], e["rows"])
        else:
            sums[e["model"]] += e["rows"]
    return sums + first


def _letters(d: Deployment) -> set[tuple[str, int, int]]:
    """Where the records of the sources lie that became dead letters, once or more often."""
    sources = {d.topic(name) for name in DECODERS}
    return {at for at in lettered(d) if at[0] in sources}


def lettered(d: Deployment) -> set[tuple[str, int, int]]:
    """Where all records lie that became dead letters, those of the inner topics too."""
    told = [dict(r.headers) for r in records(d.kafka.bootstrap, d.topic("dead-letters"))]
    at = [tuple((t[f"driftline-{n}"] or b"").decode() for n in PLACE) for t in told]
    return {(topic, int(number), int(offset)) for topic, number, offset in at}


def _repeated(d: Deployment) -> int:
    """Rows in the internal log whose source record it has met before: all are dropped there."""
    reached: Counter[tuple[int, str, int]] = Counter()
    count = 0
    for record in records(d.kafka.bootstrap, d.topic("events")):
        try:
            batch = decode_batch(record.value or b"")
        except ValueError:  # poison in the log itself: the ledger has made dead letters of it
            continue
        at = record.partition, batch.topic, batch.partition
        offsets = [int(offset) for block in batch.blocks for offset in block.offsets]
        count += sum(offset < reached[at] for offset in offsets)
        reached[at] = max(reached[at], batch.last + 1)
    return count


def _same(found: Mapping[Any, object], expected: Mapping[Any, object]) -> None:
    """Equal, or a few of the differences in words."""
    missing, more = expected.keys() - found.keys(), found.keys() - expected.keys()
    other = {key for key in expected.keys() & found.keys() if expected[key] != found[key]}
    told = [
        f"{len(some)} {word}: {sorted(some)[:SHOWN]}"
        for some, word in ((missing, "missing"), (more, "too many"), (other, "different"))
        if some
    ]
    told += [f"{key}:\n  {found[key]}\n  {expected[key]}" for key in sorted(other)[:SHOWN]]
    assert not told, "\n".join(told)
