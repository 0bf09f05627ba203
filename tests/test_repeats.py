"""Repeats: said once, counted, and nothing else is kept back."""

import logging

import pytest

from agents.repeats import MOST, QUIET_S, Repeats
from tests.test_waiting import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repeats(clock: Clock) -> Repeats:
    return Repeats(clock)


def record(text: str, name: str = "aiokafka.conn", level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, "%s", (text,), None)


def test_a_line_is_said_once_whatever_numbers_are_in_it(repeats: Repeats) -> None:
    assert repeats.filter(record("no connection to 127.0.0.1:9092"))
    assert not repeats.filter(record("no connection to 127.0.0.1:9093"))
    assert repeats.filter(record("no coordinator"))


def test_one_that_goes_on_is_said_again_with_how_many_there_were(
    repeats: Repeats, clock: Clock
) -> None:
    for _ in range(1 + 7):
        repeats.filter(record("no connection"))
    clock.now_s += QUIET_S
    again = record("no connection")
    assert repeats.filter(again)
    assert again.getMessage() == "no connection (and 7 times more in the last 60 s)"
    clock.now_s += QUIET_S
    later = record("no connection")
    assert repeats.filter(later)
    assert later.getMessage() == "no connection"


@pytest.mark.parametrize(
    ("name", "level"), [("aiokafka.conn", logging.INFO), ("agents.app", logging.ERROR)]
)
def test_everything_else_passes(repeats: Repeats, name: str, level: int) -> None:
    assert [repeats.filter(record("the same", name, level)) for _ in range(3)] == [True] * 3


def test_what_is_remembered_is_bounded(repeats: Repeats) -> None:
    for i in range(3 * MOST):
        repeats.filter(record("x" * i))
    assert len(repeats._known) <= MOST
