"""The manager's web site: what all its connections share, for the ones that workers hand over and for `--admin`.

Owns the assembly of the doors. It must not know where messages go: publisher, statistics and the rest are
arguments.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.web import server
from twisted.web.http import datetimeToString
from twisted.web.resource import IResource

from megacomet.api import broadcasting, operations
from megacomet.api.app import Api
from megacomet.api.audit_pages import AuditPages
from megacomet.api.broadcasts import Broadcasts, IBroadcasts
from megacomet.api.channel import Channel
from megacomet.api.channels import Channels, IChannels
from megacomet.api.clients import IClients
from megacomet.api.doctor import IDoctor
from megacomet.api.events import IEvents, Readers
from megacomet.api.health import IReadiness
from megacomet.api.live import ILive
from megacomet.api.metrics import PATH as METRICS_PATH
from megacomet.api.metrics import IPage, Scrapes
from megacomet.api.needs import Body, IConsole
from megacomet.api.operation import Operation
from megacomet.api.reader import Audience
from megacomet.api.request import Request
from megacomet.api.settings import config_json
from megacomet.api.stats import IStats, stats_json
from megacomet.api.tails import ITap, Tails
from megacomet.api.workers import IWorkers
from megacomet.errors import PeerError
from megacomet.model.keys import Keys
from megacomet.model.notes import IAudit
from megacomet.publishing.batch import Batch
from megacomet.publishing.publisher import Publisher
from megacomet.settings import Settings
from megacomet.wire.push import ENVELOPE_BYTES
from megacomet.wire.requests import RequestIds

API_ROOT: Final = b"/api"
_DATE: Final = b"Date: %b\r\n"


class ILookup(IChannels, IClients, Protocol):
    """Knows the channels and the clients."""


class Site(server.Site):
    """A factory of `Channel`s.

    Attributes:
        keys: the keys that the API takes.
        audit: takes note of what requests have changed.
        bodies: what is taken by POST, by path.
        keyed: paths outside of `/api` that need a key as well.
        console: answers under `/console`.
        keep_alive_s: seconds that a connection may be idle.
        head_timeout_s: seconds in which a head must be complete.
        channels: the open connections.
        answered: requests, by status.
        refused: errors told, by code.
        request_ids: of requests whose clients gave none.
    """

    protocol = Channel  # type: ignore[assignment]  # Twisted means its proxy for HTTP/2
    requestFactory = Request
    timeOut = None  # Twisted's timer is not used

    def __init__(
        self,
        resource: IResource,
        reactor: IReactorTime,
        *,
        keys: Keys,
        audit: IAudit,
        audiences: Sequence[Audience[Any]],
        bodies: Mapping[bytes, Body],
        keyed: frozenset[bytes],
        console: IConsole,
        keep_alive_s: float,
        head_timeout_s: float,
    ) -> None:
        super().__init__(resource, reactor=reactor, timeout=None, parsePOSTFormSubmission=False)
        self.keys = keys
        self.audit = audit
        self.bodies = bodies
        self.keyed = keyed
        self.console = console
        self._audiences = audiences
        self.keep_alive_s = keep_alive_s
        self.head_timeout_s = head_timeout_s
        self.channels: set[Channel] = set()
        self.answered: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()
        self._stopped: Deferred[None] | None = None
        self.request_ids = RequestIds()
        self._date_s = -1
        self._date_line = b""

    def startFactory(self) -> None:
        """Nothing: no access log is kept."""

    def stopFactory(self) -> None:
        """Nothing."""

    def log(self, request: object) -> None:
        """Nothing: requests are counted, not logged."""

    def acceptableProtocols(self) -> list[bytes]:
        """Return HTTP/1.1 only."""
        return [b"http/1.1"]

    def buildProtocol(self, addr: IAddress | None) -> Channel:  # type: ignore[override]
        """Make the channel of a connection."""
        channel = Channel()
        channel.factory = channel.site = self
        channel.requestFactory = self.requestFactory
        channel.timeOut = None
        return channel

    def opened(self, channel: Channel) -> None:
        """A connection is there."""
        self.channels.add(channel)

    def closed(self, channel: Channel) -> None:
        """A connection is gone."""
        self.channels.discard(channel)
        if self._stopped is not None and not self.channels:
            stopped, self._stopped = self._stopped, None
            stopped.callback(None)

    def stop(self) -> Deferred[None]:
        """Close what is idle now, and the rest behind its answer; fires when all connections are gone."""
        for audience in self._audiences:
            audience.stop()
        for channel in list(self.channels):
            channel.end()
        if not self.channels:
            return succeed(None)
        self._stopped = Deferred()
        return self._stopped

    def refuse(self, error: PeerError) -> None:
        """Count an error that is told."""
        self.answered[error.status] += 1
        self.refused[error.code] += 1

    def date_line(self) -> bytes:
        """Return the header Date, made once a second."""
        now = int(self.reactor.seconds())
        if now != self._date_s:
            self._date_s = now
            self._date_line = _DATE % datetimeToString()
        return self._date_line

    @staticmethod
    def spread(most_s: int) -> int:
        """Return a random number of seconds."""
        return random.randint(1, most_s)


def _body(
    operation: Operation, max_bytes: int | None, sink: Callable[[Request], Batch] | None = None
) -> tuple[bytes, Body]:
    """Return the path of an operation and what it takes there."""
    assert operation.takes is not None
    return operation.path.encode(), Body(operation.takes.types, max_bytes, sink)


@attrs.frozen(kw_only=True)
class Behind:
    """What the doors lead to.

    Attributes:
        publisher: publishes pushes.
        lookup: knows the channels and the clients.
        broadcasts: the messages that go to many at a pace.
        keys: the keys that the API takes.
        audit: takes note of what requests have changed.
        stats: the numbers of `GET /api/stats`.
        readiness: whether every worker listens.
        workers: how they stand, and what may be done with them.
        events: what happens.
        tap: what is published.
        sources: where each of the settings came from.
        doctor: looks at the machine.
        metrics: the page of the metrics.
        console: answers under `/console`.
        live: the figures that a console shows.
        audit_pages: what the audit log has.
    """

    publisher: Publisher
    lookup: ILookup
    broadcasts: IBroadcasts
    keys: Keys
    audit: IAudit
    stats: IStats
    readiness: IReadiness
    workers: IWorkers
    events: IEvents
    tap: ITap
    sources: Mapping[str, str]
    doctor: IDoctor
    metrics: IPage
    console: IConsole
    live: ILive
    audit_pages: AuditPages


def make_site(settings: Settings, behind: Behind, reactor: IReactorTime) -> Site:
    """Assemble the site.

    Args:
        settings: bounds and times.
        behind: what the doors lead to.
        reactor: for timers.
    """
    readers = Readers(behind.events, reactor, lambda: stats_json(behind.stats.stats()), behind.live.frame)
    tails = Tails(behind.tap, reactor)
    api = Api(
        behind.publisher,
        Channels(behind.lookup),
        behind.lookup,
        Broadcasts(behind.broadcasts, settings.message_bytes),
        behind.stats,
        behind.readiness,
        behind.workers,
        readers,
        tails,
        Scrapes(behind.metrics, settings.metrics_open),
        config_json(settings, behind.sources),
        behind.doctor,
        behind.live,
        behind.audit_pages,
    )
    return Site(
        api.app.resource(),
        reactor,
        keys=behind.keys,
        audit=behind.audit,
        audiences=(readers, tails),
        bodies=_bodies(behind.publisher, ENVELOPE_BYTES + settings.message_bytes),
        keyed=frozenset() if settings.metrics_open else frozenset((METRICS_PATH,)),
        console=behind.console,
        keep_alive_s=settings.keep_alive_s,
        head_timeout_s=settings.head_timeout_s,
    )


def _bodies(publisher: Publisher, line_bytes: int) -> Mapping[bytes, Body]:
    """Return what is taken by POST; a push, each line of a batch, and a broadcast may have so many bytes."""

    def batch(request: Request) -> Batch:
        sender = request.sender(operations.BATCH.scope)
        return Batch(publisher, sender, line_bytes, request.channel.hold, request.processingFailed)

    return dict(
        [
            _body(operations.PUSH_ONE, line_bytes),
            _body(operations.BATCH, None, batch),
            _body(broadcasting.START, line_bytes),
        ]
    )
