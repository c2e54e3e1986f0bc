"""How a worker's connections end: polls are answered, streams told to come back, idle ones closed.

When it stops, all of them in slices over turns: it goes over all rows once, and again each second for those who came
in meanwhile. When it is drained, at a set rate: see `draining`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from megacomet.kinds import (
    ASKING,
    CALLING,
    CLOSES,
    CROWDED,
    FRONT,
    IDLE,
    LINGERS,
    LISTENER,
    PARKED,
    READING,
    SOCKET,
    STATE,
    STREAM,
    TAKING,
    WRITING,
)
from megacomet.rows import Rows

#: Rows a turn.
SLICE: Final = 256


class Partings:
    """How one connection is let go in order, whatever it is doing."""

    def __init__(
        self, rows: Rows, expire: Callable[[int], None], farewell: Callable[[int, bytes], None], close: bytes
    ) -> None:
        """
        Args:
            rows: the connections.
            expire: answers what waits on a row with what is at hand, and gives up a body that is being received.
            farewell: ends a stream; takes `close`.
            close: the close frame for WebSockets.
        """
        self._rows = rows
        self._expire = expire
        self._farewell = farewell
        self._close = close

    def end(self, fd: int) -> None:
        """End a connection, behind the answer that is due to it."""
        kind = self._rows.kinds[fd]
        state = kind & STATE
        if state in (PARKED, CROWDED, WRITING):
            self._rows.flag(fd, kind & (FRONT | LINGERS) | CLOSES)
            if state != WRITING:
                self._expire(fd)
        elif state in (STREAM, SOCKET, ASKING):
            self._farewell(fd, self._close)
        elif state in (READING, IDLE):
            self._rows.close(fd)
        elif state == TAKING:
            self._expire(fd)
        elif state == CALLING:
            self._rows.flag(fd, kind & (FRONT | LINGERS) | CLOSES)
        # The others end by themselves: what resumes is told that it was its last, what lingers or is away does so
        # within its time.


class Closing:
    """The end of all connections.

    Attributes:
        begun: whether it is under way, so that nobody may begin anything.
        done: fires when no connection is left.
    """

    def __init__(self, rows: Rows, clock: IReactorTime, partings: Partings) -> None:
        """
        Args:
            rows: the connections.
            clock: for work that goes on in the next turn.
            partings: end one of them.
        """
        self.begun = False
        self.done: Deferred[None] = Deferred()
        self._rows = rows
        self._clock = clock
        self._partings = partings
        self._left: Iterator[int] | None = None

    def begin(self) -> None:
        """Go over all rows, unless that is under way."""
        self.begun = True
        if self._left is None:
            self._left = iter([fd for fd, kind in enumerate(self._rows.kinds) if kind & STATE > LISTENER])
            self._clock.callLater(0, self._slice)

    def _slice(self) -> None:
        assert self._left is not None
        some = list(islice(self._left, SLICE))
        if len(some) == SLICE:
            self._clock.callLater(0, self._slice)
        else:
            self._left = None
        for fd in some:
            self._partings.end(fd)
        self.look()

    def look(self) -> None:
        """Tell if this was the end."""
        if self.begun and not self._rows.open and not self.done.called:
            self.done.callback(None)
