"""A server that the standard library's HTTP client talks to without a socket: what it says is written down before."""

from __future__ import annotations

import http.client
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import pytest

DATE: Final = "Sat, 28 Nov 2026 09:00:00 GMT"
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
#: What keeps an answer from coming.
Trouble = OSError | http.client.HTTPException


class Request(NamedTuple):
    """What has come."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """What is answered; `status` 0: the connection is closed without a word."""

    status: int
    body: bytes
    kind: str = JSON
    more: str = ""


class FakeServer:
    """Answers by path, the last answer of a path again and again.

    Attributes:
        requests: that have come.
        opened: connections that were opened.
        refuses: raised when a connection is opened; None: nothing is.
        fails: raised when something is sent.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.opened = 0
        self.refuses: Exception | None = None
        self.fails: Exception | None = None
        self._answers: dict[str, list[Answer | Exception]] = {}
        self._watched: list[int] = []

    def says(self, path: str, value: Any, status: int = 200, kind: str = JSON, more: str = "") -> None:
        """Answer a path; bytes as they are, else JSON. An exception is raised when the answer is read."""
        if isinstance(value, Exception):
            self._answers.setdefault(path, []).append(value)
            return
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self._answers.setdefault(path, []).append(Answer(status, body, kind, more))

    def refuses_with(self, path: str, status: int, code: str, detail: str = "", pointer: str = "") -> None:
        """Answer a path by a problem."""
        problem: dict[str, Any] = {"status": status, "code": code, "detail": detail, "request_id": "r-1"}
        if pointer:
            problem["errors"] = [{"pointer": pointer, "detail": detail}]
        self.says(path, problem, status, PROBLEM)

    def answer(self, sent: bytes) -> bytes:
        """Return the bytes of the answer to the bytes of a request."""
        head, _, body = sent.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        self.requests.append(Request(method, path, dict(line.split(": ", 1) for line in lines), body))
        answers = self._answers[path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if not answer.status:
            return b""
        return (
            f"HTTP/1.1 {answer.status} Told\r\nContent-Type: {answer.kind}\r\nDate: {DATE}\r\n{answer.more}"
            f"Content-Length: {len(answer.body)}\r\n\r\n"
        ).encode() + answer.body

    def hang_up(self) -> None:
        """Close the connections that are kept."""
        for fd in self._watched:
            os.close(fd)
        self._watched.clear()

    def open(self) -> FakeSocket:
        """Return a connection."""
        if self.refuses is not None:
            raise self.refuses
        self.opened += 1
        ours, theirs = os.pipe()
        self._watched.append(theirs)
        return FakeSocket(self, ours)


class FakeSocket:
    """The client's end of a connection; `fileno` is readable when the server has hung up."""

    def __init__(self, server: FakeServer, fd: int) -> None:
        self._server = server
        self._fd = fd
        self._sent = b""

    def sendall(self, data: bytes) -> None:
        if self._server.fails is not None:
            raise self._server.fails
        self._sent += data

    def makefile(self, *_: object) -> io.BytesIO:
        sent, self._sent = self._sent, b""
        return io.BytesIO(self._server.answer(sent))

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server that every HTTP connection of the standard library goes to."""
    server = FakeServer()

    def connect(self: http.client.HTTPConnection) -> None:
        self.sock = server.open()  # type: ignore[assignment]

    monkeypatch.setattr(http.client.HTTPConnection, "connect", connect)
    monkeypatch.setattr(http.client.HTTPSConnection, "connect", connect)
    yield server
    server.hang_up()


def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the settings of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("MEGACOMET_") or name == "STATE_DIRECTORY"]:
        monkeypatch.delenv(name)


#: As `/api/stats` and `/api/workers` tell them.
STATS: Final[dict[str, Any]] = {
    "version": "1.2.3",
    "started": "2026-11-27T08:00:00Z",
    "connections": {"poll": 1_000_000, "sse": 2, "stream": 0, "ws": 1},
    "messages": {"in": 5, "out": 1234},
    "store": {"messages": 7, "bytes": 1_500_000, "channels": 3, "waiting": 0},
    "memory": {"manager": 40_000_000, "zygote": 900, "workers": 360_000_000},
}


def worker(number: int, **more: Any) -> dict[str, Any]:
    """Return a worker as `/api/workers` tells it."""
    return {
        "worker": number,
        "state": "up",
        "pid": 800 + number,
        "connections": {"poll": 3, "sse": 1, "stream": 0, "ws": 2},
        "open": 9,
        "memory_bytes": 7_600_000,
        "cpu_s": 12.5,
        "cpu_share": 0.04,
        "lag_s": 0.0004,
        "uptime_s": 3600.1,
        "restarts": 1,
        "last_end": "it was ended by SIGKILL",
        "drain": None,
        **more,
    }
