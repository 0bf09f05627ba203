"""One feature of a reference: what was seen in training, and the counts that live values become.

A number becomes a rank code against the reference's own order statistics (its edges): `2i` for the
gap before edge i, `2i + 1` for a value equal to edge i. A category becomes its place in the
reference's list of names. Counts of codes merge by integer addition: no order, no error.
"""

import dataclasses
import functools
from typing import Any, Literal

import msgspec
import numpy as np

from stream.columns import Codes, Column, Floats, Ints, name_of_number
from stream.hours import Hours

Kind = Literal["number", "category"]
Role = Literal["input", "output"]
MAX_EDGES = 2_048
MAX_CATEGORIES = 1_000
FEW_VALUES = 10  # so few distinct whole numbers are names, not amounts
BLOCK = 1 << 16  # values looked at together where a column may be long
SPARSE = 2  # values for each edge: with more of them it is quicker to look up the edges


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    kind: Kind
    counts: list[int]
    edges: list[float] = []
    names: list[str] = []
    exact: bool = True
    mean: float = 0.0
    sd: float = 0.0
    hours: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureReference:
    """The frozen distribution of one feature, and the way to code live values against it.

    counts, shape (width,), int64: for a number the 2k + 1 rank codes, then missing, non-finite
    and wrong type (a word where a number was); for a category the names, then other and missing.
    edges, shape (k,), float64, strictly rising: every distinct value of the reference where
    `exact`, else order statistics with the extremes among them. mean, sd: of the raw values.
    hours: the same by hour, where it is compared so.
    """

    name: str
    kind: Kind
    counts: Ints
    edges: Floats
    names: tuple[str, ...] = ()
    exact: bool = True
    mean: float = 0.0
    sd: float = 0.0
    hours: Hours | None = None

    @property
    def width(self) -> int:
        """Length of a vector of counts."""
        return self.cells + (3 if self.kind == "number" else 2)

    @property
    def cells(self) -> int:
        """How many leading counts are values: rank codes, or the reference's names."""
        return 2 * len(self.edges) + 1 if self.kind == "number" else len(self.names)

    @property
    def rows(self) -> int:
        """Rows of the reference, missing ones too."""
        return int(self.counts.sum())

    @property
    def missing_at(self) -> int:
        """Place of the count of missing values."""
        return self.cells if self.kind == "number" else self.cells + 1

    @property
    def missing(self) -> int:
        """Missing values in the reference."""
        return int(self.counts[self.missing_at])

    def codes(self, column: Column) -> Codes:
        """Code of each value, shape (n,), int32, from 0 to width - 1."""
        return self._ranks(column) if self.kind == "number" else self._places(column)

    def counts_of(self, column: Column) -> Ints:
        """Counts of a column's codes, shape (width,), int64."""
        if self.kind == "category":
            return np.bincount(self.codes(column), minlength=self.width)
        words = 0 if column.codes is None else int((column.codes >= 0).sum())
        x = (
            column.numbers
            if column.codes is None or not words
            else column.numbers[column.codes < 0]
        )
        ordered = np.sort(x)  # makes the search three times faster; NaN comes last
        low = int(np.searchsorted(ordered, -np.inf, "right"))
        high, present = np.searchsorted(ordered, np.inf), np.searchsorted(ordered, np.inf, "right")
        finite = ordered[low:high]
        if len(finite) > SPARSE * len(self.edges):
            ranks = _sorted_counts(self.edges, finite)
        else:
            ranks = np.bincount(self._ranks_of(finite), minlength=self.cells)
        return np.append(ranks, [len(x) - present, low + present - high, words])

    def add_few(self, counts: Ints, column: Column) -> None:
        """Add a column of numbers to counts, shape (width,), place by place.

        The same as adding `counts_of`, and quicker where the values are fewer than the places.
        """
        known = column if column.codes is not None else Column(np.sort(column.numbers))
        np.add.at(counts, self._ranks(known), 1)

    @functools.cached_property
    def _guarded(self) -> Floats:
        return np.append(self.edges, np.nan)

    def _ranks(self, column: Column) -> Codes:
        x = column.numbers
        codes: Codes = self._ranks_of(x).astype(np.int32)
        finite = np.isfinite(x)
        if not finite.all():
            codes[~finite] = self.cells + 1
            codes[np.isnan(x)] = self.cells
        if column.codes is not None:
            codes[column.codes >= 0] = self.cells + 2
        return codes

    def _ranks_of(self, x: Floats) -> Ints:
        found = np.searchsorted(self.edges, x)
        codes: Ints = 2 * found + (self._guarded[found] == x)
        return codes

    @functools.cached_property
    def _places_of_words(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @functools.cached_property
    def _places_of_numbers(self) -> tuple[Floats, Codes]:
        pairs = sorted((x, i) for i, name in enumerate(self.names) if (x := _number(name)) == x)
        values = np.array([x for x, _ in pairs] + [np.nan])
        return values, np.array([i for _, i in pairs] + [self.cells], dtype=np.int32)

    def _places(self, column: Column) -> Codes:
        values, places = self._places_of_numbers
        found = np.searchsorted(values[:-1], column.numbers)
        same = values[found] == column.numbers
        codes = np.full(len(same), self.cells, dtype=np.int32)
        codes[same] = places[found[same]]
        codes[np.isnan(column.numbers)] = self.missing_at
        if column.codes is not None:
            words = column.codes >= 0
            known = [self._places_of_words.get(w, self.cells) for w in column.words]
            codes[words] = np.array(known, dtype=np.int32)[column.codes[words]]
        return codes

    def document(self) -> dict[str, Any]:
        """The reference as plain values for JSON; `from_document` reads it back to the bit."""
        found: dict[str, Any] = {"kind": self.kind, "counts": self.counts.tolist()}
        found |= {"hours": self.hours.document()} if self.hours else {}
        if self.kind == "category":
            return found | {"names": list(self.names)}
        known = {"edges": self.edges.tolist(), "exact": self.exact}
        return found | known | {"mean": self.mean, "sd": self.sd}


def from_document(name: str, document: object) -> FeatureReference:
    """The feature of a document. Raises ValueError, naming the feature and what is wrong."""
    try:
        d = msgspec.convert(document, _Document)
    except msgspec.ValidationError as e:
        raise ValueError(f"reference of {name!r}: {e}") from None
    try:
        counts = np.array(d.counts, dtype=np.int64)
    except OverflowError:
        raise ValueError(f"reference of {name!r}: a count is over 2**63") from None
    edges = np.array(d.edges, dtype=np.float64)
    feature = FeatureReference(name, d.kind, counts, edges, tuple(d.names), d.exact, d.mean, d.sd)
    _check(feature)
    return feature if d.hours is None else _by_hour(feature, d.hours)


def _by_hour(f: FeatureReference, hours: dict[str, Any]) -> FeatureReference:
    try:
        found = Hours.from_document(hours, f.cells, f.width)
    except ValueError as error:
        raise ValueError(f"reference of {f.name!r} {error}") from None
    return dataclasses.replace(f, hours=found)


def _check(f: FeatureReference) -> None:
    rules = [
        (len(f.counts) == f.width, f"has {len(f.counts)} counts, must have {f.width}"),
        (bool((f.counts >= 0).all()), "has a count below 0"),
        (int(f.counts.max(initial=0)) < 2**53 // max(1, f.width), "has a count that is too large"),
        (bool(np.isfinite(f.edges).all()), "has an edge that is not finite"),
        (bool((np.diff(f.edges) > 0).all()), "has edges that do not rise"),
        (bool(np.isfinite([f.mean, f.sd]).all()) and f.sd >= 0, "has a wrong mean or sd"),
        (len(set(f.names)) == len(f.names), "has a name twice"),
    ]
    for ok, wrong in rules:
        if not ok:
            raise ValueError(f"reference of {f.name!r} {wrong}")


def summarise(
    name: str,
    column: Column,
    kind: Kind | None = None,
    *,
    max_edges: int = MAX_EDGES,
    max_categories: int = MAX_CATEGORIES,
) -> FeatureReference:
    """The reference of one column of raw values; its kind is guessed where not given."""
    if (kind or guess_kind(column)) == "category":
        return _categories(name, column, max_categories)
    return _numbers(name, column, max_edges)


def guess_kind(column: Column) -> Kind:
    """Category where most values are words, or where few distinct whole numbers occur."""
    words = 0 if column.codes is None else int((column.codes >= 0).sum())
    if words > int(np.isfinite(column.numbers).sum()):
        return "category"
    return "category" if _few_whole(column.numbers) else "number"


def _few_whole(x: Floats) -> bool:
    """A block at a time: most columns are told by the first, whatever their length."""
    distinct = np.zeros(0)
    for at in range(0, len(x), BLOCK):
        block = x[at : at + BLOCK]
        distinct = np.union1d(distinct, block[np.isfinite(block)])
        if len(distinct) > FEW_VALUES or bool((distinct != np.floor(distinct)).any()):
            return False
    return len(distinct) > 0


def _numbers(name: str, column: Column, max_edges: int) -> FeatureReference:
    """One sorted copy of the column and, at the end, one more of its size: it may be long."""
    x = column.numbers[np.isfinite(column.numbers)]
    x.sort()
    first = np.append(True, x[1:] != x[:-1])[: len(x)]
    exact = int(first.sum()) <= max_edges
    if exact:
        edges = x[first]
    else:
        edges = np.unique(x[np.linspace(0, len(x) - 1, max_edges).round().astype(np.int64)])
    edges = edges + 0.0  # one zero of the two, whichever sorting has put first
    empty = FeatureReference(name, "number", np.zeros(0, dtype=np.int64), edges)
    ranks = _sorted_counts(edges, x) if len(x) else np.zeros(1, dtype=np.int64)
    counts = np.append(ranks, _unusable(column))
    mean, sd = _moments(x)
    return dataclasses.replace(empty, counts=counts, exact=exact, mean=mean, sd=sd)


def _sorted_counts(edges: Floats, x: Floats) -> Ints:
    """How many of rising values have each rank code, shape (2k + 1,): looked up by the edges.

    x: at least one value.
    """
    starts = np.searchsorted(x, edges)
    ends = np.column_stack([starts, starts])
    there = np.flatnonzero(x[np.minimum(starts, len(x) - 1)] == edges)
    ends[there, 1] = np.searchsorted(x, edges[there], "right")
    return np.diff(ends.ravel(), prepend=0, append=len(x))


def _unusable(column: Column) -> list[int]:
    """How many are missing, non-finite and of the wrong type."""
    worded = np.False_ if column.codes is None else column.codes >= 0
    missing = int((np.isnan(column.numbers) & ~worded).sum())
    return [missing, int((np.isinf(column.numbers) & ~worded).sum()), int(np.sum(worded))]


def _moments(x: Floats) -> tuple[float, float]:
    """Mean and standard deviation, finite for every finite x: computed on a scale of 1.

    x rises, and is used up: it may be long.
    """
    if len(x) == 0 or x[0] == x[-1]:
        return (float(x[0]) if len(x) else 0.0), 0.0
    scale = float(max(-x[0], x[-1]))
    scaled = np.divide(x, scale, out=x)
    largest = float(np.finfo(np.float64).max)
    return float(scaled.mean() * scale), min(float(scaled.std() * scale), largest)


def _categories(name: str, column: Column, max_categories: int) -> FeatureReference:
    found = tally(column)
    kept = sorted(found, key=lambda n: (-found[n], n))[:max_categories]
    edges = np.zeros(0)
    empty = FeatureReference(name, "category", np.zeros(0, dtype=np.int64), edges, tuple(kept))
    return dataclasses.replace(empty, counts=empty.counts_of(column))


def tally(column: Column) -> dict[str, int]:
    """How often each category occurs, missing ones left out. Loops over distinct values only."""
    found: dict[str, int] = {}
    if column.codes is not None:
        used = np.bincount(column.codes[column.codes >= 0], minlength=len(column.words))
        found = {w: n for w, n in zip(column.words, used.tolist(), strict=True) if n}
    values, times = np.unique(column.numbers[~np.isnan(column.numbers)], return_counts=True)
    for x, n in zip(values.tolist(), times.tolist(), strict=True):
        word = name_of_number(x) or ""
        found[word] = found.get(word, 0) + n
    return found


def _number(name: str) -> float:
    """The number whose category has this name, or NaN."""
    try:
        x = float(name)
    except ValueError:
        return float("nan")
    return x if name_of_number(x) == name else float("nan")
