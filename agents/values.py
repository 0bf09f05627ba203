"""Values: how durations, lists and the like are written in the tables of the settings."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from agents.durations import seconds, whole_seconds


def words(value: object) -> object:
    """Text has commas between; what is no text stays."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def listed(value: object) -> object:
    """A single value is a list of one, and text has commas between."""
    found = words(value)
    return found if isinstance(found, list | tuple) else (found,)


Duration = Annotated[float, BeforeValidator(seconds)]
Whole = Annotated[int, BeforeValidator(whole_seconds)]
Positive = Annotated[Duration, Field(gt=0)]
Words = Annotated[tuple[str, ...], BeforeValidator(words)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(listed)]


class Table(BaseModel):
    """One table of the file: nothing unknown in it, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
