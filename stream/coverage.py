"""Coverage: what is said of the predictions that outcomes are known of, and of how many."""

from collections.abc import Mapping

import numpy as np

from stream import figures
from stream.ages import Census
from stream.cohorts import Cohorts
from stream.events import Coverage, Labels
from stream.settings import ModelSettings
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


def labels_of(
    settings: ModelSettings, census: Census, outcomes: Mapping[int, int], *, ripe: bool, late: int
) -> Labels:
    """What is known of the truth behind a window. outcomes: of the window, by cohort.

    ripe: whether slow truth came with the quick one when the window began, for there were complete
    cohorts. Then a window has of both what a cohort has, however young its own cohorts are.
    """
    places = [place for start in outcomes if (place := census.at(start)) is not None]
    total = sum(outcomes.values())
    young = [p for p in places if not census.complete[p]]
    unsure = sum(outcomes[census.starts[place]] for place in young)
    least = settings.complete_coverage
    complete = int(np.count_nonzero(census.complete))
    return Labels(
        provisional=total > 0 and not ripe and total - unsure < least * total,
        predictions=int(census.made[places].sum()),
        labelled=int(census.labelled[places].sum()),
        cohorts_complete=complete,
        cohorts_provisional=len(census.starts) - complete,
        coverage_by_age=_by_age(census, settings.pane_s),
        delay_median_seconds=_delay(census, 0.5, settings.pane_s),
        delay_p90_seconds=_delay(census, 0.9, settings.pane_s),
        late=late,
    )


def _by_age(census: Census, pane_s: int) -> list[Coverage]:
    """At ages that double from one pane on, and at the highest that anything is known of."""
    ends, delays = census.delays.ends, census.delays
    doubled = 1 << np.arange(62, dtype=np.int64)
    places = np.unique(np.searchsorted(ends, doubled[doubled <= ends.max(initial=0)]))
    last = [len(ends) - 1] if len(ends) else []
    return [
        Coverage(
            age_seconds=int(ends[place]) * pane_s,
            share=round(float(delays.known[place]), 6),
            predictions=int(delays.risk[place]),
        )
        for place in sorted({*places.tolist(), *last})
    ]


def _delay(census: Census, share: float, pane_s: int) -> int | None:
    found = census.delays.quantile(share)
    return None if found is None else found * pane_s


def provisional(labels: Labels) -> str:
    """Why figures are provisional."""
    share = labels.labelled / labels.predictions if labels.predictions else 0.0
    return (
        f"provisional: of {figures.count(labels.predictions)} predictions made in the same panes "
        f"{figures.share(share)} have their truth so far, and what comes early is seldom like the "
        "rest of it"
    )
