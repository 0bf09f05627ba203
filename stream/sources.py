"""High-water marks: which records of which source partition have been applied."""

import dataclasses

Source = tuple[str, int]


class Replaced(ValueError):
    """A source topic of the same name is another one now: its offsets mean other records."""


@dataclasses.dataclass(slots=True)
class Mark:
    """The last offset applied of a source partition, and the identity of its topic."""

    topic_id: str
    offset: int


@dataclasses.dataclass(slots=True)
class Sources:
    """One mark a source partition: exact, small, and all that deduplication needs."""

    marks: dict[Source, Mark] = dataclasses.field(default_factory=dict)

    def applied(self, source: Source, topic_id: str) -> int:
        """The highest offset applied, -1 for none. Raises Replaced for another topic's mark."""
        mark = self.marks.get(source)
        if mark is None:
            return -1
        if topic_id and mark.topic_id and topic_id != mark.topic_id:
            raise Replaced(
                f"topic {source[0]} was deleted and made anew: records up to offset {mark.offset} "
                f"of its partition {source[1]} were counted from topic id {mark.topic_id}, "
                f"now its id is {topic_id}"
            )
        return mark.offset

    def advance(self, source: Source, topic_id: str, offset: int) -> None:
        """Set the mark; it never goes back."""
        known = self.marks.get(source)
        if known is None:
            self.marks[source] = Mark(topic_id, offset)
        elif offset > known.offset:
            known.offset, known.topic_id = offset, topic_id or known.topic_id

    def dump(self) -> list[tuple[str, int, str, int]]:
        """Plain values, in order."""
        return [(*s, m.topic_id, m.offset) for s, m in sorted(self.marks.items())]

    @classmethod
    def load(cls, rows: list[tuple[str, int, str, int]]) -> "Sources":
        """The marks of `dump`."""
        return cls({(topic, p): Mark(topic_id, offset) for topic, p, topic_id, offset in rows})
