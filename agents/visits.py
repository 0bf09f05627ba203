"""Visits: a look into Redis by who is no worker, from the settings to a closed connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis

from agents.security import redis_config
from agents.settings import Settings
from agents.store import OUTAGES, Store, Unusable, connect


class Away(Unusable):
    """Redis does not answer at this moment."""


@asynccontextmanager
async def visited(settings: Settings) -> AsyncIterator[tuple[Any, Store]]:
    """A client of Redis and a store over it. Raises Away where Redis does not answer."""
    client = connect(**redis_config(settings.redis))
    try:
        yield client, Store(client, settings.redis.key_prefix)
    except (redis.RedisError, *OUTAGES) as error:
        raise Away(
            f"Redis does not answer: {error}. Is it running? Its address is `url` of [redis]."
        ) from error
    finally:
        await client.aclose()
