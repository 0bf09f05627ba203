"""A model's own first rows as its reference."""

from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.batches import Block
from stream.batches.blocks import rows_of
from stream.batches.gathering import blocks_of
from stream.events import Limits, Prediction, decode_control
from stream.firsts import first_reference, reference_events
from stream.hashes import id_hash
from stream.parts import Parts
from stream.samples import Sample
from tests.tales import SETTINGS, tale

ROWS = [e for e in tale(days=2).events if isinstance(e, Prediction)]


def blocks(rows: list[Prediction]) -> list[Block]:
    return blocks_of((i, 0, e, id_hash("m", e.prediction_id)) for i, e in enumerate(rows))


def reference(parts: list[list[Prediction]], limit: int = 1_000) -> Any:
    sample = Sample(limit)
    for rows in parts:
        for block in blocks(rows):
            sample.update(block)
    return first_reference("m", "1", sample, SETTINGS)


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 5), st.sampled_from((20, 1_000)))
def test_it_is_the_same_whatever_the_order_of_arrival(random, parts, limit) -> None:  # type: ignore[no-untyped-def]
    rows = random.sample(ROWS, len(ROWS))
    split = [rows[i::parts] for i in range(parts)]
    assert reference(split, limit).id == reference([ROWS], limit).id


def test_it_knows_features_answers_and_how_sure_they_were() -> None:
    found = reference([ROWS])
    assert found.features.keys() == {"x", "y", "c"}
    assert found.outputs.keys() == {"prediction", "confidence"}
    assert found.rows == len(ROWS)
    assert found.features["c"].kind == "category"


def test_rows_without_answers_or_scores_are_rows_all_the_same() -> None:
    bare = [msgspec.structs.replace(e, prediction=None, score=None) for e in ROWS]
    assert reference([bare]).outputs == {}
    mixed = reference([[*bare[:60], *ROWS[60:]]])
    assert mixed.outputs["confidence"].missing == 60


def test_its_events_register_it() -> None:
    found = reference([ROWS])
    parts, whole = Parts(), None
    for event in reference_events(found, "2022-01-01T00:00:00.000Z"):
        assert event["source"] == "first-panes"
        decode_control(msgspec.json.encode(event), None, -1, Limits())
        whole = parts.add(event)
    assert whole is not None
    assert whole.id == found.id


def test_a_trimmed_sample_keeps_the_lowest_ids() -> None:
    (block,) = blocks(ROWS)
    sample = Sample(10)
    sample.update(rows_of(block, np.arange(len(ROWS))))
    assert first_reference("m", "1", sample, SETTINGS).rows == 10
