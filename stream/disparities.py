"""Disparities: gaps between the groups of a protected attribute, as series with objectives.

The largest difference of two groups, or the smallest ratio, as fairness toolkits have them (Hardt,
Price and Srebro 2016; `fairlearn.metrics`). They are judged by what is promised alone, and spend
nothing of the budget of false alarms.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from stream import contrasts, figures
from stream.cohorts import Cohorts
from stream.contrasts import Contrast, Group
from stream.events import Disparity, GroupFigure, Reading
from stream.objectives import Objective
from stream.quality import metrics_for
from stream.references import Reference
from stream.segments import watched
from stream.settings import CONTROL, ModelSettings, Task
from stream.shares import Share
from stream.standings import ANSWER, RATES, Member, positive_of, selected

RATIO = "selection_rate_ratio"
SELECTION, CALIBRATION = "selection_rate", "calibration"
BOTH = "equalized_odds"
WORDS = {
    "selection_rate_difference": "share of positive answers",
    RATIO: "share of positive answers",
    "true_positive_rate_difference": "share of positives that are found",
    "false_positive_rate_difference": "share of negatives that are called positive",
    "equalized_odds_difference": "shares of positives found or negatives called positive",
    "calibration_difference": "mean score less share of positives",
    "accuracy_difference": "accuracy",
    "mae_difference": "mean absolute error",
}
OF_CONTROL = ("accuracy_difference", "mae_difference")
Standing = dict[str, Group | None]  # by the group's name; None: too few rows, or not known


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """One gap between the groups of a name. contrast: None where there are not two of them."""

    metric: str
    segment: str
    contrast: Contrast | None
    standing: Standing

    @property
    def groups(self) -> list[Group]:
        """Those that count, in order."""
        return [group for group in self.standing.values() if group is not None]

    @property
    def left_out(self) -> list[str]:
        """Names of the others."""
        return [name for name, group in self.standing.items() if group is None]

    @property
    def subject(self) -> str:
        """What alerts call it."""
        return f"{self.metric} by {self.segment}"

    def event(self) -> Disparity | None:
        """As evaluations tell of it; None where nothing can be told."""
        if self.contrast is None:
            return None
        return Disparity(
            metric=self.metric,
            segment=self.segment,
            value=self.contrast.value,
            low=self.contrast.low,
            high=self.contrast.high,
            n=sum(group.n for group in self.groups),
            groups=[_told(group) for group in self.groups],
            left_out=self.left_out,
        )


def _told(group: Group) -> GroupFigure:
    found = group.figure()
    return GroupFigure(
        group=group.name, value=found.value, low=found.low, high=found.high, n=found.n
    )


def events(gaps: Sequence[Gap]) -> list[Disparity]:
    """What is told of gaps, judged or not."""
    return [told for told in (gap.event() for gap in gaps) if told is not None]


def readings(gaps: Sequence[Gap], settings: ModelSettings, window_s: int) -> list[Reading]:
    """What is promised of gaps in windows of a length, and whether it is kept."""
    return [
        _reading(gap, goal, settings)
        for gap in gaps
        if (goal := settings.objective(gap.metric, window_s)) is not None
    ]


def _reading(gap: Gap, goal: Objective, settings: ModelSettings) -> Reading:
    """ "moved": the whole interval lies on the bad side of the objective."""
    contrast, n = gap.contrast, sum(group.n for group in gap.groups)
    least = goal.minimum_labels or settings.minimum_rows
    enough = contrast is not None and n >= least
    missed = contrast is not None and enough and _missed(gap.metric, contrast, goal.value)
    return Reading(
        check=gap.metric,
        subject=gap.subject,
        role="quality",
        statistic=contrast.value if contrast else None,
        n=n,
        verdict="moved" if missed else "ok" if enough else "not-enough-data",
        reason=_reason(gap, least, goal.value if missed else None),
        details={
            "objective": goal.value,
            "low": contrast.low if contrast else None,
            "high": contrast.high if contrast else None,
            "groups": [group.name for group in gap.groups],
            "left_out": [*gap.left_out],
        },
    )


def _missed(metric: str, contrast: Contrast, goal: float) -> bool:
    return contrast.high < goal if metric == RATIO else contrast.low > goal


def _reason(gap: Gap, least: int, missed: float | None) -> str:
    """The two groups that are furthest apart, and by how much."""
    contrast, words = gap.contrast, WORDS[gap.metric]
    if contrast is None:
        return f"{words} by {gap.segment}: fewer than two groups with enough rows to tell"
    low, high = contrast.lowest, contrast.highest
    values = figures.pair(low.value, high.value)
    ends = figures.pair(contrast.low, contrast.high)
    kind = "ratio" if gap.metric == RATIO else "difference"
    said = (
        f"{words} by {gap.segment}: {low.name} {values[0]} ({low.n:,} rows), {high.name} "
        f"{values[1]} ({high.n:,} rows), {kind} {figures.number(contrast.value)} (95% interval "
        f"{ends[0]} to {ends[1]})"
    )
    if missed is not None:
        return f"{said}, worse than its objective {figures.number(missed)}"
    n = sum(group.n for group in gap.groups)
    return f"{said}; {least:,} rows are needed" if n < least else said


def of_inputs(
    reference: Reference, share: Share, settings: ModelSettings, window_s: int
) -> list[Gap]:
    """How often each group gets the positive answer. No truth is needed."""
    found = []
    for name, members in _members(reference, settings, window_s).items():
        if name not in settings.protected:
            continue
        standing = {
            value: member.selection(selected(reference, share, (name, value), settings.positive))
            for value, member in members.items()
        }
        groups = [group for group in standing.values() if group is not None]
        found.append(Gap(f"{SELECTION}_difference", name, contrasts.difference(groups), standing))
        found.append(Gap(RATIO, name, contrasts.ratio(groups), standing))
    return found


def of_quality(
    reference: Reference | None,
    cohorts: Cohorts,
    settings: ModelSettings,
    window_s: int,
    task: Task = "auto",
) -> list[Gap]:
    """What came true by group: rates of right and wrong positive answers, and calibration.

    Of a control group also how good the answers are, beside those that were acted upon.
    """
    if reference is None or not settings.expects_truth:
        return []
    total = cohorts.total()
    names = total.breakdown.confusion.names if total.sound() else []
    positive = positive_of(names, settings.positive)
    found: list[Gap] = []
    for name, members in _members(reference, settings, window_s).items():
        if name in settings.protected:
            found += _of_truth(name, members, cohorts, positive)
        if name == CONTROL:
            found += _of_control(members, cohorts, metrics_for(total, task))
    return found


def _of_control(
    members: Mapping[str, Member], cohorts: Cohorts, metrics: Collection[str]
) -> list[Gap]:
    reads = {"accuracy": Member.accuracy, "mae": Member.error}
    metric = next((name for name in reads if name in metrics), None)
    if metric is None:
        return []
    standing = {
        value: reads[metric](member, cohorts.segments.get((CONTROL, value), Cohorts()).total())
        for value, member in members.items()
    }
    return [Gap(f"{metric}_difference", CONTROL, _contrast(standing), standing)]


def notes_of_control(gaps: Sequence[Gap]) -> list[str]:
    """How good answers are where nobody acted upon them, beside the others: in words."""
    found = []
    for gap in gaps:
        if gap.segment != CONTROL or gap.contrast is None or gap.metric not in OF_CONTROL:
            continue
        sides = {group.name: group for group in gap.groups}
        apart, acted = (sides[side] for side in ("yes", "no"))
        values = figures.pair(apart.value, acted.value)
        ends = figures.pair(gap.contrast.low, gap.contrast.high)
        said = (
            f"control group: {WORDS[gap.metric]} {values[0]} on {apart.n:,} rows that nobody acted "
            f"upon, {values[1]} on {acted.n:,} others, difference "
            f"{figures.number(gap.contrast.value)} (95% interval {ends[0]} to {ends[1]})"
        )
        beyond = "; what is acted upon makes its own truth: go by the control group"
        found.append(said + beyond * (gap.contrast.low > 0))
    return found


def _of_truth(
    name: str, members: Mapping[str, Member], cohorts: Cohorts, positive: str | None
) -> list[Gap]:
    known = {v: cohorts.segments.get((name, v), Cohorts()).total() for v in members}
    rates: dict[str, Standing] = {
        what: {
            v: None if positive is None else m.rate(known[v], of, positive)
            for v, m in members.items()
        }
        for what, of in RATES.items()
    }
    found = [
        Gap(f"{what}_difference", name, _contrast(standing), standing)
        for what, standing in rates.items()
    ]
    found.append(_of_both(name, [*rates.values()]))
    standing = {v: m.calibration(known[v]) for v, m in members.items()}
    return [*found, Gap(f"{CALIBRATION}_difference", name, _contrast(standing), standing)]


def _of_both(name: str, rates: Sequence[Standing]) -> Gap:
    """The larger one of two gaps, with the groups of that."""
    pairs = [(_contrast(standing, len(rates)), standing) for standing in rates]
    known = [(contrast, standing) for contrast, standing in pairs if contrast is not None]
    metric = f"{BOTH}_difference"
    if len(known) < len(pairs):
        return Gap(metric, name, None, dict.fromkeys(rates[0]))
    _, standing = max(known, key=lambda pair: pair[0].value)
    return Gap(metric, name, contrasts.worst([contrast for contrast, _ in known]), standing)


def _contrast(standing: Standing, families: int = 1) -> Contrast | None:
    return contrasts.difference([g for g in standing.values() if g is not None], families)


def _members(
    reference: Reference, settings: ModelSettings, window_s: int
) -> dict[str, dict[str, Member]]:
    """The groups of each protected name, and of control, that the reference has, in order."""
    found: dict[str, dict[str, Member]] = {}
    for (name, value), own in watched(reference, settings).items():
        if name in settings.protected or name == CONTROL:
            found.setdefault(name, {})[value] = Member(value, own, settings, window_s)
    return found


def notes(reference: Reference, settings: ModelSettings) -> list[str]:
    """Why the shares of positive answers by group are not told; none where they are."""
    names = [name for name in settings.protected if name in reference.dimensions]
    answers = reference.outputs.get(ANSWER)
    if not names:
        return []
    why = ""
    if answers is None:
        why = "the reference has no answers"
    elif answers.kind == "number" or positive_of(answers.names, settings.positive) is None:
        why = f"its answers are not of two classes, and none is called {settings.positive!r}"
    return [f"shares of positive answers by {', '.join(names)} are not known: {why}"] if why else []
