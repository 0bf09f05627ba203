"""Divisions: a reference with references of its segments, made of the rows of each."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from stream.bands import SIDES
from stream.columns import Column, Floats, Ints
from stream.features import MAX_CATEGORIES, FeatureReference, summarise
from stream.references import Reference
from stream.segments import EDGES, Key
from stream.settings import CONTROL, ModelSettings

Make = Callable[[Ints, Reference], Reference]
"""The reference of some rows (their places), with the kinds of another."""


def divided(
    reference: Reference, names: Mapping[str, Column], settings: ModelSettings, make: Make
) -> Reference:
    """The reference with those of the segments that its rows belong to.

    names: the value of each row, by the segment's name. Of each name the `max_segments` most
    frequent values that have `minimum_rows` are kept.
    Both sides of a control group are compared with all rows: nobody acted upon the reference's.
    """
    dimensions: dict[str, FeatureReference] = {}
    found: dict[Key, Reference] = {}
    for name, column in names.items():
        if name == CONTROL:
            continue
        dimension = _dimension(name, column, settings)
        codes = dimension.codes(column)
        dimensions[name] = dimension
        for place, value in enumerate(dimension.names):
            found[name, value] = make(np.flatnonzero(codes == place), reference)
    if CONTROL in names:
        everyone = make(np.arange(reference.rows), reference)
        dimensions[CONTROL] = _of_control(reference.rows)
        found |= {(CONTROL, side): everyone for side in SIDES}
    segments = dict(sorted(found.items()))
    return dataclasses.replace(reference, dimensions=dimensions, segments=segments)


def _of_control(rows: int) -> FeatureReference:
    """As if no row of the reference were of a control group."""
    counts = np.array([rows] + [0] * (len(SIDES) + 1), dtype=np.int64)
    return FeatureReference(CONTROL, "category", counts, np.zeros(0), SIDES)


def _dimension(name: str, column: Column, settings: ModelSettings) -> FeatureReference:
    """Which values are counted by name, in order of their frequency."""
    most = summarise(name, column, "category", max_categories=settings.max_segments)
    kept = [
        value
        for value, n in zip(most.names, most.counts.tolist(), strict=False)
        if n >= settings.minimum_rows
    ]
    blank = dataclasses.replace(most, names=tuple(kept), counts=np.zeros(0, dtype=np.int64))
    return dataclasses.replace(blank, counts=blank.counts_of(column))


def part_of(
    whole: Reference,
    features: Mapping[str, Column],
    prediction: Column | None,
    confidence: Floats | None,
    quality: Mapping[str, float] | None = None,
    max_categories: int = MAX_CATEGORIES,
) -> Reference:
    """The reference of some rows of another's, with the same kinds of features.

    Of vectors it has the numbers alone.
    """
    words = [name for name, f in whole.features.items() if f.kind == "category"]
    return Reference.build(
        whole.model,
        whole.version,
        features,
        prediction=prediction,
        confidence=confidence,
        quality=quality,
        task=whole.task,
        categorical=words,
        numeric=[name for name in whole.features if name not in words],
        max_edges=EDGES,
        max_categories=max_categories,
        whole_vectors=False,
    )


def notes(reference: Reference) -> list[str]:
    """What of the reference's own rows is in no segment, in words."""
    found = []
    for name, f in reference.dimensions.items():
        if name == CONTROL:
            continue
        other, none = (int(n) for n in f.counts[f.cells :])
        told = f"{len(f.names)} values of {name} have a reference of their own"
        rest = [f"{other:,} rows have another value"] if other else []
        rest += [f"{none:,} rows have none"] if none else []
        found.append("; ".join([told, *rest]))
    return found
