"""High-water marks: which records of which source partition have been applied.

A source topic that was deleted and made anew begins at offset 0 again, so a mark belongs to one
identity of its topic. Another identity is refused until somebody has accepted it; from then on the
old mark still judges what comes late of the old topic, and the new one what comes of the new.
"""

import dataclasses
from collections.abc import Iterator

Source = tuple[str, int]
Rows = list[tuple[str, int, str, int]]
MAX_CLOSED = 16  # identities of one source partition that are remembered, the newest


class Replaced(ValueError):
    """A source topic of the same name is another one now: its offsets mean other records."""


@dataclasses.dataclass(slots=True)
class Mark:
    """The last offset applied of a source partition, and the identity of its topic."""

    topic_id: str
    offset: int


@dataclasses.dataclass(slots=True)
class Sources:
    """One mark a source partition: exact, small, and all that deduplication needs.

    closed: the marks of topics that were there before, oldest first.
    """

    marks: dict[Source, Mark] = dataclasses.field(default_factory=dict)
    closed: dict[Source, list[Mark]] = dataclasses.field(default_factory=dict)

    def applied(self, source: Source, topic_id: str) -> int:
        """The highest offset applied, -1 for none. Raises Replaced for another topic's mark."""
        mark = self._mark(source, topic_id)
        if mark is not None:
            return mark.offset
        if source not in self.marks:
            return -1
        known = self.marks[source]
        raise Replaced(replaced(source, known, topic_id))

    def _mark(self, source: Source, topic_id: str) -> Mark | None:
        """The mark of one identity; an identity that is not known is the newest one."""
        newest = self.marks.get(source)
        if newest is None or not topic_id or not newest.topic_id or topic_id == newest.topic_id:
            return newest
        return next((m for m in self.closed.get(source, []) if m.topic_id == topic_id), None)

    def advance(self, source: Source, topic_id: str, offset: int) -> None:
        """Set the mark; it never goes back."""
        known = self._mark(source, topic_id)
        if known is None:
            assert source not in self.marks, f"{source}: {topic_id} was never accepted"
            self.marks[source] = Mark(topic_id, offset)
        elif offset > known.offset:
            known.offset, known.topic_id = offset, topic_id or known.topic_id

    def accept(self, source: Source, topic_id: str) -> bool:
        """Take the topic's new identity for granted from now on; False where it was known."""
        newest = self.marks.get(source)
        if newest is None or self._mark(source, topic_id) is not None:
            return False
        self.closed[source] = [*self.closed.get(source, []), newest][-MAX_CLOSED:]
        self.marks[source] = Mark(topic_id, -1)
        return True

    def dump(self) -> Rows:
        """Plain values, in order: of each source partition the newest mark last."""
        return [
            (*source, m.topic_id, m.offset)
            for source, newest in sorted(self.marks.items())
            for m in (*self.closed.get(source, []), newest)
        ]

    @classmethod
    def load(cls, rows: Rows) -> "Sources":
        """The marks of `dump`."""
        found = cls()
        for topic, partition, topic_id, offset in rows:
            source = (topic, partition)
            if source in found.marks:
                found.closed.setdefault(source, []).append(found.marks[source])
            found.marks[source] = Mark(topic_id, offset)
        return found

    def __iter__(self) -> Iterator[tuple[Source, Mark]]:
        return iter(sorted(self.marks.items()))


def replaced(source: Source, known: Mark, topic_id: str) -> str:
    """What is said of a source topic that is another one than that of a mark."""
    return (
        f"topic {source[0]} was deleted and made anew: records up to offset {known.offset} of its "
        f"partition {source[1]} were counted from topic id {known.topic_id}, now its id is "
        f"{topic_id}. Stop all workers and run: driftline repair sources"
    )
