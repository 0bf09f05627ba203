"""Findings: what the evaluations and alerts of a run say about each feature, in one row each."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from stream.comparisons import words
from stream.events import Alert, Evaluation, Reading, RetrainRequest

Output = Evaluation | Alert | RetrainRequest
NEVER = 0  # the month in which begins to change what does not change
MOST_SEGMENTS = 10  # that are shown; the rest are counted
ROLES = {"input": 0, "output": 1, "quality": 2, "detector": 3, "data": 4}


@dataclasses.dataclass(slots=True)
class Finding:
    """One subject, or one segment's inputs, outputs or data. Months count from 1; None: never.

    changed: when it really began to change, NEVER, or None where nobody knows.

    checked, moved: the months that were judged, and those that differ from the reference.
    """

    subject: str
    role: str
    check: str
    changed: int | None = None
    checked: set[int] = dataclasses.field(default_factory=set)
    moved: set[int] = dataclasses.field(default_factory=set)
    fired: int | None = None
    resolved: int | None = None
    last: Reading | None = None
    last_month: int = 0

    @property
    def late(self) -> int | None:
        """Months from the start of the change to the end of the month that gave the alarm."""
        if self.fired is None or not self.changed:
            return None
        return self.fired - self.changed + 1

    def update(self, month: int, reading: Reading) -> None:
        """Take in a reading of a month; a later revision of the same month replaces it."""
        judged = reading.verdict not in ("not-enough-data", "no-reference")
        (self.checked.add if judged else self.checked.discard)(month)
        (self.moved.add if reading.verdict == "moved" else self.moved.discard)(month)
        if judged and month >= self.last_month:
            self.last, self.last_month = reading, month


def named(reading: Reading) -> str:
    """Whose finding a reading belongs to: its subject's, or its segment's."""
    return words(reading.segment) if reading.segment else reading.subject


class Findings:
    """All subjects of one model version. month_of: the number of the month of a window's start.

    Events may come twice: an event with a known id is passed over.
    """

    def __init__(self, month_of: Callable[[str], int], changed: Mapping[str, int]) -> None:
        self.month_of = month_of
        self.changed = changed
        self.evaluations: dict[str, Evaluation] = {}
        self.alerts: dict[str, Alert] = {}
        self.requests: dict[str, RetrainRequest] = {}
        self._known: set[str] = set()
        self._found: dict[tuple[str, str, str], Finding] = {}
        self._segments: dict[tuple[str, str], Finding] = {}

    def update(self, event: Output) -> bool:
        """Take in an event; False where it was known already."""
        if event.id in self._known:
            return False
        self._known.add(event.id)
        match event:
            case Evaluation():
                self.evaluations[event.id] = event
                self._evaluation(event)
            case Alert():
                self.alerts[event.id] = event
                self._alert(event)
            case RetrainRequest():
                self.requests[event.id] = event
        return True

    def rows(self) -> list[Finding]:
        """The findings: features, outputs, quality, then the rest, each in order of appearance.

        Then the segments that moved most often, as many as can be read.
        """
        found = sorted(self._found.values(), key=lambda found: ROLES.get(found.role, 9))
        return found + self._loud()[:MOST_SEGMENTS]

    def segments(self) -> str:
        """How many segments moved, and how many of these are not among the rows. "": no such."""
        if not self._segments:
            return ""
        names = {name for _, name in self._segments}
        loud = [found.subject for found in self._loud()]
        told = f"Of {len(names):,} segments {len(set(loud)):,} moved"
        left_out = set(loud[MOST_SEGMENTS:]) - set(loud[:MOST_SEGMENTS])
        return f"{told}, {len(left_out):,} of them not shown." if left_out else f"{told}."

    def _loud(self) -> list[Finding]:
        loud = [x for x in self._segments.values() if x.moved or x.fired is not None]
        return sorted(loud, key=lambda x: (x.fired is None, -len(x.moved), x.subject, x.role))

    def rows_of(self, subject: str) -> int:
        """Rows of all evaluated windows of a subject; of each window the last revision counts."""
        last: dict[str, tuple[int, int]] = {}
        for event in self.evaluations.values():
            if event.subject == subject:
                rows = (event.window.revision, event.rows)
                last[event.window.start] = max(last.get(event.window.start, rows), rows)
        return sum(rows for _, rows in last.values())

    def fired(self, subjects: Iterable[str]) -> set[str]:
        """Those of the subjects for which an alert has fired."""
        known = {found.subject for found in self._found.values() if found.fired is not None}
        return known & set(subjects)

    def _evaluation(self, event: Evaluation) -> None:
        month = self.month_of(event.window.start)
        for reading in event.judged:
            self._finding(reading).update(month, reading)

    def _alert(self, event: Alert) -> None:
        month = self.month_of(event.window.start)
        for found in map(self._finding, event.readings):
            if event.state == "firing" and (found.fired is None or month < found.fired):
                found.fired = month
            if event.state == "resolved" and event.previous == "firing":
                found.resolved = month

    def _finding(self, reading: Reading) -> Finding:
        if reading.segment:
            subject = words(reading.segment)
            new = Finding(subject, reading.role, reading.check)
            return self._segments.setdefault((reading.role, subject), new)
        data = reading.role == "data"  # several checks of a feature; when it began nobody knows
        key = (reading.role, reading.subject, reading.check if data else "")
        if key not in self._found:
            changed = None if data else self.changed.get(reading.subject)
            self._found[key] = Finding(reading.subject, reading.role, reading.check, changed)
        return self._found[key]
