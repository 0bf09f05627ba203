"""Contests: a challenger beside other versions, as lines for people."""

from collections.abc import Iterator, Sequence

from agents.scorecards import METRICS
from stream import figures
from stream.events import Compared, Contest

MOST_SEGMENTS = 3
MOST_ANSWERS = 3


def contest_lines(contests: Sequence[Contest], version: str) -> list[str]:
    """What is said of a challenger: of all rows each metric, then the worst segments."""
    lines: list[str] = []
    for one in contests:
        if one.segment is None:
            lines += [one.reason, *_metrics(one), *_right(one, version), *_answers(one)]
    apart = [one.reason for one in contests if one.segment is not None]
    more = [f"and {len(apart) - MOST_SEGMENTS:,} more segments"] if apart[MOST_SEGMENTS:] else []
    return [*lines, *apart[:MOST_SEGMENTS], *more]


def _metrics(one: Contest) -> Iterator[str]:
    """A line each."""
    rows = [_row(m) for m in one.metrics]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _row(m: Compared) -> tuple[str, ...]:
    words = METRICS[m.metric].words if m.metric in METRICS else m.metric
    new, old = figures.pair(m.challenger.value, m.champion.value)
    change = f"{m.change.value:+.3g} (95% {m.change.low:.3g} to {m.change.high:.3g})"
    return words, f"{new} against {old}", change, "" if m.paired else "not paired"


def _right(one: Contest, version: str) -> Iterator[str]:
    """Who was right how often."""
    if one.both_right is not None:
        alone = f"version {version} alone {one.challenger_right:,}"
        other = f"version {one.champion} alone {one.champion_right:,}"
        yield f"  right: both {one.both_right:,}, {alone}, {other}, neither {one.both_wrong:,}"


def _answers(one: Contest) -> Iterator[str]:
    """The most frequent different answers."""
    told = [f"{a.challenger} in place of {a.champion} ({a.n:,})" for a in one.answers]
    if told:
        yield f"  different answers: {figures.listed(told, MOST_ANSWERS)}"
