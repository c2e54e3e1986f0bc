"""Workers that are drained, taken back and restarted while a feed runs, and what a reader of events sees of it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from tests.event_stream import EventStream
from tests.integration.server import LINE_S, START_S, Server, read_all
from tests.integration.websockets import BLOCKING

LOOPBACK: Final = ("--port=0", "--interface=127.0.0.1")
KEPT: Final = ("--history-s=3600", "--history-messages=100000", "--mailbox-messages=10000")
#: Clients of each way.
EACH: Final = 4
#: Numbers that may be under way: some come live, some while the client is on its way to another worker.
UNDER_WAY: Final = 40
#: Slow enough for numbers to come in the middle of a drain.
PER_S: Final = 20


def ask(server: Server, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Ask the API; return status and the answer's JSON."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=LINE_S)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Authorization": f"Bearer {server.key}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class Watcher:
    """A reader of events, in a thread of its own."""

    def __init__(self, connection: socket.socket, key: str, query: str = "") -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self._changed = threading.Condition()
        self._socket = connection
        self._socket.settimeout(None)
        head = f"GET /api/events{query} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\n\r\n"
        self._socket.sendall(head.encode())
        self.ended = threading.Thread(target=self._read)
        self.ended.start()
        self.wait("position")

    def _read(self) -> None:
        file = self._socket.makefile("rb")
        head = b"".join(iter(file.readline, b"\r\n"))
        assert head.startswith(b"HTTP/1.1 200 "), head
        stream = EventStream()
        while line := file.readline():
            with self._changed:
                self.seen += [(event.type, json.loads(event.data)) for event in stream.receive(line)]
                self._changed.notify_all()

    def has(self, name: str, after: int = 0, **data: object) -> bool:
        """Tell whether an event has come that has this data among its own."""
        return any(seen == name and data.items() <= told.items() for seen, told in self.seen[after:])

    def wait(self, name: str, after: int = 0, **data: object) -> None:
        """Wait for such an event."""
        with self._changed:
            there = self._changed.wait_for(lambda: self.has(name, after, **data), START_S)
        assert there, f"no {name} {data} among {self.seen[after:]}"

    def close(self) -> None:
        """Go."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self.ended.join()
        self._socket.close()


@contextmanager
def watching(connection: socket.socket, key: str, query: str = "") -> Iterator[Watcher]:
    """A reader of events that goes at the end."""
    watcher = Watcher(connection, key, query)
    try:
        yield watcher
    finally:
        watcher.close()


class Feed:
    """The numbers that are published, and how far each of those who hear them is.

    Attributes:
        published: how many there were.
        last: the last of them, with which it is over; -1: nobody knows yet.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._heard: dict[str, int] = {}
        self._changed = threading.Condition()
        self.published = 0
        self.last = -1

    def join(self, name: str) -> None:
        """Somebody hears from the beginning."""
        with self._changed:
            self._heard[name] = -1
            self._changed.notify_all()

    def heard(self, name: str, number: int) -> None:
        """Somebody has heard a number."""
        with self._changed:
            self._heard[name] = number
            self._changed.notify_all()

    def wait_for(self, true: Callable[[dict[str, int]], bool]) -> None:
        """Wait for something to be true of how far everybody is."""
        with self._changed:
            assert self._changed.wait_for(lambda: true(self._heard), START_S), self._heard

    def publish(self, least: int, until: Callable[[], bool] = lambda: True) -> None:
        """Publish so many numbers, and more until something is true; wait for whoever is far behind."""
        last = self.published + least
        while self.published < last or not until():
            number = self.published
            self.wait_for(lambda heard: min(heard.values()) >= number - UNDER_WAY)  # noqa: B023  # it is called here
            answer = self._server.push({"channels": ["feed", "@sue"], "data": number})
            assert answer.startswith(b"HTTP/1.1 200 "), answer
            self.published += 1

    def end(self) -> None:
        """Publish the last number."""
        self.last = self.published
        self.publish(1)


class IHears(Protocol):
    """A way to hear the feed."""

    def numbers(self) -> Iterator[int]:
        """Yield what comes, over all connections that it takes."""


class Streams:
    """A stream that comes back to where it was as soon as it ends."""

    def __init__(self, way: str, server: Server) -> None:
        self._way, self._server = way, server

    def numbers(self) -> Iterator[int]:
        """See `IHears`."""
        position = ""
        while True:
            reader = BLOCKING[self._way](self._server.port, f"channel=feed&since={position or 'oldest'}")
            while told := at_once(reader.next()):
                assert told["op"] in ("message", "position"), told
                position = told.get("id") or told["position"]
                if told["op"] == "message":
                    yield told["data"]
            at_once(reader.close())


def at_once(asked: Coroutine[Any, Any, Any]) -> Any:
    """Return what something gives that only looks as if it waited."""
    try:
        asked.send(None)
    except StopIteration as e:
        return e.value
    raise AssertionError("it waits")


class Polls:
    """A poll after the other on one connection, as long as it may stay open."""

    def __init__(self, server: Server, path: str) -> None:
        self._server, self._path = server, path

    def answers(self) -> Iterator[tuple[int, bytes]]:
        """Yield status and body of each, and let whoever takes them set the position."""
        self.position = "oldest"
        while True:
            connection = http.client.HTTPConnection(self._server.host, self._server.port, timeout=START_S)
            is_open = True
            while is_open:
                try:
                    connection.request("GET", self._path.format(self.position))
                    answer = connection.getresponse()
                except (ConnectionError, http.client.HTTPException):
                    break  # between two polls the other end may close at any time
                body = answer.read()
                is_open = not answer.will_close
                yield answer.status, body
            connection.close()


class ObjectPolls(Polls):
    """`/comet/poll`, with positions."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, "/comet/poll?channel=feed&since={}&timeout=60")

    def numbers(self) -> Iterator[int]:
        """See `IHears`."""
        for status, body in self.answers():
            assert status == 200, body
            told = json.loads(body)
            assert not told["gap"], told
            self.position = told["position"]
            yield from (message["data"] for message in told["messages"])


class Mailbox(Polls):
    """`/sue.js`, the oldest way: without a position, a message an answer."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, "/sue.js")

    def numbers(self) -> Iterator[int]:
        """See `IHears`."""
        for status, body in self.answers():
            if status != 204:
                assert status == 200, body
                yield json.loads(body)


def hear(feed: Feed, name: str, way: IHears) -> list[int]:
    """Hear the feed to its end; return all numbers that came."""
    numbers = []
    for number in way.numbers():
        numbers.append(number)
        feed.heard(name, number)
        if number == feed.last:
            break
    return numbers


def left_at(server: Server, number: int) -> int:
    """Return how many connections a worker has."""
    _, answer = ask(server, "GET", "/api/workers")
    left: int = answer[number]["open"]
    return left


def test_nothing_is_lost_when_workers_are_drained_and_restarted(tmp_path: Path) -> None:
    """On every transport, numbers come once and in order, while one worker after the other lets its clients go."""
    with (
        Server(tmp_path / "state", *LOOPBACK, *KEPT, workers=3) as server,
        watching(server.connect(), server.key) as watcher,
        ThreadPoolExecutor(64) as threads,
    ):
        feed = Feed(server)
        ways: dict[str, IHears] = {f"{way} {n}": Streams(way, server) for way in BLOCKING for n in range(EACH)}
        ways |= {f"poll {n}": ObjectPolls(server) for n in range(EACH)}
        ways["mailbox"] = Mailbox(server)
        for name in ways:
            feed.join(name)
        hearing = {name: threads.submit(hear, feed, name, way) for name, way in ways.items()}
        feed.publish(UNDER_WAY)
        feed.wait_for(lambda heard: min(heard.values()) >= 0)

        # one goes, and the others have all
        assert ask(server, "POST", "/api/workers/0/drain", {"per_s": PER_S})[0] == 202
        feed.publish(UNDER_WAY, lambda: watcher.has("worker-drained", worker=0))
        assert left_at(server, 0) == 0
        assert b'"ready":true' in server.get("/readyz")

        # it comes back, the others go, and it has all
        assert ask(server, "DELETE", "/api/workers/0/drain") == (202, {"worker": 0, "state": "up"})
        for number in (1, 2):
            assert ask(server, "POST", f"/api/workers/{number}/drain", {"per_s": PER_S})[0] == 202
        assert ask(server, "POST", "/api/workers/0/drain")[0] == 409
        for number in (1, 2):
            feed.publish(UNDER_WAY, lambda n=number: watcher.has("worker-drained", worker=n))  # type: ignore[misc]
            assert left_at(server, number) == 0

        # and it is replaced
        for number in (1, 2):
            assert ask(server, "DELETE", f"/api/workers/{number}/drain")[0] == 202
        before = len(watcher.seen)
        assert ask(server, "POST", "/api/workers/0/restart") == (202, {"worker": 0, "state": "restarting"})
        feed.publish(UNDER_WAY, lambda: watcher.has("worker-up", before, worker=0))
        watcher.wait("worker-down", before, worker=0, why="it ended with status 0", again_in_s=0.0)

        feed.end()
        for name, numbers in hearing.items():
            assert numbers.result(START_S) == list(range(feed.published)), name


def test_a_drained_worker_that_dies(tmp_path: Path) -> None:
    """Its successor takes clients as others do, and a reader of events sees how it went."""
    with (
        Server(tmp_path / "state", *LOOPBACK) as server,
        watching(server.connect(), server.key) as watcher,
    ):
        assert ask(server, "POST", "/api/workers/1/drain")[0] == 202
        watcher.wait("worker-drained", worker=1)
        pid = server.kill("worker 1")
        watcher.wait("worker-down", worker=1, pid=pid, why="it was ended by SIGKILL")
        watcher.wait("worker-up", worker=1)
        assert watcher.has("worker-up", pid=server.pid("worker 1"))
        _, answer = ask(server, "GET", "/api/workers")
        one = answer[1]
        assert (one["state"], one["drain"], one["restarts"]) == ("up", None, 1)
        assert one["memory_bytes"] > 1_000_000
        assert ask(server, "GET", "/nothing")[0] == 404
        watcher.wait("requests-refused", reasons={"not-found": 1})


def test_the_only_worker_is_restarted(tmp_path: Path) -> None:
    """It cannot be drained; who comes while it ends waits for its successor, and is not refused."""
    with Server(tmp_path / "state", *LOOPBACK, workers=1) as server, server.connect() as stream:
        stream.sendall(b"GET /comet/events?channel=a HTTP/1.0\r\nHost: test\r\n\r\n")
        assert stream.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert ask(server, "POST", "/api/workers/0/drain")[1]["code"] == "conflict"
        before = server.pid("worker 0")
        assert ask(server, "POST", "/api/workers/0/restart")[0] == 202
        assert b"retry: " in read_all(stream)
        # the worker waits for us to close: it has not ended
        assert server.pid("worker 0") == before
        clients = [server.connect() for _ in range(20)]
        for client in clients:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        stream.close()
        for client in clients:
            with client:
                assert read_all(client).endswith(b"ok")
        assert server.pid("worker 0") != before


def test_events_with_admin(tmp_path: Path) -> None:
    """A reader at the admin endpoint sees the same, and is let go when the server stops."""
    door = tmp_path / "admin.sock"
    with Server(tmp_path / "state", *LOOPBACK, f"--admin=unix:{door}") as server:
        assert b" 404 " in server.get("/api/events")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(door))
            watcher = Watcher(connection, server.key)
            server.kill("worker 0")
            watcher.wait("worker-up", worker=0)
            server.stop()
            watcher.ended.join(LINE_S)
            assert not watcher.ended.is_alive()
