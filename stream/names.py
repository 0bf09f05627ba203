"""Names: words and their numbers, so that an entry holds two bytes for a word.

The table is part of a partition's state. It only grows, and is kept in pieces of which a
checkpoint writes those that grew.
"""

from collections.abc import Iterator

import msgspec
import xxhash

FULL = 65_535  # the number that all words share for which there is no room
TOO_MANY = "(too many names)"
MAX_WORD_CHARS = 256
PIECE = 1_000


class Names:
    """Words in order of first appearance. limit: how many there may be, at most FULL."""

    def __init__(self, known: list[str] | None = None, limit: int = FULL) -> None:
        self.known = list(known or [])
        self.limit = min(limit, FULL)
        self._numbers = {word: i for i, word in enumerate(self.known)}
        self._saved = len(self.known)

    def __len__(self) -> int:
        return len(self.known)

    def number(self, word: str) -> int:
        """The number of a word; past the limit all new words share one."""
        found = self._numbers.get(word)
        if found is not None:
            return found
        if len(self.known) >= self.limit:
            return FULL
        self._numbers[word] = len(self.known)
        self.known.append(word)
        return len(self.known) - 1

    def word(self, number: int) -> str:
        """The word of a number. Raises ValueError where nothing has that number."""
        if number == FULL:
            return TOO_MANY
        if number >= len(self.known):
            raise ValueError(f"no name has the number {number}")
        return self.known[number]

    def canonical(self, word: str) -> str:
        """A word as it comes back from an entry: cut if it is long, or the one that all share."""
        return self.word(self.number(short(word)))

    def grown(self) -> Iterator[tuple[int, bytes]]:
        """The pieces that grew since the last call: their numbers and bytes."""
        if len(self.known) > self._saved:
            for piece in range(self._saved // PIECE, (len(self.known) - 1) // PIECE + 1):
                yield piece, msgspec.msgpack.encode(self.known[piece * PIECE : (piece + 1) * PIECE])
        self._saved = len(self.known)

    @classmethod
    def load(cls, pieces: dict[int, bytes], limit: int = FULL) -> "Names":
        """The names of all pieces. Raises ValueError if one is damaged or missing."""
        known: list[str] = []
        for piece in range(len(pieces)):
            if len(known) != piece * PIECE or piece not in pieces:
                raise ValueError(f"names: piece {piece} of {len(pieces)} does not fit")
            try:
                known += msgspec.msgpack.decode(pieces[piece], type=list[str])
            except msgspec.DecodeError as error:
                raise ValueError(f"names: piece {piece}: {error}") from error
        return cls(known, limit)


def short(word: str) -> str:
    """A word of bounded length: a long one is cut, and told apart by its hash."""
    if len(word) <= MAX_WORD_CHARS:
        return word
    return word[: MAX_WORD_CHARS - 16] + xxhash.xxh3_64_hexdigest(word.encode())
