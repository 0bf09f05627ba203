"""What one partition asks its checkpoint to make durable, all at once or not at all."""

import dataclasses

Headers = tuple[tuple[str, bytes], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class OutMessage:
    """A record to be published once its checkpoint has been committed. topic: without prefix."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers = ()


@dataclasses.dataclass(slots=True)
class Changes:
    """Absolute values since the last checkpoint.

    puts, deletes: fields of the partition's state. pending_puts, pending_deletes: entries that
    wait for truth, by id hash. references: immutable documents by content id, written first.
    """

    puts: dict[str, bytes] = dataclasses.field(default_factory=dict)
    deletes: set[str] = dataclasses.field(default_factory=set)
    pending_puts: dict[int, bytes] = dataclasses.field(default_factory=dict)
    pending_deletes: set[int] = dataclasses.field(default_factory=set)
    outbox: list[OutMessage] = dataclasses.field(default_factory=list)
    references: dict[str, bytes] = dataclasses.field(default_factory=dict)

    def __bool__(self) -> bool:
        return any((self.puts, self.deletes, self.pending_puts, self.pending_deletes, self.outbox))

    def put(self, field: str, value: bytes) -> None:
        """Set a field; a deletion asked for before is withdrawn."""
        self.deletes.discard(field)
        self.puts[field] = value

    def delete(self, field: str) -> None:
        """Remove a field; a value set before is withdrawn."""
        self.puts.pop(field, None)
        self.deletes.add(field)
