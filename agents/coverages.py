"""Coverages: how much of the truth has come and how long it takes, over all model versions.

Of one model the same stands in `labels` of its evaluations.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from stream.ages import Census
from stream.delays import Delays
from stream.monitor import Memory
from stream.settings import DAY_S

Readings = dict[tuple[str, ...], float]  # labels -> value
Known = tuple[int, Census]  # with the seconds of a pane
AGES_S = {
    "1h": 3_600,
    "1d": DAY_S,
    "7d": 7 * DAY_S,
    "30d": 30 * DAY_S,
    "90d": 90 * DAY_S,
    "365d": 365 * DAY_S,
}
SHARES = {"0.5": 0.5, "0.9": 0.9}


def known_of(memories: Iterable[Memory]) -> Iterator[Known]:
    """What is known of the cohorts of each model version of which anything is."""
    for memory in memories:
        if memory.ages is not None and memory.ages.newest is not None:
            yield memory.settings.pane_s, memory.ages.newest


def cohorts(known: Iterable[Known]) -> tuple[Readings, Readings]:
    """Cohorts by state, and their predictions by whether truth has come."""
    some = [census for _, census in known]
    complete = sum(int(census.complete.sum()) for census in some)
    labelled = sum(int(census.labelled.sum()) for census in some)
    every = sum(len(census.starts) for census in some)
    made = sum(int(census.made.sum()) for census in some)
    states: Readings = {("complete",): complete, ("provisional",): every - complete}
    return states, {("labelled",): labelled, ("unlabelled",): made - labelled}


def by_age(known: Iterable[Known]) -> Readings:
    """The share of predictions whose truth has come by some ages, by Kaplan and Meier.

    Each model version counts by its predictions that are so old; at the end of the last bin of
    delays that is no older.
    """
    some, found = list(known), Readings()
    for name, age_s in AGES_S.items():
        told = [_at(census.delays, age_s // pane_s) for pane_s, census in some]
        rows = sum(n for _, n in told)
        if rows:
            found[name,] = sum(share * n for share, n in told) / rows
    return found


def _at(delays: Delays, panes: int) -> tuple[float, int]:
    """The share that has its truth by an age, and of how many; of 0 where none is so old."""
    place = int(np.searchsorted(delays.ends, panes, side="right")) - 1
    if place < 0 or panes > delays.ends[-1]:
        return 0.0, 0
    return float(delays.known[place]), int(delays.risk[place])


def delays(known: Iterable[Known]) -> Readings:
    """Seconds by which the truth of a share of predictions has come, where that takes longest."""
    some, found = list(known), Readings()
    for name, share in SHARES.items():
        told = [(pane_s, census.delays.quantile(share)) for pane_s, census in some]
        reached = [float(pane_s * panes) for pane_s, panes in told if panes is not None]
        if reached:
            found[name,] = max(reached)
    return found
