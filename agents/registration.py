"""Registration: a reference from a table of training data, sent as control events.

A training job can send the same events itself; see `schemas/control.v1.json`.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping

import numpy as np

from agents import complaints
from agents.clusters import Cluster
from agents.producers import Message, Producer
from agents.roles import Roles, check, check_times
from agents.settings import Settings
from agents.tables import BadTable, Table
from agents.training import Training
from stream import divisions, mismatches
from stream.bands import cut
from stream.calibrations import UNCALIBRATED, promise
from stream.columns import Column, Ints
from stream.divisions import divided, part_of
from stream.references import Reference
from stream.segments import EDGES
from stream.settings import CONTROL, ModelSettings

PART_SHARE = 0.5  # of the largest event: a reference's part has other attributes too
DEFAULTS = ModelSettings()


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
    check(table, roles)
    check_times(roles, settings)
    rows = Training.of(table, roles)
    reference = Reference.build(
        model,
        version,
        rows.features,
        prediction=rows.prediction,
        confidence=rows.confidence,
        label=rows.label,
        quality=rows.quality(settings, roles),
        categorical=roles.categorical,
        max_categories=roles.max_categories,
        whole_vectors=settings.whole_vectors,
    )
    _check_weights(roles, reference)
    meant = None if settings.estimate == "off" else rows.odds(roles.positive)
    reference = dataclasses.replace(reference, weights=dict(roles.weights), odds=meant)
    reference = rows.calibrated(reference, settings, seed)
    if roles.segments:
        reference = _divided(reference, table, roles, rows, settings, seed)
    return reference, _notes(table, reference, roles) + _promises(reference, roles, settings)


def _check_weights(roles: Roles, reference: Reference) -> None:
    for name in sorted(roles.weights.keys() - reference.units):
        units = sorted(reference.units)
        raise BadTable(f"has no feature {name!r} to weigh; {complaints.suggest(name, units)}")


def _divided(
    reference: Reference,
    table: Table,
    roles: Roles,
    rows: Training,
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


def _notes(table: Table, reference: Reference, roles: Roles) -> list[str]:
    notes = [f"column {name!r} is left out: {why}" for name, why in table.skipped.items()]
    notes += _identifiers(reference.features, roles.max_categories)
    notes += divisions.notes(reference)
    if not roles.prediction:
        notes.append("no column of predictions (--prediction): outputs are not checked")
    elif "confidence" not in reference.outputs:
        notes.append("no score or probabilities: confidence is not checked")
    elif roles.score and reference.task == "classification":
        answers = reference.outputs["prediction"].names
        if len(answers) > 1 and roles.positive not in answers:
            notes.append(mismatches.of_another(answers, roles.positive))
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
