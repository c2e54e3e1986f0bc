"""What a request needs of what is around it: its connection, and who takes a body that is not kept."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress


class ISink(Protocol):
    """A body that is dealt with as it arrives."""

    def feed(self, data: bytes) -> None:
        """Take the next piece."""

    def end(self) -> Deferred[tuple[int, bytes]]:
        """The body is complete; fires with the status and the JSON of the answer."""


class IChannel(Protocol):
    """What a request needs of its connection.

    Attributes:
        persistent: whether it stays open after the answer.
        home: where it came from, None: from the site's own port.
    """

    site: Any  # an `ISite`
    transport: Any
    persistent: Any
    home: Any
    _waitingForTransport: Any  # Twisted's name: the client has more to read than the transport wants to hold

    def hold(self, held: bool) -> None:
        """Stop and resume reading."""

    def getPeer(self) -> IAddress:
        """Return the client's address."""
