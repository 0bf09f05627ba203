"""Pauses: how long no truth came between truth and truth, and how long is more than usual.

All of it is event time. What is usual is the longest pause so far; one that was told of is usual
from the second time on, for truth may come once a quarter.
"""

import dataclasses
from typing import Self

from stream.panes import BEFORE_ALL

MARGIN = 1.25  # of the longest pause: the next usual one may be a little longer
TIMES = 7  # as long as a pause that is told of, truth must have been known for
LEAST_MS = 8 * 86_400_000  # and a week with its weekend


@dataclasses.dataclass(slots=True)
class Pauses:
    """Of one model version's truth. first_ms: start of its first pane, last_ms: end of its last.

    usual_ms: the longest pause that is usual; strange_ms: the longest that was not. told_ms: since
    when that lasted which was told of last, and until_ms: for how long by then. patience_ms: the
    longest that the clock showed and that was none, for its truth came after all.
    """

    first_ms: int = BEFORE_ALL
    last_ms: int = BEFORE_ALL
    usual_ms: int = 0
    strange_ms: int = 0
    told_ms: int = BEFORE_ALL
    until_ms: int = BEFORE_ALL
    patience_ms: int = 0

    def length_ms(self, least_ms: int, pane_ms: int) -> int | None:
        """From how long on a pause is more than usual: whole panes; None: not known yet."""
        needed = max(least_ms, -(-round(MARGIN * self.usual_ms) // pane_ms) * pane_ms)
        known = self.last_ms - self.first_ms
        return needed if known >= max(TIMES * needed, LEAST_MS) else None

    def came(self, start_ms: int, end_ms: int) -> None:
        """Note truth of a pane; panes come in order."""
        if self.first_ms == BEFORE_ALL:
            self.first_ms = start_ms
        elif self.told_ms == self.last_ms:
            pause = start_ms - self.last_ms
            self.usual_ms = max(self.usual_ms, min(pause, self.strange_ms))
            self.strange_ms = max(self.strange_ms, pause)
        else:
            self.usual_ms = max(self.usual_ms, start_ms - self.last_ms)
        self.last_ms = end_ms

    def dump(self) -> tuple[int, ...]:
        """Plain values."""
        return dataclasses.astuple(self)

    @classmethod
    def load(cls, state: tuple[int, ...]) -> Self:
        """The pauses of `dump`."""
        return cls(*state)
