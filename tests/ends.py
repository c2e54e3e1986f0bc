"""The two ends of a link for tests: connections in memory that say who is at their other end and carry descriptors."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.test.iosim import FakeTransport, IOPump, connect

from megacomet import link
from megacomet.manager.downlink import Downlink
from megacomet.manager.links import Links
from megacomet.model.directory import Directory
from megacomet.model.keys import Keys
from megacomet.model.memory import MemoryStore
from megacomet.model.router import Router
from megacomet.model.store import Retention
from megacomet.publishing.publisher import Publisher
from megacomet.wire import frames
from megacomet.wire.pushed import decode_verdict

from .doors import FakeAudit

NONCE = b"n" * 16
#: Of the API.
KEY = "a-key"
UID = 4711


class Credentials:
    """The socket of a connection, as far as it says who is at the other end."""

    def __init__(self, pid: int, uid: int) -> None:
        self.pid, self.uid = pid, uid

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option, size) == (socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return struct.pack("3i", self.pid, self.uid, 0)


class UnixTransport(FakeTransport):
    """One end of a UNIX connection."""

    other: UnixTransport

    def __init__(self, protocol: Any, isServer: bool, pid: int, uid: int) -> None:
        super().__init__(protocol, isServer)
        self.socket = Credentials(pid, uid)

    def doWrite(self) -> None:
        """What was written arrives when the test pumps, also what was to be written at once."""

    def sendFileDescriptor(self, fd: int) -> None:
        """The number arrives as it is, before the bytes that are written next."""
        self.other.protocol.fileDescriptorReceived(fd)


def connect_ends(server: Any, client: Any, clock: IReactorTime, pid: int | None = None, uid: int = UID) -> IOPump:
    """Connect a worker's end (the client) to the manager's; nothing has been pumped yet."""
    near = UnixTransport(server, True, os.getpid() if pid is None else pid, uid)
    far = UnixTransport(client, False, 1, 0)
    near.other, far.other = far, near
    return connect(server, near, client, far, greet=False, clock=clock)


class WatchedRouter(Router):
    """A router that keeps what links were taken from it with."""

    def __init__(self) -> None:
        retention = Retention(1e6, 1000, 10**8)
        super().__init__(MemoryStore(b"e1", lambda namespace: retention, 10**9), Directory())
        self.detached: list[tuple[Downlink, list[Any]]] = []

    def detach(self, link: Any, unanswered: Any, now: float) -> None:
        tokens = list(unanswered)
        self.detached.append((link, tokens))
        super().detach(link, tokens, now)


class Manager:
    """What the manager's links tell the rest of the manager."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.room = True

    def worker_up(self, number: int, pid: int) -> None:
        self.told.append(("up", number, pid))

    def worker_down(self, number: int) -> None:
        self.told.append(("down", number))

    def kill(self, number: int, why: str) -> None:
        self.told.append(("kill", number, why))

    async def adopt(self, number: int, fd: int, head: bytes, peer: bytes) -> None:
        if not self.room:
            raise link.LinkRefused("there is no room")
        self.told.append(("adopt", number, fd, head, peer))


class WorkerEnd(link.LinkEnd):
    """A worker's end that answers a box when the test says so.

    Attributes:
        boxes: (number, head, answered, records) of each box that came.
        accepted_s: of each box, when its oldest record was put on the stream.
        waiting: how many boxes are not answered.
        asked: each question with the answer that the manager waits for.
        keys: what it was told of the API's keys.
        told: what became of pushes, how many of their boxes were worked off, and where the log stood.
    """

    takes: ClassVar = {link.DELIVER: "delivered", link.PUSHES: "pushes_received"}

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[bytes, Deferred[dict[str, bytes]]]] = []
        self.boxes: list[tuple[int, int, int, list[frames.Frame]]] = []
        self.accepted_s: list[float] = []
        self.waiting = 0
        self.given: list[tuple[int, bytes]] = []
        self.stopped = 0
        self.drained: list[int] = []
        self.keys: list[bytes] = []
        self.told: list[tuple[bytes, int, int]] = []
        self.refuses = False

    def delivered(self, value: bytes) -> None:
        number, head, answered, accepted_s, records = frames.decode_box(value)
        self.boxes.append((number, head, answered, list(frames.decode(records))))
        self.accepted_s.append(accepted_s)
        self.waiting += 1

    def answer(self, *results: bytes) -> None:
        """Answer the oldest box."""
        self.waiting -= 1
        self.send_value(link.WORKED, b"".join(results))

    @link.Keys.responder
    def take_keys(self, keys: bytes) -> dict[str, object]:
        self.keys.append(keys)
        return {}

    def pushes_received(self, value: bytes) -> None:
        boxes, head, told = decode_verdict(value)
        self.told.append((told, boxes, head))

    @link.GiveBack.responder
    def give_back(self, fd: int, unread: bytes) -> dict[str, object]:
        if fd < 0:
            raise link.LinkRefused("no such descriptor")
        self.given.append((fd, unread))
        return {}

    @link.Look.responder
    def look(self, question: bytes) -> Deferred[dict[str, bytes]]:
        answer: Deferred[dict[str, bytes]] = Deferred()
        self.asked.append((question, answer))
        return answer

    @link.Stop.responder
    def stop(self) -> dict[str, object]:
        self.stopped += 1
        return {}

    @link.Drain.responder
    def drain(self, per_s: int) -> dict[str, object]:
        return self._drained(per_s)

    @link.Undrain.responder
    def undrain(self) -> dict[str, object]:
        return self._drained(0)

    def _drained(self, per_s: int) -> dict[str, object]:
        if self.refuses:
            raise link.LinkRefused("it is ending")
        self.drained.append(per_s)
        drain = {"per_s": per_s, "left": 3} if per_s else None
        said = {"listening": not per_s, "drain": drain, "rows": {"waiting": 1, "streaming": 0}, "messages": 0}
        return {"counts": json.dumps(said).encode()}


def links_of(
    reactor: IReactorTime, workers: int = 1, router: WatchedRouter | None = None
) -> tuple[Links, WatchedRouter, Manager]:
    """Return the manager's links with a router and what watches them."""
    manager, router = Manager(), router or WatchedRouter()
    links = Links(
        *(reactor, router, manager),
        keys=Keys([(KEY, "admin")]),
        workers=workers,
        nonce=NONCE,
        uids=frozenset([UID]),
        clock=lambda: reactor.seconds(),
    )
    links.publisher = Publisher(router, links, FakeAudit(), reactor, links.clock, 65536)
    return links, router, manager
