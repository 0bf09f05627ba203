"""Subjects: which model version an evaluation is of, and which of its windows."""

import dataclasses

from stream.events import Window, event_id
from stream.settings import ModelSettings
from stream.stamps import stamp


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """Whose window it is, and which: event time [start_ms, end_ms)."""

    model: str
    version: str
    settings: ModelSettings
    start_ms: int
    end_ms: int
    revision: int = 0

    @property
    def window_s(self) -> int:
        """How long the window is."""
        return (self.end_ms - self.start_ms) // 1000

    @property
    def challenges(self) -> bool:
        """Whether nobody uses its answers: it runs beside the version that is in use."""
        return self.version in self.settings.challengers

    def window(self) -> Window:
        """The window as it stands in events."""
        return Window(
            start=stamp(self.start_ms),
            end=stamp(self.end_ms),
            panes=max(1, self.window_s // self.settings.pane_s),
            revision=self.revision,
        )

    def id(self, kind: str, what: str, *more: str | int) -> str:
        """An event's id: of its identity alone, never of what was measured."""
        whose = (self.model, self.version, what)
        return event_id(kind, *whose, self.start_ms, self.end_ms, self.revision, *more)
