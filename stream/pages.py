"""Pages: what is counted of one pane, open until event time has passed it, then sealed.

A page is sealed as revision 0 and never changes; what comes later opens a new page for the same
pane, sealed as revision 1, 2, ... at the next pane's end. A pane is the sum of its revisions.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from stream.panes import BEFORE_ALL
from stream.signals import Kind

Page = TypeVar("Page")
State = tuple[int, dict[int, int]]


@dataclasses.dataclass(slots=True)
class Pages(Generic[Page]):
    """Open pages by pane start, and how many revisions of each pane have been sealed.

    keep: panes that are remembered behind `until_ms`, up to which all is sealed.
    """

    kind: Kind
    pane_ms: int
    keep: int
    open: dict[int, Page] = dataclasses.field(default_factory=dict)
    revisions: dict[int, int] = dataclasses.field(default_factory=dict)
    until_ms: int = BEFORE_ALL
    dirty: set[int] = dataclasses.field(default_factory=set)

    def page(self, pane: int, new: Callable[[], Page]) -> Page:
        """The open page of a pane, marked as changed."""
        self.dirty.add(pane)
        if pane not in self.open:
            self.open[pane] = new()
        return self.open[pane]

    def too_old(self, pane: int) -> bool:
        """Whether a pane is past what is kept."""
        return pane < self.until_ms - self.keep * self.pane_ms

    def seal(self, watermark_ms: int) -> Iterator[tuple[int, int, Page]]:
        """Close what the watermark has passed: pane, revision, page, in order of panes."""
        until = watermark_ms // self.pane_ms * self.pane_ms
        if until <= self.until_ms:
            return
        self.until_ms = until
        for pane in sorted(pane for pane in self.open if pane < until):
            revision = self.revisions.get(pane, 0)
            self.revisions[pane] = revision + 1
            self.dirty.discard(pane)
            yield pane, revision, self.open.pop(pane)

    def expired(self) -> Iterator[tuple[int, int]]:
        """Forget panes past what is kept: (pane, revision) of every share that may go."""
        for pane in [pane for pane in self.revisions if self.too_old(pane)]:
            yield from ((pane, revision) for revision in range(self.revisions.pop(pane)))

    def dump(self) -> State:
        """Plain values, without the open pages."""
        return self.until_ms, self.revisions

    def load(self, state: State) -> None:
        """Take up what `dump` gave."""
        self.until_ms, revisions = state
        self.revisions = dict(revisions)
