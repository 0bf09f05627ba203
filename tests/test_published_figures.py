"""Published figures by `driftline backtest`: p-values, and where detectors fire."""

import contextlib
import io
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import commands

DETECTORS = """
[models.m]
evidence_s = "1d"

[[models.m.detectors]]
name = "ADWIN"
signal = "x"
raw = true

[[models.m.detectors]]
name = "KSWIN"
signal = "x"
raw = true
parameters = { alpha = 0.0001, seed = 42 }

[[models.m.detectors]]
name = "PageHinkley"
signal = "x"
raw = true
"""


def column(path: Path, values: Iterable[float], name: str = "x") -> str:
    path.write_text("\n".join([name, *(repr(float(value)) for value in values)]) + "\n")
    return str(path)


def events(*words: str) -> list[dict[str, Any]]:
    """What a backtest publishes."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()) as said:
        code = commands.run(["backtest", *words, "--format", "json"])
    assert code == 0, said.getvalue()
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("name", "p"),
    [("current_p75", 0.7516787908604354), ("current_drift", 2.3432446792419765e-14)],
)
def test_the_slides_ages_give_the_slides_p_values(
    data: Path, tmp_path: Path, name: str, p: float
) -> None:
    table = np.genfromtxt(data / "insurance" / "slide_ages.csv", delimiter=",", names=True)
    ages = {key: table[key][np.isfinite(table[key])] for key in ("reference", name)}
    rows, known = (column(tmp_path / key, values, "age") for key, values in ages.items())
    (found,) = events(known, "--reference", rows, "--window", "1d", "--pane", "1d")[:1]
    (reading,) = [r for r in found["readings"] if r["check"] == "ks"]
    assert reading["p_value"] == p


def rivers() -> list[int]:
    """The stream of river's docstrings."""
    rng = random.Random(12345)
    return rng.choices([0, 1], k=1_000) + rng.choices(range(4, 8), k=1_000)


def capymoas() -> list[float]:
    """The stream of CapyMOA's tutorial on drift detection: an abrupt change at row 1,000."""
    rng = np.random.default_rng(42)
    stream = rng.integers(0, 2, size=2_000).astype(float)
    stream[1_000:] = rng.integers(6, 12, size=1_000)
    return [float(value) for value in stream]


def fired(tmp_path: Path, values: Iterable[float]) -> dict[str, int]:
    """The first row at which each detector fires, counted from 0."""
    config = tmp_path / "detectors.toml"
    config.write_text(DETECTORS)
    rows = column(tmp_path / "rows.csv", values)
    known = column(tmp_path / "reference.csv", [0.0, 1.0] * 50)
    first: dict[str, int] = {}
    for event in events(rows, "--reference", known, "--model", "m", "--config", str(config)):
        if event["type"] == "driftline.evaluation.v1" and event["subject"] == "detectors":
            (reading,) = event["readings"]
            if reading["verdict"] == "moved":
                first.setdefault(reading["check"], reading["details"]["indices"][0])
    return first


def test_detectors_fire_where_rivers_docstrings_say(tmp_path: Path) -> None:
    assert fired(tmp_path, rivers()) == {"ADWIN": 1023, "KSWIN": 1016, "PageHinkley": 1006}


def test_adwin_fires_where_capymoas_tutorial_says(tmp_path: Path) -> None:
    """At 1024: CapyMOA counts the values taken in, from 1."""
    assert fired(tmp_path, capymoas())["ADWIN"] + 1 == 1024
