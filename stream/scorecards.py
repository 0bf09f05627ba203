"""Scorecards: all metrics of a tally with their intervals, beside what the reference has.

They are told. What is judged of them, and may raise an alert, are readings (`stream.gradings`).
"""

from stream import curves
from stream.confusions import OTHER
from stream.events import Confused, Measured, Tenth
from stream.gradings import inflation_of, known_of
from stream.quality import figures_for, metrics_of
from stream.rankings import PARTS, counts_of
from stream.references import Reference
from stream.settings import ModelSettings, Task
from stream.tallies import Tally

MOST_PAIRS = 100  # of labels and answers that are told of
REST = "(other classes)"


def measured(
    settings: ModelSettings, reference: Reference | None, tally: Tally, task: Task, window_s: int
) -> dict[str, Measured]:
    """Every metric that says something about a tally, by name."""
    metrics, known, n = metrics_of(settings), known_of(reference), tally.counted().n
    found = {}
    for name, plain in figures_for(tally, task, metrics).items():
        inflation = inflation_of(reference, settings, name, window_s, n)
        figure = metrics[name].widened(plain, inflation)
        assert figure is not None, name
        found[name] = Measured(
            value=figure.value,
            low=figure.low,
            high=figure.high,
            n=figure.n,
            reference=known.get(name),
        )
    return found


def confused(tally: Tally, task: Task) -> list[Confused]:
    """Labels and answers and how often they met, the most frequent first; of classes."""
    confusion = tally.breakdown.confusion
    if task == "regression" or (task == "auto" and tally.fractional > 0) or not confusion.sound():
        return []
    order = sorted(confusion.pairs.items(), key=lambda item: (-item[1], item[0]))
    return [
        Confused(label=_shown(label), answer=_shown(answer), n=n)
        for (label, answer), n in order[:MOST_PAIRS]
    ]


def _shown(name: str) -> str:
    return REST if name == OTHER else name


def by_score(tally: Tally) -> list[Tenth]:
    """The rows in ten equal parts by score, the highest first; none without scores."""
    counts = counts_of(tally)
    if counts is None:
        return []
    rows, positives = int((counts[0] + counts[1]).sum()), int(counts[0].sum())
    found, so_far = [], 0.0
    for true in curves.captured(*counts, PARTS):
        so_far += true
        share = true / positives
        part = Tenth(
            rows=rows / PARTS, positives=true, lift=PARTS * share, captured=so_far / positives
        )
        found.append(part)
    return found
