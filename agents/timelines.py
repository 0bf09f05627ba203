"""Timelines: rows of files as predictions and delayed truth, in order of event time.

The order is that in which a model service and its ledgers would have sent them: a truth comes when
it became known, between the predictions of that time. Of the predictions one block is in memory,
of the truth what is still on its way.
"""

import dataclasses
import heapq
import random
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from agents import complaints
from agents.files import File, Rows, time_of, word_of
from agents.labels import Labels
from agents.mappings import Clock, Columns, Survey
from agents.tables import BadTable
from stream.settings import CONTROL

MAX_WAITING = 20_000_000  # truths on their way, about 150 bytes each
MAX_SORTED = 5_000_000  # predictions of a file that is not in order of time
FLAGS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_encode = msgspec.json.Encoder().encode


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One record to be. topic: "predictions" or "ground-truth". time_ms: event time."""

    topic: str
    key: bytes
    value: bytes
    time_ms: int


@dataclasses.dataclass(frozen=True, slots=True)
class _Made:
    """One row: its prediction as bytes, and its truth, known from label_ms on (None: none)."""

    time_ms: int
    id: str
    value: bytes
    label: Any
    label_ms: int | None


class Timeline:
    """Events of one model version. labels: truth from files of its own, by id."""

    def __init__(
        self,
        file: File,
        columns: Columns,
        model: str,
        version: str,
        clock: Clock | None = None,
        labels: Labels | None = None,
        shuffle: int | None = None,
    ) -> None:
        """shuffle: a seed, labels change places within blocks of rows. Raises BadTable."""
        self.file, self.columns, self.labels = file, columns, labels
        self.model, self.version = model, version
        self.clock = clock or Clock()
        self._shuffle = shuffle
        self._check()
        self.features = [n for n in file.names if n not in columns.no_features()]
        if not self.features:
            raise BadTable(f"{file.path}: no column is left to be a feature")
        self._in_order = True

    def survey(self) -> Survey:
        """Read everything once, to know what is coming. Raises BadTable on the first bad row."""
        found = Survey()
        c = self.columns
        apart = self.labels is not None
        needed = {c.time, c.label_time, c.label_delay, c.id if apart else c.label} - {None}
        for rows in self.file.blocks(c.times, {str(name) for name in needed}):
            times, labels = self._times(rows), self._labels(rows)
            for time_ms, (_, label_ms) in zip(times, self._known(rows, times, labels), strict=True):
                found.add(time_ms, label_ms)
        if not found.in_order and found.rows > MAX_SORTED:
            raise BadTable(
                f"{self.file.path}: its {found.rows:,} rows are not in order of"
                f" {self.columns.time!r}; sort them (up to {MAX_SORTED:,} are sorted here)"
            )
        self._in_order = found.in_order
        return found

    def events(self) -> Iterator[Event]:
        """Predictions and truth in order of event time; of one time, the predictions first."""
        waiting: list[tuple[int, int, str, Any]] = []
        for number, made in enumerate(self._ordered()):
            while waiting and waiting[0][0] < made.time_ms:
                yield self._truth(*heapq.heappop(waiting))
            yield Event("predictions", made.id.encode(), made.value, made.time_ms)
            if made.label_ms is not None:
                heapq.heappush(waiting, (made.label_ms, number, made.id, made.label))
                self._check_waiting(len(waiting))
        while waiting:
            yield self._truth(*heapq.heappop(waiting))

    def _check(self) -> None:
        for name, option in self.columns.named().items():
            if name not in self.file.names:
                apart = option == "--label" and self.labels is not None
                if not apart:
                    known = complaints.suggest(name, self.file.names)
                    raise BadTable(f"{self.file.path}: has no column {name!r} ({option}); {known}")

    def _check_waiting(self, count: int) -> None:
        if count > MAX_WAITING:
            raise BadTable(
                f"{self.file.path}: more than {MAX_WAITING:,} truths are on their way at once;"
                " take a shorter --label-delay or fewer rows"
            )

    def _ordered(self) -> Iterator[_Made]:
        if self._in_order:
            return self._made()
        return iter(sorted(self._made(), key=lambda made: made.time_ms))

    def _made(self) -> Iterator[_Made]:
        for rows in self.file.blocks(self.columns.times):
            times, ids = self._times(rows), self._ids(rows)
            values = self._predictions(rows, times, ids)
            known = self._known(rows, times, self._labels(rows))
            for time_ms, id_, value, (label, label_ms) in zip(
                times, ids, values, known, strict=True
            ):
                yield _Made(time_ms, id_, value, label, label_ms)

    def _times(self, rows: Rows) -> list[int]:
        if self.columns.time is None:
            return [self.clock.at(rows.first + i) for i in range(rows.count)]
        values = rows.columns[self.columns.time]
        return [self._time(v, rows.first + i, "--time") for i, v in enumerate(values)]

    def _ids(self, rows: Rows) -> list[str]:
        if self.columns.id is None:
            return [str(rows.first + i + 1) for i in range(rows.count)]
        values = rows.columns[self.columns.id]
        for i, value in enumerate(values):
            if value is None:
                raise self._bad(rows.first + i, "has no id (--id)")
        return [word_of(value) for value in values]

    def _labels(self, rows: Rows) -> list[Any]:
        """The label of each row, None where there is none."""
        columns = self.columns
        if self.labels is not None:
            found = self.labels.find(self._ids(rows))
        elif columns.label is not None:
            found = list(rows.columns[columns.label])
        else:
            return [None] * rows.count
        if self._shuffle is not None:
            found = shuffled(found, f"{self._shuffle}/{rows.first}")
        return found

    def _known(
        self, rows: Rows, times: Sequence[int], labels: Sequence[Any]
    ) -> Iterator[tuple[Any, int | None]]:
        """Each row's label, and when it became known."""
        c = self.columns
        name = c.label_time or c.label_delay
        given = rows.columns[name] if name else [None] * rows.count
        for i, (time_ms, label, value) in enumerate(zip(times, labels, given, strict=True)):
            if label is None:
                yield None, None
            elif c.label_time:
                yield label, self._time(value, rows.first + i, "--label-time")
            elif c.label_delay:
                yield label, time_ms + self._delay_ms(value, rows.first + i)
            else:
                yield label, time_ms + c.delay_ms

    def _delay_ms(self, value: Any, row: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise self._bad(row, f"{value!r} is no delay (--label-delay)")
        delay_ms = value * self.columns.delay_unit_ms
        if not delay_ms < 2**53:
            raise self._bad(row, f"{value!r} is too long a delay (--label-delay)")
        return round(delay_ms)

    def _predictions(self, rows: Rows, times: list[int], ids: list[str]) -> Iterator[bytes]:
        c, columns = self.columns, rows.columns
        features = [n for n in columns if n in self.features or n not in self.file.names]
        values = [_words(columns[n]) if n in c.categorical else columns[n] for n in features]
        answers = columns[c.prediction] if c.prediction else None
        scores = columns[c.score] if c.score else None
        classes = list(c.probabilities)
        given = [columns[name] for name in c.probabilities.values()]
        apart = {name: column for name, column in c.segments.items() if name != CONTROL}
        segments = [_words(columns[name]) for name in apart.values()]
        flags = columns[c.segments[CONTROL]] if CONTROL in c.segments else None
        for i, row in enumerate(zip(*values, strict=True)):
            event: dict[str, Any] = {
                "prediction_id": ids[i],
                "model": self.model,
                "version": self.version,
                "time": times[i],
                "features": dict(zip(features, row, strict=True)),
            }
            if answers is not None:
                event["prediction"] = answers[i]
            if scores is not None:
                event["score"] = scores[i]
            if given:
                event["probabilities"] = dict(zip(classes, (p[i] for p in given), strict=True))
            if segments:
                own = zip(apart, (words[i] for words in segments), strict=True)
                event["segments"] = {name: word for name, word in own if word is not None}
            if flags is not None:
                event["control_group"] = self._flag(flags[i], rows.first + i)
            yield _encode(event)

    def _flag(self, value: Any, row: int) -> bool:
        """Whether a row is of the control group; one that says nothing is not."""
        word = "no" if value is None or value != value else word_of(value).lower()
        if word not in FLAGS:
            raise self._bad(row, f"{value!r} is no yes or no (--segments {CONTROL})")
        return FLAGS[word]

    def _truth(self, time_ms: int, _: int, id_: str, label: Any) -> Event:
        event = {"prediction_id": id_, "model": self.model, "version": self.version}
        value = _encode({**event, "time": time_ms, "label": label})
        return Event("ground-truth", id_.encode(), value, time_ms)

    def _time(self, value: Any, row: int, option: str) -> int:
        try:
            return time_of(value)
        except ValueError as error:
            raise self._bad(row, f"{value!r} {error} ({option})") from None

    def _bad(self, row: int, what: str) -> BadTable:
        return BadTable(f"{self.file.path}: row {row + 1:,}: {what}")


def _words(values: Sequence[Any]) -> list[str | None]:
    return [None if v is None or v != v else word_of(v) for v in values]


def shuffled(labels: Sequence[Any], seed: str) -> list[Any]:
    """The labels of rows that have one, in random places among these rows."""
    places = [i for i, label in enumerate(labels) if label is not None]
    moved = random.Random(seed).sample(places, len(places))
    found = list(labels)
    for to, source in zip(places, moved, strict=True):
        found[to] = labels[source]
    return found
