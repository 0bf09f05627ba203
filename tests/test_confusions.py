"""stream.confusions, stream.bins: whole numbers that no order changes, within their limits."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.bins import ANSWER, BINS, POSITIVE, Bins, bin_codes
from stream.columns import Floats, Ints
from stream.confusions import FEW_CLASSES, MOST_CLASSES, OTHER, Confusion

Pair = tuple[str, str]
few = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), max_size=40)


def confusion_of(pairs: list[Pair], sign: int = 1, more: tuple[str, ...] = ()) -> Confusion:
    names = (*more, *dict.fromkeys(name for pair in pairs for name in pair))
    at = {name: i for i, name in enumerate(names)}
    label, answer = (np.array([at[pair[i]] for pair in pairs], dtype=np.int64) for i in (0, 1))
    found = Confusion()
    found.update(names, label, answer, np.full(len(pairs), sign))
    return found


def merged(pairs: list[Pair], rng: Random, parts: int = 3) -> Confusion:
    """The same in parts, in any order, each of them packed and unpacked."""
    shuffled = rng.sample(pairs, len(pairs))
    found = [Confusion() for _ in range(parts)]
    while shuffled:
        size = rng.randint(1, 60)
        found[rng.randrange(parts)].merge(confusion_of(shuffled[:size]))
        shuffled = shuffled[size:]
    whole = Confusion()
    for part in found:
        whole.merge(Confusion.unpack(part.pack()))
    return whole


@given(few, st.randoms(use_true_random=False))
def test_any_order_split_and_merge_gives_the_same_pairs(pairs: list[Pair], rng: Random) -> None:
    whole = confusion_of(pairs)
    assert merged(pairs, rng) == whole
    assert whole.pairs == {pair: pairs.count(pair) for pair in pairs}
    assert whole == confusion_of(pairs, more=tuple(f"{i}" for i in range(FEW_CLASSES)))


@given(few, few)
def test_pairs_that_are_taken_back_were_never_there(kept: list[Pair], dropped: list[Pair]) -> None:
    found = confusion_of(kept + dropped)
    found.merge(confusion_of(dropped, sign=-1))
    assert found == confusion_of(kept)
    assert found.sound()
    found.merge(confusion_of([("a", "z")], sign=-1))
    assert not found.sound()


@pytest.mark.parametrize("seed", range(4))
def test_beyond_the_limit_the_rest_is_one_class_in_any_order(seed: int) -> None:
    rng = Random(seed)
    names = [f"class {i}" for i in range(3 * MOST_CLASSES)]
    pairs = [(name, rng.choice(names)) for name in names for _ in range(3)]
    whole = confusion_of(pairs)
    assert whole == merged(pairs, rng)
    assert len(whole.names) == MOST_CLASSES
    assert whole.n == len(pairs)
    called = {name: name if name in whole.names else OTHER for name in names}
    told = [(called[label], called[answer]) for label, answer in pairs]
    assert whole.pairs == {pair: told.count(pair) for pair in told}
    assert Confusion.unpack(whole.pack()) == whole


def test_places_beyond_the_names_are_refused() -> None:
    packed = confusion_of([("a", "b")]).pack()
    packed.pairs = [(0, 2, 1)]
    with pytest.raises(ValueError, match="damaged"):
        Confusion.unpack(packed)


def bins_of(kind: int, p: Floats, true: Ints, sign: int = 1) -> Bins:
    found = Bins()
    found.update(bin_codes(kind, p, true), p, np.full(len(p), sign))
    return found


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=50), st.integers(0, 50))
def test_bins_are_the_plain_definition_however_they_are_split(
    rows: list[tuple[float, bool]], cut: int
) -> None:
    p, true = np.array([r[0] for r in rows]), np.array([r[1] for r in rows], dtype=np.int64)
    whole, found = bins_of(ANSWER, p, true), bins_of(ANSWER, p[cut:], true[cut:])
    found.merge(bins_of(ANSWER, p[:cut], true[:cut]))
    found.merge(bins_of(POSITIVE, p, true))
    found.merge(bins_of(POSITIVE, p, true, -1))
    assert Bins.unpack(found.pack()) == whole
    place = np.minimum((p * BINS).astype(int), BINS - 1)
    expected = [(place == i) for i in range(BINS) if (place == i).any()]
    for (n, hits, mean), some in zip(whole.of(ANSWER), expected, strict=True):
        assert (n, hits) == (some.sum(), true[some].sum())
        assert mean == pytest.approx(p[some].mean(), abs=2**-32)
    assert whole.of(POSITIVE) == []
    assert whole.last(ANSWER) == ((place == 9).sum(), true[place == 9].sum())


def test_missing_probabilities_are_in_no_bin_and_foreign_bins_are_refused() -> None:
    assert bins_of(POSITIVE, np.array([np.nan]), np.array([1])) == Bins()
    with pytest.raises(ValueError, match="damaged"):
        Bins.unpack([(2 * BINS, 1, 1, 1)])
    back = bins_of(POSITIVE, np.array([0.5]), np.array([1]), -1)
    assert not back.sound()
