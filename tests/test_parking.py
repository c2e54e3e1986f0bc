"""The parking lot with real descriptors: what peers may do at every moment, and what becomes of their rows."""

from __future__ import annotations

import os
import resource
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from megacomet import kinds, rows
from megacomet.kinds import (
    AWAY,
    CLOSES,
    CROWDED,
    DRAINING,
    ENTRANCE,
    FREE,
    IDLE,
    PARKED,
    READING,
    RESUMING,
    STATE,
    WRITING,
)
from megacomet.parking import DUE, EVENTS, READ_BYTES

from .conftest import LoggedFailures
from .lots import (
    HEAD_S,
    KEEP_ALIVE_S,
    Ground,
    Lines,
    a_lot,
    descriptor_limit,
    next_descriptor,
    read_all,
    read_now,
    reset,
)


@pytest.fixture
def ground() -> Iterator[Ground]:
    ground = Ground(a_lot())
    yield ground
    ground.close()


@pytest.fixture
def front(ground: Ground) -> Lines:
    return Lines(ground.lot)


def state(ground: Ground, fd: int) -> int:
    return ground.rows.kinds[fd] & STATE


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


# -- the usual way


def test_a_request_in_the_first_segment_is_served_when_it_is_accepted(ground: Ground, front: Lines) -> None:
    """A client that connects and asks is served in the turn in which it is let in."""
    listener = ground.listener()
    ground.lot.listen(listener)
    client = ground.connect(listener, b"hello\n")
    ground.until(lambda: front.seen)
    assert read_now(client) == b"hello\n"
    assert (ground.lot.accepted, ground.rows.open) == (1, 1)


def test_whether_anything_happens(ground: Ground, front: Lines) -> None:
    """A second in which nobody does anything changes nothing; a request does, what is written, an end, a deadline."""
    fd, client = ground.pair(b"park\n")
    seen = [ground.lot.stirred()]
    ground.pass_s(1)
    assert ground.lot.stirred() == seen[0]
    front.answer(fd, b"a message\n")  # by whoever has one, in no turn of the lot
    seen.append(ground.lot.stirred())
    client.sendall(b"park\n")
    ground.turn()
    seen.append(ground.lot.stirred())
    ground.rows.deadlines.arm(fd, 1)
    ground.pass_s(3)
    seen.append(ground.lot.stirred())
    client.close()
    ground.turn()
    seen.append(ground.lot.stirred())
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("family", [socket.AF_INET6, socket.AF_UNIX])
def test_other_families(ground: Ground, front: Lines, tmp_path: Any, family: socket.AddressFamily) -> None:
    """IPv6 and UNIX sockets are doors like any other, refusals included."""
    listener = ground.listener(family, ("::1", 0) if family == socket.AF_INET6 else str(tmp_path / "door"))
    ground.lot.listen(listener)
    client, refused = ground.connect(listener, b"park\n"), ground.connect(listener, b"refuse\nmore")
    ground.until(lambda: ground.lot.accepted == 2)
    ground.settle()
    [fd] = [fd for fd, key in enumerate(ground.rows.keys) if key]
    front.answer(fd, b"1\n")
    assert (read_now(client), read_all(refused)) == (b"1\n", b"refuse\n")


def test_a_waiting_poll_has_a_row_and_nothing_else(ground: Ground, front: Lines) -> None:
    """A parked connection is two bytes and a reference: no dict knows it."""
    fd, client = ground.pair(b"park\n")
    assert state(ground, fd) == PARKED
    assert ground.rows.keys[fd] == b"park"
    assert (ground.rows.unread, ground.rows.backlogs, ground.rows.deadlines.is_armed(fd)) == ({}, {}, False)
    assert front.answer(fd, b"a message\n")
    assert read_now(client) == b"a message\n"
    assert state(ground, fd) == IDLE


def test_requests_follow_each_other_on_a_connection(ground: Ground, front: Lines) -> None:
    """Keep-alive: parked, answered, idle, asked again, as often as one likes."""
    fd, client = ground.pair()
    for n in range(5):
        client.sendall(b"park\n")
        ground.turn()
        assert state(ground, fd) == PARKED
        front.answer(fd, b"%d\n" % n)
        assert read_now(client) == b"%d\n" % n
        client.sendall(b"echo\n")
        ground.turn()
        assert read_now(client) == b"echo\n"
    assert front.seen.count(("gone", b"park")) == 0


@pytest.mark.parametrize("line", [b"last\n", b"park last\n"])
def test_a_connection_closes_after_its_last_answer(ground: Ground, front: Lines, line: bytes) -> None:
    """Connection: close is kept to, at once and after a wait."""
    fd, client = ground.pair(line)
    if state(ground, fd) == PARKED:
        front.answer(fd, b"last\n")
    assert read_all(client) == b"last\n"
    assert (state(ground, fd), ground.rows.open, is_open(fd)) == (FREE, 0, False)


def test_a_request_byte_by_byte(ground: Ground, front: Lines) -> None:
    """A request that comes in pieces of a byte is put together; each time it is told what was there before."""
    fd, client = ground.pair()
    for n, byte in enumerate(b"park"):
        client.sendall(bytes((byte,)))
        ground.turn()
        assert front.seen[-1] == ("received", b"park"[: n + 1], n)
    client.sendall(b"\n")
    ground.turn()
    assert state(ground, fd) == PARKED
    assert ground.rows.unread == {}


def test_the_flag_of_the_entrance_stays(ground: Ground, front: Lines) -> None:
    """What door a connection came in by is known through all its requests."""
    listener = ground.listener()
    ground.lot.listen(listener, flags=ENTRANCE)
    client = ground.connect(listener, b"echo\npark\n")
    ground.until(lambda: read_now(client) == b"echo\n")
    [fd] = [fd for fd, kind in enumerate(ground.rows.kinds) if kind & STATE == PARKED]
    assert ground.rows.kinds[fd] & ENTRANCE
    front.answer(fd, b"1\n")
    assert ground.rows.kinds[fd] == IDLE | ENTRANCE


# -- pipelining


def test_what_is_pipelined_behind_a_poll_is_served_after_it(ground: Ground, front: Lines) -> None:
    """In one segment: the second request waits for the first one's answer, and then has its turn."""
    fd, client = ground.pair(b"park\necho\n")
    assert state(ground, fd) == CROWDED
    ground.settle()
    assert read_now(client) == b"(nothing)"
    front.answer(fd, b"first\n")
    assert state(ground, fd) == RESUMING
    assert read_now(client) == b"first\n"
    ground.turn()
    assert read_now(client) == b"echo\n"
    assert state(ground, fd) == IDLE


def test_what_comes_while_a_poll_waits_stays_in_the_kernel(ground: Ground, front: Lines) -> None:
    """However much a client sends behind its poll, we hold one byte of it, and are not woken again."""
    fd, client = ground.pair(b"park\n")
    for _ in range(3):
        client.sendall(b"echo\n" * 50)
        ground.settle()
        assert (state(ground, fd), ground.rows.unread) == (CROWDED, {fd: b"e"})
    front.answer(fd, b"first\n")
    ground.until(lambda: state(ground, fd) == IDLE and not ground.rows.unread)
    ground.settle()
    assert read_now(client) == b"first\n" + b"echo\n" * 150


def test_many_requests_in_one_segment(ground: Ground, front: Lines) -> None:
    """Requests that are answered at once are answered in order, a beginning at the end is kept."""
    fd, client = ground.pair(b"a\nb\nc\npark\nd\npark\ne")
    assert read_now(client) == b"a\nb\nc\n"
    front.answer(fd, b"1\n")
    ground.turn()
    assert read_now(client) == b"1\nd\n"
    front.answer(fd, b"2\n")
    ground.settle()
    assert read_now(client) == b"2\n"
    assert ground.rows.unread == {fd: b"e"}
    client.sendall(b"\n")
    ground.turn()
    assert read_now(client) == b"e\n"


def test_an_answer_never_serves_the_next_request(ground: Ground, front: Lines) -> None:
    """Who answers polls in a loop is not called back for the requests behind them."""
    _, client = ground.pair(b"park\npark\npark\n")
    [fd] = [fd for fd, key in enumerate(ground.rows.keys) if key]
    calls = len(front.seen)
    front.answer(fd, b"1\n")
    assert len(front.seen) == calls
    ground.turn()
    front.answer(fd, b"2\n")
    ground.turn()
    front.answer(fd, b"3\n")
    assert read_now(client) == b"1\n2\n3\n"


# -- the end


def test_a_client_that_goes_away_while_it_waits(ground: Ground, front: Lines) -> None:
    """Its row is free, and the front is told what waited there."""
    fd, client = ground.pair(b"park\n")
    client.close()
    ground.turn()
    assert front.seen[-1] == ("gone", b"park")
    assert (state(ground, fd), ground.rows.keys[fd], is_open(fd)) == (FREE, None, False)


def test_a_half_closed_client_is_gone(ground: Ground, front: Lines) -> None:
    """FIN behind a poll: nobody waits for the answer."""
    fd, client = ground.pair(b"park\n")
    client.shutdown(socket.SHUT_WR)
    ground.turn()
    assert front.seen[-1] == ("gone", b"park")
    assert read_all(client) == b""
    assert not is_open(fd)


def test_a_half_closed_client_gets_what_is_at_hand(ground: Ground, front: Lines) -> None:
    """FIN with the request: what can be answered at once is answered before the end."""
    ours, client = socket.socketpair()
    ground.sockets.append(client)
    client.sendall(b"one\ntwo\n")
    client.shutdown(socket.SHUT_WR)
    ground.lot.adopt(ours.detach(), b"")
    ground.settle()
    assert read_all(client) == b"one\ntwo\n"
    assert ground.rows.open == 0


def test_a_half_closed_client_behind_pipelined_bytes(ground: Ground, front: Lines) -> None:
    """FIN behind bytes that nobody reads yet is seen all the same."""
    fd, client = ground.pair(b"park\n")
    client.sendall(b"echo\n")
    ground.turn()
    assert state(ground, fd) == CROWDED
    client.shutdown(socket.SHUT_WR)
    ground.turn()
    assert front.seen[-1] == ("gone", b"park")
    assert not is_open(fd)


MOMENTS = {
    "nothing": b"",
    "a part of a request": b"par",
    "a poll": b"park\n",
    "a poll and more": b"park\nmore",
    "a served request": b"echo\n",
    "a served request and a part": b"echo\npar",
    "a refused request": b"refuse\nmore",
}


@pytest.mark.parametrize("sent", MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize("seen", [False, True], ids=["before we look", "after"])
@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_peer_that_ends_at_every_moment(ground: Ground, front: Lines, sent: bytes, seen: bool, how: str) -> None:
    """Reset or closed, before its request was read or after: the row is free, and nothing is said about it."""
    listener = ground.listener()
    ground.lot.listen(listener)
    client = ground.connect(listener, sent)
    if seen:
        ground.until(lambda: ground.lot.accepted)
        ground.settle()
    if how == "reset":
        reset(client)
    else:
        client.close()
    ground.until(lambda: ground.lot.accepted and not ground.rows.open)
    assert (ground.rows.unread, ground.rows.backlogs) == ({}, {})
    assert [key for key in ground.rows.keys if key] == []
    assert ground.rows.ended["failed"] == 0


def test_a_peer_that_resets_as_it_is_answered(ground: Ground, front: Lines) -> None:
    """The answer says that it was not written; the front is not told again."""
    listener = ground.listener()
    ground.lot.listen(listener)
    client = ground.connect(listener, b"park\n")
    ground.until(lambda: front.seen)
    [fd] = [fd for fd, key in enumerate(ground.rows.keys) if key]
    reset(client)
    assert not front.answer(fd, b"a message\n")
    assert (ground.rows.open, ground.rows.ended["gone"]) == (0, 1)
    ground.settle()
    assert [what for what, *_ in front.seen] == ["received"]


# -- events that are older than their rows


def stale(ground: Ground, fds: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next turn see events of these descriptors, whatever they are by now."""
    flags = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR

    class Events:
        def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
            assert (timeout, most) == (0, EVENTS)
            return [(fd, flags) for fd in fds]

        def __getattr__(self, name: str) -> Any:
            return getattr(epoll, name)

    epoll = ground.rows.epoll
    monkeypatch.setattr(ground.rows, "epoll", Events())
    ground.turn()
    monkeypatch.setattr(ground.rows, "epoll", epoll)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(b"", IDLE), (b"par", READING), (b"park\n", PARKED), (b"park\nmore", CROWDED), (b"away\n", AWAY)],
)
def test_an_old_event_does_an_innocent_row_no_harm(
    ground: Ground, front: Lines, monkeypatch: pytest.MonkeyPatch, sent: bytes, expected: int
) -> None:
    """HUP and RDHUP of a number that somebody else had: we look, and find the newcomer well."""
    fd, _ = ground.pair(sent)
    seen = front.seen.copy()
    stale(ground, [fd], monkeypatch)
    assert state(ground, fd) == expected
    assert front.seen == seen
    if expected == AWAY:
        ground.rows.close(fd)


def test_an_event_of_a_free_row_is_skipped(ground: Ground, front: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that was closed earlier in the batch is not touched again, and the others have their turn."""
    fd, client = ground.pair(b"park\n")
    client.close()
    ground.turn()
    other, peer = ground.pair()
    ground.rows.grow(fd + 1)
    peer.sendall(b"echo\n")
    stale(ground, [fd, fd + 1, other], monkeypatch)
    assert read_now(peer) == b"echo\n"
    assert ground.rows.ended["failed"] == 0


def test_one_that_closes_another_in_the_same_batch(ground: Ground, front: Lines) -> None:
    """Serving one event may end another connection whose event is still to come."""
    first, one = ground.pair(b"park\n")
    second, two = ground.pair(b"park\n")
    gone = front.gone

    def both(fd: int) -> None:
        gone(fd)
        other = first + second - fd
        if ground.rows.keys[other]:
            assert not front.answer(other, b"to nobody\n")

    front.gone = both  # type: ignore[method-assign]
    one.close()
    two.close()
    ground.settle()
    assert ground.rows.open == 0


def test_listeners_come_last(ground: Ground, front: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that is freed in a batch is not given to a newcomer before the batch is over."""
    listener = ground.listener()
    ground.lot.listen(listener)
    _, client = ground.pair(b"park\n")
    newcomer = ground.connect(listener, b"echo\n")
    client.close()
    order: list[str] = []
    close, enter = ground.rows.close, ground.rows.enter
    monkeypatch.setattr(ground.rows, "close", lambda fd: (order.append("close"), close(fd)))
    monkeypatch.setattr(ground.rows, "enter", lambda fd, flags: (order.append("enter"), enter(fd, flags)))
    ground.until(lambda: ground.lot.accepted)
    assert order == ["close", "enter"]
    assert read_now(newcomer) == b"echo\n"
    assert PARKED not in ground.rows.kinds


# -- what is wrong with us


def test_a_front_that_fails_costs_one_connection(ground: Ground, front: Lines, logged_failures: LoggedFailures) -> None:
    """A bug is logged with its traceback; the connection ends, and everybody else is served."""
    listener = ground.listener()
    ground.lot.listen(listener)
    ground.connect(listener, b"boom\n")
    well = ground.connect(listener, b"echo\n")
    ground.until(lambda: ground.lot.accepted == 2)
    fd, client = ground.pair(b"park\nboom\n")
    front.answer(fd, b"first\n")
    ground.settle()
    assert (read_now(well), read_all(client)) == (b"echo\n", b"first\n")
    assert len(logged_failures.flush(ZeroDivisionError)) == 2
    assert ground.rows.ended["failed"] == 2


def test_a_front_that_fails_to_let_go(ground: Ground, front: Lines, logged_failures: LoggedFailures) -> None:
    """Even then the row is freed and the descriptor closed, once."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    front.gone = front.due = front.turned = fails  # type: ignore[method-assign]
    front.timeout_s = 1
    fd, client = ground.pair(b"park\n")
    other, _ = ground.pair(b"park\n")
    client.close()
    ground.settle()
    ground.pass_s(2)
    assert not is_open(fd)
    assert not is_open(other)
    assert logged_failures.flush(ZeroDivisionError)


def test_a_kernel_without_room_for_the_set(
    ground: Ground, front: Lines, logged_failures: LoggedFailures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that cannot be watched is closed, not leaked."""

    class Full:
        def register(self, *_: object) -> None:
            raise OSError(28, "No space left on device")

        def unregister(self, *_: object) -> None:
            raise FileNotFoundError

    epoll, ground.rows.epoll = ground.rows.epoll, Full()  # type: ignore[assignment]
    ours, client = socket.socketpair()
    ground.sockets.append(client)
    ground.lot.adopt(ours.detach(), b"")
    ground.rows.epoll = epoll
    assert read_all(client) == b""
    assert ground.rows.open == 0
    assert len(logged_failures.flush(OSError)) == 1


# -- time


def test_one_that_says_nothing_is_closed_without_a_word(ground: Ground, front: Lines) -> None:
    """20 connections that send nothing are gone after the head's time."""
    listener = ground.listener()
    ground.lot.listen(listener)
    clients = [ground.connect(listener) for _ in range(20)]
    ground.until(lambda: ground.lot.accepted == 20)
    ground.pass_s(HEAD_S)
    assert ground.rows.open == 20
    ground.pass_s(1)
    assert [read_all(client) for client in clients] == [b""] * 20
    assert (front.seen, ground.rows.ended["silent"]) == ([], 20)


def test_one_that_trickles_gets_no_more_time(ground: Ground, front: Lines) -> None:
    """A byte a second does not keep a head alive: it is told so and closed."""
    listener = ground.listener()
    ground.lot.listen(listener)
    client = ground.connect(listener)
    ground.until(lambda: ground.lot.accepted)
    for _ in range(HEAD_S + 1):
        client.sendall(b"x")
        ground.settle()
        ground.pass_s(1)
    assert front.seen[-1] == ("due",)
    assert read_all(client) == b"too late\n"


def test_the_second_request_has_the_head_s_time_too(ground: Ground, front: Lines) -> None:
    """The time of a head runs from its first byte, not from the answer before."""
    _, client = ground.pair(b"echo\n")
    ground.pass_s(KEEP_ALIVE_S - 5)
    client.sendall(b"ec")
    ground.turn()
    ground.pass_s(HEAD_S)
    assert front.seen[-1] != ("due",)
    ground.pass_s(1)
    assert read_all(client) == b"echo\ntoo late\n"


@pytest.mark.parametrize("sent", [b"", b"echo\n", b"park\n"], ids=["given back", "answered", "parked and answered"])
def test_an_idle_connection_is_closed_in_time(ground: Ground, front: Lines, sent: bytes) -> None:
    """Between requests a connection may be silent for the time of keep-alive."""
    fd, client = ground.pair(sent)
    if sent == b"park\n":
        front.answer(fd, b"1\n")
    ground.pass_s(KEEP_ALIVE_S)
    assert is_open(fd)
    ground.pass_s(1)
    assert not is_open(fd)
    assert not read_all(client).endswith(b"(reset)")
    assert ground.rows.ended["idle"] == 1


def test_a_poll_without_a_timeout_waits_for_ever(ground: Ground, front: Lines) -> None:
    """A day passes, and the client still waits."""
    fd, _ = ground.pair(b"park\n")
    ground.now += 24 * 3600
    ground.pass_s(1)
    assert state(ground, fd) == PARKED


@pytest.mark.parametrize("sent", [b"park\n", b"park\nmore"])
def test_a_poll_with_a_timeout_is_due(ground: Ground, front: Lines, sent: bytes) -> None:
    """The front is asked to answer when the time is over, also with more requests behind it."""
    front.timeout_s = 300
    _, client = ground.pair(sent)
    ground.pass_s(300)
    assert read_now(client) == b"(nothing)"
    ground.pass_s(1)
    assert read_now(client) == b"too late\n"


def test_many_that_are_due_at_once_are_served_in_slices(ground: Ground, front: Lines) -> None:
    """More than a slice in one second: the rest comes with the next call."""
    front.timeout_s = 1
    for _ in range(DUE // 2 + 1):
        ground.pair(b"park\n")
        ground.pair(b"park\n")
    assert ground.lot.tick(2)
    assert front.seen.count(("due",)) == DUE
    assert not ground.lot.tick(2)
    assert front.seen.count(("due",)) == DUE + 2


# -- peers that do not read


def test_a_large_answer_goes_out_in_pieces(ground: Ground, front: Lines) -> None:
    """What does not fit waits, the next request waits for it, and a slow reader gets all."""
    front.size = 50_000
    fd, client = ground.pair(b"0123456789\necho\n")
    assert state(ground, fd) == WRITING
    assert 0 < ground.rows.backlogs[fd].size < 500_001
    got = b""
    while len(got) < 500_001:
        got += client.recv(65536)
        ground.settle()
    assert got[:500_001] == b"0123456789" * 50_000 + b"\n"
    assert ground.rows.backlogs == {}
    got = got[500_001:]
    while len(got) < 200_001:
        ground.settle()
        got += client.recv(65536)
    assert got == b"echo" * 50_000 + b"\n"


def test_a_large_last_answer_is_followed_by_the_end(ground: Ground, front: Lines) -> None:
    """Connection: close waits for the backlog."""
    front.size = 100_000
    fd, client = ground.pair(b"last\n")
    assert state(ground, fd) == WRITING
    got = b""
    while part := client.recv(65536):
        got += part
        ground.settle()
    assert got == b"last" * 100_000 + b"\n"
    assert ground.rows.ended["slow"] == 0


def test_a_half_closed_client_still_reads_its_answer(ground: Ground, front: Lines) -> None:
    """FIN while the answer is on its way: it is at hand, so it arrives; and the worker does not spin meanwhile."""
    front.size = 500_000
    _, client = ground.pair(b"x\n")
    client.shutdown(socket.SHUT_WR)
    ground.settle()
    got = b""
    while part := client.recv(65536):
        got += part
        ground.settle()
    assert len(got) == 500_001


def test_one_that_never_reads_is_closed_when_the_backlog_is_full(front: Lines, ground: Ground) -> None:
    """More than the bound unsent: the connection is cut off as slow, and that is said to who answers."""
    front.size = 2_000_000
    fd, _ = ground.pair(b"x\n")
    assert (is_open(fd), ground.rows.ended["slow"], ground.rows.backlogs) == (False, 1, {})
    fd, _ = ground.pair(b"park\n")
    assert not front.answer(fd, b"x" * 2_000_000)
    assert (is_open(fd), ground.rows.ended["slow"]) == (False, 2)


def test_those_who_do_not_read_have_a_bound_together() -> None:
    """Each is within its bound and all of them beyond theirs: who comes last is closed, until the others have read."""
    lot = a_lot(owed_bytes=1_200_000)
    front = Lines(lot)
    front.size = 500_000
    ground = Ground(lot)
    pairs = [ground.pair(b"x\n") for _ in range(5)]
    kept = [(fd, client) for fd, client in pairs if is_open(fd)]
    assert 1 <= len(kept) < 5
    assert (ground.rows.ended["slow"], ground.rows.ended["gone"]) == (5 - len(kept), 0)
    assert 0 < ground.rows.owed == sum(backlog.size for backlog in ground.rows.backlogs.values()) <= 1_200_000
    for _, client in kept:
        got = 0
        while got < 500_001:
            got += len(client.recv(65536))
            ground.settle()
    assert ground.rows.owed == 0
    fd, client = ground.pair(b"x\n")
    assert state(ground, fd) == WRITING
    client.close()
    ground.settle()
    assert (is_open(fd), ground.rows.owed) == (False, 0)
    ground.close()


def test_one_that_takes_nothing_is_closed_in_time(ground: Ground, front: Lines) -> None:
    """A backlog below the bound, of which nothing is taken for a minute, ends the connection; progress gives time."""
    front.size = 1_000_000
    fd, client = ground.pair(b"x\n")
    for _ in range(3):
        ground.pass_s(rows.STALL_S - 1)
        left = ground.rows.backlogs[fd].size
        while ground.rows.backlogs[fd].size == left:
            client.recv(4096)
            ground.settle()
    ground.pass_s(rows.STALL_S)
    assert is_open(fd)
    ground.pass_s(1)
    assert (is_open(fd), ground.rows.ended["slow"]) == (False, 1)


def test_a_peer_that_resets_with_a_backlog(ground: Ground, front: Lines) -> None:
    """What was not sent is forgotten."""
    front.size = 600_000
    fd, client = ground.pair(b"x\n")
    client.close()
    ground.settle()
    assert (is_open(fd), ground.rows.backlogs, ground.rows.ended["gone"]) == (False, {}, 1)


# -- refusals


def test_a_refusal_is_read_although_the_peer_still_sends(ground: Ground, front: Lines) -> None:
    """Over TCP, closing with unread bytes would reset the connection, and the answer with it."""
    listener = ground.listener()
    ground.lot.listen(listener)
    client = ground.connect(listener, b"refuse\n" + b"x" * 100_000)
    ground.until(lambda: front.seen)
    client.sendall(b"x" * 100_000)
    ground.settle()
    assert read_all(client) == b"refuse\n"
    client.close()
    ground.until(lambda: not ground.rows.open)


def test_a_refused_peer_that_never_ends(ground: Ground, front: Lines) -> None:
    """It gets two seconds, however much it sends."""
    fd, client = ground.pair(b"refuse\n")
    for _ in range(rows.LINGER_S):
        client.sendall(b"more")
        ground.settle()
        ground.pass_s(1)
    assert state(ground, fd) == DRAINING
    ground.pass_s(1)
    assert not is_open(fd)


def test_a_refusal_drops_what_follows(ground: Ground, front: Lines) -> None:
    """Behind a refused request nothing is served."""
    _, client = ground.pair(b"refuse\necho\n")
    ground.settle()
    assert read_all(client) == b"refuse\n"
    assert len(front.seen) == 1


def test_a_last_answer_with_more_behind_it_is_read(ground: Ground, front: Lines) -> None:
    """A client that pipelines behind its last request reads the answer, not a reset."""
    listener = ground.listener()
    ground.lot.listen(listener)
    client = ground.connect(listener, b"park last\n" + b"more\n" * 10_000)
    ground.until(lambda: any(ground.rows.keys))
    [fd] = [fd for fd, key in enumerate(ground.rows.keys) if key]
    front.answer(fd, b"bye\n")
    assert state(ground, fd) == DRAINING
    ground.settle()
    assert read_all(client) == b"bye\n"


# -- hand-over


def test_a_released_connection_is_left_alone(ground: Ground, front: Lines) -> None:
    """Nothing is read from it and no event comes, but the descriptor stays open until it is closed."""
    fd, client = ground.pair(b"away\n")
    client.sendall(b"for somebody else\n")
    ground.settle()
    assert (state(ground, fd), is_open(fd), ground.rows.open) == (AWAY, True, 1)
    assert os.read(fd, 100) == b"for somebody else\n"
    ground.rows.close(fd)
    assert (is_open(fd), ground.rows.open) == (False, 0)


def test_a_connection_that_somebody_else_holds_too(ground: Ground, front: Lines) -> None:
    """Closed here while a copy is open elsewhere, it raises no events for whoever has its number next."""
    fd, client = ground.pair(b"park\n")
    copy = os.dup(fd)
    front.gone(fd)
    ground.rows.close(fd)
    client.sendall(b"x")
    assert ground.rows.epoll.poll(0) == []
    os.close(copy)


def test_given_back_with_unread_bytes(ground: Ground, front: Lines) -> None:
    """What somebody else has read of the next request is where it begins."""
    ours, client = socket.socketpair()
    ground.sockets.append(client)
    ground.lot.adopt(ours.detach(), b"echo\nec")
    assert read_now(client) == b"echo\n"
    client.sendall(b"ho\n")
    ground.turn()
    assert read_now(client) == b"echo\n"
    assert (ground.lot.given_back, ground.lot.accepted) == (1, 0)


def test_retaken(ground: Ground, front: Lines) -> None:
    """A connection that nobody wanted is answered here after all."""
    fd, client = ground.pair(b"away\n")
    ground.rows.retake(fd)
    ground.rows.answer(fd, b"no\n")
    assert read_now(client) == b"no\n"
    client.sendall(b"echo\n")
    ground.turn()
    assert read_now(client) == b"echo\n"


# -- listening


class Small(Ground):
    """A lot with few places: its limit is a few numbers above the descriptors that are open now."""

    SPARE = 100

    def __init__(self, places: int, beyond: int = SPARE) -> None:
        # Each client of the test takes a number beside ours.
        descriptors = next_descriptor() + 2 * places + self.SPARE
        super().__init__(a_lot(descriptors, spare=self.SPARE, reserve=self.SPARE - beyond))
        self.front = Lines(self.lot)
        self.listening = self.listener()
        self.lot.listen(self.listening)

    def comes(self, data: bytes) -> socket.socket | None:
        """A client, None when it is refused."""
        try:
            return self.connect(self.listening, data)
        except ConnectionRefusedError:
            return None


def test_without_room_it_does_not_listen_until_there_is() -> None:
    """Near the limit of descriptors new clients are refused; with room again they are let in, on the same port."""
    ground = Small(20)
    clients: list[socket.socket] = []
    while client := ground.comes(b"park\n"):
        ground.settle()
        clients.append(client)
    held = ground.rows.open
    ground.pass_s(3)
    assert not ground.comes(b"echo\n")
    clients.pop().close()
    ground.settle()
    ground.pass_s(1)
    assert not ground.comes(b"echo\n"), "one place is not enough to open again"
    for _ in range(5):
        clients.pop().close()
    ground.settle()
    ground.pass_s(1)
    newcomer = ground.connect(ground.listening, b"echo\n")
    ground.until(lambda: ground.rows.open > held - 6)
    assert read_now(newcomer) == b"echo\n"
    assert ground.lot.counts()["times_full"] >= 1
    ground.close()


def test_who_waits_in_the_queue_is_let_in_before_it_is_shut() -> None:
    """Clients that had connected when the last place was taken are served, none is reset."""
    ground = Small(3)
    clients = [ground.connect(ground.listening, b"echo\n") for _ in range(40)]
    ground.until(lambda: ground.lot.accepted == 40)
    ground.settle()
    assert [read_now(client) for client in clients] == [b"echo\n"] * 40
    assert not ground.comes(b"echo\n")
    ground.close()


def test_a_queue_that_never_ends_does_not_eat_the_last_descriptors() -> None:
    """At the last reserve it is shut with whoever waits there."""
    ground = Small(20, beyond=10)
    clients = [ground.connect(ground.listening, b"last\n") for _ in range(10)]
    ground.settle()
    assert [read_all(client) for client in clients] == [b"last\n"] * 10
    clients = [ground.connect(ground.listening, b"park\n") for _ in range(35)]
    ground.settle()
    served = ground.rows.open
    assert 0 < served < 35
    for fd, key in enumerate(ground.rows.keys):
        if key:
            ground.front.rows.flag(fd, CLOSES)
            ground.front.answer(fd, b"1\n")
    answers = [read_all(client) for client in clients]
    assert answers == [b"1\n"] * served + [b"(reset)"] * (35 - served)
    ground.close()


def test_out_of_descriptors(ground: Ground, front: Lines) -> None:
    """EMFILE is survived: who waits stays, and clients are let in when there are descriptors again."""
    listener = ground.listener()
    ground.lot.listen(listener)
    clients = [ground.connect(listener, b"park\n")]
    ground.until(lambda: ground.lot.accepted == 1)
    clients.append(ground.connect(listener, b"echo\n"))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    soft = descriptor_limit()
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_descriptor(), hard))
    try:
        ground.settle()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (ground.lot.accepted, ground.lot.counts()["times_full"]) == (1, 1)
    clients[0].close()
    ground.settle()
    ground.pass_s(1)
    newcomer = ground.connect(listener, b"echo\n")
    ground.until(lambda: ground.lot.accepted == 2)
    assert read_now(newcomer) == b"echo\n"


def test_a_socket_that_somebody_else_has_shut_is_opened_again(ground: Ground, front: Lines) -> None:
    """A supervisor that took us for dead shuts its copy of the socket; the next second we listen again."""
    listener = ground.listener()
    ground.lot.listen(listener)
    copy = listener.dup()
    ground.sockets.append(copy)
    copy.shutdown(socket.SHUT_RD)
    ground.settle()
    ground.pass_s(1)
    client = ground.connect(listener, b"echo\n")
    ground.until(lambda: ground.lot.accepted)
    assert read_now(client) == b"echo\n"


def test_a_shared_socket_is_never_shut(ground: Ground, front: Lines, tmp_path: Any) -> None:
    """A UNIX socket is left alone when there is no room: other workers go on accepting from it."""
    listener = ground.listener(socket.AF_UNIX, str(tmp_path / "door"))
    ground.lot.listen(listener)
    ground.lot.stop_listening()
    client = ground.connect(listener, b"echo\n")
    ground.settle()
    assert ground.lot.accepted == 0
    other = listener.dup()
    other.setblocking(True)
    ours, _ = other.accept()
    assert ours.recv(10) == b"echo\n"
    ours.close()
    other.close()
    client.close()


def test_a_burst_is_let_in_in_portions(ground: Ground, front: Lines) -> None:
    """One listener takes 128 a turn, so that those inside have their turn."""
    listener = ground.listener()
    ground.lot.listen(listener)
    fd, client = ground.pair()
    for _ in range(200):
        ground.connect(listener, b"park\n")
    client.sendall(b"echo\n")
    ground.until(lambda: ground.lot.accepted)
    assert ground.lot.accepted == 128
    assert read_now(client) == b"echo\n"
    ground.until(lambda: ground.lot.accepted == 200)
    assert ground.rows.open == 201
    assert is_open(fd)


def test_stop_listening_serves_the_queue_and_refuses_the_rest(ground: Ground, front: Lines) -> None:
    """Who had connected is served; who comes later is refused, also when seconds pass."""
    listener = ground.listener()
    ground.lot.listen(listener)
    clients = [ground.connect(listener, b"echo\n") for _ in range(200)]
    ground.lot.stop_listening()
    ground.until(lambda: ground.lot.accepted == 200)
    ground.settle()
    assert [read_now(client) for client in clients] == [b"echo\n"] * 200
    ground.pass_s(2)
    with pytest.raises(ConnectionRefusedError):
        ground.connect(listener)


def test_listening_again(ground: Ground, front: Lines) -> None:
    """Who has stopped to listen lets clients in again, on the same port."""
    listener = ground.listener()
    ground.lot.listen(listener)
    ground.lot.stop_listening()
    ground.settle()
    ground.lot.listen_again()
    client = ground.connect(listener, b"echo\n")
    ground.until(lambda: ground.lot.accepted)
    assert read_now(client) == b"echo\n"


def test_without_room_nobody_is_let_in_again() -> None:
    """What was shut for want of room stays so until there is some."""
    ground = Small(3)
    clients = [ground.connect(ground.listening, b"park\n") for _ in range(40)]
    ground.until(lambda: ground.lot.accepted == 40)
    ground.settle()
    ground.lot.stop_listening()
    ground.lot.listen_again()
    assert not ground.comes(b"echo\n")
    for client in clients:
        client.close()
    ground.settle()
    ground.pass_s(1)
    assert ground.comes(b"echo\n")
    ground.close()


def test_who_comes_before_the_successor_waits_for_it(ground: Ground, front: Lines) -> None:
    """Where a successor will listen on the same socket it is not shut: nobody is refused in between."""
    listener = ground.listener()
    ground.lot.listen(listener)
    ground.lot.stop_listening(is_succeeded=True)
    ground.settle()
    client = ground.connect(listener, b"hello\n")
    ground.settle()
    assert ground.lot.accepted == 0
    successor = listener.dup()
    successor.setblocking(True)
    ours, _ = successor.accept()
    assert ours.recv(10) == b"hello\n"
    for each in (ours, successor, client):
        each.close()


def rows_in_use(ground: Ground) -> set[int]:
    """The descriptors that have a row, listeners' among them."""
    return {fd for fd, kind in enumerate(ground.lot.rows.kinds) if kind}


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_no_probes_on_loopback(ground: Ground, front: Lines, family: int, host: str) -> None:
    """Peers on this machine are not probed: they cannot vanish, and where there are many the probes get lost."""
    listener = ground.listener(family, (host, 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    ground.lot.listen(listener)
    before = rows_in_use(ground)
    client = ground.connect(listener, b"echo\n")
    ground.until(lambda: ground.lot.accepted == 1)
    (fd,) = rows_in_use(ground) - before
    accepted = socket.socket(fileno=os.dup(fd))
    assert accepted.getpeername() == client.getsockname()
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
    accepted.close()


def test_listening_where_one_may_not_is_an_error(ground: Ground, front: Lines) -> None:
    """`listen` says so, and the lot goes on without that listener."""
    one, other = ground.listener(), ground.listener()
    one.listen()
    connected = ground.connect(one)
    with pytest.raises(OSError, match="Invalid argument"):
        ground.lot.listen(connected)
    ground.lot.listen(other)
    client = ground.connect(other, b"echo\n")
    ground.until(lambda: ground.lot.accepted)
    assert read_now(client) == b"echo\n"


# -- figures


def test_census(ground: Ground, front: Lines) -> None:
    """Rows are counted by what they are about, whatever their flags."""
    front.size = 1
    for line in (b"", b"ec", b"park\n", b"park last\n", b"park\nmore", b"echo\n", b"refuse\n"):
        ground.pair(line)
    away, _ = ground.pair(b"away\n")
    assert kinds.census(ground.rows.kinds) == {
        "reading": 1,
        "idle": 2,
        "waiting": 3,
        "streaming": 0,
        "writing": 1,
        "calling": 0,
        "away": 1,
    }
    ground.rows.close(away)
    assert ground.lot.counts() == {
        "accepted": 0,
        "given_back": 8,
        "times_full": 0,
        "bytes": len("echo\nrefuse\n"),
        "gone": 0,
        "idle": 0,
        "silent": 0,
        "slow": 0,
        "failed": 0,
    }


def test_rows_grow_with_descriptors(ground: Ground, front: Lines) -> None:
    """The columns that others refer to stay the same objects, however high the numbers become."""
    keys, column = ground.rows.keys, ground.rows.kinds
    ours, client = socket.socketpair()
    ground.sockets.append(client)
    high = min(descriptor_limit() - 10, 5000)
    os.dup2(ours.fileno(), high)
    ours.close()
    ground.lot.adopt(high, b"park\n")
    assert keys is ground.rows.keys
    assert column is ground.rows.kinds
    assert (keys[high], len(column) >= high, READ_BYTES) == (b"park", True, 4096)


def test_what_the_reactor_wants(ground: Ground, front: Lines) -> None:
    """A reader with a descriptor and a name, that tells the front of each turn."""
    assert ground.lot.fileno() == ground.rows.epoll.fileno()
    assert ground.lot.logPrefix() == "parking"
    ground.turn()
    ground.pass_s(1)
    assert front.turns == 2
