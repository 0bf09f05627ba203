"""Preparation: what is looked at before a worker begins, and what it is told of the topics."""

import logging

import redis

from agents import topics
from agents.clusters import Cluster
from agents.repair.surveys import Survey, patient
from agents.security import redis_config
from agents.settings import Settings
from agents.store import OUTAGES, Store, Unusable, connect

log = logging.getLogger(__name__)


async def prepare(settings: Settings) -> tuple[dict[str, int], dict[str, str], Survey]:
    """Check Redis, make the topics that are missing; their partitions, as many as the state was
    made with where there is one, their identities, and how state and topics stand.

    Raises Unusable where Redis or Kafka cannot be used, ConnectionError where no broker answers.
    """
    await _check_redis(settings)
    cluster = Cluster(settings.kafka)
    counts = await topics.ensure(settings, cluster)
    try:
        ids = {name: await cluster.topic_id(name) for name in counts}
        found = await patient(settings)
    except (LookupError, ValueError) as error:
        raise Unusable(str(error)) from error
    if found.wrongs:
        raise Unusable("; ".join(map(str, found.wrongs[:3])))
    for note in found.notes():
        log.warning("%s", note)
    used = {settings.topics.name(topic): count for topic, count in found.counts().items()}
    return counts | used, ids, found


async def _check_redis(settings: Settings) -> None:
    client = connect(**redis_config(settings.redis))
    try:
        await Store(client, settings.redis.key_prefix).check()
    except (redis.RedisError, *OUTAGES) as error:
        raise Unusable(
            f"Redis does not answer: {error}. Is it running? Its address is `url` of [redis]."
        ) from error
    finally:
        await client.aclose()
