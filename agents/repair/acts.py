"""Acts: the repairs, by the word that is typed after `driftline repair`."""

from collections.abc import Awaitable, Callable

from agents.repair import messages, origins, rows, skips
from agents.repair.works import Plan, Work

ACTS: dict[str, Callable[[Work], Awaitable[Plan]]] = {
    "events": rows.plan,
    "signals": messages.plan,
    "sources": origins.plan,
    "skip": skips.plan,
}
