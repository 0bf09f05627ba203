"""Workers are killed again and again, at random, while a load runs: nothing shows it."""

import time

import pytest

from tests.fire import verdicts
from tests.fire.fleets import FACTOR, SHORT, WORKER, Fleet
from tests.fire.stories import TABLES
from tests.workers import Deploy

KILLS, ENOUGH_S = 3, 60.0  # at least so many, and for so long


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_are_killed_one_after_the_other(deploy_real: Deploy) -> None:
    fleet = Fleet.of(deploy_real(TABLES, kafka=SHORT, worker=WORKER))
    with verdicts.under_load(fleet) as load:
        period_s = FACTOR * fleet.measure()
        end = time.monotonic() + ENOUGH_S
        while fleet.blows <= KILLS or time.monotonic() < end:
            with verdicts.overcome(fleet, load, period_s):
                fleet.kill(fleet.pick())
