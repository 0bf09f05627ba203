"""Pages: what is counted of one pane, open until event time has passed it, then sealed.

A page is sealed as revision 0 and never changes; what comes later opens a new page for the same
pane, sealed as revision 1, 2, ... at the next pane's end. A pane is the sum of its revisions.
"""

import bisect
import dataclasses
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from stream.panes import BEFORE_ALL
from stream.signals import Kind

Page = TypeVar("Page")


@dataclasses.dataclass(slots=True)
class Pages(Generic[Page]):
    """Open pages by pane start, and how many revisions of each pane have been sealed.

    keep: panes that are remembered behind `until_ms`, up to which all is sealed. sealed: whether
    `revisions` changed since it was saved. most_open: panes that may be open at once;
    most_revisions: how often a pane is sealed before what comes waits until it is forgotten.
    early, put_off: panes to which these limits applied, since somebody looked.
    """

    kind: Kind
    pane_ms: int
    keep: int
    open: dict[int, Page] = dataclasses.field(default_factory=dict)
    revisions: dict[int, int] = dataclasses.field(default_factory=dict)
    until_ms: int = BEFORE_ALL
    dirty: set[int] = dataclasses.field(default_factory=set)
    sealed: bool = False
    most_open: int = 256
    most_revisions: int = 100
    early: int = 0
    put_off: int = 0

    @property
    def oldest_ms(self) -> int:
        """The oldest pane that is kept."""
        return self.until_ms - self.keep * self.pane_ms

    def page(self, pane: int, new: Callable[[], Page]) -> Page:
        """The open page of a pane, marked as changed."""
        self.dirty.add(pane)
        if pane not in self.open:
            self.open[pane] = new()
            self.put_off += self._waits(pane)
        return self.open[pane]

    def too_old(self, pane: int) -> bool:
        """Whether a pane is past what is kept."""
        return pane < self.oldest_ms

    def closes(self, watermark_ms: int) -> bool:
        """Whether `seal` may close anything."""
        due = watermark_ms // self.pane_ms * self.pane_ms > self.until_ms
        return due or len(self.open) > self.most_open

    def seal(self, watermark_ms: int) -> Iterator[tuple[int, int, Page]]:
        """Close what the watermark has passed: pane, revision, page, in order of panes.

        What is too much to be kept open is closed as well: the pane is the sum of its revisions,
        so an early one adds no error.
        """
        if not self.closes(watermark_ms):
            return
        until = watermark_ms // self.pane_ms * self.pane_ms
        due = until > self.until_ms
        self.until_ms = max(until, self.until_ms)
        panes = sorted(self.open)
        passed = bisect.bisect_left(panes, until) if due else 0
        ripe = [pane for pane in panes[:passed] if not self._waits(pane)]
        surplus = max(0, len(panes) - len(ripe) - self.most_open)
        more = sorted(set(panes) - set(ripe))[:surplus]
        self.early += sum(pane >= until for pane in more)
        for pane in sorted(ripe + more):
            yield self._close(pane)

    def _waits(self, pane: int) -> bool:
        """Whether a pane has been sealed so often that it is sealed once more at its end alone."""
        often = self.revisions.get(pane, 0) >= self.most_revisions
        return often and pane - self.pane_ms >= self.oldest_ms

    def _close(self, pane: int) -> tuple[int, int, Page]:
        revision = self.revisions.get(pane, 0)
        self.revisions[pane] = revision + 1
        self.dirty.discard(pane)
        self.sealed = True
        return pane, revision, self.open.pop(pane)

    def expired(self) -> Iterator[tuple[int, int]]:
        """Forget panes past what is kept: (pane, revision) of every share that may go."""
        for pane in [pane for pane in self.revisions if self.too_old(pane)]:
            self.sealed = True
            yield from ((pane, revision) for revision in range(self.revisions.pop(pane)))
