"""Telling: what changes of state become alerts, one for all causes of a sort.

A detector's alert is its own. Features, outputs, metrics and the data of features are grouped: what
moves or ends in one evaluation is told of at once.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from stream.alerts import QUIET, Change, Rule, Transition
from stream.causes import suffix_of
from stream.events import Evaluation, Part, Reading
from stream.groups import UNEASY, Group, Move, regroup
from stream.importances import explains, ranked
from stream.monitor.memory import Memory, Shown
from stream.notices import alert
from stream.subjects import Subject
from stream.verdicts import sort_of


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """A reading on its way to an alert. rule: the settings' own unless given.

    since_ms: where the change began, if not with the window. reason: why the state changes.
    """

    cause: str
    reading: Reading
    found: Evaluation
    window_s: int = 0
    rule: Rule | None = None
    since_ms: int | None = None
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class News:
    """A sight that changed the state of its cause."""

    sight: Sight
    move: Move

    @property
    def change(self) -> Change:
        """What the cause is now."""
        return self.move.change.change


def tell(m: Memory, of: Subject, news: News) -> None:
    """An alert of one cause by itself."""
    sight, move = news.sight, news.move
    part = Part(cause=sight.cause, new=news.change != "resolved", reading=sight.reading)
    notice = alert(of, sight.cause, move.since_ms, move.change, [part], sight.found, m.owner)
    m.publish(notice)
    if news.change == "firing":
        m.shown[sight.cause] = Shown(notice.id, sight.reading, sight.window_s)


def tell_all(m: Memory, of: Subject, found: Sequence[News], seen: Mapping[str, Reading]) -> None:
    """Alerts of what one evaluation has changed. seen: its readings by cause."""
    grouped: dict[str, list[News]] = {}
    for news in found:
        name = _group_of(m, news)
        if name is None:
            tell(m, of, news)
        else:
            grouped.setdefault(name, []).append(news)
    for name, some in grouped.items():
        _tell_together(m, of, name, some, seen)


def _group_of(m: Memory, news: News) -> str | None:
    """The group of a cause; None where it is told of by itself.

    What fired by itself (in a release that knew no groups) resolves by itself.
    """
    sight = news.sight
    if sight.reading.role == "detector":
        return None
    own = next((name for name, group in m.groups.items() if sight.cause in group.members), None)
    if own is not None or news.change == "resolved":
        return own
    return f"{sort_of(sight.reading)}{suffix_of(m.settings, sight.window_s)}"


def _tell_together(
    m: Memory, of: Subject, name: str, found: Sequence[News], seen: Mapping[str, Reading]
) -> None:
    before, evaluation = m.groups.pop(name, None), found[0].sight.found
    weights = _weights(m, evaluation)
    order = sorted(found, key=lambda n: (-explains(n.sight.reading, weights), n.sight.cause))
    moves = [news.move for news in order]
    members = {*(before.members if before else ()), *(move.cause for move in moves)}
    uneasy = {c for c in members if m.alerts.get(c, QUIET).state in UNEASY}
    after, change = regroup(before, moves, uneasy)
    if after is not None:
        m.groups[name] = after
    group = after or before
    if change is None or group is None:
        return
    if change.change == "resolved":
        parts = _over(group, moves, seen)
    else:
        parts = _uneasy(m, group, change, moves, weights)
    notice = alert(of, name, group.since_ms, change, parts, evaluation, m.owner)
    m.publish(notice)
    for news in found:
        if news.change == "firing":
            told = m.shown[news.sight.cause]
            m.shown[news.sight.cause] = dataclasses.replace(told, alert_id=notice.id)


def _weights(m: Memory, evaluation: Evaluation) -> Mapping[str, float]:
    reference = m.references.get(evaluation.reference_id or "")
    return reference.weights if reference is not None else {}


def _uneasy(
    m: Memory,
    group: Group,
    change: Transition,
    moves: Sequence[Move],
    weights: Mapping[str, float],
) -> list[Part]:
    """All members that are as the alert says: what is new first, then what explains most."""
    new = {move.cause for move in moves if move.change.change == change.change}
    same = [c for c in group.members if m.alerts.get(c, QUIET).state == change.change]

    def key(cause: str) -> tuple[bool, float, str]:
        return cause in new, explains(m.shown[cause].reading, weights), cause

    return [
        _part(cause, cause in new, share, m.shown[cause].reading)
        for cause, share in ranked(same, key)
    ]


def _part(cause: str, new: bool, share: float, reading: Reading) -> Part:
    """Gaps between groups explain nothing of what moved: each is a promise of its own."""
    told = None if sort_of(reading) == "groups" else share
    return Part(cause=cause, new=new, share=told, reading=reading)


def _over(group: Group, moves: Sequence[Move], seen: Mapping[str, Reading]) -> list[Part]:
    """All that has been part of it and is still read: what has just ended first."""
    last = {move.cause for move in moves}
    known = [cause for cause in group.members if cause in seen]
    order = sorted(known, key=lambda cause: cause not in last)
    return [Part(cause=cause, new=cause in last, reading=seen[cause]) for cause in order]
