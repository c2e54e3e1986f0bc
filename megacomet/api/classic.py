"""The original's application port: its binary protocol in, publications out, never an answer.

It owns the connections to port 9000. Where messages go it does not know; what cannot be taken is counted by reason and
logged at most once a second. Back-pressure is the TCP window: while the links are full nothing is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, cast

from twisted.application.internet import StreamServerEndpointService
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from megacomet.errors import Refused
from megacomet.model.message import Publication, Published
from megacomet.names import mailbox_of
from megacomet.publishing.publisher import IPublisher
from megacomet.publishing.pushing import IPressure
from megacomet.wire.classic import ClassicEvent, ClassicParser, Dropped, Ignored
from megacomet.wire.jsonbytes import json_string

#: Where the original's applications push to.
PORT: Final = 9000
#: Twisted's own is 50: a burst of applications would be refused.
BACKLOG: Final = 1024
#: What was dropped is logged so often at most, seconds.
LOG_EVERY_S = 1.0


class ClassicPort(Factory):
    """Takes pushes from applications of old.

    Attributes:
        taken: pushes that were published.
        dropped: pushes that were not, by reason.
    """

    _log = Logger()
    noisy = False

    def __init__(
        self,
        publisher: IPublisher,
        pressure: IPressure,
        *,
        message_bytes: int,
        dropped: Counter[str],
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        """
        Args:
            publisher: takes the publications.
            pressure: says when to stop reading.
            message_bytes: a longer text is dropped.
            dropped: see above.
            clock: seconds, monotonic.
            call_later: has something done after so many seconds.
        """
        self.pressure = pressure
        self.message_bytes = message_bytes
        self.taken = 0
        self.dropped = dropped
        self._publisher = publisher
        self._clock = clock
        self._call_later = call_later
        self._unlogged: Counter[str] = Counter()
        self._is_quiet = False
        self._told_of_workers = False

    def logPrefix(self) -> str:
        return "the classic port"

    def buildProtocol(self, addr: IAddress | None) -> ClassicConnection:
        """Serve one application."""
        return ClassicConnection(self)

    def take(self, event: ClassicEvent) -> None:
        """Publish a push; count what is none."""
        if isinstance(event, Dropped):
            self.drop(event.reason)
        elif isinstance(event, Ignored):
            if not self._told_of_workers:
                self._told_of_workers = True
                self._log.info("a worker of the original said its number to the classic port; it is ignored")
        else:
            data = json_string(event.text)
            self._publisher.publish(Publication(mailbox_of(event.client), data), self._clock(), self._published, None)

    def _published(self, outcome: Published | Refused) -> None:
        if isinstance(outcome, Refused):
            self.drop(outcome.code)
        else:
            self.taken += 1

    def drop(self, reason: str) -> None:
        """Count a push that is dropped, and tell of it once a second at most."""
        self.dropped[reason] += 1
        self._unlogged[reason] += 1
        if not self._is_quiet:
            self._tell()

    def _tell(self) -> None:
        """Tell what was dropped, then be quiet for a second; what is dropped in it is told at its end."""
        self._is_quiet = bool(self._unlogged)
        if self._is_quiet:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self._unlogged.items()))
            self._log.warn("the classic port dropped {reasons}", reasons=reasons)
            self._unlogged.clear()
            self._call_later(LOG_EVERY_S, self._tell)


class ClassicConnection(Protocol):
    """One application's connection."""

    def __init__(self, port: ClassicPort) -> None:
        self._port = port
        self._parser = ClassicParser(port.message_bytes)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of any number; what does not speak the protocol is cut off."""
        was_broken = self._parser.broken
        for event in self._parser.feed(data):
            self._port.take(event)
        if was_broken:
            return  # on its way out, and counted
        if self._parser.broken:
            self._port.drop("not-the-protocol")
            assert self.transport is not None
            self.transport.loseConnection()
        elif self._port.pressure.full():
            self._pause()

    def _pause(self) -> None:
        cast(IPushProducer, self.transport).pauseProducing()
        self._port.pressure.wait().addCallback(self._resume)

    def _resume(self, _: None) -> None:
        if self.connected:
            cast(IPushProducer, self.transport).resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count what the end cut off."""
        self.connected = 0  # Twisted leaves it as it was
        for event in self._parser.close():
            self._port.take(event)


def classic_service(reactor: Any, interface: str, port: ClassicPort) -> StreamServerEndpointService:
    """Return the service of port 9000; it listens, or raises `CannotListenError`, before privileges are shed.

    Args:
        reactor: where to listen.
        interface: an IP address.
        port: who takes the pushes.
    """
    make = TCP6ServerEndpoint if ":" in interface else TCP4ServerEndpoint
    service = StreamServerEndpointService(make(reactor, PORT, BACKLOG, interface), port)
    service._raiseSynchronously = True
    return service


def classic_label(interface: str) -> str:
    """Return the address of port 9000 as the ready line shows it; it speaks no HTTP."""
    return f"tcp://[{interface}]:{PORT}" if ":" in interface else f"tcp://{interface}:{PORT}"
