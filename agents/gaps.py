"""Gaps: whether the source topics are read without holes. What Kafka has dropped is never passed
over in silence, also where it happens while the worker runs.
"""

from agents.chunks import TP, Chunk
from agents.context import Context
from agents.keepers import Missing
from agents.repair.judgements import SOURCES, STOP, overtaken


class Gaps:
    """Where each source partition of one worker has been read up to."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.reached: dict[TP, int] = {}

    async def check(self, chunk: Chunk) -> None:
        """Raises Missing where a chunk does not begin where the group, or the last one, ended."""
        reached = self.reached.get(chunk.tp)
        known = reached if reached is not None else await self._committed(chunk.tp)
        where = f"{chunk.topic}/{chunk.partition}"
        if known is not None and chunk.base > known and await self._dropped(chunk.tp, known):
            raise Missing(str(overtaken("", where, known, chunk.base)))
        if reached is not None and chunk.base < reached:
            raise Missing(
                f"{where}: records were taken in up to offset {reached}, but Kafka's log ends "
                f"before it and goes on at {chunk.base}: it was cut off. {STOP} {SOURCES}"
            )
        self.reached[chunk.tp] = chunk.next

    async def _dropped(self, tp: TP, known: int) -> bool:
        """Whether Kafka has it no more; else it was taken in and only its commit failed."""
        return tp in self.reached or await self.context.log_start(tp) > known

    async def _committed(self, tp: TP) -> int | None:
        found = await self.context.committed([tp])
        return found.get(tp)

    def forget(self, tp: TP) -> None:
        """A partition is ours anew, or no longer."""
        self.reached.pop(tp, None)
