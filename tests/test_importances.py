"""Which changes explain the most: severity times weight."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import effects
from stream.columns import column_of
from stream.events import Effect, Reading
from stream.importances import UNMEASURED, explains, ranked, weight_of
from stream.parts import Parts
from stream.references import Reference

WEIGHTS = {"age": 3.0, "miles": 1.0}
PLAIN = Reference.build(
    "m", "1", {name: column_of([1.0, 2.5, 3.0]) for name in ("age", "miles", "power")}
)
Keyed = tuple[bool, float, str]


def weighed(**weights: float) -> Reference:
    return Reference.from_document(PLAIN.document() | {"weights": weights})


def reading(role: Any = "input", subject: str = "age", value: float | None = 0.3) -> Reading:
    effect = None
    if value is not None:
        effect = Effect(name="wasserstein", value=value, floor=0.1, unit=effects.IN_SD)
    return Reading(
        check="ks", subject=subject, role=role, effect=effect, n=1, verdict="moved", reason=""
    )


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (reading(), 0.75 * 3),
        (reading("data", "miles"), 0.75),
        (reading(subject="power"), 0.75 * 2),  # as much as the others in the mean
        (reading("output", "prediction"), 0.75),
        (reading("quality", "age"), 0.75),  # a metric of a feature's name
        (reading(value=None), UNMEASURED * 3),
    ],
)
def test_what_a_change_explains_is_its_severity_times_its_weight(
    one: Reading, expected: float
) -> None:
    assert explains(one, WEIGHTS) == pytest.approx(expected)


def test_without_weights_all_features_weigh_the_same() -> None:
    assert weight_of({}, "age") == weight_of({}, "miles") == 1.0


KEYS = st.lists(
    st.tuples(st.booleans(), st.floats(0, 1e6), st.text(max_size=3)),
    min_size=1,
    unique_by=lambda key: key[2],
)


@given(KEYS, st.randoms(use_true_random=False))
def test_new_ones_come_first_then_the_largest_then_by_name(keys: list[Keyed], chance: Any) -> None:
    found = ranked(keys, lambda key: key)
    chance.shuffle(keys)
    assert ranked(keys, lambda key: key) == found
    order = [(not new, -size, name) for (new, size, name), _ in found]
    assert order == sorted(order)


@given(KEYS)
def test_shares_are_parts_of_one_whole(keys: list[Keyed]) -> None:
    found = ranked(keys, lambda key: key)
    assert math.fsum(share for _, share in found) == pytest.approx(1.0)
    total = sum(size for _, size, _ in keys)
    for (_, size, _), share in found:
        assert share == pytest.approx(size / total if total > 0 else 1 / len(keys))


# of a reference


@given(st.dictionaries(st.sampled_from(("age", "miles", "power")), st.floats(0, 1e300)))
def test_weights_come_through_bytes_and_parts(weights: dict[str, float]) -> None:
    reference = weighed(**weights)
    assert reference.weights == weights
    assert Reference.from_bytes(reference.to_bytes()).weights == weights
    parts, found = Parts(), None
    for part in reversed(reference.to_parts(1)):
        assert set(part.get("weights", {})) <= set(part["features"])
        found = parts.add(part)
    assert found is not None
    assert (found.id, found.weights) == (reference.id, weights)


def test_a_vector_weighs_as_one_and_its_numbers_not() -> None:
    vector = {f"v[{i}]": column_of([1.0, 2.5, 3.0]) for i in range(3)}
    plain = Reference.build("m", "1", {"age": column_of([1.0, 2.5]), **vector}).document()
    reference = Reference.from_document(plain | {"weights": {"v": 0.7}})
    parts = Parts()
    whole = [parts.add(part) for part in reference.to_parts(1)][-1]
    assert whole is not None
    assert whole.weights == {"v": 0.7}
    with pytest.raises(ValueError, match="no such feature"):
        Reference.from_document(plain | {"weights": {"v[0]": 0.7}})


def test_a_reference_without_weights_is_as_it_was_before_there_were_any() -> None:
    assert "weights" not in PLAIN.document()
    assert all("weights" not in part for part in PLAIN.to_parts(10_000))
    assert weighed().id == PLAIN.id != weighed(age=1.0).id


@pytest.mark.parametrize(
    ("weights", "said"),
    [({"age": -1.0}, "0 or more"), ({"age": math.inf}, "0 or more"), ({"ages": 1.0}, "no such")],
)
def test_wrong_weights_are_refused_in_words(weights: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        weighed(**weights)
