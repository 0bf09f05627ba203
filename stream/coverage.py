"""Coverage: what is said of the predictions that outcomes are known of, and of how many."""

from stream.cohorts import Cohorts
from stream.stamps import stamp
from stream.tallies import Tally


def coverage(cohorts: Cohorts, tally: Tally, predictions: int, pane_ms: int) -> list[str]:
    """Notes on a window's outcomes. tally: their total, as far as it is used; predictions: made in
    the cohorts' panes, 0 where that is not known.
    """
    panes = cohorts.panes
    if not panes:
        return []
    of_all = f", {predictions:,} in all" if predictions else ""
    sampled = f", which stand for {cohorts.stands_for:,}," if cohorts.samples else ""
    truth = f"truth for {tally.counted().n:,}{sampled} of predictions made"
    return [f"{truth} {_from_to(panes, pane_ms)}{of_all}", *_samples(cohorts, tally, pane_ms)]


def _samples(cohorts: Cohorts, tally: Tally, pane_ms: int) -> list[str]:
    """What is said where not all predictions were joined, and how much the outcomes tell."""
    exponents = sorted(k for k, sample in cohorts.samples.items() if sample.cells)
    if not exponents:
        return []
    panes = sorted({pane for sample in cohorts.samples.values() for pane in sample.cells})
    rate = " to ".join(f"1 in {1 << k:,}" for k in sorted({exponents[0], exponents[-1]}))
    note = f"{rate} of the predictions {_from_to(panes, pane_ms)} were joined: max_pending"
    worth = tally.worth("n")
    if worth != 1.0:
        note += f"; weighted, they tell as much as {tally.n * worth:,.0f} of equal weight"
    return [note]


def _from_to(panes: list[int], pane_ms: int) -> str:
    return f"from {_day(panes[0])} to {_day(panes[-1] + pane_ms)}"


def _day(time_ms: int) -> str:
    """A time; without its hour where it is the beginning of a day."""
    text = stamp(time_ms)
    return text[:10] if text.endswith("T00:00:00.000Z") else text
