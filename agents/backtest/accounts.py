"""Accounts: what the events of a run add up to, of alarms above all."""

import bisect
import dataclasses
import datetime
from collections.abc import Iterable, Sequence

from agents.findings import Finding, Findings, Output, named
from stream.evaluations import UNJUDGED
from stream.events import Alert, Evaluation, Reading, RetrainRequest, milliseconds
from stream.settings import MONTH_S

MONTH_MS = MONTH_S * 1_000
Point = tuple[int, Reading]  # the end of the window, and what was read in it
Name = tuple[str, str, str]  # role, subject (or segment) and check of a reading


@dataclasses.dataclass(slots=True)
class Alarm:
    """One alert from its firing to its end. Times in ms of event time; until_ms None: no end.

    named: what it was about, by role, subject and check, with the time since when and the reading.
    """

    alert: Alert
    fired_ms: int
    until_ms: int | None = None
    named: dict[Name, Point] = dataclasses.field(default_factory=dict)

    @property
    def pages(self) -> bool:
        """Whether somebody would have been woken."""
        return self.alert.severity == "page"

    @property
    def first(self) -> str:
        """What explained most of it when it fired."""
        return named(self.alert.reading)

    def name(self, alert: Alert) -> None:
        """Note what an alert says that it is about."""
        for reading in alert.readings:
            key = (reading.role, named(reading), reading.check)
            self.named.setdefault(key, (at(alert.time), reading))


class Account:
    """All events of one run. alarms: in order of firing. readings: of the longest window."""

    def __init__(self, events: Iterable[Output] = ()) -> None:
        self.findings = Findings(at, {})
        self.alarms: list[Alarm] = []
        self.requests: list[RetrainRequest] = []
        self.readings: dict[tuple[str, str], list[Point]] = {}
        self.ends: dict[str, list[int]] = {"inputs": [], "quality": []}
        self.judged = 0
        self._firing: dict[str, Alarm] = {}
        self._panes = 0
        for event in events:
            self.add(event)

    def add(self, event: Output) -> None:
        """Take in an event, in the order in which it was published."""
        if not self.findings.update(event):
            return
        match event:
            case Evaluation():
                self._evaluation(event)
            case Alert():
                self._alert(event)
            case RetrainRequest():
                self.requests.append(event)

    def rows(self) -> list[Finding]:
        """What was checked, one finding a subject."""
        return self.findings.rows()

    @property
    def pages(self) -> list[Alarm]:
        """Alarms that would have woken somebody."""
        return [alarm for alarm in self.alarms if alarm.pages]

    @property
    def notices(self) -> list[Alarm]:
        """Alarms that would have been noticed only."""
        return [alarm for alarm in self.alarms if not alarm.pages]

    def in_alarm(self) -> float:
        """The share of the evaluations at whose time any alert was firing."""
        ends = sorted({end for ends in self.ends.values() for end in ends})
        if not ends:
            return 0.0
        inside: set[int] = set()
        for alarm in self.alarms:
            first = bisect.bisect_left(ends, alarm.fired_ms)
            stop = len(ends) if alarm.until_ms is None else bisect.bisect_left(ends, alarm.until_ms)
            inside.update(ends[first:stop])
        return len(inside) / len(ends)

    def _evaluation(self, event: Evaluation) -> None:
        if event.subject == "detectors":
            return
        end_ms = at(event.window.end)
        if event.window.revision == 0:
            bisect.insort(self.ends[event.subject], end_ms)
            self.judged += any(r.verdict not in UNJUDGED for r in event.readings)
        if event.window.panes > self._panes:  # of several windows the longest is drawn
            self._panes, self.readings = event.window.panes, {}
        for reading in event.readings if event.window.panes == self._panes else ():
            self.readings.setdefault((reading.role, reading.subject), []).append((end_ms, reading))

    def _alert(self, event: Alert) -> None:
        if event.state == "firing":
            if event.cause not in self._firing:  # else more has joined it
                self._firing[event.cause] = Alarm(event, at(event.time))
                self.alarms.append(self._firing[event.cause])
            self._firing[event.cause].name(event)
        elif event.state == "resolved" and event.cause in self._firing:
            self._firing.pop(event.cause).until_ms = at(event.time)


def at(text: str) -> int:
    """Epoch ms of a time as events have it."""
    return milliseconds(datetime.datetime.fromisoformat(text))


def months(first_ms: int, end_ms: int) -> float:
    """A length of event time in months of the budget, of 30 days."""
    return max(end_ms - first_ms, 0) / MONTH_MS


def causes(alarms: Sequence[Alarm]) -> dict[tuple[str, str], list[Alarm]]:
    """Alarms by their cause and what explained most of them, in order of the first of each."""
    found: dict[tuple[str, str], list[Alarm]] = {}
    for alarm in alarms:
        found.setdefault((alarm.alert.cause, alarm.first), []).append(alarm)
    return found
