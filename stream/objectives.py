"""Objectives: what is promised of a model's quality, metric by metric."""

import dataclasses
from collections.abc import Mapping, Sequence

# metrics with a better side, by what they are of
OF_CLASSES = (
    "accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1", "auroc",
    "average_precision", "lift", "log_loss", "brier", "calibration_error", "confidently_wrong",
)  # fmt: skip
OF_NUMBERS = ("mae", "rmse", "bias", "r2", "quantile_loss")
# gaps between the groups of each protected name (`stream.disparities`)
OF_GROUPS = (
    "selection_rate_difference", "selection_rate_ratio", "true_positive_rate_difference",
    "false_positive_rate_difference", "equalized_odds_difference", "calibration_difference",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Objective:
    """What is promised of one metric."""

    value: float
    """What the metric is to be at least or, of an error, a loss or a difference of groups, at most;
    of a bias its size."""
    window_s: int | None = None
    """The window in which that is to hold, one of `windows_s`; not given: in each of them."""
    minimum_labels: int | None = None
    """Labelled predictions that the metric must be of, to miss the objective (of selection rates:
    predictions; of gaps those of all groups that count); not given: `minimum_rows`."""


def objective_of(known: float | Objective) -> Objective:
    """An objective, however it is given.

    >>> objective_of(0.8).value
    0.8
    """
    return known if isinstance(known, Objective) else Objective(known)


def complaint(
    known: Mapping[str, float | Objective],
    windows_s: Sequence[int],
    task: str,
    quantile: float | None,
    *,
    protected: bool = False,
) -> str:
    """What objectives must be and are not; "" where all is well.

    protected: whether groups are protected, whose gaps can be promised.
    """
    names: tuple[str, ...] = {
        "classification": (*OF_CLASSES, *OF_GROUPS),
        "regression": OF_NUMBERS,
    }.get(task, (*OF_CLASSES, *OF_NUMBERS, *OF_GROUPS))
    for name, objective in ((name, objective_of(one)) for name, one in known.items()):
        if name not in names:
            return f"of {', '.join(names)}: there is no {name!r}"
        if name in OF_GROUPS and not protected:
            return f"without {name} where no `protected` is set"
        if name == "quantile_loss" and quantile is None:
            return "without quantile_loss where no `quantile` is set"
        if objective.window_s is not None and objective.window_s not in windows_s:
            return f"of windows that there are, {list(windows_s)}: {name} is not"
        if objective.minimum_labels is not None and objective.minimum_labels < 2:
            return f"of 2 labels or more each: {name} is not"
    return ""
