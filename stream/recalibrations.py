"""Recalibrations: what scores mean by live labels, from an event time on.

A reference is never changed by live data. A control event says what its scores mean now
(`driftline recalibrate` makes it from labels, `stream.lessons`), and from when on: so whoever reads
the same events anew finds the same. The reference's own rows keep the meaning that they had.
"""

import dataclasses
import functools
import math

import msgspec
import numpy as np

from stream.columns import Column, Floats, Ints
from stream.events import Recalibration
from stream.expectations import Curve
from stream.odds import Odds
from stream.stamps import stamp

MOST = 32  # of one model version: those that count last
MOST_POINTS = 2_000
MOST_LABELS = 1 << 53


@dataclasses.dataclass(frozen=True, eq=False)
class Learnt:
    """A checked recalibration. scores, labelled, right: shape (points,), scores rising.

    since_ms: event time from which it counts.
    """

    event: Recalibration
    since_ms: int
    scores: Floats
    labelled: Ints
    right: Ints

    @classmethod
    def of(cls, event: Recalibration) -> "Learnt":
        """Raises ValueError, saying what is wrong."""
        for ok, wrong in _rules(event):
            if not ok:
                raise ValueError(wrong)
        return cls(
            event,
            _since(event),
            np.array(event.scores, dtype=np.float64),
            np.array(event.labelled, dtype=np.int64),
            np.array(event.right, dtype=np.int64),
        )

    @property
    def labels(self) -> int:
        """How many it was learnt from."""
        return int(self.labelled.sum())

    @property
    def until_ms(self) -> int:
        """Predictions from then on had no part in it."""
        return self.event.learnt_until

    @property
    def words(self) -> str:
        """Where it comes from."""
        span = f"{stamp(self.event.learnt_from)} to {stamp(self.until_ms)}"
        return f"{self.labels:,} labels of predictions from {span}"

    @functools.cached_property
    def key(self) -> tuple[int, int, bytes]:
        """Of two that count for the same pane, the one with the larger key does."""
        return self.since_ms, self.event.time, msgspec.msgpack.encode(self.event)

    @functools.cached_property
    def _known(self) -> Curve:
        return Curve.learnt(self.scores, self.labelled, self.right)

    def curve(self, places: Floats) -> Curve:
        """What scores mean, shape (places,): each what the nearest of these means."""
        between = (self.scores[1:] + self.scores[:-1]) / 2
        near = np.searchsorted(between, places)
        return Curve(self._known.chance[near], self._known.weight[near])

    def over(self, odds: Odds) -> Curve:
        """What a reference's codes of scores mean: the mean over the labels of each.

        Live scores that are none of the reference's share a code, and may differ much. A code
        without labels means what the score does that it stands for.
        """
        known, cells = self._known, len(odds.places)
        codes = odds.score.codes(Column(self.scores)).astype(np.int64)
        plateau = np.cumsum(np.diff(known.chance, prepend=known.chance[:1]) != 0)
        _, first, pair = np.unique(
            codes * len(codes) + plateau, return_index=True, return_inverse=True
        )
        n = np.bincount(pair, self.labelled)  # of each plateau's labels, those of a code
        at = codes[first]
        parts, size = np.bincount(at, minlength=cells), np.bincount(at, n, cells)
        mean = np.bincount(at, n * known.chance[first], cells) / np.maximum(size, 1)
        doubt = np.bincount(at, n**2 / known.weight[first], cells)
        found = self.curve(odds.places)
        found.chance[at] = known.chance[first]  # to the bit: equal ones share one error
        found.weight[at] = known.weight[first]
        mixed = parts > 1
        found.chance[mixed] = mean[mixed]
        found.weight[mixed] = size[mixed] ** 2 / doubt[mixed]
        return found


def _since(event: Recalibration) -> int:
    return event.time if event.active_from is None else event.active_from


def _rules(e: Recalibration) -> list[tuple[bool, str]]:
    """In order: one may rest on those before it."""
    points = range(1, MOST_POINTS + 1)
    alike = len(e.scores) == len(e.labelled) == len(e.right)
    pairs = zip(e.labelled, e.right, strict=False)
    rising = all(a < b for a, b in zip(e.scores, e.scores[1:], strict=False))
    return [
        (alike, "scores, labelled and right must have the same length"),
        (len(e.scores) in points, f"must have 1 to {MOST_POINTS:,} scores"),
        (all(math.isfinite(s) and 0 <= s <= 1 for s in e.scores), "scores must be 0 to 1"),
        (rising, "scores must rise"),
        (all(0 <= r <= n for n, r in pairs), "right must be 0 to as many as are labelled"),
        (all(n >= 1 for n in e.labelled), "every score must have a label"),
        (sum(e.labelled) <= MOST_LABELS, "there must be at most 2**53 labels"),
        (e.learnt_from < e.learnt_until, "learnt_from must lie before learnt_until"),
        (
            e.learnt_until <= _since(e),
            "active_from must not lie before learnt_until: labels of later are not known then",
        ),
    ]


class Recalibrations:
    """What is known of one model version, in the order in which it counts. changed: to be saved."""

    def __init__(self) -> None:
        self.known: list[Learnt] = []
        self.changed = False

    def update(self, event: Recalibration, oldest_ms: int) -> None:
        """Take one in; the same for any order of coming. Raises ValueError where it is wrong.

        oldest_ms: those that others replaced before are forgotten.
        """
        found = {one.key: one for one in (*self.known, Learnt.of(event))}
        known = [found[key] for key in sorted(found)]
        last = {one.event.reference_id: one for one in known if one.since_ms <= oldest_ms}
        self.known = [
            one for one in known if one.since_ms > oldest_ms or last[one.event.reference_id] is one
        ][-MOST:]
        self.changed = True

    def at(self, pane: int, reference_id: str) -> Learnt | None:
        """The one that counts for a pane that is compared with a reference."""
        same = (one for one in reversed(self.known) if one.event.reference_id == reference_id)
        return next((one for one in same if one.since_ms <= pane), None)

    def to_bytes(self) -> bytes:
        """All of them."""
        self.changed = False
        return msgspec.msgpack.encode([one.event for one in self.known])

    def load(self, raw: bytes) -> None:
        """Take up `to_bytes`. Raises ValueError on anything else."""
        try:
            events = msgspec.msgpack.decode(raw, type=list[Recalibration])
        except msgspec.DecodeError as error:
            raise ValueError(f"damaged recalibrations: {error}") from error
        self.known, self.changed = [Learnt.of(event) for event in events], False
