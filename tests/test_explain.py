"""Explaining: read from what a worker has written, and said in words."""

import asyncio
import io
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from agents import explain, registration
from agents.commands import run
from agents.explain import Unknown, gather
from agents.roles import Roles
from agents.settings import load
from agents.tables import Table
from stream.columns import Column, column_of
from stream.explanations import Explanation
from stream.stamps import stamp
from tests.servers import Kafka
from tests.workers import HOUR_MS, START_MS, Deployment, prediction

MODEL = """
[models.m]
pane_s = 3600
windows_s = [3600]
idle_s = "1h"
"""
HOURS, ROWS = 48, 20


def training() -> Table:
    """Two days of rows, in no order."""
    order = np.random.default_rng(1).permutation(HOURS * ROWS)
    hours = [stamp(START_MS - HOURS * HOUR_MS + i // ROWS * HOUR_MS) for i in order.tolist()]
    ages = np.random.default_rng(2).normal(40, 10, HOURS * ROWS)
    return Table({"at": column_of(hours), "age": Column(ages)}, {}, HOURS * ROWS)


def shown(found: Explanation) -> str:
    out = io.StringIO()
    explain.show(found, Console(file=out, width=200))
    return out.getvalue()


def test_a_model_registered_with_times_is_explained(
    mock_kafka: Kafka,
    redis_url: str,
    namespace: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Deployment(mock_kafka, redis_url, namespace, tmp_path, MODEL) as d:
        d.start()
        settings = load(d.config)
        known, notes = registration.build(
            training(), "m", "1", Roles(time="at"), settings.model("m")
        )
        assert "2d of reference, windows of 1h: a budget of 1 is kept, 0.1 is not promised" in notes
        asyncio.run(registration.publish(settings, known, START_MS))
        rows = range(300)
        d.send("predictions", (prediction(i, START_MS + i, {"age": 40.0 + i % 9}) for i in rows))
        d.close_time("m", START_MS + HOUR_MS)
        d.until(lambda: d.read("evaluations"))
        d.until_idle()
        (found,) = asyncio.run(gather(settings, "m", None))
        with pytest.raises(Unknown, match="no model 'x' is watched in this version; there are m"):
            asyncio.run(gather(settings, "x", None))
        assert run(["explain", "m", "--json", "--config", str(d.config)]) == 0
        assert run(["explain", "n", "--config", str(d.config)]) == 1
        evaluation = d.events("evaluations")[0]
    assert evaluation["notes"] == []
    reading = evaluation["readings"][0]
    assert reading["details"]["variance_inflation"] > 0.5
    assert found.reference_id == known.id == evaluation["reference_id"]
    assert (found.promised, found.windows[0].rows) == (False, 300)  # not for four hours
    assert found.windows[0].reach_s == 4 * 3_600
    out, err = capsys.readouterr()
    assert [msgspec.convert(x, Explanation) for x in json.loads(out)] == [found]
    assert "no model 'n'" in err
    text = shown(found)
    for said in (
        "1 false alarm a month over 720 evaluations: not promised, see below",
        "numbers, by Kolmogorov-Smirnov: age",
        "these are too few: it looks back 4 hours, about 1,200 rows",
        "a change as large as the effect floor takes about",
        "a shift of 2 sd: found within 1 hour in half of all cases, 1 hour in nine of ten",
        "2d of reference, windows of 4h: 1 is not promised",
    ):
        assert said in text


def test_before_anything_is_watched_that_is_said(
    mock_kafka: Kafka, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    path = tmp_path / "driftline.toml"
    path.write_text(
        f"[kafka]\nbrokers = '{mock_kafka.bootstrap}'\n[redis]\nurl = '{redis_url}'\n"
        f"key_prefix = '{namespace}'\n[topics]\nprefix = '{namespace}'\n"
    )
    with pytest.raises(Unknown, match="none has been watched yet"):
        asyncio.run(gather(load(path), "m", None))
