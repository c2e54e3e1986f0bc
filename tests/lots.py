"""A lot under test without a reactor: its turns and seconds are called by the test, its peers are real sockets."""

from __future__ import annotations

import gc
import os
import resource
import select
import socket
import struct
from collections.abc import Callable
from typing import Any

from megacomet.kinds import CLOSES, IDLE, LINGERS, STATE
from megacomet.parking import ParkingLot
from megacomet.rows import Rows

#: How long a test waits for what the kernel has been told to do; it mostly has done it already.
PATIENCE_S = 10
HEAD_S = 10
KEEP_ALIVE_S = 75
BACKLOG_BYTES = 1_000_000
OWED_BYTES = 100_000_000


class Lines:
    """A front whose requests are lines: it parks on `park`, and answers anything else in the way the line names."""

    def __init__(self, lot: ParkingLot) -> None:
        self.rows = lot.rows
        self.seen: list[tuple[Any, ...]] = []
        self.size = 1
        self.timeout_s = float("inf")
        self.turns = 0
        lot.front = self

    def received(self, fd: int, data: bytes, known: int) -> None:
        self.seen.append(("received", data, known))
        while True:
            line, end, rest = data.partition(b"\n")
            if not end:
                self.rows.keep(fd, data)
                return
            self.serve(fd, line)
            if not rest:
                return
            data = rest
            if self.rows.kinds[fd] & STATE != IDLE:
                self.rows.hold(fd, data)
                return
            self.rows.begin(fd)

    def serve(self, fd: int, line: bytes) -> None:
        flags = {b"last": CLOSES, b"park last": CLOSES, b"refuse": CLOSES | LINGERS}.get(line, 0)
        self.rows.flag(fd, flags)
        if line.startswith(b"park"):
            self.rows.park(fd, self.timeout_s)
            self.rows.keys[fd] = line
        elif line == b"boom":
            raise ZeroDivisionError(line)
        elif line == b"away":
            self.rows.release(fd)
        else:
            self.rows.answer(fd, line * self.size + b"\n")

    def answer(self, fd: int, data: bytes) -> bool:
        """Answer what waits, as a hub does: its key goes first."""
        self.rows.keys[fd] = None
        return self.rows.answer(fd, data)

    def gone(self, fd: int) -> None:
        self.seen.append(("gone", self.rows.keys[fd]))
        self.rows.keys[fd] = None

    def due(self, fd: int) -> None:
        self.seen.append(("due",))
        self.rows.flag(fd, CLOSES | LINGERS)
        self.answer(fd, b"too late\n")

    def turned(self) -> None:
        self.turns += 1


def a_lot(descriptors: int = 1_000_000, **options: Any) -> ParkingLot:
    """A lot on rows with usual bounds, without a front."""
    bounds = {
        "now": 0.0,
        "backlog_bytes": BACKLOG_BYTES,
        "head_s": HEAD_S,
        "keep_alive_s": KEEP_ALIVE_S,
        "owed_bytes": OWED_BYTES,
    }
    rows_options = {name: options.pop(name, value) for name, value in bounds.items()}
    return ParkingLot(Rows(**rows_options), descriptors=descriptors, **options)


class Ground:
    """A lot with its peers; closes all of them at the end of the test."""

    def __init__(self, lot: ParkingLot) -> None:
        self.lot = lot
        self.rows = lot.rows
        self.sockets: list[socket.socket] = []
        self.now = 0.0
        self._wakes = select.poll()
        self._wakes.register(lot.fileno(), select.POLLIN)

    def close(self) -> None:
        for each in self.sockets:
            each.close()
        for fd, kind in enumerate(self.rows.kinds):
            if kind & STATE > 1:
                self.rows.close(fd)
        self.rows.epoll.close()

    def listener(self, family: int = socket.AF_INET, address: Any = ("127.0.0.1", 0)) -> socket.socket:
        """A bound socket that nobody listens on."""
        listener = socket.socket(family)
        listener.bind(address)
        self.sockets.append(listener)
        return listener

    def connect(self, listener: socket.socket, data: bytes = b"") -> socket.socket:
        """A client that has connected and sent something."""
        client = socket.socket(listener.family)
        self.sockets.append(client)
        client.settimeout(PATIENCE_S)
        client.connect(listener.getsockname())
        client.sendall(data)
        return client

    def pair(self, data: bytes = b"") -> tuple[int, socket.socket]:
        """A connection in the lot and its client, which has sent something."""
        ours, client = socket.socketpair()
        self.sockets.append(client)
        client.settimeout(PATIENCE_S)
        client.sendall(data)
        fd = ours.detach()
        self.lot.adopt(fd, b"")
        if data:
            self.turn()
        return fd, client

    def turn(self) -> None:
        """One turn of the reactor."""
        self.lot.doRead()

    def until(self, true: Callable[[], Any]) -> None:
        """Turns, each when the kernel has events, until something is true; fails if there are no more."""
        while not true():
            assert self._wakes.poll(PATIENCE_S * 1000), "the kernel has no more events"
            self.lot.doRead()

    def settle(self) -> None:
        """Turns as long as the kernel has events."""
        for _ in range(1000):
            if not self._wakes.poll(0):
                return
            self.lot.doRead()
        raise AssertionError("the lot is never done")

    def pass_s(self, seconds: int) -> None:
        """Let seconds pass."""
        for _ in range(seconds):
            self.now += 1
            while self.lot.tick(self.now):
                pass


def read_all(client: socket.socket) -> bytes:
    """What a client reads up to the end of the connection; b"(reset)" at its end when it was reset."""
    parts = []
    while True:
        try:
            part = client.recv(65536)
        except ConnectionResetError:
            part = b""
            parts.append(b"(reset)")
        if not part:
            return b"".join(parts)
        parts.append(part)


def read_now(client: socket.socket) -> bytes:
    """What is there for a client to be read now."""
    client.setblocking(False)
    try:
        return client.recv(1 << 20)
    except BlockingIOError:
        return b"(nothing)"
    finally:
        client.settimeout(PATIENCE_S)


def reset(client: socket.socket) -> None:
    """Have a client reset its connection."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def next_descriptor() -> int:
    """The number that the next descriptor of this process gets."""
    gc.collect()  # what earlier tests left to it may have descriptors, and give them back in the middle of this one
    fd = os.open(os.devnull, os.O_RDONLY)
    os.close(fd)
    return fd


def descriptor_limit() -> int:
    """The process's limit."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
