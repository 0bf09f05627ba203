"""Car loans until the last is over: truth comes after 6 to 22 months, that of short loans first.

Four features move with chunk 5 of 10. That is told at once, and paged when there is truth of whole
cohorts; what comes before is of short loans alone, and wakes nobody.
"""

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from agents.backtest.accounts import Account, at
from agents.findings import Output
from stream.columns import Floats, Ints
from stream.estimates import ESTIMATED
from tests.test_late_stories import by_labels, completed, figure, watched
from tests.test_real_stories import events

CHUNK = 5_000
STEP_MS = 523_152  # from loan to loan; the calendar is moved by 27 days, so that chunks are panes
LOANS_S = STEP_MS * CHUNK // 1_000
LOANS_MS = -(-1_540_922_400 // LOANS_S) * LOANS_S * 1_000
CHANGED_MS = LOANS_MS + 5 * LOANS_S * 1_000
MONTH_MS = 30 * 86_400_000
LOANS = [
    *("--id", "id", "--time", "timestamp", "--prediction", "y_pred", "--score", "y_pred_proba"),
    *("--label", "repaid", "--label-time", "over"),
]


@functools.cache
def loans(data: Path, name: str) -> pa.Table:
    return pyarrow.csv.read_csv(data / "car_loan" / f"synthetic_car_loan_{name}.csv.gz")


def column(table: pa.Table, name: str) -> Floats:
    found: Floats = np.asarray(table[name]).astype(np.float64)
    return found


def made_and_over(data: Path) -> tuple[Ints, Ints]:
    """When loans were made and are over, ms."""
    months = column(loans(data, "analysis"), "loan_length").astype(np.int64)
    made = LOANS_MS + np.arange(len(months)) * STEP_MS
    return made, made + months * MONTH_MS


@pytest.fixture(scope="module")
def lent(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Output]:
    folder = tmp_path_factory.mktemp("loans")
    made, over = (pa.array(x.astype("datetime64[ms]")) for x in made_and_over(data))
    table = loans(data, "analysis")
    assert table["id"].equals(loans(data, "analysis_target")["id"])
    table = table.set_column(table.column_names.index("timestamp"), "timestamp", made)
    table = table.append_column("over", over)
    table = table.append_column("repaid", loans(data, "analysis_target")["repaid"])
    pq.write_table(table, folder / "loans.parquet")
    known = str(data / "car_loan" / "synthetic_car_loan_reference.csv.gz")
    settings = [f"pane_s = {LOANS_S}", f"windows_s = [{LOANS_S}]", 'horizon_s = "670d"']
    words = [str(folder / "loans.parquet"), "--reference", known, *LOANS]
    return events(*words, *watched(folder, *settings))


def test_no_loan_that_is_over_early_wakes_anybody(lent: list[Output]) -> None:
    found = Account(lent)
    first = min(alarm.fired_ms for alarm in found.alarms)
    assert first == CHANGED_MS + LOANS_S * 1_000  # the end of the chunk in which all moves
    assert {a.alert.severity for a in found.alarms if a not in by_labels(found.alarms)} == {
        "notice"
    }
    pages = [alarm.fired_ms for alarm in found.pages]
    assert min(pages) == CHANGED_MS + 17 * LOANS_S * 1_000
    assert [at(request.time) for request in found.requests] == pages[:1]
    (estimate,) = [a for a in found.alarms if a.first == ESTIMATED]
    assert estimate.fired_ms == first


def test_the_first_page_is_of_the_loans_made_after_the_change(
    lent: list[Output], data: Path
) -> None:
    """By the same lengths of loans in the reference: those before are as ever, those after not."""
    page = Account(lent).pages[0]
    made, over = made_and_over(data)
    known = (over >= page.fired_ms - LOANS_S * 1_000) & (over < page.fired_ms)
    rows, reference = loans(data, "analysis"), loans(data, "reference")
    losses = squares(rows, loans(data, "analysis_target"))
    brier = page.named["quality", "brier", "brier"][1]
    assert brier.n == known.sum()
    assert brier.statistic == pytest.approx(losses[known].mean(), abs=1e-12)
    usual = squares(reference, reference)
    lengths, before = column(rows, "loan_length"), column(reference, "loan_length")
    mean = {length: usual[before == length].mean() for length in np.unique(before).tolist()}
    for some, low, high in (
        (known & (made < CHANGED_MS), 0.9, 1.2),
        (known & (made >= CHANGED_MS), 1.8, 3.0),
    ):
        expected = np.mean([mean[length] for length in lengths[some].tolist()])
        assert low < losses[some].mean() / expected < high


def squares(said: pa.Table, truth: pa.Table) -> Floats:
    return (column(said, "y_pred_proba") - column(truth, "repaid")) ** 2


def test_auroc_of_cohorts_is_that_of_the_batch_in_the_stream(
    lent: list[Output], data: Path
) -> None:
    made, over = made_and_over(data)
    label = column(loans(data, "analysis_target"), "repaid")
    p = column(loans(data, "analysis"), "y_pred_proba")
    found = []
    for end_ms, cohort in completed(lent):
        rows = (made >= at(cohort.start)) & (made < at(cohort.end))
        known = rows & (over < end_ms)
        assert (cohort.predictions, cohort.labelled) == (rows.sum(), known.sum())
        value = figure(cohort, "auroc")
        assert value == pytest.approx(roc_auc_score(label[known], p[known]), abs=1e-12)
        assert value == pytest.approx(roc_auc_score(label[rows], p[rows]), abs=3e-3)
        found.append(round(value, 3))
    assert len(found) == 10
    assert all(value >= 0.965 for value in found[:5])
    assert all(0.958 <= value <= 0.963 for value in found[5:])
