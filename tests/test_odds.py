import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.columns import Bools, Floats
from stream.odds import MAX_EDGES, Odds, from_document, odds_of


def known(rows: int = 3_000, seed: int = 1) -> tuple[Floats, Bools, Bools]:
    """Scores, answers and labels; scores are too sure of themselves."""
    rng = np.random.default_rng(seed)
    p = rng.random(rows)
    return p, p > 0.5, rng.random(rows) < 0.25 + p / 2


def made(rows: int = 3_000) -> Odds:
    p, answered, right = known(rows)
    found = odds_of("positive", p, answered, right, np.ones(rows, dtype=np.bool_))
    assert found is not None
    return found


def test_a_document_reads_back_to_the_bit() -> None:
    odds = made()
    document = odds.document()
    assert from_document(json.loads(json.dumps(document))).document() == document
    assert len(odds.score.edges) == MAX_EDGES


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"of": "nobody"}, "Invalid enum value 'nobody'"),
        ({"more": 1}, "unknown field `more`"),
        ({"answered": [1]}, "counts of each"),
        ({"labelled": [10**30]}, "Integer value out of range|over 2\\*\\*63"),
        ({"score": {"kind": "category", "counts": [1, 0, 0], "names": ["x"]}}, "must be numbers"),
    ],
)
def test_a_wrong_document_is_refused_in_words(change: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        from_document(made(50).document() | change)


def test_counts_that_contradict_each_other_are_refused() -> None:
    document = made(50).document()
    for name, wrong in (("right", "more right"), ("labelled", "more rows"), ("answered", "more")):
        more = document | {name: [x + 9 for x in document[name]]}
        with pytest.raises(ValueError, match=wrong):
            from_document(more)
    none = [0] * len(document["labelled"])
    with pytest.raises(ValueError, match="no labelled row"):
        from_document(document | {"labelled": none, "right": none})


def test_without_labels_nothing_is_known_of_scores() -> None:
    p, answered, right = known(100)
    nothing = np.zeros(100, dtype=np.bool_)
    assert odds_of("positive", p, answered, right, nothing) is None
    assert odds_of("positive", np.full(100, np.nan), answered, right, ~nothing) is None


def test_what_the_labels_say_counts_and_not_the_score() -> None:
    odds = made(20_000)
    at = np.searchsorted(odds.places, [0.1, 0.5, 0.9])
    assert odds.curve.chance[at] == pytest.approx([0.3, 0.5, 0.7], abs=0.05)
    mean, _ = odds.expected.moments
    _, answered, right = known(20_000)
    assert mean == pytest.approx((answered == right).mean(), abs=0.005)


@given(st.lists(st.floats(-0.5, 1.5), max_size=40))
def test_live_scores_fall_into_places_in_their_order(scores: list[float]) -> None:
    """Also beyond 0 and 1, where no probability is."""
    odds, x = made(200), np.array(scores)
    codes = [int(np.flatnonzero(odds.counts_of(np.array([s])))[0]) for s in sorted(scores)]
    assert codes == sorted(codes)
    assert odds.counts_of(x).sum() == len(x)
    assert (np.diff(odds.places) > 0).all()
