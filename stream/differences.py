"""Differences: by how much two figures differ, from the differences on each prediction where these
are counted; and how events tell of it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from stream import intervals
from stream.contests import Part
from stream.events import Changed, Compared, Valued
from stream.intervals import Figure, Moments, moments
from stream.tallies import Tally

Parts = Mapping[Part, Tally]
OF_TRUTH: tuple[Part, ...] = ("champion", "challenger", "apart")


class Table(NamedTuple):
    """Pairs by who was right."""

    both: int
    champion: int
    challenger: int
    neither: int

    @classmethod
    def of(cls, champion: Tally, challenger: Tally, apart: Tally) -> "Table":
        """From how many each got right, and how often both or neither did."""
        ahead = challenger.hits - champion.hits
        alone = (apart.judged - apart.hits + ahead) // 2
        both = challenger.hits - alone
        return cls(both, alone - ahead, alone, apart.hits - both)


def paired(name: str, parts: Parts, new: Figure, old: Figure) -> tuple[Figure, float] | None:
    """The change with its interval, and its p-value, as of pairs that know nothing of others;
    None where differences of this metric, or of all these pairs, are not counted.
    """
    apart = parts["apart"]
    if name == "accuracy":
        return _of_table(*(parts[part] for part in OF_TRUTH))
    found = _differences(apart).get(name)
    if found is None or not found.n == new.n == old.n or found.n < 2:
        return None
    scale = new.value + old.value if name == "rmse" else 1.0
    figure = found.figure()
    if figure is None or scale <= 0:
        return None
    value, low, high = (x / scale for x in (figure.value, figure.low, figure.high))
    none = Moments(0, 0.0, 0.0)
    return Figure(value, figure.n, low, high), intervals.p_of_mean(found, none, False)


def _of_table(champion: Tally, challenger: Tally, apart: Tally) -> tuple[Figure, float] | None:
    table, n = Table.of(champion, challenger, apart), apart.counted().judged
    if n <= 0 or min(table) < 0:
        return None
    both, old, new, neither = (count * apart.worth("judged") for count in table)
    return intervals.paired(both, new, old, neither, n), intervals.p_of_sides(new, old)


def _differences(t: Tally) -> dict[str, Moments]:
    """Means of the differences, by metric."""
    scored, numbers = t.worth("scored"), t.worth("numbers")
    losses = moments(t.scored, t.loss, t.loss_squares, scored)
    return {
        "log_loss": losses,
        "brier": moments(t.scored, t.brier, t.brier_squares, scored),
        "mae": moments(t.numbers, t.errors, t.squares, numbers),
        "rmse": losses,
    }


def compared(
    name: str,
    new: Figure,
    old: Figure,
    change: Figure,
    *,
    paired: bool,
    p_value: float | None = None,
) -> Compared:
    """One metric of a challenger beside a champion. paired: whether the change is of pairs."""
    return Compared(
        metric=name,
        champion=valued(old),
        challenger=valued(new),
        change=changed(change),
        paired=paired,
        p_value=p_value,
    )


def valued(found: Figure) -> Valued:
    """A figure as events have it."""
    return Valued(value=found.value, low=found.low, high=found.high, n=found.n)


def changed(found: Figure) -> Changed:
    """A difference as events have it."""
    return Changed(value=found.value, low=found.low, high=found.high)
