"""Rows found by their name, at seven bytes a row: a hash table of descriptors that keeps neither names nor hashes.

A dict from names to numbers costs 64 bytes an entry (its slot, and an object for each number above 256), and nearly all
connections of a server have one. Here a slot is a descriptor and nothing else. The name that it stands for is in the
key of its row, which is there anyway.

Linear probing with backward-shift deletion (Knuth, The Art of Computer Programming, volume 3, 6.4, algorithms L and R):
polls come and go for years, and no tombstones pile up.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

from megacomet.model.frozen import only_mailbox
from megacomet.model.row_keys import IRowKeys

#: A slot that is free.
_FREE: Final = -1
#: Slots of an empty table; a power of two, as all sizes are.
SMALLEST: Final = 64


class RowIndex:
    """Rows by name; no two rows in it have the same."""

    __slots__ = ("_count", "_keys", "_mask", "_most", "_slots")

    def __init__(self, keys: IRowKeys, slots: int = SMALLEST) -> None:
        """Index nothing yet.

        Args:
            slots: to begin with, a power of two.
            keys: by descriptor, what has the names (`frozen`). A row that is in the index keeps its name until it is
                removed; while it is being removed it may have lost it.
        """
        self._keys = keys
        self._count = 0
        self._slots = array("i")
        self._resize(slots)

    def _resize(self, size: int) -> None:
        old, self._slots = self._slots, array("i", [_FREE]) * size
        self._mask = size - 1
        # At 0.6 of the slots a look-up of what is there takes 1.8 probes on average, of what is not 3.6.
        self._most = size * 3 // 5
        for fd in old:
            if fd != _FREE:
                self._put(hash(only_mailbox(self._keys[fd])), fd)

    def _rows(self) -> Iterator[int]:
        return (fd for fd in self._slots if fd != _FREE)

    def _put(self, hashed: int, fd: int) -> None:
        slots, mask = self._slots, self._mask
        at = hashed & mask
        while slots[at] != _FREE:
            at = (at + 1) & mask
        slots[at] = fd

    def find(self, name: bytes) -> int:
        """Return the row of the name, -1 when there is none."""
        slots, mask, keys = self._slots, self._mask, self._keys
        at = hash(name) & mask
        while (fd := slots[at]) != _FREE:
            if (key := keys[fd]) == name or only_mailbox(key) == name:
                return fd
            at = (at + 1) & mask
        return _FREE

    def add(self, name: bytes, fd: int) -> None:
        """Add a row whose name is not there; the row's key names it by now."""
        if self._count == self._most:
            self._resize(2 * len(self._slots))
        self._put(hash(name), fd)
        self._count += 1

    def remove(self, name: bytes, fd: int) -> bool:
        """Remove a row; tells whether it was there, under this name."""
        slots, mask = self._slots, self._mask
        if (key := self._keys[fd]) not in (None, name) and only_mailbox(key) != name:
            return False
        at = hash(name) & mask
        while (there := slots[at]) != fd:
            if there == _FREE:
                return False
            at = (at + 1) & mask
        self._close_up(at)
        self._count -= 1
        return True

    def _close_up(self, hole: int) -> None:
        """Free a slot: those behind it that were pushed past it move up."""
        slots, mask, keys = self._slots, self._mask, self._keys
        at = (hole + 1) & mask
        while (fd := slots[at]) != _FREE:
            wanted = hash(only_mailbox(keys[fd])) & mask
            if (at - wanted) & mask >= (at - hole) & mask:
                slots[hole] = fd
                hole = at
            at = (at + 1) & mask
        slots[hole] = _FREE

    def __iter__(self) -> Iterator[bytes]:
        """Iterate over the names; nothing may come or go meanwhile."""
        keys = self._keys
        return (only_mailbox(keys[fd]) for fd in self._rows())

    def __len__(self) -> int:
        return self._count
