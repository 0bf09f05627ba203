"""Chronicles: a reference whose rows have times, and what can be learned from their order."""

import dataclasses
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from stream.bootstraps import Plan, calibrate
from stream.calibrations import Calibration, lengths, longer
from stream.columns import Column, Floats, Ints
from stream.discrepancies import moments_of_windows
from stream.events.times import FIRST_MS
from stream.features import FeatureReference, Kind
from stream.hours import SEASONS, hours_of
from stream.monitor.memory import seed_of
from stream.monitor.sensing import scales_of
from stream.pulses import PulseLaw, causes
from stream.references import Reference
from stream.rehearsals import Signal, rehearse
from stream.seasons import tabulated
from stream.settings import ModelSettings, Seasonality
from stream.slots import (
    CELLS,
    FEW_CELLS,
    MANY_FEATURES,
    Counts,
    Panes,
    averaged,
    counted,
    counted_by_hour,
    holes,
    panes_of,
    sorted_out,
)

NO_TIME = FIRST_MS - 1  # epoch ms of a row that has none


def calibrated(
    reference: Reference,
    features: Mapping[str, Column],
    outputs: Mapping[str, Column],
    times_ms: Ints,
    settings: ModelSettings,
    seed: int = 0,
    losses: Mapping[str, Floats] | None = None,
) -> Reference:
    """The reference with a calibration from its own rows, which it was made of.

    times_ms: shape (rows,), NO_TIME where a row has none. losses: see `stream.losses`. Columns are
    read once more, one at a time. The reference comes back as it was where its rows tell too
    little.
    """
    season = settings.seasonality
    plan = Plan(settings.pane_s, lengths(settings), seed, season, longer(settings))
    if season != "none":
        hours = np.where(times_ms == NO_TIME, -1, hours_of(times_ms, season))
        reference = _by_hour(reference, features, outputs, hours, season)
    panes = panes_of(times_ms, settings.pane_s, NO_TIME)
    means = [averaged(name, values, panes) for name, values in (losses or {}).items()]
    found, missing = _counted(reference, features, outputs, panes, settings)
    apart = [*found["category"], *(one for one in (*means, *missing) if one is not None)]
    made = calibrate(found["number"], plan, panes.first, apart)
    if made is not None and settings.detectors:
        laws = _rehearsed(reference, features, losses or {}, (times_ms, panes), settings)
        made = msgspec.structs.replace(made, detectors=laws)
    if made is not None and reference.wholes and season == "none":
        made = msgspec.structs.replace(made, wholes=_wholes(reference, features, panes, made))
    return dataclasses.replace(reference, calibration=made)


def _counted(
    reference: Reference,
    features: Mapping[str, Column],
    outputs: Mapping[str, Column],
    panes: Panes,
    settings: ModelSettings,
) -> tuple[dict[Kind, list[Counts]], list[Counts | None]]:
    """What is checked, pane by pane, by its kind; and how much of each is missing."""
    watched = list(reference.watched(settings.ignore)) if panes.count else []
    cells = _cells(f for _, f in watched)
    found: dict[Kind, list[Counts]] = {"number": [], "category": []}
    missing = []
    for role, f in watched:
        column = (features if role == "input" else outputs)[f.name]
        if f.hours is not None:
            one = counted_by_hour(f, role, column, panes, settings.pane_s)
        elif f.kind == "number":
            one = counted(f, role, column, panes, cells)
        else:
            one = sorted_out(f, role, column, panes)
        found[f.kind] += [one] if one is not None else []
        missing.append(holes(f, role, column, panes))
    return found, missing


def _cells(features: Iterable[FeatureReference]) -> int:
    """Into how many cells each number is counted: fewer where there are many numbers."""
    numbers = sum(f.kind == "number" for f in features)
    return CELLS if numbers < MANY_FEATURES else FEW_CELLS


def _by_hour(
    reference: Reference,
    features: Mapping[str, Column],
    outputs: Mapping[str, Column],
    hours: Ints,
    season: Seasonality,
) -> Reference:
    """The reference with its rows by hour too."""
    cells = _cells(reference.features.values())

    def told(f: FeatureReference, columns: Mapping[str, Column]) -> FeatureReference:
        table = tabulated(f, columns[f.name], hours, SEASONS[season], cells)
        return dataclasses.replace(f, hours=table)

    return dataclasses.replace(
        reference,
        features={n: told(f, features) for n, f in reference.features.items()},
        outputs={n: told(f, outputs) for n, f in reference.outputs.items()},
    )


def _wholes(
    reference: Reference, features: Mapping[str, Column], panes: Panes, made: Calibration
) -> dict[str, tuple[tuple[float, float, float, float], ...]]:
    """What chance does to vectors as a whole, in windows of the lengths that are calibrated."""
    lengths = [window.window_s // made.pane_s for window in made.windows]
    found: dict[str, tuple[tuple[float, float, float, float], ...]] = {}
    for name, whole in reference.wholes.items():
        steps = whole.steps(features[n] for n in reference.vectors.elements[name])
        counts = whole.tabulated(steps, panes.number, panes.count)
        moments = [
            moments_of_windows(counts, length, made.days, whole.moments) for length in lengths
        ]
        known = tuple(dataclasses.astuple(one) for one in moments if one is not None)
        found |= {name: known} if len(known) == len(lengths) else {}
    return found


def _rehearsed(
    reference: Reference,
    features: Mapping[str, Column],
    losses: Mapping[str, Floats],
    when: tuple[Ints, Panes],
    settings: ModelSettings,
) -> dict[str, PulseLaw]:
    """How often each detector fires by chance, where the reference has its signal."""
    scales = scales_of(reference)
    found: dict[str, PulseLaw] = {}
    for cause, of in zip(causes(settings), settings.detectors, strict=True):
        values = _values(reference, features, losses, of.signal)
        if values is not None:
            signal = Signal(values, *when, scales.get(of.signal))
            seed = seed_of(reference.model, reference.version, cause)
            law = rehearse(of, signal, settings, seed)
            found |= {cause: law} if law is not None else {}
    return found


def _values(
    reference: Reference, features: Mapping[str, Column], losses: Mapping[str, Floats], signal: str
) -> Floats | None:
    """What a detector of a signal would have seen; None where the reference has not got it."""
    if signal == "error":
        hits = losses.get("accuracy")
        return losses.get("mae") if hits is None else 1.0 - hits
    known = reference.features.get(signal)
    return features[signal].numbers if known is not None and known.kind == "number" else None
