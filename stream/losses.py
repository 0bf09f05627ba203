"""Losses: what each outcome adds to a metric, to see how metrics vary from pane to pane."""

import numpy as np

from stream.columns import Floats
from stream.outcomes import Outcomes


def losses(found: Outcomes) -> dict[str, Floats]:
    """Metric to the values whose mean, or its root, it is, shape (n,) each; NaN where none.

    Of those metrics that are judged.
    """
    told: dict[str, Floats] = {}
    if found.hit is not None:
        told["accuracy"] = found.hit
    if found.loss is not None and found.brier is not None:
        told["log_loss"] = found.loss
        told["brier"] = found.brier
    if found.error is not None:
        with np.errstate(over="ignore"):
            told |= {"mae": np.abs(found.error), "rmse": found.error**2, "bias": found.error}
    return {name: values for name, values in told.items() if not np.isnan(values).all()}
