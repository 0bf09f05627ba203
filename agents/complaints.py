"""Complaints: what is wrong with the settings, in one message a person can act on."""

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pydantic

HIDDEN = "(hidden)"
CREDENTIALS = re.compile(r"://[^/\s]*@")
SECRET = {"url", "username", "password", "key_password"}
SHOWN = 10


class BadSettings(Exception):
    """The settings cannot be used; the text says which key, its value and what is allowed."""


def explain(error: pydantic.ValidationError, model: type[pydantic.BaseModel], where: str) -> str:
    """One line for each wrong key, of at most SHOWN of them."""
    found = error.errors(include_url=False)
    lines = [f"{where}: {_line(one, model)}" for one in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"{where}: and {len(found) - SHOWN} more")
    return "\n".join(dict.fromkeys(lines))


def check_environment(prefix: str, tables: Sequence[str]) -> None:
    """Refuse a variable that would be silently ignored. Raises BadSettings."""
    for name in os.environ:
        table = name.upper().removeprefix(prefix).partition("__")[0].lower()
        if name.upper().startswith(prefix) and table not in tables:
            raise BadSettings(f"environment: {name}: no table {table!r}; {suggest(table, tables)}")


def suggest(word: str, known: Iterable[str]) -> str:
    """The nearest of the known words, and all of them."""
    listed = list(known)
    near = difflib.get_close_matches(word, listed, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}known: {', '.join(listed)}" if listed else "nothing is known here"


def _line(error: Any, model: type[pydantic.BaseModel]) -> str:
    place: tuple[int | str, ...] = error["loc"]
    path = ".".join(str(part) for part in place)
    if error["type"] == "extra_forbidden":
        return f"{path}: no such key; {suggest(str(place[-1]), _keys(model, place[:-1]))}"
    if error["type"] == "missing":
        return f"{path}: is missing, and has no default"
    return f"{path} = {_shown(error['input'], place)}: {_allowed(error)}"


def _allowed(error: Any) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    text = str(error["msg"])
    return text.replace("Input should be", "must be").replace("should", "must")


def _shown(value: object, place: tuple[int | str, ...]) -> str:
    secret = SECRET & {str(part) for part in place} or place[-1] == "security"
    if secret or isinstance(value, pydantic.SecretStr):
        return HIDDEN
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {_shown(one, (str(key),))}" for key, one in value.items())
        return f"{{{inner}}}"[:200]
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    text = CREDENTIALS.sub(f"://{HIDDEN}@", text)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _keys(model: Any, place: tuple[int | str, ...]) -> list[str]:
    """The known keys of the table at a place of the file."""
    for part in place:
        fields = getattr(model, "model_fields", {})
        model = _table_in(fields[part].annotation) if part in fields else model
    return list(model.model_fields)


def _table_in(annotation: Any) -> Any:
    """The table that an annotation holds: itself, or that of a dict's or tuple's values."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if found := _table_in(inner):
            return found
    return None
