"""Vectors: a small part of the simulation of `python -m bench vectors`, with fixed seeds."""

import numpy as np

from bench.vectors import (
    ROWS,
    WARM,
    counts_by_hour,
    features,
    mixing,
    reference_of,
    sure,
    tied,
    wish,
)
from stream.layouts import WHOLE
from stream.settings import DAY_S
from stream.shares import Share

HOURS = WARM + 30


def test_a_quiet_day_is_quiet_and_what_comes_loose_is_found() -> None:
    random, settings = np.random.default_rng(1), wish(DAY_S)
    known = mixing(random)
    reference = reference_of(tied, random, known, settings)
    live = tied(random, HOURS, known)
    share = Share(reference)
    share.update(features(live), None, None, np.arange(len(live)))
    hours = counts_by_hour(reference, live)
    assert hours.sum(axis=0).tolist() == share.counts("v", WHOLE).tolist()
    assert not sure(reference, live, settings).any()
    live[WARM * ROWS :, ::2] = random.permutation(live[WARM * ROWS :, ::2])
    assert sure(reference, live, settings)[4:].all()
