"""Losses: records that are gone and were given up by a repair. Remembered in Redis, shown for ever.

They lie in the state of the first ledger partition, in a field that no ledger reads.
"""

from collections.abc import Sequence

import msgspec

from agents.store import Store

FIELD = "repairs"
MOST = 1_000  # repairs that are remembered; of those before them the sum


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What one repair has given up. topic: the full name. about: which records. time: RFC 3339."""

    topic: str
    partition: int
    records: int
    about: str
    time: str


def losses_of(raw: bytes | None) -> list[Loss]:
    """What the field holds. Raises ValueError where it is damaged."""
    if raw is None:
        return []
    try:
        return msgspec.json.decode(raw, type=list[Loss])
    except msgspec.DecodeError as error:
        raise ValueError(f"damaged list of repairs: {error}") from error


async def losses(store: Store) -> list[Loss]:
    """What Redis remembers. Raises ValueError where it is damaged."""
    return losses_of((await store.read_shares("ledger", [0], [FIELD]))[0])


def noted(raw: bytes | None, more: Sequence[Loss]) -> bytes:
    """The field with more in it; what was noted already (a repair begun again) is not doubled."""
    known = losses_of(raw)
    keys = {(one.topic, one.partition, one.about) for one in known}
    known += [one for one in more if (one.topic, one.partition, one.about) not in keys]
    if len(known) > MOST:
        old = known[: len(known) - MOST + 1]
        rest = sum(one.records for one in old)
        first = Loss(
            topic="", partition=-1, records=rest, about="earlier repairs", time=old[-1].time
        )
        known = [first, *known[len(old) :]]
    return msgspec.json.encode(known)
