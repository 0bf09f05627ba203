"""What all benchmarks are told."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

Y = TypeVar("Y")
CHUNK = 8  # things a process takes at once


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """folder: for what a run writes, empty at first and removed at its end.

    scale: how much work, 1.0 for figures that are quoted; a smaller one for a quick look. jobs:
    processes that simulations are dealt out to; what is measured by time takes one. keep: a folder
    of what was simulated, to go on with; None: nothing is kept.
    """

    folder: Path
    scale: float = 1.0
    jobs: int = 1
    keep: Path | None = None

    def rows(self, usual: int) -> int:
        """So many rows at this scale."""
        return max(1_000, int(usual * self.scale))

    def simulated(
        self, name: str, function: Callable[[int], Y], numbers: Sequence[int], kind: type[Y]
    ) -> list[Y]:
        """The function's result of each number, in order; dealt out to processes where there are.

        Results that are kept under this name are read instead, and new ones kept as they come.
        kind: what they are, plain enough for JSON.
        """
        path = None if self.keep is None else self.keep / f"{name}.jsonl"
        found = dict(_kept(path, kind))
        todo = [number for number in numbers if number not in found]
        with contextlib.ExitStack() as stack:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("a")) if path is not None else None
            for number, result in zip(todo, self._results(function, todo, stack), strict=True):
                found[number] = result
                if file is not None:
                    print(json.dumps([number, msgspec.to_builtins(result)]), file=file, flush=True)
        return [found[number] for number in numbers]

    def _results(
        self, function: Callable[[int], Y], over: Sequence[int], stack: contextlib.ExitStack
    ) -> Iterable[Y]:
        if self.jobs == 1 or not over:
            return map(function, over)
        pool = stack.enter_context(ProcessPoolExecutor(self.jobs))
        return pool.map(function, over, chunksize=CHUNK)


def _kept(path: Path | None, kind: type[Y]) -> Iterator[tuple[int, Y]]:
    """What was kept; a last line that an interruption cut short is none, and taken away."""
    if path is None or not path.exists():
        return
    lines = path.read_text().split("\n")
    path.write_text("".join(f"{line}\n" for line in lines[:-1]))
    for line in lines[:-1]:
        number, result = json.loads(line)  # unlike JSON proper, it knows infinite delays
        yield number, msgspec.convert(result, kind)
