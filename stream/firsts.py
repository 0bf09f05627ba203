"""Firsts: a model's own first rows as its reference, where nobody registered one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from stream.answers import answers, confidence
from stream.batches import Block
from stream.columns import Column, Excerpt, Floats, Ints, column_of
from stream.divisions import divided, part_of
from stream.joins import Answer
from stream.references import Reference
from stream.samples import Sample
from stream.settings import ModelSettings
from stream.vectors import Vectors

FIRST_PANES = "first-panes"  # the source of a reference that nobody registered
MAX_PART_BYTES = 600_000


def first_reference(model: str, version: str, sample: Sample, settings: ModelSettings) -> Reference:
    """The reference of a sample's rows, in order of id hash: the same for any order of arrival."""
    sample.trim()
    order = np.argsort(np.concatenate([block.ids for block in sample.blocks]), kind="stable")
    found = {name for block in sample.blocks for name in block.features}
    names = sorted(found - Vectors.of(found).elements.keys())  # a vector that is null has no number
    features = {name: _feature(sample, name, order) for name in names}
    prediction = _prediction(sample, order)
    confidence = _confidence(sample, order, settings.positive)
    reference = Reference.build(
        model,
        version,
        features,
        prediction=prediction,
        confidence=confidence,
        task=settings.task,
        max_categories=settings.max_categories,
        whole_vectors=settings.whole_vectors,
    )

    def own(rows: Ints, whole: Reference) -> Reference:
        return part_of(
            whole,
            Excerpt(features, rows),
            prediction=None if prediction is None else prediction.take(rows),
            confidence=None if confidence is None else confidence[rows],
        )

    dimensions = {name: _segment(sample, name, order) for name in settings.segments}
    return divided(reference, dimensions, settings, own) if dimensions else reference


def reference_events(reference: Reference, since: str) -> list[dict[str, Any]]:
    """The control events that register a reference from an event time on."""
    parts = reference.to_parts(MAX_PART_BYTES, time=since, active_from=since)
    return [part | {"source": FIRST_PANES} for part in parts]


def _values(
    sample: Sample, order: np.ndarray, part: Callable[[Block], Column | None]
) -> list[Answer]:
    """A part of each row, None where it is lacking."""
    values = [value for block in sample.blocks for value in answers(part(block), len(block))]
    return [values[i] for i in order.tolist()]


def _feature(sample: Sample, name: str, order: np.ndarray) -> Column:
    return column_of(_values(sample, order, lambda block: block.features.get(name)))


def _segment(sample: Sample, name: str, order: np.ndarray) -> Column:
    return column_of(_values(sample, order, lambda block: (block.segments or {}).get(name)))


def _prediction(sample: Sample, order: np.ndarray) -> Column | None:
    values = _values(sample, order, lambda block: block.prediction)
    return None if all(value is None for value in values) else column_of(values)


def _confidence(sample: Sample, order: np.ndarray, positive: str) -> Floats | None:
    parts = [confidence(block, positive) for block in sample.blocks]
    if all(part is None for part in parts):
        return None
    filled = [
        np.full(len(block), np.nan) if part is None else part
        for block, part in zip(sample.blocks, parts, strict=True)
    ]
    found: Floats = np.concatenate(filled)[order]
    return found
