"""The manager's doors in memory: a publisher that is told what to do, and connections without sockets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from megacomet.api.audit import FILE_NAME
from megacomet.api.audit_pages import AuditPages
from megacomet.api.site import Behind, Site, make_site
from megacomet.api.stats import Stats
from megacomet.console.doors import Console
from megacomet.console.files import File, Files
from megacomet.console.sessions import Sessions
from megacomet.console.tokens import Seal
from megacomet.errors import PeerError, Refused
from megacomet.manager.events import Events
from megacomet.model.keys import Keys
from megacomet.model.listing import span_of
from megacomet.model.message import Message, Publication, Published
from megacomet.model.position import Since
from megacomet.model.ranking import Place, format_place
from megacomet.model.receipts import Receipt
from megacomet.model.views import (
    ChannelPage,
    ChannelView,
    ClientView,
    Connected,
    HistoryView,
    Listed,
    PastMessage,
)
from megacomet.names import is_mailbox
from megacomet.publishing.publisher import Publisher
from megacomet.settings import BUILT_IN, ROWS, Settings
from megacomet.wire.broadcasts import Broadcast, Order
from megacomet.wire.cutoff import CutOff
from megacomet.wire.looking import Connection as Looked
from megacomet.wire.workers import WorkerInfo

KEY = "a-key-for-tests"
PUSH_KEY = "a-key-to-push"
READ_KEY = "a-key-to-read"
BEARER = f"Bearer {KEY}"


class FakePublisher:
    """Takes every publication; `late` ones are answered when the test says so."""

    epoch = b"e1"

    def __init__(self) -> None:
        self.head = 0
        self.published: list[Publication] = []
        self.cut: list[tuple[bytes, CutOff]] = []
        self.refuse: dict[bytes, str] = {}
        self.status: dict[bytes, str] = {}
        self.keys: dict[bytes, Published] = {}
        self.late = False
        self.waiting: list[Callable[[], None]] = []
        self.receipts: list[Receipt] = []

    def publish(
        self,
        publication: Publication,
        now: float,
        done: Callable[[Published | Refused], None],
        receipt: Receipt | None = None,
    ) -> None:
        """Publish."""
        self.published.append(publication)
        outcome = self._outcome(publication)
        if receipt is not None and isinstance(outcome, Published) and not outcome.repeated:
            self.receipts.append(receipt)
        if self.late:
            self.waiting.append(lambda: done(outcome))
        else:
            done(outcome)

    def cut_off(self, mailbox: bytes, cut: CutOff, done: Callable[[int], None]) -> None:
        """Note whom to cut off; one connection was."""
        self.cut.append((mailbox, cut))
        done(1)

    def _outcome(self, publication: Publication) -> Published | Refused:
        channel = publication.channel
        if channel in self.refuse:
            return Refused(self.refuse[channel])
        if publication.key in self.keys:
            first = self.keys[publication.key]
            return Published(first.offset, first.status, repeated=True)
        self.head += 1
        published = Published(self.head, self.status.get(channel, "sent"))
        if publication.key is not None:
            self.keys[publication.key] = published
        return published

    def answer_all(self) -> None:
        """Answer what waits."""
        while self.waiting:
            self.waiting.pop(0)()


class FakePressure:
    """Full when the test says so."""

    def __init__(self) -> None:
        self.is_full = False
        self.waiting: list[Deferred[None]] = []

    def full(self) -> bool:
        """Tell whether to wait."""
        return self.is_full

    def wait(self) -> Deferred[None]:
        """Return what fires on `relax`."""
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def relax(self) -> None:
        """There is room again."""
        self.is_full = False
        waiting, self.waiting = self.waiting, []
        for d in waiting:
            d.callback(None)


class FakeManager:
    """Numbers and readiness."""

    ready = True
    workers = 8
    failure: Exception | None = None

    def __init__(self) -> None:
        self.store = {"messages": 2, "bytes": 10}

    def stats(self) -> Stats:
        """Return some numbers."""
        if self.failure is not None:
            raise self.failure
        return Stats(
            version="0.1.0",
            started="2026-11-23T09:00:00Z",
            connections={"poll": 3, "sse": 0, "stream": 0, "ws": 0},
            messages={"in": 5, "out": 7},
            store=self.store,
            memory={"manager": 1000},
        )


class FakeDoctor:
    """Has found what the test says."""

    def __init__(self) -> None:
        check = {"about": "Queues", "name": "net.core.somaxconn", "value": "128", "needs": "260", "state": "low"}
        check |= {
            "why": "A queue.",
            "source": "kernel docs",
            "change": "sysctl -w net.core.somaxconn=260",
            "most": None,
        }
        told = {"connections": 1000, "workers": 2, "process_bytes": {"poll": 1, "sse": 2, "ws": 3}, "store_bytes": 4}
        told |= {"kernel_bytes": 5, "under_way_bytes": 6, "total_bytes": 18, "room_bytes": None, "fits": 2000}
        trace = {"where": "kernel log", "what": "It was full.", "count": 3, "do": "raise it", "last": "full"}
        self.found: dict[str, Any] = {
            "connections": 1000,
            "workers": 2,
            "fine": False,
            "checks": [check],
            "kernel_log": True,
            "later": {"losses": [], "unread": [{"path": "/etc/sysctl.d/99-local.conf", "why": "closed to this user"}]},
            "forecast": {**told, "first_bound": "memory"},
            "traces": [trace],
        }

    def look(self) -> dict[str, Any]:
        """Return it."""
        return self.found


class FakeLive:
    """Figures that are other ones when the test says so.

    Attributes:
        figures: of this moment; the same object until the test makes another.
        made: how often they were asked for.
        failure: raised instead.
    """

    def __init__(self) -> None:
        self.figures = b'{"n":0}'
        self.made = 0
        self.failure: Exception | None = None

    def frame(self) -> bytes:
        """Return the figures."""
        self.made += 1
        if self.failure is not None:
            raise self.failure
        return self.figures

    def trends(self) -> bytes:
        """Return some points."""
        return b'{"step_s":5,"end":null,"series":{}}'


class FakePage:
    """A page of metrics that tells what was asked for."""

    def __init__(self) -> None:
        self.body = b"# EOF\n"
        self.asked: list[bytes] = []

    def render(self, accept: bytes) -> tuple[bytes, bytes]:
        """Return it."""
        self.asked.append(accept)
        return b"text/plain", self.body


class FakeWorkers:
    """Two workers that do what they are told, but for one that cannot."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.conflict = ""

    def look(self) -> list[WorkerInfo]:
        """Return how they stand."""
        return [
            WorkerInfo(
                worker=0,
                state="draining",
                pid=812,
                connections={"poll": 1, "sse": 2, "stream": 0, "ws": 4},
                open=9,
                memory_bytes=7_000_000,
                cpu_s=1.5,
                cpu_share=0.25,
                lag_s=0.001,
                uptime_s=60.0,
                restarts=1,
                last_end="it was ended by SIGKILL",
                drain={"per_s": 50, "left": 9},
            ),
            WorkerInfo(
                worker=1,
                state="down",
                pid=None,
                connections=None,
                open=None,
                memory_bytes=None,
                cpu_s=None,
                cpu_share=None,
                lag_s=None,
                uptime_s=None,
                restarts=0,
                last_end=None,
                drain=None,
            ),
        ]

    def restart(self, number: int) -> str:
        """Note it."""
        return self._do("restarting", "restart", number)

    async def drain(self, number: int, per_s: int) -> str:
        """Note it."""
        return self._do("draining", "drain", number, per_s)

    async def undrain(self, number: int) -> str:
        """Note it."""
        return self._do("up", "undrain", number)

    def _do(self, state: str, *what: object) -> str:
        if what[1] not in (0, 1):
            raise PeerError("not-found", "there are the workers 0 to 1")
        if self.conflict:
            raise PeerError("conflict", self.conflict)
        self.told.append(what)
        return state


class FakeBroadcasts:
    """One broadcast, with which everything can be done but what the test forbids."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.failure: PeerError | None = None
        self.one = Broadcast(
            id="e1-7",
            channel="*",
            state="running",
            per_s=500,
            connections=9,
            written=4,
            lost=1,
            started="2026-11-23T09:00:00.000Z",
            ended=None,
            by="ops",
            bytes=3,
        )

    def listed(self) -> list[Broadcast]:
        """Return it."""
        return [self.one]

    def find(self, id_: str) -> Broadcast:
        """Return it."""
        return self._do("find", id_)

    async def estimate(self, order: Order) -> int:
        """Note it."""
        self.told.append(("estimate", order))
        return 9

    async def start(self, order: Order, by: str) -> Broadcast:
        """Note it."""
        return self._do("start", order, by)

    async def pause(self, id_: str) -> Broadcast:
        """Note it."""
        return self._do("pause", id_)

    async def resume(self, id_: str) -> Broadcast:
        """Note it."""
        return self._do("resume", id_)

    async def cancel(self, id_: str) -> Broadcast:
        """Note it."""
        return self._do("cancel", id_)

    def _do(self, *what: object) -> Broadcast:
        if what[0] != "start" and what[1] != self.one.id:
            raise PeerError("not-found", "no such broadcast is known")
        if self.failure is not None:
            raise self.failure
        self.told.append(what)
        return self.one


class FakeLookup:
    """Knows what the test says of channels and clients.

    Attributes:
        channels: subscribers and kept messages by channel.
        past: of every channel.
        clients: connections by client.
        waiting: messages of every mailbox.
        asked: what it was asked for.
        failure: raised instead of every answer.
        late: what an answer waits for.
    """

    def __init__(self) -> None:
        self.channels: dict[bytes, tuple[int, int]] = {}
        self.past: list[PastMessage] = []
        self.clients: dict[bytes, list[Looked]] = {}
        self.waiting = 0
        self.asked: list[tuple[Any, ...]] = []
        self.failure: Exception | None = None
        self.late: Deferred[None] | None = None

    async def _ask(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.late is not None:
            await self.late
        if self.failure is not None:
            raise self.failure

    async def page(self, prefix: bytes, after: bytes, limit: int) -> ChannelPage:
        """Return the channels that come next."""
        await self._ask("page", prefix, after, limit)
        span = span_of(prefix, after)
        names = sorted(span.names_in(self.channels, span.end))
        listed = [Listed(name, *self.channels[name]) for name in names[:limit]]
        return ChannelPage(listed, listed[-1].channel if len(names) > limit else None)

    async def ranked(self, prefix: bytes, after: Place | None, limit: int) -> ChannelPage:
        """Return the channels that come next by subscribers."""
        await self._ask("ranked", prefix, after, limit)
        span = span_of(prefix, b"")
        places = sorted(Place(-self.channels[name][0], name) for name in span.names_in(self.channels, span.end))
        places = [place for place in places if after is None or place > after]
        listed = [Listed(place.channel, *self.channels[place.channel]) for place in places[:limit]]
        return ChannelPage(listed, format_place(places[limit - 1]) if len(places) > limit else None)

    async def channel(self, channel: bytes) -> ChannelView:
        """Return what it knows of a channel."""
        await self._ask("channel", channel)
        subscribers, messages = self.channels.get(channel, (0, 0))
        return ChannelView(channel, subscribers, messages, self.waiting if is_mailbox(channel) else None, b"e1-7")

    async def history(
        self, channel: bytes, since: Since | None, before: Since | None, limit: int, newest_first: bool
    ) -> HistoryView:
        """Return all that was published."""
        await self._ask("history", channel, since, before, limit, newest_first)
        return HistoryView(self.past, b"e1-9", gap=True, more=False)

    async def clear(self, channel: bytes) -> int:
        """Forget all that was published."""
        await self._ask("clear", channel)
        removed, self.past = len(self.past), []
        return removed

    async def client(self, client: bytes) -> ClientView:
        """Return what it knows of a client."""
        await self._ask("client", client)
        connections = [Connected(n, each) for n, each in enumerate(self.clients.get(client, ()))]
        return ClientView(client, self.waiting, connections)


class FakeSignedOut(set[bytes]):
    """Keeps who has signed out in memory; see `megacomet.console.sessions.ISignedOut`."""

    failure: Exception | None = None

    def add(self, id_: bytes, until: float = 0.0, now: float = 0.0) -> None:
        """Remember one, or fail as the test says."""
        if self.failure is not None:
            raise self.failure
        super().add(id_)


#: What the console of the tests is made of.
PAGES = Files(
    File(b"text/html; charset=utf-8", b"<!DOCTYPE html>", None, "page"),
    {b"/console/@1f/app.js": File(b"text/javascript; charset=utf-8", b"a" * 100, b"zipped", "app")},
    b'{"imports":{}}',
)


class FakeTap:
    """Gives what the test publishes to those who listen in on the channel."""

    epoch = b"e1"
    unix_s = 784111777.0

    def __init__(self) -> None:
        self.head = 0
        self.takers: list[tuple[bytes, Callable[[Message, float], None]]] = []

    def listen(self, channel: bytes, take: Callable[[Message, float], None]) -> None:
        """Give it to one more."""
        self.takers.append((channel, take))

    def unlisten(self, channel: bytes, take: Callable[[Message, float], None]) -> None:
        """Give it to one less."""
        self.takers.remove((channel, take))

    def publish(self, channel: bytes, data: bytes) -> None:
        """Publish a message."""
        self.head += 1
        for listens_to, take in list(self.takers):
            if listens_to == channel:
                take(Message(self.head, channel, data), self.unix_s)


class Transport(StringTransport):
    """A transport that can be closed for writing only, as a socket can."""

    write_closed = False
    aborted = False

    def loseWriteConnection(self) -> None:
        """Close for writing."""
        self.write_closed = True

    def abortConnection(self) -> None:
        """Close, whatever is not sent."""
        self.aborted = True
        super().abortConnection()


class FakeAudit:
    """Keeps what was noted."""

    def __init__(self) -> None:
        self.notes: list[dict[str, object]] = []

    def note(self, action: str, *, result: str = "done", **what: object) -> None:
        """Keep a note."""
        self.notes.append({"action": action, "result": result, **what})


class Answer:
    """One answer, taken apart."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.rest = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.first = first
        self.status = int(first.split(" ")[1])
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name.lower() not in self.headers, f"{name} stands twice"
            self.headers[name.lower()] = value
        length = int(self.headers.get("content-length", "0"))
        self.body, self.rest = self.rest[:length], self.rest[length:]

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem."""
        assert self.headers["content-type"] == "application/problem+json", self.headers
        return str(self.json()["code"])


class Connection:
    """One client's connection."""

    def __init__(self, site: Site) -> None:
        self.channel = site.buildProtocol(None)
        self.transport = Transport()
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> Connection:
        """Send bytes."""
        self.channel.dataReceived(data)
        return self

    def send_bytewise(self, data: bytes) -> Connection:
        """Send bytes, each in a piece of its own."""
        for i in range(len(data)):
            self.channel.dataReceived(data[i : i + 1])
        return self

    def answers(self) -> list[Answer]:
        """Return all answers since the last call; HEAD has none that this understands."""
        raw = self.transport.value()
        self.transport.clear()
        answers = []
        while raw:
            answers.append(Answer(raw))
            raw = answers[-1].rest
        return answers

    def answer(self) -> Answer:
        """Return the one answer."""
        (answer,) = self.answers()
        return answer

    @property
    def closed(self) -> bool:
        """Whether the server has ended the connection, from its side at least."""
        return self.transport.disconnecting or self.transport.write_closed

    def lose(self) -> None:
        """The client goes away."""
        self.channel.connectionLost(Failure(ConnectionDone()))


class Doors:
    """A site on fakes."""

    def __init__(self, **settings: Any) -> None:
        self.publisher = FakePublisher()
        self.pressure = FakePressure()
        self.manager = FakeManager()
        self.audit = FakeAudit()
        self.lookup = FakeLookup()
        self.clock = MemoryReactorClock()
        self.workers = FakeWorkers()
        self.broadcasts = FakeBroadcasts()
        self.events = Events("boot", lambda: 784111777.0)
        self.metrics = FakePage()
        self.live = FakeLive()
        self.doctor = FakeDoctor()
        self.tap = FakeTap()
        of_settings = Settings(**{"state_dir": "/nowhere"} | settings)
        keys = self.keys = Keys([(KEY, "admin"), (PUSH_KEY, "push"), (READ_KEY, "read")])
        self.signed_out = FakeSignedOut()
        self.sessions = Sessions(keys, Seal(bytes(32)), self.signed_out)
        rest = (self.audit, self.clock, self.clock.seconds, of_settings.message_bytes)
        self.pushing = Publisher(self.publisher, self.pressure, *rest)
        self.site = make_site(
            of_settings,
            Behind(
                publisher=self.pushing,
                lookup=self.lookup,
                keys=keys,
                broadcasts=self.broadcasts,
                audit=self.audit,
                stats=self.manager,
                readiness=self.manager,
                workers=self.workers,
                events=self.events,
                tap=self.tap,
                sources=dict.fromkeys(ROWS, BUILT_IN),
                doctor=self.doctor,
                metrics=self.metrics,
                console=Console(PAGES, self.sessions, keys, self.audit, self.clock.seconds, self.clock.seconds),
                live=self.live,
                audit_pages=AuditPages(f"{of_settings.state_dir}/{FILE_NAME}"),
            ),
            self.clock,
        )
        self.treq: Any = StubTreq(self.site.resource)
        self.treq._agent._serverFactory = self.site

    def connect(self) -> Connection:
        """Open a connection."""
        return Connection(self.site)

    def ask(self, raw: bytes) -> Answer:
        """Send one request on a connection of its own, and return its one answer."""
        return self.connect().send(raw).answer()


def post(path: str, body: bytes | str, *headers: str, key: str | None = KEY) -> bytes:
    """Return a POST request."""
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"POST {path} HTTP/1.1", "Host: h", f"Content-Length: {len(raw)}", *headers]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def get(path: str, *headers: str, method: str = "GET", key: str | None = KEY) -> bytes:
    """Return a request without a body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: h", *headers]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"
