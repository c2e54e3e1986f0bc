"""Turns that processes share: never more at a time than there are places, and none is lost with who had it."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator

import pytest
from twisted.internet.testing import MemoryReactorClock

from megacomet.turns import ASK_S, SLICES, YIELD_S, Turns


@pytest.fixture
def make() -> Iterator[Callable[[int], Turns]]:
    made: list[Turns] = []

    def a_lot(places: int) -> Turns:
        made.append(Turns(places))
        return made[-1]

    yield a_lot
    for turns in made:
        turns.close()


class Fork:
    """Another process that takes turns when it is told to, and is done with them."""

    def __init__(self, turns: Turns) -> None:
        self._asking, asked = os.pipe()
        telling, self._told = os.pipe()
        self._ask, self._hear = asked, telling
        self.pid = os.fork()
        if self.pid == 0:
            os.close(asked)
            while word := os.read(self._asking, 1):
                if word == b"t":
                    os.write(self._told, b"y" if turns.take() else b"n")
                else:
                    turns.slice_over(is_done=True)
                    os.write(self._told, b"y")
            os._exit(0)
        os.close(self._asking)
        os.close(self._told)

    def does(self, word: bytes) -> bool:
        os.write(self._ask, word)
        return os.read(self._hear, 1) == b"y"

    def end(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)
        os.waitpid(self.pid, 0)
        os.close(self._ask)
        os.close(self._hear)


def test_as_many_as_there_are_places(make: Callable[[int], Turns]) -> None:
    """Two may, the third may not; when one has given back, it may."""
    turns = make(2)
    first, second = Fork(turns), Fork(turns)
    assert first.does(b"t")
    assert second.does(b"t")
    assert not turns.take()
    turns.slice_over(is_done=True)
    second.does(b"g")
    assert turns.take()
    assert not second.does(b"t")
    turns.slice_over(is_done=True)
    assert second.does(b"t")
    first.end()
    second.end()


def test_who_dies_gives_back(make: Callable[[int], Turns]) -> None:
    """kill -9 of who has the only turn frees it."""
    turns = make(1)
    other = Fork(turns)
    assert other.does(b"t")
    assert not turns.take()
    other.end()
    assert turns.take()
    turns.slice_over(is_done=True)


def test_others_have_theirs(make: Callable[[int], Turns]) -> None:
    """Who had many slices in a row gives its turn back and pauses before it asks again; who has none, longer."""
    turns, reactor = make(1), MemoryReactorClock()
    other = Fork(turns)
    pauses = []
    for _ in range(2 * SLICES):
        assert turns.take()
        turns.slice_over(is_done=False)
        pauses.append(turns.wait(reactor, int))
    assert pauses == ([0.0] * (SLICES - 1) + [YIELD_S]) * 2
    assert other.does(b"t")
    assert not turns.take()
    assert turns.wait(reactor, int) == ASK_S
    turns.slice_over(is_done=True)
    assert turns.wait(reactor, int) == 0.0
    assert not reactor.getReaders()
    other.end()


def test_a_turn_is_kept_between_slices(make: Callable[[int], Turns]) -> None:
    """Nobody gets in between the slices of a turn; who is done with less gives it back at once."""
    turns = make(1)
    other = Fork(turns)
    assert turns.take()
    turns.slice_over(is_done=False)
    assert not other.does(b"t")
    assert turns.take()
    turns.slice_over(is_done=True)
    assert other.does(b"t")
    other.end()


def waiting(turns: Turns, reactor: MemoryReactorClock) -> list[str]:
    """Let it be refused and wait; returns what is noted when it is woken."""
    woken: list[str] = []
    assert not turns.take()
    assert turns.wait(reactor, lambda: woken.append("woken")) == ASK_S
    assert reactor.getReaders() == [turns]
    return woken


def can_be_read(turns: Turns) -> bool:
    return bool(select.select([turns], [], [], 0)[0])


def test_who_waits_is_woken(make: Callable[[int], Turns]) -> None:
    """Once, when another gives back; it waits no more then."""
    turns, reactor = make(1), MemoryReactorClock()
    other = Fork(turns)
    assert other.does(b"t")
    woken = waiting(turns, reactor)
    turns.wait(reactor, lambda: woken.append("twice"))
    assert not can_be_read(turns)
    assert other.does(b"g")
    assert can_be_read(turns)
    turns.doRead()
    assert woken == ["woken"]
    assert not reactor.getReaders()
    assert turns.take()
    assert not can_be_read(turns)
    other.end()


def test_another_was_faster(make: Callable[[int], Turns]) -> None:
    """Who is woken and finds nothing waits on."""
    turns, reactor = make(1), MemoryReactorClock()
    other = Fork(turns)
    assert other.does(b"t")
    woken = waiting(turns, reactor)
    turns.doRead()
    assert not woken
    assert reactor.getReaders() == [turns]
    other.end()


def test_two_are_woken_for_two(make: Callable[[int], Turns]) -> None:
    """Two turns are given back before anybody looks: both are counted."""
    turns = make(2)
    first, second = Fork(turns), Fork(turns)
    assert first.does(b"t")
    assert second.does(b"t")
    assert not can_be_read(turns)
    assert first.does(b"g")
    assert second.does(b"g")
    os.eventfd_read(turns.fileno())
    assert can_be_read(turns)
    first.end()
    second.end()


def test_who_has_a_turn_does_not_wait(make: Callable[[int], Turns]) -> None:
    """Who was refused and gets a turn by asking again leaves the next one to the others."""
    turns, reactor = make(1), MemoryReactorClock()
    other = Fork(turns)
    assert other.does(b"t")
    waiting(turns, reactor)
    assert other.does(b"g")
    assert turns.take()
    assert not reactor.getReaders()
    assert not can_be_read(turns)
    other.end()


def test_who_is_woken_and_has_nothing_to_do(make: Callable[[int], Turns]) -> None:
    """The next one is woken in its place."""
    turns, reactor = make(1), MemoryReactorClock()
    other = Fork(turns)
    assert other.does(b"t")
    waiting(turns, reactor)
    assert other.does(b"g")
    turns.doRead()
    assert not can_be_read(turns)
    turns.slice_over(is_done=True)
    assert can_be_read(turns)
    other.end()


def test_the_count_is_corrected(make: Callable[[int], Turns]) -> None:
    """A process that dies takes its turn out of the count: it comes back; what is too much is taken off."""
    turns, reactor = make(1), MemoryReactorClock()
    other = Fork(turns)
    assert other.does(b"t")
    other.end()
    assert not can_be_read(turns)
    assert turns.take()
    turns.slice_over(is_done=True)
    assert can_be_read(turns)
    os.eventfd_write(turns.fileno(), 1)
    other = Fork(turns)
    assert other.does(b"t")
    assert not turns.take()
    woken = waiting(turns, reactor)
    turns.doRead()
    assert not woken
    other.end()
