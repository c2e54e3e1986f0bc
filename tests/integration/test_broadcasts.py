"""A broadcast at a pace to connections of every kind: paused, resumed, cancelled, and a worker dies in its middle."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.server import START_S, Server
from tests.integration.test_workers import LOOPBACK, Watcher, ask, watching

WORKERS: Final = 4
CONNECTIONS: Final = 2_000
#: A broadcast to all of them takes some seconds.
PER_S: Final = 500
MORE_THAN: Final = 300

_UPGRADE: Final = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Client:
    """One connection.

    Attributes:
        read: all that it was sent.
        is_gone: whether the server closed it.
    """

    def __init__(self, server: Server, number: int) -> None:
        self.kind = ("poll", "events", "ws")[number % 3]
        self.id = f"c{number}"
        self.socket = server.connect()
        self.read = b""
        self.is_gone = False
        self.listen("")

    def listen(self, since: str) -> None:
        """Ask for what comes."""
        more = f"&since={since}" if since else ""
        upgrade = _UPGRADE if self.kind == "ws" else ""
        head = f"GET /comet/{self.kind}?channel=news&client={self.id}{more} HTTP/1.1\r\nHost: test\r\n{upgrade}\r\n"
        self.socket.sendall(head.encode())

    def has(self, mark: bytes) -> int:
        """Tell how often it was sent something."""
        return self.read.count(mark)


class Crowd:
    """All connections, read as they are sent something."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.clients = [Client(server, n) for n in range(CONNECTIONS)]
        self._selector = selectors.DefaultSelector()
        for client in self.clients:
            client.socket.setblocking(False)
            self._selector.register(client.socket, selectors.EVENT_READ, client)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Read until something is so."""
        end = time.monotonic() + START_S
        while not is_so():
            ready = self._selector.select(max(0.0, end - time.monotonic()))
            assert ready, "nobody is sent anything any more"
            for key, _ in ready:
                self._read(key.data)

    def _read(self, client: Client) -> None:
        try:
            piece = client.socket.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        client.read += piece
        if not piece:
            client.is_gone = True
            self._selector.unregister(client.socket)

    def have(self, mark: bytes) -> int:
        """Return how many were sent something."""
        return sum(client.has(mark) > 0 for client in self.clients)

    def most(self, mark: bytes) -> int:
        """Return how often somebody was sent something at most."""
        return max(client.has(mark) for client in self.clients)

    def close(self) -> None:
        """Go."""
        self._selector.close()
        for client in self.clients:
            client.socket.close()


class Desk:
    """A server, its crowd, and who looks on."""

    def __init__(self, server: Server, crowd: Crowd, watcher: Watcher) -> None:
        self.server = server
        self.crowd = crowd
        self.watcher = watcher

    def ask(self, method: str, path: str = "", body: object = None, status: int = 200) -> dict[str, Any]:
        """Ask for something about broadcasts."""
        found, told = ask(self.server, method, f"/api/broadcasts{path}", body)
        assert found == status, told
        assert isinstance(told, dict)
        return told

    def start(self, mark: bytes, **order: object) -> dict[str, Any]:
        """Begin a broadcast."""
        return self.ask("POST", "", {"data": mark.decode(), "per_s": PER_S, **order}, 202)

    def push(self, mark: bytes, **target: object) -> None:
        """Publish a message as usual."""
        status, told = ask(self.server, "POST", "/api/push", {"data": mark.decode(), **target})
        assert status == 200, told


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Four workers, two thousand connections on one channel, and each with a mailbox."""
    with Server(tmp_path / "state", *LOOPBACK, workers=WORKERS) as server:
        crowd = Crowd(server)
        with watching(server.connect(), server.key, "?stats=1") as watcher:
            streams = sum(client.kind != "poll" for client in crowd.clients)
            crowd.until(lambda: sum(b"position" in client.read for client in crowd.clients) == streams)
            each = {kind: sum(c.kind == kind for c in crowd.clients) for kind in ("poll", "events", "ws")}
            there = {"poll": each["poll"], "sse": each["events"], "stream": 0, "ws": each["ws"]}
            watcher.wait("stats", connections=there)
            yield Desk(server, crowd, watcher)
        crowd.close()


def test_pause_resume_and_cancel(desk: Desk) -> None:
    """Paused it holds no direct message up; whom it has not reached when it is cancelled it never reaches."""
    crowd = desk.crowd
    order = {"everyone": True, "data": "first!", "per_s": PER_S}
    estimate = desk.ask("POST", "?estimate=1", order)
    assert estimate == {"connections": CONNECTIONS, "seconds": CONNECTIONS / PER_S, "bytes": len('"first!"')}
    begun = desk.start(b"first!", everyone=True)
    paused = desk.ask("POST", f"/{begun['id']}/pause")
    assert (begun["connections"], paused["state"], paused["lost"]) == (CONNECTIONS, "paused", 0)
    assert paused["written"] < CONNECTIONS
    crowd.until(lambda: crowd.have(b"first!") == paused["written"])

    sue = next(client for client in crowd.clients if client.kind == "events" and not client.has(b"first!"))
    desk.push(b"direct!", client=sue.id)
    crowd.until(lambda: sue.has(b"direct!") == 1)
    assert sue.read.index(b"first!") < sue.read.index(b"direct!")
    assert crowd.have(b"first!") == paused["written"] + 1

    assert desk.ask("POST", f"/{begun['id']}/resume")["state"] == "running"
    crowd.until(lambda: crowd.have(b"first!") == CONNECTIONS)
    desk.watcher.wait("broadcast", id=begun["id"], state="done", written=CONNECTIONS, connections=CONNECTIONS)
    assert crowd.most(b"first!") == 1

    second = desk.start(b"second!", channel="news")
    crowd.until(lambda: crowd.have(b"second!") > MORE_THAN)
    gone = desk.ask("DELETE", f"/{second['id']}")
    streams = sum(client.kind != "poll" for client in crowd.clients)
    assert (second["connections"], gone["connections"], gone["state"], gone["lost"]) == (
        streams,
        streams,
        "cancelled",
        0,
    )
    assert MORE_THAN < gone["written"] < streams
    desk.push(b"third!", everyone=True)
    crowd.until(lambda: crowd.have(b"third!") == streams)
    assert (crowd.have(b"second!"), crowd.most(b"second!")) == (gone["written"], 1)

    for client in crowd.clients:  # who comes back from before it has the rest, and no gap
        if client.kind == "poll":
            client.listen(begun["id"])
    crowd.until(lambda: crowd.have(b"third!") == CONNECTIONS)
    assert crowd.have(b"second!") == gone["written"]
    assert not any(b'"gaps":["' in client.read for client in crowd.clients)
    listed = desk.ask("GET")["broadcasts"]
    assert [(each["id"], each["state"]) for each in listed] == [(second["id"], "cancelled"), (begun["id"], "done")]


def test_a_worker_dies_in_the_middle(desk: Desk) -> None:
    """What was due at it is lost; the others' clients all get it, and it ends."""
    crowd = desk.crowd
    begun = desk.start(b"first!", everyone=True)
    crowd.until(lambda: crowd.have(b"first!") > MORE_THAN)
    desk.server.kill("worker 2")
    crowd.until(lambda: all(client.is_gone or client.has(b"first!") for client in crowd.clients))
    desk.watcher.wait("broadcast", id=begun["id"], state="done")
    told = desk.ask("GET", f"/{begun['id']}")
    there = sum(not client.is_gone for client in crowd.clients)
    assert (told["state"], told["written"] + told["lost"]) == ("done", CONNECTIONS)
    assert there <= told["written"] < CONNECTIONS
    assert crowd.most(b"first!") == 1
