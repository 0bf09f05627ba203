"""A shadow beside the version in use, from a broker to what people read."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.commands import run
from tests.servers import Kafka
from tests.workers import HOUR_MS, START_MS, Deployment, prediction, truth

HOURLY = """
[models.m]
pane_s = 3600
windows_s = [3600]
idle_s = "6h"
horizon_s = "6h"
lateness_s = 0
label_lateness_s = 0
minimum_rows = 50
complete_coverage = 0
"""
MODEL = HOURLY + 'challengers = ["2"]'
ROWS = 200  # an hour
HOURS = 3


def rows() -> Iterator[tuple[int, int, dict[str, str], str]]:
    """Number, time, what both versions answered, and the truth."""
    rng = random.Random(5)
    for i, time_ms in enumerate(range(START_MS, START_MS + HOURS * HOUR_MS, HOUR_MS // ROWS)):
        label = rng.choice("01")
        wrong = str(1 - int(label))
        said = {
            v: label if rng.random() < right else wrong for v, right in (("1", 0.7), ("2", 0.8))
        }
        yield i, time_ms, said, label


def send(d: Deployment) -> None:
    """The shadow is ahead of the version in use, and each has a partition of its own."""
    for version in ("2", "1"):
        some: Iterator[Any] = (
            prediction(i, at, {"x": float(i % 7)}, version=version, prediction=said[version])
            for i, at, said, _ in rows()
        )
        d.send("predictions", some, partition=int(version))
        d.until_taken_in()
    d.send("ground-truth", (truth(i, at, label) for i, at, _, label in rows()))
    d.until_taken_in()
    d.close_time("m", START_MS + HOURS * HOUR_MS)
    d.until(lambda: len(d.evaluations("quality")) >= 2 * HOURS)
    d.until_idle()


def test_a_shadow_is_told_of_beside_the_version_in_use(
    mock_kafka: Kafka,
    redis_url: str,
    namespace: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Deployment(mock_kafka, redis_url, namespace, tmp_path, MODEL) as d:
        d.start()
        send(d)
        told = {
            subject: [e for e in d.evaluations(subject) if e["version"] == "2"]
            for subject in ("inputs", "quality")
        }
        assert run(["tail", "evaluations", "--no-follow", "--config", str(d.config)]) == 0
    out = capsys.readouterr().out
    found = [*rows()]
    for hour in range(HOURS):
        own = found[hour * ROWS : (hour + 1) * ROWS]
        answers, truths = (told[subject][hour]["beside"] for subject in ("inputs", "quality"))
        check(answers, truths, own, out)


def check(answers: list[Any], truths: list[Any], own: list[Any], out: str) -> None:
    """answers, truths: what is said of an hour with its inputs and with quality; own: its rows."""
    (answered,), (judged,) = answers, truths
    swapped = Counter((said["1"], said["2"]) for *_, said, _ in own if said["1"] != said["2"])
    for one in (answered, judged):
        assert (one["champion"], one["pairs"]) == ("1", ROWS)
        assert {(a["champion"], a["challenger"]): a["n"] for a in one["answers"]} == swapped
        assert one["disagreement"]["value"] == pytest.approx(swapped.total() / ROWS)
        assert f"    {one['reason']}\n" in out
    right = [tuple(said[v] == label for v in "12") for *_, said, label in own]
    names = ("both_right", "champion_right", "challenger_right", "both_wrong")
    cells = ((True, True), (True, False), (False, True), (False, False))
    both, old, new, neither = (right.count(cell) for cell in cells)
    assert [judged[name] for name in names] == [both, old, new, neither]
    said = f"right: both {both}, version 2 alone {new}, version 1 alone {old}, neither {neither}"
    assert f"      {said}\n" in out
    assert (answered["labelled"], answered["metrics"]) == (0, [])
