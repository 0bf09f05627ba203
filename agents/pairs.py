"""Pairs: an embedded Kafka and Redis, kept up until told to end, with settings that fit them."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from agents.complaints import BadSettings
from agents.embedded import EmbeddedKafka, EmbeddedRedis
from agents.settings import load

LOOK_S = 0.5
SNIPPET = """\
[kafka]
brokers = ["{bootstrap}"]
session_timeout_s = "6s"
commit_s = "200ms"

[redis]
url = "{url}"

[worker]
checkpoint_s = "200ms"
"""


class PairEnded(RuntimeError):
    """One of the two ended by itself; the text says which."""


def snippet(bootstrap: str, url: str, more: str = "") -> str:
    """A settings file for a pair. more: further tables, such as those of models."""
    found = SNIPPET.format(bootstrap=bootstrap, url=url)
    return f"{found}\n{more.strip()}\n" if more.strip() else found


async def keep(config: Path | None, include: Path | None, say: Callable[[str], object]) -> None:
    """A pair until cancelled. config: where to write settings, taken away again at the end unless
    somebody has changed them; include: a file to put behind them.

    Raises CannotEmbed, BadSettings, PairEnded.
    """
    more = "" if include is None else _read(include)
    with EmbeddedKafka() as kafka, EmbeddedRedis() as redis:
        text = snippet(kafka.bootstrap, redis.url, more)
        with contextlib.nullcontext() if config is None else _written(config, text):
            for line in _lines(kafka.bootstrap, redis.url, text, config):
                say(line)
            while redis.alive:  # noqa: ASYNC110 - nobody tells of a process that ends
                await asyncio.sleep(LOOK_S)
            raise PairEnded("the embedded Redis has ended; start `driftline embedded` again")


def _lines(bootstrap: str, url: str, text: str, config: Path | None) -> Iterator[str]:
    yield f"Kafka at {bootstrap}, Redis at {url}; both end with this command (Ctrl-C)."
    if config is None:
        yield f"Settings for them:\n\n{text}"
        yield f"or:\n\nexport DRIFTLINE__KAFKA__BROKERS={bootstrap}"
        yield f"export DRIFTLINE__REDIS__URL={url}"
    else:
        yield f"Settings for them are in {config}: driftline worker --config {config}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: cannot be read: {error}") from None


@contextlib.contextmanager
def _written(path: Path, text: str) -> Iterator[None]:
    """The file while it is of use. Raises BadSettings where it cannot be, or is not valid."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BadSettings(f"{path}: exists already; name another file, or remove it") from None
    except OSError as error:
        raise BadSettings(f"{path}: cannot be written: {error}") from None
    try:
        load(path)
        yield
    finally:
        with contextlib.suppress(OSError):
            if path.read_text(encoding="utf-8") == text:
                path.unlink()
