"""A worker's front under test: a real lot and a real hub, and in place of the manager what the test says."""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from megacomet.browser_client import NONE, BrowserClient
from megacomet.kinds import STATE
from megacomet.model.answers import Box
from megacomet.model.hub import Hub
from megacomet.settings import Settings
from megacomet.wire import frames
from megacomet.worker.front import Front
from megacomet.worker.pusher import Pusher
from megacomet.worker.room import make_lot

from .lots import Ground

EPOCH = b"e1"


class FakeLink:
    """The link to a manager that answers when the test says so."""

    def __init__(self) -> None:
        self.up = True
        self.ready = True
        self.workers = 8
        self.touched = 0
        self.adopted: list[tuple[int, bytes, bytes, Deferred[Any]]] = []

    def adopt(self, fd: int, head: bytes, peer: bytes) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.adopted.append((fd, head, peer, answer))
        return answer

    def touch(self) -> None:
        self.touched += 1


class Answer(NamedTuple):
    """One answer as a client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes


def parse(data: bytes, head_only: bool = False) -> tuple[Answer, bytes]:
    """The first answer in what a client has read, and what is behind it."""
    head, blank, rest = data.partition(b"\r\n\r\n")
    assert blank, data
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1"
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        assert name.lower() not in headers, f"twice: {name}"
        headers[name.lower()] = value
    length = 0 if head_only else int(headers.get("content-length", "0"))
    assert len(rest) >= length
    return Answer(int(status), headers, rest[:length]), rest[length:]


def parse_all(data: bytes) -> list[Answer]:
    """All answers in what a client has read."""
    answers = []
    while data:
        answer, data = parse(data)
        answers.append(answer)
    return answers


class House(Ground):
    """A front on a lot; closes all at the end of the test."""

    def __init__(
        self, most: int = 0, hub: type[Hub] = Hub, browser_client: BrowserClient = NONE, **settings: Any
    ) -> None:
        self.settings = Settings(state_dir="/nonexistent", **settings)
        super().__init__(make_lot(self.settings, now=0.0, descriptors=1_000_000))
        self.clock = Clock()
        self.link = FakeLink()
        self.pusher = Pusher(self.clock, self.settings.message_bytes)
        rest = {"unix_s": lambda: 784111777.0, "pusher": self.pusher}
        self.front = Front(
            self.lot, self.settings, self.clock, most=most, hub=hub, browser_client=browser_client, **rest
        )
        self.front.link = self.link
        self.hub = self.front.hub
        self.hub.linked(EPOCH, 0)
        self.boxes = 0

    # -- clients

    def get(self, target: str = "/sue.js", *headers: str, method: str = "GET", version: str = "1.1") -> socket.socket:
        """A client that has sent a request."""
        return self.send(request(target, *headers, method=method, version=version))

    def send(self, data: bytes) -> socket.socket:
        """A client that has sent something."""
        _, client = self.pair(data)
        return client

    def ask(self, target: str, *headers: str, method: str = "GET", version: str = "1.1") -> Answer:
        """The answer to a request that is answered at once."""
        client = self.get(target, *headers, method=method, version=version)
        data = client.recv(1 << 20)
        answer, rest = parse(data, head_only=method == "HEAD")
        assert rest == b""
        return answer

    def read(self, client: socket.socket) -> Answer:
        """The one answer that a client has by now."""
        answer, rest = parse(client.recv(1 << 20))
        assert rest == b""
        return answer

    def waiting(self) -> list[int]:
        """The rows that wait."""
        return self.hub.waiting()

    def states(self) -> list[int]:
        """The states of all rows, as they are numbered."""
        return [kind & STATE for kind in self.rows.kinds if kind & STATE > 1]

    def pass_s(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.front.tick(self.now)
            self.clock.advance(0)

    def pump(self) -> None:
        """Let what goes on in later turns go on."""
        for _ in range(1000):
            if not self.clock.getDelayedCalls():
                return
            self.clock.advance(0)
        raise AssertionError("it goes on for ever")

    # -- the manager

    def box(self, *records: bytes, head: int) -> bytes:
        """Have a box come down the link; what the hub says of it."""
        self.queue(*records, head=head)
        return self.work()

    def queue(self, *records: bytes, head: int) -> None:
        """Have a box come down the link, which is not worked off yet."""
        self.boxes += 1
        self.hub.received(Box(self.boxes, head, self.boxes - 1, b"".join(records)))

    def work(self, *, briefly: bool = False) -> bytes:
        """Have boxes worked off, all or as little as there can be in a turn; what the hub says of those that ended."""
        return b"".join(self.hub.work(lambda: briefly))

    def push(self, channel: bytes, data: bytes, offset: int) -> bytes:
        """Have one message come down the link."""
        return self.box(message(channel, data, offset), head=offset)

    def pages(
        self, *messages: tuple[bytes, bytes, int], head: int, gaps: tuple[bytes, ...] = (), more: bool = False
    ) -> list[frames.Frame]:
        """Answer the joins that were told with these messages; return the joins."""
        joins = [frame for frame in self.told() if frame.kind == frames.JOIN]
        for join in joins:
            self.page(join, *messages, head=head, gaps=gaps, more=more)
        return joins

    def page(
        self,
        join: frames.Frame,
        *messages: tuple[bytes, bytes, int],
        head: int,
        gaps: tuple[bytes, ...] = (),
        more: bool = False,
    ) -> None:
        """Answer one join."""
        page = [
            frames.encode(frames.PAGE, number=join.number, offset=offset, channel=channel, data=data)
            for channel, data, offset in messages
        ]
        flags, names = frames.MORE if more else 0, frames.encode_names(gaps)
        end = frames.encode(frames.PAGE_END, flags=flags, number=join.number, offset=head, data=names)
        self.box(*page, end, head=head)

    def unlink(self) -> None:
        """The link is lost."""
        self.link.up = False
        self.hub.unlinked()

    def relink(self, epoch: bytes = EPOCH, head: int = 0) -> list[frames.Frame]:
        """The link stands again; the joins that were told."""
        self.link.up = True
        told = frames.decode(b"".join(self.hub.linked(epoch, head)))
        return [frame for frame in told if frame.kind == frames.JOIN]

    def counted(self) -> list[tuple[int, int]]:
        """What the hub has for the manager of broadcasts that are through: offset, and to how many it was written."""
        return [(frame.offset, frame.number) for frame in self.told() if frame.kind == frames.COUNTED]

    def told(self) -> list[frames.Frame]:
        """What the hub has for the manager."""
        return list(frames.decode(b"".join(self.hub.outgoing())))


def message(channel: bytes, data: bytes, offset: int, *, is_counted: bool = False) -> bytes:
    """The record of a message."""
    flags = frames.WANTS_RECEIPT if is_counted else 0
    return frames.encode(frames.MESSAGE, flags=flags, offset=offset, channel=channel, data=data)


def request(target: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request head."""
    lines = [f"{method} {target} HTTP/{version}", "Host: example.com", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")
