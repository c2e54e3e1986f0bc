"""A dict in parts, so that all its keys can be looked through while they come and go.

A dict cannot be left in the middle and gone on with: a key that comes or goes meanwhile ends the iteration, and a copy
of a million keys takes longer than others may wait. Here a key has its part for good, and each part is small.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar

V = TypeVar("V")

#: With 2.5 million keys a part has ten thousand, which a comprehension looks through in half a millisecond; without any
#: all of them take 18 KB.
PARTS: Final = 256
#: The lowest bits of the hash say where a key stands in its dict, so others say in which: else all of a part collide.
_SHIFT: Final = 40
_MASK: Final = PARTS - 1


class Shards(Generic[V]):
    """Values by name; what a dict of bytes can do, as far as it is needed."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[dict[bytes, V]] = [{} for _ in range(PARTS)]

    def get(self, name: bytes) -> V | None:
        """Return the value of a name, None without one."""
        return self._parts[hash(name) >> _SHIFT & _MASK].get(name)

    def of_each(self, names: Iterable[bytes]) -> list[V | None]:
        """Return the values of many names, None where there is none: in a third of the time."""
        parts = self._parts
        return [parts[hash(name) >> _SHIFT & _MASK].get(name) for name in names]

    def __getitem__(self, name: bytes) -> V:
        return self._parts[hash(name) >> _SHIFT & _MASK][name]

    def __setitem__(self, name: bytes, value: V) -> None:
        self._parts[hash(name) >> _SHIFT & _MASK][name] = value

    def __delitem__(self, name: bytes) -> None:
        del self._parts[hash(name) >> _SHIFT & _MASK][name]

    def __contains__(self, name: bytes) -> bool:
        return name in self._parts[hash(name) >> _SHIFT & _MASK]

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the names; nothing may come or go meanwhile."""
        for part in self._parts:
            yield from part

    def parts(self) -> Iterator[dict[bytes, V]]:
        """Iterate over the parts. What comes and goes between two steps may be in what is left or not; the rest is."""
        return iter(self._parts)
