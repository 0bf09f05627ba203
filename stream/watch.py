"""The watch: one partition of the signals, which holds all messages of some models."""

from collections.abc import Callable, Mapping

from stream.changes import Changes
from stream.monitor import Monitor
from stream.references import Reference
from stream.settings import ModelSettings
from stream.signals import ShareName, decode_signals

Settings = Callable[[str], ModelSettings]
Wanted = dict[str, list[ShareName]]


class Watch:
    """Monitors by model version. Gather, decide, apply, as in `stream.ledger`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.monitors: dict[tuple[str, str], Monitor] = {}

    def receive(self, raw: bytes) -> None:
        """Take in one message. Raises ValueError on damaged bytes, stream.clocks.Gap on a hole."""
        signals = decode_signals(raw)
        key = (signals.model, signals.version)
        if key not in self.monitors:
            settings = self.settings(signals.model)
            self.monitors[key] = Monitor(signals.model, signals.version, settings)
        self.monitors[key].receive(signals)

    def wanted(self) -> Wanted:
        """Sealed shares that the next `advance` needs, by the key of their model version."""
        found = {m.key: m.wanted() for m in self.monitors.values()}
        return {key: names for key, names in found.items() if names}

    def wanted_references(self) -> set[str]:
        """Ids of references that are not in memory."""
        found: set[str] = set()
        for monitor in self.monitors.values():
            found |= monitor.wanted_references()
        return found

    def supply_references(self, references: Mapping[str, Reference]) -> None:
        """References that were wanted."""
        for monitor in self.monitors.values():
            for ref in monitor.wanted_references() & set(references):
                monitor.references[ref] = references[ref]

    def supply(self, key: str, shares: Mapping[ShareName, bytes]) -> None:
        """Shares that were wanted. Raises ValueError on damaged bytes."""
        monitor = next(m for m in self.monitors.values() if m.key == key)
        for name, raw in shares.items():
            monitor.supply(name, raw)

    def advance(self) -> bool:
        """Do what is due; whether more is due at once."""
        more = [monitor.advance() for monitor in self.monitors.values()]
        return any(more)

    def changes(self) -> Changes:
        """Everything since the last call, with what is to be published, in order."""
        found = Changes()
        for monitor in self.monitors.values():
            part = monitor.save()
            found.puts |= part.puts
            found.deletes |= part.deletes
            found.outbox += part.outbox
        return found

    def restore(self, fields: Mapping[str, bytes]) -> None:
        """Take up the state that the fields of `changes` make up. Raises ValueError if damaged."""
        for field, raw in sorted(fields.items()):
            if field.startswith("monitor/"):
                monitor = Monitor.load(raw, self.settings)
                self.monitors[monitor.model, monitor.version] = monitor
        keys = {monitor.key: monitor for monitor in self.monitors.values()}
        for field, raw in sorted(fields.items()):
            kind, _, rest = field.partition("/")
            key, _, last = rest.rpartition("/")
            if kind != "monitor":
                keys[key].load_field(kind, last, raw)
