"""The same bytes to many sockets: with the kernel's ring where there is one, and without, under one contract."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
from collections.abc import Callable, Iterator

import pytest

from megacomet.multisend import AT_ONCE, Multisend
from megacomet.uring import Ring, by_entry


def no_ring(entries: int) -> Ring:
    """A kernel that does not let us."""
    raise OSError(errno.EPERM, f"no ring of {entries}")


class ShortRing(Ring):
    """A ring of which the kernel takes no more than one send at a time."""

    def __init__(self, entries: int) -> None:
        """Have `entries`, but take one."""
        self.entries = entries
        self.is_broken = False
        self.closed = 0

    def send(self, descriptors: list[int], data: bytes) -> list[int]:
        """Send to the first one only."""
        return [os.write(descriptors[0], data)]

    def close(self) -> None:
        """Count."""
        self.closed += 1


class WholeRing(ShortRing):
    """A ring as it should be, that notes how many it is given."""

    def __init__(self, entries: int) -> None:
        """Have `entries`."""
        super().__init__(entries)
        self.sizes: list[int] = []

    def send(self, descriptors: list[int], data: bytes) -> list[int]:
        """Send to all."""
        self.sizes.append(len(descriptors))
        return [os.write(descriptor, data) for descriptor in descriptors]


class BrokenRing(ShortRing):
    """A ring that does not tell what became of the sends."""

    def send(self, descriptors: list[int], data: bytes) -> list[int]:
        """Lose the results."""
        self.is_broken = True
        return [-errno.EIO] * len(descriptors)


Pairs = list[tuple[socket.socket, socket.socket]]
MAKERS = (Ring, no_ring)
#: A number beyond all that a process may have.
NOBODY = 1 << 30


@pytest.fixture(params=MAKERS, ids=("ring", "no ring"))
def multisend(request: pytest.FixtureRequest) -> Multisend:
    """One of both ways; where the kernel has no ring they are the same."""
    make: Callable[[int], Ring] = request.param
    return Multisend(make)


@contextlib.contextmanager
def connected(count: int) -> Iterator[Pairs]:
    """So many connections, whose first ends do not wait."""
    with contextlib.ExitStack() as stack:
        pairs: Pairs = []
        for _ in range(count):
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            stack.enter_context(theirs)
            ours.setblocking(False)
            theirs.setblocking(False)
            pairs.append((ours, theirs))
        yield pairs


def numbers(pairs: Pairs) -> list[int]:
    """The descriptors to send to."""
    return [ours.fileno() for ours, _ in pairs]


def received(pairs: Pairs) -> list[bytes]:
    """What each has got."""
    got = []
    for _, theirs in pairs:
        try:
            got.append(theirs.recv(1 << 20))
        except BlockingIOError:
            got.append(b"")
    return got


@pytest.mark.parametrize("count", [0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE + 5])
def test_all_get_it_once(multisend: Multisend, count: int) -> None:
    """However many there are, and wherever the last send left the ring."""
    with connected(count) as pairs:
        for data in (b"one", b"another one", b"one"):
            assert multisend.send(numbers(pairs), data) == [len(data)] * count
            assert received(pairs) == [data] * count


def test_each_has_its_own_result(multisend: Multisend) -> None:
    """A number that is no descriptor, a peer that is gone, one that takes nothing: at every place, others unharmed."""
    chance = random.Random(1)
    with connected(AT_ONCE) as pairs:
        gone, full = pairs[-2], pairs[-1]
        gone[1].close()
        with contextlib.suppress(BlockingIOError):
            while True:
                full[0].send(b"x" * 4096)
        results = {
            NOBODY: -errno.EBADF,
            gone[0].fileno(): -errno.EPIPE,
            full[0].fileno(): -errno.EAGAIN,
        }
        for n in range(500):
            data = b"message %d" % n
            some = chance.sample(pairs[:-2], chance.randint(1, 40))
            order = [*numbers(some), *chance.sample(list(results), chance.randint(0, 3))]
            chance.shuffle(order)
            assert multisend.send(order, data) == [results.get(fd, len(data)) for fd in order]
            assert received(some) == [data] * len(some)


def test_a_part(multisend: Multisend) -> None:
    """Who has little room takes a part, and its size is told."""
    data = bytes(range(256)) * 4096
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        theirs, _ = server.accept()
        with theirs:
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            (size,) = multisend.send([ours.fileno()], data)
            assert 0 < size < len(data)
            ours.close()
            assert b"".join(iter(lambda: theirs.recv(65536), b"")) == data[:size]


def test_data_of_the_same_place(multisend: Multisend) -> None:
    """The ring remembers an address: the bytes there live as long, so no others can stand at it."""
    with connected(2) as pairs:
        for n in range(200):
            data = b"%08d" % n
            assert multisend.send(numbers(pairs), data) == [8, 8]
            assert received(pairs) == [data, data]
            del data


@pytest.mark.parametrize("first", range(8))
def test_results_in_any_order(first: int) -> None:
    """The kernel promises no order: each result finds its entry, also where the entries go round the ring's end."""
    chance = random.Random(first)
    for count in range(9):
        entries = [(first + n) % 8 for n in range(count)]
        came = chance.sample(entries, count)
        assert by_entry([100 + entry for entry in came], came, first, 8) == [100 + entry for entry in entries]


@pytest.mark.parametrize("kind", [ShortRing, BrokenRing])
def test_a_ring_that_fails_is_given_up(kind: type[ShortRing]) -> None:
    """What it has not taken is written one by one, what is not known is told as lost, and nothing is sent twice."""
    made: list[ShortRing] = []

    def make(entries: int) -> ShortRing:
        made.append(kind(entries))
        return made[-1]

    multisend = Multisend(make)
    with connected(AT_ONCE + 3) as pairs:
        results = multisend.send(numbers(pairs), b"data")
        unknown = AT_ONCE if kind is BrokenRing else 0
        assert results == [-errno.EIO] * unknown + [4] * (len(pairs) - unknown)
        assert received(pairs) == [b""] * unknown + [b"data"] * (len(pairs) - unknown)
        assert multisend.send(numbers(pairs), b"more") == [4] * len(pairs)
    assert [ring.closed for ring in made] == [1]


def test_a_kernel_without_rings() -> None:
    """It is asked once."""
    asked: list[int] = []

    def make(entries: int) -> Ring:
        asked.append(entries)
        return no_ring(entries)

    multisend = Multisend(make)
    with connected(1) as pairs:
        for _ in range(3):
            assert multisend.send(numbers(pairs), b"data") == [4]
    assert asked == [AT_ONCE]


def test_a_ring_is_used() -> None:
    """One is made, at the first message, and gets all of them, as many at a time as it has entries."""
    made: list[WholeRing] = []

    def make(entries: int) -> Ring:
        made.append(WholeRing(entries))
        return made[-1]

    multisend = Multisend(make)
    assert not made
    with connected(2 * AT_ONCE + 3) as pairs:
        for _ in range(2):
            assert multisend.send(numbers(pairs), b"data") == [4] * len(pairs)
    assert [ring.sizes for ring in made] == [[AT_ONCE, AT_ONCE, 3] * 2]
