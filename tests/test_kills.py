"""Workers are killed again and again, at random, while a load runs: nothing shows it."""

import time

import pytest

from tests.fire import verdicts
from tests.fire.fleets import FACTOR, SHORT, Fleet
from tests.fire.loads import Load
from tests.fire.stories import TABLES, Story
from tests.workers import Deploy

KILLS, ENOUGH_S = 3, 60.0  # at least so many, and for so long


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_are_killed_one_after_the_other(deploy_real: Deploy) -> None:
    d = deploy_real(TABLES, kafka=SHORT)
    fleet = Fleet.of(d)
    verdicts.register(d)
    with Load(d.access, d.name, Story()) as load:
        fleet.recovered(fleet.seqs())
        period_s = FACTOR * fleet.measure()
        end = time.monotonic() + ENOUGH_S
        while fleet.blows <= KILLS or time.monotonic() < end:
            before, sent = fleet.seqs(), load.delivered
            fleet.kill(fleet.pick())
            fleet.enlist()
            time.sleep(period_s)
            fleet.recovered(before)
            assert load.running
            assert load.delivered > sent
        verdicts.finish(fleet, load)
    assert verdicts.judge(fleet, load).lost == 0
