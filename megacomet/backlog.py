"""What was written to a connection and did not fit: the pieces as they were given, shared with others who got them."""

from __future__ import annotations

import os
from collections import deque
from itertools import islice
from typing import Final

#: Pieces given to the kernel in one call; it takes 1,024 at most (IOV_MAX).
_PIECES: Final = 64


class Backlog:
    """Unsent pieces of one connection, in order.

    Attributes:
        size: bytes that are unsent.
    """

    __slots__ = ("_pieces", "_sent", "size")

    def __init__(self, data: bytes, sent: int, body: bytes = b"") -> None:
        """Begin with a piece, and one behind it if there is, of which together `sent` bytes are gone already."""
        self.size = len(data) + len(body) - sent
        if body and sent >= len(data):
            data, body, sent = body, b"", sent - len(data)
        self._pieces = deque((data, body) if body else (data,))
        self._sent = sent

    def push(self, data: bytes) -> None:
        """Put a piece behind the others."""
        self._pieces.append(data)
        self.size += len(data)

    def cut(self) -> None:
        """Forget all but the rest of a piece that is on its way: what stands in a whole piece may be left out."""
        first = self._pieces.popleft()
        self._pieces.clear()
        self.size = 0
        if self._sent:
            self._pieces.append(first)
            self.size = len(first) - self._sent

    def flush(self, fd: int) -> int:
        """Give the kernel as much as it takes; returns how many bytes.

        Raises:
            BlockingIOError: it takes nothing now.
            OSError: the connection is broken.
        """
        pieces = self._pieces
        first = memoryview(pieces[0])[self._sent :]
        sent = os.writev(fd, [first, *islice(pieces, 1, _PIECES)]) if len(pieces) > 1 else os.write(fd, first)
        self.size -= sent
        gone = sent + self._sent
        while pieces and gone >= len(pieces[0]):
            gone -= len(pieces.popleft())
        self._sent = gone
        return sent
