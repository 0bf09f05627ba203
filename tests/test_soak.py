"""Every fault there is, mixed, for as long as DRIFTLINE_SOAK_S says: nothing is lost."""

import os
from pathlib import Path

import pytest

from tests import servers, soak
from tests.brokers import Unavailable
from tests.conftest import TAKEN

SECONDS = float(os.environ.get("DRIFTLINE_SOAK_S") or 60)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 600)
def test_nothing_is_lost_under_all_faults_together(
    request: pytest.FixtureRequest, tmp_path: Path, namespace: str
) -> None:
    lines: list[str] = []
    try:
        with soak.scene(tmp_path, namespace) as scene:
            verdict = soak.run(scene, SECONDS, lines.append)
    except Unavailable as why:
        if servers.real_kafka_required():
            pytest.fail(str(why))
        pytest.skip(str(why))
    request.config.stash[TAKEN]["soak"] = lines[-1]
    assert verdict.lost == 0
