"""What the core is told about a model: plain values, checked when they are made.

The shell reads them from TOML (`agents/settings.py`); tests and backtests make them directly.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping
from typing import Literal

from stream import objectives
from stream.objectives import Objective, objective_of

Task = Literal["auto", "classification", "regression"]
Seasonality = Literal["none", "hour-of-day", "hour-of-week"]
Against = Literal["fixed", "previous-window"]
HOUR_S = 3_600
DAY_S = 86_400
MONTH_S = 30 * DAY_S
CONTROL = "control_group"  # the segment of rows by whether the model's answer was acted upon
MAX_NAMES = 8  # of segments
MOST_REACH = 31  # of a day a month
MOST_LESSONS = 30  # while truth may still come of what one of them was used for


@dataclasses.dataclass(frozen=True, slots=True)
class DetectorSettings:
    """One online detector over one signal."""

    name: str
    """The detector, by the name of its class in river, such as ADWIN."""
    signal: str = "error"
    """What it reads: `error` (0 or 1, or the absolute error), `score`, or a feature's name."""
    raw: bool = False
    """True: values as they come. False: numbers are standardised with the reference."""
    parameters: Mapping[str, float | int | bool | str] = dataclasses.field(default_factory=dict)
    """Keyword arguments of the detector's class, as river names them."""
    cost_us: float | None = None
    """Microseconds that a value may cost in the mean; a detector that takes longer gets a sample of
    them. Not given: 10, and no limit with `raw`."""


@dataclasses.dataclass(frozen=True, slots=True)
class ModelSettings:
    """How one model is watched. Durations are seconds of event time unless said otherwise."""

    owner: str | None = None
    """Who is to act; named in alerts and retrain requests."""
    task: Task = "auto"
    """What the model does; `auto`: seen from its answers."""
    positive: str = "1"
    """The class that `score` is the probability of. Where both of two classes have a probability,
    or none has, and neither is called so, the last of them by name is."""
    quantile: float | None = None
    """The quantile that answers which are numbers are to be, such as 0.9: then `quantile_loss` is
    measured too."""
    pane_s: int = 3_600
    """The smallest slot of event time; an evaluation is made at the end of each."""
    windows_s: tuple[int, ...] = (DAY_S,)
    """How far back each evaluation looks; several are judged side by side."""
    reach_back: int = 4
    """How many times its length a window looks back at most, where it has fewer rows than it takes
    to see a change as large as the effect floor. So far as the reference is calibrated for such
    lengths and `panes_kept` allow; never with `previous-window`. 1: no further than `windows_s`."""
    lateness_s: float = 60.0
    """How far predictions of one source partition may be out of order and still be counted."""
    label_lateness_s: float = 60.0
    """The same for truth."""
    idle_s: float = 30.0
    """Record time without news after which a source partition holds the others back no more."""
    horizon_s: int = MONTH_S
    """How long after its prediction the truth still counts, and a prediction waits for it."""
    expects_truth: bool = True
    """False: no truth will come, so no prediction waits for it. One sent twice counts twice, unless
    there are `challengers`: then predictions wait for what these answer, for `horizon_s` too."""
    complete_coverage: float = 0.9
    """Share of a cohort's predictions (those of one pane) whose truth must have come before it
    counts as complete; also complete is one to which less than the rest of its truth came in the
    second half of its age. Figures of a window are provisional until complete cohorts make up that
    share of its outcomes, or were there when it began. 0: nothing is provisional."""
    complete_age_s: int = 0
    """Age from which a cohort is complete whatever has come of its truth. 0: `horizon_s`."""
    judge_provisional: bool = False
    """Whether provisional figures are judged and raise alerts: the truth that comes first is
    seldom like the rest of it. Otherwise they are shown and nothing is said of them."""
    watch_labels: bool = True
    """Whether an alert says that labels stop coming, come later or earlier than before, or name
    other classes; see docs/operation.md."""
    retrain_on_provisional: bool = False
    """Whether provisional figures are enough to ask for retraining; needs `judge_provisional`."""
    panes_kept: int = 1_000
    """Panes of history that are kept, for windows and for late rows."""
    # checks
    false_alarms_per_month: float = 1.0
    """The budget of false alarms that all levels of significance follow from."""
    significance: float = 0.05
    """Ceiling of the family-wise level of one evaluation, whatever the budget."""
    minimum_rows: int = 100
    """Rows that a window needs to be judged at all."""
    power: float = 0.8
    """How often a change as large as its floor is to be found. A window that has not the rows for
    that, and shows nothing, is no good news: "not enough data". 0: `minimum_rows` are enough."""
    reference_rows: int = 1_000
    """Rows of a model without a reference that become its reference."""
    reference: Against = "fixed"
    """`previous-window`: inputs and outputs are compared with the window before, which is not
    calibrated; a reference is still needed, for units and floors. `fixed`: with the reference."""
    seasonality: Seasonality = "none"
    """`hour-of-day` or `hour-of-week`: inputs and outputs are compared with the reference's rows of
    the same hours, in UTC, and numbers by their rank among these. The reference must be made from
    rows with times, and `pane_s` be an hour or a part of one."""
    effect_floor_sd: float = 0.10
    """Change of a number that matters: Wasserstein distance over the reference's sd."""
    effect_floor_share: float = 0.075
    """Change of a category that matters: the largest change of one category's share. The field
    mostly takes 0.1; there a category that one row in ten belongs to may vanish unnoticed. By 0.05
    the make-up of a population differs from one month to the next, and nobody need be told."""
    effect_floors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Feature's name to the change of it that matters, in place of the two above: of a number the
    Wasserstein distance in its own unit, of a category the share of rows. An output is called
    `output:prediction` or `output:confidence`; a vector's name stands for all of its numbers."""
    effect_floor_quality: float = 0.05
    """Fall of quality that matters: of accuracy as it is, of a loss as a share of its reference."""
    estimate: Literal["auto", "off"] = "auto"
    """`auto`: of a classifier whose reference has scores and labels, quality is estimated from the
    scores, before any labels are there. `off`: it is not, and no scores are counted for it."""
    recalibrate_every_s: int = 0
    """How often labels teach by themselves what scores mean, where quality is estimated: each time
    from cohorts that have become complete since. It shows in evaluations of quality, beside the
    estimate that is told at once, and is not judged. At least a 30th of `horizon_s` and the longest
    window together; needs `expects_truth` and `estimate`. 0: never; `driftline recalibrate` does it
    by hand."""
    effect_floor_estimate: float | None = None
    """Fall of the estimated accuracy that matters, and gap between it and the realised one that
    says that it is not to be trusted. Not given: half of `effect_floor_quality`, for the scores
    know a part of a fall only, seldom less than half of one that labels confirm."""
    effect_floor_data: float = 0.05
    """Change of the data themselves that matters, as a share of rows: missing values, words among
    numbers, late rows. Smaller than that of a category, for such a change is seldom the world's."""
    whole_vectors: bool = True
    """Whether vectors are compared as a whole too, beside number by number."""
    ignore: tuple[str, ...] = ()
    """Features that are not watched; a vector's name stands for all of its numbers."""
    segments: tuple[str, ...] = ()
    """Names of segments that are watched by themselves, such as a site: each value of a name is
    compared with the reference's rows of that value, quality too where these have predictions and
    labels. The reference must have been made with them; half of the budget is theirs. A value with
    fewer than `minimum_rows` says "not enough data". `control_group`: whether predictions say that
    they were not acted upon, both sides compared with all rows of the reference."""
    bands: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    """Names in `segments` that are numbers, to the rising edges that they are cut at: `age = [25,
    40]` gives "below 25", "25 to 40" (25 and what is below 40), "40 or more" and "missing". The
    number is what predictions say in their `segments` or else their feature of that name."""
    protected: tuple[str, ...] = ()
    """Those names in `segments` whose groups are held against each other: how often each gets the
    positive answer and, once truth is there, how often rightly and wrongly, and whether scores mean
    the same. Groups with fewer than `minimum_rows` are left out. Gaps are told, and judged where
    `objectives` name them."""
    objectives: Mapping[str, float | Objective] = dataclasses.field(default_factory=dict)
    """Metric name to the value that is promised, or to a table with `value`, `window_s` and
    `minimum_labels`. Without any, `accuracy`, `log_loss`, `brier`, `mae`, `rmse` and `bias` are
    judged by the reference's own value, and other metrics are told and not judged. Each one that an
    objective adds to those is judged beside them: the more there are, the surer each must be."""
    detectors: tuple[DetectorSettings, ...] = ()
    """Online detectors beside the checks."""
    # alerts
    hold: int = 1
    """Bad evaluations in a row before an alert fires."""
    clear: int = 2
    """Good evaluations in a row before it resolves."""
    cooldown_s: int = 0
    """After resolving, how long the same feature or metric may not fire again."""
    burn_in_s: int = 0
    """After a version's first prediction, how long it is evaluated and nobody is told: a multiple
    of `pane_s`. 0: alerts from the first window on."""
    evidence_s: int = DAY_S
    """How long a detector's pulse counts as evidence."""
    challengers: tuple[str, ...] = ()
    """Versions that answer beside the one whose answers are used (challengers, shadows). They are
    watched and told of as any version is, but wake nobody: their alerts are notices, and no
    retraining is asked for because of them. On predictions that both answered they are held against
    the other versions; see docs/operation.md. One that is taken into use is named no more."""
    # retraining
    retrain: bool = True
    """Whether retrain requests are made."""
    retrain_cooldown_s: int = 7 * DAY_S
    """After a request, how long no other is made."""
    retrain_deadline_s: int = 30 * DAY_S
    """By when a request asks to be answered."""
    retrain_minimum_labels: int = 500
    """Labelled rows that a request must be able to offer."""
    retrain_trial_s: int = 28 * DAY_S
    """For how long from its first predictions on the version that answers a request is compared
    with what was asked. It is told once, when the truth of `complete_coverage` of them is in, or as
    soon as it must be (`complete_age_s`): whether retraining worked. 0: that is not told."""
    # limits
    max_categories: int = 1_000
    """Categories of one feature that are counted by name; the others are one."""
    max_segments: int = 20
    """Values of one name in `segments` that are watched, the most frequent of the reference that
    have `minimum_rows` of it; the rows of all others are counted together, and said."""
    max_sample_rows: int = 5_000
    """Raw rows kept of a pane before there is a reference."""
    max_pending: int = 10_000_000
    """Predictions and truths of one partition that wait; before there are more, a sample is."""
    max_open_panes: int = 256
    """Panes of one kind and partition that are counted at once; more are sealed early."""
    max_revisions: int = 100
    """Times that a pane is sealed; what comes later is told once, when the pane is forgotten."""
    max_signals_per_s: int = 10_000
    """Values a second of event time that a detector takes while there are more: a sample."""
    max_held: int = 1_000_000
    """Values for detectors that wait for the watermark, 24 bytes each; more are left out."""
    max_alerts: int = 10_000
    """Causes that are not ok at once; more are evaluated but raise no alert."""

    @property
    def reach_s(self) -> int:
        """How far back an evaluation of inputs looks at most, with what it is compared with."""
        return max(self.windows_s) * (1 if self.reference == "fixed" else 2)

    @property
    def joins(self) -> bool:
        """Whether predictions wait: for truth, or for what another version answers."""
        return self.expects_truth or bool(self.challengers)

    @property
    def estimate_floor(self) -> float:
        """`effect_floor_estimate`, or what it is where it is not given."""
        known = self.effect_floor_estimate
        return min(self.effect_floor_quality / 2, 1.0) if known is None else known

    def objective(self, metric: str, window_s: int) -> Objective | None:
        """What is promised of a metric in windows of a length."""
        found = self.promised(metric)
        return found if found and found.window_s in (None, window_s) else None

    def promised(self, metric: str) -> Objective | None:
        """What is promised of a metric, in whichever windows."""
        known = self.objectives.get(metric)
        return None if known is None else objective_of(known)

    @property
    def promises_quality(self) -> bool:
        """Whether anything is promised of all rows, gaps between groups left aside."""
        return any(name not in objectives.OF_GROUPS for name in self.objectives)

    @property
    def evaluations_a_month(self) -> float:
        """Of inputs, or of quality, whatever the length of their windows."""
        return MONTH_S / self.pane_s * len(self.windows_s)

    def __post_init__(self) -> None:
        for key, ok, allowed in _rules(self):
            if not ok:
                raise ValueError(f"{key} = {getattr(self, key)!r}: must be {allowed}")


def _rules(s: ModelSettings) -> list[tuple[str, bool, str]]:
    pane_s = max(s.pane_s, 1)
    windows = bool(s.windows_s) and all(w > 0 and w % pane_s == 0 for w in s.windows_s)
    shares = "more than 0 and at most 1"
    promised = objectives.complaint(
        s.objectives, s.windows_s, s.task, s.quantile, protected=bool(s.protected)
    )
    bands = all(_cuts(name, edges, s.segments) for name, edges in s.bands.items())
    protected = len(set(s.protected)) == len(s.protected) and {*s.protected} <= {*s.segments}
    hourly = s.seasonality == "none" or HOUR_S % pane_s == 0
    return [
        ("quantile", s.quantile is None or 0 < s.quantile < 1, "more than 0 and less than 1"),
        ("pane_s", s.pane_s > 0, "more than 0 seconds"),
        ("windows_s", windows, f"one or more multiples of pane_s = {s.pane_s}"),
        ("reach_back", 1 <= s.reach_back <= MOST_REACH, f"between 1 and {MOST_REACH}"),
        ("lateness_s", s.lateness_s >= 0, "0 seconds or more"),
        ("label_lateness_s", s.label_lateness_s >= 0, "0 seconds or more"),
        ("idle_s", s.idle_s > 0, "more than 0 seconds"),
        ("horizon_s", s.horizon_s > 0, "more than 0 seconds"),
        (
            "panes_kept",
            s.panes_kept * s.pane_s >= s.reach_s,
            f"enough for the longest window{' and the one before' * (s.reference != 'fixed')}",
        ),
        ("complete_coverage", 0 <= s.complete_coverage <= 1, "between 0 and 1"),
        ("complete_age_s", 0 <= s.complete_age_s <= s.horizon_s, "0 to horizon_s"),
        (
            "retrain_on_provisional",
            s.judge_provisional or not s.retrain_on_provisional,
            "false where judge_provisional is",
        ),
        ("false_alarms_per_month", s.false_alarms_per_month > 0, "more than 0"),
        ("significance", 0 < s.significance <= 1, shares),
        ("minimum_rows", s.minimum_rows >= 2, "2 or more"),
        ("power", 0 <= s.power < 1, "0 or more and less than 1"),
        ("reference_rows", s.reference_rows >= s.minimum_rows, "minimum_rows or more"),
        (
            "reference",
            s.reference == "fixed" or s.seasonality == "none",
            f"fixed where seasonality = {s.seasonality}",
        ),
        ("seasonality", hourly, f"none where pane_s = {s.pane_s} is not an hour or a part of one"),
        (
            "segments",
            len(set(s.segments)) == len(s.segments) <= MAX_NAMES and all(s.segments),
            f"at most {MAX_NAMES} names, each of them once",
        ),
        (
            "segments",
            not s.segments or s.seasonality == "none",
            f"empty where seasonality = {s.seasonality}",
        ),
        ("bands", bands, "names in `segments`, each with one or more rising edges"),
        ("protected", protected, "names in `segments`, each of them once"),
        ("effect_floor_sd", s.effect_floor_sd >= 0, "0 or more"),
        ("effect_floor_share", 0 <= s.effect_floor_share <= 1, "between 0 and 1"),
        ("effect_floors", all(x >= 0 for x in s.effect_floors.values()), "0 or more each"),
        ("effect_floor_quality", s.effect_floor_quality >= 0, "0 or more"),
        ("estimate", s.estimate in ("auto", "off"), "auto or off"),
        ("effect_floor_estimate", 0 <= s.estimate_floor <= 1, "between 0 and 1"),
        (
            "recalibrate_every_s",
            s.recalibrate_every_s == 0 or _learns(s),
            f"0, or {_least_s(s)} or more with expects_truth and estimate",
        ),
        ("effect_floor_data", 0 <= s.effect_floor_data <= 1, "between 0 and 1"),
        ("objectives", not promised, promised or "of metrics with a better side"),
        ("hold", s.hold >= 1, "1 or more"),
        ("clear", s.clear >= 1, "1 or more"),
        ("cooldown_s", s.cooldown_s >= 0, "0 seconds or more"),
        (
            "burn_in_s",
            s.burn_in_s >= 0 and s.burn_in_s % pane_s == 0,
            f"0 or a multiple of pane_s = {s.pane_s}",
        ),
        (
            "challengers",
            len(set(s.challengers)) == len(s.challengers),
            "versions, each of them once",
        ),
        ("evidence_s", s.evidence_s > 0, "more than 0 seconds"),
        ("retrain_minimum_labels", s.retrain_minimum_labels >= 0, "0 or more"),
        ("retrain_trial_s", s.retrain_trial_s >= 0, "0 seconds or more"),
        ("max_categories", s.max_categories >= 2, "2 or more"),
        ("max_segments", s.max_segments >= 1, "1 or more"),
        ("max_sample_rows", s.max_sample_rows >= s.minimum_rows, "minimum_rows or more"),
        ("max_pending", s.max_pending >= 1, "1 or more"),
        ("max_open_panes", s.max_open_panes >= 1, "1 or more"),
        ("max_revisions", s.max_revisions >= 1, "1 or more"),
        ("max_signals_per_s", s.max_signals_per_s >= 1, "1 or more"),
        ("max_held", s.max_held >= 1, "1 or more"),
        ("max_alerts", s.max_alerts >= 1, "1 or more"),
    ]


def _learns(s: ModelSettings) -> bool:
    """Whether lessons are kept until the truth of what they were used for is there."""
    return s.recalibrate_every_s >= _least_s(s) and s.expects_truth and s.estimate != "off"


def _least_s(s: ModelSettings) -> int:
    used_s = s.horizon_s + max(s.windows_s, default=0)
    return max(s.pane_s, -(-used_s // MOST_LESSONS))


def _cuts(name: str, edges: tuple[float, ...], names: tuple[str, ...]) -> bool:
    """Whether a segment can be cut at these edges."""
    rising = bool(edges) and all(low < high for low, high in itertools.pairwise(edges))
    return rising and all(map(math.isfinite, edges)) and name in names and name != CONTROL
