"""Keys: every key of the settings with its type, default, allowed values and meaning, as rows.

Read from the settings' own classes: a meaning is the text below a field, what is allowed are the
constraints that pydantic checks and the rules of `stream.settings`.
"""

import ast
import dataclasses
import inspect
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from agents.durations import UNITS_S, named, seconds, whole_seconds
from agents.models import DetectorTable, ObjectiveTable
from agents.settings import PREFIX, Settings
from stream import settings as core
from stream.detectors import DETECTORS
from stream.objectives import Objective
from stream.settings import DetectorSettings, ModelSettings

NAMES = {
    str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path",
    SecretStr: "text, secret", type(None): "nothing", ObjectiveTable: "number or table",
}  # fmt: skip
BOUNDS = {"ge": "{} or more", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}
SIZES = {"min_length": "{} or more of them", "max_length": "at most {} of them"}
SIGNS = {"min_length": "not empty", "max_length": "at most {} characters"}


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """One key. default: as it is written in the file. variable: "" where there is none."""

    table: str
    name: str
    type: str
    default: str
    allowed: str
    meaning: str
    variable: str


def sections() -> Iterator[tuple[str, str, list[Key]]]:
    """Tables of the file in order: name, what it is about, keys."""
    for name, field in Settings.model_fields.items():
        if name not in ("defaults", "models"):
            assert isinstance(field.annotation, type)
            yield from _tables(name, field.annotation)
    about = "How models are watched; `[models.NAME]` has the same keys, for one model."
    yield "defaults", about, _model_keys()
    about = "One online detector, as often as wanted; also in `[[defaults.detectors]]`."
    yield "[models.NAME.detectors]", about, list(_keys("", DetectorTable, DetectorSettings))
    about = "What is promised of one metric, where it is more than a number in `objectives`."
    yield "models.NAME.objectives.METRIC", about, list(_keys("", ObjectiveTable, Objective))


def meanings(owner: type) -> dict[str, str]:
    """The text below each field of a class, inherited ones too."""
    found: dict[str, str] = {}
    for one in reversed(owner.__mro__):
        if dataclasses.is_dataclass(one) or (issubclass(one, BaseModel) and one is not BaseModel):
            found |= _texts(one)
    return found


def _texts(owner: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
    assert isinstance(tree, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }


def _tables(name: str, table: type) -> Iterator[tuple[str, str, list[Key]]]:
    """A table, then the tables within it."""
    yield name, inspect.getdoc(table) or "", list(_keys(name, table, table))
    for inner, field in table.model_fields.items():  # type: ignore[attr-defined]
        if found := _inner(field.annotation):
            yield from _tables(f"{name}.{inner}", found)


def _inner(annotation: Any) -> type[BaseModel] | None:
    for one in (annotation, *typing.get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _keys(table: str, model: type, described: type) -> Iterator[Key]:
    about = meanings(described)
    for name, field in model.model_fields.items():  # type: ignore[attr-defined]
        if _inner(field.annotation) is None:
            hint, known = field.annotation, list(field.metadata)
            allowed = "; ".join(_allowed(hint, known))
            if model is DetectorTable and name == "name":
                allowed = ", ".join(f"`{one}`" for one in DETECTORS)
            shown = "needed" if field.is_required() else _default(name, _value(field))
            text = field.description or about.get(name, "")
            yield Key(
                table, name, _type(hint, known), shown, allowed, text, _variable(table, name, hint)
            )


def _model_keys() -> list[Key]:
    """Those of the core, whose defaults and rules stand in `stream.settings`."""
    model = ModelSettings()
    rules = {key: allowed for key, _, allowed in core._rules(model)}  # its words
    about, table = meanings(ModelSettings), typing.get_type_hints(Settings)["defaults"]
    keys = []
    for name, field in table.model_fields.items():
        if name == "detectors":
            continue
        hint, known = field.annotation, list(field.metadata)
        allowed = "; ".join(_allowed(hint, known)) or rules.get(name, "")
        shown = _default(name, getattr(model, name))
        variable = _variable("defaults", name, hint)
        keys.append(
            Key("defaults", name, _type(hint, known), shown, allowed, about[name], variable)
        )
    return keys


def _value(field: FieldInfo) -> object:
    return field.get_default(call_default_factory=True, validated_data={})


def _variable(table: str, name: str, hint: Any) -> str:
    parts = (*table.split("."), name, *(["NAME"] if typing.get_origin(hint) is dict else []))
    return PREFIX + "__".join(parts).upper() if table else ""


def _type(hint: Any, known: list[Any]) -> str:
    """A type in words; durations are known by what reads them."""
    readers = {getattr(one, "func", None) for one in known}
    if seconds in readers:
        return "duration"
    if whole_seconds in readers:
        return "duration in whole seconds"
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _type(inner[0], list(inner[1:]))
    if origin in (types.UnionType, typing.Union):
        kinds = [_type(one, known) for one in inner if one is not type(None)]
        return ", ".join(kinds[:-1]) + " or " * (len(kinds) > 1) + kinds[-1]
    return _plain_type(hint)


def _plain_type(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (tuple, list):
        return f"list of {_type(inner[0], [])}"
    if origin is dict:
        return f"table of {_type(inner[1], [])}"
    return "text" if origin is Literal else NAMES[hint]


def _allowed(hint: Any, known: list[Any]) -> Iterator[str]:
    words = SIZES if typing.get_origin(hint) is tuple else SIGNS
    for one in known:
        for name, text in (BOUNDS | words).items():
            if (bound := getattr(one, name, None)) is not None:
                yield text.format(f"{bound:,}" if isinstance(bound, int) else bound)
        if pattern := getattr(one, "pattern", None):
            yield f"fits `{pattern}`"
    if values := list(_values(hint)):
        yield ", ".join(f"`{value}`" for value in values)


def _values(hint: Any) -> Iterator[str]:
    if typing.get_origin(hint) is Literal:
        yield from map(str, typing.get_args(hint))
    else:
        for one in typing.get_args(hint):
            yield from _values(one)


def _default(name: str, value: object) -> str:
    """A value as one writes it in TOML."""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float) and named(name):
        return f"`{_duration(value)}`"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(_default(name, one).strip('`') for one in value)}]`"
    if isinstance(value, dict):
        return "`{}`" if not value else f"`{value}`"
    return f'`"{value}"`' if isinstance(value, str | Path) else f"`{_number(value)}`"


def _number(value: object) -> str:
    return f"{value:_}" if isinstance(value, int) and value >= 10_000 else str(value)


def _duration(value: float) -> str:
    """The largest unit that leaves a whole number.

    >>> _duration(86_400), _duration(90), _duration(0)
    ('"1d"', '"90s"', '0')
    """
    fitting = [unit for unit, length in UNITS_S.items() if value >= length and value % length == 0]
    usual = [unit for unit in fitting if unit not in ("min", "w")]
    return f'"{value / UNITS_S[usual[-1]]:.0f}{usual[-1]}"' if usual else f"{value:g}"
