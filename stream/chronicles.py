"""Chronicles: a reference whose rows have times, and what can be learned from their order."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping

from stream.bootstraps import Plan, calibrate
from stream.calibrations import lengths
from stream.columns import Column, Ints
from stream.events.times import FIRST_MS
from stream.references import Reference
from stream.settings import ModelSettings
from stream.slots import CELLS, FEW_CELLS, MANY_FEATURES, Counts, counted, panes_of

NO_TIME = FIRST_MS - 1  # epoch ms of a row that has none


def calibrated(
    reference: Reference,
    features: Mapping[str, Column],
    outputs: Mapping[str, Column],
    times_ms: Ints,
    settings: ModelSettings,
    seed: int = 0,
) -> Reference:
    """The reference with a calibration from its own rows, which it was made of.

    times_ms: shape (rows,), NO_TIME where a row has none. Columns are read once more, one at a
    time. The reference comes back as it was where its rows tell too little.
    """
    plan = Plan(settings.pane_s, lengths(settings), seed)
    panes = panes_of(times_ms, settings.pane_s, NO_TIME)
    numbers = list(_numbers(reference, settings.ignore))
    cells = CELLS if len(numbers) < MANY_FEATURES else FEW_CELLS
    found: list[Counts] = []
    for name, role in numbers if panes.count else ():
        f = (reference.features if role == "input" else reference.outputs)[name]
        column = (features if role == "input" else outputs)[name]
        one = counted(f, role, column, panes, cells)
        found += [one] if one is not None else []
    return dataclasses.replace(reference, calibration=calibrate(found, plan, panes.first))


def _numbers(reference: Reference, ignore: Collection[str]) -> Iterator[tuple[str, str]]:
    for role, known in (("input", reference.features), ("output", reference.outputs)):
        for name, feature in known.items():
            if feature.kind == "number" and name not in ignore:
                yield name, role
