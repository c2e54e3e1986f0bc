"""What the hub wants of those around it: boxes from the link, and somebody who writes to connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from megacomet.model.entries import Entry
from megacomet.model.polls import IPolls
from megacomet.model.requests import IReplies
from megacomet.model.streams import IPages
from megacomet.wire import frames
from megacomet.wire.cutoff import CutOff


class IAnswers(IPolls, IPages, IReplies, Protocol):
    """Writes to connections. What cannot be written to is taken from the hub (`Hub.leave`) by who finds out."""

    def write(self, fd: int, entries: Sequence[Entry], position: bytes) -> bool:
        """Write messages to a live stream, and then a position unless it is b"".

        Returns:
            Whether they were written; else the row has been left.
        """

    def spread(self, fds: list[int], entry: Entry) -> tuple[int, list[int]]:
        """Write one message to many rows.

        Returns:
            To how many it was written, and the rows that are no streams: polls, which are to be answered.
        """

    def cut_off(self, fds: list[int], cut: CutOff, mailbox: bytes) -> int:
        """End the connections of a client, and keep it out if that is wanted; returns how many were ended."""


class Box(NamedTuple):
    """What came down the link at once.

    Attributes:
        number, head, answered: see `megacomet.wire.frames`.
        blob: the records.
        accepted_s: when the manager accepted the oldest message in it, seconds of a clock that all processes have; 0:
            it is not known.
        came_s: when it came, by the same clock.
    """

    number: int
    head: int
    answered: int
    blob: bytes
    accepted_s: float = 0.0
    came_s: float = 0.0


def cut_off_of(frame: frames.Frame) -> CutOff:
    """Return what a record of the link says of a client that is cut off."""
    return CutOff(bool(frame.flags & frames.RECONNECT), frame.offset, frame.number)
