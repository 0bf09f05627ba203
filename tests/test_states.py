"""States: a ledger comes back from its fields as it was; damage is said, not used."""

import pytest

from stream.ledger import Ledger
from tests.ledgers import PANE_MS, SETTINGS, Kept, batch_of, prediction, reference_of, truth


def lived() -> Kept:
    kept = Kept()
    kept.apply(batch_of(prediction(1, 5, "yes", score=0.5), prediction(2, 7, model="n/1")))
    kept.apply(batch_of(truth(1, 9, "yes"), truth(8, PANE_MS)))
    kept.apply(batch_of(prediction(3, PANE_MS, version="a/b"), first=2))
    kept.checkpoint()
    return kept


def everything(ledger: Ledger) -> object:
    return (
        [
            (b.to_bytes(), b.revisions_to_bytes(), sorted(b.inputs.open), sorted(b.quality.open))
            for b in ledger.shelf
        ],
        {model: truths.to_bytes() for model, truths in ledger.shelf.truths.items()},
        ledger.sources.dump(),
        ledger.progress,
        ledger.matches.pending,
        ledger.matches.tables.words.known,
        ledger.matches.tables.subjects.known,
        ledger.controls.parts.to_bytes(),
    )


def test_a_ledger_comes_back_as_it_was() -> None:
    kept = lived()
    before = everything(kept.ledger)
    kept.restart()
    assert everything(kept.ledger) == before
    assert not kept.checkpoint()


def test_incomplete_references_come_back() -> None:
    kept = Kept()
    parts = reference_of([float(i) for i in range(200)]).to_parts(600_000, time=0)
    kept.ledger.controls.parts.add(parts[0] | {"parts": 2})
    kept.ledger.controls.touched = True
    kept.apply(batch_of(prediction(1, 5)))
    kept.checkpoint()
    kept.restart()
    assert len(kept.ledger.controls.parts) == 1


def test_a_checkpoint_writes_what_changed_and_no_more() -> None:
    kept = lived()
    kept.apply(batch_of(prediction(4, PANE_MS + 1, "yes", version="a/b"), first=3))
    changes = kept.checkpoint()
    assert set(changes.puts) == {"ledger", "book/m/a%2Fb", f"open-inputs/m/a%2Fb/{PANE_MS}"}


def test_all_own_fields_are_found_by_the_pattern_that_the_shell_loads() -> None:
    kept = lived()
    kept.apply(batch_of(prediction(9, 9 * PANE_MS), truth(1, 1), first=4))
    kept.checkpoint()
    sealed = {f for f in kept.state.fields if f.startswith(("inputs/", "quality/"))}
    assert sealed
    assert all(f[0] in "lbo" for f in set(kept.state.fields) - sealed)


@pytest.mark.parametrize(
    "field", ["ledger", "book/m/1", "ledger-words/0", "ledger-subjects/0", "ledger-truth/m"]
)
def test_a_damaged_field_is_an_error(field: str) -> None:
    kept = lived()
    assert field in kept.state.fields
    for raw in (b"\xc1", b""):
        fields = kept.state.fields | {field: raw}
        with pytest.raises(ValueError, match=r"damaged|names"):
            Ledger(0, 1, lambda _: SETTINGS).restore(fields, {})


def test_another_format_is_refused() -> None:
    kept = lived()
    raw = kept.state.fields["ledger"].replace(b"\xa6format\x02", b"\xa6format\x01")
    with pytest.raises(ValueError, match="format 1"):
        Ledger(0, 1, lambda _: SETTINGS).restore(kept.state.fields | {"ledger": raw}, {})
