"""Training: the rows that a model was trained on, as a reference is made of them."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np

from agents import files
from agents.roles import ROW, Roles
from agents.tables import BadTable, Table
from stream.answers import missing, named
from stream.chronicles import NO_TIME, calibrated
from stream.columns import Column, Excerpt, Floats, Ints, column_of
from stream.estimates import ESTIMATED
from stream.losses import losses
from stream.odds import MAX_EDGES, Odds, odds_of
from stream.outcomes import Outcomes, outcomes
from stream.quality import figures_for, metrics_of
from stream.references import Reference
from stream.settings import ModelSettings
from stream.tallies import Tally
from stream.vectors import left_out

BLOCK_ROWS = 1 << 16
Scores = tuple[tuple[str, ...], np.ndarray]


@dataclasses.dataclass(frozen=True, slots=True)
class Training:
    """What a reference is made of. times: epoch ms, None where there are none."""

    features: Mapping[str, Column]
    prediction: Column | None
    label: Column | None
    scores: Scores | None
    confidence: Floats | None
    times: Ints | None

    @classmethod
    def of(cls, table: Table, roles: Roles) -> Self:
        """All rows of a table. Raises BadTable."""
        others = roles.named()
        kept = [name for name in table.columns if not left_out(name, others)]
        if not kept:
            raise BadTable("no column is left to be a feature")
        features = Excerpt(table.columns, names=kept)
        prediction = table.columns[roles.prediction] if roles.prediction else None
        label = table.columns[roles.label] if roles.label else None
        scores = _scores(table, roles)
        times = None if roles.time is None else _times(table, roles.time)
        confidence = _confidence(prediction, scores)
        return cls(features, prediction, label, scores, confidence, times)

    def take(self, places: Ints) -> Self:
        """Some of them."""
        scores, confidence, times = self.scores, self.confidence, self.times
        return dataclasses.replace(
            self,
            features=Excerpt(self.features, places),
            prediction=None if self.prediction is None else self.prediction.take(places),
            label=None if self.label is None else self.label.take(places),
            scores=None if scores is None else (scores[0], scores[1][places]),
            confidence=None if confidence is None else confidence[places],
            times=None if times is None else times[places],
        )

    def quality(self, settings: ModelSettings, roles: Roles) -> dict[str, float]:
        """Metrics by name, as far as they are known."""
        tally = Tally()
        for _, known in self._outcomes(roles.positive):
            tally.update(known)
        metrics = metrics_of(dataclasses.replace(settings, positive=roles.positive))
        return {name: f.value for name, f in figures_for(tally, metrics=metrics).items()}

    def odds(self, positive: str, max_edges: int = MAX_EDGES) -> Odds | None:
        """What scores meant: of the positive class where they are its, else of the answer."""
        prediction, label, scores = self.prediction, self.label, self.scores
        if prediction is None or label is None or scores is None or self.confidence is None:
            return None
        classes, labelled = scores[0], ~missing(label) & ~missing(prediction)
        if positive in classes and len(classes) <= 2:
            given = scores[1][:, classes.index(positive)]
            given = np.where(missing(prediction), np.nan, given)
            answered, right = named(prediction, positive), named(label, positive)
            return odds_of("positive", given, answered, right, labelled, max_edges)
        hits = [
            outcomes(label.take(rows), prediction.take(rows), task="classification").hit == 1
            for rows in _blocks(len(label))
        ]
        everywhere = np.ones(len(label), dtype=np.bool_)
        right = np.concatenate(hits)
        return odds_of("answer", self.confidence, everywhere, right, labelled, max_edges)

    def calibrated(self, reference: Reference, settings: ModelSettings, seed: int) -> Reference:
        """The reference of these rows with what their times show."""
        if self.times is None:
            return reference
        answers = {} if self.prediction is None else {"prediction": self.prediction}
        sure = {} if self.confidence is None else {"confidence": column_of(self.confidence)}
        known = self._losses()
        if reference.odds is not None and self.confidence is not None:
            known[ESTIMATED] = self.confidence
        outputs = answers | sure
        return calibrated(reference, self.features, outputs, self.times, settings, seed, known)

    def _losses(self) -> dict[str, np.ndarray]:
        """What each row adds to each metric, shape (rows,)."""
        found: dict[str, np.ndarray] = {}
        for rows, known in self._outcomes():
            for name, values in losses(known).items():
                whole = found.setdefault(name, np.full(len(self.label or ()), np.nan))
                whole[rows] = values
        return found

    def _outcomes(self, positive: str = "1") -> Iterator[tuple[slice, Outcomes]]:
        """The outcomes of some rows after the other; none where answers or truth are not known."""
        if self.prediction is None or self.label is None:
            return
        for rows in _blocks(len(self.label)):
            some = None if self.scores is None else (self.scores[0], self.scores[1][rows])
            known = self.label.take(rows), self.prediction.take(rows)
            yield rows, outcomes(*known, some, positive=positive)


def _times(table: Table, name: str) -> Ints:
    """Epoch ms of each row, NO_TIME where it has none. Raises BadTable."""
    if name == ROW:
        return np.arange(table.rows, dtype=np.int64) * 1_000
    column = table.columns[name]
    found = np.full(len(column), NO_TIME, dtype=np.int64)
    try:
        known = ~np.isnan(column.numbers)
        if known.any():
            files.time_of(float(np.abs(column.numbers[known]).min()))
            files.time_of(float(np.abs(column.numbers[known]).max()))
            found[known] = np.rint(column.numbers[known]).astype(np.int64)
        if column.codes is not None:
            words = np.array([files.time_of(word) for word in column.words], dtype=np.int64)
            found[column.codes >= 0] = words[column.codes[column.codes >= 0]]
    except ValueError as error:
        raise BadTable(f"column {name!r}, named by --time: {error}") from None
    return found


def _scores(table: Table, roles: Roles) -> Scores | None:
    pairs = dict(roles.probabilities) or ({roles.positive: roles.score} if roles.score else {})
    if not pairs:
        return None
    return tuple(pairs), np.column_stack([table.columns[name].numbers for name in pairs.values()])


def _confidence(prediction: Column | None, scores: Scores | None) -> Floats | None:
    """What was given to the answer, shape (rows,)."""
    if prediction is None or scores is None:
        return None
    found = np.empty(len(prediction))
    for rows in _blocks(len(prediction)):
        answers, some = prediction.take(rows), (scores[0], scores[1][rows])
        found[rows] = outcomes(answers, answers, some, task="classification").confidence
    return found


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(at, at + BLOCK_ROWS) for at in range(0, rows, BLOCK_ROWS))
