"""Silences: windows in which a model that always has rows had none.

Event time comes from rows, and a silent model has none. So a silence is told as soon as the records
of others show that the time has passed (`stream.fronts.Front.silence`), and at the latest when rows
come again. Both tell the same under the same id. A `watermark` event tells of none: it says that
rows up to a time have been sent, and a replay ends with one.
"""

from collections.abc import Iterable

from stream.alerts import Rule
from stream.causes import suffix_of
from stream.events import Evaluation
from stream.monitor.alarms import observe
from stream.monitor.memory import Memory
from stream.monitor.telling import Sight
from stream.panes import pane_of, window_panes
from stream.remarks import silence_evaluation
from stream.subjects import Subject
from stream.traffic import ENOUGH_EARLIER, silence_reading

MARGIN = 1.25  # of the longest silence that was none: the next such one may be a little longer
MOST_PATIENCE_MS = 8 * 86_400_000  # a week, for rows that are sent once a week


def rows_again(m: Memory, end_ms: int) -> None:
    """Before the pane with rows that ends then is judged: tell of silences it brings to an end."""
    start_ms = end_ms - m.pane_ms
    quiet = m.clocks.quiet()
    if quiet and pane_of(quiet[0], m.pane_ms) < start_ms:
        lateness_ms = round(m.settings.lateness_s * 1000)
        if end_ms + lateness_ms < quiet[1]:  # it came, and late: it was not silence
            claimed = min(quiet[1] - quiet[0], MOST_PATIENCE_MS)
            m.patience_ms = max(m.patience_ms, claimed)
    named = m.windows["inputs"].named
    before = max((pane for pane in named if pane < start_ms), default=None)
    if before is not None:
        _tell(m, before + m.pane_ms, start_ms)


def by_the_clock(m: Memory) -> None:
    """Tell of silences that the records of others show."""
    quiet = m.clocks.quiet()
    if quiet is None:
        return
    newest_ms, reached_ms = quiet
    since_ms = pane_of(newest_ms, m.pane_ms) + m.pane_ms
    if max(m.windows["inputs"].named, default=since_ms) < since_ms:
        patience_ms = round(MARGIN * m.patience_ms)
        if reached_ms - since_ms > patience_ms:
            _tell(m, since_ms, reached_ms - round(m.settings.lateness_s * 1000))


def _tell(m: Memory, since_ms: int, until_ms: int) -> None:
    """Tell of a silence from a pane's end on, once for each length of windows that it fills."""
    for window_s in sorted(m.settings.windows_s):
        end_ms = since_ms + window_s * 1000
        if end_ms > until_ms or m.silences.get(window_s, since_ms - 1) >= since_ms:
            continue
        earlier = _earlier(m, since_ms, window_s)
        if min(earlier) == 0:
            continue
        m.silences[window_s] = since_ms
        m.touched = True
        of = Subject(m.model, m.version, m.settings, since_ms, end_ms)
        reference = m.reference_at(since_ms)
        reading = silence_reading(since_ms, window_s, earlier)
        found = silence_evaluation(of, reference.id if reference else None, reading)
        m.publish(found)
        if m.burns_in(end_ms - 1) is None:
            rule = Rule(1, m.settings.clear, m.settings.cooldown_s * 1000)
            observe(m, of, Sight(_cause(m, window_s), reading, found, window_s, rule))


def _earlier(m: Memory, since_ms: int, window_s: int) -> list[int]:
    """Rows of the windows before, newest first; without the last panes, which may be open yet."""
    open_ms = round(m.settings.lateness_s * 1000) + 2 * m.pane_ms - 1
    last_ms, window_ms = since_ms - open_ms // m.pane_ms * m.pane_ms, window_s * 1000
    ends = range(last_ms, last_ms - ENOUGH_EARLIER * window_ms, -window_ms)
    windows = m.windows["inputs"]
    return [
        sum(windows.rows(pane) for pane in window_panes(end, window_ms, m.pane_ms)) for end in ends
    ]


def _cause(m: Memory, window_s: int) -> str:
    return f"data:rows{suffix_of(m.settings, window_s)}"


def over(m: Memory, of: Subject, window_s: int, found: Evaluation) -> Iterable[Sight]:
    """What an evaluation of later rows says of a silence that was told: it is over."""
    cause = _cause(m, window_s)
    if cause not in m.alerts or of.end_ms <= m.silences.get(window_s, 0) + window_s * 1000:
        return []
    rows = m.windows["inputs"].rows(of.end_ms - m.pane_ms)
    return [Sight(cause, silence_reading(of.start_ms, window_s, (), rows), found, window_s)]
