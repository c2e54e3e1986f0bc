"""A double of the server's `/comet/events`, after docs/reference/streams.md, which can lose or repeat a message.

It stands for the server where the test itself is tested: a check that a right server passes must catch a wrong one.
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from megacomet.wire import streams

Log = list[tuple[int, str, bytes]]
#: From what is kept of a channel and what was missed of it to what is written when a client comes back, once.
Fault = Callable[[Log, Log], Log]
RETRY_MS: Final = 10
EPOCH: Final = "d0"


def faultless(kept: Log, missed: Log) -> Log:
    """Write what was missed."""
    return missed


def loses_one(kept: Log, missed: Log) -> Log:
    """Leave out the first one."""
    return missed[1:]


def repeats_one(kept: Log, missed: Log) -> Log:
    """Begin with the last one that was written before."""
    before = kept[: len(kept) - len(missed)]
    return before[-1:] + missed


def mixes_up_two(kept: Log, missed: Log) -> Log:
    """Write the first two the wrong way round."""
    return missed[1::-1] + missed[2:]


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, fault: Fault) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.faults = [fault]
        self.log: Log = []
        self.changed = threading.Condition()
        self.is_over = False

    def page(self, kept: Log, missed: Log) -> Log:
        """Return what a client that comes back is given: once with the fault, when it can be seen."""
        if len(missed) < 2 or len(missed) == len(kept) or not self.faults:
            return missed
        return self.faults.pop()(kept, missed)

    def handle_error(self, request: object, client_address: object) -> None:
        """Be silent about connections that are cut; whatever else it is, the clients come to no end then."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        if path.path == "/comet/events":
            self._events(parse_qs(path.query))
        else:
            self._answer(b"ok")

    def do_POST(self) -> None:
        push = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.changed:
            server.log.append((len(server.log) + 1, push["channel"], json.dumps(push["data"]).encode()))
            server.changed.notify_all()
        self._answer(b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _events(self, query: dict[str, list[str]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache, no-transform")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        since = self.headers["Last-Event-ID"] or query.get("lastEventId", [""])[0]
        try:
            for piece in self._pieces(query["channel"], since):
                self.wfile.write(piece)
        except OSError:
            self.close_connection = True

    def _pieces(self, channels: list[str], since: str) -> Iterator[bytes]:
        server = self.server
        with server.changed:
            kept = [entry for entry in server.log if entry[1] in channels]
            stands = len(server.log)
        start = int(since.partition("-")[2]) if since else stands
        missed = [entry for entry in kept if entry[0] > start]
        if missed:
            stands = missed[-1][0]
        page = server.page(kept, missed)
        first = f"{EPOCH}-{start if missed else stands}".encode()
        head = streams.retry(streams.SSE, RETRY_MS) + streams.position(streams.SSE, first)
        yield head + b"".join(map(_message, page))
        while True:
            with server.changed:
                while not server.is_over and len(server.log) <= stands:
                    server.changed.wait()
                if server.is_over:
                    return
                news, stands = server.log[stands:], len(server.log)
            yield b"".join(_message(entry) for entry in news if entry[1] in channels)


def _message(entry: tuple[int, str, bytes]) -> bytes:
    offset, channel, data = entry
    return streams.message(streams.SSE, channel.encode(), f"{EPOCH}-{offset}".encode(), data)


@contextmanager
def stream_double(fault: Fault = faultless) -> Iterator[int]:
    """Run a double; yields its port on the loopback."""
    with _Server(fault) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server.server_address[1]
        with server.changed:
            server.is_over = True
            server.changed.notify_all()
        server.shutdown()
        thread.join()
