"""Delays: how long the truth takes to come, while for many predictions it has not come yet.

The share that is still without it at each age is the product of what was left over at each age
before (Kaplan and Meier 1958): a prediction counts up to its own age, and what has not come by then
is censored, not missing. Delays are in bins: what is said holds at their ends.
"""

import dataclasses

import numpy as np

from stream.columns import Floats, Ints


@dataclasses.dataclass(frozen=True, slots=True)
class Delays:
    """The law of the delay, as far as anything is old enough to tell.

    ends: of the bins, in panes, shape (n,). left: the share of predictions still without truth at
    each, shape (n,). risk: predictions that were looked at in each, shape (n,).
    """

    ends: Ints
    left: Floats
    risk: Ints

    @property
    def known(self) -> Floats:
        """The share of predictions whose truth has come by the end of each bin, shape (n,)."""
        return 1.0 - self.left

    def quantile(self, share: float) -> int | None:
        """The end of the bin by which the truth of that share has come; None: not reached yet."""
        reached = np.flatnonzero(self.left <= 1.0 - share + 1e-12)
        return int(self.ends[reached[0]]) if len(reached) else None


def kaplan_meier(ends: Ints, came: Ints, gone: Ints) -> Delays:
    """The law of delays from counts.

    came: predictions whose truth came in each bin, gone: those that were not watched beyond it and
    had none, shape (n,) each. Those leave after the bin's end, so they are at risk within it.
    Bins in which nobody is at risk say nothing, and are left out.

    >>> found = kaplan_meier(np.array([1, 2, 3]), np.array([1, 1, 0]), np.array([1, 0, 1]))
    >>> found.left.tolist(), found.quantile(0.5), found.quantile(0.9)
    ([0.75, 0.375, 0.375], 2, None)
    """
    leaving = came + gone
    risk = leaving[::-1].cumsum()[::-1]
    last = int(np.count_nonzero(risk > 0))  # they only ever become fewer
    hazard = came[:last] / risk[:last]
    return Delays(ends[:last], np.cumprod(1.0 - hazard), risk[:last])


def ends_of(panes: int) -> Ints:
    """Ends of bins of delay up to a number of panes, the last one that: each pane by itself up to
    16, then so many that a bin is an eighth of its age at most.

    >>> ends_of(30).tolist()[14:]
    [15, 16, 18, 20, 22, 24, 27, 30]
    """
    found = [1]
    while found[-1] < panes:
        found.append(min(panes, found[-1] + max(1, found[-1] // 8)))
    return np.array(found, dtype=np.int64)
