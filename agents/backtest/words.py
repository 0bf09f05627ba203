"""Words: what a backtest found, for somebody who has to decide whether to go to production."""

import dataclasses
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from agents.backtest.accounts import Account, Alarm, causes, months
from agents.backtest.runs import Run
from agents.backtest.trials import SURE, Trial
from agents.findings import Finding, named
from stream import figures
from stream.events import rfc3339
from stream.settings import DAY_S

DAY_MS = DAY_S * 1_000
NEVER, NONE = "never", "none"
COLUMNS = ("what", "checked by", "moved in", "alarms", "first alarm", "last reading")
NAMED = 12  # causes that are told one by one
BESIDE = 4  # what else an alarm was about, by name


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """What is told of, and how times are named. changed_ms: since when the world has changed."""

    run: Run
    account: Account
    changed_ms: int | None = None

    @property
    def months(self) -> float:
        """Event time with predictions."""
        return months(self.run.survey.first_ms, self.run.inputs_end_ms)

    def when(self, time_ms: int) -> str:
        """A time; rows that have none are named by their number."""
        clock = self.run.timeline.clock
        if self.run.task.plan.columns.time is None:
            return f"row {round((time_ms - clock.start_ms) / clock.every_ms):,}"
        text = rfc3339(time_ms)
        return text[:10] if self.run.task.model.pane_s * 1_000 % DAY_MS == 0 else text[:16] + "Z"


def table(frame: Frame) -> Table:
    """What was checked, one line a subject."""
    found = Table(*COLUMNS, box=SIMPLE_HEAD, pad_edge=False)
    for style, cells in lines(frame):
        found.add_row(*(Text(cell) for cell in cells), style=style)
    return found


def listing(frame: Frame) -> Table:
    """The same where a table would not fit: two lines a subject."""
    found = Table.grid(padding=(0, 2))
    for style, (what, check, moved, alarms, first, reading) in lines(frame):
        text = f"{check}: moved in {moved}"
        if alarms != NONE:
            text += f", alarms {alarms}, the first {first}"
        words = Text(f"{text}\n").append(reading, style="dim")
        found.add_row(Text(what, style=f"bold {style}".strip()), words)
    return found


def lines(frame: Frame) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Colour and cells of each subject, in the order of COLUMNS."""
    for finding in frame.account.rows():
        alarms = _of(frame.account, finding)
        pages = any(alarm.pages for _, alarm in alarms)
        style = "red" if pages else "yellow" if alarms else ""
        yield style, _cells(frame, finding, [time_ms for time_ms, _ in alarms])


def _of(account: Account, finding: Finding) -> list[tuple[int, Alarm]]:
    """Alarms that name a finding, and since when; of a feature's data, by the same check alone."""
    found = []
    for alarm in account.alarms:
        for (role, subject, check), (time_ms, _) in alarm.named.items():
            same = (role, subject) == (finding.role, finding.subject)
            if same and (role != "data" or check == finding.check):
                found.append((time_ms, alarm))
                break
    return found


def _cells(frame: Frame, finding: Finding, alarms_ms: Sequence[int]) -> tuple[str, ...]:
    reading = finding.last.reason if finding.last else "nothing to judge"
    return (
        finding.subject,
        finding.check,
        f"{len(finding.moved):,} of {len(finding.checked):,} windows",
        f"{len(alarms_ms)}" if alarms_ms else NONE,
        frame.when(alarms_ms[0]) if alarms_ms else NEVER,
        reading.removeprefix(f"{finding.subject}: ").partition(";")[0],
    )


def summary(frame: Frame, trial: Trial | None = None) -> Iterator[str]:
    """Whether it is worth going to production with this set-up, a paragraph a line."""
    yield _looked_at(frame)
    account = frame.account
    yield from _alarms(frame, "Somebody would have been paged", account.pages)
    yield from _alarms(frame, "Noticed, and nobody woken", account.notices)
    if account.requests:
        told = [f"{r.time[:10]} ({r.verdict.kind})" for r in account.requests]
        if frame.run.task.plan.columns.time is None:
            told = [r.verdict.kind for r in account.requests]
        yield f"Retraining would have been asked for {_times(len(told))}: {', '.join(told)}."
    else:
        yield "Retraining would not have been asked for."
    yield _quiet(account)
    if segments := account.findings.segments():
        yield segments
    yield from _false(frame)
    yield _budget(frame)
    if trial is not None:
        yield _trial(trial)


def _looked_at(frame: Frame) -> str:
    run, ends = frame.run, frame.account.ends
    taken = run.survey
    return (
        f"Looked at {taken.rows:,} predictions and {taken.truths:,} truths, from"
        f" {frame.when(taken.first_ms)} to {frame.when(run.end_ms)}:"
        f" {len(ends['inputs']):,} evaluations of inputs and {len(ends['quality']):,} of quality."
    )


def _alarms(frame: Frame, words: str, alarms: Sequence[Alarm]) -> Iterator[str]:
    if not alarms:
        yield f"{words}: never."
        return
    yield f"{words}: {_times(len(alarms))}, for"
    found = causes(alarms)
    for cause in list(found)[:NAMED]:
        spans = ", ".join(_span(frame, alarm) for alarm in found[cause][:3])
        more = f" and {len(found[cause]) - 3} times more" if found[cause][3:] else ""
        yield f"  {_said(found[cause])}: {spans}{more}"
    if len(found) > NAMED:
        yield f"  and {len(found) - NAMED} other causes"


def _said(alarms: Sequence[Alarm]) -> str:
    """What the first of them said, and what else any of them was about."""
    first = alarms[0]
    names = (named(reading) for alarm in alarms for _, reading in alarm.named.values())
    others = [name for name in dict.fromkeys(names) if name != first.first]
    said = first.alert.reading.reason.partition(";")[0]
    return f"{said}, with {figures.listed(others, BESIDE)}" if others else said


def _span(frame: Frame, alarm: Alarm) -> str:
    until = "the end" if alarm.until_ms is None else frame.when(alarm.until_ms)
    return f"from {frame.when(alarm.fired_ms)} to {until}"


def _quiet(account: Account) -> str:
    loud = {subject for alarm in account.alarms for _, subject, _ in alarm.named}
    found = dict.fromkeys(finding.subject for finding in account.rows())
    quiet = [subject for subject in found if subject not in loud]
    return f"Watched without a word: {', '.join(quiet) or 'nothing'}."


def _false(frame: Frame) -> Iterator[str]:
    """What is known to be false, where it is known when the world has changed."""
    changed = frame.changed_ms
    if changed is None:
        return
    alarms = frame.account.alarms
    early = [a for a in alarms if a.fired_ms <= changed]
    later = [a for a in alarms if a.fired_ms > changed]
    text = f"Before {frame.when(changed)} nothing had changed: {_count(len(early))} false."
    if later:
        days = (later[0].fired_ms - changed) / DAY_MS
        text += f" The first alarm after it came {days:.1f} days later."
    else:
        text += " What changed then was not found."
    yield text


def _count(alarms: int) -> str:
    return "no alarm was" if alarms == 0 else "1 alarm was" if alarms == 1 else f"{alarms} were"


def _budget(frame: Frame) -> str:
    budget, length = frame.run.task.model.false_alarms_per_month, frame.months
    return (
        f"By chance alone the budget of {budget:g} a month allows"
        f" {budget * length:.2g} alarms in these {length:.2g} months; an alert was firing at"
        f" {frame.account.in_alarm():.0%} of the evaluations."
    )


def _trial(trial: Trial) -> str:
    low, high = trial.interval
    kept = "kept" if trial.rate <= trial.budget else "exceeded"
    if high > trial.budget >= low:
        kept += ", as far as so little data can tell"
    return (
        f"The reference against itself, {trial.parts} parts of {trial.rows:,} rows in turn:"
        f" {len(trial.alarms)} false alarms in {trial.months:.2g} months, that is"
        f" {trial.rate:.2g} a month ({SURE:.0%} interval {low:.2g} to {high:.2g}); the budget is"
        f" {trial.budget:g}: {kept}. Clean time in alarm: {trial.in_alarm:.1%}."
    )


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
