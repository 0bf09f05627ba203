"""The car-loan files through `reference`, `replay` and `tail`, on the embedded pair's Kafka and on
a real one, with a real worker: the commands of README, on the weeks around the change.
"""

import gzip
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents import commands
from tests import tales
from tests.servers import Kafka
from tests.workers import Deployment

FIRST, ROWS = 18_500, 10_800  # 2019-02-20 to 2019-04-26
MOVED = {"car_value", "loan_length", "salary_range", "repaid_loan_on_prev_car"}
CHANGED = "2019-03-31"
MODEL = """
[models.car-loan]
pane_s = "1d"
windows_s = ["30d"]
"""
COLUMNS = ["--prediction", "y_pred", "--score", "y_pred_proba", "--label", "repaid"]


def piece(source: Path, path: Path) -> Path:
    """Consecutive rows of a packed CSV."""
    with gzip.open(source, "rt", encoding="utf-8") as file, path.open("w") as out:
        lines = iter(file)
        out.write(next(lines))
        out.writelines(itertools.islice(lines, FIRST, FIRST + ROWS))
    return path


def driftline(capsys: pytest.CaptureFixture[str], d: Deployment, *words: str) -> str:
    """What a command prints; it must end well."""
    capsys.readouterr()
    assert commands.run([*words, "--config", str(d.config)]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def told(capsys: pytest.CaptureFixture[str], d: Deployment, topic: str) -> list[dict[str, Any]]:
    out = driftline(capsys, d, "tail", topic, "--no-follow", "--json")
    return [json.loads(line) for line in out.splitlines()]


def lagging(capsys: pytest.CaptureFixture[str], d: Deployment) -> bool:
    """Whether `status` knows of records that are not taken in yet."""
    lags = json.loads(driftline(capsys, d, "status", "--json"))["lags"]
    assert {lag["stage"] for lag in lags if lag["begun"]} >= {"intake", "ledger", "watch"}
    return any(lag["records"] for lag in lags)


@pytest.fixture
def deployment(
    broker: Kafka, redis_url: str, namespace: str, tmp_path: Path
) -> Iterator[Deployment]:
    with Deployment(broker, redis_url, namespace, tmp_path, MODEL) as found:
        found.start()
        yield found


def test_car_loans_drift_is_found_where_it_is_and_nowhere_else(
    deployment: Deployment, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    d, files = deployment, data / "car_loan"
    rows = piece(files / "synthetic_car_loan_analysis.csv.gz", tmp_path / "analysis.csv")
    truth = piece(files / "synthetic_car_loan_analysis_target.csv.gz", tmp_path / "target.csv")
    version = ["--model", "car-loan", "--version", "1"]

    training = str(files / "synthetic_car_loan_reference.csv.gz")
    said = driftline(
        capsys,
        d,
        *("reference", training, *version, *COLUMNS, "--time", "timestamp", "--ignore", "id"),
    )
    assert "50,000 rows" in said
    when = ["--id", "id", "--time", "timestamp", "--truth", str(truth), "--label-delay", "14d"]
    said = driftline(capsys, d, "replay", str(rows), *version, *COLUMNS, *when)
    assert f"Sent {ROWS:,} predictions and {ROWS:,} truths" in said
    assert "Nothing was lost; none was refused." in said

    alerts = told(capsys, d, "alerts")
    assert min(alert["time"] for alert in alerts) > CHANGED
    fired = {name.removeprefix("input:") for name in tales.named(alerts)}
    assert fired >= MOVED
    foreseen = {"quality:estimated-accuracy"}  # by the scores, before there are labels
    assert fired - MOVED <= {"output:confidence", "quality:brier"} | foreseen
    assert told(capsys, d, "dead-letters") == []
    evaluations = told(capsys, d, "evaluations")
    assert f"closed up to {max(e['window']['end'] for e in evaluations)}" in said

    d.until(lambda: not lagging(capsys, d))  # the last checkpoints come after the last window
    state = json.loads(driftline(capsys, d, "status", "--json"))
    (model,) = state["models"]
    assert {alert["cause"] for alert in model["alerts"]} >= {f"input:{name}" for name in MOVED}
    assert model["references"][0]["rows"] == 50_000
    assert "car_value" in driftline(capsys, d, "status")
