"""Entries as bytes: 28 for a binary prediction with a score and a word for its answer.

checksum (2) | item, item, ...
item: flags (1) subject (2) time (6) answer (0, 2 or 8)
a forecast goes on: number of scores (1, or 255 and 4 more) and 10 for each
a label goes on: revision (4)
"""

import binascii
import struct

import msgspec

from stream.joins import Answer, Entry, Forecast, Label, Scores
from stream.names import Names

FORECAST, LABEL, WORD, MISSING, RETRACTED, CONTROL_GROUP = 1, 2, 4, 8, 16, 32
ALLOWED = {FORECAST: FORECAST | CONTROL_GROUP, LABEL: LABEL | RETRACTED}
MANY = 255  # the number of scores follows in four bytes

_HEAD = struct.Struct("<BHIH")
_WORDED = struct.Struct("<BHIHH")
_NUMBERED = struct.Struct("<BHIHd")
_WORD = struct.Struct("<H")
_NUMBER = struct.Struct("<d")
_U32 = struct.Struct("<I")
_SCORE = struct.Struct("<Hd")
_LONE = struct.Struct("<BHd")  # a single score with its count
_USUAL = struct.Struct("<BHIHHBHd")  # a forecast of a word with a single score


class Tables(msgspec.Struct):
    """What the numbers in entries stand for. subjects: models, and NUL-separated versions."""

    words: Names
    subjects: Names


def pack_entry(entry: Entry, words: Names) -> bytes:
    """Bytes of an entry."""
    if len(entry.forecasts) == 1 and not entry.labels:
        body = _pack_forecast(entry.forecasts[0], words)
    else:
        forecasts = [_pack_forecast(f, words) for f in entry.forecasts]
        body = b"".join(forecasts + [_pack_label(label, words) for label in entry.labels])
    return _WORD.pack(binascii.crc_hqx(body, 0)) + body


def unpack_entry(raw: bytes, tables: Tables) -> Entry:
    """The entry of `pack_entry`. Raises ValueError on bytes that are no entry."""
    try:
        if _WORD.unpack_from(raw)[0] != binascii.crc_hqx(raw[2:], 0):
            raise ValueError("its checksum does not match")
        if len(raw) == _USUAL.size + 2 and raw[2] == FORECAST | WORD and raw[13] == 1:
            return _usual(raw, tables)
        return _entry(raw, tables)
    except (struct.error, ValueError, IndexError) as error:
        raise ValueError(f"a damaged pending entry, {raw[:40].hex()}: {error}") from error


def _pack_forecast(f: Forecast, words: Names) -> bytes:
    flags = FORECAST | CONTROL_GROUP if f.control_group else FORECAST
    count = len(f.scores)
    if count == 1:
        ((word, p),) = f.scores
        if isinstance(f.answer, str):
            answer, low, high = words.number(f.answer), f.time_ms & 0xFFFFFFFF, f.time_ms >> 32
            flags |= WORD
            return _USUAL.pack(flags, f.subject, low, high, answer, 1, words.number(word), p)
        return _pack_head(f, flags, words) + _LONE.pack(1, words.number(word), p)
    head = _pack_head(f, flags, words)
    size = bytes((count,)) if count < MANY else bytes((MANY,)) + _U32.pack(count)
    return head + size + b"".join([_SCORE.pack(words.number(word), p) for word, p in f.scores])


def _pack_label(label: Label, words: Names) -> bytes:
    flags = LABEL | RETRACTED if label.retracted else LABEL
    return _pack_head(label, flags, words) + _U32.pack(label.revision)


def _pack_head(item: Forecast | Label, flags: int, words: Names) -> bytes:
    answer, low, high = item.answer, item.time_ms & 0xFFFFFFFF, item.time_ms >> 32
    if isinstance(answer, str):
        return _WORDED.pack(flags | WORD, item.subject, low, high, words.number(answer))
    if answer is None:
        return _HEAD.pack(flags | MISSING, item.subject, low, high)
    return _NUMBERED.pack(flags, item.subject, low, high, answer)


def _usual(raw: bytes, tables: Tables) -> Entry:
    flags, subject, low, high, answer, _, word, p = _USUAL.unpack_from(raw, 2)
    _check(flags, subject, tables)
    scores = ((tables.words.word(word), p),)
    return Entry([Forecast(subject, low | high << 32, tables.words.word(answer), scores)])


def _entry(raw: bytes, tables: Tables) -> Entry:
    forecasts: list[Forecast] = []
    labels: list[Label] = []
    at, end = _WORD.size, len(raw)
    while at < end:
        flags, subject, low, high = _HEAD.unpack_from(raw, at)
        _check(flags, subject, tables)
        time_ms = low | high << 32
        answer, at = _unpack_answer(raw, at + _HEAD.size, flags, tables.words)
        if flags & FORECAST:
            scores, at = _unpack_scores(raw, at, tables.words)
            forecasts.append(
                Forecast(subject, time_ms, answer, scores, bool(flags & CONTROL_GROUP))
            )
        else:
            (revision,) = _U32.unpack_from(raw, at)
            at += _U32.size
            labels.append(Label(subject, time_ms, answer, revision, bool(flags & RETRACTED)))
    if not forecasts and not labels:
        raise ValueError("nothing in it")
    return Entry(forecasts, labels)


def _check(flags: int, subject: int, tables: Tables) -> None:
    allowed = ALLOWED.get(flags & (FORECAST | LABEL), 0)
    if flags & ~(allowed | WORD | MISSING) or (flags & WORD and flags & MISSING):
        raise ValueError(f"flags {flags}")
    if subject >= len(tables.subjects):
        raise ValueError(f"subject {subject}")


def _unpack_answer(raw: bytes, at: int, flags: int, words: Names) -> tuple[Answer, int]:
    if flags & WORD:
        return words.word(_WORD.unpack_from(raw, at)[0]), at + _WORD.size
    if flags & MISSING:
        return None, at
    return _NUMBER.unpack_from(raw, at)[0], at + _NUMBER.size


def _unpack_scores(raw: bytes, at: int, words: Names) -> tuple[Scores, int]:
    count, at = raw[at], at + 1
    if count == MANY:
        (count,) = _U32.unpack_from(raw, at)
        at += _U32.size
    end = at + count * _SCORE.size
    if end > len(raw):
        raise ValueError("scores are cut short")
    if count == 1:
        word, p = _SCORE.unpack_from(raw, at)
        return ((words.word(word), p),), end
    found = (_SCORE.unpack_from(raw, i) for i in range(at, end, _SCORE.size))
    return tuple((words.word(word), p) for word, p in found), end
