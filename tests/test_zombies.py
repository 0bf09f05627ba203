"""A worker that hangs longer than its session, and goes on: it notices, and nothing shows it."""

import functools

import pytest

from tests.fire import verdicts
from tests.fire.fleets import SHORT, WORKER, Fleet, freeze, thaw
from tests.fire.stories import TABLES
from tests.processes import Process
from tests.workers import Deploy

FENCED = "refused (epoch)"
TRIES = 4  # one that was frozen with nothing in hand has nothing to be refused


def assignments(member: Process) -> int:
    """How often a worker was given partitions."""
    return member.log().count("Setting newly assigned")


def came_back(member: Process, before: int) -> bool:
    """Whether it was given partitions since."""
    return assignments(member) > before


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_frozen_worker_thaws_under_its_successor(deploy_real: Deploy) -> None:
    d = deploy_real(TABLES, kafka=SHORT, worker=WORKER)
    fleet = Fleet.of(d, 2)
    with verdicts.under_load(fleet):
        zombie = fleet.members[0]
        for _ in range(TRIES):
            if FENCED not in zombie.log():
                before = assignments(zombie)
                freeze(zombie)
                fleet.recovered(fleet.seqs())  # by the other one alone
                thaw(zombie)
                d.until(functools.partial(came_back, zombie, before))
                fleet.recovered(fleet.seqs())
    assert FENCED in zombie.log()
