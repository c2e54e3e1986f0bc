"""Owns where each client stands: its last position, and whether what it is told on one connection goes forward.

A client's position is what it was told last: by a position of its own, a message's id, a gap or a poll's answer. To
others it is opaque; the load client knows the server under test and takes `<epoch>-<offset>` apart, which costs 18
bytes a client and lets it compare.
"""

from __future__ import annotations

import re
from array import array
from typing import Final

_SIMPLE: Final = re.compile(rb"([0-9a-z]{1,16}-)([0-9]{1,19})").fullmatch
#: The row of a client has no position, or one that is in `_others`.
_NONE: Final = 0
_OTHER: Final = 1


class Positions:
    """The positions of `count` clients, told by their index."""

    __slots__ = ("_current", "_epoch", "_epochs", "_newest", "_offset", "_others", "_prefix")

    def __init__(self, count: int) -> None:
        self._epoch = array("H", bytes(2 * count))
        self._offset = array("Q", bytes(8 * count))
        #: the newest message of the client's present connection
        self._newest = array("Q", bytes(8 * count))
        self._others: dict[int, bytes] = {}
        #: epochs with their dash, by number; the last one that was seen, which nearly always is the next one too
        self._epochs: list[bytes] = [b"", b""]
        self._prefix = b"-"
        self._current = _NONE

    def of(self, client: int) -> bytes:
        """Return the client's position, b"" when it has none."""
        epoch = self._epoch[client]
        if epoch > _OTHER:
            return b"%b%d" % (self._epochs[epoch], self._offset[client])
        return self._others[client] if epoch else b""

    def connected(self, client: int) -> None:
        """Note that a new connection begins: its order is its own."""
        self._newest[client] = 0

    def told(self, client: int, position: bytes) -> None:
        """Note that the client was told a position."""
        offset = self._read(client, position)
        if offset >= 0:
            self._offset[client] = offset

    def message(self, client: int, position: bytes) -> bool:
        """Note a message by its id; tells whether it is later than all messages before it on this connection."""
        offset = self._read(client, position)
        if offset < 0:
            return True
        self._offset[client] = offset
        if offset <= self._newest[client]:
            return False
        self._newest[client] = offset
        return True

    def _read(self, client: int, position: bytes) -> int:
        """Set the client's epoch and return the offset; -1 when the position is not to be taken apart."""
        prefix = self._prefix
        digits = position[len(prefix) :]
        if not (position.startswith(prefix) and digits.isdigit()):
            simple = _SIMPLE(position)
            if simple is None:
                if position:
                    self._epoch[client] = _OTHER
                    self._others[client] = position
                return -1
            self._see(simple[1])
            digits = simple[2]
        if self._epoch[client] != self._current:
            self._enter(client)
        return int(digits)

    def _see(self, prefix: bytes) -> None:
        if prefix not in self._epochs:
            self._epochs.append(prefix)
        self._prefix = prefix
        self._current = self._epochs.index(prefix)

    def _enter(self, client: int) -> None:
        """Offsets of another epoch cannot be compared: the client begins anew."""
        self._epoch[client] = self._current
        self._newest[client] = 0
        self._others.pop(client, None)
