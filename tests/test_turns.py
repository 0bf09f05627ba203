"""Predictions above max_pending: the same sample however the rows come, and no bias in it."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stream.cohorts import Cohorts
from stream.entries import unpack_entry
from stream.events import Prediction, Truth
from stream.hashes import id_hash
from stream.joins import Forecast, Label
from stream.panes import BEFORE_ALL, pane_of
from stream.tallies import Tally
from stream.thinning import is_taken
from tests.ledgers import FOREVER_S, PANE_MS, SETTINGS, Kept, batch_of, prediction, truth

Event = Prediction | Truth
ROOM = dataclasses.replace(SETTINGS, max_pending=40, horizon_s=60, lateness_s=FOREVER_S)
NO_LIMIT = 10_000_000


@dataclasses.dataclass
class Log:
    """Feeds a ledger events of either kind, each with the next offset of its topic."""

    kept: Kept
    offsets: Counter[bool] = dataclasses.field(default_factory=Counter)

    def apply(self, events: Sequence[Event]) -> None:
        if events:
            is_truth = isinstance(events[0], Truth)
            self.kept.apply(batch_of(*events, first=self.offsets[is_truth]))
            self.offsets[is_truth] += len(events)


@st.composite
def runs(draw: st.DrawFn) -> list[list[Event]]:
    """Runs of predictions or truth, a pane each: some twice, of two versions, out of order."""
    found = list[list[Event]]()
    for pane in range(draw(st.integers(2, 7))):
        times = st.integers(max(0, (pane - 1) * PANE_MS), (pane + 1) * PANE_MS - 1)
        row = st.tuples(st.integers(0, 80), times, st.sampled_from("112"))
        some = draw(st.lists(row, max_size=14))
        found.append([prediction(i, t, version=v) for i, t, v in some])
        labels = draw(st.lists(st.tuples(st.integers(0, 60), times, st.integers(0, 2)), max_size=8))
        found.append([truth(i, t, float(r % 2), revision=r) for i, t, r in labels])
    return found


@dataclasses.dataclass(frozen=True)
class Known:
    """All that a ledger knows of samples, and what it has counted of them."""

    rates: dict[str, bytes]
    quality: dict[tuple[str, int], bytes]
    waiting: dict[int, object]
    counted: Counter[str]
    pending: int


def played(some: list[list[Event]], cuts: Sequence[int], crash: bool) -> Known:
    """What is known after the runs. cuts: the lengths of batches, in turn."""
    kept = Kept(ROOM)
    log, turn, counted = Log(kept), 0, Counter[str]()
    for run in some:
        at = 0
        while at < len(run):
            length = cuts[turn % len(cuts)]
            log.apply(run[at : at + length])
            at, turn = at + length, turn + 1
            if turn % 2:
                kept.checkpoint()
                counted.update(kept.ledger.counted())
                if crash:
                    kept.restart()
    kept.checkpoint()
    counted.update(kept.ledger.counted())
    fields = {f: raw for f, raw in kept.state.fields.items() if f.startswith("ledger-thinning/")}
    quality = {
        (version, pane): cohorts.to_bytes()
        for version in "12"
        for pane, cohorts in kept.quality(version).items()
    }
    return Known(fields, quality, waiting(kept), counted, kept.ledger.matches.pending)


def waiting(kept: Kept) -> dict[int, object]:
    """Entries, with words in the place of numbers, which depend on what came first."""
    tables = kept.ledger.matches.tables
    found = dict[int, object]()
    for key, raw in kept.state.pending.items():
        entry = unpack_entry(raw, tables)
        some: list[Forecast | Label] = [*entry.forecasts, *entry.labels]
        items = [(item.subject, msgspec.structs.astuple(item)) for item in some]
        found[key] = sorted((tables.subjects.word(n), repr(item[1:])) for n, item in items)
    return found


@settings(max_examples=60, deadline=None)
@given(runs(), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.booleans())
def test_the_sample_depends_on_the_log_alone(
    some: list[list[Event]], cuts: list[int], crash: bool
) -> None:
    whole = played(some, [1_000], False)
    assume("pending-full" not in whole.counted)  # past the limit whole versions come first
    assert played(some, cuts, crash) == whole


def story(seed: int, panes: int = 24, rows: int = 120, order: str = "mixed") -> list[list[Event]]:
    """Predictions of which 80% are right, and truth about 70%: before or after its prediction.

    Of the truth a fifth is told twice, a fifth is corrected, and a tenth is taken back.
    """
    rng = np.random.default_rng(seed)
    found = list[list[Event]]()
    for pane in range(panes):
        made, early, late = list[Event](), list[Event](), list[Event]()
        for i in range(rows):
            number, time_ms = seed * 10**6 + pane * rows + i, pane * PANE_MS + i
            made.append(prediction(number, time_ms, version=str(1 + i % 2)))
            said = _said(rng, number, time_ms + 40)
            first = {"before": len(said), "after": 0, "mixed": int(rng.integers(3))}[order]
            early, late = early + said[:first], late + said[first:]
        found += [early, made, late]
    return found


def _said(rng: np.random.Generator, number: int, time_ms: int) -> list[Event]:
    if rng.random() > 0.7:
        return []
    right, kind = float(rng.random() < 0.8), int(rng.integers(10))
    said: list[Event] = [truth(number, time_ms, right)]
    if kind < 2:
        return said * 2
    if kind < 4:
        return [*said, truth(number, time_ms + 1, 1.0 - right, revision=1)]
    return [*said, truth(number, time_ms + 1, right, retracted=True)] if kind == 4 else said


def lived(some: list[list[Event]], max_pending: int, lateness_s: float = FOREVER_S) -> Kept:
    room = dataclasses.replace(ROOM, max_pending=max_pending, lateness_s=lateness_s)
    kept = Kept(dataclasses.replace(room, horizon_s=1_000))
    log = Log(kept)
    for run in some:
        log.apply(run)
    kept.checkpoint()
    return kept


def strata(kept: Kept) -> dict[int, Tally]:
    """What was counted by exponent, both versions together."""
    found: dict[int, Tally] = {}
    for version in "12":
        total = Cohorts.merged(kept.quality(version).values())
        for k, cohorts in {0: dataclasses.replace(total, samples={}), **total.samples}.items():
            found.setdefault(k, Tally()).merge(cohorts.total())
    return found


def off_by(told: dict[int, int], true: int) -> float:
    """Standard deviations by which an estimate is off: each outcome is there with p = 2**-k."""
    variance = sum(n * (4**k - 2**k) for k, n in told.items())
    return float((sum(n << k for k, n in told.items()) - true) / max(variance, 1) ** 0.5)


@pytest.mark.parametrize("order", ["after", "before", "mixed"])
def test_the_weighted_estimate_has_no_bias(order: str) -> None:
    offs = list[tuple[float, float]]()
    for seed in range(4):
        some = story(seed, order=order)
        (true,) = strata(lived(some, NO_LIMIT)).values()
        kept = lived(some, 800)
        found = strata(kept)
        assert kept.ledger.matches.pending <= 800
        assert max(found) >= 2
        assert "pending-full" not in kept.ledger.counted()
        offs.append(
            (
                off_by({k: t.judged for k, t in found.items()}, true.judged),
                off_by({k: t.hits for k, t in found.items()}, true.hits),
            )
        )
    assert np.abs(offs).max() < 4
    assert np.abs(np.mean(offs, axis=0)).max() < 4 / len(offs) ** 0.5


def in_samples(some: list[list[Event]], exponents: dict[int, int]) -> dict[str, tuple[int, int]]:
    """Exponent and pane of the predictions that are to be joined, by id."""
    found = {}
    for event in (e for run in some for e in run if isinstance(e, Prediction)):
        pane = pane_of(event.time, PANE_MS)
        k = exponents.get(pane, 0)
        if is_taken(id_hash("m", event.prediction_id), k):
            found[event.prediction_id] = (k, pane)
    return found


def what_holds(some: list[list[Event]]) -> dict[str, Truth]:
    """The truth that holds in the end, by id."""
    found = dict[str, Truth]()
    for event in (e for run in some for e in run if isinstance(e, Truth)):
        known = found.setdefault(event.prediction_id, event)
        if (event.revision, event.time) > (known.revision, known.time):
            found[event.prediction_id] = event
    return {name: event for name, event in found.items() if not event.retracted}


def test_what_is_joined_is_what_the_exponent_of_its_pane_says() -> None:
    """By brute force over the events; the truth comes after its prediction."""
    some = story(7, order="after")
    kept = lived(some, 1_000)
    joined = in_samples(some, kept.ledger.thinning.models["m"].exponents)
    assert {id_hash("m", name) for name in joined} == set(kept.state.pending)
    holds = what_holds(some)
    expected = Counter((*joined[i], e.label == 1.0) for i, e in holds.items() if i in joined)
    found = Counter[tuple[int, int, bool]]()
    for version in "12":
        total = Cohorts.merged(kept.quality(version).values()).since(BEFORE_ALL)
        for k, cohorts in {0: total, **total.samples}.items():
            for pane, tally in cohorts.cells.items():
                found[k, pane, True] += tally.hits
                found[k, pane, False] += tally.judged - tally.hits
    assert +found == expected


def test_sampled_out_predictions_and_their_truth_are_counted_as_such() -> None:
    some = story(3, order="after")
    kept = lived(some, 1_000)
    counted, rows = kept.ledger.counted(), [e for run in some for e in run]
    predictions = sum(isinstance(e, Prediction) for e in rows)
    out = counted["predictions-sampled-out"]
    assert counted["predictions"] == predictions  # counted, whether they are joined or not
    assert predictions - out == kept.ledger.matches.pending
    known = {id_hash("m", e.prediction_id) for e in rows} & kept.state.pending.keys()
    lost = sum(isinstance(e, Truth) and id_hash("m", e.prediction_id) not in known for e in rows)
    assert counted["truths-sampled-out"] == lost
    assert "truths-before-predictions" not in counted


def test_ten_times_the_volume_has_room() -> None:
    kept = Kept(dataclasses.replace(ROOM, max_pending=1_200, horizon_s=240, lateness_s=0))
    log, number = Log(kept), 0
    for pane, rows in enumerate([30] * 20 + [300] * 40):
        made = [prediction(number + i, pane * PANE_MS + i) for i in range(rows)]
        log.apply(made)
        log.apply([truth(number + i, pane * PANE_MS + 500 + i) for i in range(rows)])
        number += rows
        kept.checkpoint()
        kept.expire()
        kept.checkpoint()
        assert kept.ledger.matches.pending == len(kept.state.pending) <= 1_200
    counted = kept.ledger.counted()
    assert "pending-full" not in counted
    assert kept.ledger.matches.pending > 300  # the room is used
    assert kept.state.fields.keys() >= {"ledger-thinning/m"}


def test_when_there_is_room_again_nothing_of_it_is_left() -> None:
    kept = lived(story(1, panes=12, order="after"), 1_000, lateness_s=0)
    far = 10_000 * PANE_MS
    kept.apply(batch_of(prediction(1, far), first=10**6), batch_of(truth(1, far), first=10**6))
    kept.checkpoint()
    kept.expire()
    kept.apply(batch_of(prediction(2, far + PANE_MS), first=10**6 + 1))
    kept.checkpoint()
    assert kept.ledger.matches.pending == 2
    assert not [f for f in kept.state.fields if f.startswith("ledger-thinning/")]


def test_a_ledger_comes_back_with_its_exponents_and_says_so_to_older_releases() -> None:
    kept = lived(story(2), 1_000)
    before = kept.ledger.thinning.models
    kept.restart()
    assert kept.ledger.thinning.models == before
    assert msgspec.msgpack.decode(kept.state.fields["ledger"])["format"] == 3
    plain = lived(story(2), NO_LIMIT)
    assert msgspec.msgpack.decode(plain.state.fields["ledger"])["format"] == 2


@pytest.mark.parametrize("max_pending", [NO_LIMIT, 10_000])
def test_below_the_limit_every_byte_is_what_it_was(max_pending: int) -> None:
    """State in Redis, and what waits, as before anything was ever sampled."""
    kept = lived(story(5, panes=9), max_pending, lateness_s=0)
    found = hashlib.sha256()
    for field, raw in sorted(kept.state.fields.items()):
        if not field.startswith("book/"):  # numbers of messages
            found.update(field.encode() + raw)
    for key, raw in sorted(kept.state.pending.items()):
        found.update(key.to_bytes(8, "big") + raw)
    assert found.hexdigest() == "40493be38613504f8985a31002c66f723a18799d43ee46c6312995e88029784b"
