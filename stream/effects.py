"""Effects: how large a change is, from what size on it matters, and how severe that makes it."""

from collections.abc import Mapping
from typing import Literal

from stream import figures
from stream.events import Effect
from stream.settings import ModelSettings
from stream.vectors import vector_of

LARGEST = 1e300  # an effect is a finite number, also against a deviation of almost nothing
IN_SD = "reference standard deviations"
IN_OWN = "in its own unit"
IN_ROWS = "share of rows"
DEFAULTS = ModelSettings()
Direction = Literal["up", "down", "none"]


def key(name: str, role: str) -> str:
    """What a feature ("age") or an output ("output:prediction") is called in `effect_floors`."""
    return f"output:{name}" if role == "output" else name


def of_number(
    called: str, sd: float, distance: float, gap: float, settings: ModelSettings
) -> Effect:
    """How far a number moved: the Wasserstein distance, in reference deviations.

    In the feature's own unit where it has a floor of its own. Of a constant reference, which has no
    deviation, the effect is the share of rows that moved.
    """
    own = own_floor(called, settings)
    if own is not None:
        return Effect(name="wasserstein", value=distance, floor=own, unit=IN_OWN)
    if sd > 0:
        floor = settings.effect_floor_sd
        return Effect(name="wasserstein", value=in_sd(distance, sd), floor=floor, unit=IN_SD)
    return Effect(name="largest gap", value=gap, floor=settings.effect_floor_share, unit=IN_ROWS)


def own_floor(called: str, settings: ModelSettings) -> float | None:
    """The floor that the settings have for a feature, or for the vector it is a number of."""
    floors = settings.effect_floors
    return floors.get(called, floors.get(vector_of(called))) if floors else None


def of_share(name: str, change: float, floor: float) -> Effect:
    """How far a share moved, either way."""
    return Effect(name=name, value=abs(change), floor=floor, unit=IN_ROWS)


def in_sd(distance: float, sd: float) -> float:
    """A distance in reference deviations; 0 where there is no deviation to measure with."""
    return min(distance / sd, LARGEST) if sd > 0 else 0.0


def severity(effect: Effect) -> float:
    """How severe a change is, from 0 to 1: effect / (effect + floor).

    0 where nothing changed, 0.5 where it begins to matter, 0.9 at nine times that; the same scale
    for every check and feature. Where the floor is 0, the default one of the same unit counts. (The
    Michaelis-Menten curve, whose half-way point is the floor.)
    """
    size = abs(effect.value)
    floor = effect.floor or _default_floor(effect)
    return size / (size + floor) if size < LARGEST else 1.0


def _default_floor(effect: Effect) -> float:
    return DEFAULTS.effect_floor_sd if effect.unit == IN_SD else DEFAULTS.effect_floor_share


def direction(before: float, after: float) -> Direction:
    """Which way a figure went."""
    return "up" if after > before else "down" if after < before else "none"


def shift(before: float, after: float) -> float:
    """The difference, finite also between the largest floats."""
    return max(-LARGEST, min(LARGEST, after - before))


def notes(floors: Mapping[str, float], known: set[str]) -> list[str]:
    """What is to be said of names in `effect_floors` that no feature or output has."""
    strange = sorted(floors.keys() - known)
    said = f"effect_floors names what the reference has not: {figures.listed(strange, 5)}"
    return [said] if strange else []
