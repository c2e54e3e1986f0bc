"""`GET /api/events`: the server's events as server-sent events, for as long as the reader stays and reads.

A reader that does not read is bounded three times: by what waits for it, by how long, and by how many of them there
may be. Figures are no events: of those that come each second, only the newest waits for a reader that does not read.
Owns the readers; what happens, and what is kept of it, others know (`IEvents`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from megacomet.api.request import Request
from megacomet.errors import PeerError

#: Each may hold a few hundred KB, and one of the few connections that the manager keeps. Consoles and collectors are
#: few.
MOST_READERS: Final = 32
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
_WANTED: Final = [b"1"]


class IEvent(Protocol):
    """What has happened; see `megacomet.manager.events.Event`."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def data(self) -> bytes:
        """A JSON object."""


class IEvents(Protocol):
    """Where events come from; see `megacomet.manager.events.Events`."""

    @property
    def last_id(self) -> str:
        """The id of the last event."""

    @property
    def kept(self) -> Sequence[IEvent]:
        """All events that are kept, the oldest first."""

    def after(self, id_: str) -> Sequence[IEvent] | None:
        """Return the events behind one, None when they are not known."""

    def listen(self, listener: Callable[[IEvent], None]) -> None:
        """Have a listener told of every event from now on."""

    def unlisten(self, listener: Callable[[IEvent], None]) -> None:
        """Tell a listener no more."""


@implementer(IPushProducer)
class Reader:
    """One reader.

    Attributes:
        ended: fires when it is to be let go; cancelled when it has gone.
        wants_stats: whether it wants the numbers each second.
        wants_live: whether it wants the figures of a console each second.
        written: when it was sent something last.
        stalled: since when it takes nothing, None: it does.
    """

    def __init__(self, request: Request, clock: IReactorTime, gone: Callable[[Reader], None]) -> None:
        self.ended: Deferred[None] = Deferred(lambda _: gone(self))
        self.wants_stats = request.args.get(b"stats") == _WANTED
        self.wants_live = request.args.get(b"live") == _WANTED
        self.written = clock.seconds()
        self.stalled: float | None = None
        self._request = request
        self._clock = clock
        self._waiting: list[bytes] = []
        self._size = 0
        self._live = b""
        self._is_live_due = False

    def write(self, data: bytes) -> bool:
        """Send something, or have it wait; False: too much waits."""
        self.written = self._clock.seconds()
        if self.stalled is None:
            self._request.write_on(data)
            return True
        self._waiting.append(data)
        self._size += len(data)
        return self._size <= BACKLOG_BYTES

    def write_live(self, data: bytes) -> None:
        """Send figures, unless it has these; while it does not read, only the newest wait."""
        if not data or data is self._live:
            return
        self._live = data
        self._is_live_due = self.stalled is not None
        if not self._is_live_due:
            self.write(data)

    def pauseProducing(self) -> None:
        """It does not read."""
        if self.stalled is None:
            self.stalled = self._clock.seconds()

    def resumeProducing(self) -> None:
        """It has read."""
        waiting, self._waiting, self._size, self.stalled = self._waiting, [], 0, None
        if self._is_live_due:
            self._is_live_due = False
            waiting.append(self._live)
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
        self._is_live_due = False
        self._request.channel.transport.abortConnection()


class Readers:
    """All readers."""

    _log = Logger()

    def __init__(
        self,
        events: IEvents,
        clock: IReactorTime,
        stats: Callable[[], bytes],
        live: Callable[[], bytes],
        most: int = MOST_READERS,
    ) -> None:
        """
        Args:
            events: where they come from.
            clock: for pings.
            stats: gives the server's numbers as JSON; asked once a second while a reader wants them.
            live: gives the figures of a console as JSON, the same object for all who ask within a second.
            most: so many readers there may be.
        """
        self._events = events
        self._clock = clock
        self._stats = stats
        self._figures = live
        self._live: tuple[bytes, bytes] = (b"", b"")
        self._most = most
        self._readers: list[Reader] = []
        self._is_stopped = False
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = clock

    def serve(self, request: Request) -> Deferred[None] | None:
        """Answer a request with events until the reader goes, or `stop`.

        Raises:
            PeerError: `overloaded`, `shutting-down`.
        """
        if self._is_stopped:
            raise PeerError("shutting-down")
        if len(self._readers) >= self._most:
            raise PeerError("overloaded", f"{self._most} readers are here already")
        if not request.begin_stream(EVENTS):
            return None
        reader = Reader(request, self._clock, self._gone)
        request.registerProducer(reader, True)
        reader.write(self._opening(request))
        if reader.wants_live:
            reader.write_live(self._live_event())
        if not self._readers:
            self._events.listen(self._tell)
            self._ticks.start(TICK_S, now=False).addErrback(
                lambda failure: self._log.failure("the seconds of the event readers ended", failure)
            )
        self._readers.append(reader)
        return reader.ended

    def _opening(self, request: Request) -> bytes:
        """Return what a reader is sent first: when to come back, where it stands, and what it has missed."""
        [given] = request.args.get(b"lastEventId", [b""])[:1]
        last = (request.requestHeaders.getRawHeaders(b"last-event-id") or [given])[0].decode("ascii", "replace")
        wants_kept = request.args.get(b"kept") == _WANTED
        missed = self._events.after(last) if last else None
        parts = [b"retry: %d\n\n" % random.randint(*RETRY_MS)]
        if last and missed is None:
            # Without an id where those that are kept follow: who is lost between the two is to have them all again.
            parts.append(_event("gap", b"{}", "" if wants_kept else self._events.last_id))
        shown = self._events.kept if missed is None and wants_kept else missed or ()
        parts += [_event(event.name, event.data, event.id) for event in shown]
        if missed == [] or (missed is None and (wants_kept or not last)):
            parts.append(_event("position", b"{}", self._events.last_id))
        return b"".join(parts)

    def _live_event(self) -> bytes:
        """Return the figures as an event, made once for all readers; those before when they cannot be had."""
        try:
            figures = self._figures()
        except Exception:  # whoever reads has other things to read
            self._log.failure("the figures could not be told")
        else:
            if figures is not self._live[0]:
                self._live = figures, _event("live", figures)
        return self._live[1]

    def _tell(self, event: IEvent) -> None:
        data = _event(event.name, event.data, event.id)
        for reader in list(self._readers):
            self._write(reader, data)

    def _write(self, reader: Reader, data: bytes) -> None:
        if not reader.write(data):
            self._cut_off(reader)

    def _tick(self) -> None:
        try:
            self._look_after()
        except Exception:
            self._log.failure("a second of the event readers failed")

    def _look_after(self) -> None:
        """A second has passed: send numbers and pings, cut off who takes nothing."""
        now = self._clock.seconds()
        stats = live = b""
        if any(reader.wants_stats for reader in self._readers):
            stats = _event("stats", self._stats())
        if any(reader.wants_live for reader in self._readers):
            live = self._live_event()
        for reader in list(self._readers):
            if not reader.is_allowed:
                self._gone(reader)
                reader.end()
            elif reader.stalled is not None and now - reader.stalled >= STALL_S:
                self._cut_off(reader)
            else:
                if reader.wants_stats:
                    self._write(reader, stats)
                if reader.wants_live:
                    reader.write_live(live)
                if now - reader.written >= PING_S:
                    self._write(reader, _PING)

    def _cut_off(self, reader: Reader) -> None:
        self._log.info("a reader of events takes nothing: cut off")
        self._gone(reader)
        reader.cut_off()

    def _gone(self, reader: Reader) -> None:
        """A reader has gone, or is about to; called again when its connection ends."""
        if reader not in self._readers:
            return
        self._readers.remove(reader)
        if not self._readers:
            self._events.unlisten(self._tell)
            self._ticks.stop()

    def stop(self) -> None:
        """Let all readers go, and take none any more."""
        self._is_stopped = True
        for reader in list(self._readers):
            self._gone(reader)
            reader.end()


def _event(name: str, data: bytes, id_: str = "") -> bytes:
    """Return an event; without an id the reader keeps that of the one before."""
    line = f"id: {id_}\n" if id_ else ""
    return b"%bevent: %b\ndata: %b\n\n" % (line.encode(), name.encode(), data)
