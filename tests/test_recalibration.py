"""`driftline recalibrate`: from what a worker has written to what it does then."""

import asyncio
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from agents import registration
from agents.commands import run
from agents.settings import load
from stream.columns import column_of
from stream.estimates import ESTIMATED
from stream.features import summarise
from stream.odds import odds_of
from stream.references import Reference
from stream.stamps import stamp
from tests.servers import Kafka
from tests.workers import HOUR_MS, START_MS, Deployment, prediction, truth

MODEL = """
[models.m]
pane_s = 3600
windows_s = [3600]
idle_s = "1h"
horizon_s = "2h"
lateness_s = 0
label_lateness_s = 0
"""
ROWS = 300  # an hour


def known() -> Reference:
    """Of scores that mean what they say."""
    p = np.random.default_rng(1).uniform(0.02, 0.98, 2_000)
    true, everywhere = np.random.default_rng(2).random(2_000) < p, np.ones(2_000, dtype=np.bool_)
    features = {"age": summarise("age", column_of(np.arange(2_000.0)))}
    made = Reference("m", "1", features, rows=2_000, task="classification")
    return dataclasses.replace(made, odds=odds_of("positive", p, p > 0.5, true, everywhere))


def send(d: Deployment, hour: int) -> None:
    """Answers that are sure, and right in seven of ten."""
    rows, start = range(hour * ROWS, (hour + 1) * ROWS), START_MS + hour * HOUR_MS
    right = np.random.default_rng(3).permutation(np.arange(ROWS) % 10 < 7)
    said = [i % 2 for i in range(ROWS)]
    told = {i: (start + j, said[j], right[j]) for j, i in enumerate(rows)}
    d.send(
        "predictions",
        (
            prediction(i, at, {"age": 7.0 * (i % 280)}, prediction=said, score=0.05 + 0.9 * said)
            for i, (at, said, _) in told.items()
        ),
    )
    d.send("ground-truth", (truth(i, at, said ^ (not ok)) for i, (at, said, ok) in told.items()))
    d.until_taken_in()
    d.close_time("m", start + HOUR_MS)


def estimates(d: Deployment) -> dict[str, float]:
    return {
        e["window"]["end"]: r["statistic"]
        for e in d.evaluations()
        for r in e["readings"]
        if r["check"] == ESTIMATED
    }


def test_what_labels_teach_is_shown_sent_and_used_from_the_next_pane_on(
    mock_kafka: Kafka,
    redis_url: str,
    namespace: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Deployment(mock_kafka, redis_url, namespace, tmp_path, MODEL) as d:
        d.start()
        config = ["--config", str(d.config)]
        assert run(["recalibrate", "m", *config]) == 1
        assert "m is not watched" in capsys.readouterr().err
        asyncio.run(registration.publish(load(d.config), known(), START_MS))
        for hour in range(3):
            send(d, hour)
        d.until(lambda: len(d.evaluations("quality")) >= 3)
        d.until_idle()
        assert run(["recalibrate", "m", "--version", "2", *config]) == 1
        assert run(["recalibrate", "m", "--minimum-labels", "9999", *config]) == 1
        assert run(["recalibrate", "m", "--from", "soon", *config]) == 2
        err = capsys.readouterr().err
        assert "m 2 is not watched" in err
        assert "9,999 are needed" in err
        assert run(["recalibrate", "m", "--version", "1", "--yes", *config]) == 0
        out = capsys.readouterr().out
        d.until_idle()
        assert run(["status", *config]) == 0
        status = capsys.readouterr().out
        for hour in range(3, 6):
            send(d, hour)
        d.until(lambda: len(d.evaluations("quality")) >= 6)
        found = estimates(d)
    assert "so far scores mean what the reference's labels said" in out
    assert "realised 0.700" in out
    assert "mean from 2025-01-01 04:00:00 on what 900 labels of 2025-01-01 to" in status
    assert f"counts for windows from {stamp(START_MS + 4 * HOUR_MS)} on" in out
    for hour in range(1, 7):
        estimate = found[stamp(START_MS + hour * HOUR_MS)]
        assert estimate == pytest.approx(0.95 if hour < 5 else 0.7, abs=0.02), hour
