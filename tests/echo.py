"""A worker for the tests, to be run as a process of its own: it writes down what it is given.

    python -m tests.echo '{"bootstrap": ..., "group": ..., "topics": [...], ...}'

One JSON object a line on standard output: the kind of call first.
"""

import asyncio
import json
import logging
import sys
import time
from typing import Any

from agents.app import Options, create_app, run_app
from agents.chunks import TP, Chunk

DEFAULTS: dict[str, Any] = {
    "starts": {},  # partition -> offset, for every topic
    "assign_s": 0.0,  # how long it takes to say so
    "handle_s": 0.0,  # how long one chunk takes
    "slow": None,  # the only topic that takes so long
    "acks": "chunk",  # or "revoked": everything at the end, or "never"
    "fails_at": None,  # raises when it sees this offset
    "rewinds_at": None,  # asks once to read again when it sees this offset
    "options": {},
}


def say(kind: str, **what: Any) -> None:
    print(json.dumps({"kind": kind, "at": time.time(), **what}), flush=True)


class Echo:
    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.done: dict[TP, int] = {}
        self.busy: set[TP] = set()

    async def handle(self, chunk: Chunk) -> None:
        assert chunk.tp not in self.busy, "two handlers for one partition"
        self.busy.add(chunk.tp)
        offsets = [record.offset for record in chunk.records]
        assert all(int(record.value or b"") == record.offset for record in chunk.records)
        if self.told["fails_at"] in offsets:
            raise RuntimeError(f"did not expect offset {self.told['fails_at']}")
        if self.told["slow"] in (None, chunk.topic):
            await asyncio.sleep(self.told["handle_s"])
        self.busy.discard(chunk.tp)
        say("chunk", tp=chunk.tp, base=chunk.base, next=chunk.next, offsets=offsets)
        self.done[chunk.tp] = chunk.next
        if self.told["rewinds_at"] in offsets:
            self.told["rewinds_at"] = None
            app.positions.reopen([chunk.tp])
        elif self.told["acks"] == "chunk":
            app.positions.ack(chunk.tp, chunk.next)

    async def assigned(self, tps: set[TP]) -> dict[TP, int | None]:
        await asyncio.sleep(self.told["assign_s"])
        say("assigned", tps=sorted(tps))
        return {tp: self.told["starts"].get(str(tp.partition)) for tp in tps}

    async def revoked(self, tps: set[TP]) -> None:
        say("revoked", tps=sorted(tps))
        if self.told["acks"] == "revoked":
            for tp in tps & set(self.done):
                app.positions.ack(tp, self.done[tp])


if __name__ == "__main__":
    logging.basicConfig(level="INFO", stream=sys.stderr)
    told = DEFAULTS | json.loads(sys.argv[1])
    echo = Echo(told)
    given = {"session_timeout_s": 6.0, "heartbeat_s": 1.0} | told["options"]
    options = Options(told["group"], (told["bootstrap"],), **given)
    handlers = dict.fromkeys(told["topics"], echo.handle)
    app = create_app(options, handlers, echo.assigned, echo.revoked)
    sys.exit(run_app(app))
