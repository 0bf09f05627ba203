"""Work that takes its time may be interrupted anywhere, and nothing of it shows afterwards."""

import random

import pytest

from stream.leisure import Interrupted, Leisure
from stream.pipeline import Pipeline
from stream.watch import Watch
from tests import tales
from tests.tales import SETTINGS, Way


class Hurried(Pipeline):
    """A pipeline whose watch is interrupted, and saved and taken up again, all the time."""

    chance = random.Random(0)
    interruptions = turns = 0

    def _between(self) -> None:
        if self.chance.random() < 0.2:
            self.interruptions += 1
            raise Interrupted

    def _turn(self) -> bool:
        self.leisure = Leisure(lambda: True, self._between)
        more = super()._turn()
        self.turns += 1
        changes = self.watch.changes()
        self._save(self.watched, changes)
        self.published += changes.outbox
        self.watch = Watch(self.settings)
        self.watch.restore(self.watched.fields)
        return more or self.watch.wanted() != {}


def test_an_interruption_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = tales.published(tales.play(tales.tale(), SETTINGS, Way(2, 1, 50)))
    monkeypatch.setattr(tales, "Pipeline", Hurried)
    found = tales.play(tales.tale(), SETTINGS, Way(2, 1, 50))
    assert isinstance(found, Hurried)
    assert found.interruptions > 20
    assert found.turns > found.interruptions + 10
    assert tales.published(found) == expected
