"""Showing: events as they come and what they add up to, for people or as one JSON object a line.

With a terminal there is a progress bar and colour; without one, plain lines; on a narrow one the
table becomes a list.
"""

import contextlib
import sys
from collections.abc import Callable
from typing import Protocol, Self, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agents.bars import Bar
from agents.findings import NEVER, Finding, Output
from stream import figures
from stream.disparities import SELECTION
from stream.events import Alert, Effect, Evaluation, Reading, Retrained, RetrainRequest, encode

WIDE = 110  # characters; with fewer the table becomes a list
STATES = {
    "firing": ("ALERT", "bold red"),
    "resolved": ("resolved", "green"),
    "pending": ("pending", "yellow"),
}
COLUMNS = ("what", "checked by", "moved in", "first in", "alert in", "how late", "last reading")
NOT_YET = "never"
SHARE, SHARE_OF = "share", "share of "  # units in which 1 is all of something, and how they begin
COUNTED = {"quality": "labelled predictions", "detector": "values"}  # what n counts, by role
When = Callable[[str], str]


class Show(Protocol):
    """What watches a run. `when` names a time in the words of the story."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def say(self, text: str) -> None:
        """One line about what is going on."""

    def advance(self, done: int, total: int, text: str) -> None:
        """How far it has come."""

    def event(self, event: Output) -> None:
        """One event that came out."""

    def end(self, findings: list[Finding], text: str) -> None:
        """What it adds up to."""


class Screen:
    """For people. `when` names the time of a window, such as "month 12"."""

    def __init__(self, when: When, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.when = when
        self._explained: set[str] = set()
        self._alerted: dict[str, str] = {}  # when, by an alert's id
        self._bar = Bar(self.console)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """One line about what is going on."""
        self._bar.say(text)

    def advance(self, done: int, total: int, text: str) -> None:
        """Move the bar; without a terminal a line now and then."""
        self._bar.move(done, total, text, f"{text}: {done:,} of {total:,} predictions")

    def event(self, event: Output) -> None:
        """Print an alert, a retrain request or what became of one; the rest waits for the table."""
        match event:
            case Alert():
                self._alerted[event.id] = self.when(event.window.start)
                self.console.print(self._alert(event))
            case RetrainRequest():
                known = [self._alerted[name] for name in event.alert_ids if name in self._alerted]
                self.console.print(request_panel(event, known[-1] if known else event.time))
            case Evaluation() if event.retrained:
                self.console.print(closing_line(event, event.retrained, self.when))
            case Evaluation():
                pass

    def end(self, findings: list[Finding], text: str) -> None:
        """The table, and a last line."""
        self._bar.stop()
        wide = self.console.width >= WIDE
        self.console.print(table(findings) if wide else listing(findings))
        self.console.print(Text(text))

    def _alert(self, alert: Alert) -> Group:
        """What moved; what it means and what to do only where that was not said before."""
        lines: list[Table | Padding] = [alert_line(alert, self.when)]
        if alert.state == "firing" and alert.verdict.kind not in self._explained:
            self._explained.add(alert.verdict.kind)
            lines.append(
                Padding(Text(f"{alert.meaning} {alert.action}", style="dim"), (0, 0, 0, 4))
            )
        return Group(*lines)


class Json:
    """For programs: every event as it was published, one a line, and nothing else."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ValueError):
            self._out.flush()

    def say(self, text: str) -> None:
        """Nothing: this is for people."""

    def advance(self, done: int, total: int, text: str) -> None:
        """Nothing: this is for people."""

    def event(self, event: Output) -> None:
        """The event."""
        self._out.write(encode(event).decode() + "\n")

    def end(self, findings: list[Finding], text: str) -> None:
        """Nothing: this is for people."""


def alert_line(alert: Alert, when: When) -> Table:
    """An alert in one sentence, with how large the change is."""
    word, style = STATES[alert.state]
    line = Text(alert.summary.replace(": resolved: ", ": ", 1))  # the word stands before it
    why = sureness(alert) if alert.state == "firing" else alert.reason
    if why not in alert.summary:
        line.append(f" ({why})", style="dim")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_row(Text(when(alert.window.start)).append(f" {word}", style=style), line)
    return grid


def sureness(alert: Alert) -> str:
    """The size of the change beside the size that matters, and how many rows were looked at."""
    sure = alert.how_sure
    parts = [] if sure.effect is None else [effect_text(sure.effect)]
    of_answers = alert.reading.check.startswith(SELECTION)
    counted = "predictions" if of_answers else COUNTED.get(alert.reading.role, "rows")
    return ", ".join([*parts, f"{sure.n:,} {counted}"])


def effect_text(effect: Effect) -> str:
    """The size of a change beside the size that matters, in its unit.

    >>> effect_text(Effect(name="share change", value=0.12, floor=0.05, unit="share of rows"))
    'share change 12.0% of rows, matters from 5.0% on'
    >>> effect_text(Effect(name="worse by", value=0.074, floor=0.05, unit="share"))
    'worse by 7.4 points, matters from 5 on'
    """
    value, least = (_size(x, effect.unit) for x in (effect.value, effect.floor or 0.0))
    unit = "points" if effect.unit == SHARE else effect.unit.removeprefix("share ")
    text = f"{effect.name} {value} {unit}".rstrip()
    return f"{text}, matters from {least} on" if effect.floor else text


def _size(x: float, unit: str) -> str:
    if unit.startswith(SHARE_OF):
        return figures.share(x)
    return figures.number(100 * x if unit == SHARE else x)


def request_panel(request: RetrainRequest, when: str) -> Panel:
    """A retrain request: what is asked, why, and where the data lies."""
    kind = f"{request.verdict.kind}: {request.verdict.meaning}"
    ranges = [f"{r.topic}[{r.partition}] {r.first}-{r.last}" for r in request.data.offsets]
    facts = {
        "why": request.reason,
        "verdict": kind,
        "data": f"{request.data.start} to {request.data.end}",
        "labels": f"{request.labelled_rows:,} labelled rows",
        "where": ", ".join(ranges[:4]) + (f" and {len(ranges) - 4} more" if ranges[4:] else ""),
        "priority": f"{request.priority}, by {request.deadline}",
        "owner": request.owner or "nobody is named",
    }
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        grid.add_row(Text(name, style="bold"), Text(value))
    title = f"{when}: retrain request for {request.model} {request.version}"
    return Panel(grid, title=Text(title), border_style="magenta")


def closing_line(event: Evaluation, told: Retrained, when: When) -> Table:
    """What became of a retrain request, and what to do."""
    style = {"worked": "green", "did-not": "bold red"}.get(told.verdict, "yellow")
    line = Text(f"{event.model} {event.version}: {told.reason}", style=style)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_row(Text(when(event.window.start)), line.append(f" {event.verdict.action}", "dim"))
    return grid


def table(findings: list[Finding]) -> Table:
    """What was found, one line a subject."""
    found = Table(*COLUMNS, box=SIMPLE_HEAD, pad_edge=False)
    for finding in findings:
        style = "red" if finding.fired else ""
        found.add_row(*(Text(cell) for cell in cells(finding)), style=style)
    return found


def listing(findings: list[Finding]) -> Table:
    """The same where a table would not fit: two lines a subject."""
    found = Table.grid(padding=(0, 2))
    for finding in findings:
        what, check, *counts, late, reading = cells(finding)
        named = zip(COLUMNS[2:5], counts, strict=True)
        parts = [f"{name} {cell}" for name, cell in named if cell != NOT_YET]
        text = Text(f"{check}: {', '.join([*parts, late] if late else parts)}\n")
        style = "bold red" if finding.fired else "bold"
        found.add_row(Text(what, style=style), text.append(reading, style="dim"))
    return found


def cells(finding: Finding) -> tuple[str, ...]:
    """One line of the table, in the order of COLUMNS."""
    return (
        finding.subject,
        finding.check,
        f"{len(finding.moved)} of {len(finding.checked)} months",
        _month(min(finding.moved, default=None)),
        _month(finding.fired),
        _late(finding),
        _reading(finding.last),
    )


def _month(number: int | None) -> str:
    return NOT_YET if number is None else f"month {number}"


def _late(finding: Finding) -> str:
    if finding.changed == NEVER:
        return "does not change" if finding.fired is None else "FALSE ALARM"
    if finding.changed is None:
        return ""
    return "not found" if finding.late is None else f"{finding.late} months late"


def _reading(reading: Reading | None) -> str:
    """What was measured, without the subject's name and without what follows from it."""
    if reading is None:
        return "nothing to judge"
    return reading.reason.removeprefix(f"{reading.subject}: ").partition(";")[0]
