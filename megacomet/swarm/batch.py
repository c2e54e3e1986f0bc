"""Owns one `POST /api/batch`: numbered messages or a file's lines, sent as they are made, and the one answer."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from megacomet.swarm.answers import Answer, BadAnswer, cut
from megacomet.swarm.check import Published, text_of
from megacomet.swarm.publisher import PushPlan

_CHUNK_BYTES: Final = 64 * 1024
#: The server pauses a batch while a link is full; longer than this without taking a byte or answering, it is stuck.
_STALL_S: Final = 60.0


class Batch:
    """One batch to the plan's clients, in turns: message i goes to client i modulo their number."""

    def __init__(self, plan: PushPlan, source: str, commands: int) -> None:
        self._plan = plan
        self._source = source
        self._commands = commands
        self.numbered = int(source) if source.isdecimal() else 0
        self.published = Published(plan.count)
        self.lines = 0
        self.answer: dict[str, Any] = {}
        self.error = ""
        self.first_ns = self.last_ns = 0

    def run(self) -> None:
        """Send everything and read the answer; `error` tells what went wrong."""
        self.first_ns = time.monotonic_ns()
        try:
            with socket.socket(self._plan.family) as connection:
                connection.settimeout(10)
                connection.connect(self._plan.address)
                connection.setblocking(False)
                answer = self._exchange(connection)
            self._settle(answer)
        except (OSError, BadAnswer) as e:
            self.error = str(e) or type(e).__name__
            self.published.untold = self.published.given_out
        self.last_ns = time.monotonic_ns()

    @property
    def acknowledged(self) -> int:
        """Numbered messages that the server promised to deliver."""
        return self.published.given_out - self.published.not_acknowledged

    def counts(self) -> dict[str, Any]:
        """Return the outcome as plain data."""
        return {
            "lines": self.lines,
            "answer": self.answer,
            "error": self.error,
            "acknowledged": self.acknowledged,
            "promised": self.acknowledged,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
        }

    # making

    def _lines(self) -> Iterator[bytes]:
        if not self.numbered:
            yield from Path(self._source).read_bytes().splitlines(keepends=True)
            return
        prefix = json.dumps(self._plan.prefix)[1:-1]
        count, first = self._plan.count, self._plan.first
        for i in range(self.numbered):
            client = i % count
            name = f"{prefix}{first + client}"
            text = text_of(self.published.next_number(client), name, time.monotonic_ns())
            yield f'{{"client":"{name}","data":"{text}"}}\n'.encode()

    def _pieces(self) -> Iterator[bytes]:
        plan = self._plan
        yield (
            f"POST /api/batch HTTP/1.1\r\nHost: {plan.host}\r\nAuthorization: Bearer {plan.key}\r\n"
            "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        ).encode()
        for count, piece in _gathered(self._lines()):
            self.lines += count
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"

    # exchanging

    def _exchange(self, connection: socket.socket) -> Answer:
        data = b""
        for piece in self._pieces():
            left = memoryview(piece)
            while left:
                if self._wait(connection, select.POLLIN | select.POLLOUT) & select.POLLIN:
                    return self._read(connection, data)  # answered before its end: a refusal
                left = left[connection.send(left) :]
        return self._read(connection, data)

    def _read(self, connection: socket.socket, data: bytes) -> Answer:
        while True:
            self._wait(connection, select.POLLIN)
            piece = connection.recv(65536)
            data += piece
            answer = cut(data, not piece)
            if answer is not None:
                return answer
            if not piece:
                raise BadAnswer("the connection ended without an answer")

    def _wait(self, connection: socket.socket, events: int) -> int:
        poll = select.poll()
        poll.register(connection, events)
        poll.register(self._commands, select.POLLIN)
        ready = dict(poll.poll(_STALL_S * 1000))
        if self._commands in ready:
            raise OSError("interrupted")
        if not ready:
            raise OSError(f"no progress in {_STALL_S:.0f} s")
        return ready[connection.fileno()]

    # settling

    def _settle(self, answer: Answer) -> None:
        if answer.status not in (200, 422):
            self.error = f"http {answer.status}: {answer.body[:200].decode('utf-8', 'replace')}"
            self.published.untold = self.published.given_out
            return
        try:
            self.answer = json.loads(answer.body)
        except ValueError:
            raise BadAnswer("the answer is not JSON") from None
        if not self.numbered or not self.answer.get("failed"):
            return
        told = self.answer.get("errors", [])
        for error in told:
            turn, client = divmod(error["line"] - 1, self._plan.count)
            self.published.unacknowledged(client, turn + 1)
        self.published.untold = self.answer["failed"] - len(told)


def _gathered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _CHUNK_BYTES:
            yield len(held), b"".join(held)
            held, size = [], 0
    if held:
        yield len(held), b"".join(held)
