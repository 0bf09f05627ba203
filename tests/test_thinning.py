"""Thinning: who is in a sample, and how large it is."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stream.hashes import id_hashes
from stream.settings import ModelSettings
from stream.thinning import MORE, Rates, Stay, Thinning, is_taken, taken

PANE_MS = 10_000
PANES = 50  # of the horizon
MODEL = ModelSettings(pane_s=10, windows_s=(10,), horizon_s=PANES * 10, max_pending=1_000)
IDS = id_hashes("m", [str(i) for i in range(40_000)])


def thinning(**more: object) -> Thinning:
    return Thinning(lambda _: dataclasses.replace(MODEL, **more))  # type: ignore[arg-type]


@given(st.integers(0, 2**64 - 1), st.integers(0, 30))
def test_one_is_taken_as_many_are(key: int, exponent: int) -> None:
    ids, exponents = np.array([key], dtype=np.uint64), np.array([exponent])
    assert taken(ids, exponents).tolist() == [is_taken(key, exponent)]
    assert not is_taken(key, exponent + 1) or is_taken(key, exponent)  # samples are nested


@pytest.mark.parametrize("exponent", [1, 3, 6])
def test_a_sample_is_as_large_in_every_partition_and_every_bucket(exponent: int) -> None:
    inside = taken(IDS, np.full(len(IDS), exponent))
    assert stats.binomtest(int(inside.sum()), len(IDS), 0.5**exponent).pvalue > 1e-3
    for places in (IDS % np.uint64(8), IDS % np.uint64(12), (IDS >> np.uint64(32)) % np.uint64(8)):
        table = [np.bincount(places[rows].astype(np.int64)) for rows in (inside, ~inside)]
        assert stats.chi2_contingency(table).pvalue > 1e-3


@given(
    st.dictionaries(st.integers(0, 9), st.tuples(st.integers(0, 5), st.integers(0, 99))),
    st.dictionaries(st.integers(0, 9), st.integers(-9, 9)),
)
def test_rates_come_back_as_they_were(
    panes: dict[int, tuple[int, int]], others: dict[int, int]
) -> None:
    exponents = {pane: k for pane, (k, _) in panes.items()}
    rates = Rates(3, 1, 2, exponents, {pane: n for pane, (_, n) in panes.items()}, others)
    assert Rates.from_bytes(rates.to_bytes()) == rates


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x91\x90"])
def test_foreign_bytes_are_an_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        Rates.from_bytes(raw)


def test_nothing_is_kept_while_half_of_the_room_is_free() -> None:
    found = thinning()
    found.fix("m", 0, 500, {"m": [-PANE_MS]})
    assert not found.models
    assert found.exponents("m", np.array([5])) is None
    assert found.strictest("m", np.array([5])) is None


def test_nothing_is_kept_where_the_older_entries_make_room_in_time() -> None:
    found = thinning()
    found.fix("m", 0, 700, {"m": [-i * PANE_MS for i in range(1, PANES + 2)]})
    assert not found.models


def test_what_waits_is_held_to_the_room_that_is_left_until_it_goes() -> None:
    found = thinning()
    found.fix("m", 0, 600, {"m": [-i * PANE_MS for i in range(1, 11)]})  # 60 a pane, so 3,000
    assert found.models["m"].exponents[0] == 4  # 190 a horizon in the 275 left, not 380
    assert found.exponents("m", np.array([5, 7, -5])) is not None
    assert found.models["m"].rows[0] == 2


Volumes = st.lists(st.integers(0, 200), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(Volumes, st.sampled_from([2, 10, 40]))
def test_a_rate_that_lasts_is_found_and_room_stays(volumes: list[int], length: int) -> None:
    """Volumes that stay for some panes each, and hold no more than a twentieth of the room."""
    found, pending = thinning(max_pending=4_000), dict[int, float]()
    for pane in range(len(volumes) * length):
        rows, start = volumes[pane // length], pane * PANE_MS
        pending = {at: n for at, n in pending.items() if at + PANES >= pane}
        held = round(sum(pending.values()))
        found.fix("m", start, held, {"m": [at * PANE_MS for at in pending]})
        exponents = found.exponents("m", np.full(rows, start))
        k = 0 if exponents is None or not rows else int(exponents[0])
        pending[pane] = rows / 2**k
        assert sum(pending.values()) <= 4_000
    flow = max(volumes[-1], 1) * (PANES + 1)
    if length == 40 and found.models:
        assert flow / 2**k <= 4_000
        assert k <= MORE + max(0, int(np.ceil(np.log2(max(volumes) * (PANES + 1) / 4_000))))


def test_truth_must_be_in_the_strictest_sample_that_its_prediction_may_be_in() -> None:
    found = thinning()
    far = (PANES + 2) * PANE_MS
    found.models["m"] = Rates(0, exponents={0: 2, 5 * PANE_MS: 1}, rows={0: 9, 5 * PANE_MS: 9})
    times = np.array([5, 4 * PANE_MS, far - 1, far, far + 5 * PANE_MS, -far + PANE_MS])
    strict = found.strictest("m", times)
    assert strict is not None
    assert strict.tolist() == [2, 2, 2, 1, 0, 2]


def test_an_entry_that_waits_longer_for_its_truth_is_counted_as_long() -> None:
    found = thinning()
    found.models["m"] = Rates(0, exponents={0: 0}, rows={0: 8})
    life = (PANES + 2) * PANE_MS
    found.stay("m", [Stay(5, 7 * PANE_MS), Stay(None, PANE_MS)])
    rates = found.models["m"]
    waiting = rates.waiting(life)
    assert waiting == {life: 7, life + 7 * PANE_MS: 1, life + PANE_MS: 1}
    assert rates.stay_ms(MODEL) == (PANES + 1) * PANE_MS + 7 * PANE_MS - 5
    rates.forget(life, life)
    assert rates.waiting(life) == {life + 7 * PANE_MS: 1, life + PANE_MS: 1}
    found.stay("nobody", [Stay(None, 5)])


def test_thinning_ends_where_no_pane_is_thinned_any_more() -> None:
    found = thinning()
    found.models["m"] = Rates(0, exponents={0: 1}, rows={0: 9})
    found.fix("m", PANE_MS, 5, {})
    assert found.models
    found.fix("m", (PANES + 3) * PANE_MS, 5, {})
    assert not found.models
    assert found.touched == {"m"}


def test_models_share_the_room() -> None:
    found = thinning()
    seen = {name: [-i * PANE_MS for i in range(1, 6)] for name in "mn"}
    found.fix("m", 0, 600, seen)
    alone = thinning()
    alone.fix("m", 0, 600, {"m": seen["m"]})
    assert found.models["m"].exponents[0] == alone.models["m"].exponents[0] > 0
