"""Connections by WebSocket, on Autobahn."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from megacomet import __version__
from megacomet.client.failures import LOST, said
from megacomet.client.objects import MOST_BYTES, PROBLEM, Garbage, of_frame
from megacomet.client.places import Place, endpoint_to
from megacomet.client.rules import Ending, wait_in_reason, wait_of_header
from megacomet.client.ways import Ear, Wanted

SUBPROTOCOL: Final = "megacomet.v1"
#: How long the other end may take to answer a close, before the connection is dropped.
_CLOSING_S: Final = 1.0
_UNCLEAN: Final = 1006
_DONE: Final = 1000


class WebSocketWay:
    """The transport."""

    def __init__(self, reactor: Any, place: Place) -> None:
        self._reactor = reactor
        self._place = place
        self._leaving: set[Deferred[None]] = set()

    def open(self, wanted: Wanted, ear: Ear) -> WebSocketConnection:
        """Begin to open a connection."""
        return WebSocketConnection(self._reactor, self._place, wanted, ear, self._leaving)

    async def left(self) -> None:
        """Wait until those that were closed have gone; the other end has a second for its part."""
        for gone in tuple(self._leaving):
            await gone


class WebSocketConnection:
    """One connection."""

    def __init__(self, reactor: Any, place: Place, wanted: Wanted, ear: Ear, leaving: set[Deferred[None]]) -> None:
        """
        Args:
            reactor: Twisted's.
            place: of the server.
            wanted: what it is opened for.
            ear: is told what comes.
            leaving: has one that fires when this one has gone, as long as it is closed and has not.
        """
        url = place.websocket_url(f"/comet/ws?{wanted.query()}")
        factory = _Factory(
            self, url, protocols=[SUBPROTOCOL], useragent=f"megacomet-client/{__version__}", reactor=reactor
        )
        # All timers are the link's and our own: Autobahn's would be on the first reactor that it has ever seen.
        factory.setProtocolOptions(
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            serverConnectionDropTimeout=0,
            autoPingInterval=0,
            tcpNoDelay=True,
            maxMessagePayloadSize=MOST_BYTES,
        )
        self._reactor = reactor
        self._closing: Any = None
        self._leaving = leaving
        self._gone: Deferred[None] = Deferred()
        self._ear: Ear | None = ear
        self._protocol: _Protocol | None = None
        self._opening: Deferred[Any] = endpoint_to(reactor, place.address).connect(factory)
        self._opening.addCallbacks(self._connected, self._not_connected)

    def pause(self) -> None:
        """Read nothing more."""
        if self._protocol is not None:
            self._protocol.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        if self._protocol is not None:
            self._protocol.transport.resumeProducing()

    def close(self) -> None:
        """End it, and tell nothing more."""
        self._ear = None
        if self._protocol is None:
            self._opening.cancel()
        else:
            self._leave(self._protocol)

    def ask(self) -> None:
        """Have the other end show that it lives."""
        self.send({"op": "ping", "id": 0})

    def send(self, op: dict[str, Any]) -> bool:
        """Send a request."""
        if self._protocol is not None:
            self._protocol.say(msgspec.json.encode(op))
        return True

    def _connected(self, protocol: Any) -> None:
        self._protocol = protocol
        if self._ear is None:
            self._leave(protocol)

    def _leave(self, protocol: _Protocol) -> None:
        self._leaving.add(self._gone)
        if protocol.leave():
            self._closing = self._reactor.callLater(_CLOSING_S, protocol.drop)

    def _not_connected(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self.ended(Ending(0, said(failure)))

    # -- from the protocol

    def frame(self, payload: bytes, is_binary: bool) -> None:
        """Tell of a frame."""
        ear = self._ear
        if ear is None:
            return
        try:
            if is_binary:
                raise Garbage("a binary frame")
            value = of_frame(payload)
        except Garbage as e:
            ear.complain(str(e))
        else:
            if value is not None:
                ear.told(value, len(payload))

    def came(self) -> None:
        """Tell that bytes came."""
        if self._ear is not None:
            self._ear.heard()

    def read(self) -> None:
        """Tell that what came is read."""
        if self._ear is not None:
            self._ear.flush()

    def ended(self, ending: Ending) -> None:
        """Tell the end."""
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        if self._gone in self._leaving:
            self._leaving.discard(self._gone)
            self._gone.callback(None)
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.ended(ending)


class _Factory(WebSocketClientFactory):
    """Makes the one protocol of a connection."""

    noisy = False  # no line in the log for each attempt

    def __init__(self, connection: WebSocketConnection, url: str, **rest: Any) -> None:
        super().__init__(url, **rest)
        self._connection = connection

    def buildProtocol(self, addr: IAddress | None) -> _Protocol:
        protocol = _Protocol(self._connection)
        protocol.factory = self
        return protocol


class _Protocol(WebSocketClientProtocol):
    """Autobahn's, with what it says passed on."""

    transport: Any

    def __init__(self, connection: WebSocketConnection) -> None:
        super().__init__()
        self._connection = connection
        self._lost = LOST

    def dataReceived(self, data: bytes) -> None:
        # As Autobahn's own, but for a line of its log, which would cost as much as a message.
        self._connection.came()
        self._dataReceived(data)
        self._connection.read()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = said(reason)
        super().connectionLost(reason)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._connection.frame(payload, isBinary)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self._connection.ended(self._ending(code, reason or ""))

    def _ending(self, code: int | None, reason: str) -> Ending:
        status_line, headers = getattr(self, "http_status_line", ""), getattr(self, "http_headers", {})
        status = _status(status_line)
        if status and status != 101:
            is_problem = headers.get("content-type", "").partition(";")[0].strip() == PROBLEM
            return Ending(status, status_line, wait_of_header(headers.get("retry-after")), is_problem)
        if code == _UNCLEAN:
            return Ending(0, reason if self.failedByMe else self._lost)
        return Ending(code or 0, reason or f"closed with {code}", wait_in_reason(reason), True)

    def say(self, payload: bytes) -> None:
        """Send a text, while the connection stands."""
        if self.state == self.STATE_OPEN:
            self.sendMessage(payload)

    def leave(self) -> bool:
        """Begin to close in order and return True; what does not stand is dropped."""
        self.transport.resumeProducing()
        if self.state == self.STATE_OPEN:
            self.sendClose(_DONE)
            return True
        self.drop()
        return False

    def drop(self) -> None:
        """End the connection at once."""
        self.transport.abortConnection()


def _status(line: str) -> int:
    words = line.split()
    return int(words[1]) if len(words) > 1 and words[1].isascii() and words[1].isdigit() else 0
