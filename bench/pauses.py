"""Pauses: how long an event loop stands still beside a check of 1,000 features, and without it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np

from agents.beside import share_evenly, unhurried
from agents.lags import lags
from stream.columns import Column, column_of
from stream.evaluations import Subject, inputs_evaluation
from stream.leisure import Leisure
from stream.references import Reference
from stream.settings import ModelSettings
from stream.shares import Share
from stream.windows import Merged

ROWS = 10_000
DISTINCT = 400  # values a feature has


def pauses(features: int) -> tuple[float, float, float]:
    """Seconds: the longest pause beside one check, the longest of as long a time without, and how
    long the check took.
    """
    evaluate = _evaluation(features)
    share_evenly()
    began = time.monotonic()
    beside = asyncio.run(_longest(lambda: unhurried(evaluate, lambda: True)))
    took_s = time.monotonic() - began
    return beside, asyncio.run(_longest(lambda: asyncio.sleep(took_s))), took_s


async def _longest(work: Callable[[], Awaitable[object]]) -> float:
    seen, done = [0.0], False
    looking = asyncio.create_task(lags(seen.append, lambda: done))
    await work()
    done = True
    await looking
    return max(seen)


def _evaluation(features: int) -> Callable[[Leisure], object]:
    random = np.random.default_rng(1)
    first, second = ({f"f{i:04}": _column(random) for i in range(features)} for _ in range(2))
    reference = Reference.build("m", "1", first)
    share = Share(reference)
    share.update(second, None, None, np.arange(ROWS))
    of = Subject("m", "1", ModelSettings(), 0, 86_400_000)
    return lambda leisure: inputs_evaluation(of, reference, Merged(share), None, leisure)


def _column(random: np.random.Generator) -> Column:
    return column_of(random.integers(0, DISTINCT, ROWS).astype(float))
