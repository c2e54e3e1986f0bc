"""`GET /api/events`: the server's events as server-sent events, for as long as the reader stays and reads.

Figures are no events: of those that come each second, only the newest waits for a reader that does not read. Owns what
is sent to readers; what happens, and what is kept of it, others know (`IEvents`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from megacomet.api.reader import Audience, Reader, event, opening
from megacomet.api.request import Request

#: Each may hold a few hundred KB, and one of the few connections that the manager keeps. Consoles and collectors are
#: few.
MOST_READERS: Final = 32

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


class EventReader(Reader):
    """A reader of events.

    Attributes:
        wants_stats: whether it wants the numbers each second.
        wants_live: whether it wants the figures of a console each second.
    """

    def __init__(self, request: Request, clock: IReactorTime, gone: Callable[[EventReader], None]) -> None:
        super().__init__(request, clock, gone)
        self.wants_stats = request.args.get(b"stats") == _WANTED
        self.wants_live = request.args.get(b"live") == _WANTED
        self._live = b""
        self._is_live_due = False

    def write_live(self, data: bytes) -> None:
        """Send figures, unless it has these; while it does not read, only the newest wait."""
        if not data or data is self._live:
            return
        self._live = data
        self._is_live_due = self.stalled is not None
        if not self._is_live_due:
            self.write(data)

    def resumeProducing(self) -> None:
        """It has read."""
        super().resumeProducing()
        if self._is_live_due:
            self._is_live_due = False
            self.write(self._live)

    def cut_off(self) -> None:
        """Close the connection, whatever waits."""
        self._is_live_due = False
        super().cut_off()


class Readers(Audience[EventReader]):
    """All readers of events."""

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
        super().__init__("readers of events", clock, most)
        self._events = events
        self._stats = stats
        self._figures = live
        self._live: tuple[bytes, bytes] = (b"", b"")

    def serve(self, request: Request) -> Deferred[None] | None:
        """Answer a request with events until the reader goes, or `stop`.

        Raises:
            PeerError: `overloaded`, `shutting-down`.
        """
        if not self.begin(request):
            return None
        reader = EventReader(request, self._clock, self.gone)
        request.registerProducer(reader, True)
        reader.write(self._opening(request))
        if reader.wants_live:
            reader.write_live(self._live_event())
        return self.add(reader)

    def _opening(self, request: Request) -> bytes:
        """Return what a reader is sent first: when to come back, where it stands, and what it has missed."""
        [given] = request.args.get(b"lastEventId", [b""])[:1]
        last = (request.requestHeaders.getRawHeaders(b"last-event-id") or [given])[0].decode("ascii", "replace")
        wants_kept = request.args.get(b"kept") == _WANTED
        missed = self._events.after(last) if last else None
        parts: list[bytes] = []
        if last and missed is None:
            # Without an id where those that are kept follow: who is lost between the two is to have them all again.
            parts.append(event("gap", b"{}", "" if wants_kept else self._events.last_id))
        shown = self._events.kept if missed is None and wants_kept else missed or ()
        parts += [event(each.name, each.data, each.id) for each in shown]
        if missed == [] or (missed is None and (wants_kept or not last)):
            parts.append(event("position", b"{}", self._events.last_id))
        return opening(*parts)

    def _live_event(self) -> bytes:
        """Return the figures as an event, made once for all readers; those before when they cannot be had."""
        try:
            figures = self._figures()
        except Exception:  # whoever reads has other things to read
            self._log.failure("the figures could not be told")
        else:
            if figures is not self._live[0]:
                self._live = figures, event("live", figures)
        return self._live[1]

    def came_first(self) -> None:
        """See `Audience`."""
        self._events.listen(self._tell)

    def went(self, reader: EventReader) -> None:
        """See `Audience`."""
        if not self.readers:
            self._events.unlisten(self._tell)

    def _tell(self, told: IEvent) -> None:
        data = event(told.name, told.data, told.id)
        for reader in list(self.readers):
            self.write(reader, data)

    def second(self) -> None:
        """See `Audience`."""
        stats = live = b""
        if any(reader.wants_stats for reader in self.readers):
            stats = event("stats", self._stats())
        if any(reader.wants_live for reader in self.readers):
            live = self._live_event()
        for reader in list(self.readers):
            if reader.wants_stats:
                self.write(reader, stats)
            if reader.wants_live:
                reader.write_live(live)
