"""The monitor: one model version, from the signals of all partitions to alerts and requests.

Two tracks run in order of event time. Inputs: predictions up to the low watermark. Quality:
outcomes up to the low watermark of the truth, which never runs ahead of the first. So what an
evaluation of quality knows of the inputs does not depend on which of them was read first.
"""

from collections.abc import Callable

from stream.changes import Changes
from stream.leisure import ALWAYS, Leisure
from stream.monitor import judging, receiving, state
from stream.monitor.memory import KINDS, Memory
from stream.references import Reference
from stream.settings import ModelSettings
from stream.signals import ShareName, Signals

__all__ = ["Memory", "Monitor", "judging", "receiving", "state"]


class Monitor:
    """All that watch knows of one model version. Gather, decide, apply, as in `stream.ledger`."""

    def __init__(self, model: str, version: str, settings: ModelSettings) -> None:
        self.memory = Memory(model, version, settings)

    @property
    def key(self) -> str:
        """The model version as part of a key."""
        return self.memory.key

    def receive(self, signals: Signals) -> bool:
        """Take in a message; False for one that was there. Raises `stream.clocks.Gap`."""
        return receiving.receive(self.memory, signals)

    def due(self) -> bool:
        """Whether `advance` will judge a window."""
        return any(judging.late(self.memory, k) or judging.due(self.memory, k) for k in KINDS)

    def wanted(self) -> list[ShareName]:
        """The sealed shares that the next `advance` needs."""
        return judging.wanted(self.memory)

    def wanted_references(self) -> set[str]:
        """Ids of references that are named and not in memory."""
        named = {name.reference for name in self.wanted() if name.reference}
        return (named | {ref for _, ref in self.memory.active}) - set(self.memory.references)

    def supply_reference(self, ref: str, reference: Reference) -> None:
        """A reference that was wanted."""
        self.memory.references[ref] = reference

    def supply(self, name: ShareName, raw: bytes | None) -> None:
        """A share that was wanted, None where it is no more. Raises ValueError if damaged."""
        self.memory.windows[name.kind].add(name, raw, self.memory.references)

    def advance(self, leisure: Leisure = ALWAYS) -> bool:
        """Do what is due: all that was `wanted` is in memory. Whether more is due at once.

        Raises Interrupted where `leisure` says so; the memory is sound, and the rest still due.
        """
        return judging.advance(self.memory, leisure)

    def save(self) -> Changes:
        """Everything since the last call, with what is to be published, in order."""
        return state.save(self.memory)

    @classmethod
    def load(cls, raw: bytes, settings: Callable[[str], ModelSettings]) -> "Monitor":
        """The monitor of a field "monitor/..."; `load_field` takes up the others.

        Raises ValueError where it is damaged, of another format, or of another `pane_s`.
        """
        found = cls.__new__(cls)
        found.memory = state.load(raw, settings)
        return found

    def load_field(self, kind: str, rest: str, raw: bytes) -> None:
        """Take up one more field of the state: "kind/key/rest". Raises ValueError if damaged."""
        state.load_field(self.memory, kind, rest, raw)
