"""What comes back of a message that was handed to workers: whether it was written, and to how many connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Receipt:
    """Counts the connections that a message was written to, over all workers that it was handed to."""

    __slots__ = ("_counted", "_outstanding", "connections")

    def __init__(self, counted: Callable[[int], None]) -> None:
        self._counted = counted
        self._outstanding = 1  # the router itself, until it has handed the message to all
        self.connections = 0

    def handed(self) -> None:
        """One more worker will report."""
        self._outstanding += 1

    def reported(self, connections: int) -> None:
        """A worker reported."""
        self.connections += connections
        self._outstanding -= 1
        if not self._outstanding:
            self._counted(self.connections)


class Token(NamedTuple):
    """What the answer of a box decides about one of its records.

    Attributes:
        channel, offset: the message of a mailbox that was claimed; offset 0 when nothing was.
        receipt: where the connections are counted, None when nobody asked.
    """

    channel: bytes
    offset: int
    receipt: Receipt | None
