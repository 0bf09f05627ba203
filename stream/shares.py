"""Shares: one partition's part of a pane, as integer counts of codes that merge by addition."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

import msgspec
import numpy as np
import xxhash

from stream.columns import Bools, Codes, Column, Floats, Ints, column_of
from stream.expectations import Expected
from stream.features import FeatureReference, tally
from stream.layouts import ODDS, SEGMENT, WHOLE, layout, pack, unpack, wholes_width
from stream.odds import SAID
from stream.references import Reference
from stream.segments import Key
from stream.sources import Source

FORMAT = 1
KEPT_NAMES = 32  # new categories of a feature, and unknown features, remembered by name
NAME_CHARS = 64
FEW = 4  # times so many values are fewer than the places of a feature: most stay as they are
UTF8 = ("utf-8", "surrogatepass")  # a name from outside may hold half a pair
Names = dict[str, int]


class _Packed(msgspec.Struct, array_like=True):
    format: int
    checksum: int
    reference_id: str
    rows: int
    first_ms: int | None
    last_ms: int | None
    sources: list[tuple[str, int, int, int]]
    new_names: dict[str, Names]
    unknown: Names
    step: str  # type of the distances between filled places; "" where every place is written
    value: str
    steps: bytes
    values: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """All of a share but its counts. Nothing of it changes."""

    rows: int
    first_ms: int | None
    last_ms: int | None
    sources: Mapping[Source, tuple[int, int]]
    new_names: Mapping[str, Names]
    unknown: Names


@dataclasses.dataclass(eq=False)
class Share:
    """Counts of every feature and output of a reference.

    vector, shape (sum of widths,), int64: the features' counts one after the other, then the
    outputs', then how often each value of a segment's name came, and the same of the rows of each
    segment, then those of vectors as a whole. sources: first and last source offset by (topic,
    partition). new_names: categories the reference does not know, by feature; unknown: features it
    does not know. Both hold the names with the lowest hashes, with exact counts, so they merge in
    any order too.
    """

    reference: Reference
    rows: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    sources: dict[Source, tuple[int, int]] = dataclasses.field(default_factory=dict)
    new_names: dict[str, Names] = dataclasses.field(default_factory=dict)
    unknown: Names = dataclasses.field(default_factory=dict)
    vector: Ints = dataclasses.field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __post_init__(self) -> None:
        self._places, width = layout(self.reference)
        if len(self.vector) == 0:
            self.vector = np.zeros(width, dtype=np.int64)
        if len(self.vector) != width:
            raise ValueError(f"share: {len(self.vector)} counts, its reference needs {width}")

    def counts(self, name: str, role: str = "input") -> Ints:
        """Counts of one feature (role "input") or output ("output"), shape (width,): a view.

        Of a vector as a whole (role WHOLE): see `stream.wholes`.
        """
        return self.vector[self._places[role, name]]

    def segment(self, key: Key) -> "Share":
        """The counts of one segment against its own reference: a view, without a head."""
        name, value = key
        place = self.reference.dimensions[name].names.index(value)
        rows = int(self.counts(name, SEGMENT)[place])
        view = self.vector[self._places[SEGMENT, name, value]]
        return Share(self.reference.segments[key], rows, vector=view)

    def update(
        self,
        features: Mapping[str, Column],
        prediction: Column | None,
        confidence: Floats | None,
        times_ms: Ints,
        source: Source | None = None,
        offsets: Ints | None = None,
        segments: Mapping[str, Column] | None = None,
    ) -> None:
        """Take n rows in. Columns and times have n values; a feature left out is missing n times.

        source, offsets: where the rows come from, to be named in a retrain request. segments: the
        values of each name.
        """
        n = len(times_ms)
        if n == 0:
            return
        self.rows += n
        self._span(int(times_ms.min()), int(times_ms.max()))
        if source is not None and offsets is not None:
            self.came_from(source, int(offsets.min()), int(offsets.max()))
        for name, feature in self.reference.features.items():
            self._count("input", feature, features.get(name), n)
        outputs = {"prediction": prediction, "confidence": _column(confidence)}
        for name, feature in self.reference.outputs.items():
            self._count("output", feature, outputs.get(name), n)
        self._count_wholes(features)
        known, vectors = self.reference.features, self.reference.vectors.elements
        strange = {name: n for name in features if name not in known and name not in vectors}
        if strange:
            self.unknown = _kept(self.unknown, strange)
        for name, dimension in self.reference.dimensions.items():
            codes = _codes(dimension, (segments or {}).get(name), n)
            self._divide(dimension, codes, features, prediction, confidence, times_ms)

    def _divide(
        self,
        dimension: FeatureReference,
        codes: Codes,
        features: Mapping[str, Column],
        prediction: Column | None,
        confidence: Floats | None,
        times_ms: Ints,
    ) -> None:
        """Take the rows in once more, those of each value of a name by themselves."""
        for own, rows in self._parts(dimension, codes):
            own.update(
                {
                    name: features[name].take(rows)
                    for name in own.reference.features
                    if name in features
                },
                None if prediction is None else prediction.take(rows),
                None if confidence is None else confidence[rows],
                times_ms[rows],
            )
        counts = self.counts(dimension.name, SEGMENT)
        counts += np.bincount(codes, minlength=dimension.width)

    def _parts(self, dimension: FeatureReference, codes: Codes) -> Iterator[tuple["Share", Ints]]:
        """Each segment of a name that has any of n rows, and their places."""
        found = np.bincount(codes, minlength=dimension.width)
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(found)
        for place in np.flatnonzero(found[: dimension.cells]).tolist():
            rows = order[ends[place] - found[place] : ends[place]]
            yield self.segment((dimension.name, dimension.names[place])), rows

    def count_odds(
        self, scores: Floats, answered: Bools, segments: Mapping[str, Column] | None = None
    ) -> None:
        """Take in what n answers were given, NaN where nothing, and which are the positive class.

        segments: the values of each name, of those whose reference knows what scores mean.
        """
        odds = self.reference.odds
        if odds is not None:
            known = np.isfinite(scores)
            for said, rows in zip(SAID, (known & ~answered, known & answered), strict=True):
                _add(self.counts(said, ODDS), odds.score, Column(scores[rows]))
        for name, dimension in self.reference.dimensions.items():
            if any(self.reference.segments[name, value].odds for value in dimension.names):
                codes = _codes(dimension, (segments or {}).get(name), len(scores))
                for own, places in self._parts(dimension, codes):
                    own.count_odds(scores[places], answered[places])

    def expected(self) -> Expected | None:
        """How good the answers are by expectation; None where scores are not counted."""
        odds = self.reference.odds
        if odds is None:
            return None
        return odds.expectation(*(self.counts(said, ODDS) for said in SAID))

    def _count(self, role: str, feature: FeatureReference, column: Column | None, n: int) -> None:
        counts = self.counts(feature.name, role)
        if column is None:
            counts[feature.missing_at] += n
        elif feature.kind == "number":
            _add(counts, feature, column)
        else:
            found = feature.counts_of(column)
            counts += found
            if found[feature.cells]:
                key = feature.name if role == "input" else f"{role}:{feature.name}"
                self._name(key, tally(column.take(feature.codes(column) == feature.cells)))

    def _count_wholes(self, features: Mapping[str, Column]) -> None:
        for name, whole in self.reference.wholes.items():
            own = [features.get(element) for element in self.reference.vectors.elements[name]]
            columns = [column for column in own if column is not None]
            if len(columns) == len(own):
                self.counts(name, WHOLE)[:] += whole.counts_of(columns)

    def _name(self, key: str, found: Names) -> None:
        self.new_names[key] = _kept(self.new_names.get(key, {}), found)

    def _span(self, first: int, last: int) -> None:
        self.first_ms = first if self.first_ms is None else min(first, self.first_ms)
        self.last_ms = last if self.last_ms is None else max(last, self.last_ms)

    def came_from(self, source: Source, first: int, last: int) -> None:
        """Note the source offsets of rows, whether they are counted by now or not."""
        known = self.sources.get(source, (first, last))
        self.sources[source] = (min(known[0], first), max(known[1], last))

    def merge(self, other: "Share") -> None:
        """Add another share of the same reference. Raises ValueError where it is of another."""
        if other.reference.id != self.reference.id:
            raise ValueError(f"share of {other.reference.id} cannot join {self.reference.id}")
        self.vector += other.vector
        self.add_head(other.head())

    def head(self) -> Head:
        """All but the counts, as long as this share does not change."""
        spans = self.first_ms, self.last_ms
        return Head(self.rows, *spans, self.sources, self.new_names, self.unknown)

    def add_head(self, other: Head) -> None:
        """Add what another share has beside its counts."""
        self.rows += other.rows
        if other.first_ms is not None and other.last_ms is not None:
            self._span(other.first_ms, other.last_ms)
        for source, (first, last) in other.sources.items():
            self.came_from(source, first, last)
        for key, names in other.new_names.items():
            self._name(key, names)
        if other.unknown:
            self.unknown = _kept(self.unknown, other.unknown)

    @classmethod
    def merged(cls, reference: Reference, shares: Iterable["Share"]) -> Self:
        """The sum of any number of shares, as a new one."""
        total = cls(reference)
        for share in shares:
            total.merge(share)
        return total

    def copy(self) -> "Share":
        """A share that does not change with this one."""
        return Share.merged(self.reference, [self])

    def to_bytes(self) -> bytes:
        """Compact and equal for equal shares: filled places only, where that is shorter."""
        step, value, steps, values = pack(self.vector, wholes_width(self.reference))
        packed = _Packed(
            FORMAT,
            0,
            self.reference.id,
            self.rows,
            self.first_ms,
            self.last_ms,
            sorted((t, p, first, last) for (t, p), (first, last) in self.sources.items()),
            {k: _sorted(v) for k, v in sorted(self.new_names.items())},
            _sorted(self.unknown),
            step,
            value,
            steps,
            values,
        )
        packed.checksum = _checksum(packed)
        return msgspec.msgpack.encode(packed)

    @classmethod
    def from_bytes(cls, data: bytes, reference: Reference) -> Self:
        """Raises ValueError on damaged bytes, or where they belong to another reference."""
        try:
            p = msgspec.msgpack.decode(data, type=_Packed)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"share: {error}") from None
        checksum, p.checksum = p.checksum, 0
        if p.format != FORMAT or checksum != _checksum(p):
            raise ValueError("share: another format, or a checksum that does not match")
        if p.reference_id != reference.id:
            raise ValueError(f"share of {p.reference_id} read with reference {reference.id}")
        (_, width), wholes = layout(reference), wholes_width(reference)
        sources = {(topic, part): (first, last) for topic, part, first, last in p.sources}
        vector = unpack((p.step, p.value, p.steps, p.values), width, wholes)
        return cls(
            reference, p.rows, p.first_ms, p.last_ms, sources, p.new_names, p.unknown, vector
        )


def _add(counts: Ints, feature: FeatureReference, column: Column) -> None:
    """Add numbers to the counts of a feature, shape (width,)."""
    if FEW * len(column) < feature.width:
        feature.add_few(counts, column)
    else:
        counts += feature.counts_of(column)


def _codes(dimension: FeatureReference, column: Column | None, n: int) -> Codes:
    if column is None:
        return np.full(n, dimension.missing_at, dtype=np.int32)
    return dimension.codes(column)


def _column(numbers: Floats | None) -> Column | None:
    return None if numbers is None else column_of(numbers)


def _kept(known: Names, found: Names) -> Names:
    """Both tallies, cut to the names with the lowest hashes.

    A name that is among the lowest of all is among the lowest of every part: its count is exact.
    """
    total = dict(known)
    for name, n in found.items():
        short = name[:NAME_CHARS]
        total[short] = total.get(short, 0) + n
    if len(total) <= KEPT_NAMES:
        return total
    lowest = sorted(total, key=lambda n: (xxhash.xxh3_64_intdigest(n.encode(*UTF8)), n))
    return {name: total[name] for name in lowest[:KEPT_NAMES]}


def _sorted(names: Names) -> Names:
    return dict(sorted(names.items()))


def _checksum(packed: _Packed) -> int:
    return xxhash.xxh3_64_intdigest(msgspec.msgpack.encode(packed))
