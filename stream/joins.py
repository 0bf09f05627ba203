"""The join: predictions and truth of one id, in either order, duplicated, revised or retracted.

Everything known of an id is one *entry*: forecasts (one a version) and labels. The outcome of a
forecast is a function of the set in the entry, so the order of arrival cannot matter. Entries are
packed bytes: 26 to 28 for a binary prediction with a score.
"""

import dataclasses
import struct
from collections.abc import Iterator

MAX_LABELS = 8
MAX_NAMES = 65_535

FORECAST, LABEL, WORD, MISSING, RETRACTED, CONTROL_GROUP = 1, 2, 4, 8, 16, 32

_HEAD = struct.Struct("<BHIH")
_WORD = struct.Struct("<H")
_NUMBER = struct.Struct("<d")
_REVISION = struct.Struct("<I")
_SCORE = struct.Struct("<Hd")

Answer = float | str | None


class Names:
    """Words and their numbers, in order of first appearance. Part of a partition's state."""

    def __init__(self, known: list[str] | None = None) -> None:
        self.known = list(known or [])
        self._numbers = {word: i for i, word in enumerate(self.known)}

    def number(self, word: str) -> int:
        """The number of a word; past the limit all new words share one."""
        found = self._numbers.get(word)
        if found is not None:
            return found
        if len(self.known) >= MAX_NAMES:
            return MAX_NAMES
        self._numbers[word] = len(self.known)
        self.known.append(word)
        return len(self.known) - 1

    def word(self, number: int) -> str:
        """The word of a number."""
        return self.known[number] if number < len(self.known) else "(too many names)"


@dataclasses.dataclass(frozen=True, slots=True)
class Forecast:
    """A prediction that waits for truth, or has met it. scores: (class, probability) pairs."""

    subject: int
    time_ms: int
    answer: Answer
    scores: tuple[tuple[str, float], ...] = ()
    control_group: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Label:
    """One statement of the truth. subject: of one version, or of the model as a whole."""

    subject: int
    time_ms: int
    answer: Answer
    revision: int = 0
    retracted: bool = False

    def rank(self) -> tuple[int, int, bool, str]:
        """The total order in which competing truths resolve; the highest holds."""
        return (self.revision, self.time_ms, self.retracted, repr(self.answer))


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """A forecast and the truth about it."""

    forecast: Forecast
    label: Label


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """An outcome that became known (sign 1) or was taken back (sign -1) at a time."""

    time_ms: int
    sign: int
    outcome: Outcome


@dataclasses.dataclass(slots=True)
class Entry:
    """Everything known of one id."""

    forecasts: list[Forecast] = dataclasses.field(default_factory=list)
    labels: list[Label] = dataclasses.field(default_factory=list)

    def forecast(self, subject: int) -> Forecast | None:
        """The forecast of one version."""
        return next((f for f in self.forecasts if f.subject == subject), None)

    def add_label(self, label: Label) -> bool:
        """Take a label in; False where the same was there. Only the highest few are kept."""
        if label in self.labels:
            return False
        self.labels = sorted([*self.labels, label], key=Label.rank)[-MAX_LABELS:]
        return label in self.labels

    def steps(self, forecast: Forecast, model: int, horizon_ms: int) -> tuple["Step", ...]:
        """How the truth about a forecast became known: one step a change, in order of label time.

        model: the subject of labels for all versions. A later label that outranks the one before
        is booked when it was stated: the old outcome is taken back, the new one added.
        """
        subjects = (forecast.subject, model)
        fitting = [x for x in self.labels if x.subject in subjects]
        fitting = [x for x in fitting if x.time_ms - forecast.time_ms <= horizon_ms]
        found: list[Step] = []
        best: Label | None = None
        for label in sorted(fitting, key=lambda x: (x.time_ms, x.rank())):
            if best is None or label.rank() > best.rank():
                found += _change(forecast, best, label)
                best = label
        return tuple(found)

    def newest_ms(self) -> int:
        """The highest time in the entry."""
        times = [f.time_ms for f in self.forecasts] + [label.time_ms for label in self.labels]
        return max(times)


def _change(forecast: Forecast, before: Label | None, after: Label) -> list[Step]:
    time_ms = max(forecast.time_ms, after.time_ms)
    pairs = ((-1, before), (1, after))
    return [
        Step(time_ms, sign, Outcome(forecast, label))
        for sign, label in pairs
        if label is not None and not label.retracted and label.answer is not None
    ]


def pack_entry(entry: Entry, names: Names) -> bytes:
    """Bytes of an entry."""
    forecasts = (_pack_forecast(f, names) for f in entry.forecasts)
    return b"".join((*forecasts, *(_pack_label(label, names) for label in entry.labels)))


def unpack_entry(raw: bytes, names: Names) -> Entry:
    """The entry of `pack_entry`. Raises ValueError on bytes that are no entry."""
    entry = Entry()
    try:
        for item in _items(raw, names):
            if isinstance(item, Forecast):
                entry.forecasts.append(item)
            else:
                entry.labels.append(item)
    except struct.error as error:
        raise ValueError(f"a damaged pending entry: {raw[:40].hex()}") from error
    return entry


def _pack_forecast(f: Forecast, names: Names) -> bytes:
    flags = FORECAST | (CONTROL_GROUP if f.control_group else 0)
    scores = b"".join(_SCORE.pack(names.number(word), p) for word, p in f.scores)
    return b"".join((_pack_head(f, flags, names), bytes((len(f.scores),)), scores))


def _pack_label(label: Label, names: Names) -> bytes:
    flags = LABEL | (RETRACTED if label.retracted else 0)
    return _pack_head(label, flags, names) + _REVISION.pack(label.revision)


def _pack_head(item: Forecast | Label, flags: int, names: Names) -> bytes:
    answer = b""
    if isinstance(item.answer, str):
        flags, answer = flags | WORD, _WORD.pack(names.number(item.answer))
    elif item.answer is None:
        flags |= MISSING
    else:
        answer = _NUMBER.pack(item.answer)
    low, high = item.time_ms & 0xFFFFFFFF, item.time_ms >> 32
    return _HEAD.pack(flags, item.subject, low, high) + answer


def _items(raw: bytes, names: Names) -> Iterator[Forecast | Label]:
    at = 0
    while at < len(raw):
        flags, subject, low, high = _HEAD.unpack_from(raw, at)
        time_ms = low | high << 32
        answer, at = _unpack_answer(raw, at + _HEAD.size, flags, names)
        if flags & FORECAST:
            scores, at = _unpack_scores(raw, at, names)
            yield Forecast(subject, time_ms, answer, scores, bool(flags & CONTROL_GROUP))
        else:
            (revision,) = _REVISION.unpack_from(raw, at)
            at += _REVISION.size
            yield Label(subject, time_ms, answer, revision, bool(flags & RETRACTED))


def _unpack_answer(raw: bytes, at: int, flags: int, names: Names) -> tuple[Answer, int]:
    if flags & WORD:
        return names.word(_WORD.unpack_from(raw, at)[0]), at + _WORD.size
    if flags & MISSING:
        return None, at
    return _NUMBER.unpack_from(raw, at)[0], at + _NUMBER.size


def _unpack_scores(raw: bytes, at: int, names: Names) -> tuple[tuple[tuple[str, float], ...], int]:
    if at >= len(raw):
        raise struct.error("no count of scores")
    count, at = raw[at], at + 1
    end = at + count * _SCORE.size
    if end > len(raw):
        raise struct.error("scores are cut short")
    found = (_SCORE.unpack_from(raw, i) for i in range(at, end, _SCORE.size))
    return tuple((names.word(word), p) for word, p in found), end
