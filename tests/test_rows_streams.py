"""Streams on the rows of a lot, with real descriptors: what is written, what is owed, and what becomes of the row."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from megacomet.kinds import ASKING, CROWDED, DRAINING, ENTRANCE, FREE, PARKED, SOCKET, STATE, STREAM, WRITING
from megacomet.rows import LINGER_S, STALL_S

from .lots import PATIENCE_S, Ground, a_lot, read_all, read_now, reset

NOTHING = b"(nothing)"
BIG = bytes(range(256)) * 8000  # more than the kernel takes
MOST = 10_000_000


class Streams:
    """A front that begins a stream with the first bytes of a connection, and notes what it is told."""

    def __init__(self, ground: Ground) -> None:
        self.rows = ground.rows
        self.seen: list[tuple[Any, ...]] = []
        self.is_socket = True
        self.flush_again = b""
        ground.lot.front = self

    def received(self, fd: int, data: bytes, known: int) -> None:
        self.rows.flag(fd, 0)
        self.rows.park(fd, PATIENCE_S)
        if len(data) > 1:
            self.rows.hold(fd, data[1:])

    def begin(self, fd: int, data: bytes = b"", seconds: float = 20) -> None:
        self.rows.stream(fd, 7, seconds, is_socket=self.is_socket)
        if data:
            assert self.rows.send(fd, data, MOST) == ""

    def gone(self, fd: int) -> None:
        self.seen.append(("gone", fd))

    def due(self, fd: int) -> None:
        self.seen.append(("due", fd))

    def heard(self, fd: int, data: bytes) -> None:
        self.seen.append(("heard", fd, data))

    def flushed(self, fd: int) -> None:
        self.seen.append(("flushed", fd))
        if self.flush_again:
            data, self.flush_again = self.flush_again, b""
            self.rows.send(fd, data, MOST)

    def turned(self) -> None:
        """The end of a turn."""


@pytest.fixture
def ground() -> Iterator[Ground]:
    ground = Ground(a_lot())
    yield ground
    ground.close()


@pytest.fixture
def front(ground: Ground) -> Streams:
    return Streams(ground)


def state(ground: Ground, fd: int) -> int:
    return ground.rows.kinds[fd] & STATE


def stream(ground: Ground, front: Streams) -> tuple[int, socket.socket]:
    """A live stream and its client."""
    fd, client = ground.pair(b"?")
    front.begin(fd)
    return fd, client


def take(ground: Ground, client: socket.socket, size: int) -> bytes:
    """What a client reads until it has so much, the lot sending more of it meanwhile."""
    data = b""
    while len(data) < size:
        data += client.recv(1 << 20)
        ground.settle()
    return data


# -- writing


@pytest.mark.parametrize(("is_socket", "kind"), [(True, SOCKET), (False, STREAM)])
def test_a_stream(ground: Ground, front: Streams, is_socket: bool, kind: int) -> None:
    """It is written to as often as one likes, and owes nothing then."""
    front.is_socket = is_socket
    fd, client = ground.pair(b"?")
    assert state(ground, fd) == PARKED
    front.begin(fd, b"head")
    assert (state(ground, fd), ground.rows.forms[fd]) == (kind, 7)
    assert ground.rows.send(fd, b" and more", MOST) == ""
    assert read_now(client) == b"head and more"
    assert (ground.rows.backlogs, ground.rows.owed, front.seen) == ({}, 0, [])
    client.sendall(b"x")
    ground.settle()
    assert front.seen == [("heard", fd, b"x")]


def test_the_flag_of_the_entrance_stays(ground: Ground, front: Streams) -> None:
    """The others are gone: they were the request's."""
    listener = ground.listener()
    ground.lot.listen(listener, flags=ENTRANCE)
    ground.connect(listener, b"?")
    ground.until(lambda: ground.lot.accepted)
    [fd] = [fd for fd, kind in enumerate(ground.rows.kinds) if kind & STATE == PARKED]
    ground.rows.flag(fd, 0x70)
    front.begin(fd)
    assert ground.rows.kinds[fd] == ENTRANCE | SOCKET


def test_what_does_not_fit(ground: Ground, front: Streams) -> None:
    """It waits in order, the front hears when it is gone, and the lot is not woken any more."""
    fd, client = stream(ground, front)
    for data in (BIG, b"1", b"2"):
        assert ground.rows.send(fd, data, MOST) == ""
    assert ground.rows.owed == ground.rows.backlogs[fd].size > 0
    ground.settle()
    assert front.seen == []
    assert take(ground, client, len(BIG) + 2) == BIG + b"12"
    assert (front.seen, ground.rows.owed, ground.rows.backlogs) == ([("flushed", fd)], 0, {})
    assert ground.rows.send(fd, b"3", MOST) == ""
    assert read_now(client) == b"3"


def test_more_is_written_when_it_is_flushed(ground: Ground, front: Streams) -> None:
    """The front may write at once when it hears that nothing is owed."""
    fd, client = stream(ground, front)
    ground.rows.send(fd, BIG, MOST)
    front.flush_again = BIG
    assert take(ground, client, 2 * len(BIG)) == BIG + BIG
    assert front.seen == [("flushed", fd)] * 2


def test_what_a_part_of_was_sent(ground: Ground, front: Streams) -> None:
    """`send_later` goes on where somebody else has begun to write."""
    fd, client = stream(ground, front)
    assert ground.rows.send_later(fd, b"abcdef", 2, MOST) == ""
    assert ground.rows.owed == 4
    ground.settle()
    assert (read_now(client), front.seen, ground.rows.owed) == (b"cdef", [("flushed", fd)], 0)


def test_who_is_slow(ground: Ground, front: Streams) -> None:
    """More than the bound is refused, and nothing was done about it; exactly the bound is not."""
    fd, _ = stream(ground, front)
    ground.rows.send(fd, BIG, MOST)
    owed = ground.rows.owed
    assert ground.rows.send(fd, b"xx", owed + 1) == "slow"
    assert ground.rows.owed == owed
    assert ground.rows.send(fd, b"x", owed + 1) == ""
    assert ground.rows.owed == owed + 1
    assert state(ground, fd) == SOCKET


def test_all_are_slow_together(front: Streams) -> None:
    """The sum of what all owe has a bound too."""
    ground = Ground(a_lot(owed_bytes=len(BIG)))
    front = Streams(ground)
    one, _ = stream(ground, front)
    two, client = stream(ground, front)
    assert ground.rows.send(one, BIG, MOST) == ""
    assert ground.rows.send(two, BIG, MOST) == "slow"
    ground.rows.close(one)
    assert ground.rows.owed == 0
    assert ground.rows.send(two, b"x", MOST) in ("", "slow")
    client.close()
    ground.close()


def test_a_broken_connection(ground: Ground, front: Streams) -> None:
    """Whoever writes finds out; the row is theirs to drop."""
    fd, client = stream(ground, front)
    client.close()
    assert ground.rows.send(fd, b"x", MOST) == "gone"
    assert state(ground, fd) == SOCKET
    ground.settle()
    assert (front.seen, state(ground, fd), ground.rows.ended["gone"]) == ([("gone", fd)], FREE, 1)


def test_a_reset_while_it_is_owed(ground: Ground, front: Streams) -> None:
    """What it was owed is forgotten."""
    fd, client = stream(ground, front)
    ground.rows.send(fd, BIG, MOST)
    reset(client)
    ground.settle()
    assert (front.seen, ground.rows.owed, ground.rows.backlogs, ground.rows.open) == ([("gone", fd)], 0, {}, 0)


@pytest.mark.parametrize("is_asking", [False, True])
@pytest.mark.parametrize("is_owed", [False, True])
def test_half_closed(ground: Ground, front: Streams, is_asking: bool, is_owed: bool) -> None:
    """FIN is the end, also while nothing is read and while something is owed."""
    fd, client = stream(ground, front)
    if is_owed:
        ground.rows.send(fd, BIG, MOST)
    if is_asking:
        ground.rows.ask(fd)
    client.shutdown(socket.SHUT_WR)
    ground.settle()
    assert (front.seen, ground.rows.open) == ([("gone", fd)], 0)


# -- reading


def test_asking(ground: Ground, front: Streams) -> None:
    """While a request is under way nothing is read; then what has come meanwhile is."""
    fd, client = stream(ground, front)
    ground.rows.ask(fd)
    assert state(ground, fd) == ASKING
    client.sendall(b"later")
    ground.settle()
    assert front.seen == []
    ground.rows.listen(fd)
    assert state(ground, fd) == SOCKET
    ground.settle()
    assert front.seen == [("heard", fd, b"later")]


def test_asking_while_it_is_owed(ground: Ground, front: Streams) -> None:
    """It is sent nevertheless, and is not read."""
    fd, client = stream(ground, front)
    ground.rows.send(fd, BIG, MOST)
    ground.rows.ask(fd)
    client.sendall(b"later")
    assert take(ground, client, len(BIG)) == BIG
    assert (front.seen, state(ground, fd)) == ([("flushed", fd)], ASKING)
    ground.rows.listen(fd)
    ground.settle()
    assert front.seen[1:] == [("heard", fd, b"later")]


def test_an_event_of_a_row_that_asks(ground: Ground, front: Streams) -> None:
    """It came before the request began: the bytes stay."""
    first, one = stream(ground, front)
    second, two = stream(ground, front)

    class Both(Streams):
        def heard(self, fd: int, data: bytes) -> None:
            super().heard(fd, data)
            self.rows.ask(second if fd == first else first)

    both = Both(ground)
    one.sendall(b"a")
    two.sendall(b"b")
    ground.turn()
    assert len(both.seen) == 1
    ground.settle()
    assert len(both.seen) == 1


@pytest.mark.parametrize("is_socket", [False, True])
def test_bytes_behind_the_request(ground: Ground, front: Streams, is_socket: bool) -> None:
    """What was read with the request, and what stayed in the kernel behind it, is heard in order by the stream."""
    front.is_socket = is_socket
    fd, client = ground.pair(b"?first")
    client.sendall(b" second")
    ground.settle()
    assert state(ground, fd) == CROWDED
    front.begin(fd)
    ground.settle()
    assert front.seen == [("heard", fd, b"first"), ("heard", fd, b" second")]
    assert ground.rows.unread == {}


def test_bytes_behind_the_request_while_it_is_owed(ground: Ground, front: Streams) -> None:
    """Both have the kernel wake us; neither forgets the other."""
    fd, client = ground.pair(b"?first")
    front.begin(fd, BIG)
    ground.settle()
    assert front.seen == []  # who does not read is not read either
    assert take(ground, client, len(BIG)) == BIG
    client.sendall(b"x")
    ground.settle()
    assert [seen for seen in front.seen if seen[0] == "heard"] == [("heard", fd, b"first"), ("heard", fd, b"x")]
    assert (front.seen.count(("flushed", fd)), ground.rows.unread) == (1, {})


def test_bytes_behind_a_request_that_began_at_once(ground: Ground, front: Streams) -> None:
    """A stream that is live already takes back what its front has read too much."""
    fd, _ = stream(ground, front)
    ground.rows.hold(fd, b"rest")
    ground.settle()
    assert front.seen == [("heard", fd, b"rest")]


# -- a number that is used again


def test_an_event_of_a_row_that_was_closed(ground: Ground, front: Streams) -> None:
    """A row that another's event closes in the same batch has no turn of its own."""
    first, one = stream(ground, front)
    second, two = stream(ground, front)

    class Closes(Streams):
        def heard(self, fd: int, data: bytes) -> None:
            super().heard(fd, data)
            self.rows.close(second if fd == first else first)

    closes = Closes(ground)
    one.sendall(b"1")
    two.sendall(b"2")
    ground.turn()
    assert len(closes.seen) == 1
    assert ground.rows.open == 1


def test_an_event_of_a_number_that_is_used_again(ground: Ground, front: Streams) -> None:
    """An event of the old row asks the new one's kernel, which has nothing: it costs nothing."""
    first, one = stream(ground, front)
    second, two = stream(ground, front)
    ours, client = socket.socketpair()
    ground.sockets += [client]

    class Replaces(Streams):
        def heard(self, fd: int, data: bytes) -> None:
            super().heard(fd, data)
            if len(self.seen) > 1:
                return
            old = second if fd == first else first
            self.rows.close(old)
            os.dup2(ours.fileno(), old)
            self.rows.enter(old, 0)
            self.begin(old)
            self.replaced = old

    replaces = Replaces(ground)
    one.sendall(b"1")
    two.sendall(b"2")
    ground.turn()
    ours.close()
    assert len(replaces.seen) == 1
    assert state(ground, replaces.replaced) == SOCKET
    client.sendall(b"new")
    ground.settle()
    assert replaces.seen[1:] == [("heard", replaces.replaced, b"new")]


# -- deadlines


@pytest.mark.parametrize("kind", [STREAM, SOCKET, ASKING])
def test_due(ground: Ground, front: Streams, kind: int) -> None:
    """The front decides what is due of a stream; it is due once."""
    front.is_socket = kind != STREAM
    fd, _ = ground.pair(b"?")
    front.begin(fd, seconds=3)
    if kind == ASKING:
        ground.rows.ask(fd)
    ground.pass_s(3)
    assert front.seen == []
    ground.pass_s(20)
    assert (front.seen, state(ground, fd)) == ([("due", fd)], kind)


# -- the end


def test_finishing(ground: Ground, front: Streams) -> None:
    """Last bytes, then it is shut for writing; the client has the time to read them."""
    fd, client = stream(ground, front)
    ground.rows.finish(fd, b"bye")
    assert read_all(client) == b"bye"
    assert (state(ground, fd), ground.rows.forms[fd]) == (DRAINING, 0)
    client.sendall(b"x" * 100)
    ground.settle()
    assert (front.seen, state(ground, fd)) == ([], DRAINING)
    ground.pass_s(LINGER_S + 1)
    assert (state(ground, fd), ground.rows.open) == (FREE, 0)


def test_finishing_with_nothing(ground: Ground, front: Streams) -> None:
    """Some streams end with the connection only, also behind what is owed."""
    fd, client = stream(ground, front)
    ground.rows.finish(fd, b"")
    assert read_all(client) == b""
    fd, client = stream(ground, front)
    ground.rows.send(fd, BIG, MOST)
    ground.rows.finish(fd, b"")
    assert take(ground, client, len(BIG)) == BIG
    assert read_all(client) == b""


@pytest.mark.parametrize("is_asking", [False, True])
def test_finishing_behind_what_is_owed(ground: Ground, front: Streams, is_asking: bool) -> None:
    """All of it comes, then the last bytes; nothing is read meanwhile."""
    fd, client = stream(ground, front)
    ground.rows.send(fd, BIG, MOST)
    ground.rows.send(fd, b"waits", MOST)
    if is_asking:
        ground.rows.ask(fd)
    ground.rows.finish(fd, b"bye")
    assert state(ground, fd) == WRITING
    client.sendall(b"x")
    assert take(ground, client, len(BIG) + 8) == BIG + b"waitsbye"
    assert (read_all(client), front.seen, ground.rows.owed) == (b"", [], 0)


def test_finishing_who_is_slow(ground: Ground, front: Streams) -> None:
    """What is on its way is completed, whole pieces that wait are left out."""
    fd, client = stream(ground, front)
    ground.rows.send(fd, BIG, MOST)
    ground.rows.send(fd, BIG, MOST)
    ground.rows.finish(fd, b"slow", is_slow=True)
    assert ground.rows.owed == ground.rows.backlogs[fd].size < len(BIG) + 4
    assert take(ground, client, len(BIG) + 4) == BIG + b"slow"
    assert (read_all(client), ground.rows.owed) == (b"", 0)


def test_finishing_who_is_slow_between_pieces(ground: Ground, front: Streams) -> None:
    """When nothing is on its way nothing waits before the last bytes."""
    fd, client = stream(ground, front)
    ground.rows.send_later(fd, b"waits", 0, MOST)
    ground.rows.send(fd, b"too", MOST)
    ground.rows.finish(fd, b"slow", is_slow=True)
    assert (read_all(client), ground.rows.owed, ground.rows.backlogs) == (b"slow", 0, {})


def test_finishing_who_never_reads(ground: Ground, front: Streams) -> None:
    """It has a minute to take something, then its connection is closed as slow."""
    fd, _ = stream(ground, front)
    ground.rows.send(fd, BIG, MOST)
    ground.rows.finish(fd, b"bye")
    ground.pass_s(STALL_S + 1)
    assert (state(ground, fd), ground.rows.owed, ground.rows.ended["slow"]) == (FREE, 0, 1)


def test_finishing_who_is_gone(ground: Ground, front: Streams) -> None:
    """The row is free, and nobody is told: the front has left it."""
    fd, client = stream(ground, front)
    client.close()
    ground.rows.finish(fd, b"bye")
    assert (state(ground, fd), ground.rows.ended["gone"], front.seen) == (FREE, 1, [])


def test_finishing_with_bytes_unread(ground: Ground, front: Streams) -> None:
    """What was read before and not used is dropped."""
    fd, client = ground.pair(b"?more")
    front.begin(fd)
    ground.rows.finish(fd, b"bye")
    ground.settle()
    assert (read_all(client), ground.rows.unread, front.seen) == (b"bye", {}, [])


def test_an_error_of_ours(ground: Ground, front: Streams, logged_failures: Any) -> None:
    """What the front raises costs the stream, which it is told of, and nothing else."""

    class Broken(Streams):
        def heard(self, fd: int, data: bytes) -> None:
            raise ZeroDivisionError

    other, _ = stream(ground, front)
    fd, client = stream(ground, front)
    broken = Broken(ground)
    client.sendall(b"x")
    ground.settle()
    assert (broken.seen, state(ground, fd), state(ground, other)) == ([("gone", fd)], FREE, SOCKET)
    assert ground.rows.ended["failed"] == 1
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
