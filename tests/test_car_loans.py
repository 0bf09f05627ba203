"""Car loans: AUROC by cohort, of truth that comes in any order, is scikit-learn's of the chunks."""

from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
from sklearn.metrics import roc_auc_score

from stream.cohorts import Cohorts
from stream.outcomes import outcomes_of_rows
from stream.quality import metrics_of
from stream.settings import ModelSettings

CHUNK = 5_000
PARTITIONS = 3


def test_auroc_of_cohorts_is_that_of_the_batch(data: Path) -> None:
    folder = data / "car_loan"
    analysis, target = (
        pyarrow.csv.read_csv(folder / f"synthetic_car_loan_{name}.csv.gz")
        for name in ("analysis", "analysis_target")
    )
    assert analysis["id"].equals(target["id"])
    p, answer, months = (
        np.array(analysis[name], dtype=np.float64)
        for name in ("y_pred_proba", "y_pred", "loan_length")
    )
    label = np.array(target["repaid"], dtype=np.float64)
    cohort = np.arange(len(p)) // CHUNK
    known = cohort + months.astype(int)  # the pane of label time: loans end when they are over
    partition = np.random.default_rng(4).integers(0, PARTITIONS, len(p))
    merged = Cohorts()
    for pane in np.random.default_rng(5).permutation(np.unique(known)).tolist():
        for part in range(PARTITIONS):
            share = Cohorts()
            for made in np.unique(cohort).tolist():
                rows = np.flatnonzero((known == pane) & (partition == part) & (cohort == made))
                given = [(("1", x),) for x in p[rows].tolist()]
                told = (label[rows].tolist(), answer[rows].tolist(), given)
                share.cell(made).update(outcomes_of_rows(*told))
            merged.merge(Cohorts.from_bytes(share.to_bytes()))
    auroc, found = metrics_of(ModelSettings())["auroc"], []
    for made, tally in sorted(merged.cells.items()):
        figure = auroc.get(tally)
        assert figure is not None
        rows = np.flatnonzero(cohort == made)
        assert figure.n == len(rows)
        assert figure.value == pytest.approx(roc_auc_score(label[rows], p[rows]), abs=1e-12)
        assert figure.low < figure.value < figure.high
        found.append(round(figure.value, 3))
    assert all(value >= 0.967 for value in found[:5])
    assert all(0.958 <= value <= 0.963 for value in found[5:])
