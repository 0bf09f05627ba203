"""Bars: how far a long piece of work has come, on a terminal or in lines."""

from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from stream.events import rfc3339

LINES = 12  # lines of progress in all where there is no terminal


class Show(Protocol):
    """What watches a piece of work."""

    def say(self, text: str) -> None:
        """One line about what is going on."""

    def advance(self, done: int, time_ms: int, behind: int) -> None:
        """How many events were sent, up to which event time, and how many are unread."""


class Bar:
    """A progress bar on a terminal, else a line now and then."""

    def __init__(self, console: Console, total: int | None = None) -> None:
        self.console, self._lines = console, 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=total)

    def start(self) -> None:
        """Show it."""
        self._progress.start()

    def stop(self) -> None:
        """Take it away."""
        self._progress.stop()

    def say(self, text: str) -> None:
        """One line above it."""
        self.console.print(Text(text, style="dim"))

    def move(self, done: int, total: int, text: str, line: str) -> None:
        """Move it; `line` is what is printed now and then where there is no terminal."""
        self._progress.update(self._task, completed=done, total=total, description=text)
        if not self.console.is_terminal and done * LINES >= (self._lines + 1) * total:
            self._lines = done * LINES // total
            self.say(line)


class Sending:
    """How far a replay is, on standard error."""

    def __init__(self, total: int, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.total, self._bar = total, Bar(self.console, total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """One line about what is going on."""
        self._bar.say(text)

    def advance(self, done: int, time_ms: int, behind: int) -> None:
        """Move the bar; without a terminal a line now and then."""
        day = rfc3339(time_ms)[:10]
        line = f"{day}: {done:,} of {self.total:,} events sent, {behind:,} unread"
        self._bar.move(done, self.total, f"{day}, {behind:,} unread", line)
