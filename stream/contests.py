"""Contests: what a challenger and a champion came to on the same predictions, as whole numbers.

Everything stands in the challenger's pages of quality, as tallies by the champion's version and
part of the contest, so that it is corrected, sampled, divided by segments and merged as all
outcomes are. The answers stand in pages of their own too, which are sealed with those of inputs:
no truth has to come before they are told.

    answers     the answers of both: the champion's stands for the label
    champion    its outcomes, of pairs whose truths are known and which both have answered
    challenger  its outcomes, of the same pairs
    apart       how these differ, pair by pair: see `apart`
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from stream.cohorts import Cohorts
from stream.columns import Bools, Floats
from stream.meetings import Meeting, Meetings
from stream.outcomes import Outcomes, outcomes_of_rows
from stream.pages import Pages
from stream.segments import Key
from stream.settings import Task
from stream.signals import Kind
from stream.tallies import MOST_ERROR, Tally

Part = Literal["answers", "champion", "challenger", "apart"]
PARTS: tuple[Part, ...] = ("answers", "champion", "challenger", "apart")
Cell = tuple[int, int, int, int]  # pane, pane in which it was first known, cohort, exponent
Rows = list[tuple[Meeting, int]]  # with signs


@dataclasses.dataclass(slots=True)
class Contests:
    """Meetings of one challenger that wait to be counted.

    waiting: by the champion's version, the kind of pages and the cell.
    """

    waiting: dict[tuple[str, Kind, Cell], Rows] = dataclasses.field(default_factory=dict)

    def change(
        self, champion: str, old: Meetings, new: Meetings, kinds: Iterable[Pages[Cohorts]]
    ) -> None:
        """Note the difference between what was known of a pair and what is known now.

        kinds: the pages in which it is counted. What belongs to a pane that is gone goes to the
        oldest one kept: sums stay right.
        """
        changed = [(meeting, -meeting.sign) for meeting in old if meeting not in new]
        changed += [(meeting, meeting.sign) for meeting in new if meeting not in old]
        for pages in kinds:
            for meeting, sign in changed:
                if meeting.truths is None or pages.kind == "quality":
                    at = champion, pages.kind, _cell(meeting, pages)
                    self.waiting.setdefault(at, []).append((meeting, sign))

    def settle(self, kinds: Iterable[Pages[Cohorts]], task: Task, positive: str) -> None:
        """Count what waits."""
        of = {pages.kind: pages for pages in kinds}
        for (champion, kind, cell), rows in self.waiting.items():
            about = of[kind].page(cell[0], Cohorts)
            answers = [row for row in rows if row[0].truths is None]
            if answers:
                _count(about, (champion, "answers"), cell, answers, _answers(answers, task))
            judged = [row for row in rows if row[0].truths is not None]
            for part, own, found in _judged(judged, task, positive) if judged else ():
                _count(about, (champion, part), cell, own, found)
        self.waiting = {}


def _cell(meeting: Meeting, pages: Pages[Cohorts]) -> Cell:
    oldest_ms, made_ms = pages.oldest_ms, meeting.challenger.time_ms
    times = max(meeting.time_ms, oldest_ms), max(meeting.first_ms, oldest_ms), made_ms
    pane, first, cohort = (time_ms - time_ms % pages.pane_ms for time_ms in times)
    return pane, first, cohort, meeting.exponent


def _count(page: Cohorts, whose: tuple[str, Part], cell: Cell, rows: Rows, found: Outcomes) -> None:
    """Count rows, and by the segments of the challenger's prediction once more."""
    whole = page.contest(whose)
    _tally(whole, cell).update(found)
    own: dict[Key, list[int]] = {}
    for i, (meeting, _) in enumerate(rows):
        for key in meeting.challenger.segments:
            own.setdefault(key, []).append(i)
    for key, places in own.items():
        _tally(whole.segment(key), cell).update(found.take(np.array(places)))


def _tally(cohorts: Cohorts, cell: Cell) -> Tally:
    pane, first, cohort, exponent = cell
    sample = cohorts.sample(exponent)
    return sample.cell(cohort) if first == pane else sample.correction(first, cohort)


def _answers(rows: Rows, task: Task) -> Outcomes:
    return outcomes_of_rows(
        [meeting.champion.answer for meeting, _ in rows],
        [meeting.challenger.answer for meeting, _ in rows],
        [()] * len(rows),
        _signs(rows),
        task,
    )


def _judged(rows: Rows, task: Task, positive: str) -> list[tuple[Part, Rows, Outcomes]]:
    """What is counted of pairs whose truths are known; those that both have answered."""
    sides = [_side(rows, side, task, positive) for side in (0, 1)]
    both = np.flatnonzero(_answered(sides[0]) & _answered(sides[1]))
    champion, challenger = (side.take(both) for side in sides)
    kept = [rows[i] for i in both.tolist()]
    return [
        ("champion", kept, champion),
        ("challenger", kept, challenger),
        ("apart", kept, apart(champion, challenger)),
    ]


def _side(rows: Rows, side: int, task: Task, positive: str) -> Outcomes:
    forecasts = [(meeting.champion, meeting.challenger)[side] for meeting, _ in rows]
    return outcomes_of_rows(
        [meeting.truths[side].answer if meeting.truths else None for meeting, _ in rows],
        [forecast.answer for forecast in forecasts],
        [forecast.scores for forecast in forecasts],
        _signs(rows),
        task,
        positive,
    )


def _answered(found: Outcomes) -> Bools:
    known = found.error if found.hit is None else found.hit
    assert known is not None
    return ~np.isnan(known)


def _signs(rows: Rows) -> Sequence[int]:
    return [sign for _, sign in rows]


def apart(champion: Outcomes, challenger: Outcomes) -> Outcomes:
    """How the outcomes of two versions differ, pair by pair; the challenger's less the champion's.

    hit: 1.0 where both are right or both wrong. loss, brier: of those; where neither version gave
    probabilities, loss is that of the squared errors. error: of the absolute errors.
    """
    none = np.full(len(challenger), np.nan)
    alike, loss, brier = none, none, none
    if champion.hit is not None and challenger.hit is not None:
        alike = (champion.hit == challenger.hit).astype(np.float64)
    if champion.loss is not None and challenger.loss is not None:
        loss = challenger.loss - champion.loss
    if champion.brier is not None and challenger.brier is not None:
        brier = challenger.brier - champion.brier
    found = Outcomes(challenger.signs, hit=alike, confidence=none, loss=loss, brier=brier)
    ours, theirs = _size(challenger), _size(champion)
    if ours is None or theirs is None:
        return found
    plain = _scoreless(champion) & _scoreless(challenger) & ~np.isnan(ours - theirs)
    return dataclasses.replace(
        found,
        error=ours - theirs,
        loss=np.where(plain, ours * ours - theirs * theirs, loss),
        brier=np.where(plain, 0.0, brier),
    )


def _scoreless(found: Outcomes) -> Bools:
    none: Bools = np.ones(len(found), dtype=np.bool_)
    return none if found.loss is None else np.isnan(found.loss)


def _size(found: Outcomes) -> Floats | None:
    """Absolute errors, cut as those of a tally."""
    return None if found.error is None else np.minimum(np.abs(found.error), MOST_ERROR)
