"""Pairs: up until told to end, with settings that work, and nothing left behind."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import confluent_kafka
import pytest
import redis

from agents import pairs
from agents.complaints import BadSettings
from agents.pairs import PairEnded, keep, snippet
from agents.settings import Settings, load

MODELS = '[models.m]\nowner = "us"\n'


def answer(settings: Settings) -> None:
    """Both answer."""
    with contextlib.closing(redis.Redis.from_url(settings.redis.url.get_secret_value())) as client:
        assert client.ping()
    producer = confluent_kafka.Producer({"bootstrap.servers": settings.kafka.brokers[0]})
    assert producer.list_topics(timeout=10).brokers


def test_a_snippet_is_a_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(snippet("127.0.0.1:7", "redis://127.0.0.1:8/0", MODELS))
    settings = load(path)
    assert settings.kafka.brokers == ("127.0.0.1:7",)
    assert settings.redis.url.get_secret_value() == "redis://127.0.0.1:8/0"
    assert settings.model("m").owner == "us"


def kept(config: Path | None, include: Path | None, said: list[str]) -> asyncio.Task[None]:
    return asyncio.create_task(keep(config, include, said.append))


async def up(said: list[str], task: asyncio.Task[None]) -> None:
    while not said and not task.done():  # noqa: ASYNC110
        await asyncio.sleep(0.05)


def test_settings_work_while_it_is_up_and_go_with_it(tmp_path: Path) -> None:
    config, models, said = tmp_path / "try.toml", tmp_path / "models.toml", list[str]()
    models.write_text(MODELS)

    async def main() -> None:
        task = kept(config, models, said)
        await up(said, task)
        settings = load(config)
        assert settings.model("m").owner == "us"
        await asyncio.to_thread(answer, settings)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert not config.exists()
    assert str(config) in "\n".join(said)


def test_settings_that_somebody_changed_stay(tmp_path: Path) -> None:
    config, said = tmp_path / "try.toml", list[str]()

    async def main() -> None:
        task = kept(config, None, said)
        await up(said, task)
        config.write_text(config.read_text() + MODELS)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert load(config).model("m").owner == "us"


def test_without_a_file_settings_are_printed() -> None:
    said: list[str] = []

    async def main() -> None:
        task = kept(None, None, said)
        await up(said, task)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    text = "\n".join(said)
    assert "[kafka]" in text
    assert "export DRIFTLINE__KAFKA__BROKERS=127.0.0.1:" in text
    assert "export DRIFTLINE__REDIS__URL=redis://127.0.0.1:" in text


def test_a_redis_that_ends_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "LOOK_S", 0.05)
    said: list[str] = []

    async def main() -> None:
        task = kept(None, None, said)
        await up(said, task)
        url = said[0].partition("Redis at ")[2].partition(";")[0]
        with contextlib.closing(redis.Redis.from_url(url)) as client:
            client.shutdown(nosave=True)
        await task

    with pytest.raises(PairEnded):
        asyncio.run(main())


WRONG = {
    "there already": ("try.toml", None, "exists already"),
    "no folder": ("none/try.toml", None, "cannot be written"),
    "nothing to include": ("new.toml", "none.toml", "cannot be read"),
    "wrong models": ("new.toml", "wrong.toml", "pane_s"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_written_is_said_and_nothing_is_left(tmp_path: Path, case: str) -> None:
    config, include, said = WRONG[case]
    (tmp_path / "try.toml").write_text("")
    (tmp_path / "wrong.toml").write_text("[models.m]\npane_s = -1\n")
    with pytest.raises(BadSettings, match=said):
        asyncio.run(keep(tmp_path / config, tmp_path / include if include else None, print))
    assert not (tmp_path / "new.toml").exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_ends_well(tmp_path: Path, how: signal.Signals) -> None:
    config = tmp_path / "try.toml"
    command = [sys.executable, "-m", "agents.commands", "embedded", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "Kafka at" in process.stdout.readline()
        process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(how)
        assert process.wait(20) == 0
    assert not config.exists()
