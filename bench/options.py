"""What all benchmarks are told."""

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """folder: for what a run writes, empty at first and removed at its end.

    scale: how much work, 1.0 for figures that are quoted; a smaller one for a quick look.
    """

    folder: Path
    scale: float = 1.0

    def rows(self, usual: int) -> int:
        """So many rows at this scale."""
        return max(1_000, int(usual * self.scale))
