"""Models: the tables of the settings that say how models are watched, of the core's own fields."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
from pydantic import BeforeValidator, Field

from agents import durations
from agents.values import Duration, Numbers, Table, Whole, Words, listed
from stream.objectives import Objective
from stream.settings import DetectorSettings, ModelSettings


def _valued(value: object) -> object:
    """An objective that is a number alone is one without conditions."""
    return {"value": value} if isinstance(value, int | float | str) else value


def _annotation(field: dataclasses.Field[Any], hint: Any) -> Any:
    """The type of a key of the file for a field of the core's settings."""
    if field.name == "windows_s":
        return Annotated[tuple[Whole, ...], BeforeValidator(listed)]
    if field.name == "detectors":
        return tuple[DetectorTable, ...]
    if field.name == "objectives":
        return dict[str, Annotated[ObjectiveTable, BeforeValidator(_valued)]]
    if durations.named(field.name):
        return Whole if hint is int else Duration
    plain: dict[Any, Any] = {
        tuple[str, ...]: Words,
        Mapping[str, float]: dict[str, float],
        Mapping[str, tuple[float, ...]]: dict[str, Numbers],
    }
    return plain.get(hint, hint)


def _table(name: str, settings: type) -> type[Table]:
    """The table of a file that holds the fields of a dataclass of the core, all optional."""
    hints = typing.get_type_hints(settings)
    keys: dict[str, Any] = {
        field.name: (_annotation(field, hints[field.name]), None)
        for field in dataclasses.fields(settings)
    }
    return pydantic.create_model(name, __base__=Table, **keys)


class DetectorTable(Table):
    """One `[[models.NAME.detectors]]`: see `stream.settings.DetectorSettings`."""

    name: str
    signal: str = "error"
    raw: bool = False
    parameters: dict[str, bool | int | float | str] = Field(default_factory=dict)
    cost_us: Annotated[float, Field(gt=0)] | None = None

    def settings(self) -> DetectorSettings:
        """The same, for the core."""
        return DetectorSettings(
            self.name, self.signal, self.raw, dict(self.parameters), self.cost_us
        )


class ObjectiveTable(Table):
    """One `[models.NAME.objectives.METRIC]`: see `stream.objectives.Objective`."""

    value: float
    window_s: Whole | None = None
    minimum_labels: int | None = None

    def settings(self) -> float | Objective:
        """The same, for the core."""
        if self.window_s is None and self.minimum_labels is None:
            return self.value
        return Objective(self.value, self.window_s, self.minimum_labels)


if TYPE_CHECKING:
    ModelTable = Table
else:
    ModelTable = _table("ModelTable", ModelSettings)


def merged(*tables: Table) -> ModelSettings:
    """What tables say together: of each key, the last that has it. Raises ValueError."""
    keys: dict[str, Any] = {}
    for table in tables:
        keys |= {key: getattr(table, key) for key in table.model_fields_set}
    if "objectives" in keys:
        keys["objectives"] = {name: one.settings() for name, one in keys["objectives"].items()}
    keys["detectors"] = tuple(one.settings() for one in keys.get("detectors", ()))
    return ModelSettings(**keys)
