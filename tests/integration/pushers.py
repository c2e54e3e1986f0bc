"""Many publishers at once on connections that they keep, served by one thread.

Each pushes one message after the other, the next when the last is answered. Where it is told to, it does what the
reference asks of a publisher: a push whose connection has ended, or that was answered 503, is sent again on a new
connection, with the same key; and behind the last answer of a connection it goes on with another one.
"""

from __future__ import annotations

import json
import selectors
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self

from tests.integration.server import START_S, Server

#: What a publisher without retries notes of a request whose connection has ended without an answer.
ENDED: Final = 0


def request_of(body: dict[str, Any], key: str, path: str = "/api/push") -> bytes:
    """Return a request that pushes."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


class Publisher:
    """One of them.

    Attributes:
        answers: statuses and bodies, in order; `ENDED` for a connection that has ended instead.
        retries: how often something was sent again.
    """

    def __init__(self, crowd: Crowd, requests: Iterable[bytes]) -> None:
        self._crowd = crowd
        self._todo = deque(requests)
        self._read = b""
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.retries = 0
        self.socket = crowd.open(self)

    def push(self) -> None:
        """Send what is next."""
        if self._todo:
            try:
                self.socket.sendall(self._todo[0])
            except OSError:
                self._ended()

    def add(self, request: bytes) -> None:
        """Have one more to send."""
        self._todo.append(request)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be sent."""
        return not self._todo

    def receive(self) -> None:
        """Take what has come."""
        try:
            data = self.socket.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self._ended()
            return
        self._read += data
        head, blank, body = self._read.partition(b"\r\n\r\n")
        if not blank:
            return
        headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(headers[b"Content-Length"])
        if len(body) < length:
            return
        assert len(body) == length, "more than one answer"
        self._read = b""
        status = int(head.split(b" ", 2)[1])
        if status == 503 and self._crowd.is_retrying:
            self._ended()
            return
        self._todo.popleft()
        self.answers.append((status, json.loads(body)))
        if headers.get(b"Connection") == b"close":
            self._crowd.close(self)
            if not self._crowd.is_retrying:
                self._todo.clear()
            elif self._todo:
                self.socket = self._crowd.open(self)
        self.push()

    def _ended(self) -> None:
        self._read = b""
        self._crowd.close(self)
        if not self._todo:
            return
        if self._crowd.is_retrying:
            self.retries += 1
            self.socket = self._crowd.open(self)
            self.push()
        else:
            self.answers.append((ENDED, {}))
            self._todo.clear()


class Crowd:
    """All of them; a context manager.

    Attributes:
        publishers: them.
        is_retrying: whether they send again what was not acknowledged.
    """

    def __init__(self, server: Server, requests: Iterable[Iterable[bytes]], *, is_retrying: bool = False) -> None:
        """Connect.

        Args:
            server: where to.
            requests: those of each.
            is_retrying: see the class.
        """
        self._server = server
        self._selector = selectors.DefaultSelector()
        self.is_retrying = is_retrying
        self.publishers = [Publisher(self, some) for some in requests]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for publisher in self.publishers:
            publisher.socket.close()
        self._selector.close()

    def open(self, publisher: Publisher) -> socket.socket:
        """Open a connection."""
        connection = self._server.connect()
        self._selector.register(connection, selectors.EVENT_READ, publisher)
        return connection

    def close(self, publisher: Publisher) -> None:
        """Close one, which may be closed already."""
        if publisher.socket.fileno() >= 0:
            self._selector.unregister(publisher.socket)
            publisher.socket.close()

    def push(self) -> None:
        """Have all of them send."""
        for publisher in self.publishers:
            publisher.push()

    def run(self, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Serve them until all are done, or it is enough; each event is waited for no longer than a start takes."""
        while not is_enough() and not all(publisher.is_done for publisher in self.publishers):
            events = self._selector.select(START_S)
            assert events, f"nobody is answered: {self.statuses()}"
            for key, _ in events:
                if key.fileobj is key.data.socket:
                    key.data.receive()

    def statuses(self) -> Counter[int]:
        """Count all answers."""
        return Counter(status for publisher in self.publishers for status, _ in publisher.answers)

    @property
    def answered(self) -> int:
        """How many requests were answered by now."""
        return sum(len(publisher.answers) for publisher in self.publishers)
