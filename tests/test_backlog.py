"""What did not fit: pieces of one connection, in order, into a kernel that takes little at a time."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from megacomet.backlog import Backlog


class Pipe:
    """Two ends, of which the writing one takes little."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self.ours.setblocking(False)
        self.theirs.setblocking(False)

    @property
    def fd(self) -> int:
        return self.ours.fileno()

    def read(self, most: int = 1 << 20) -> bytes:
        try:
            return self.theirs.recv(most)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def flush(backlog: Backlog, fd: int) -> int:
    """Flush once; 0 when the kernel takes nothing."""
    try:
        return backlog.flush(fd)
    except BlockingIOError:
        return 0


def test_a_piece_of_which_a_part_is_gone(pipe: Pipe) -> None:
    """Only the rest of it is sent."""
    backlog = Backlog(b"abcdef", 2)
    assert backlog.size == 4
    assert backlog.flush(pipe.fd) == 4
    assert (backlog.size, pipe.read()) == (0, b"cdef")


def test_pieces_in_order(pipe: Pipe) -> None:
    """Many small ones go in one call, also more than a call takes."""
    pieces = [b"%03d" % n for n in range(150)]
    backlog = Backlog(pieces[0], 1)
    for piece in pieces[1:]:
        backlog.push(piece)
    assert backlog.size == 449
    arrived, calls = b"", 0
    while backlog.size:
        calls += 1
        flush(backlog, pipe.fd)
        arrived += pipe.read()
    assert arrived == b"".join(pieces)[1:]
    assert calls >= 3


@pytest.mark.parametrize("sent", range(7))
def test_a_piece_and_its_body(pipe: Pipe, sent: int) -> None:
    """What the kernel has taken ends in the first, between them, or in the second."""
    backlog = Backlog(b"head", sent, b"body")
    backlog.push(b"more")
    assert backlog.size == 12 - sent
    assert backlog.flush(pipe.fd) == 12 - sent
    assert (backlog.size, pipe.read()) == (0, b"headbodymore"[sent:])


def test_nothing_fits(pipe: Pipe) -> None:
    """The kernel says so, and nothing is forgotten."""
    backlog = Backlog(bytes(1_000_000), 0)
    while flush(backlog, pipe.fd):
        pass
    before = backlog.size
    with pytest.raises(BlockingIOError):
        backlog.flush(pipe.fd)
    assert backlog.size == before


def test_a_broken_connection(pipe: Pipe) -> None:
    """It is the caller's to know."""
    pipe.theirs.close()
    with pytest.raises(BrokenPipeError):
        Backlog(b"x", 0).flush(pipe.fd)


def test_an_empty_piece(pipe: Pipe) -> None:
    """It is nothing to be sent, wherever it stands."""
    backlog = Backlog(b"a", 0)
    for piece in (b"", b"b", b""):
        backlog.push(piece)
    assert backlog.flush(pipe.fd) == 2
    assert (backlog.size, pipe.read()) == (0, b"ab")


def test_cutting_in_the_middle_of_a_piece(pipe: Pipe) -> None:
    """The rest of what is on its way stays, and what is pushed then comes behind it."""
    backlog = Backlog(b"begun", 2)
    backlog.push(b"whole")
    backlog.cut()
    assert backlog.size == 3
    backlog.push(b"end")
    assert backlog.flush(pipe.fd) == 6
    assert pipe.read() == b"gunend"


def test_cutting_between_pieces(pipe: Pipe) -> None:
    """Nothing is on its way: nothing stays."""
    backlog = Backlog(b"abc", 1)
    backlog.push(b"d" * 5)
    assert backlog.flush(pipe.fd) == 7
    backlog.push(b"whole")
    backlog.push(b"whole")
    backlog.cut()
    assert backlog.size == 0


def test_cutting_where_a_call_has_ended(pipe: Pipe) -> None:
    """A later piece that the kernel took a part of is the one that is on its way."""
    backlog = Backlog(b"a" * 10, 0)
    pieces = [bytes((98 + n,)) * 100_000 for n in range(3)]
    for piece in pieces:
        backlog.push(piece)
    sent = backlog.flush(pipe.fd)
    assert 10 < sent < 100_010
    backlog.cut()
    assert backlog.size == 100_010 - sent
    backlog.push(b"end")
    arrived = pipe.read()
    while backlog.size:
        flush(backlog, pipe.fd)
        arrived += pipe.read()
    assert arrived == b"a" * 10 + pieces[0] + b"end"


@given(
    pieces=st.lists(st.integers(1, 20_000), min_size=1, max_size=80),
    sent=st.integers(0, 100),
    steps=st.lists(st.tuples(st.sampled_from(["push", "flush", "read"]), st.integers(1, 10_000)), max_size=200),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_what_arrives_is_what_was_pushed(pieces: list[int], sent: int, steps: list[tuple[str, int]]) -> None:
    """However it is pushed, taken and read; and the size is what is missing."""
    data = [os.urandom(size) for size in pieces]
    sent = min(sent, len(data[0]) - 1)
    pipe = Pipe()
    try:
        backlog, pushed, arrived, taken = Backlog(data[0], sent), data[0][sent:], b"", 0
        left = data[1:]
        for step, most in steps:
            if step == "push" and left:
                backlog.push(left[0])
                pushed += left.pop(0)
            elif step == "flush" and backlog.size:
                taken += flush(backlog, pipe.fd)
            else:
                arrived += pipe.read(most)
            assert backlog.size == len(pushed) - taken
        while backlog.size:
            taken += flush(backlog, pipe.fd)
            arrived += pipe.read()
        assert arrived + pipe.read() == pushed
    finally:
        pipe.close()
