"""The window before: what a window is compared with in place of the whole reference.

Its values keep the codes of the reference, so a comparison is exact to one of its bins, and floors
and units are the reference's. It is not calibrated: of two windows both are drawn by chance.
"""

import dataclasses

from stream.columns import Ints
from stream.features import FeatureReference, Role
from stream.shares import Share
from stream.stamps import stamp

SINCE = " since the window before"


@dataclasses.dataclass(frozen=True, slots=True)
class Previous:
    """The counts of the window before, which begins at a time."""

    share: Share
    start_ms: int
    words: str = SINCE

    def usual(self, f: FeatureReference, role: Role = "input") -> FeatureReference:
        """The feature as it was in it."""
        return dataclasses.replace(f, counts=self.share.counts(f.name, role), hours=None)

    def ranks(self, _f: FeatureReference, _role: Role) -> tuple[Ints, Ints] | None:
        """Values are compared as they are."""
        return None

    def notes(self) -> list[str]:
        """What an evaluation says of it."""
        return [f"compared with the window before it, from {stamp(self.start_ms)}"]
