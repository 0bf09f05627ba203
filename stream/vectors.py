"""Vectors: features whose value is a list of numbers, an embedding for one.

A vector `v` of k numbers is k features `v[0]` to `v[k-1]`, from the moment it is decoded: whatever
counts numbers counts its numbers. Here is what makes them one again, where they are judged.
"""

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Self

ELEMENT = re.compile(r"(.+)\[(0|[1-9][0-9]*)\]", re.DOTALL)
LEAST = 2  # numbers of a vector


def element(name: str, place: int) -> str:
    """The name of a vector's number.

    >>> element("v", 0)
    'v[0]'
    """
    return f"{name}[{place}]"


def vector_of(name: str) -> str:
    """The vector that a name is a number of, if it looks like one; else the name itself.

    >>> vector_of("v[12]"), vector_of("v"), vector_of("v[01]")
    ('v', 'v', 'v[01]')
    """
    found = ELEMENT.fullmatch(name)
    return found[1] if found else name


def left_out(name: str, ignore: Collection[str]) -> bool:
    """Whether a name is among these, or its vector is."""
    return name in ignore or (bool(ignore) and vector_of(name) in ignore)


@dataclasses.dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors among features. elements: the names of its numbers, in order, by vector.

    owners: the vector of each feature that is a number of one.
    """

    elements: Mapping[str, tuple[str, ...]]
    owners: Mapping[str, str]

    @classmethod
    def of(cls, names: Iterable[str]) -> Self:
        """Those whose numbers are there from 0 on without a hole.

        >>> Vectors.of(["x", "v[1]", "v[0]", "w[1]", "u[0]"]).elements
        {'v': ('v[0]', 'v[1]')}
        """
        found = _found(names)
        return cls(found, {name: vector for vector, own in found.items() for name in own})

    def __bool__(self) -> bool:
        return bool(self.elements)

    def size(self, name: str) -> int:
        """How many numbers a vector has; 1 of what is none."""
        return len(self.elements.get(name, (name,)))

    def unit(self, name: str, role: str) -> str:
        """What a feature or output is judged as: itself, or the vector it is a number of."""
        return self.owners.get(name, name) if role == "input" else name


def _found(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    places: dict[str, set[int]] = {}
    for name in names:
        found = ELEMENT.fullmatch(name)
        if found:
            places.setdefault(found[1], set()).add(int(found[2]))
    return {
        name: tuple(element(name, i) for i in range(len(known)))
        for name, known in places.items()
        if len(known) >= LEAST and max(known) == len(known) - 1
    }
