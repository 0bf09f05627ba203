import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.columns import Value, column_of
from stream.features import Kind, from_document, summarise

VALUES = st.lists(
    st.one_of(
        st.none(),
        st.integers(-5, 5),
        st.floats(allow_nan=False),
        st.sampled_from(["a", "b", "1", "5", "true", ""]),
        st.booleans(),
    ),
    max_size=60,
)


@given(VALUES, VALUES)
def test_rank_codes_say_before_or_equal_to_which_edge(seen: list[Value], live: list[Value]) -> None:
    f = summarise("x", column_of(seen), "number")
    for value, code in zip(live, f.codes(column_of(live)).tolist(), strict=True):
        if isinstance(value, str | bool):
            assert code == f.width - 1
        elif value is None:
            assert code == f.missing_at
        elif np.isinf(value):
            assert code == f.width - 2
        elif code % 2:
            assert f.edges[code // 2] == value
        else:
            assert (f.edges < value).sum() == code // 2
            assert value not in f.edges


@given(VALUES, VALUES)
def test_category_codes_follow_the_names(seen: list[Value], live: list[Value]) -> None:
    f = summarise("x", column_of(seen), "category")
    column = column_of(live)
    for name, code in zip(column.names(), f.codes(column).tolist(), strict=True):
        if name is None:
            assert code == f.width - 1
        elif name in f.names:
            assert f.names[code] == name
        else:
            assert code == f.width - 2


@given(VALUES, st.sampled_from(["number", "category", None]))
def test_counts_and_documents_keep_everything(seen: list[Value], kind: Kind | None) -> None:
    column = column_of(seen)
    f = summarise("x", column, kind)
    again = from_document("x", f.document())
    counts = np.bincount(f.codes(column), minlength=f.width)
    assert np.array_equal(f.counts_of(column), counts)
    assert f.rows == len(seen) == counts.sum()
    assert again.document() == f.document()
    assert np.array_equal(again.codes(column), f.codes(column))


@given(VALUES, VALUES)
def test_a_few_values_are_counted_as_many_are(seen: list[Value], live: list[Value]) -> None:
    f, column = summarise("x", column_of(seen), "number"), column_of(live)
    counts = f.counts_of(column)
    f.add_few(counts, column)
    assert np.array_equal(counts, 2 * f.counts_of(column))


@given(VALUES, VALUES, st.integers(1, 50))
def test_values_that_outnumber_the_edges_are_counted_as_their_codes_are(
    seen: list[Value], live: list[Value], times: int
) -> None:
    f, column = summarise("x", column_of(seen), "number"), column_of(live * times)
    assert np.array_equal(f.counts_of(column), np.bincount(f.codes(column), minlength=f.width))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_mean_and_sd_are_finite_whatever_the_scale(x: list[float]) -> None:
    f = summarise("x", column_of(x), "number")
    assert np.isfinite([f.mean, f.sd]).all()
    assert f.sd >= 0


def test_a_large_reference_keeps_order_statistics_with_the_extremes() -> None:
    x = np.random.default_rng(0).normal(size=10_000)
    f = summarise("x", column_of(x), max_edges=64)
    assert not f.exact
    assert len(f.edges) == 64
    assert (f.edges[0], f.edges[-1]) == (x.min(), x.max())
    assert f.counts[: f.cells : 2].max() <= 10_000 / 63


def test_categories_are_limited_to_the_most_frequent() -> None:
    f = summarise("x", column_of(["a"] * 3 + ["b"] * 2 + ["c", "d"]), max_categories=2)
    assert f.names == ("a", "b")
    assert f.counts.tolist() == [3, 2, 2, 0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 1], "category"),
        ([0.5, 1, 1], "number"),
        (list(range(11)), "number"),
        ([True, False], "category"),
        ([1.5, 2.5, "N/A"], "number"),
        ([None], "number"),
    ],
)
def test_kinds(values: list[Value], kind: str) -> None:
    assert summarise("x", column_of(values)).kind == kind
