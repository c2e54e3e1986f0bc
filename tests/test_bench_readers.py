"""The load client of the broadcasts counts every message once, however it is cut, and answers pings."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from bench.readers import Plan, Readers

MESSAGE = b"t=%020d"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that does what the test does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        yield listening


class Stream:
    """One stream, with both its ends."""

    def __init__(
        self,
        listener: socket.socket,
        transport: str,
        head: bytes,
        each: bool = False,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        port = listener.getsockname()[1]
        plan = Plan(
            *(0, 7, 1, port, transport, "/a/{n}"),
            rate=0,
            unanswered=1,
            each=each,
            nice=0,
            rest_s=0,
        )
        self.readers = Readers(plan, rest)
        self.readers.turn(0)
        self.peer, _ = listener.accept()
        self.peer.settimeout(30)
        self.until(lambda: b"\r\n\r\n" in self.peer.recv(4096, socket.MSG_PEEK))
        self.request = self.peer.recv(4096)
        self.peer.sendall(head)

    def until(self, reached: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while not reached():
            assert time.monotonic() < end
            self.readers.turn(0.01)

    def send(self, data: bytes, received: int) -> None:
        self.peer.sendall(data)
        self.until(lambda: self.readers.received >= received)


def message() -> bytes:
    return MESSAGE % time.monotonic_ns()


def frame(payload: bytes, opcode: int = 1) -> bytes:
    size = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + payload


@pytest.mark.parametrize("each", [False, True])
def test_events(listener: socket.socket, each: bool) -> None:
    """Messages of one length, of another, and many in one piece are all counted; the head is not.

    Of those in one piece only the last one's time is known, of one before a ping none's.
    """
    stream = Stream(listener, "sse", b"HTTP/1.1 200 OK\r\nContent-Type: a; charset=utf-8\r\n\r\n: hi\n\n", each)
    assert stream.request.startswith(b"GET /a/7 HTTP/1.1\r\n")
    began = time.monotonic_ns()
    for n in range(1, 4):
        stream.send(b"data: " + message() + b"\n\n", n)
    stream.send((b"id: 1\ndata: " + message() + b"\n\n") * 50, 53)
    stream.send(b"data: " + message() + b"\n\n", 54)
    readers = stream.readers
    assert (readers.received, readers.latency.count, readers.open) == (54, 5, 1)
    assert len(readers.each) == (5 if each else 0)
    assert began < readers.last_ns <= time.monotonic_ns()
    stood_at = readers.last_ns
    stream.send(b"data: " + message() + b"\n\n: ping\n\n", 55)
    assert (readers.last_ns, readers.latency.count) == (stood_at, 5)
    assert readers.shares() == {"least": 55, "most": 55, "reached": 1}


def test_unanswered(listener: socket.socket) -> None:
    """So many connections may be begun and not answered; the next one waits. How long all took is told."""
    plan = Plan(*(0, 0, 3, listener.getsockname()[1], "sse", "/"), rate=0, unanswered=2, each=False, nice=0, rest_s=0)
    readers, peers = Readers(plan), []
    listener.settimeout(0)
    for _ in range(20):
        readers.turn(0)
    peers = [listener.accept()[0] for _ in range(2)]
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.settimeout(30)
    for peer in peers:
        peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    end = time.monotonic() + 30
    while readers.open < 2 and time.monotonic() < end:
        readers.turn(0.01)
    took_s = readers.opening_s
    readers.turn(0)
    peers.append(listener.accept()[0])
    peers[2].sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while readers.open < 3 and time.monotonic() < end:
        readers.turn(0.01)
    assert 0 < took_s < readers.opening_s <= readers.counts()["opening_s"]
    for peer in peers:
        peer.close()


def test_rest(listener: socket.socket) -> None:
    """What comes before the client rests arrived when the kernel got it, not when it was read."""
    rested: list[int] = []

    def rest(_: float) -> None:
        before = time.monotonic_ns()
        while time.monotonic_ns() == before:
            pass
        rested.append(before)

    stream = Stream(listener, "sse", b"HTTP/1.1 200 OK\r\n\r\n", rest=rest)
    stream.until(lambda: stream.readers.open == 1)
    stream.readers.turn(0)
    rested.clear()
    stream.send(b"data: " + message() + b"\n\n", 1)
    assert len(rested) == 1
    assert stream.readers.last_ns <= rested[0]


def test_websocket(listener: socket.socket) -> None:
    """A ping is answered by a masked pong, alone, between messages, cut in two, or behind the answer to the request."""
    stream = Stream(listener, "ws", b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + frame(b"{}"))
    assert b"Upgrade: websocket\r\n" in stream.request
    stream.send(frame(message()) + frame(b"", 9), 1)
    assert stream.readers.latency.count == 0
    assert stream.peer.recv(100) == b"\x8a\x80\0\0\0\0"
    stream.send(frame(message()) + frame(b"one", 9) + frame(message()), 3)
    assert stream.peer.recv(100) == b"\x8a\x83\0\0\0\0one"
    whole = frame(b"two", 9)
    stream.peer.sendall(whole[:3])
    stream.readers.turn(0.1)
    stream.peer.sendall(whole[3:])
    stream.until(lambda: stream.readers.pings == 3)
    assert stream.peer.recv(100) == b"\x8a\x83\0\0\0\0two"
    stream.send(frame(b"x" * 300 + message()), 4)
    stream.send(frame(message()), 5)
    assert (stream.readers.received, stream.readers.open) == (5, 1)


def test_the_end(listener: socket.socket) -> None:
    """A stream that the server ends is lost, and the code of its close frame is told."""
    stream = Stream(listener, "ws", b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    stream.until(lambda: stream.readers.open == 1)
    stream.peer.sendall(frame((3012).to_bytes(2, "big"), 8))
    stream.until(lambda: bool(stream.readers.errors))
    stream.peer.close()
    stream.until(lambda: stream.readers.lost == 1)
    assert stream.readers.errors == {"close frame 3012": 1, "closed by the server": 1}


def test_the_end_behind_a_message(listener: socket.socket) -> None:
    """Both come with one event: the message counts, with its own time, and the stream is lost."""
    rested: list[int] = []

    def rest(_: float) -> None:
        rested.append(time.monotonic_ns())

    stream = Stream(listener, "sse", b"HTTP/1.1 200 OK\r\n\r\n", rest=rest)
    stream.until(lambda: stream.readers.open == 1)
    stream.readers.turn(0)
    rested.clear()
    stream.peer.sendall(b"data: " + message() + b"\n\n")
    stream.peer.close()
    stream.until(lambda: stream.readers.lost == 1)
    assert stream.readers.received == 1
    assert stream.readers.last_ns <= rested[0]
    assert stream.readers.errors == {"closed by the server": 1}


def test_refused(listener: socket.socket) -> None:
    """What is not the wanted answer is told with its first line."""
    stream = Stream(listener, "sse", b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    stream.until(lambda: bool(stream.readers.errors))
    assert (stream.readers.open, stream.readers.lost) == (0, 0)
    assert "503" in next(iter(stream.readers.errors))


def test_poll(listener: socket.socket) -> None:
    """A poll is open when its request is written."""
    stream = Stream(listener, "poll", b"")
    assert stream.readers.open == 1
