"""Preparation: what is looked at before a worker begins, and what it is told of the topics."""

import logging

from agents import topics
from agents.clusters import Cluster
from agents.repair.surveys import Survey, patient
from agents.settings import Settings
from agents.store import Unusable
from agents.visits import visited

log = logging.getLogger(__name__)


async def prepare(settings: Settings) -> tuple[dict[str, int], dict[str, str], Survey]:
    """Check Redis, make the topics that are missing; their partitions, as many as the state was
    made with where there is one, their identities, and how state and topics stand.

    Raises Unusable where Redis or Kafka cannot be used, ConnectionError where no broker answers.
    """
    async with visited(settings) as (_, store):
        await store.check()
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
