"""What all benchmarks are told."""

import dataclasses
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

X = TypeVar("X")
Y = TypeVar("Y")
CHUNK = 8  # things a process takes at once


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """folder: for what a run writes, empty at first and removed at its end.

    scale: how much work, 1.0 for figures that are quoted; a smaller one for a quick look. jobs:
    processes that simulations are dealt out to; what is measured by time takes one.
    """

    folder: Path
    scale: float = 1.0
    jobs: int = 1

    def rows(self, usual: int) -> int:
        """So many rows at this scale."""
        return max(1_000, int(usual * self.scale))

    def spread(self, function: Callable[[X], Y], over: Iterable[X]) -> list[Y]:
        """The function's result of each, in order; dealt out to processes where there are jobs."""
        if self.jobs == 1:
            return [function(x) for x in over]
        with ProcessPoolExecutor(self.jobs) as pool:
            return list(pool.map(function, over, chunksize=CHUNK))
