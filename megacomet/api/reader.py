"""Answers that go on as server-sent events: one reader, and all of a door.

A reader that does not read is bounded three times: by what waits for it, by how long, and by how many of them there
may be. What is sent to them, the doors know (`events`, `tails`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from megacomet.api.request import Request
from megacomet.errors import PeerError

#: What waits for a reader beside the transport's own 64 KB; a thousand events, all that are kept, have some 150 KB.
BACKLOG_BYTES: Final = 256 * 1024
#: A reader that has taken nothing for so long is cut off, seconds.
STALL_S: Final = 60.0
#: After so many seconds without an event a comment tells that the server is there: proxies give up after 60.
PING_S: Final = 15.0
TICK_S: Final = 1.0
#: When the connection ends a reader comes back after so many milliseconds, chosen by chance, as in `/comet/events`.
RETRY_MS: Final = (2000, 5000)

EVENTS: Final = b"text/event-stream; charset=utf-8"
_PING: Final = b": ping\n\n"


@implementer(IPushProducer)
class Reader:
    """One reader.

    Attributes:
        ended: fires when it is to be let go; cancelled when it has gone.
        written: when it was sent something last.
        stalled: since when it takes nothing, None: it does.
    """

    def __init__(self, request: Request, clock: IReactorTime, gone: Callable[[Any], None]) -> None:
        self.ended: Deferred[None] = Deferred(lambda _: gone(self))
        self.written = clock.seconds()
        self.stalled: float | None = None
        self._request = request
        self._clock = clock
        self._waiting: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> bool:
        """Send something, or have it wait; False: too much waits."""
        self.written = self._clock.seconds()
        if self.stalled is None:
            self._request.write_on(data)
            return True
        self._waiting.append(data)
        self._size += len(data)
        return self._size <= BACKLOG_BYTES

    def pauseProducing(self) -> None:
        """It does not read."""
        if self.stalled is None:
            self.stalled = self._clock.seconds()

    def resumeProducing(self) -> None:
        """It has read."""
        waiting, self._waiting, self._size, self.stalled = self._waiting, [], 0, None
        if waiting:
            self._request.write_on(b"".join(waiting))

    def stopProducing(self) -> None:
        """The connection is gone; whoever waits for the answer is told."""

    @property
    def is_allowed(self) -> bool:
        """Whether its key is still accepted."""
        return self._request.is_allowed

    def end(self) -> None:
        """Let it go, with all that it has read."""
        self._request.unregisterProducer()
        self.ended.callback(None)

    def cut_off(self) -> None:
        """Close the connection, whatever waits."""
        self._waiting.clear()
        self._request.channel.transport.abortConnection()


_Reader = TypeVar("_Reader", bound=Reader)


class Audience(Generic[_Reader]):
    """All readers of a door. Each second it looks after them: who may not read any more, who takes nothing, pings.

    Attributes:
        readers: those that are here.
    """

    _log = Logger()

    def __init__(self, what: str, clock: IReactorTime, most: int) -> None:
        """
        Args:
            what: they are, for people.
            clock: for pings.
            most: so many there may be.
        """
        self.readers: list[_Reader] = []
        self._what = what
        self._clock = clock
        self._most = most
        self._is_stopped = False
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = clock

    # -- what a door adds

    def came_first(self) -> None:
        """The first reader is here."""

    def second(self) -> None:
        """A second has passed: send what is sent each second."""

    def went(self, reader: _Reader) -> None:
        """A reader is here no more."""

    # -- what a door uses

    def begin(self, request: Request) -> bool:
        """Begin to answer a request, if there is room for one more reader.

        Returns:
            whether more is to follow, see `Request.begin_stream`.

        Raises:
            PeerError: `overloaded`, `shutting-down`.
        """
        if self._is_stopped:
            raise PeerError("shutting-down")
        if len(self.readers) >= self._most:
            raise PeerError("overloaded", f"{self._most} {self._what} are here already")
        return request.begin_stream(EVENTS)

    def add(self, reader: _Reader) -> Deferred[None]:
        """Have a reader here until it goes; returns what fires then."""
        if not self.readers:
            self.came_first()
            self._ticks.start(TICK_S, now=False).addErrback(
                lambda failure: self._log.failure("the seconds of {what} ended", failure, what=self._what)
            )
        self.readers.append(reader)
        return reader.ended

    def write(self, reader: _Reader, data: bytes) -> None:
        """Send something to a reader, or cut it off when too much waits for it."""
        if not reader.write(data):
            self._cut_off(reader)

    def gone(self, reader: _Reader) -> None:
        """A reader has gone, or is about to; called again when its connection ends."""
        if reader not in self.readers:
            return
        self.readers.remove(reader)
        self.went(reader)
        if not self.readers:
            self._ticks.stop()

    def stop(self) -> None:
        """Let all readers go, and take none any more."""
        self._is_stopped = True
        for reader in list(self.readers):
            self.gone(reader)
            reader.end()

    def _tick(self) -> None:
        try:
            self._look_after()
        except Exception:
            self._log.failure("a second of {what} failed", what=self._what)

    def _look_after(self) -> None:
        now = self._clock.seconds()
        for reader in list(self.readers):
            if not reader.is_allowed:
                self.gone(reader)
                reader.end()
            elif reader.stalled is not None and now - reader.stalled >= STALL_S:
                self._cut_off(reader)
        self.second()
        for reader in list(self.readers):
            if now - reader.written >= PING_S:
                self.write(reader, _PING)

    def _cut_off(self, reader: _Reader) -> None:
        self._log.info("one of the {what} takes nothing: cut off", what=self._what)
        self.gone(reader)
        reader.cut_off()


def opening(*parts: bytes) -> bytes:
    """Return what a reader is sent first: when to come back, and more."""
    return b"".join([b"retry: %d\n\n" % random.randint(*RETRY_MS), *parts])


def event(name: str, data: bytes, id_: str = "") -> bytes:
    """Return an event; without an id the reader keeps that of the one before."""
    line = f"id: {id_}\n" if id_ else ""
    return b"%bevent: %b\ndata: %b\n\n" % (line.encode(), name.encode(), data)
