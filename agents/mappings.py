"""Mappings: what the columns of a file to be replayed are, and what a first reading shows."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Self

from stream.settings import CONTROL


@dataclasses.dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a file are; what is named nowhere is a feature.

    id, time None: the number of the row counts, from 1. delay_ms, or the column label_delay in
    units of delay_unit_ms, or the column label_time say when a truth became known. segments: the
    column of each segment's name. banded: names of those that are numbers, and features too.
    """

    id: str | None = None
    time: str | None = None
    prediction: str | None = None
    score: str | None = None
    probabilities: Mapping[str, str] = dataclasses.field(default_factory=dict)
    label: str | None = None
    label_time: str | None = None
    label_delay: str | None = None
    delay_unit_ms: float = 1_000.0
    delay_ms: int = 0
    categorical: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    segments: Mapping[str, str] = dataclasses.field(default_factory=dict)
    banded: tuple[str, ...] = ()

    def named(self) -> dict[str, str]:
        """Columns that the file must have, and by which option."""
        single = {
            "--id": self.id,
            "--time": self.time,
            "--prediction": self.prediction,
            "--score": self.score,
            "--label": self.label,
            "--label-time": self.label_time,
            "--label-delay": self.label_delay,
        }
        many = {
            "--probabilities": self.probabilities.values(),
            "--segments": self.segments.values(),
            "--categorical": self.categorical,
            "--ignore": self.ignore,
        }
        found = {name: option for option, name in single.items() if name}
        return found | {name: option for option, names in many.items() for name in names}

    def no_features(self) -> set[str]:
        """Columns that are something else. A delay, what is categorical and what bands are made of
        are features too.
        """
        numbers = {column for name, column in self.segments.items() if name in self.banded}
        kept = ({self.label_delay, *self.categorical} | numbers) - {*self.ignore}
        return set(self.named()) - kept

    def among(self, known: Collection[str]) -> Self:
        """The same of a table that lacks some: what is sure of an answer needs the answer."""

        def one(column: str | None) -> str | None:
            return column if column in known else None

        answers = self.prediction in known
        sure = answers and all(name in known for name in self.probabilities.values())
        return dataclasses.replace(
            self,
            id=one(self.id),
            time=one(self.time),
            prediction=one(self.prediction),
            score=one(self.score) if answers else None,
            probabilities=self.probabilities if sure else {},
            label=one(self.label),
            label_time=one(self.label_time),
            label_delay=one(self.label_delay),
            categorical=tuple(name for name in self.categorical if name in known),
            ignore=tuple(name for name in self.ignore if name in known),
            segments={n: c for n, c in self.segments.items() if c in known or n == CONTROL},
        )

    @property
    def times(self) -> set[str]:
        """Columns that hold times."""
        return {name for name in (self.time, self.label_time) if name}


@dataclasses.dataclass(frozen=True, slots=True)
class Clock:
    """Times of rows without a column of their own: the first row's, and from row to row, ms."""

    start_ms: int = 0
    every_ms: float = 1_000.0

    def at(self, row: int) -> int:
        """The time of a row, counted from 0."""
        return self.start_ms + round(row * self.every_ms)


@dataclasses.dataclass(slots=True)
class Survey:
    """What a first reading of all rows shows. Times in epoch ms; truths None: not counted."""

    rows: int = 0
    truths: int = 0
    in_order: bool = True
    first_ms: int = 0
    last_ms: int = 0
    last_truth_ms: int = 0
    longest_delay_ms: int = 0

    def add(self, time_ms: int, label_ms: int | None) -> None:
        """One row more; label_ms: when its truth became known, None without one."""
        if self.rows == 0:
            self.first_ms = self.last_ms = time_ms
        self.in_order = self.in_order and time_ms >= self.last_ms
        self.rows += 1
        self.first_ms, self.last_ms = min(self.first_ms, time_ms), max(self.last_ms, time_ms)
        if label_ms is not None:
            self.truths += 1
            self.last_truth_ms = max(self.last_truth_ms, label_ms)
            self.longest_delay_ms = max(self.longest_delay_ms, label_ms - time_ms)
