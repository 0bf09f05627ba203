"""Poison among the rows of real workers, also in the topics between their stages."""

from collections import Counter

from tests.faults import PARTITIONS, REFERENCE, TABLES, exact, story
from tests.poison import SOURCES, bad
from tests.workers import Deploy, Deployment, Read

EVERY = 40  # records of the story between two that are bad
FOREIGN = (b"junk", b"", bytes(200), b'{"a": 1}', b"DL", b"\xff" * 50)
INNER = {"events": "not-a-batch", "signals": "not-a-signal"}


def test_the_rest_is_exact_and_each_bad_record_is_one_dead_letter(deploy_forked: Deploy) -> None:
    d = deploy_forked(TABLES, topics={"partitions": PARTITIONS})
    d.start(http=True)
    d.send("control", [REFERENCE], partition=0)
    d.until_taken_in()
    poison(d, "control", 0)
    for number in range(PARTITIONS):
        for topic, told in zip(("predictions", "ground-truth"), story(0, 1_500), strict=True):
            own = told[number::PARTITIONS]
            for first in range(0, len(own), EVERY):
                poison(d, topic, number, first)
                d.send(topic, own[first : first + EVERY], partition=number)
            poison(d, topic, number)
        for topic in INNER:
            d.send(topic, FOREIGN, partition=number)
    exact(d, [(0, 1_500)])
    check_letters(d)


def poison(d: Deployment, topic: str, number: int, turn: int | None = None) -> None:
    """All kinds, or one in turn."""
    some = list(bad(topic))
    for _, sent in some if turn is None else [some[turn // EVERY % len(some)]]:
        d.send(topic, [sent.value], key=sent.key, partition=number, headers=sent.headers)


def check_letters(d: Deployment) -> None:
    """One of each bad record, byte for byte; all that is good is in none."""
    sent = [read for topic in (*SOURCES, *INNER) for read in d.read(topic)]
    at = {(d.topic(read.topic), read.partition, read.offset): read for read in sent}
    letters = d.read("dead-letters")
    places = Counter(place(letter) for letter in letters)
    assert set(places.values()) == {1}
    for letter in letters:
        record = at[place(letter)]
        assert (letter.value or b"", letter.key or b"") == (record.value or b"", record.key or b"")
        assert letter.headers["driftline-reason"].decode() == INNER.get(
            record.topic, letter.headers["driftline-reason"].decode()
        )
    found = Counter(at[where].topic for where in places)
    assert {topic: found[topic] for topic in INNER} == dict.fromkeys(
        INNER, PARTITIONS * len(FOREIGN)
    )
    good = {"predictions": 1_500, "ground-truth": 300, "control": 2}
    for topic in SOURCES:
        assert found[topic] == len(d.read(topic)) - good[topic]
    counted = {k: v for k, v in d.counters().items() if k.startswith("driftline_dead_letters_t")}
    assert sum(counted.values()) == len(letters)


def place(letter: Read) -> tuple[str, int, int]:
    """Where the record of a dead letter lay."""
    told = {name: letter.headers[f"driftline-{name}"].decode() for name in ("topic", "partition")}
    return told["topic"], int(told["partition"]), int(letter.headers["driftline-offset"])
