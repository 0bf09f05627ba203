"""Well-known tools that are given rows in memory and say which features have drifted by K-S.

`python peer.py TOOL ROUNDS REFERENCE.npy ROWS.npy` runs one of them in an environment of its own
and prints what all rounds took. Data frames are made, libraries are warmed up and references are
taken in before the clock starts.
"""

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

WARM_ROWS = 2_000
QUIET = ("DO_NOT_TRACK", "NML_DISABLE_USAGE_LOGGING", "WHYLOGS_NO_ANALYTICS")  # no calls home
Check = Callable[[pd.DataFrame], int]


def evidently(reference: pd.DataFrame) -> Check:
    """`DataDriftPreset` by K-S."""
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    told = DataDefinition(numerical_columns=list(reference.columns))
    known = Dataset.from_pandas(reference, data_definition=told)

    def check(rows: pd.DataFrame) -> int:
        current = Dataset.from_pandas(rows, data_definition=told)
        report = Report([DataDriftPreset(num_method="ks")])
        found = report.run(current, known).dict()["metrics"]
        return sum("ValueDrift" in metric["metric_name"] for metric in found)

    return check


def whylogs(reference: pd.DataFrame) -> Check:
    """A profile of the rows, and its K-S test against the reference's profile."""
    import whylogs as why  # noqa: PLC0415
    from whylogs.viz.drift.column_drift_algorithms import (  # noqa: PLC0415
        KS,
        calculate_drift_scores,
    )

    known = why.log(reference).view()
    algorithms = {name: KS() for name in reference.columns}

    def check(rows: pd.DataFrame) -> int:
        found = calculate_drift_scores(why.log(rows).view(), known, algorithms)
        return sum(score is not None for score in found.values())

    return check


def nannyml(reference: pd.DataFrame) -> Check:
    """`UnivariateDriftCalculator` by K-S, one chunk."""
    import nannyml as nml  # noqa: PLC0415

    names = list(reference.columns)
    known = nml.UnivariateDriftCalculator(
        column_names=names, continuous_methods=["kolmogorov_smirnov"], chunk_number=1
    ).fit(reference)

    def check(rows: pd.DataFrame) -> int:
        found = known.calculate(rows).to_df(multilevel=True)
        return sum((name, "kolmogorov_smirnov", "value") in found.columns for name in names)

    return check


TOOLS: dict[str, Callable[[pd.DataFrame], Check]] = {
    "evidently": evidently,
    "whylogs": whylogs,
    "nannyml": nannyml,
}


def cpu_s() -> float:
    """Processor time of this process."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def main(tool: str, rounds: int, reference: str, rows: str) -> None:
    """All rounds; each must judge every feature."""
    warnings.simplefilter("ignore")
    os.environ.update(dict.fromkeys(QUIET, "True"))
    known, current = (_frame(np.load(path)) for path in (reference, rows))
    check = TOOLS[tool](known)
    check(current.head(WARM_ROWS).copy())
    cpu, wall = cpu_s(), time.monotonic()
    judged = [check(current) for _ in range(rounds)]
    spent = {"cpu_s": cpu_s() - cpu, "wall_s": time.monotonic() - wall}
    if judged != [len(current.columns)] * rounds:
        raise SystemExit(f"{tool} judged {judged} of {len(current.columns)} features")
    print(json.dumps({"rows": rounds * len(current)} | spent))


def _frame(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values, columns=[f"feature_{i:02d}" for i in range(values.shape[1])])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
