"""Labelling: a small part of the simulation of `python -m bench labelling`, with fixed seeds."""

from bench.labelling import CHANGED, Model
from stream.labelling import DELAY, MIX


def test_labels_that_vary_from_day_to_day_are_seldom_told_of() -> None:
    """In 72 months of labels; by the squares of deviations it was five times, where .4 is meant."""
    found = [Model("30% from day to day")(number) for number in range(18)]
    assert sum(len(one[DELAY]) for one in found) <= 2
    assert sum(len(one[MIX]) for one in found) <= 2


def test_a_delay_that_doubles_is_told_of_on_the_day_whatever_day_it_is() -> None:
    for world in ("even", "a third at weekends"):
        for number in range(3):
            assert Model(world, "delay doubles")(number) == {DELAY: [CHANGED], MIX: []}


def test_a_class_that_becomes_twice_as_frequent_is_told_of() -> None:
    found = [Model("even", "share .2 to .4")(number)[MIX] for number in range(4)]
    assert found.count([CHANGED]) >= 3
