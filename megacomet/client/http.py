"""Requests by HTTP, on treq: bodies that stream, with back-pressure, and answers that are read whole."""

from __future__ import annotations

from typing import Any, Final

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from megacomet import __version__
from megacomet.client.failures import said
from megacomet.client.objects import MOST_BYTES
from megacomet.client.places import Endpoints, Place
from megacomet.client.rules import wait_of_header

USER_AGENT: Final = f"megacomet-client/{__version__}"
#: A connection is kept for the next request for less time than the server keeps it (75 s).
KEPT_S: Final = 60
#: An error's body is read up to here.
MOST_ERROR_BYTES: Final = 65_536


@attrs.frozen
class Head:
    """The head of an answer.

    Attributes:
        status: of HTTP.
        kind: the content type, without its parameters; "" when there is none.
        wait_s: what Retry-After says; 0: nothing.
    """

    status: int
    kind: str
    wait_s: float


class Http:
    """Requests to one place."""

    def __init__(self, reactor: Any, place: Place) -> None:
        self._reactor = reactor
        self.place = place
        self._pool = HTTPConnectionPool(reactor)
        # Whoever asks knows when to ask again: many clients of a server that has gone are not to come back at once.
        self._pool.retryAutomatically = False
        self._pool.cachedConnectionTimeout = KEPT_S
        self._client = HTTPClient(Agent.usingEndpointFactory(reactor, Endpoints(reactor, place), self._pool))

    def get(self, path: str, headers: dict[str, str]) -> Deferred[Any]:
        """Ask for a path; the answer is treq's, its body not read."""
        return self._ask("GET", path, headers, None, redirects=True)

    def post(self, path: str, headers: dict[str, str], body: bytes) -> Deferred[Any]:
        """Send a body to a path. It goes to no other place, whatever the answer says."""
        return self._ask("POST", path, headers, body, redirects=False)

    def _ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, *, redirects: bool
    ) -> Deferred[Any]:
        asked: Deferred[Any] = self._client.request(
            method,
            self.place.url(path),
            headers=Headers({"User-Agent": [USER_AGENT], **{name: [value] for name, value in headers.items()}}),
            data=None if body is None else Body(body),
            allow_redirects=redirects,
            unbuffered=True,
            reactor=self._reactor,
        )
        return asked

    def close(self) -> Deferred[Any]:
        """Close the connections that are kept for later."""
        closed: Deferred[Any] = self._pool.closeCachedConnections()
        return closed


@implementer(IBodyProducer)
class Body:
    """A body that is written at once, since it is there: Twisted's own needs turns of the global reactor."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def pauseProducing(self) -> None:
        """Nothing is left to be produced."""

    def resumeProducing(self) -> None:
        """Nothing is left to be produced."""

    def stopProducing(self) -> None:
        """Nothing is left to be produced."""


def head_of(response: Any) -> Head:
    """Return the head of treq's answer."""
    kind = _header(response, "Content-Type") or ""
    return Head(response.code, kind.partition(";")[0].strip().lower(), wait_of_header(_header(response, "Retry-After")))


def _header(response: Any, name: str) -> str | None:
    values: list[str] | None = response.headers.getRawHeaders(name)
    return values[-1] if values else None


class BodyReader(Protocol):
    """Reads a body as it comes; a subclass says what of it."""

    transport: Any = None

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.body_ended("" if reason.check(ResponseDone, PotentialDataLoss) else said(reason))

    def body_ended(self, error: str) -> None:
        """The body has ended: as it should when there is no error."""
        raise NotImplementedError

    def pause(self) -> None:
        """Read nothing more."""
        if self.transport is not None:
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on."""
        if self.transport is not None:
            self.transport.resumeProducing()

    def drop(self) -> None:
        """Close the connection in the middle of the body."""
        if self.transport is not None:
            self.transport.resumeProducing()
            self.transport.loseConnection()


class WholeBody(BodyReader):
    """A body that is needed whole; `body` fires with it, or with a `ValueError` that says why there is none."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.body: Deferred[bytes] = Deferred(lambda _: self.drop())
        self._most_bytes = most_bytes
        self._pieces: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._most_bytes:
            self._finish(ValueError(f"the answer has more than {self._most_bytes:,} bytes"))
            self.drop()
        else:
            self._pieces.append(data)

    def body_ended(self, error: str) -> None:
        self._finish(ValueError(error) if error else b"".join(self._pieces))

    def _finish(self, result: bytes | ValueError) -> None:
        body = self.body
        if not body.called:
            if isinstance(result, bytes):
                body.callback(result)
            else:
                body.errback(Failure(result))


class _Unread(BodyReader):
    """Takes a body that nobody wants."""

    def body_ended(self, error: str) -> None:
        """Nobody is told."""


def discard_body(response: Any) -> None:
    """Read nothing of the body of treq's answer, and close its connection."""
    reader = _Unread()
    response.deliverBody(reader)
    reader.drop()


def whole_body(response: Any, most_bytes: int = MOST_BYTES) -> Deferred[bytes]:
    """Return the body of treq's answer; cancelled, the connection is closed."""
    reader = WholeBody(most_bytes)
    response.deliverBody(reader)
    return reader.body
