"""What open consoles cost the server: accepting and fan-out with five against none, the manager's CPU by their number.

A console is a session of its own that reads `/console/api/events?live=1`, as each open page does: the server cannot
tell it from a browser, whose own work is no part of this (`console_pages`). For accepting and fan-out: `bench.beside`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

from bench import measure
from bench.beside import WORKERS, compared
from bench.figures import Figure, Options
from bench.meanwhile import meanwhile
from bench.processes import Server, megacomet

CONSOLES = 5
NUMBERS = (0, 1, 5, 20)
_READ_S = 60.0


def run(options: Options) -> list[Figure]:
    """Measure with and without, and one server with more and more of them."""
    figures = compared(f"{CONSOLES} consoles", lambda server: consoles(server, CONSOLES), options)
    return figures + _by_number(options.workers or WORKERS, options.seconds)


def _by_number(workers: int, seconds: float) -> list[Figure]:
    """Return what the manager uses of a processor by the number of consoles; nothing else is connected."""
    figures = []
    with megacomet(workers) as server:
        manager = server.pids()[:1]
        for number in NUMBERS:
            with consoles(server, number):
                measure.settled_cpu_s(server.pids())
                before = measure.cpu_s(manager)
                threading.Event().wait(seconds)
                ms = (measure.cpu_s(manager) - before) / seconds * 1000
            figures.append(
                Figure(f"the manager with {number} consoles", ms, "ms CPU a second", detail=f"{seconds:g} s")
            )
    return figures


def sign_in(server: Server) -> str:
    """Begin a session; return its cookie.

    Raises:
        RuntimeError: the server does not let us in.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_READ_S)
    try:
        body = json.dumps({"key": server.key})
        connection.request("POST", "/console/session", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"no session: {answer.status} {told[:200]!r}")
        return (answer.getheader("Set-Cookie") or "").partition(";")[0]
    finally:
        connection.close()


@contextlib.contextmanager
def consoles(server: Server, number: int) -> Iterator[None]:
    """Keep so many consoles open; when the block begins each has had its first frame.

    Raises:
        RuntimeError: at the end, when a stream has broken meanwhile.
    """
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(number):
            selector.register(stack.enter_context(_console(server)), selectors.EVENT_READ)
        broken: list[str] = []
        with meanwhile(lambda over: _read(selector, over, broken)):
            yield
        if broken:
            raise RuntimeError(f"{len(broken)} of {number} live streams broke: {broken[0]}")


def _console(server: Server) -> socket.socket:
    """Open one; return its live stream, of which the first frame was read."""
    cookie = sign_in(server)
    stream = socket.create_connection(("127.0.0.1", server.port), _READ_S)
    stream.sendall(f"GET /console/api/events?live=1 HTTP/1.1\r\nHost: bench\r\nCookie: {cookie}\r\n\r\n".encode())
    data = b""
    while b"event: live" not in data:
        piece = stream.recv(65_536)
        data += piece
        if not piece or not data.startswith(b"HTTP/1.1 200 "[: len(data)]):
            stream.close()
            raise RuntimeError(f"no live stream: {data[:200]!r}")
    return stream


def _read(selector: selectors.BaseSelector, over: threading.Event, broken: list[str]) -> None:
    """Read and forget what comes; note whose stream ends."""
    while not over.wait(0.05):
        for key, _ in selector.select(0):
            try:
                piece, why = key.fileobj.recv(65_536), "closed by the server"  # type: ignore[union-attr]
            except OSError as e:
                piece, why = b"", str(e)
            if not piece:
                selector.unregister(key.fileobj)
                broken.append(why)
