"""One HTTP connection of the manager: heads, bodies, the order of answers, and the time that each may take.

Twisted's channel writes the answers and serves its `Request`; reading is done here, with the head parser that the
workers use. Both roles must see the same requests in the same bytes: a connection goes to and fro between them.

Theory of operation. A connection is in one state:

    HEAD       between requests, or in the middle of a head
    BODY       the request's head is complete, its body is not
    BUSY       the request is complete and is being answered; what comes behind it waits, bounded
    LEAVING    the next request is not the manager's: the connection goes back to where it came from
    LINGERING  answered before the body was read, or after a head that nobody can read: what still comes is dropped,
               since closing at once would reset the connection and take the answer from the client (RFC 9112, 9.6)
    CLOSED     the last answer is on its way out
    LOST       nothing is left of it here
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web import http

from megacomet.api.needs import ISite
from megacomet.api.request import Request
from megacomet.errors import BadBody, PeerError
from megacomet.wire.http import MAX_HEAD_BYTES, RequestHead, find_head_end, oversized, parse_head
from megacomet.wire.problems import problem_response
from megacomet.wire.requests import CONTINUE, expects_continue
from megacomet.wire.transfer import ChunkedBody, SizedBody, body_of

HEAD: Final = 0
BODY: Final = 1
BUSY: Final = 2
LEAVING: Final = 3
LINGERING: Final = 4
CLOSED: Final = 5
LOST: Final = 6

#: Of what is pipelined behind a request that is being answered; nobody is expected to send more. Twisted's own bound.
MAX_PIPELINED_BYTES: Final = 16 * 1024
#: Requests of one connection a turn: a read may hold hundreds of them, and others have requests too.
SLICE: Final = 8
#: After an early answer: long enough for a client that looks up to see it, too little to be worth an attack.
LINGER_S: Final = 5.0
LINGER_BYTES: Final = 16 * 1024 * 1024
#: For the last answer to reach a client that does not read.
CLOSE_S: Final = 15.0

_NO_BODY: Final = SizedBody(0)


class IHome(Protocol):
    """Where a connection came from, and goes back to when the next request is not the manager's."""

    peer: IAddress | None

    def is_foreign(self, target: bytes) -> bool:
        """Tell whether a request for the target is served there and not here."""

    def take_back(self) -> None:
        """Take the connection back, when all is written; what was read and not dealt with is `Channel.depart`'s."""

    def lost(self) -> None:
        """The connection is gone."""


class IChannelSite(ISite, Protocol):
    """What a connection needs of its site.

    Attributes:
        keep_alive_s: seconds that it may be idle.
        head_timeout_s: seconds in which a head must be complete.
    """

    reactor: IReactorTime
    keep_alive_s: float
    head_timeout_s: float

    def opened(self, channel: Channel) -> None:
        """A connection is there."""

    def closed(self, channel: Channel) -> None:
        """A connection is gone."""


class Channel(http.HTTPChannel):
    """See the module.

    Attributes:
        site: the site that it belongs to.
        home: where it came from, None: from the site's own port.
    """

    site: IChannelSite
    requestFactory: type[Request]
    transport: Any  # ITCPTransport, or one in memory
    requests: list[Request]
    _networkProducer: Any
    home: IHome | None = None

    def __init__(self) -> None:
        super().__init__()
        self._state = HEAD
        self._received = b""
        self._searched = 0
        self._reading = False
        self._left = 0  # while lingering: bytes that may still be dropped
        self._body: SizedBody | ChunkedBody = _NO_BODY
        self._body_due = 0.0
        self._held = False
        self._stopped = False
        self._due = 0.0
        self._alarm: IDelayedCall | None = None
        self._head_begun = False
        self._turn: IDelayedCall | None = None

    # -- the transport's side

    def connectionMade(self) -> None:
        """Twisted's, without its timer."""
        super().connectionMade()
        self._peer: IAddress = self.home.peer if self.home and self.home.peer else self.transport.getPeer()
        self._host: IAddress = self.transport.getHost()
        self.site.opened(self)
        self._watch()

    def dataReceived(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._state == LINGERING:
            self._left -= len(data)
            if self._left < 0:
                self.transport.abortConnection()
            return
        if self._state < LINGERING:
            self._received += data
            self._read()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone; whoever waits in a request is told."""
        self._cancel_calls()
        self._state = LOST
        super().connectionLost(reason)
        self.site.closed(self)
        if self.home is not None:
            self.home.lost()

    def _cancel_calls(self) -> None:
        for call in (self._alarm, self._turn):
            if call is not None:
                call.cancel()
        self._alarm = self._turn = None

    def getPeer(self) -> IAddress:
        """Return the client's address, as it was told with an adopted connection."""
        return self._peer

    def getHost(self) -> IAddress:
        """Return our own address."""
        return self._host

    # -- reading

    def _read(self) -> None:
        """Read what is there, request after request, until one of them or the connection has to wait."""
        if self._reading or self._turn is not None:
            return
        self._reading = True
        heads = 0
        try:
            while self._received and self._state <= BODY:
                if self._state == BODY:
                    self._read_body()
                elif self._waitingForTransport:
                    break
                elif heads == SLICE:
                    self._turn = self.site.reactor.callLater(0, self._go_on)
                    break
                elif self._read_head():
                    heads += 1
                else:
                    break
        finally:
            self._reading = False
        self._update_flow()
        self._watch()

    def _go_on(self) -> None:
        self._turn = None
        self._read()

    def _read_head(self) -> bool:
        """Read one request head, and whatever follows from it; False: it is not complete."""
        received = self._received
        end = find_head_end(received, self._searched)
        if end < 0:
            self._searched = len(received)
            if self._searched > MAX_HEAD_BYTES:
                self.refuse(oversized(received))
            return False
        self._searched = 0
        try:
            head = parse_head(received[:end])
        except PeerError as e:
            self.refuse(e)
            return False
        if self.home is not None and self.home.is_foreign(head.target):
            self._state = LEAVING
            self.home.take_back()
            return False
        self._received = received[end:]
        self._begin(head, received[:end])
        return True

    def _begin(self, head: RequestHead, raw: bytes) -> None:
        self.persistent = head.keep_alive
        self._head_begun = False
        request = self.requestFactory(self)
        self.requests.append(request)
        self._state = BODY
        self._body = body_of(head)
        has_body = self._body.rest is None
        if not request.begin(head, raw, has_body):
            return  # refused, and the body will not be read
        if not has_body:
            self._complete()
            return
        # Whoever has shown no key is not to sit here by sending a byte now and then.
        self._body_due = 0.0 if request.identity else self.site.reactor.seconds() + self.site.keep_alive_s
        if expects_continue(head.headers, head.minor):
            self.transport.write(CONTINUE)

    def _read_body(self) -> None:
        data, self._received = self._received, b""
        fault: PeerError | None = None
        try:
            pieces = self._body.feed(data)
        except BadBody as e:
            pieces, fault = e.pieces, e
        if pieces:
            self.requests[0].handleContentChunk(b"".join(pieces))
        if fault is not None:
            self.refuse(fault)
        elif self._body.rest is not None and self._state == BODY:
            self._received, self._body = self._body.rest, _NO_BODY
            self._complete()

    def _complete(self) -> None:
        self._state = BUSY
        self.requests[0].complete()

    def hold(self, held: bool) -> None:
        """Stop and resume reading: a body must not come faster than it can be dealt with."""
        self._held = held
        self._update_flow()
        self._watch()

    def _update_flow(self) -> None:
        """Stop or resume the transport's reading."""
        full = self._state == BUSY and len(self._received) > MAX_PIPELINED_BYTES
        stopped = self._held or self._waitingForTransport or full or self._turn is not None
        if stopped != self._stopped and self._state < LEAVING:
            self._stopped = stopped
            if stopped:
                self._networkProducer.pauseProducing()
            else:
                self._networkProducer.resumeProducing()

    def pauseProducing(self) -> None:
        """The client does not read its answers: it may send no more requests."""
        self._waitingForTransport = True
        if self._requestProducer is not None:
            self._requestProducer.pauseProducing()
        self._update_flow()

    def resumeProducing(self) -> None:
        """The client has read."""
        self._waitingForTransport = False
        if self._requestProducer is not None:
            self._requestProducer.resumeProducing()
        self._read()

    # -- answering

    def requestDone(self, request: http.Request) -> None:
        """A request is answered."""
        self.requests.clear()  # one at a time
        if self._state == BODY:
            self._linger()
        elif not self.persistent:
            self._state = CLOSED
            self._watch()
            self.loseConnection()
        elif self._state == BUSY:
            self._state = HEAD
            self._read()

    def refuse(self, error: PeerError) -> None:
        """Answer what cannot be understood, and close: where the next request begins is not known."""
        if self._state >= LEAVING:
            return
        self.site.refuse(error)
        self.transport.write(
            problem_response(
                error,
                request_id=self.site.request_ids.make(),
                keep_alive=False,
                minor=1,
                allow=b"GET, HEAD, POST" if error.code == "method-not-allowed" else b"",
                cors=self.site.date_line(),
            )
        )
        self._linger()

    def _linger(self) -> None:
        """End the connection from our side, and drop what still comes."""
        self._received = b""
        self._state = LINGERING
        self._left = LINGER_BYTES
        self._waitingForTransport = self._held = False
        if self._stopped:
            self._stopped = False
            self._networkProducer.resumeProducing()
        self._networkProducer.unregisterProducer()
        # What cannot be closed one way only (TLS, in-memory transports) is closed.
        getattr(self.transport, "loseWriteConnection", self.transport.loseConnection)()
        self._watch()

    # -- time

    def _watch(self) -> None:
        """Work out when this connection has had time enough.

        There is one timer at most, and it is not moved when the time moves on: it looks when it rings.
        """
        state = self._state
        if state == LOST:
            return
        now = self.site.reactor.seconds()
        if state == HEAD and self._received and not self._waitingForTransport:
            if self._head_begun:
                return  # whoever sends a byte a second has no more time than others
            self._head_begun = True
            due = now + self.site.head_timeout_s
        elif state == LINGERING:
            due = now + LINGER_S
        elif state == CLOSED:
            due = now + CLOSE_S
        elif state == BUSY or self._held:
            due = 0.0
        else:
            due = (state == BODY and self._body_due) or now + self.site.keep_alive_s
        self._due = due
        if due and (self._alarm is None or self._alarm.getTime() > due):
            self._set_alarm(due - now)

    def _set_alarm(self, wait_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self.site.reactor.callLater(wait_s, self._rang)

    def _rang(self) -> None:
        self._alarm = None
        if not self._due:
            return
        rest_s = self._due - self.site.reactor.seconds()
        if rest_s > 0:
            self._set_alarm(rest_s)
        elif self._state == HEAD and self._received and not self._waitingForTransport:
            self.refuse(PeerError("head-timeout", f"the head was not complete in {self.site.head_timeout_s:g} s"))
        elif self._state <= BODY and not self._waitingForTransport:
            self.end()
        else:
            self.transport.abortConnection()

    def end(self) -> None:
        """Close: at once when no request is being answered, else behind its answer."""
        if self._state == BUSY:
            self.persistent = False
        elif self._state < LEAVING:
            self._state = CLOSED
            self._watch()
            self.loseConnection()

    # -- leaving

    def depart(self) -> bytes:
        """Let go of the transport, which goes back to where it came from; return what was read, from a head on."""
        self._cancel_calls()
        self._state = LOST
        self.site.closed(self)
        unread, self._received = self._received, b""
        return unread
