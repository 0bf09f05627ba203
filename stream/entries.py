"""Entries as bytes: 20 for a binary prediction with a score, whose answer is a word or small.

checksum (2) | item, item, ...
item: flags (1) subject (2) time (6) answer (0, 2 or 8)
a forecast goes on: class (2) and probability (8) where it is `LONE`; else the number of scores (1,
or 255 and 4 more) and 10 for each
a label goes on: revision (4)
an item of a sample has `SAMPLED` (1) and its exponent (1) before it
a forecast with segments has `SEGMENTED` (1), their number (1), and of each its name (2) and its
value (2) before it, behind what it has of a sample

Where every number of an item is below 256 it is `SHORT`: subject, answer, class and revision take
one byte each. `entry_bytes` is the same as a formula.
"""

import binascii
import struct

import msgspec

from stream.joins import Answer, Entry, Forecast, Label, Scores
from stream.names import Names

FORECAST, LABEL, WORD, MISSING, RETRACTED, CONTROL_GROUP = 1, 2, 4, 8, 16, 32
LONE = RETRACTED  # of a forecast: one score, and no count of them
SAMPLED = RETRACTED  # where an item's flags would be: an item is never of this kind alone
SEGMENTED = CONTROL_GROUP  # the same
WHOLE, SHORT = 64, 128  # a number from 0 to 65,535 as an integer; one byte for two
ALLOWED = {FORECAST: FORECAST | LONE | CONTROL_GROUP, LABEL: LABEL | RETRACTED}
MANY = 255  # the number of scores follows in four bytes
CHECKSUM_BYTES = 2
Segments = tuple[tuple[str, str], ...]

_HEAD = struct.Struct("<BHIH")
_SHORT_HEAD = struct.Struct("<BBIH")
_BYTE = struct.Struct("<B")
_WORD = struct.Struct("<H")
_NUMBER = struct.Struct("<d")
_U32 = struct.Struct("<I")
_SCORE = struct.Struct("<Hd")
_SEGMENT = struct.Struct("<HH")
_SHORT_SCORE = struct.Struct("<Bd")
_USUAL = struct.Struct("<BHIHHHd")  # a forecast of a word or whole number with a lone score
_SHORT_USUAL = struct.Struct("<BBIHBBd")
_ONE = FORECAST | LONE
_USUALS = {_ONE | WORD, _ONE | WHOLE}
_SHORT_USUALS = {flags | SHORT for flags in _USUALS}


class DamagedEntry(ValueError):
    """Bytes that are no entry, or speak of names that are not there."""


class Tables(msgspec.Struct):
    """What the numbers in entries stand for. subjects: models, and NUL-separated versions."""

    words: Names
    subjects: Names


def pack_entry(entry: Entry, words: Names) -> bytes:
    """Bytes of an entry."""
    if len(entry.forecasts) == 1 and not entry.labels:
        body = _marked(entry.forecasts[0], _packed(entry.forecasts[0], words))
    else:
        forecasts = [_marked(f, _packed(f, words)) for f in entry.forecasts]
        labels = [_marked(label, _pack_label(label, words)) for label in entry.labels]
        body = b"".join(forecasts + labels)
    return _WORD.pack(binascii.crc_hqx(body, 0)) + body


def unpack_entry(raw: bytes, tables: Tables) -> Entry:
    """The entry of `pack_entry`. Raises DamagedEntry on bytes that are no entry."""
    try:
        if _WORD.unpack_from(raw)[0] != binascii.crc_hqx(raw[2:], 0):
            raise ValueError("its checksum does not match")
        if len(raw) == _SHORT_USUAL.size + 2 and raw[2] in _SHORT_USUALS:
            return _usual(_SHORT_USUAL.unpack_from(raw, 2), tables)
        if len(raw) == _USUAL.size + 2 and raw[2] in _USUALS:
            return _usual(_USUAL.unpack_from(raw, 2), tables)
        return _entry(raw, tables)
    except (struct.error, ValueError, IndexError) as error:
        raise DamagedEntry(f"a damaged pending entry, {raw[:40].hex()}: {error}") from error


def entry_bytes(
    forecasts: int,
    scores: int,
    labels: int,
    *,
    short: bool = True,
    coded: bool = True,
    sampled: int = 0,
    segmented: int = 0,
    segments: int = 0,
) -> int:
    """Bytes of an entry: so many forecasts of `scores` scores each, and labels.

    short: fewer than 256 model versions and words in the partition. coded: answers are words or
    whole numbers up to 65,535; any other number takes 8 bytes. sampled: items of a sample.
    segmented: forecasts that are of segments; segments: how many, of all of them together.
    """
    code = 1 if short else 2
    item = 1 + code + 6 + (code if coded else 8)
    sure = code + 8 if scores == 1 else 1 + 10 * scores + (4 if scores >= MANY else 0)
    apart = 2 * segmented + _SEGMENT.size * segments
    labelled = labels * (item + (1 if short else 4))
    return CHECKSUM_BYTES + forecasts * (item + sure) + labelled + 2 * sampled + apart


def _marked(item: Forecast | Label, packed: bytes) -> bytes:
    return bytes((SAMPLED, item.exponent)) + packed if item.exponent else packed


def _packed(f: Forecast, words: Names) -> bytes:
    """A forecast, behind its segments."""
    packed = _pack_forecast(f, words)
    if not f.segments:
        return packed
    pairs = [_SEGMENT.pack(words.number(name), words.number(value)) for name, value in f.segments]
    return bytes((SEGMENTED, len(pairs))) + b"".join(pairs) + packed


def _pack_forecast(f: Forecast, words: Names) -> bytes:
    flags = FORECAST | CONTROL_GROUP if f.control_group else FORECAST
    kind, answer = _coded(f.answer, words)
    if len(f.scores) != 1:
        count = len(f.scores)
        size = bytes((count,)) if count < MANY else bytes((MANY,)) + _U32.pack(count)
        head = _pack_head(f, flags | kind, answer, short=max(f.subject, answer) < 256)
        return head + size + b"".join([_SCORE.pack(words.number(word), p) for word, p in f.scores])
    ((name, p),) = f.scores
    word, flags, time_ms = words.number(name), flags | kind | LONE, f.time_ms
    short = f.subject < 256 and answer < 256 and word < 256
    if kind & (WORD | WHOLE):
        low, high = time_ms & 0xFFFFFFFF, time_ms >> 32
        if short:
            return _SHORT_USUAL.pack(flags | SHORT, f.subject, low, high, answer, word, p)
        return _USUAL.pack(flags, f.subject, low, high, answer, word, p)
    head = _pack_head(f, flags, answer, short=short)
    return head + (_SHORT_SCORE if short else _SCORE).pack(word, p)


def _pack_label(label: Label, words: Names) -> bytes:
    flags = LABEL | RETRACTED if label.retracted else LABEL
    kind, answer = _coded(label.answer, words)
    short = max(label.subject, answer, label.revision) < 256
    head = _pack_head(label, flags | kind, answer, short=short)
    return head + (_BYTE if short else _U32).pack(label.revision)


def _coded(answer: Answer, words: Names) -> tuple[int, int]:
    """How an answer is kept, and the number that is kept of it, 0 where there is none."""
    if isinstance(answer, str):
        return WORD, words.number(answer)
    if answer is None:
        return MISSING, 0
    if 0 <= answer <= 0xFFFF and answer.is_integer():
        return WHOLE, int(answer)
    return 0, 0


def _pack_head(item: Forecast | Label, flags: int, answer: int, *, short: bool) -> bytes:
    head = _SHORT_HEAD if short else _HEAD
    flags |= SHORT if short else 0
    packed = head.pack(flags, item.subject, item.time_ms & 0xFFFFFFFF, item.time_ms >> 32)
    if flags & (WORD | WHOLE):
        return packed + (_BYTE if short else _WORD).pack(answer)
    return packed if flags & MISSING else packed + _NUMBER.pack(item.answer)


def _usual(values: tuple[int, int, int, int, int, int, float], tables: Tables) -> Entry:
    flags, subject, low, high, answer, word, p = values
    _check(flags, subject, tables)
    said: Answer = tables.words.word(answer) if flags & WORD else float(answer)
    return Entry([Forecast(subject, low | high << 32, said, ((tables.words.word(word), p),))])


def _entry(raw: bytes, tables: Tables) -> Entry:
    forecasts: list[Forecast] = []
    labels: list[Label] = []
    at, end, exponent = CHECKSUM_BYTES, len(raw), 0
    segments: Segments = ()
    while at < end:
        if raw[at] == SAMPLED and not exponent:
            exponent, at = raw[at + 1], at + 2
        if raw[at] == SEGMENTED:
            segments, at = _unpack_segments(raw, at + 1, tables.words)
        head = _SHORT_HEAD if raw[at] & SHORT else _HEAD
        flags, subject, low, high = head.unpack_from(raw, at)
        _check(flags, subject, tables)
        time_ms = low | high << 32
        answer, at = _unpack_answer(raw, at + head.size, flags, tables.words)
        if flags & FORECAST:
            scores, at = _unpack_scores(raw, at, flags, tables.words)
            control = bool(flags & CONTROL_GROUP)
            forecasts.append(
                Forecast(subject, time_ms, answer, scores, control, exponent, segments)
            )
        elif segments:
            raise ValueError("a label of segments")
        else:
            size = _BYTE if flags & SHORT else _U32
            (revision,) = size.unpack_from(raw, at)
            at += size.size
            retracted = bool(flags & RETRACTED)
            labels.append(Label(subject, time_ms, answer, revision, retracted, exponent))
        exponent, segments = 0, ()
    if not forecasts and not labels:
        raise ValueError("nothing in it")
    return Entry(forecasts, labels)


def _check(flags: int, subject: int, tables: Tables) -> None:
    allowed = ALLOWED.get(flags & (FORECAST | LABEL), 0)
    kinds = (flags & WORD, flags & MISSING, flags & WHOLE)
    if flags & ~(allowed | WORD | MISSING | WHOLE | SHORT) or sum(map(bool, kinds)) > 1:
        raise ValueError(f"flags {flags}")
    if subject >= len(tables.subjects):
        raise ValueError(f"subject {subject}")


def _unpack_answer(raw: bytes, at: int, flags: int, words: Names) -> tuple[Answer, int]:
    if flags & MISSING:
        return None, at
    if not flags & (WORD | WHOLE):
        return _NUMBER.unpack_from(raw, at)[0], at + _NUMBER.size
    size = _BYTE if flags & SHORT else _WORD
    (code,) = size.unpack_from(raw, at)
    return words.word(code) if flags & WORD else float(code), at + size.size


def _unpack_segments(raw: bytes, at: int, words: Names) -> tuple[Segments, int]:
    count, at = raw[at], at + 1
    end = at + count * _SEGMENT.size
    if end > len(raw) or not count:
        raise ValueError("segments are cut short")
    found = (_SEGMENT.unpack_from(raw, i) for i in range(at, end, _SEGMENT.size))
    return tuple((words.word(name), words.word(value)) for name, value in found), end


def _unpack_scores(raw: bytes, at: int, flags: int, words: Names) -> tuple[Scores, int]:
    if flags & LONE:
        size = _SHORT_SCORE if flags & SHORT else _SCORE
        word, p = size.unpack_from(raw, at)
        return ((words.word(word), p),), at + size.size
    count, at = raw[at], at + 1
    if count == MANY:
        (count,) = _U32.unpack_from(raw, at)
        at += _U32.size
    end = at + count * _SCORE.size
    if end > len(raw):
        raise ValueError("scores are cut short")
    found = (_SCORE.unpack_from(raw, i) for i in range(at, end, _SCORE.size))
    return tuple((words.word(word), p) for word, p in found), end
