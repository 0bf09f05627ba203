"""Columns: one named series of raw values, as arrays.

A value on the wire is a number, a word, a truth value or nothing. A column keeps numbers in one
array and words in a dictionary, so that no stage after decoding loops over values.
"""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]

Value = float | int | str | bool | None


class Column(msgspec.Struct, frozen=True, eq=False, gc=False):
    """n values. Value i is `words[codes[i]]` where codes[i] >= 0, else numbers[i]; NaN is missing.

    numbers: shape (n,), float64. codes: shape (n,), int32, or None where no value is a word.
    """

    numbers: Floats
    codes: Codes | None = None
    words: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Ints | Bools | slice) -> "Column":
        """The rows of an index, mask or slice, in its order."""
        codes = None if self.codes is None else self.codes[rows]
        return Column(self.numbers[rows], codes, self.words)

    def names(self) -> list[str | None]:
        """Every value as the name of a category; None is missing."""
        found: list[str | None] = [name_of_number(x) for x in self.numbers.tolist()]
        if self.codes is not None:
            for i in np.flatnonzero(self.codes >= 0):
                found[i] = self.words[self.codes[i]]
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Excerpt(Mapping[str, Column]):
    """Some columns or rows of a table, which is not read at once: each column when it is asked for.

    places: the rows, in this order. names: the columns. None is all of them.
    """

    columns: Mapping[str, Column]
    places: Ints | None = None
    names: Collection[str] | None = None

    def __getitem__(self, name: str) -> Column:
        column = self.columns[name]
        return column if self.places is None else column.take(self.places)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns if self.names is None else self.names)

    def __len__(self) -> int:
        return len(self.columns if self.names is None else self.names)


def name_of_number(x: float) -> str | None:
    """The category that a number stands for: 1.0 is "1", 0.5 is "0.5", NaN is missing."""
    if x != x:
        return None
    return str(int(x)) if x.is_integer() and abs(x) < 2**53 else repr(x)


def column_of(values: Iterable[Value] | Floats) -> Column:
    """A column of Python values; True and False become the words "true" and "false"."""
    if isinstance(values, np.ndarray):
        return Column(np.asarray(values, dtype=np.float64))
    listed = list(values)
    if all(type(v) is float or type(v) is int for v in listed):
        return Column(np.array(listed, dtype=np.float64))
    return _mixed(listed)


def _mixed(values: Sequence[Value]) -> Column:
    numbers = np.full(len(values), np.nan)
    codes = np.full(len(values), -1, dtype=np.int32)
    words: dict[str, int] = {}
    for i, v in enumerate(values):
        if isinstance(v, bool):
            codes[i] = words.setdefault("true" if v else "false", len(words))
        elif isinstance(v, str):
            codes[i] = words.setdefault(v, len(words))
        elif v is not None:
            numbers[i] = v
    return Column(numbers, codes if words else None, tuple(words))
