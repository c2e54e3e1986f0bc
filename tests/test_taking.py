"""Bodies and waits of the API's requests on rows of a real lot: what clients may do at every moment of them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from megacomet.kinds import CALLING, CLOSES, DRAINING, FREE, IDLE, READING, RESUMING, STATE, TAKING, WRITING, census
from megacomet.parking import HEAR_BYTES, ParkingLot
from megacomet.taking import Taking

from .conftest import LoggedFailures
from .lots import Ground, Lines, a_lot, read_all, read_now, reset

SILENCE_S = 20
NOTHING = b"(nothing)"


class Bodies(Lines):
    """A front with one request more: `body`, of which a dot is the end; what is then said is its answer."""

    def __init__(self, lot: ParkingLot) -> None:
        super().__init__(lot)
        self.taking = Taking(lot.rows, SILENCE_S)
        self.body = b""
        self.ended: list[int] = []
        self.when: dict[bytes, Callable[[], object]] = {}

    def received(self, fd: int, data: bytes, known: int) -> None:
        if not data.startswith(b"body\n"):
            super().received(fd, data, known)
            return
        self.rows.flag(fd, 0)
        self.taking.take(fd)
        if len(data) > 5:
            self.taken(fd, data[5:])

    def taken(self, fd: int, data: bytes) -> None:
        if data in self.when:
            self.when[data]()
            return
        body, dot, rest = data.partition(b".")
        self.body += body
        if not dot:
            self.taking.take(fd)
            return
        self.taking.call(fd)
        if rest:
            self.rows.hold(fd, rest)

    def gone(self, fd: int) -> None:
        self.ended.append(fd)


@pytest.fixture
def ground() -> Iterator[Ground]:
    ground = Ground(a_lot())
    yield ground
    ground.close()


@pytest.fixture
def front(ground: Ground) -> Bodies:
    return Bodies(ground.lot)


def state(ground: Ground, fd: int) -> int:
    return ground.rows.kinds[fd] & STATE


def over_tcp(ground: Ground, data: bytes) -> tuple[int, socket.socket]:
    """A connection that came in by a listener, and its client, which has sent something."""
    listener = ground.listener()
    ground.lot.listen(listener)
    before = {fd for fd, kind in enumerate(ground.rows.kinds) if kind}
    client = ground.connect(listener)
    ground.until(lambda: ground.lot.accepted)
    [fd] = {fd for fd, kind in enumerate(ground.rows.kinds) if kind} - before
    client.sendall(data)
    ground.until(lambda: state(ground, fd) >= TAKING)
    return fd, client


def is_left(ground: Ground, fd: int) -> bool:
    """Tell whether anything of a connection is left."""
    try:
        os.fstat(fd)
    except OSError:
        is_open = False
    else:
        is_open = True
    rows = ground.rows
    return bool(
        is_open
        or rows.kinds[fd]
        or fd in rows.unread
        or fd in rows.backlogs
        or rows.deadlines.is_armed(fd)
        or rows.open
    )


# -- bodies


def test_a_body_goes_to_the_front_as_it_comes(ground: Ground, front: Bodies) -> None:
    """In pieces of any size, the first of them behind its head; nothing of it is kept here."""
    fd, client = ground.pair(b"body\none ")
    assert (state(ground, fd), front.body) == (TAKING, b"one ")
    for byte in b"two ":
        client.sendall(bytes((byte,)))
        ground.turn()
    assert (state(ground, fd), front.body, ground.rows.unread) == (TAKING, b"one two ", {})
    client.sendall(b"three.")
    ground.turn()
    assert (state(ground, fd), front.body) == (CALLING, b"one two three")
    assert ground.rows.answer(fd, b"said\n")
    assert (read_now(client), state(ground, fd)) == (b"said\n", IDLE)


def test_a_turn_reads_a_bounded_piece(ground: Ground, front: Bodies) -> None:
    """However much has come, others have their turn too."""
    fd, client = ground.pair(b"body\n")
    client.sendall(b"x" * (HEAR_BYTES + 1000))
    ground.turn()
    assert len(front.body) <= HEAR_BYTES
    ground.settle()
    assert len(front.body) == HEAR_BYTES + 1000
    assert state(ground, fd) == TAKING


def test_silence_ends_a_body(ground: Ground, front: Bodies) -> None:
    """Who sends nothing of it is let go; whoever sends a byte now and then is not, however long the body takes."""
    silent, one = ground.pair(b"body\n")
    slow, other = ground.pair(b"body\n")
    for _ in range(3):
        ground.pass_s(SILENCE_S - 2)
        other.sendall(b"x")
        ground.turn()
    assert (read_all(one), is_open(slow), front.ended) == (b"", True, [silent])
    assert ground.rows.ended["silent"] == 1
    ground.pass_s(SILENCE_S + 1)
    assert (read_all(other), front.ended) == (b"", [silent, slow])
    assert not is_left(ground, slow)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("is_over", [False, True])
def test_who_waits_for_the_manager_has_no_deadline(ground: Ground, front: Bodies, is_over: bool) -> None:
    """The answer may take as long as it takes; between two requests the usual time holds again."""
    fd, client = ground.pair(b"body\nx.")
    ground.pass_s(1000)
    assert (state(ground, fd), read_now(client)) == (CALLING, NOTHING)
    ground.rows.answer(fd, b"said\n")
    assert read_now(client) == b"said\n"
    if is_over:
        ground.pass_s(1000)
        assert (read_all(client), front.ended) == (b"", [])


@pytest.mark.parametrize("body", [b"", b"x", b"x."])
@pytest.mark.parametrize("way", ["closed", "half-closed", "reset"])
def test_a_client_that_goes(ground: Ground, front: Bodies, body: bytes, way: str) -> None:
    """In the middle of its body or of the wait: the front is told once, and nothing is left."""
    fd, client = over_tcp(ground, b"body\n" + body)
    if way == "reset":
        reset(client)
    elif way == "closed":
        client.close()
    else:
        client.shutdown(socket.SHUT_WR)
    ground.until(lambda: front.ended)
    ground.settle()
    assert (front.ended, ground.rows.ended["gone"]) == ([fd], 1)
    assert not is_left(ground, fd)


# -- pauses


def test_nothing_is_read_while_a_body_is_paused(ground: Ground, front: Bodies) -> None:
    """What comes stays in the kernel, and wakes nobody; all of it is there afterwards."""
    fd, client = ground.pair(b"body\none ")
    front.taking.pause(fd, True)
    for _ in range(3):
        client.sendall(b"two ")
        ground.turn()
        ground.settle()
    assert front.body == b"one "
    front.taking.pause(fd, False)
    ground.turn()
    assert (front.body, state(ground, fd)) == (b"one two two two ", TAKING)


def test_a_paused_body_has_no_deadline(ground: Ground, front: Bodies) -> None:
    """The pause is ours, however long; when it is over, silence counts from then on."""
    fd, client = ground.pair(b"body\n")
    front.taking.pause(fd, True)
    ground.pass_s(1000)
    assert (state(ground, fd), front.ended) == (TAKING, [])
    front.taking.pause(fd, False)
    ground.pass_s(SILENCE_S - 1)
    assert front.ended == []
    ground.pass_s(3)
    assert (front.ended, read_all(client)) == ([fd], b"")


def test_a_connection_that_is_reset_while_it_is_paused(ground: Ground, front: Bodies) -> None:
    """It ends at once: nobody is there any more, and nothing can be read of it."""
    fd, client = over_tcp(ground, b"body\nx")
    front.taking.pause(fd, True)
    client.sendall(b"never read")
    reset(client)
    ground.until(lambda: front.ended)
    assert (front.ended, front.body) == ([fd], b"x")
    assert not is_left(ground, fd)


@pytest.mark.parametrize("is_tcp", [False, True])
@pytest.mark.parametrize("is_half", [False, True])
def test_an_end_while_it_is_paused(ground: Ground, front: Bodies, is_tcp: bool, is_half: bool) -> None:
    """Who sends all and goes: what came is taken when the pause is over, and only then the end is seen."""
    fd, client = over_tcp(ground, b"body\none ") if is_tcp else ground.pair(b"body\none ")
    front.taking.pause(fd, True)
    client.sendall(b"two")
    if is_half:
        client.shutdown(socket.SHUT_WR)
    else:
        client.close()
    for _ in range(3):
        ground.turn()
    ground.settle()
    assert (state(ground, fd), front.ended, front.body) == (TAKING, [], b"one ")
    front.taking.pause(fd, False)
    ground.until(lambda: front.ended)
    assert (front.body, front.ended) == (b"one two", [fd])
    assert not is_left(ground, fd)


def test_a_pause_of_a_body_that_is_complete(ground: Ground, front: Bodies) -> None:
    """It changes nothing: nothing is read of it any more, and its end is seen."""
    fd, client = ground.pair(b"body\nx.")
    for is_paused in (True, False, True):
        front.taking.pause(fd, is_paused)
        assert (state(ground, fd), ground.rows.deadlines.is_armed(fd)) == (CALLING, False)
    client.close()
    ground.settle()
    assert front.ended == [fd]


def test_pause_and_go_on_in_one_turn(ground: Ground, front: Bodies) -> None:
    """As often as one likes; nothing is lost and nothing comes twice."""
    fd, client = ground.pair(b"body\n")
    sent = b""
    for n in range(50):
        front.taking.pause(fd, True)
        client.sendall(b"%d " % n)
        sent += b"%d " % n
        ground.turn()
        front.taking.pause(fd, False)
        ground.turn()
    assert front.body == sent


# -- events that are older than their rows


def test_an_old_event_of_a_body(ground: Ground, front: Bodies) -> None:
    """A row that was taken over by the event before its own: nothing is there to be read, and nothing happens."""
    one, first = ground.pair(b"body\n")
    two, second = ground.pair(b"body\n")
    fresh: list[int] = []

    def replaced() -> None:
        ground.rows.close(two)
        fresh.append(ground.pair()[0])
        front.received(fresh[0], b"body\n", 0)

    front.when[b"now"] = replaced
    ground.settle()
    first.sendall(b"now")
    second.sendall(b"not for the other")
    ground.turn()
    assert (fresh, front.body, front.ended) == ([two], b"", [])
    assert state(ground, two) == TAKING
    assert state(ground, one) == TAKING


@pytest.mark.parametrize("is_paused", [False, True])
def test_an_old_end(ground: Ground, front: Bodies, is_paused: bool) -> None:
    """The end of a connection is not that of the next one under its number, which receives, is paused or waits."""
    _, first = ground.pair(b"body\n")
    two, second = ground.pair(b"body\n")

    def replaced() -> None:
        ground.rows.close(two)
        assert ground.pair()[0] == two
        front.received(two, b"body\n" if is_paused else b"body\nx.", 0)
        if is_paused:
            front.taking.pause(two, True)

    front.when[b"now"] = replaced
    ground.settle()
    first.sendall(b"now")
    second.close()
    ground.turn()
    assert (state(ground, two), front.ended) == (TAKING if is_paused else CALLING, [])


def test_an_old_event_of_a_body_that_was_answered(ground: Ground, front: Bodies) -> None:
    """One event's work may answer the request of another one's row."""
    _, first = ground.pair(b"body\n")
    two, second = ground.pair(b"body\nx.")
    front.when[b"now"] = lambda: ground.rows.answer(two, b"said\n")
    first.sendall(b"now")
    second.sendall(b"echo\n")
    ground.turn()
    ground.settle()
    assert read_now(second) == b"said\necho\n"
    assert state(ground, two) == IDLE


# -- what comes behind a request that waits


def test_what_is_pipelined_in_the_same_segment(ground: Ground, front: Bodies) -> None:
    """It has its turn after the answer, in its own."""
    fd, client = ground.pair(b"body\nx.echo\n")
    ground.settle()
    assert (state(ground, fd), ground.rows.unread, read_now(client)) == (CALLING, {fd: b"echo\n"}, NOTHING)
    ground.rows.answer(fd, b"said\n")
    assert (state(ground, fd), read_now(client)) == (RESUMING, b"said\n")
    ground.settle()
    assert (read_now(client), state(ground, fd)) == (b"echo\n", IDLE)


def test_what_is_pipelined_later_stays_in_the_kernel(ground: Ground, front: Bodies) -> None:
    """One byte is read of it, however much there is, and it wakes nobody any more."""
    fd, client = ground.pair(b"body\nx.")
    for _ in range(3):
        client.sendall(b"echo\n" * 50)
        ground.settle()
        assert (state(ground, fd), ground.rows.unread) == (CALLING, {fd: b"e"})
    ground.rows.answer(fd, b"said\n")
    ground.settle()
    assert read_now(client) == b"said\n" + b"echo\n" * 150
    assert (state(ground, fd), ground.rows.unread) == (IDLE, {})


def test_a_body_behind_a_body(ground: Ground, front: Bodies) -> None:
    """One after the other, each answered before the next is looked at."""
    fd, client = ground.pair(b"body\none.body\ntwo")
    ground.rows.answer(fd, b"1\n")
    ground.settle()
    assert (state(ground, fd), front.body) == (TAKING, b"onetwo")
    client.sendall(b".body\nthree.")
    ground.turn()
    ground.rows.answer(fd, b"2\n")
    ground.settle()
    ground.rows.answer(fd, b"3\n")
    assert (read_now(client), front.body, state(ground, fd)) == (b"1\n2\n3\n", b"onetwothree", IDLE)


@pytest.mark.parametrize("way", ["closed", "half-closed", "reset"])
def test_a_client_that_goes_with_something_behind(ground: Ground, front: Bodies, way: str) -> None:
    """Unread bytes do not hide the end, told once."""
    fd, client = over_tcp(ground, b"body\nx.echo\n")
    client.sendall(b"more")
    ground.settle()
    assert state(ground, fd) == CALLING
    if way == "reset":
        reset(client)
    elif way == "closed":
        client.close()
    else:
        client.shutdown(socket.SHUT_WR)
    ground.until(lambda: front.ended)
    ground.settle()
    assert front.ended == [fd]
    assert not is_left(ground, fd)


def test_the_last_request_of_a_connection(ground: Ground, front: Bodies) -> None:
    """What came behind it is dropped, and the answer arrives whole."""
    fd, client = ground.pair(b"body\nx.echo\n")
    ground.rows.flag(fd, CLOSES)
    client.sendall(b"more")
    ground.rows.answer(fd, b"said\n")
    assert state(ground, fd) == DRAINING
    assert read_all(client) == b"said\n"
    client.close()
    ground.settle()
    assert not is_left(ground, fd)
    assert front.ended == []  # the request was answered


def test_an_answer_that_does_not_fit(ground: Ground, front: Bodies) -> None:
    """A client that does not read its answer is not read; what it has sent has its turn afterwards."""
    fd, client = ground.pair(b"body\nx.echo\n")
    answer = b"y" * 700_000 + b"\n"
    ground.rows.answer(fd, answer)
    assert state(ground, fd) == WRITING
    got = b""
    while len(got) < len(answer) + 5:
        got += client.recv(1 << 20)
        ground.settle()
    assert got == answer + b"echo\n"
    assert state(ground, fd) == IDLE


# -- the rest


def test_an_error_of_ours_costs_the_connection(ground: Ground, front: Bodies, logged_failures: LoggedFailures) -> None:
    """It is logged, the front is told once, and the others go on."""

    def broken() -> None:
        raise ZeroDivisionError

    front.when[b"boom"] = broken
    fd, client = ground.pair(b"body\n")
    other, _ = ground.pair(b"body\n")
    client.sendall(b"boom")
    ground.turn()
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
    assert (read_all(client), front.ended, state(ground, fd), state(ground, other)) == (b"", [fd], FREE, TAKING)


def test_both_are_counted(ground: Ground, front: Bodies) -> None:
    """A body is something that is read; a wait is something of its own."""
    ground.pair(b"body\n")
    ground.pair(b"body\nx.")
    _, new = ground.pair()
    new.sendall(b"bo")
    ground.turn()
    counts = census(ground.rows.kinds)
    assert (counts["reading"], counts["calling"], READING) == (2, 1, READING)
