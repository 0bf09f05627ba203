"""Rivals: a challenger beside each champion, on the predictions that both have answered.

What both answered differently, how often each was right, and by how much every metric differs: by
the differences on each pair where these are counted, which is surer than two figures apart.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from stream import figures, intervals
from stream.cohorts import Cohorts
from stream.confusions import OTHER
from stream.contests import PARTS, Part
from stream.differences import OF_TRUTH, Parts, Table, compared, paired, valued
from stream.events import Compared, Contest, Segment, Swapped
from stream.gradings import inflation_of
from stream.intervals import Figure, Inflation
from stream.quality import METRICS, figures_for, metrics_of
from stream.references import Reference
from stream.scorecards import REST
from stream.segments import Key, called, watched
from stream.settings import ModelSettings, Task
from stream.subjects import Subject
from stream.tallies import Tally

MOST_CHAMPIONS = 8  # that are told of, those with the most pairs
MOST_SWAPPED = 20  # pairs of answers
MOST_NAMED = 5  # other champions
NO_PAIRS = (
    "no prediction of this window has an id that another version answered too, so nothing is "
    "compared pair by pair: the metrics of each version stand in its own evaluations, and "
    "`driftline compare` shows them side by side"
)
MAIN = ("accuracy", "mae")  # where there is room for one metric


class Beside(NamedTuple):
    """What is told of a challenger beside all others, and notes on it."""

    contests: list[Contest]
    notes: list[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Rival:
    """What is known of a challenger beside one champion, of all rows or of a segment."""

    champion: str
    version: str
    parts: Parts
    settings: ModelSettings
    task: Task
    window_s: int
    reference: Reference | None
    key: Key | None = None
    truth: bool = True  # whether it is told how good they are

    def told(self) -> Contest:
        """As evaluations tell of it."""
        answers, sound = self.parts["answers"], self._sound()
        counted = self.parts["apart"].counted() if sound else Tally()
        classes, numbers = self._task() == "classification", counted.numbers
        table = self._table() if classes and counted.judged else None
        metrics = [*self._metrics()] if sound else []
        disagreement = _flipped(METRICS["accuracy"].get(answers)) if classes else None
        distance = None if classes else METRICS["mae"].get(answers)
        labelled = counted.judged if classes else numbers
        pairs = answers.counted().n
        segment = None if self.key is None else Segment(name=self.key[0], value=self.key[1])
        return Contest(
            champion=self.champion,
            segment=segment,
            reason=self._said(pairs, disagreement or distance, classes, labelled, metrics),
            pairs=pairs,
            disagreement=valued(disagreement) if disagreement else None,
            distance=valued(distance) if distance else None,
            labelled=labelled,
            both_right=table and table.both,
            champion_right=table and table.champion,
            challenger_right=table and table.challenger,
            both_wrong=table and table.neither,
            metrics=metrics,
            answers=_swapped(answers) if classes else [],
        )

    def _table(self) -> Table | None:
        """None where the settings once named other challengers, so that sides were swapped."""
        found = Table.of(*(self.parts[part].counted() for part in OF_TRUTH))
        return found if min(found) >= 0 else None

    def _sound(self) -> bool:
        """Whether no more was taken back than the window itself brought."""
        return all(self.parts[part].sound() for part in OF_TRUTH)

    def _task(self) -> Literal["classification", "regression"]:
        """As `figures_for` has it: of outcomes, or of the answers where there are none."""
        if self.task != "auto":
            return self.task
        own = self.parts["challenger"]
        found = own if own.counted().n > 0 else self.parts["answers"]
        measured = found.scored == 0 and (found.fractional > 0 or found.judged == 0)
        return "regression" if measured else "classification"

    def _metrics(self) -> Iterator[Compared]:
        """Those that say something of both."""
        known, task = metrics_of(self.settings), self._task()
        ours, theirs = (
            figures_for(self.parts[part], task, known) for part in ("challenger", "champion")
        )
        for name in [name for name in ours if name in theirs]:
            inflation = self._inflation(name)
            plain = paired(name, self.parts, ours[name], theirs[name])
            new, old = (
                known[name].widened(side[name], inflation) or side[name] for side in (ours, theirs)
            )
            change = intervals.less(new, old) if plain is None else _wider(plain[0], inflation)
            p_value = None if plain is None else _sure(plain[1], inflation)
            yield compared(name, new, old, change, paired=plain is not None, p_value=p_value)

    def _inflation(self, name: str) -> Inflation | None:
        rows, own = self.parts["apart"].counted().n, self.reference
        if own is not None and self.key is not None:
            own = own.segments.get(self.key)
        return inflation_of(own, self.settings, name, self.window_s, rows)

    def _said(
        self,
        pairs: int,
        apart: Figure | None,
        classes: bool,
        labelled: int,
        metrics: list[Compared],
    ) -> str:
        """In words: how often they differ, and which of them is better as far as truth is there."""
        of = "" if self.key is None else f"{called(self.key)}: "
        said = f"{of}version {self.version} beside {self.champion}: {pairs:,} predictions of both"
        if apart is not None:
            ends = [figures.share(x) if classes else figures.number(x) for x in _row(apart)]
            what = "different answers in" if classes else "answers apart by a mean of"
            said += f", {what} {ends[0]} (95% interval {ends[1]} to {ends[2]})"
        main = next((m for name in MAIN for m in metrics if m.metric == name), None)
        if main is None:
            return f"{said}; no truth of them yet" if self.truth and not labelled else said
        new, old = figures.pair(main.challenger.value, main.champion.value)
        change, low, high = (
            f"{x:+.3g}" for x in (main.change.value, main.change.low, main.change.high)
        )
        words = METRICS[main.metric].words
        return (
            f"{said}; {words} {new} against {old} on {labelled:,} whose truth came, difference "
            f"{change} (95% interval {low} to {high})"
        )


def beside_others(
    of: Subject, reference: Reference | None, cohorts: Cohorts, task: Task, *, truth: bool = True
) -> Beside | None:
    """What is told of a window of a challenger; None of any other version. See `contests`."""
    if not of.challenges:
        return None
    return contests(cohorts, reference, of.settings, of.version, task, of.window_s, truth=truth)


def contests(
    cohorts: Cohorts,
    reference: Reference | None,
    settings: ModelSettings,
    version: str,
    task: Task,
    window_s: int,
    *,
    truth: bool = True,
) -> Beside:
    """A challenger beside each champion, then the same of each segment, the worst first.

    Of segments those with `minimum_rows` pairs. truth: False where answers alone are told of.
    What is judged, and may raise an alert, is not here: a challenger is held against its reference
    and objectives as any version is.
    """
    champions = dict.fromkeys(champion for champion, _ in sorted(cohorts.contests))
    found: list[tuple[Contest, list[Contest]]] = []
    for champion in champions:
        parts = {p: cohorts.contests.get((champion, p), Cohorts()) for p in PARTS}
        whole = Rival(
            champion, version, _totals(parts), settings, task, window_s, reference, truth=truth
        )
        told, segments = whole.told(), []
        for key in watched(reference, settings):
            own = {p: part.segments.get(key, Cohorts()) for p, part in parts.items()}
            rival = dataclasses.replace(whole, parts=_totals(own), key=key)
            segments.append(rival.told())
        least = settings.minimum_rows
        segments = [one for one in segments if max(one.pairs, one.labelled) >= least]
        if told.pairs > 0 or told.labelled > 0:
            found.append((told, sorted(segments, key=_badness, reverse=True)))
    found.sort(key=lambda one: (-one[0].pairs, one[0].champion))
    kept, more = found[:MOST_CHAMPIONS], [told.champion for told, _ in found[MOST_CHAMPIONS:]]
    all_told = [told for told, _ in kept] + [one for _, segments in kept for one in segments]
    notes = [NO_PAIRS] if truth and not found else []
    if more:
        notes.append(f"not told of beside version {version}: {figures.listed(more, MOST_NAMED)}")
    return Beside(all_told, notes)


def _totals(parts: Mapping[Part, Cohorts]) -> dict[Part, Tally]:
    return {part: cohorts.total() for part, cohorts in parts.items()}


def _badness(one: Contest) -> tuple[float, float]:
    """How much worse the challenger is, where truth is there; then how much they differ."""
    worse = -math.inf
    for metric in one.metrics:
        if metric.metric in MAIN:
            sign = -1.0 if METRICS[metric.metric].direction == "higher" else 1.0
            worse = sign * metric.change.value
            break
    apart = one.disagreement or one.distance
    return worse, apart.value if apart else 0.0


def _wider(found: Figure, inflation: Inflation | None) -> Figure:
    """An interval of differences that resemble each other, as much as the metric itself does."""
    return found if inflation is None else intervals.stretched(found, inflation.stretch())


def _sure(p_value: float, inflation: Inflation | None) -> float:
    return p_value if inflation is None else inflation.p_value(p_value, two_sided=True)


def _flipped(same: Figure | None) -> Figure | None:
    if same is None:
        return None
    return Figure(1 - same.value, same.n, 1 - same.high, 1 - same.low)


def _row(found: Figure) -> tuple[float, float, float]:
    return found.value, found.low, found.high


def _swapped(answers: Tally) -> list[Swapped]:
    """Different answers and how often they met, the most frequent first."""
    confusion = answers.breakdown.confusion
    if not confusion.sound():
        return []
    apart = [(pair, n) for pair, n in confusion.pairs.items() if pair[0] != pair[1]]
    return [
        Swapped(champion=_shown(old), challenger=_shown(new), n=n)
        for (old, new), n in sorted(apart, key=lambda one: (-one[1], one[0]))[:MOST_SWAPPED]
    ]


def _shown(name: str) -> str:
    return REST if name == OTHER else name
