"""Poison in every position of a batch: the rest goes on as if it had not been there, and each bad
record is one dead letter, byte for byte, with its reason and its place."""

import itertools
from collections.abc import Sequence

import pytest

from stream.events import REASONS
from tests.intakes import Outcome, Sent, taken_in
from tests.poison import SOURCES, bad, good, rows

SIZE = 5
CASES = [
    pytest.param(topic, sent, id=f"{topic}-{number}-{kind}".encode("ascii", "replace").decode())
    for topic in SOURCES
    for number, (kind, sent) in enumerate(bad(topic))
]


def chunk(topic: str, poison: Sent, places: Sequence[int], size: int = SIZE) -> Outcome:
    return taken_in(topic, [poison if i in places else good(topic, i) for i in range(size)])


def check_letters(found: Outcome, topic: str, poison: Sent, places: Sequence[int]) -> None:
    assert sorted(found.reasons) == list(places)
    assert len(found.letters) == len(places)
    (reason,) = set(found.reasons.values())
    assert reason in REASONS
    for letter in found.letters:
        headers = dict(letter.headers)
        assert (letter.value, letter.key) == (poison.value, poison.key)
        assert headers["driftline-topic"] == f"driftline.{topic}".encode()
        assert headers["driftline-partition"] == b"0"
        assert headers["driftline-timestamp"] == str(poison.timestamp).encode()
        assert headers["driftline-error"]
        for name, value in poison.headers:
            assert headers[name] == value
    assert found.counters.dead_letters.labels(reason)._value.get() == len(places)
    rejected = found.counters.events.labels(topic, "rejected")
    assert rejected._value.get() == len(places)


@pytest.mark.parametrize(("topic", "poison"), CASES)
def test_in_each_position_alone(topic: str, poison: Sent) -> None:
    clean = taken_in(topic, [good(topic, i) for i in range(SIZE)])
    for place in range(SIZE):
        found = chunk(topic, poison, [place])
        check_letters(found, topic, poison, [place])
        assert rows(found) == rows(clean, leave_out=place)
        assert found.acked == clean.acked == [SIZE]
        assert {(b.first, b.last) for b in found.batches} == {(0, SIZE - 1)}


@pytest.mark.parametrize("topic", SOURCES)
def test_in_any_positions_together(topic: str) -> None:
    clean = taken_in(topic, [good(topic, i) for i in range(4)])
    poison = [sent for _, sent in bad(topic)]
    for turn, places in enumerate(itertools.chain.from_iterable(_subsets(4))):
        one = poison[turn % len(poison)]
        found = chunk(topic, one, places, 4)
        check_letters(found, topic, one, places)
        assert rows(found) == [row for row in rows(clean) if row[1] not in places]


def _subsets(size: int) -> list[list[tuple[int, ...]]]:
    return [list(itertools.combinations(range(size), n)) for n in range(1, size + 1)]


@pytest.mark.parametrize("topic", SOURCES)
def test_a_chunk_of_nothing_but_poison_of_all_kinds(topic: str) -> None:
    poison = [sent for _, sent in bad(topic)]
    found = taken_in(topic, poison)
    assert rows(found) == []
    assert [letter.value for letter in found.letters] == [sent.value for sent in poison]
    assert sorted(found.reasons) == list(range(len(poison)))
    assert found.acked == [len(poison)]
    told = {(batch.first, batch.last, len(batch.blocks)) for batch in found.batches}
    assert told == {(0, len(poison) - 1, 0)}  # each ledger hears that there was nothing


def test_there_is_poison_for_every_reason_that_intake_has() -> None:
    elsewhere = {
        "unknown-model",  # only where the settings refuse such
        "too-many-rows",  # see tests/test_limits.py
        *("bad-reference", "bad-recalibration"),  # of what they say, which ledgers look at
        *("duplicate", "not-a-batch", "not-a-signal", "sink-refused"),
    }
    found = {
        reason
        for topic in SOURCES
        for reason in taken_in(topic, [sent for _, sent in bad(topic)]).reasons.values()
    }
    assert found >= set(REASONS) - elsewhere
