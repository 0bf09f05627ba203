"""States: a ledger as fields of its partition's state in Redis, and back.

    ledger                    high-water marks, progress, the number of pending entries
    ledger-parts              incomplete references
    ledger-words/PIECE        names in entries; ledger-subjects/PIECE: models and versions
    ledger-thinning/MODEL     panes of which not all predictions are joined, while there are any
    ledger-truth/MODEL        how far the truth of a model has come
    book/MODEL/VERSION        a book; book-panes/...: how often each of its panes was sealed
    open-inputs/.../PANE      a page that is still counted; open-quality/.../PANE
    inputs/.../PANE/REVISION  a sealed share, read by the watch; quality/.../PANE/REVISION
    open-answers/.../PANE     of a challenger, beside what others answered; answers/.../REVISION

Only what changed is written.
"""

import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from stream.books import Book, references_of
from stream.changes import Changes
from stream.entries import Tables
from stream.names import Names
from stream.parts import Parts
from stream.references import Reference
from stream.seals import open_field
from stream.shelves import Truths
from stream.sources import Sources
from stream.thinning import Rates, Thinning

if TYPE_CHECKING:
    from stream.ledger import Ledger

FORMAT = 2
THINNED = 3  # the same, while `ledger-thinning` is there: a release that does not know it refuses


class _State(msgspec.Struct):
    format: int
    sources: list[tuple[str, int, str, int]]
    progress: dict[str, dict[int, int]]
    pending: int


def save(ledger: "Ledger", changes: Changes, *, all_of_it: bool) -> None:
    """What changed of a ledger but its books. all_of_it: also its marks and progress."""
    matches, tables = ledger.matches, ledger.matches.tables
    matches.save(changes)  # which may number new words
    for kind, names in (("words", tables.words), ("subjects", tables.subjects)):
        for piece, raw in names.grown():
            changes.put(f"ledger-{kind}/{piece}", raw)
    for model, truths in ledger.shelf.truths.items():
        if truths.touched:
            changes.put(f"ledger-truth/{urllib.parse.quote(model, safe='')}", truths.to_bytes())
            truths.touched = False
    _save_thinning(ledger.thinning, changes)
    if ledger.controls.touched:
        changes.put("ledger-parts", ledger.controls.parts.to_bytes())
        ledger.controls.touched = False
    if all_of_it:
        form = THINNED if ledger.thinning.models else FORMAT
        state = _State(form, ledger.sources.dump(), ledger.progress, matches.pending)
        changes.put("ledger", msgspec.msgpack.encode(state))


def _save_thinning(thinning: Thinning, changes: Changes) -> None:
    for model in sorted(thinning.touched):
        field = f"ledger-thinning/{urllib.parse.quote(model, safe='')}"
        if model in thinning.models:
            changes.put(field, thinning.models[model].to_bytes())
        else:
            changes.delete(field)
    thinning.touched = set()


def save_book(book: Book, changes: Changes) -> None:
    """What changed of a book."""
    for pages in book.pages:
        for pane in sorted(pages.dirty):
            changes.put(open_field(pages.kind, book, pane), book.page_bytes(pages.kind, pane))
        pages.dirty.clear()
    if any(pages.sealed for pages in book.pages):
        changes.put(f"book-panes/{book.key}", book.revisions_to_bytes())
        for pages in book.pages:
            pages.sealed = False
    changes.put(f"book/{book.key}", book.to_bytes())
    book.touched = False


def references_in(fields: Mapping[str, bytes]) -> set[str]:
    """Ids of the references that books name."""
    books = (raw for field, raw in fields.items() if field.startswith("book/"))
    return {ref for raw in books for ref in references_of(raw)}


def restore(
    ledger: "Ledger", fields: Mapping[str, bytes], references: Mapping[str, Reference]
) -> None:
    """Take up what `save` and `save_book` gave. Raises ValueError if it is damaged."""
    grouped: dict[str, dict[str, bytes]] = {}
    for field, raw in fields.items():
        kind, _, rest = field.partition("/")
        grouped.setdefault(kind, {})[rest] = raw
    if "ledger" in grouped:
        _restore(ledger, grouped)
    for key, raw in sorted(grouped.get("book", {}).items()):
        book = Book.from_bytes(raw, ledger.settings)
        book.references = {ref: references[ref] for _, ref in book.active}
        if key in grouped.get("book-panes", {}):
            book.load_revisions(grouped["book-panes"][key])
        ledger.shelf.put(book)
    books = {book.key: book for book in ledger.shelf}
    for kind in ("inputs", "quality", "answers"):
        for field, raw in grouped.get(f"open-{kind}", {}).items():
            key, _, pane = field.rpartition("/")
            books[key].open_page(kind, int(pane), raw)


def _restore(ledger: "Ledger", grouped: Mapping[str, Mapping[str, bytes]]) -> None:
    state = _state(grouped["ledger"][""])
    ledger.sources, ledger.progress = Sources.load(state.sources), state.progress
    ledger.matches.tables = Tables(_names(grouped, "words"), _names(grouped, "subjects"))
    ledger.matches.pending = state.pending
    for model, raw in grouped.get("ledger-truth", {}).items():
        ledger.shelf.truths[urllib.parse.unquote(model)] = Truths.from_bytes(raw)
    for model, raw in grouped.get("ledger-thinning", {}).items():
        ledger.thinning.models[urllib.parse.unquote(model)] = Rates.from_bytes(raw)
    if "ledger-parts" in grouped:
        ledger.controls.parts = Parts.from_bytes(grouped["ledger-parts"][""])


def _state(raw: bytes) -> _State:
    try:
        state = msgspec.msgpack.decode(raw, type=_State)
    except msgspec.DecodeError as error:
        raise ValueError(f"a damaged ledger: {error}") from error
    if state.format not in (FORMAT, THINNED):
        raise ValueError(f"ledger state of format {state.format}, not {FORMAT}")
    return state


def sources_in(raw: bytes) -> Sources:
    """The high-water marks in the field "ledger". Raises ValueError if it is damaged."""
    return Sources.load(_state(raw).sources)


def with_sources(raw: bytes, sources: Sources) -> bytes:
    """The field "ledger" with other high-water marks. Raises ValueError if it is damaged."""
    return msgspec.msgpack.encode(msgspec.structs.replace(_state(raw), sources=sources.dump()))


def _names(grouped: Mapping[str, Mapping[str, bytes]], kind: str) -> Names:
    pieces = grouped.get(f"ledger-{kind}", {})
    return Names.load({int(piece): raw for piece, raw in pieces.items()})
