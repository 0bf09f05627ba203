"""Shelves: the books of one partition and the truth clocks of its models, bounded in number."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import msgspec

from stream.books import Book
from stream.cohorts import Cohorts
from stream.fronts import Front, State
from stream.settings import ModelSettings
from stream.sources import Source

Settings = Callable[[str], ModelSettings]
MAX_MODELS = 10_000


@dataclasses.dataclass(slots=True)
class Truths:
    """How far the truth of a model has come. sources: offsets of truth by pane of label time."""

    front: Front = dataclasses.field(default_factory=Front)
    sources: dict[int, Cohorts] = dataclasses.field(default_factory=dict)
    touched: bool = True

    @property
    def watermark_ms(self) -> int:
        """No truth before it is expected."""
        return self.front.watermark_ms

    def came_from(self, pane: int, source: Source, first: int, last: int) -> None:
        """Note the source offsets of truth of a pane."""
        self.sources.setdefault(pane, Cohorts()).came_from(source, first, last)
        self.touched = True

    def forget(self, books: Sequence[Book], keep: int) -> None:
        """Drop what no page will ask for, and all but the newest panes."""
        needed = {pane for book in books for pane in book.quality.open}
        until = min((book.quality.until_ms for book in books), default=None)
        if until is not None:
            self.sources = {p: s for p, s in self.sources.items() if p >= until or p in needed}
        if len(self.sources) > keep:
            self.sources = {p: self.sources[p] for p in sorted(self.sources)[-keep:]}

    def to_bytes(self) -> bytes:
        """All of it."""
        told = [(pane, cohorts.to_bytes()) for pane, cohorts in sorted(self.sources.items())]
        return msgspec.msgpack.encode((self.front.dump(), told))

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Truths":
        """The content of `to_bytes`. Raises ValueError on anything else."""
        try:
            front, told = msgspec.msgpack.decode(raw, type=tuple[State, list[tuple[int, bytes]]])
        except msgspec.DecodeError as error:
            raise ValueError(f"a damaged truth clock: {error}") from error
        sources = {pane: Cohorts.from_bytes(packed) for pane, packed in told}
        return cls(Front.load(front), sources, touched=False)


class Shelf:
    """Books by model and version. limit: model versions, and models that have only truth."""

    def __init__(self, settings: Settings, limit: int = MAX_MODELS) -> None:
        self.settings, self.limit = settings, limit
        self.truths: dict[str, Truths] = {}
        self._books: dict[str, dict[str, Book]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Book]:
        return (book for versions in self._books.values() for book in versions.values())

    @property
    def models(self) -> list[str]:
        """The models that have a book or a truth clock."""
        return list(self._books | self.truths)

    def book(self, model: str, version: str) -> Book | None:
        """The book of a model version, opened if it is new; None past the limit."""
        found = self._books.get(model, {}).get(version)
        if found is None and self._size < self.limit:
            found = Book(model, version, self.settings(model))
            self.put(found)
        return found

    def put(self, book: Book) -> None:
        """Place a book that is not there yet."""
        self._books.setdefault(book.model, {})[book.version] = book
        self._size += 1

    def books_of(self, model: str) -> list[Book]:
        """The books of all versions of a model."""
        return list(self._books.get(model, {}).values())

    def truths_of(self, model: str) -> Truths | None:
        """The truth clock of a model, started if it is new; None past the limit."""
        if model not in self.truths:
            if model not in self._books and len(self.truths) >= self.limit:
                return None
            self.truths[model] = Truths()
        return self.truths[model]
