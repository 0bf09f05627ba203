"""A rolling restart under load: one worker after the other ends in time, and nothing shows it."""

import pytest

from tests.fire import verdicts
from tests.fire.fleets import FACTOR, SHORT, STOP_S, WORKER, Fleet
from tests.fire.stories import TABLES
from tests.workers import Deploy


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_are_replaced_one_after_the_other(deploy_real: Deploy) -> None:
    d = deploy_real(TABLES, kafka=SHORT, worker=WORKER)
    fleet = Fleet.of(d)
    with verdicts.under_load(fleet) as load:
        period_s = FACTOR * fleet.measure()
        for member in list(fleet.members):
            with verdicts.overcome(fleet, load, period_s):
                assert fleet.retire(member, STOP_S) == 0, member.log()
