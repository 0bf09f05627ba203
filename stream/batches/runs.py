"""Runs: predictions of one shape, some hundred at a time, until all of a chunk are columns.

What a record was decoded to is let go as soon as its values are where they belong: a chunk of
records as objects is more than the processor's cache holds.
"""

import operator
from collections.abc import Sequence
from typing import Any

from stream.batches.blocks import Block
from stream.batches.gathering import (
    OUTPUTS,
    columns_of,
    features_of,
    packed_numbers,
    predictions_of,
)
from stream.batches.shapes import Shape
from stream.columns import Ints
from stream.hashes import id_hashes


class Run:
    """n predictions of one shape in the order they were added. Lists of n.

    given: the values of those of OUTPUTS that the shape has, by name.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.ids: list[str] = []
        self.models: list[str] = []
        self.versions: list[str] = []
        self.times: list[Any] = []
        self.given: dict[str, list[Any]] = {name: [] for name in shape.fields if name in OUTPUTS}
        self._packed: list[bytes] = []
        self._features: list[Any] = []

    def add(self, rows: Sequence[Any]) -> None:
        """Add rows, as `Shape.decode` makes them."""
        self.ids += [row.prediction_id for row in rows]
        self.models += [row.model for row in rows]
        self.versions += [row.version for row in rows]
        self.times += [row.time for row in rows]
        features = [row.features for row in rows]
        if self.shape.numeric:
            self._packed.append(packed_numbers(features, len(self.shape.names)))
        else:
            self._features += features
        for name, values in self.given.items():
            values.extend(map(operator.attrgetter(name), rows))

    def blocks(
        self, groups: Sequence[Ints], offsets: Ints, record_ms: Ints, times_ms: Ints
    ) -> list[Block]:
        """A block for each group of rows of one model version, with the same classes and segments.

        groups: indices, ascending. offsets, record_ms, times_ms: shape (n,).
        """
        if not groups:
            return []
        if self.shape.numeric:
            features = columns_of(self._packed, self.shape.names)
        else:
            features = features_of(self._features, self.shape.names)
        found = []
        for own in groups:
            first, whole = int(own[0]), len(own) == len(self.ids)
            ids, given, columns = self.ids, self.given, features
            if not whole:
                some = own.tolist()
                ids = [ids[i] for i in some]
                given = {name: [values[i] for i in some] for name, values in given.items()}
                columns = {name: column.take(own) for name, column in features.items()}
            model, rows = self.models[first], slice(None) if whole else own
            where = offsets[rows], record_ms[rows], times_ms[rows]
            common = (model, self.versions[first], *where, id_hashes(model, ids))
            found.append(predictions_of(given, common, columns))
        return found
