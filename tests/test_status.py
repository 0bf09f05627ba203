"""Status: read from what checkpoints have written, without claiming anything."""

import asyncio
import io
from pathlib import Path

import msgspec
import pytest
import redis
from pydantic import SecretStr
from rich.console import Console

from agents import status
from agents.settings import Settings, load
from agents.status import Status, gather
from agents.store import Unusable
from tests import tales
from tests.servers import Kafka
from tests.workers import HOUR_MS, START_MS, Deployment, prediction, truth

MODEL = """
[models.m]
owner = "us"
pane_s = 3600
windows_s = [3600]
idle_s = "1h"
retrain_minimum_labels = 10
"""
ROWS = 600


def shown(found: Status) -> str:
    out = io.StringIO()
    status.show(found, Console(file=out, width=120))
    return out.getvalue()


@pytest.fixture
def settings(mock_kafka: Kafka, redis_url: str, namespace: str, tmp_path: Path) -> Settings:
    path = tmp_path / "driftline.toml"
    path.write_text(
        f"[kafka]\nbrokers = '{mock_kafka.bootstrap}'\n[redis]\nurl = '{redis_url}'\n"
        f"key_prefix = '{namespace}'\n[topics]\nprefix = '{namespace}'\n"
    )
    return load(path)


def test_before_anything_has_happened(settings: Settings) -> None:
    found = asyncio.run(gather(settings))
    assert found.models == []
    assert [stage.stage for stage in found.lags] == ["intake", "ledger", "watch"]
    assert not any(stage.records for stage in found.lags)
    assert "No model has been watched yet" in shown(found)


def test_no_redis_is_said(settings: Settings) -> None:
    nowhere = settings.redis.model_copy(update={"url": SecretStr("redis://127.0.0.1:1/0")})
    with pytest.raises(Unusable, match=r"Is it running\?"):
        asyncio.run(gather(settings.model_copy(update={"redis": nowhere})))


def test_damaged_state_is_said_and_the_rest_is_shown(
    settings: Settings, redis_url: str, mock_kafka: Kafka
) -> None:
    mock_kafka.create_topics(settings.topics.name("signals"))
    client = redis.Redis.from_url(redis_url)
    key = f"{settings.redis.key_prefix}:{{watch:2}}:state"
    client.hset(key, "monitor/m/1", b"nothing of ours")
    client.close()
    found = asyncio.run(gather(settings))
    assert found.models == []
    assert len(found.damaged) == 1
    assert "monitor/m/1' of watch:2" in found.damaged[0]
    assert "cannot be read" in shown(found)


def test_a_model_with_all_that_is_known_of_it(
    mock_kafka: Kafka, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    with Deployment(mock_kafka, redis_url, namespace, tmp_path, MODEL) as d:
        d.start()
        reference = {"age": {"values": [float(i % 50) for i in range(ROWS)]}}
        d.control("reference", "m", version="1", features=reference, active_from=START_MS)
        rows = range(ROWS)
        d.send(
            "predictions",
            (prediction(i, START_MS + i, {"age": 30.0 + i % 50}, prediction=i % 2) for i in rows),
        )
        d.send("ground-truth", (truth(i, START_MS + i, i % 2) for i in rows))
        d.close_time("m", START_MS + HOUR_MS)
        d.until(lambda: d.read("alerts"))
        d.until_idle()
        found = asyncio.run(gather(load(d.config)))
        alerts = d.events("alerts")
    (model,) = found.models
    assert (model.model, model.version, model.owner) == ("m", "1", "us")
    (standing,) = model.references
    assert (standing.rows, standing.features) == (ROWS, 1)
    assert model.watermark == model.label_watermark == "2025-01-01T01:00:00.000Z"
    assert model.evaluated["inputs"] == "2025-01-01T01:00:00.000Z"
    assert {a.cause for a in model.alerts} == tales.named(alerts)
    assert model.retraining.progress == "none"
    assert not any(stage.records for stage in found.lags)
    text = shown(found)
    assert "input:age" in text
    assert standing.id[:12] in text
    again = msgspec.json.decode(msgspec.json.encode(found), type=Status)
    assert again == found


def test_a_reference_that_is_gone_is_no_failure() -> None:
    assert status._reference(None) is None
    assert status._reference(b"nothing of ours") is None
