"""Rounds: a job for every keeper, again and again, side by side: none waits for another's lock."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from agents.keepers import Keeper

Job = Callable[[Keeper], Awaitable[None]]


class Rounds:
    """One job. A keeper that is still at it when the next round begins is left to it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.busy: dict[Keeper, asyncio.Task[None]] = {}

    def begin(self, keepers: Iterable[Keeper]) -> None:
        """Start a round."""
        self.busy = {keeper: task for keeper, task in self.busy.items() if not task.done()}
        for keeper in keepers:
            if keeper not in self.busy:
                self.busy[keeper] = asyncio.ensure_future(self.job(keeper))


async def checkpoint(keeper: Keeper) -> None:
    """Make durable what is not."""
    await keeper.checkpoint()


async def keep_house(keeper: Keeper) -> None:
    """Look after what has grown old, and do what an owner before us could not finish."""
    await keeper.housekeeping()
    await keeper.work()
