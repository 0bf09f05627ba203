"""How far the partitions have come: sequences without holes, and the lowest watermark."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.clocks import Clocks, Gap
from stream.panes import BEFORE_ALL
from stream.signals import Signals


def message(partition: int, sequence: int, mark: int = 0, labels: int = 0, of: int = 2) -> Signals:
    return Signals("m", "1", partition, of, sequence, mark, labels)


def heard(messages: list[Signals]) -> Clocks:
    clocks = Clocks()
    for one in messages:
        if clocks.accept(one):
            clocks.update(one)
    return clocks


def test_a_message_that_was_there_is_passed_over() -> None:
    clocks = heard([message(0, 1), message(0, 2)])
    assert not clocks.accept(message(0, 1))
    assert not clocks.accept(message(0, 2))
    assert clocks.accept(message(0, 3))
    assert clocks.accept(message(1, 1))


def test_a_hole_is_reported_and_not_passed_over() -> None:
    clocks = heard([message(0, 1)])
    with pytest.raises(Gap, match="message 3 of partition 0 came after message 1"):
        clocks.accept(message(0, 3))
    with pytest.raises(Gap, match="message 2 of partition 1 came after message 0"):
        clocks.accept(message(1, 2))


def test_nothing_is_known_before_every_partition_has_spoken() -> None:
    clocks = heard([message(0, 1, 100, 100)])
    assert clocks.low_ms() == clocks.label_low_ms() == BEFORE_ALL
    clocks.update(message(1, 1, 70, 90))
    assert (clocks.low_ms(), clocks.label_low_ms()) == (70, 70)


MARKS = st.integers(0, 50)
RUNS = st.lists(st.tuples(MARKS, MARKS), min_size=1, max_size=10)


@given(st.lists(RUNS, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_low_watermark_depends_on_no_order_between_partitions(runs, random) -> None:  # type: ignore[no-untyped-def]
    queues = [
        [message(p, i, mark, label, len(runs)) for i, (mark, label) in enumerate(run, start=1)]
        for p, run in enumerate(runs)
    ]
    messages = []
    while any(queues):
        messages.append(random.choice([q for q in queues if q]).pop(0))
    clocks = heard([*messages, *messages])
    assert clocks.low_ms() == min(max(m for m, _ in run) for run in runs)
    assert clocks.label_low_ms() == min(
        min(max(m for m, _ in run), max(x for _, x in run)) for run in runs
    )
    assert Clocks.load(clocks.dump()) == clocks
