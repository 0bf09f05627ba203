"""Real stories around their change: a worker says what the backtest says, byte for byte."""

import gzip
import itertools
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from agents import story
from tests import test_backtest_live as live
from tests import test_real_stories as stories
from tests.oracles import published, read_all
from tests.workers import Deploy

Played = tuple[str, list[str], list[str]]
"""Settings of the model; FILE and what its columns are; REFERENCE and what is ignored of it."""


def census(data: Path, folder: Path) -> Played:
    """Six windows of 1,000 rows around where people in institutions begin."""
    known, rows, truth = (folder / f"{name}.parquet" for name in ("known", "rows", "truth"))
    for path, name, first, count in (
        (known, "reference", 0, 10_000),
        (rows, "analysis", 133_000, 6_000),
        (truth, "analysis_target", 133_000, 6_000),
    ):
        table = pq.read_table(data / "employment_ma" / f"employment_MA_{name}.pq")
        pq.write_table(table.slice(first, count), path)
    columns = ["--id", "id", "--time", "row", "--start", "2024-01-01T00:00:00Z"]
    columns += ["--prediction", "prediction", "--score", "predicted_probability"]
    columns += ["--label", "employed", "--truth", str(truth), "--ignore", "year"]
    known_as = ["--time", "row", *columns[6:10], "--label", "employed", "--ignore", "id,year"]
    return "pane_s = 1000\nwindows_s = [1000]", [str(rows), *columns], [str(known), *known_as]


def loans(data: Path, folder: Path) -> Played:
    """A fortnight around the 31st of March, in windows of five days."""
    known, rows, truth = (folder / f"{name}.csv" for name in ("known", "rows", "truth"))
    for path, name, first, count in (
        (known, "reference", 0, 6_000),
        (rows, "analysis", 24_000, 2_400),
        (truth, "analysis_target", 24_000, 2_400),
    ):
        source = data / "car_loan" / f"synthetic_car_loan_{name}.csv.gz"
        with gzip.open(source, "rt", encoding="utf-8") as file, path.open("w") as out:
            out.write(next(file))
            out.writelines(itertools.islice(file, first, first + count))
    columns = ["--prediction", "y_pred", "--score", "y_pred_proba", "--label", "repaid"]
    when = ["--time", "timestamp"]
    more = ["--id", "id", "--truth", str(truth), "--label-delay", "2d"]
    known_as = [*when, *columns, "--ignore", "id"]
    settings = 'pane_s = "1d"\nwindows_s = ["5d"]'
    return settings, [str(rows), *when, *columns, *more], [str(known), *known_as]


def policies(data: Path, folder: Path) -> Played:
    """Months 6 to 9, in which miles are first seen to have moved."""
    settings = 'pane_s = "30d"\nwindows_s = ["30d"]'
    return insured(data, folder, (6, 9), "30d", settings)


def late_policies(data: Path, folder: Path) -> Played:
    """Months 12 and 13, whose truth breaks a promise a year later."""
    settings = 'pane_s = "30d"\nwindows_s = ["30d"]\nhorizon_s = "400d"'
    settings += "\nobjectives = { accuracy = 0.85 }"
    return insured(data, folder, (12, 13), "360d", settings)


def insured(data: Path, folder: Path, months: tuple[int, int], delay: str, settings: str) -> Played:
    """The months from one number to another."""
    first, last = months
    told = story.load(data / "insurance", last)
    start = story.START_MS
    known, played = told.policies, told.months[first - 1 :]
    answers = [told.model.probabilities(one.features) for one in (known, *played)]
    before = stories.lines(known, answers[0], start - story.MONTH_MS, "r")
    after = [
        stories.lines(month, answer, start + i * story.MONTH_MS, f"m{i}")
        for i, (month, answer) in enumerate(zip(played, answers[1:], strict=True))
    ]
    paths = folder / "known.csv", folder / "rows.csv"
    for path, rows in zip(paths, (before, itertools.chain(*after)), strict=True):
        path.write_text("\n".join([",".join(stories.HEADER), *rows]) + "\n")
    columns = stories.POLICIES[2:]
    more = ["--id", "id", "--label-delay", delay]
    return settings, [str(paths[1]), *columns, *more], [str(paths[0]), *columns, "--ignore", "id"]


SAID = {late_policies: b"worse than its objective 0.85"}  # in an alert


@pytest.mark.parametrize(
    "told", [census, loans, policies, late_policies], ids=lambda told: told.__name__
)
def test_backtest_and_worker_agree_on_a_real_story(
    deploy_real: Deploy, data: Path, tmp_path: Path, told: object
) -> None:
    assert callable(told)
    settings, rows, known = told(data, tmp_path)
    d = deploy_real(f"[models.credit]\n{settings}\n", topics={"partitions": 1})
    config = [*live.WHOSE, "--config", str(d.config)]
    said = live.driftline("backtest", *rows, "--reference", known[0], "--format", "json", *config)
    d.start()
    live.driftline("reference", *known, *config)
    live.driftline("replay", *rows, *config)
    d.until_idle()
    read_all(d)
    here = live.lines(said)
    assert published(d) == here
    assert here["evaluations"]
    assert any(SAID.get(told, b"") in alert for alert in here["alerts"].values())
