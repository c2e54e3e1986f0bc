"""The manager's end of the link to one worker: who it is, boxes on their way to it, the silence that ends it."""

from __future__ import annotations

import json
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import attrs
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from megacomet import link
from megacomet.manager.intake import Intake
from megacomet.manager.tally import Tally
from megacomet.model.keys import Keys
from megacomet.model.receipts import WRITTEN, Token, outcomes
from megacomet.model.router import Router
from megacomet.publishing.publisher import Publisher
from megacomet.wire import frames
from megacomet.wire.pushed import encode_verdict

_PEER = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid


class IManager(Protocol):
    """What the links need of the rest of the manager."""

    def worker_up(self, number: int, pid: int) -> None:
        """A worker's link stands, and the worker knows it."""

    def worker_down(self, number: int) -> None:
        """A worker's link is lost."""

    def kill(self, number: int, why: str) -> None:
        """A worker is beyond help: replace it."""

    async def adopt(self, number: int, fd: int, head: bytes, peer: bytes) -> None:
        """Serve a connection that a worker hands over.

        Raises:
            LinkRefused: there is no room.
        """


class ILinks(Protocol):
    """What the link to a worker needs of all of them.

    Attributes:
        reactor: for delayed calls.
        router: attached to every link.
        manager: the rest of the manager.
        crowded: the links for which more than `PRESSURE_BYTES` is gathered.
        workers: how many the server has.
        written: messages that they have written to connections.
        tally: told what a worker has counted.
    """

    reactor: IReactorTime
    router: Router
    manager: IManager
    crowded: set[Downlink]
    workers: int
    written: int
    tally: Tally

    @property
    def clock(self) -> Callable[[], float]:
        """The clock: seconds, monotonic."""

    @property
    def ready(self) -> bool:
        """Whether every worker has its link and listens."""

    def check(self, peer: tuple[int, int], number: int, pid: int, nonce: bytes) -> None:
        """Check who says hello; raise `LinkRefused`."""

    def joined(self, downlink: Downlink) -> None:
        """A worker said hello."""

    def left(self, downlink: Downlink, unanswered: list[Token]) -> None:
        """A worker's link is lost."""

    def is_current(self, downlink: Downlink) -> bool:
        """Tell whether this is the link of its worker."""

    def eased(self) -> None:
        """Something was worked off: let publishers go on when there is room."""

    @property
    def keys(self) -> Keys:
        """The keys that the API takes."""

    @property
    def publisher(self) -> Publisher:
        """Publishes what workers have decoded."""


@attrs.define
class Flight:
    """A box on its way: the tokens of its records, by their index."""

    number: int
    tokens: dict[int, Token]


class Downlink(link.LinkEnd):
    """The way to one worker; see `megacomet.model.ways.ILink`.

    Attributes:
        listening: whether the worker had a waiting connection at its last beat, or has spoken of listeners since.
        counts: what it said of itself at its last beat.
    """

    takes: ClassVar = {link.PUSHES: "pushes_received", link.WORKED: "worked_off"}
    _log = Logger()

    def __init__(self, links: ILinks) -> None:
        super().__init__()
        self.number = -1
        self.pid = 0
        self.listening = False
        self.counts: dict[str, Any] = {}
        self.gathered_bytes = 0
        self._links = links
        #: each with the number of the last box whose answer was known when it was put on the stream, and when the
        #: first one of the same turn was
        self._records: deque[tuple[bytes, Token | None, int, float]] = deque()
        self._turned_at = 0.0
        self._flights: deque[Flight] = deque()
        self._boxes = 0
        self._answered = 0
        self._head = 0
        self._sent_at = links.clock()
        self._silent_beats = 0
        self._turn: IDelayedCall | None = None
        self._told: list[bytes] = []
        self._told_boxes = 0

    # -- the connection

    def dataReceived(self, data: bytes) -> None:
        self._silent_beats = 0
        super().dataReceived(data)

    @link.Hello.responder
    def hello(self, protocol: int, number: int, pid: int, nonce: bytes) -> dict[str, object]:
        if self.number >= 0:
            raise link.LinkRefused("said hello twice")
        if protocol != link.PROTOCOL:
            raise link.LinkRefused(f"speaks protocol {protocol}, not {link.PROTOCOL}")
        self._links.check(self._peer(), number, pid, nonce)
        self.number, self.pid = number, pid
        self._head = self._links.router.head
        self._intake = Intake(self._links.publisher, self._links.keys, self._tell, self._abort)
        self._links.joined(self)
        return {"epoch": self._links.router.epoch, "head": self._head, "keys": self._links.keys.pack()}

    def _peer(self) -> tuple[int, int]:
        """Return process and user of the other end (SO_PEERCRED)."""
        peer = link.transport_of(self).socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        pid, uid, _ = _PEER.unpack(peer)
        return pid, uid

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self.number >= 0:
            tokens = [t for flight in self._flights for t in flight.tokens.values()]
            tokens += [t for _, t, _, _ in self._records if t is not None]
            self._flights.clear()
            self._records.clear()
            self.gathered_bytes = 0
            self._links.crowded.discard(self)
            self._intake.lost()
            self._links.left(self, tokens)

    @link.Want.responder
    def want(self, records: bytes) -> dict[str, object]:
        self._known()
        self.listening = True  # somebody came (or left): the next beat knows better, a message before it must not miss
        self._links.router.received(self, records, self._links.clock())
        return {}

    def pushes_received(self, value: bytes) -> None:
        """The worker has decoded pushes."""
        try:
            self._known()
            self._intake.take(value)
        except (link.LinkRefused, ValueError) as e:
            self._log.error("worker {number} sent pushes that cannot be taken: {why}", number=self.number, why=str(e))
            self._abort()

    @link.Beat.responder
    def beat(self, counts: bytes) -> dict[str, object]:
        self._known()
        is_first = not self.counts  # it knows that its link stands
        self._said(counts)
        if is_first:
            self._links.manager.worker_up(self.number, self.pid)
        return {"ready": self._links.ready, "workers": self._links.workers}

    def _said(self, counts: bytes) -> None:
        said = json.loads(counts)
        self._links.written += said["messages"] - self.counts.get("messages", said["messages"])
        self.counts = said
        self._links.tally.told(self.number, self.pid, said)
        self.listening = bool(said["rows"]["waiting"] or said["rows"]["streaming"])

    @link.Adopt.responder
    async def adopt(self, fd: int, head: bytes, peer: bytes) -> dict[str, object]:
        self._known()
        await self._links.manager.adopt(self.number, fd, head, peer)
        return {}

    def _known(self) -> None:
        if self.number < 0:
            raise link.LinkRefused("has not said hello")

    # -- down the link

    @property
    def has_room(self) -> bool:
        """Whether those who missed something may have it now."""
        return self.gathered_bytes <= link.PAGES_BYTES

    def send(self, record: bytes, token: Token | None) -> None:
        """Put a record on the stream; it leaves with all others of this turn."""
        if self._turn is None:
            self._turned_at = self._links.clock()
            self._turn = self._links.reactor.callLater(0, self._flush)
        self._records.append((record, token, self._answered, self._turned_at))
        self.gathered_bytes += len(record)
        if self.gathered_bytes > link.PRESSURE_BYTES:
            self._links.crowded.add(self)

    def _flush(self) -> None:
        self._turn = None
        while self._records and len(self._flights) < link.BOXES_IN_FLIGHT:
            self._send_box()
        if self.gathered_bytes > link.LINK_BYTES:
            self._links.manager.kill(self.number, f"does not keep up: {self.gathered_bytes} bytes wait for it")

    def _send_box(self) -> None:
        """Send what is gathered, cut at `BOX_BYTES` between two records."""
        records: list[bytes] = []
        tokens: dict[int, Token] = {}
        size = 0
        # Not what is known when it leaves: its first record may be of a time when a returned message was not back yet.
        _, _, answered, accepted_s = self._records[0] if self._records else (b"", None, self._answered, 0.0)
        while self._records and size < link.BOX_BYTES:
            record, token, _, _ = self._records.popleft()
            if token is not None:
                tokens[len(records)] = token
            records.append(record)
            size += len(record)
        self.gathered_bytes -= size
        if self.gathered_bytes <= link.PRESSURE_BYTES:
            self._links.crowded.discard(self)
        if not self._records:  # else later records, up to the log's head, are still here
            self._head = self._links.router.head
        self._boxes += 1
        self._sent_at = self._links.clock()
        flight = Flight(self._boxes, tokens)
        self._flights.append(flight)
        value = frames.encode_box(self._boxes, self._head, answered, accepted_s, b"".join(records))
        self.send_value(link.DELIVER, value)

    def worked_off(self, results: bytes) -> None:
        """A box was worked off, the oldest that was under way: settle its records, send on."""
        try:
            self._worked_off(results)
        except Exception:
            self._log.failure("worker {number} answered a box with what cannot be read", number=self.number)
            self._abort()

    def _worked_off(self, results: bytes) -> None:
        self._known()
        if not self._flights:
            raise ValueError("it was not sent a box")
        found = outcomes(results)  # what cannot be read is of no flight: what that had goes back when the link ends
        flight = self._flights.popleft()
        self._answered = flight.number
        now = self._links.clock()
        for index, token in flight.tokens.items():
            self._links.router.settled(self, token, found.get(index, WRITTEN), now)
        if self._records:
            self._flush_now()
        self._links.router.read_on(self, now)
        self._links.eased()

    def _flush_now(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
        self._flush()

    def _failed(self, failure: Failure) -> None:
        if failure.check(ConnectionDone, ConnectionLost):  # `connectionLost` deals with it
            return
        if self.number >= 0 and self._links.is_current(self):
            self._log.failure("worker {number} failed a box", failure, number=self.number)
            self._abort()

    def _tell(self, told: bytes, boxes: int) -> None:
        """Tell what became of pushes, at the end of this turn: what was pushed goes first, that clients wait for."""
        self._told.append(told)
        self._told_boxes += boxes
        if len(self._told) == 1:
            self._links.reactor.callLater(0, self._tell_all)

    def _tell_all(self) -> None:
        told, self._told = b"".join(self._told), []
        boxes, self._told_boxes = self._told_boxes, 0
        if self.transport is not None:
            self.send_value(link.PUSHES, encode_verdict(boxes, self._links.router.head, told))

    def tell_keys(self) -> None:
        """Tell the keys that the API takes."""
        self.callRemote(link.Keys, keys=self._links.keys.pack()).addErrback(self._failed)

    def _abort(self) -> None:
        link.transport_of(self).abortConnection()

    def tick(self, now: float) -> None:
        """Every second: a new head goes out when nothing else does; a silent worker is replaced."""
        self._silent_beats += 1
        if self._silent_beats > link.SILENCE_BEATS:
            self._links.manager.kill(self.number, f"was silent for {link.SILENCE_BEATS * link.BEAT_S:.0f} s")
        elif self._records or self._flights or now - self._sent_at < link.BEAT_S * 0.9:
            return
        elif self._head != self._links.router.head:
            self._send_box()

    async def give_back(self, fd: int, unread: bytes) -> None:
        """Give a connection back to the worker.

        Raises:
            LinkRefused: the worker does not take it.
            ConnectionDone, ConnectionLost: the link is gone.
        """
        if self.transport is None:  # AMP has nothing to send a descriptor with, and says so only by an AttributeError
            raise ConnectionLost
        await self.callRemote(link.GiveBack, fd=fd, unread=unread)

    async def look(self, question: bytes) -> bytes:
        """Return the worker's answer to a question, both as in `megacomet.wire.looking`.

        Raises:
            LinkRefused: it has none.
            ConnectionDone, ConnectionLost: the link is gone.
        """
        answer: dict[str, bytes] = await self.callRemote(link.Look, question=question)
        return answer["answer"]

    async def stop(self) -> None:
        """Ask the worker to answer everybody and end."""
        await self.callRemote(link.Stop)

    async def drain(self, per_s: int) -> None:
        """Have the worker listen no more and let so many connections go a second; 0: take that back.

        Raises:
            LinkRefused: it cannot be.
            ConnectionDone, ConnectionLost: the link is gone.
        """
        asked = self.callRemote(link.Drain, per_s=per_s) if per_s else self.callRemote(link.Undrain)
        self._said((await asked)["counts"])

    @property
    def is_drained(self) -> bool:
        """Whether the worker lets its connections go, or has let all of them go."""
        return bool(self.counts.get("drain"))
