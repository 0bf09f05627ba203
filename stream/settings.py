"""What the core is told about a model: plain values, checked when they are made.

The shell reads them from TOML (`agents/settings.py`); tests and backtests make them directly.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

Task = Literal["auto", "classification", "regression"]
DAY_S = 86_400
MONTH_S = 30 * DAY_S


@dataclasses.dataclass(frozen=True, slots=True)
class DetectorSettings:
    """One online detector over one signal.

    name: a key of `stream.detectors.DETECTORS`. signal: "error", "score", or a feature's name.
    raw: feed values as they come; else numbers are standardised with the reference.
    parameters: keyword arguments of the detector's class.
    """

    name: str
    signal: str = "error"
    raw: bool = False
    parameters: Mapping[str, float | int | bool | str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class ModelSettings:
    """How one model is watched. Durations are seconds of event time unless said otherwise."""

    owner: str | None = None
    task: Task = "auto"
    positive: str = "1"
    pane_s: int = 3_600
    windows_s: tuple[int, ...] = (DAY_S,)
    lateness_s: float = 60.0
    label_lateness_s: float = 60.0
    idle_s: float = 30.0  # of record time
    horizon_s: int = MONTH_S
    panes_kept: int = 1_000
    # checks
    false_alarms_per_month: float = 1.0
    significance: float = 0.05  # ceiling of the family-wise level of one evaluation
    minimum_rows: int = 100
    reference_rows: int = 1_000  # of a model without a reference, that become it
    effect_floor_sd: float = 0.10  # Wasserstein distance over the reference's standard deviation
    effect_floor_share: float = 0.05  # largest change of one category's share
    effect_floor_quality: float = 0.05  # fall of accuracy; a share of the reference for losses
    ignore: tuple[str, ...] = ()
    objectives: Mapping[str, float] = dataclasses.field(default_factory=dict)
    detectors: tuple[DetectorSettings, ...] = ()
    # alerts
    hold: int = 1  # bad evaluations in a row before an alert fires
    clear: int = 2  # good evaluations in a row before it resolves
    cooldown_s: int = 0  # after resolving, before the same cause may fire again
    evidence_s: int = DAY_S  # how long a detector's pulse counts
    # retraining
    retrain: bool = True
    retrain_cooldown_s: int = 7 * DAY_S
    retrain_deadline_s: int = 30 * DAY_S
    retrain_minimum_labels: int = 500
    # limits
    max_features: int = 2_000
    max_categories: int = 1_000
    max_sample_rows: int = 5_000
    max_pending: int = 10_000_000

    def __post_init__(self) -> None:
        for key, ok, allowed in _rules(self):
            if not ok:
                raise ValueError(f"{key} = {getattr(self, key)!r}: must be {allowed}")


def _rules(s: ModelSettings) -> list[tuple[str, bool, str]]:
    pane_s = max(s.pane_s, 1)
    windows = bool(s.windows_s) and all(w > 0 and w % pane_s == 0 for w in s.windows_s)
    shares = "more than 0 and at most 1"
    return [
        ("pane_s", s.pane_s > 0, "more than 0 seconds"),
        ("windows_s", windows, f"one or more multiples of pane_s = {s.pane_s}"),
        ("lateness_s", s.lateness_s >= 0, "0 seconds or more"),
        ("label_lateness_s", s.label_lateness_s >= 0, "0 seconds or more"),
        ("idle_s", s.idle_s > 0, "more than 0 seconds"),
        ("horizon_s", s.horizon_s > 0, "more than 0 seconds"),
        (
            "panes_kept",
            s.panes_kept * s.pane_s >= max(s.windows_s),
            "enough for the longest window",
        ),
        ("false_alarms_per_month", s.false_alarms_per_month > 0, "more than 0"),
        ("significance", 0 < s.significance <= 1, shares),
        ("minimum_rows", s.minimum_rows >= 2, "2 or more"),
        ("reference_rows", s.reference_rows >= s.minimum_rows, "minimum_rows or more"),
        ("effect_floor_sd", s.effect_floor_sd >= 0, "0 or more"),
        ("effect_floor_share", 0 <= s.effect_floor_share <= 1, "between 0 and 1"),
        ("effect_floor_quality", s.effect_floor_quality >= 0, "0 or more"),
        ("hold", s.hold >= 1, "1 or more"),
        ("clear", s.clear >= 1, "1 or more"),
        ("cooldown_s", s.cooldown_s >= 0, "0 seconds or more"),
        ("evidence_s", s.evidence_s > 0, "more than 0 seconds"),
        ("retrain_minimum_labels", s.retrain_minimum_labels >= 0, "0 or more"),
        ("max_features", s.max_features >= 1, "1 or more"),
        ("max_categories", s.max_categories >= 2, "2 or more"),
        ("max_sample_rows", s.max_sample_rows >= s.minimum_rows, "minimum_rows or more"),
        ("max_pending", s.max_pending >= 1, "1 or more"),
    ]
