"""Messages a second and core of the Python client, beside a bare Autobahn client that only counts.

Each runs in a process of its own and is sent the same frames by this one, as the server makes them: as many at once as
the connection takes (in bursts), or one after the other with pauses, so that each is a read of its own (singly). What
counts is the processor's time between the first message and the last; the two take turns.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import attrs

from bench.figures import Figure, Options, ratios
from bench.processes import ROOT
from megacomet.wire import streams

DATA_BYTES = 100
#: So many frames are joined to one write; the kernel cuts it as it likes.
_WRITTEN_AT_ONCE = 500
_LONGEST_S = 120.0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@attrs.frozen
class Pace:
    """How messages are sent.

    Attributes:
        name: for the figures.
        messages: how many.
        pause_s: behind each; 0: none, they are written in bursts.
    """

    name: str
    messages: int
    pause_s: float


PACES = (Pace("in bursts", 50_000, 0.0), Pace("singly", 3_000, 0.000_4))


def run(options: Options) -> list[Figure]:
    """Measure both paces."""
    return [figure for pace in PACES for figure in _measure(pace, options.pairs)]


def _measure(pace: Pace, pairs: int) -> list[Figure]:
    rates: dict[str, list[float]] = {"bare": [], "client": []}
    for _ in range(pairs):
        for kind, found in rates.items():
            found.append(rate(kind, pace))
    ratio, detail = ratios(rates["client"], rates["bare"])
    figures = [
        Figure(
            f"{name}, {pace.name}", sorted(rates[kind])[pairs // 2], "messages/s of a core", detail=_all(rates[kind])
        )
        for kind, name in (("bare", "bare Autobahn"), ("client", "Client.listen"))
    ]
    return [*figures, Figure(f"ratio, {pace.name}", ratio, "", detail=detail)]


def _all(rates: list[float]) -> str:
    return " ".join(f"{each:,.0f}" for each in rates)


def rate(kind: str, pace: Pace) -> float:
    """Return how many messages a second of processor time a client takes.

    Raises:
        RuntimeError: it did not get them all.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_LONGEST_S)
        command = [sys.executable, "-m", "bench.listening", kind, str(listener.getsockname()[1]), str(pace.messages)]
        with _running(command) as client:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(_LONGEST_S)
                _send(connection, pace)
                told, _ = client.communicate(timeout=_LONGEST_S)
    report = json.loads(told)
    if report["messages"] != pace.messages:
        raise RuntimeError(f"{kind}: {report['messages']:,} of {pace.messages:,} messages came")
    return float(report["messages"] / report["cpu_s"])


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def _send(connection: socket.socket, pace: Pace) -> None:
    """Answer the handshake, and send everything."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = b""
    while b"\r\n\r\n" not in head:
        if not (piece := connection.recv(65_536)):
            raise RuntimeError("the client has closed the connection")
        head += piece
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
    assert key is not None
    accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
    lines = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    connection.sendall(lines + b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept + streams.position(streams.WS, b"bench-0"))
    data = b'{"text":"%b"}' % (b"x" * DATA_BYTES)
    frames = [streams.message(streams.WS, b"bench", b"bench-%d" % n, data) for n in range(1, pace.messages + 1)]
    if not pace.pause_s:
        for begin in range(0, len(frames), _WRITTEN_AT_ONCE):
            connection.sendall(b"".join(frames[begin : begin + _WRITTEN_AT_ONCE]))
        return
    for frame in frames:
        connection.sendall(frame)
        time.sleep(pace.pause_s)
