"""The protocols of the proxy: a client's connection, the server's behind it, and all of them with their trouble.

Time comes in as a clock and the server as an endpoint, so that tests need neither.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from tests.integration.troubles import (
    CUTS,
    KINDS,
    NOTHING,
    OTHER,
    PORTAL,
    REFUSE,
    SWALLOW,
    WEBSOCKET,
    Passage,
    Request,
    Trouble,
    file,
    portal,
)

#: A slow line gives its bytes in so many pieces a second.
_PIECES_PER_S: Final = 20
#: A slow line holds so much of an answer, behind that the server has to wait.
_HELD_BYTES: Final = 65_536


class Relays(Factory):
    """All connections of clients, and what stands in their way.

    Attributes:
        trouble: what does.
        counts: requests by kind since the start, whatever became of them, and `CUTS`.
        hurry: how many times as fast the clients' clocks run.
        files: answers of the proxy's own, by path.
    """

    noisy = False

    def __init__(self, clock: Any, connect: Callable[[Protocol], Any]) -> None:
        """
        Args:
            clock: IReactorTime.
            connect: connects a protocol to the server; gives a Deferred.
        """
        self.clock = clock
        self.connect = connect
        self.trouble = NOTHING
        self.counts: Counter[str] = Counter()
        self.hurry = 1
        self.files: dict[str, bytes] = {}
        self.relays: set[Relay] = set()
        self._due: IDelayedCall | None = None
        self._waiting: list[tuple[Counter[str], Callable[[], None]]] = []

    def buildProtocol(self, addr: object) -> Relay:
        """Take a client."""
        return Relay(self)

    def stand(self, trouble: Trouble) -> None:
        """Let something else stand in the way, also of the connections that are open."""
        self.trouble = trouble
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if trouble.cut_every_s:
            self._due = self.clock.callLater(trouble.cut_every_s, self._cut_again)
        for relay in list(self.relays):
            relay.changed()

    def cut(self, resets: bool = False) -> None:
        """Cut all connections."""
        for relay in list(self.relays):
            relay.end(resets)

    def _cut_again(self) -> None:
        self._due = self.clock.callLater(self.trouble.cut_every_s, self._cut_again)
        self.cut(self.trouble.resets)
        self.happened(CUTS)

    @property
    def open(self) -> Counter[str]:
        """How many connections are open, by the kind of their last request."""
        return Counter(relay.kind for relay in self.relays)

    def happened(self, what: str) -> None:
        """Count a request of a kind, or `CUTS`."""
        self.counts[what] += 1
        ready = [tell for wanted, tell in self._waiting if wanted <= self.counts]
        self._waiting = [one for one in self._waiting if not one[0] <= self.counts]
        for tell in ready:
            tell()

    def when(self, counts: Counter[str], tell: Callable[[], None]) -> None:
        """Call when so much has happened since the start."""
        if counts <= self.counts:
            tell()
        else:
            self._waiting.append((counts, tell))


class Relay(Protocol):
    """A client's connection.

    Attributes:
        kind: of its last request, "" before there is one.
    """

    def __init__(self, relays: Relays) -> None:
        self._relays = relays
        self._read = b""
        self._body_bytes = 0
        self._back: _Back | None = None
        self._unsent: list[bytes] = []
        self._is_connecting = False
        self._passage = Passage(OTHER, NOTHING)
        self._is_deaf = False
        self._slow = b""
        self._is_ending = False
        self._has_hole = False
        self._pour: IDelayedCall | None = None
        self._idle: IDelayedCall | None = None
        self.kind = ""

    # -- the client's side

    def connectionMade(self) -> None:
        """Be one of them."""
        self._relays.relays.add(self)
        self._stir()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Let the server know."""
        self._relays.relays.discard(self)
        for call in (self._pour, self._idle):
            if call is not None and call.active():
                call.cancel()
        if self._back is not None:
            self._back.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Take what the client sends: requests, and what belongs to an open WebSocket."""
        if self._is_deaf:
            return
        if self.kind and self._relays.trouble.is_silent:
            self._has_hole = True
            return
        if self.kind == WEBSOCKET:
            self._send(data)
            return
        self._read += data
        while self._read:
            if self._body_bytes:
                piece, self._read = self._read[: self._body_bytes], self._read[self._body_bytes :]
                self._body_bytes -= len(piece)
                self._send(piece)
                continue
            head, blank, rest = self._read.partition(b"\r\n\r\n")
            if not blank:
                return
            self._read = rest
            self._request(Request.of(head + blank))

    def _request(self, request: Request) -> None:
        trouble = self._relays.trouble
        self.kind = request.kind
        self._body_bytes = request.body_bytes
        way = trouble.of(request.kind)
        self._passage = Passage(request.kind, trouble)
        file = self._relays.files.get(request.path.partition("?")[0])
        if way in (REFUSE, PORTAL) and not trouble.is_silent:
            self._answer(portal() if way == PORTAL else trouble.refusal(request.kind))
        elif way == SWALLOW or trouble.is_silent:
            self._is_deaf = True
            self._has_hole = trouble.is_silent
        elif file is not None:
            self._answer(file)
        else:
            self._send(request.passed_on(trouble, self._relays.hurry))
        self._relays.happened(request.kind)

    def _answer(self, answer: bytes) -> None:
        """Answer instead of the server, and read nothing more."""
        self._give(answer)
        self._is_deaf = True
        self.end()

    # -- the server's side

    def _send(self, data: bytes) -> None:
        if self._back is not None:
            self._back.transport.write(data)
            return
        self._unsent.append(data)
        if not self._is_connecting:
            self._is_connecting = True
            self._relays.connect(_Back(self)).addErrback(self._refused)

    def _refused(self, failure: Failure) -> None:
        if self in self._relays.relays:
            self._give(Trouble(status=502).refusal(self.kind))
            self.end()

    def reached(self, back: _Back) -> None:
        """The server has taken the connection."""
        if self not in self._relays.relays:
            back.transport.abortConnection()
            return
        self._back = back
        back.transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def answered(self, data: bytes) -> None:
        """The server has sent something."""
        if self._is_swallowed:
            self._has_hole = True
        if self._has_hole or self._is_ending:
            return
        passed = self._passage.take(data)
        self._give(passed.data)
        if passed.is_over:
            self.end(self._relays.trouble.resets)

    @property
    def _is_swallowed(self) -> bool:
        trouble = self._relays.trouble
        return trouble.is_silent or trouble.of(self.kind or OTHER) == SWALLOW

    def left(self) -> None:
        """The server has ended the connection."""
        self._back = None
        if self._is_swallowed:
            self._has_hole = True
        else:
            self.end()

    # -- what the client is given

    def _give(self, data: bytes) -> None:
        if not data:
            return
        self._stir()
        if not self._relays.trouble.bytes_per_s and not self._slow:
            self.transport.write(data)
            return
        self._slow += data
        if self._back is not None and len(self._slow) > _HELD_BYTES:
            self._back.transport.pauseProducing()
        if self._pour is None or not self._pour.active():
            self._pour = self._relays.clock.callLater(1 / _PIECES_PER_S, self._pour_some)

    def _pour_some(self) -> None:
        most = (
            self._relays.trouble.bytes_per_s // _PIECES_PER_S if self._relays.trouble.bytes_per_s else len(self._slow)
        )
        piece, self._slow = self._slow[:most], self._slow[most:]
        self._stir()
        self.transport.write(piece)
        if self._slow:
            self._pour = self._relays.clock.callLater(1 / _PIECES_PER_S, self._pour_some)
        elif self._is_ending:
            self.transport.loseConnection()
        if self._back is not None and len(self._slow) <= _HELD_BYTES:
            self._back.transport.resumeProducing()

    def _stir(self) -> None:
        """Something has come to the client."""
        if self._idle is not None and self._idle.active():
            self._idle.cancel()
        if self._relays.trouble.idle_s:
            self._idle = self._relays.clock.callLater(self._relays.trouble.idle_s, self._is_idle)

    def _is_idle(self) -> None:
        self.end()
        self._relays.happened(CUTS)

    def changed(self) -> None:
        """Something else stands in the way. What has lost bytes cannot go on: no network leaves a hole."""
        self._stir()
        if self._has_hole and not self._is_swallowed:
            self.end(resets=True)

    def end(self, resets: bool = False) -> None:
        """End the client's connection, behind what it is still to be given; a reset does not wait for that."""
        self._is_ending = True
        if resets:
            self.transport.abortConnection()
        elif not self._slow:
            self.transport.loseConnection()


class _Back(Protocol):
    """The connection to the server for one client."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def connectionMade(self) -> None:
        """Send what has waited."""
        self._relay.reached(self)

    def dataReceived(self, data: bytes) -> None:
        """Pass it on."""
        self._relay.answered(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Pass it on."""
        self._relay.left()


class Orders(LineOnlyReceiver):
    """What the proxy is told, line by line; each order is answered by a line when it is obeyed."""

    delimiter = b"\n"
    MAX_LENGTH = 1 << 24

    def __init__(self, reactor: Any) -> None:
        """
        Args:
            reactor: IReactorTCP and IReactorTime; it is stopped when no more orders can come.
        """
        self._reactor = reactor
        self._relays = Relays(reactor, self._connect)
        self._port: Any = None
        self._number = 0
        self._server_port = 0

    def lineReceived(self, line: bytes) -> None:
        """Obey an order."""
        order = json.loads(line)
        if "begin" in order:
            self._server_port, self._relays.hurry = order["begin"], order.get("hurry", 1)
            self._listen()
            self._answer(port=self._number)
        elif "when" in order:
            self._relays.when(Counter(order["when"]), self._answer)
        elif "server" in order:
            self._server_port = order["server"]
            self._answer()
        elif "path" in order:
            self._relays.files[order["path"]] = file(order["body"].encode(), order["kind"])
            self._answer()
        else:
            self._stand(order)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End."""
        self._reactor.stop()

    def _connect(self, back: Protocol) -> Any:
        return connectProtocol(TCP4ClientEndpoint(self._reactor, "127.0.0.1", self._server_port), back)

    def _listen(self) -> None:
        self._port = self._reactor.listenTCP(self._number, self._relays, backlog=512, interface="127.0.0.1")
        self._number = self._port.getHost().port

    def _stand(self, order: dict[str, Any]) -> None:
        if order["stand"] is not None:
            self._relays.stand(Trouble.from_json(order["stand"]))
        if order.get("cut"):
            self._relays.cut(order.get("resets", self._relays.trouble.resets))
        if self._relays.trouble.is_gone and self._port is not None:
            closed, self._port = self._port.stopListening(), None
            maybeDeferred(lambda: closed).addCallback(lambda _: self._answer())
            return
        if self._port is None and not self._relays.trouble.is_gone:
            self._listen()
        self._answer()

    def _answer(self, **more: int) -> None:
        counts = {name: self._relays.counts[name] for name in (*KINDS, CUTS)}
        is_open = {kind: self._relays.open[kind] for kind in KINDS}
        self.sendLine(json.dumps({"counts": counts, "open": is_open, **more}).encode())
