"""Car loans whose truth is known when the loan is over, after 6 to 22 months: the short ones first.

Nothing changes before March 2019, but loans of 8 to 12 months are the hardest of all to tell.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest

from agents.backtest.accounts import Account
from stream.quality import METRICS
from tests.test_real_stories import account

MONTH_US = 30 * 86_400_000_000
UNTIL = pa.scalar("2019-12-15T00:00:00").cast(pa.timestamp("us"))
FEATURES = "car_value,salary_range,debt_to_income_ratio,loan_length,repaid_loan_on_prev_car"
LOANS = [
    *("--id", "id", "--time", "timestamp", "--prediction", "y_pred", "--score", "y_pred_proba"),
    *("--label", "repaid", "--label-time", "over", "--window", "30d", "--pane", "5d"),
    *("--ignore", f"{FEATURES},size_of_downpayment"),
]


@pytest.fixture(scope="module")
def loans(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Words of a command: the loans as far as they are over in time, and how they are watched."""
    files = data / "car_loan"
    rows, truth = (
        pyarrow.csv.read_csv(files / f"synthetic_car_loan_{name}.csv.gz")
        for name in ("analysis", "analysis_target")
    )
    table = rows.join(truth, "id").sort_by("timestamp")
    made = table["timestamp"].cast(pa.timestamp("us"))
    months = pc.multiply(table["loan_length"].cast(pa.int64()), MONTH_US)
    over = pc.add(made, months.cast(pa.duration("us")))
    known = pc.less(over, UNTIL)
    table = table.set_column(
        table.column_names.index("repaid"), "repaid", pc.if_else(known, table["repaid"], None)
    ).append_column("over", over)
    folder = tmp_path_factory.mktemp("loans")
    pyarrow.csv.write_csv(table, folder / "loans.csv")
    reference = files / "synthetic_car_loan_reference.csv.gz"
    return [str(folder / "loans.csv"), "--reference", str(reference), *LOANS]


def watched(folder: Path, more: str) -> list[str]:
    path = folder / "driftline.toml"
    path.write_text(f'[models.model]\nhorizon_s = "670d"\n{more}\n')
    return ["--config", str(path)]


def about_quality(found: Account) -> list[tuple[int, str]]:
    return [(alarm.fired_ms, alarm.alert.summary) for alarm in found.pages]


def test_loans_that_are_over_early_are_no_fall_of_quality(loans: list[str], tmp_path: Path) -> None:
    found = account(*loans, *watched(tmp_path, ""))
    assert len(found.ends["quality"]) > 30
    assert about_quality(found) == []
    assert found.requests == []
    realised = [r for some in found.readings.values() for _, r in some if r.check in METRICS]
    assert {r.verdict for r in realised if r.role == "quality"} == {"not-enough-data"}
    assert {r.details.get("provisional") for r in realised if r.role == "quality"} == {1}


def test_they_would_be_if_nothing_were_provisional(loans: list[str], tmp_path: Path) -> None:
    found = account(*loans, *watched(tmp_path, "complete_coverage = 0"))
    assert about_quality(found)
    assert found.requests
