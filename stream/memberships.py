"""Memberships: the segments of predictions that wait, so that their truth is counted by them too.

Kept are those that the reference knows the quality of: a bounded set, however many values come.
"""

from collections.abc import Callable

from stream.batches import Block
from stream.names import Names
from stream.references import Reference
from stream.segments import Key, watched
from stream.settings import ModelSettings

Keys = tuple[Key, ...]


def judged(reference: Reference | None, settings: ModelSettings) -> dict[Key, Reference]:
    """The watched segments whose quality the reference knows, in order."""
    known = watched(reference, settings) if settings.expects_truth else {}
    return {key: own for key, own in known.items() if own.quality}


def counted(reference: Reference | None, settings: ModelSettings) -> dict[Key, Reference]:
    """Those that pairs of answers are counted by as well; without truth all that are watched."""
    if settings.expects_truth or not settings.joins:
        return judged(reference, settings)
    return watched(reference, settings)


def memberships(
    block: Block,
    settings: ModelSettings,
    reference_of: Callable[[int], Reference | None],
    words: Names,
) -> list[Keys] | None:
    """The segments of each row; None where no row can be of any.

    reference_of: that of the pane that begins at a time. words: what names are to be numbered in;
    where it is full, a segment that is not in it is not kept.
    """
    given = block.segments or {}
    names = [name for name in settings.segments if name in given]
    if not names or not settings.joins:
        return None
    pane_ms = settings.pane_s * 1000
    panes = (block.times_ms - block.times_ms % pane_ms).tolist()
    kept = {pane: _kept(reference_of(pane), settings, words) for pane in dict.fromkeys(panes)}
    if not any(kept.values()):
        return None
    rows = zip(panes, *(given[name].names() for name in names), strict=True)
    return [
        tuple(key for key in zip(names, values, strict=True) if key in kept[pane])
        for pane, *values in rows
    ]


def _kept(reference: Reference | None, settings: ModelSettings, words: Names) -> set[Key]:
    found = counted(reference, settings)
    return {key for key in found if all(words.canonical(word) == word for word in key)}
