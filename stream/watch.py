"""The watch: one partition of the signals, which holds all messages of some models."""

import itertools
from collections.abc import Callable, Mapping

from stream.books import model_key
from stream.changes import Changes
from stream.leisure import ALWAYS, Interrupted, Leisure
from stream.monitor import Monitor, closing
from stream.references import Reference
from stream.settings import ModelSettings
from stream.signals import ShareName, decode_signals

Settings = Callable[[str], ModelSettings]
Wanted = dict[str, list[ShareName]]
URGENT = ("alerts", "retrain-requests")
MAX_AT_ONCE = 8  # monitors with windows to judge, before the shell may do something else
MAX_LIGHT = 200  # monitors that have at most values to feed


class Watch:
    """Monitors by the key of their model version. Gather, decide, apply, as in `stream.ledger`.

    stirred: keys of those that may have something to do; the others cost nothing. Each turn of
    `wanted`, `supply` and `advance` is about the first few of them.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.monitors: dict[str, Monitor] = {}
        self.stirred: dict[str, None] = {}
        self._unsaved: dict[str, None] = {}
        self._expected: dict[str, str] = {}  # versions that answer a request: of which one

    def receive(self, raw: bytes) -> None:
        """Take in one message. Raises ValueError on damaged bytes, stream.clocks.Gap on a hole."""
        signals = decode_signals(raw)
        monitor = self.open(signals.model, signals.version)
        if monitor.receive(signals):
            self.stir(monitor.key)
            self._expect(monitor)

    def _expect(self, monitor: Monitor) -> None:
        """Begin the trial of a version that answers another's request, once both are there."""
        asked = monitor.memory.loop.asked
        if asked is not None and asked.answer:
            self._expected[model_key(monitor.memory.model, asked.answer)] = monitor.key
        for key in [key for key in self._expected if key in self.monitors]:
            old = self._expected.pop(key)
            closing.hand_over(self.monitors[old].memory, self.monitors[key].memory)
            self.stir(old)
            self.stir(key)

    def open(self, model: str, version: str) -> Monitor:
        """The monitor of a model version, made where there is none."""
        key = model_key(model, version)
        if key not in self.monitors:
            self.monitors[key] = Monitor(model, version, self.settings(model))
        return self.monitors[key]

    def stir(self, key: str) -> None:
        """Note that a monitor has changed: it is saved, and asked what is due."""
        self.stirred[key] = None
        self._unsaved[key] = None

    def _turn(self) -> list[str]:
        """The same until `advance`: what is supplied changes nothing of what is due."""
        found, room = list[str](), MAX_AT_ONCE
        for key in itertools.islice(self.stirred, MAX_LIGHT):
            room -= self.monitors[key].due()
            if room < 0:
                break
            found.append(key)
        return found

    def judges(self) -> bool:
        """Whether the next `advance` has windows to judge, which takes its time."""
        return any(self.monitors[key].due() for key in self._turn())

    def wanted(self) -> Wanted:
        """Sealed shares that the next `advance` needs, by the key of their model version."""
        found = {key: self.monitors[key].wanted() for key in self._turn()}
        return {key: names for key, names in found.items() if names}

    def wanted_references(self) -> set[str]:
        """Ids of references that are not in memory."""
        found: set[str] = set()
        for key in self._turn():
            found |= self.monitors[key].wanted_references()
        return found

    def supply_references(self, references: Mapping[str, Reference]) -> None:
        """References that were wanted."""
        for key in self._turn() if references else ():
            for ref in self.monitors[key].wanted_references() & set(references):
                self.monitors[key].supply_reference(ref, references[ref])

    def supply(self, key: str, shares: Mapping[ShareName, bytes | None]) -> None:
        """Shares that were wanted, None for one that is no more. Raises ValueError if damaged."""
        for name, raw in shares.items():
            self.monitors[key].supply(name, raw)

    def advance(self, leisure: Leisure = ALWAYS) -> bool:
        """Do what is due, as far as there is time for it; whether more is due at once."""
        for key in self._turn():
            try:
                if not self.monitors[key].advance(leisure):
                    del self.stirred[key]
            except Interrupted:
                return True
            if leisure.enough():
                break
        return bool(self.stirred)

    def urgent(self) -> bool:
        """Whether somebody waits for what is to be published: alerts, requests to retrain."""
        out = itertools.chain.from_iterable(self.monitors[k].memory.out for k in self._unsaved)
        return any(message.topic in URGENT for message in out)

    def changes(self) -> Changes:
        """Everything since the last call, with what is to be published, in order."""
        found = Changes()
        for key in self._unsaved:
            part = self.monitors[key].save()
            found.puts |= part.puts
            found.deletes |= part.deletes
            found.outbox += part.outbox
            found.references |= part.references
        self._unsaved = dict(self.stirred)
        return found

    def restore(self, fields: Mapping[str, bytes]) -> None:
        """Take up the state that the fields of `changes` make up. Raises ValueError if damaged."""
        others = []
        own = {field: raw for field, raw in fields.items() if "/" in field}  # others: the shell's
        for field, raw in sorted(own.items()):
            kind, model, version, *rest = field.split("/", 3)
            key = f"{model}/{version}"
            if kind == "monitor":
                self.monitors[key] = Monitor.load(raw, self.settings)
                self.stir(key)
            else:
                others.append((key, kind, "".join(rest), raw))
        for key, kind, last, raw in others:
            if key not in self.monitors:
                raise ValueError(f"state of {key} without its monitor")
            self.monitors[key].load_field(kind, last, raw)
        for monitor in [*self.monitors.values()]:
            self._expect(monitor)
