"""The `retraining` bench: a small part of its simulation, with fixed seeds."""

import collections

import pytest

from bench.retraining import STORIES, WORLDS, World, days, verdicts
from bench.worlds import PHI


@pytest.mark.parametrize("world", [World(0.0, 120), World(PHI, 480), World(0.0, 120, parts=10)])
def test_what_is_not_true_is_seldom_said(world: World) -> None:
    assert world in WORLDS
    said = [verdicts(world, number) for number in range(25)]
    for story, found in zip(STORIES, zip(*said, strict=True), strict=True):
        counts = collections.Counter(found)
        assert story.wrong is None or counts[story.wrong] <= 3, story.name
    right = dict(zip((story.name for story in STORIES), zip(*said, strict=True), strict=True))
    assert right["as good as the reference"].count("worked") >= 8
    assert right["as bad as the old one"].count("did-not") >= 20


def test_answers_that_follow_each_other_make_days_that_differ() -> None:
    even, odd = (days(phi, 480, 0.9).std() for phi in (0.0, PHI))
    assert 6 < float(even) < 7
    assert float(odd) > 15
