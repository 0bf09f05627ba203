"""Panes: the smallest slots of event time.

A pane is named by its start in epoch milliseconds and reaches up to, not including, start + pane.
Panes begin at multiples of their length since 1970-01-01T00:00:00Z.
"""

import numpy as np

from stream.columns import Ints

BEFORE_ALL = -(2**62)


def pane_of(time_ms: int, pane_ms: int) -> int:
    """The start of the pane that an event time falls in."""
    return time_ms - time_ms % pane_ms


def panes_of(times_ms: Ints, pane_ms: int) -> Ints:
    """The same for an array of shape (n,)."""
    return times_ms - np.mod(times_ms, pane_ms)


def window_panes(end_ms: int, window_ms: int, pane_ms: int) -> range:
    """The starts of the panes of a window that ends at a pane's end."""
    return range(end_ms - window_ms, end_ms, pane_ms)
