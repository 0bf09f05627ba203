"""Labels: truth that lies in files of its own, by the id of the prediction it is about."""

import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xxhash

from agents import complaints
from agents.files import File, word_of
from agents.tables import BadTable

MAX_LABELS = 50_000_000  # 20 bytes each, and the words and numbers themselves, once each


class Labels:
    """All labels of some files. repeated: ids that were there before; the last label counts."""

    def __init__(self, files: Iterable[File], id_column: str, label_column: str) -> None:
        """Reads the files. Raises BadTable."""
        self.repeated = 0
        self._values: list[Any] = []
        codes: dict[Any, int] = {}
        hashes, numbers = array.array("Q"), array.array("I")
        for file in files:
            _check(file, {"--id": id_column, "--label": label_column})
            for rows in file.blocks(only=(id_column, label_column)):
                labels = rows.columns[label_column]
                for id_, label in zip(rows.columns[id_column], labels, strict=True):
                    if id_ is None or label is None or label != label:
                        continue
                    hashes.append(_hash(id_))
                    numbers.append(codes.setdefault((type(label), label), len(codes)))
                if len(hashes) > MAX_LABELS:
                    raise BadTable(f"{file.path}: more than {MAX_LABELS:,} labels; split the files")
        self._values = [label for _, label in codes]
        self._keep(np.asarray(hashes, dtype=np.uint64), np.asarray(numbers, dtype=np.uint32))

    def __len__(self) -> int:
        return len(self._hashes)

    def find(self, ids: Sequence[str]) -> list[Any]:
        """The label of each id, None where there is none."""
        if not len(self._hashes):
            return [None] * len(ids)
        wanted = np.array([xxhash.xxh3_64_intdigest(id_.encode()) for id_ in ids], dtype=np.uint64)
        at = np.searchsorted(self._hashes, wanted)
        at[at == len(self._hashes)] = 0
        there = self._hashes[at] == wanted
        found = self._numbers[at].tolist()
        return [
            self._values[n] if ok else None for n, ok in zip(found, there.tolist(), strict=True)
        ]

    def _keep(self, hashes: np.ndarray, numbers: np.ndarray) -> None:
        order = np.argsort(hashes, kind="stable")
        hashes, numbers = hashes[order], numbers[order]
        last = np.append(hashes[1:] != hashes[:-1], True) if len(hashes) else np.array([], bool)
        self.repeated = int(len(hashes) - last.sum())
        self._hashes, self._numbers = hashes[last], numbers[last]


def _hash(id_: Any) -> int:
    return xxhash.xxh3_64_intdigest(word_of(id_).encode())


def _check(file: File, wanted: dict[str, str]) -> None:
    for option, name in wanted.items():
        if name not in file.names:
            known = complaints.suggest(name, file.names)
            raise BadTable(f"{file.path}: has no column {name!r} ({option}); {known}")
