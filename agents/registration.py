"""Registration: a reference from a table of training data, sent as control events.

A training job can send the same events itself; see `schemas/control.v1.json`.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

import numpy as np

from agents import complaints, files
from agents.clusters import Cluster
from agents.producers import Message, Producer
from agents.settings import Settings
from agents.tables import BadTable, Table
from stream import divisions
from stream.answers import missing, named
from stream.bands import cut
from stream.calibrations import UNCALIBRATED, promise
from stream.chronicles import NO_TIME, calibrated
from stream.columns import Column, Floats, Ints, column_of
from stream.divisions import Rows, divided, part_of
from stream.estimates import ESTIMATED
from stream.features import MAX_CATEGORIES
from stream.losses import losses
from stream.odds import MAX_EDGES, Odds, odds_of
from stream.outcomes import outcomes
from stream.quality import figures_for, metrics_of
from stream.references import Reference
from stream.segments import EDGES
from stream.settings import CONTROL, ModelSettings
from stream.tallies import Tally
from stream.vectors import left_out

PART_SHARE = 0.5  # of the largest event: a reference's part has other attributes too
BLOCK_ROWS = 1 << 16
ROW = "row"
DEFAULTS = ModelSettings()
Scores = tuple[tuple[str, ...], np.ndarray]


@dataclasses.dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a table are. What is named nowhere is a feature.

    probabilities: the column of each class. score: that of the positive class. time: the column
    of when each row was, ROW where rows are in order and a second apart, None where they are not.
    weights: how much the changes of features weigh. segments: the column of each segment's name,
    which is a feature too where it is categorical, or banded: a number of which bands are made.
    """

    prediction: str | None = None
    score: str | None = None
    probabilities: Mapping[str, str] = dataclasses.field(default_factory=dict)
    label: str | None = None
    positive: str = "1"
    categorical: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    max_categories: int = MAX_CATEGORIES
    time: str | None = None
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    segments: Mapping[str, str] = dataclasses.field(default_factory=dict)
    banded: tuple[str, ...] = ()

    def named(self) -> set[str]:
        """The columns that are no features."""
        return self.used() | {*self.ignore}

    def used(self) -> set[str]:
        """The columns that are something else."""
        single = {self.prediction, self.score, self.label, self.time} - {None, ROW}
        own = {column for name, column in self.segments.items() if name not in self.banded}
        segments = own - {*self.categorical}
        return {str(name) for name in single} | {*self.probabilities.values()} | segments


class _Chosen(Mapping[str, Column]):
    """Some columns, each read when it is asked for: a long table is not read at once."""

    def __init__(self, columns: Mapping[str, Column], names: list[str]) -> None:
        self._columns, self._names = columns, names

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def build(
    table: Table,
    model: str,
    version: str,
    roles: Roles,
    settings: ModelSettings = DEFAULTS,
    seed: int = 0,
) -> tuple[Reference, list[str]]:
    """The reference of a table, and notes on what it lacks. Raises BadTable.

    settings, seed: what it is calibrated for and with, where its rows have times.
    """
    _check(table, roles)
    _check_times(roles, settings)
    others = roles.named()
    features = _Chosen(table.columns, [n for n in table.columns if not left_out(n, others)])
    if not features:
        raise BadTable("no column is left to be a feature")
    rows = _Rows.of(table, roles, features)
    reference = Reference.build(
        model,
        version,
        features,
        prediction=rows.prediction,
        confidence=rows.confidence,
        label=rows.label,
        quality=rows.quality(settings, roles),
        categorical=roles.categorical,
        max_categories=roles.max_categories,
        whole_vectors=settings.whole_vectors,
    )
    for name in sorted(roles.weights.keys() - reference.units):
        units = sorted(reference.units)
        raise BadTable(f"has no feature {name!r} to weigh; {complaints.suggest(name, units)}")
    meant = None if settings.estimate == "off" else rows.odds(roles.positive)
    reference = dataclasses.replace(reference, weights=dict(roles.weights), odds=meant)
    reference = rows.calibrated(reference, settings, seed)
    if roles.segments:
        reference = _divided(reference, table, roles, rows, settings, seed)
    return reference, _notes(table, reference, roles) + _promises(reference, roles, settings)


@dataclasses.dataclass(frozen=True, slots=True)
class _Rows:
    """What a reference is made of. times: epoch ms, None where there are none."""

    features: Mapping[str, Column]
    prediction: Column | None
    label: Column | None
    scores: Scores | None
    confidence: Floats | None
    times: Ints | None

    @classmethod
    def of(cls, table: Table, roles: Roles, features: Mapping[str, Column]) -> Self:
        """All rows of a table. Raises BadTable."""
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
            features=Rows(self.features, places),
            prediction=None if self.prediction is None else self.prediction.take(places),
            label=None if self.label is None else self.label.take(places),
            scores=None if scores is None else (scores[0], scores[1][places]),
            confidence=None if confidence is None else confidence[places],
            times=None if times is None else times[places],
        )

    def quality(self, settings: ModelSettings, roles: Roles) -> dict[str, float]:
        """Metrics by name, as far as they are known."""
        known = dataclasses.replace(settings, positive=roles.positive)
        return _quality(self.prediction, self.label, self.scores, known)

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
        known = _losses(self.prediction, self.label, self.scores)
        if reference.odds is not None and self.confidence is not None:
            known[ESTIMATED] = self.confidence
        outputs = answers | sure
        return calibrated(reference, self.features, outputs, self.times, settings, seed, known)


def _divided(
    reference: Reference,
    table: Table,
    roles: Roles,
    rows: _Rows,
    settings: ModelSettings,
    seed: int,
) -> Reference:
    """The reference with those of its segments, each calibrated by its own rows."""
    plain = dataclasses.replace(settings, detectors=())

    def own(places: Ints, whole: Reference) -> Reference:
        some = rows.take(places)
        made = part_of(
            whole,
            some.features,
            some.prediction,
            some.confidence,
            some.quality(settings, roles),
            roles.max_categories,
        )
        if whole.odds is not None:
            made = dataclasses.replace(made, odds=some.odds(roles.positive, EDGES))
        return some.calibrated(made, plain, seed)

    names = {
        name: _segment(table, name, column, settings) for name, column in roles.segments.items()
    }
    return divided(reference, names, settings, own)


def _segment(table: Table, name: str, column: str, settings: ModelSettings) -> Column:
    """The value of each row; of a control group none, for all rows stand for it."""
    if name == CONTROL:
        return Column(np.full(table.rows, np.nan))
    given = table.columns[column]
    return cut(given, settings.bands[name]) if name in settings.bands else given


def _check_times(roles: Roles, settings: ModelSettings) -> None:
    """Whether rows have hours, where they are compared by them. Raises BadTable."""
    if settings.seasonality != "none" and roles.time in (None, ROW):
        lacks = "no times" if roles.time is None else "no hours (--time row)"
        raise BadTable(
            f"seasonality = {settings.seasonality}, and the rows have {lacks}: name the column of "
            "their times with --time"
        )


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


def _promises(reference: Reference, roles: Roles, settings: ModelSettings) -> list[str]:
    """What is said of the rate of false alarms that this reference makes one expect."""
    if roles.time is None:
        return [f"{UNCALIBRATED}; with --time the rate of false alarms is worked out from its rows"]
    if reference.calibration is None:
        return ["uncalibrated: too few panes with rows, or no number among the features"]
    return promise(reference.calibration, settings)[1]


async def publish(settings: Settings, reference: Reference, now_ms: int) -> int:
    """Send it to the control topic; answers the number of events.

    Raises ConnectionError where there is no Kafka or no such topic, DeliveryFailed where it was
    not taken.
    """
    topic = settings.topics.name("control")
    await _prepare(settings, topic)
    producer = Producer(settings.kafka, max_message_bytes=settings.limits.max_bytes)
    parts = reference.to_parts(int(settings.limits.max_bytes * PART_SHARE), time=now_ms)
    key = reference.model.encode()
    messages = [Message(topic, json.dumps(part).encode(), key) for part in parts]
    try:
        await producer.produce_all(messages)
    finally:
        await producer.close()
    return len(messages)


async def _prepare(settings: Settings, topic: str) -> None:
    cluster = Cluster(settings.kafka)
    topics = settings.topics
    if topics.create:
        await cluster.ensure_topics([topic], topics.partitions, topics.replication_factor)
        return
    try:
        await cluster.partition_count(topic)
    except LookupError as error:
        raise ConnectionError(f"{error}, and `create` of [topics] is false") from None


def _check(table: Table, roles: Roles) -> None:
    known = [*table.columns, *table.names]
    for name in sorted(roles.named() | {*roles.categorical}):
        if name == roles.segments.get(CONTROL):
            continue
        if name not in known:
            raise BadTable(f"has no column {name!r}; {complaints.suggest(name, known)}")
        if name not in table.columns and name in roles.used() | {*roles.categorical}:
            kind = "lists of numbers" if name in table.vectors else "what is not supported yet"
            raise BadTable(f"column {name!r} holds {kind}: it can be a feature, or be left out")
    if roles.probabilities and roles.score:
        raise BadTable("has either a score or probabilities, not both")
    if (roles.probabilities or roles.score) and not roles.prediction:
        raise BadTable("scores say how sure a prediction is: name the column of the prediction too")
    for name in {*roles.probabilities.values()} | ({roles.score} if roles.score else set()):
        if table.columns[name].codes is not None:
            raise BadTable(f"column {name!r} holds words, must hold probabilities")


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


def _quality(
    prediction: Column | None,
    label: Column | None,
    scores: Scores | None,
    settings: ModelSettings,
) -> dict[str, float]:
    if prediction is None or label is None:
        return {}
    tally = Tally()
    for rows in _blocks(len(label)):
        some = None if scores is None else (scores[0], scores[1][rows])
        taken = label.take(rows), prediction.take(rows)
        tally.update(outcomes(*taken, some, positive=settings.positive))
    found = figures_for(tally, metrics=metrics_of(settings))
    return {name: figure.value for name, figure in found.items()}


def _losses(
    prediction: Column | None, label: Column | None, scores: Scores | None
) -> dict[str, np.ndarray]:
    """What each row adds to each metric, shape (rows,)."""
    found: dict[str, np.ndarray] = {}
    if prediction is None or label is None:
        return found
    for rows in _blocks(len(label)):
        some = None if scores is None else (scores[0], scores[1][rows])
        for name, values in losses(outcomes(label.take(rows), prediction.take(rows), some)).items():
            whole = found.setdefault(name, np.full(len(label), np.nan))
            whole[rows] = values
    return found


def _notes(table: Table, reference: Reference, roles: Roles) -> list[str]:
    notes = [f"column {name!r} is left out: {why}" for name, why in table.skipped.items()]
    notes += _identifiers(reference.features, roles.max_categories)
    notes += divisions.notes(reference)
    if not roles.prediction:
        notes.append("no column of predictions (--prediction): outputs are not checked")
    elif "confidence" not in reference.outputs:
        notes.append("no score or probabilities: confidence is not checked")
    if not reference.quality:
        notes.append(
            "quality on the reference is not known (--prediction and --label): later quality is"
            " shown, and judged by `objectives` alone"
        )
    return notes


def _identifiers(features: Mapping[str, object], most: int) -> Iterable[str]:
    for name, feature in features.items():
        if len(getattr(feature, "names", ())) >= most:
            yield (
                f"{name!r} has {most:,} or more categories; if it is an identifier,"
                f" leave it out with --ignore {name}"
            )
