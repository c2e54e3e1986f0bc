"""What a request needs of what is around it: connection and site, who takes a body that is not kept, the console."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress

from megacomet.errors import PeerError
from megacomet.model.keys import Identity, Keys
from megacomet.model.notes import IAudit
from megacomet.wire.http import RequestHead
from megacomet.wire.requests import RequestIds


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

    def isSecure(self) -> bool:
        """Tell whether it is TLS."""


class IReply(Protocol):
    """An answer of the console; see `megacomet.console.serving.Reply`."""

    @property
    def status(self) -> int:
        """Of it."""

    @property
    def body(self) -> bytes:
        """Its bytes."""

    @property
    def content_type(self) -> bytes:
        """Of the body."""

    @property
    def lines(self) -> bytes:
        """More header lines, each with its CRLF."""

    @property
    def cache_control(self) -> bytes:
        """The value of Cache-Control."""


class IVisit(Protocol):
    """A request to the console that may go on; see `megacomet.console.doors.Visit`."""

    @property
    def identity(self) -> Identity | None:
        """Who has signed in; None: nobody has."""

    @property
    def path(self) -> bytes:
        """Of the API, for which the request counts from now on, where the console does not answer it."""

    @property
    def holds(self) -> Callable[[], bool]:
        """Tells whether it still may be answered."""

    @property
    def answer(self) -> Callable[[bytes], IReply] | None:
        """Takes the whole body, returns the answer or raises `PeerError`; None: the API answers."""


class IConsole(Protocol):
    """The console; see `megacomet.console.doors.Console`."""

    @property
    def lines(self) -> bytes:
        """Header lines of all its answers, errors too."""

    def serves(self, target: bytes) -> bool:
        """Tell whether a path is the console's."""

    def visit(self, head: RequestHead, raw: bytes, address: str | None, is_secure: bool, request_id: str) -> IVisit:
        """Decide by the head alone what becomes of a request; raise `PeerError` to refuse it."""


@attrs.frozen
class Body:
    """What a path takes by POST.

    Attributes:
        types: the content types; none given is the first.
        max_bytes: of the body, None: no bound, it goes to `sink`.
        sink: makes what takes the body as it arrives, None: it is kept until it is complete.
    """

    types: tuple[bytes, ...]
    max_bytes: int | None
    sink: Callable[[Any], ISink] | None = None  # the request is made of what stands here


class ISite(Protocol):
    """What a request needs of the site: the keys, the audit log, what is taken by POST, what all answers share.

    Attributes:
        answered: requests, by status.
        channels: the open connections.
        keyed: paths outside of `/api` that need a key as well.
        console: answers under `/console`, and lets who has signed in there come to the doors.
    """

    answered: Counter[int]
    channels: set[Any]
    keyed: frozenset[bytes]
    keys: Keys
    audit: IAudit
    bodies: Mapping[bytes, Body]
    console: IConsole
    request_ids: RequestIds
    resource: Any

    def refuse(self, error: PeerError) -> None:
        """Count an error that is told."""

    def date_line(self) -> bytes:
        """Return the header Date."""

    def spread(self, most_s: int) -> int:
        """Return a random number of seconds."""
