"""Requests to the API on rows of the lot: a body that is being received, and the wait for what the manager says.

Owns the events and the deadline that such a row wants; one that is paused has no deadline. What the bytes are, and what
is asked, others know.
"""

from __future__ import annotations

import select

from megacomet.kinds import CALLING, STATE, TAKING
from megacomet.rows import Rows

_READS = select.EPOLLIN | select.EPOLLRDHUP
#: Nothing but what the kernel tells always, and that once: a UNIX socket whose peer has closed goes on saying so, while
#: what it has sent is to be read yet.
_READS_NOT = select.EPOLLONESHOT


class Taking:
    """See the module."""

    def __init__(self, rows: Rows, silence_s: float) -> None:
        """
        Args:
            rows: the connections.
            silence_s: how long a client may send nothing of a body that it has begun.
        """
        self._rows = rows
        self._silence_s = silence_s

    def take(self, fd: int) -> None:
        """More of the body is expected; what comes is given to the front's `taken`."""
        rows = self._rows
        rows.kinds[fd] = rows.kinds[fd] & ~STATE | TAKING
        rows.deadlines.arm(fd, self._silence_s)

    def pause(self, fd: int, is_paused: bool) -> None:
        """Read nothing of the body for now, however long that lasts; or go on."""
        rows = self._rows
        if rows.kinds[fd] & STATE != TAKING:
            return  # the body is complete: nothing of it will be read
        rows.epoll.modify(fd, _READS_NOT if is_paused else _READS)
        if is_paused:
            rows.deadlines.disarm(fd)
        else:
            rows.deadlines.arm(fd, self._silence_s)

    def call(self, fd: int) -> None:
        """The request is complete, and waits for its answer."""
        rows = self._rows
        rows.kinds[fd] = rows.kinds[fd] & ~STATE | CALLING
        rows.deadlines.disarm(fd)
