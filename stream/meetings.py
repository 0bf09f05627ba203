"""Meetings: when the answers of two versions under one id, and their truths, are known together.

A challenger's prediction and a champion's are a pair where at most the horizon lies between them.
What is known of a pair is a function of the set in the entry, as with outcomes (`stream.joins`), so
the order of arrival cannot matter.
"""

import msgspec

from stream.joins import Entry, Forecast, Label, Steps

Truths = tuple[Label, Label]  # of the champion's prediction and of the challenger's


class Meeting(msgspec.Struct, frozen=True, gc=False):
    """What was known of a pair from a time on (sign 1), or no more (sign -1).

    truths: None where it is about the answers alone. first_ms: when both truths were first known.
    """

    time_ms: int
    sign: int
    first_ms: int
    champion: Forecast
    challenger: Forecast
    truths: Truths | None = None

    @property
    def exponent(self) -> int:
        """It is known of one pair in 2**exponent: samples are nested (`stream.thinning`)."""
        of_truth = max((truth.exponent for truth in self.truths or ()), default=0)
        return max(self.champion.exponent, self.challenger.exponent, of_truth)


Meetings = tuple[Meeting, ...]


def meetings(
    entry: Entry, champion: Forecast, challenger: Forecast, model: int, horizon_ms: int
) -> Meetings:
    """All that is known of a pair, in order of time: first of its answers, then of its truths.

    The answers are booked at the time of the later prediction, the truths when the later of them
    was stated; where one changes or is taken back, the old ones go and the new ones come.
    model: the subject of labels for all versions.
    """
    first_ms, both_ms = sorted((champion.time_ms, challenger.time_ms))
    if both_ms - first_ms > horizon_ms:
        return ()
    answers = Meeting(both_ms, 1, both_ms, champion, challenger)
    if not entry.labels:
        return (answers,)
    stories = [entry.steps(forecast, model, horizon_ms) for forecast in (champion, challenger)]
    return (answers, *_story(champion, challenger, stories))


def _story(champion: Forecast, challenger: Forecast, stories: list[Steps]) -> Meetings:
    found: list[Meeting] = []
    known: list[Label | None] = [None, None]
    both: Truths | None = None
    first_ms: int | None = None
    for time_ms in sorted({step.time_ms for steps in stories for step in steps}):
        for side, steps in enumerate(stories):
            for step in steps:
                if step.time_ms == time_ms:
                    known[side] = step.outcome.label if step.sign > 0 else None
        now = _both(known)
        if now == both:
            continue
        first_ms = time_ms if first_ms is None else first_ms
        for sign, truths in ((-1, both), (1, now)):
            if truths is not None:
                found.append(Meeting(time_ms, sign, first_ms, champion, challenger, truths))
        both = now
    return tuple(found)


def _both(known: list[Label | None]) -> Truths | None:
    champion, challenger = known
    return None if champion is None or challenger is None else (champion, challenger)
