"""The command line: what a newcomer reads, what a wrong argument is told, and exit codes."""

import json
import subprocess
import sys
import uuid
from pathlib import Path

import confluent_kafka
import pytest

from agents import commands
from stream.parts import Parts
from stream.references import Reference
from tests.servers import Kafka

COMMANDS = (
    *(
        "demo",
        "worker",
        "reference",
        "version",
        "replay",
        "backtest",
        "tail",
        "embedded",
        "status",
        "explain",
        "compare",
    ),
    *("topics create", "topics check", "repair"),
    *("repair events", "repair signals", "repair sources", "repair skip"),
)
BACKTEST = ["backtest", "x.csv", "--reference", "y.csv"]
REPLAY = ["replay", "x.csv", "--model", "m", "--version", "1"]


def words(text: str) -> str:
    return " ".join(text.split())


def test_help_names_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["--help"]) == 0
    said = words(capsys.readouterr().out)
    for name in COMMANDS:
        assert name.partition(" ")[0] in said
    for code, meaning in commands.EXITS.items():
        assert f"{code} {meaning}" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert commands.run([*command.split(), "--help"]) == 0
    options = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  --")]
    assert options
    assert "Usage" not in options


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["version"]) == 0
    assert capsys.readouterr().out.startswith("driftline ")


REFERENCE = ["reference", "x.csv", "--model", "m", "--version", "1"]
WRONG = {
    "nothing": (["watch"], "No such command", 2),
    "option": (["demo", "--mounths", "3"], "No such option", 2),
    "range": (["demo", "--months", "0"], "'--months'", 2),
    "delay": (["demo", "--label-delay", "soon"], '"30d"', 2),
    "stage": (["worker", "--stages", "leger"], "must be of intake, ledger, watch", 2),
    "no model": (["reference", "x.csv", "--version", "1"], "--model", 2),
    "no settings": (["worker", "--config", "none.toml"], "no such file", 2),
    "no file": (["reference", "none.csv", "--model", "m", "--version", "1"], "no such file", 1),
    "no data": (["demo", "--data", "/nowhere"], "no such file", 1),
    "pairs": (
        ["reference", "x.csv", "--model", "m", "--version", "1", "--probabilities", "a"],
        "class=column",
        2,
    ),
    "weights": ([*REFERENCE, "--weights", "age=much"], "must be name=number", 2),
    "weight below 0": ([*REFERENCE, "--weights", "age=1,miles=-1"], "'miles=-1'", 2),
    "backtest weights": ([*BACKTEST, "--weights", "=1"], "must be name=number", 2),
    "replay nothing": (REPLAY, "x.csv: there is no such file", 1),
    "replay speed": ([*REPLAY, "--speed", "fast"], '"100x"', 2),
    "replay truth": ([*REPLAY, "--truth", "y.csv"], "needs --id and --label", 2),
    "replay start": ([*REPLAY, "--start", "noon"], "'noon' must be a time", 2),
    "replay steps": ([*REPLAY, "--every", "often"], '"90s"', 2),
    "replay unit": ([*REPLAY, "--label-delay-unit", "month"], '"30d"', 2),
    "replay score": ([*REPLAY, "--score", "p"], "name its column with --prediction", 2),
    "replay both": (
        [*REPLAY, "--prediction", "a", "--score", "p", "--probabilities", "a=b"],
        "either it or --probabilities",
        2,
    ),
    "backtest nothing": (BACKTEST, "y.csv: there is no such file", 1),
    "backtest lacks": (["backtest", "x.csv"], "--reference", 2),
    "backtest window": ([*BACKTEST, "--window", "soon"], '"30d"', 2),
    "backtest panes": ([*BACKTEST, "--window", "1d", "--pane", "7h"], "multiples of pane_s", 2),
    "backtest changed": ([*BACKTEST, "--changed", "noon"], "'noon' must be a time", 2),
    "backtest format": ([*BACKTEST, "--format", "xml"], "'json'", 2),
    "tail what": (["tail", "sales"], "'sales' is not one of", 2),
    "tail when": (["tail", "alerts", "--from", "noon"], "'noon' is not one of", 2),
    "topics what": (["topics", "delete"], "No such command", 2),
    "embedded there": (["embedded", "--config", __file__], "exists already", 2),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_without_a_traceback(
    capsys: pytest.CaptureFixture[str], case: str
) -> None:
    arguments, said, code = WRONG[case]
    assert commands.run(arguments) == code
    captured = capsys.readouterr()
    assert said in words(captured.err.replace("│", " "))
    assert "Traceback" not in captured.err


def test_our_own_error_is_reported_as_ours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "load", lambda _: 1 / 0)
    assert commands.run(["worker"]) == 70
    assert "please report it" in capsys.readouterr().err


def training(tmp_path: Path) -> Path:
    path = tmp_path / "training.csv"
    rows = [f"{20 + i % 50},{'ab'[i % 2]},{i % 2},{0.2 + 0.6 * (i % 2)},{i}" for i in range(300)]
    path.write_text("\n".join(["age,branch,answer,p,id", *rows]) + "\n")
    return path


def test_a_reference_arrives_on_the_control_topic(
    tmp_path: Path, mock_kafka: Kafka, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = f"t{uuid.uuid4().hex[:8]}"
    config = tmp_path / "driftline.toml"
    config.write_text(
        f"[kafka]\nbrokers = '{mock_kafka.bootstrap}'\n[topics]\nprefix = '{prefix}'\n"
        "[models.credit]\nignore = ['id']\n"
    )
    options = {"--model": "credit", "--version": "7", "--prediction": "answer", "--score": "p"}
    options |= {"--label": "answer", "--config": str(config)}
    arguments = [word for pair in options.items() for word in pair]
    assert commands.run(["reference", str(training(tmp_path)), *arguments]) == 0
    said = words(capsys.readouterr().out)
    assert "numbers age" in said
    assert "categories branch" in said
    assert "accuracy 1" in said
    found = received(mock_kafka.bootstrap, f"{prefix}.control")
    assert (found.model, found.version, set(found.features)) == ("credit", "7", {"age", "branch"})
    assert found.id in said


def received(bootstrap: str, topic: str) -> Reference:
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": topic})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([confluent_kafka.TopicPartition(topic, p, 0) for p in partitions])
        parts = Parts()
        while True:
            message = consumer.poll(10)
            assert message is not None
            assert message.error() is None
            if whole := parts.add(json.loads(message.value() or b"")):
                return whole
    finally:
        consumer.close()


def test_no_kafka_is_said_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.clusters.ADMIN_S", 1.0)
    monkeypatch.setenv("DRIFTLINE__KAFKA__BROKERS", "127.0.0.1:1")
    arguments = ["reference", str(training(tmp_path)), "--model", "m", "--version", "1"]
    assert commands.run(arguments) == 69
    assert "[kafka]" in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "agents.commands", "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("driftline ")
