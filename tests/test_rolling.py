"""A rolling restart under load: one worker after the other ends in time, and nothing shows it."""

import pytest

from tests.fire import verdicts
from tests.fire.fleets import FACTOR, SHORT, Fleet
from tests.fire.stories import TABLES
from tests.workers import Deploy

LIMIT_S = 30
PATIENCE_S = 90  # a worker that exceeds its limit ends by itself, with another exit code


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_are_replaced_one_after_the_other(deploy_real: Deploy) -> None:
    d = deploy_real(TABLES, kafka=SHORT, worker={"checkpoint_s": 0.5, "shutdown_s": LIMIT_S})
    fleet = Fleet.of(d)
    with verdicts.under_load(fleet) as load:
        period_s = FACTOR * fleet.measure()
        for member in list(fleet.members):
            with verdicts.overcome(fleet, load, period_s):
                assert fleet.retire(member, PATIENCE_S) == 0
