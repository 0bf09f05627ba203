"""One versus rest: how often each probability was given to each of several classes, by truth.

Of more than two classes: each is told from all the others by its own probability (one versus rest).
At most MOST are counted. A row that names more of them is left out; where rows name more of
them together, no counts are kept: so no order, split or merge of what is added changes a count. A
class that is only in what was taken back may, beyond the limit, be one too many all the same.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from stream import scores
from stream.columns import Bools, Floats, Ints
from stream.scores import UNKNOWN, Scores

FEWEST, MOST = 3, 20  # of two classes the positive one tells all
Codes = npt.NDArray[np.uint16]
Packed = tuple[list[tuple[str, bytes]], bool]


@dataclasses.dataclass(frozen=True, slots=True)
class Given:
    """What rows gave to each class: codes of `stream.scores`, shape (n, k).

    panels: the classes of rows, in order, at most k each. panel: of each row, shape (n,), the place
    of its classes there; -1 where it has none to be counted.
    """

    panels: tuple[tuple[str, ...], ...]
    panel: Ints
    codes: Codes

    def take(self, rows: slice | Ints) -> "Given":
        """Some of them."""
        return Given(self.panels, self.panel[rows], self.codes[rows])


def given(classes: tuple[str, ...], matrix: Floats, label: Ints) -> Given | None:
    """What probabilities from 0 to 1, shape (n, k), gave to classes; None: nothing to be counted.

    label: the place of the true class, k or more where it is none of them, -1 where not known.
    """
    if not FEWEST <= len(classes) <= MOST:
        return None
    known: Bools = (label >= 0) & ~np.isnan(matrix).any(axis=1)
    p = np.where(known[:, None], matrix, 0.0)
    true = (label[:, None] == np.arange(len(classes))).astype(np.int64)
    codes = scores.codes(p, UNKNOWN, true)
    order = sorted(range(len(classes)), key=classes.__getitem__)  # senders name them in any order
    panel = tuple(classes[i] for i in order)
    return Given((panel,), np.where(known, 0, -1), codes.astype(np.uint16)[:, order])


def scattered(parts: list[Given | None], rows: list[list[int]], n: int) -> Given | None:
    """Parts of n rows as one, each at its rows."""
    some = [(part, at) for part, at in zip(parts, rows, strict=True) if part is not None]
    if not some:
        return None
    places: dict[tuple[str, ...], int] = {}
    panel = np.full(n, -1, dtype=np.int64)
    codes = np.zeros((n, max(part.codes.shape[1] for part, _ in some)), dtype=np.uint16)
    for part, at in some:
        own = [places.setdefault(classes, len(places)) for classes in part.panels]
        panel[at] = np.array([*own, -1], dtype=np.int64)[part.panel]  # -1: the last
        codes[at, : part.codes.shape[1]] = part.codes
    return Given(tuple(places), panel, codes)


@dataclasses.dataclass(slots=True, eq=False)
class OneVsRest:
    """Scores of each class by its name. crowded: there were too many, and none are kept."""

    found: dict[str, Scores] = dataclasses.field(default_factory=dict)
    crowded: bool = False

    def update(self, rows: Given, signs: Ints) -> None:
        """Take rows in, shape (n,); those of sign -1 are taken back."""
        for place in np.unique(rows.panel).tolist():
            own = rows.panel == place
            codes, counts = (rows.codes, signs) if own.all() else (rows.codes[own], signs[own])
            for k, name in enumerate(rows.panels[place] if place >= 0 else ()):
                self._of(name).add(codes[:, k], counts)
        self._limit()

    def merge(self, other: "OneVsRest") -> None:
        """Add another one's counts."""
        self.crowded |= other.crowded
        for name, counts in other.found.items():
            self._of(name).merge(counts)
        self._limit()

    def times(self, weight: int) -> "OneVsRest":
        """So many of each."""
        return OneVsRest({name: x.times(weight) for name, x in self.found.items()}, self.crowded)

    def __bool__(self) -> bool:
        return self.crowded or any(self.found.values())

    def counts(self) -> dict[str, Scores]:
        """Classes with counts, in order."""
        return {name: self.found[name] for name in sorted(self.found) if self.found[name]}

    def pack(self) -> Packed:
        """For msgpack; equal for equal counts."""
        return [(name, x.to_bytes()) for name, x in self.counts().items()], self.crowded

    @classmethod
    def unpack(cls, packed: Packed) -> "OneVsRest":
        """What was packed. Raises ValueError on impossible counts."""
        names = [name for name, _ in packed[0]]
        if names != sorted({*names}) or len(names) > MOST or (names and packed[1]):
            raise ValueError(f"damaged scores of {len(names)} classes")
        return cls({name: Scores.from_bytes(raw) for name, raw in packed[0]}, packed[1])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OneVsRest):
            return NotImplemented
        return self.crowded == other.crowded and self.counts() == other.counts()

    __hash__ = None  # type: ignore[assignment]

    def _of(self, name: str) -> Scores:
        found = self.found.get(name)
        if found is None:
            found = self.found[name] = Scores()
        return found

    def _limit(self) -> None:
        if len(self.found) > MOST:
            self.found = self.counts()
            self.crowded |= len(self.found) > MOST
        if self.crowded:
            self.found = {}
