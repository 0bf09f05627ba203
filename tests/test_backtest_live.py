"""Backtest and live agree: the same rows through a real worker and through memory alone give the
same events, byte for byte.
"""

import contextlib
import io
import json
import time
from pathlib import Path

import pytest

from agents import commands
from stream.events import rfc3339
from tests.oracles import published, read_all
from tests.test_backtest import DAY_MS, DAYS, MOVED, OPTIONS, PER_DAY, rows, table
from tests.workers import Deploy

MODEL = """
[models.credit]
owner = "team-risk"
pane_s = "1d"
windows_s = ["1d", "3d"]
retrain_minimum_labels = 200

[[models.credit.detectors]]
name = "ADWIN"

[[models.credit.detectors]]
name = "PageHinkley"
signal = "x"
"""
WHOSE = ["--model", "credit", "--version", "7"]
TYPES = {"evaluation": "evaluations", "alert": "alerts", "retrain-request": "retrain-requests"}
Bodies = dict[str, dict[str, bytes]]


def driftline(*words: str) -> str:
    """What a command prints; it must end well."""
    out, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        code = commands.run(list(words))
    assert code == 0, said.getvalue()
    return out.getvalue()


def lines(text: str) -> Bodies:
    found: Bodies = {topic: {} for topic in TYPES.values()}
    for line in text.splitlines():
        event = json.loads(line)
        found[TYPES[event["type"].split(".")[1]]][event["id"]] = line.encode()
    return found


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_worker_says_the_same_byte_for_byte(
    deploy_real: Deploy, tmp_path: Path, partitions: int
) -> None:
    start_ms = (int(time.time() * 1_000) // DAY_MS - 2 * DAYS) * DAY_MS
    d = deploy_real(MODEL, topics={"partitions": partitions})
    before = rows(1, 40, 40, start_ms - 40 * DAY_MS)
    known = str(table(tmp_path / "reference.csv", before))
    file = str(table(tmp_path / "rows.csv", rows(2, DAYS, MOVED, start_ms)))
    config = ["--config", str(d.config)]
    said = driftline(
        *("backtest", file, "--reference", known, *OPTIONS, *WHOSE, *config),
        *("--label-delay", "2d", "--format", "json"),
    )
    d.start()
    roles = [word for word in OPTIONS if word not in ("--id", "id")]
    driftline("reference", known, *roles, "--ignore", "id", *WHOSE, *config)
    told = driftline("replay", file, *OPTIONS, *WHOSE, "--label-delay", "2d", *config)
    assert f"Sent {DAYS * PER_DAY:,} predictions" in told
    d.until_idle()
    read_all(d)
    live, here = published(d), lines(said)
    assert all(len(found) > 0 for found in here.values()), rfc3339(start_ms)
    if partitions > 1:  # offsets are those of the source partitions
        live, here = (without_offsets(found) for found in (live, here))
    assert live == here


def without_offsets(found: Bodies) -> Bodies:
    """Which records to train on depends on where they lie."""
    requests = {name: json.loads(body) for name, body in found["retrain-requests"].items()}
    for request in requests.values():
        del request["data"]["offsets"]
    bodies = {name: json.dumps(request).encode() for name, request in requests.items()}
    return found | {"retrain-requests": bodies}
