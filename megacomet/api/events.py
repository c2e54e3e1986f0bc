"""`GET /api/events`: the server's events as server-sent events, for as long as the reader stays and reads.

Owns what is sent to readers; what happens, and what is kept of it, others know (`IEvents`).
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
    """

    def __init__(self, request: Request, clock: IReactorTime, gone: Callable[[EventReader], None]) -> None:
        super().__init__(request, clock, gone)
        self.wants_stats = request.args.get(b"stats") == _WANTED


class Readers(Audience[EventReader]):
    """All readers of events."""

    def __init__(
        self, events: IEvents, clock: IReactorTime, stats: Callable[[], bytes], most: int = MOST_READERS
    ) -> None:
        """
        Args:
            events: where they come from.
            clock: for pings.
            stats: gives the server's numbers as JSON; asked once a second while a reader wants them.
            most: so many readers there may be.
        """
        super().__init__("readers of events", clock, most)
        self._events = events
        self._stats = stats

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
        return self.add(reader)

    def _opening(self, request: Request) -> bytes:
        """Return what a reader is sent first: when to come back, where it stands, and what it has missed."""
        [given] = request.args.get(b"lastEventId", [b""])[:1]
        last = (request.requestHeaders.getRawHeaders(b"last-event-id") or [given])[0].decode("ascii", "replace")
        missed = self._events.after(last) if last else []
        if missed:
            return opening(*(event(each.name, each.data, each.id) for each in missed))
        return opening(event("gap" if missed is None else "position", b"{}", self._events.last_id))

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
        if any(reader.wants_stats for reader in self.readers):
            stats = event("stats", self._stats())
            for reader in list(self.readers):
                if reader.wants_stats:
                    self.write(reader, stats)
