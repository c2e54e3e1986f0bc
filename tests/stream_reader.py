"""A reader of an answer that does not end, at the doors on fakes."""

from __future__ import annotations

from .doors import Connection, Doors, Transport
from .event_stream import Event, EventStream


class StreamReader:
    """Somebody who asks for server-sent events, on a connection of its own.

    Attributes:
        head: of the answer.
        first: what came at once behind it.
    """

    def __init__(self, doors: Doors, request: bytes) -> None:
        self.connection: Connection = doors.connect().send(request)
        self.head, _, self.first = self.connection.transport.value().partition(b"\r\n\r\n")
        self.connection.transport.clear()
        self._stream = EventStream(self.first)

    @property
    def transport(self) -> Transport:
        """Where the answer is written."""
        return self.connection.transport

    def raw(self) -> bytes:
        """What has come since the last look."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def shown(self) -> list[Event]:
        """The events in it."""
        return self._stream.receive(self.raw())
