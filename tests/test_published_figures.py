"""Published figures by `driftline backtest`: p-values, and where detectors fire."""

import contextlib
import csv
import gzip
import io
import itertools
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agents import commands
from tests import packages

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
    rows = column(tmp_path / "rows.csv", values)
    known = column(tmp_path / "reference.csv", [0.0, 1.0] * 50)
    return first_of(tmp_path, DETECTORS, rows, "--reference", known)


def first_of(tmp_path: Path, detectors: str, *words: str) -> dict[str, int]:
    """The same of a backtest with these words."""
    config = tmp_path / "detectors.toml"
    config.write_text(detectors)
    first: dict[str, int] = {}
    for event in events(*words, "--model", "m", "--config", str(config)):
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


DDM = """
[[models.m.detectors]]
name = "DDM"
parameters = { warm_start = 2000, warning_threshold = 2.0, drift_threshold = 3.0 }
"""
PRICES = ("nswprice", "vicprice", "transfer")
KNOWN = 20_000  # rows that the classifier is fitted to


def electricity(data: Path, folder: Path, rows: int) -> tuple[str, str]:
    """Elec2 as its published set-up has it: what is known, and the rows after it.

    A logistic regression of standardised prices answers.
    """
    with gzip.open(data / "elec2" / "electricity.csv.gz", "rt") as file:
        table = list(itertools.islice(csv.DictReader(file), KNOWN + rows))
    x = np.array([[float(row[name]) for name in PRICES] for row in table])
    y = np.array([row["class"] for row in table])
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x[:KNOWN], y[:KNOWN])
    said, header = model.predict(x), ",".join((*PRICES, "said", "class"))
    lines = [",".join(map(str, row)) for row in zip(*x.T.tolist(), said, y, strict=True)]
    files = folder / "known.csv", folder / "stream.csv"
    for path, part in zip(files, (lines[:KNOWN], lines[KNOWN:]), strict=True):
        path.write_text("\n".join([header, *part]) + "\n")
    return str(files[0]), str(files[1])


def test_ddm_fires_on_elec2_where_frouros_example_says(data: Path, tmp_path: Path) -> None:
    """At 2601, counted from 0: frouros's "DDM simple" example, whose first 2,000 are a warm-up."""
    known, rows = electricity(data, tmp_path, 4_000)
    roles = ["--prediction", "said", "--label", "class"]
    assert first_of(tmp_path, DDM, rows, "--reference", known, *roles)["DDM"] == 2601


# NannyML's own test of CBPE (tests/performance_estimation/CBPE/test_cbpe_metrics.py): its synthetic
# binary data set in four chunks
ESTIMATES = {
    "auroc": (0.9710577647083807, 0.9711638319733471, 0.9614012753095441, 0.9617878072895653),
    "f1": (0.9478220802546018, 0.9483683062849226, 0.9235839411719146, 0.9239534478264141),
    "precision": (0.9432817252782693, 0.9446550044048795, 0.9145613073300847, 0.915231419744167),
    "recall": (0.9524063553647716, 0.9521109162736728, 0.9327863750020324, 0.932843314818147),
    "specificity": (0.9426505776503413, 0.9446298328855539, 0.9050174893945843, 0.9065202406788675),
    "accuracy": (0.9475319773956268, 0.9483565214666658, 0.9194997180834459, 0.920199809204049),
}
SCORED = ("id", "tenure", "y_pred", "y_pred_proba", "work_home_actual")
OF_SCORES = [
    *("--id", "id", "--prediction", "y_pred", "--score", "y_pred_proba"),
    *("--label", "work_home_actual", "--time", "row", "--window", "12500s"),
]


def scored(path: Path, to: Path) -> str:
    """The columns that are needed of a file."""
    with path.open() as file, to.open("w") as out:
        rows = csv.DictReader(file)
        names = [name for name in SCORED if name in (rows.fieldnames or ())]
        table = csv.DictWriter(out, names, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    return str(to)


def test_estimated_quality_is_what_nannymls_test_of_cbpe_says(tmp_path: Path) -> None:
    parts = ("analysis", "reference", "analysis_gt")
    names = tuple(f"synthetic_sample_{part}.csv" for part in parts)
    try:
        folder = packages.files_of("nannyml==0.13.1", "nannyml/datasets/data", names)
    except packages.NotThere as error:
        pytest.skip(str(error))
    rows, known, truth = (scored(folder / name, tmp_path / name) for name in names)
    found = [
        {**reading["details"], "accuracy": reading["statistic"]}
        for event in events(rows, "--reference", known, "--truth", truth, *OF_SCORES)
        for reading in event.get("readings", [])
        if reading["check"] == "estimated-accuracy"
    ]
    for name, published in ESTIMATES.items():
        within = 1e-5 if name == "auroc" else 1e-9
        assert [one[name] for one in found] == pytest.approx(published, abs=within)
