"""What waits at each descriptor: a column of short names side by side, and a dict for all else.

Nearly all keys are names of mailboxes, a dozen or some dozens of bytes long. As an object of its own a name costs 33
bytes beside itself, rounded up to 16, and 8 in a list; here it has a field of 16 bytes, of which one says its length.
When more than a few names are longer, all fields become wider.

The column is a mapping of its own: the kernel makes it longer in place, where a `bytearray` that grows by and by leaves
holes behind it that are as large as it is.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import Any, Final, Protocol

#: Widths of the fields; a name that is longer than the widest can hold is an object in the dict.
_NARROWEST: Final = 16
_WIDEST: Final = 64
#: So many names may be too long before the fields are widened, ...
_FEW: Final = 64
#: ... and so large a part of the rows: an entry of the dict costs as much as eight fields of 16 bytes.
_PART: Final = 8
#: In the first byte of a field: no key; else the length of the name that follows, or the key is in the dict.
_NONE: Final = 0
_ELSEWHERE: Final = 0xFF
_IS_KEY: Final = bytes(1) + b"\1" * 255


class IRowKeys(Protocol):
    """Keys by descriptor."""

    def __getitem__(self, fd: int, /) -> Any: ...
    def __setitem__(self, fd: int, key: Any, /) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def occupied(self) -> bytearray:
        """Return by descriptor 1 where there is a key, else 0."""

    def texts(self, begin: int, end: int) -> list[bytes]:
        """Return the keys of the rows from `begin` on and before `end` that are bytes, and b"" for others."""


class RowKeys:
    """Keys by descriptor: names, other objects, or None.

    What comes out of it is equal to what was put in; a name is not the same object.
    """

    __slots__ = ("_elsewhere", "_fields", "_rows", "_too_long", "_width")

    def __init__(self) -> None:
        self._rows = 0
        self._width = _NARROWEST
        self._fields = _zeros(mmap.PAGESIZE)
        self._elsewhere: dict[int, Any] = {}
        self._too_long = 0  # names that went there since they were last looked through

    def grow(self, rows: int) -> None:
        """Have room for rows 0 to `rows` - 1."""
        self._rows = max(self._rows, rows)
        size = self._rows * self._width
        if size > len(self._fields):
            self._fields.resize(_whole_pages(size))

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, fd: int) -> Any:
        at = fd * self._width
        length = self._fields[at]
        if length == _NONE:
            return None
        if length == _ELSEWHERE:
            return self._elsewhere[fd]
        return self._fields[at + 1 : at + 1 + length]

    def __setitem__(self, fd: int, key: Any) -> None:
        fields = self._fields
        at = fd * self._width
        if fields[at] == _ELSEWHERE:
            del self._elsewhere[fd]
        if key is None:
            fields[at] = _NONE
        elif isinstance(key, bytes) and 0 < len(key) < self._width:
            length = fields[at] = len(key)
            fields[at + 1 : at + 1 + length] = key
        else:
            fields[at] = _ELSEWHERE
            self._elsewhere[fd] = key
            if isinstance(key, bytes) and self._width < _WIDEST:
                self._too_long += 1
                if self._too_long > _FEW and 2 * self._too_long >= len(self._elsewhere):
                    self._consider_widening()

    def __iter__(self) -> Iterator[Any]:
        lengths = self._fields[: self._rows * self._width : self._width]
        return (self[fd] if length else None for fd, length in enumerate(lengths))

    def occupied(self) -> bytearray:
        """Return by descriptor 1 where there is a key, else 0."""
        return bytearray(self._fields[: self._rows * self._width : self._width]).translate(_IS_KEY)

    def texts(self, begin: int, end: int) -> list[bytes]:
        """Return the keys of the rows from `begin` on and before `end` that are bytes, and b"" for others.

        Asked for one by one they would take five times as long.
        """
        width, end = self._width, min(end, self._rows)
        fields = bytearray(self._fields[begin * width : end * width])
        lengths = bytes(fields[::width])
        more = []
        at = lengths.find(_ELSEWHERE)
        while at >= 0:
            key = self._elsewhere[begin + at]
            if isinstance(key, bytes):
                more.append(key)
            fields[at * width] = _NONE
            at = lengths.find(_ELSEWHERE, at + 1)
        # A string of Pascal's, the struct module calls it: the first byte is its length.
        return [key for (key,) in struct.iter_unpack(f"{width}p", fields)] + more

    def _consider_widening(self) -> None:
        """Widen all fields when that is worth it. So many names have come that looking through all is no effort."""
        self._too_long = 0
        here = len(self._elsewhere)
        if here * _PART <= len(self):
            return
        wider = self._width * 2
        while wider < _WIDEST and self._too_long_for(wider) * _PART > len(self):
            wider *= 2
        if (here - self._too_long_for(wider)) * _PART > len(self):
            self._widen(wider)

    def _too_long_for(self, width: int) -> int:
        return sum(not isinstance(key, bytes) or len(key) >= width for key in self._elsewhere.values())

    def _widen(self, width: int) -> None:
        old, narrow, rows = self._fields, self._width, self._rows
        self._fields, self._width = _zeros(_whole_pages(rows * width)), width
        for at in range(narrow):
            self._fields[at : rows * width : width] = old[at : rows * narrow : narrow]
        old.close()
        elsewhere, self._elsewhere = self._elsewhere, {}
        for fd, key in elsewhere.items():
            self._fields[fd * width] = _NONE
            self[fd] = key


def _zeros(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
