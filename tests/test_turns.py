"""Turns that processes share: never more at a time than there are places, and none is lost with who had it."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator

import pytest

from megacomet.turns import ASK_S, TURN_S, YIELD_S, Turns
from tests.forks import Fork, MemoryReactor


@pytest.fixture
def make() -> Iterator[Callable[[int], Turns]]:
    made: list[Turns] = []

    def a_lot(places: int) -> Turns:
        made.append(Turns(places))
        return made[-1]

    yield a_lot
    for turns in made:
        turns.close()


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


def test_others_have_theirs() -> None:
    """Who had a turn for long while others wait gives it back and pauses before it asks again; who has none, longer."""
    turns, reactor, other = awaited()
    turns.slice_over(is_done=True)
    pauses = []
    for _ in range(6):
        assert turns.take()
        reactor.advance(TURN_S / 2)
        turns.slice_over(is_done=False)
        pauses.append(turns.wait(reactor, int))
    assert pauses == [0.0, YIELD_S] * 3
    assert other.does(b"t")
    assert not turns.take()
    assert turns.wait(reactor, int) == ASK_S
    turns.slice_over(is_done=True)
    assert turns.wait(reactor, int) == 0.0
    assert not reactor.getReaders()
    other.end()
    turns.close()


def awaited() -> tuple[Turns, MemoryReactor, Fork]:
    """Return the only turn, which is taken, the time, and another that waits for it."""
    reactor = MemoryReactor()
    turns = Turns(1, reactor.seconds)
    other = Fork(turns)
    assert turns.take()
    assert not other.does(b"t")
    assert other.does(b"w")
    return turns, reactor, other


def is_kept(turns: Turns, reactor: MemoryReactor) -> bool:
    """Tell whether a turn goes on behind a slice that made it long, without a pause."""
    reactor.advance(TURN_S)
    turns.slice_over(is_done=False)
    return turns.wait(reactor, int) == 0.0


@pytest.mark.parametrize("places", [1, 2])
def test_a_turn_goes_on_while_nobody_waits(places: int) -> None:
    """However long it is, also beside others that have theirs: a pause would be for nothing."""
    reactor = MemoryReactor()
    turns = Turns(places, reactor.seconds)
    others = [Fork(turns) for _ in range(places - 1)]
    assert all(other.does(b"t") for other in others)
    assert turns.take()
    assert is_kept(turns, reactor)
    assert is_kept(turns, reactor)
    for other in others:
        other.end()
    turns.close()


def test_one_that_waits_ends_a_long_turn() -> None:
    """It is given back behind the slice."""
    turns, reactor, other = awaited()
    assert not is_kept(turns, reactor)
    assert other.does(b"t")
    other.end()
    turns.close()


@pytest.mark.parametrize("word", [b"g", b""])
def test_one_that_waits_no_more(word: bytes) -> None:
    """Whether it has nothing to do any more or was killed: nobody pauses for it."""
    turns, reactor, other = awaited()
    if word:
        assert other.does(word)
        assert is_kept(turns, reactor)
        other.end()
    else:
        other.end()
        assert is_kept(turns, reactor)
    turns.close()


@pytest.mark.parametrize(("process", "processor"), [(6, 3), (7, 5), (8, 3)])
def test_a_turn_goes_with_a_processor(
    make: Callable[[int], Turns], monkeypatch: pytest.MonkeyPatch, process: int, processor: int
) -> None:
    """Its holder moves there, of those that it may run on, and may run on all of them again."""
    told: list[set[int]] = []
    monkeypatch.setattr(os, "getpid", lambda: process)  # who takes which turn first when all are free
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 3})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, allowed: told.append(allowed))
    assert make(3).take()
    assert told == [{processor}, {3, 5}]


def test_a_processor_that_is_taken_away(make: Callable[[int], Turns], monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that it may not run on any more costs nobody the turn."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4095})
    turns = make(1)
    assert turns.take()
    turns.slice_over(is_done=True)


def test_a_turn_is_kept_between_slices(make: Callable[[int], Turns], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets in between the slices of a turn, but others run first; who is done gives it back at once."""
    yields: list[None] = []
    monkeypatch.setattr(os, "sched_yield", lambda: yields.append(None))
    turns = make(1)
    other = Fork(turns)
    assert turns.take()
    assert not yields
    turns.slice_over(is_done=False)
    assert not other.does(b"t")
    assert turns.take()
    assert len(yields) == 1
    turns.slice_over(is_done=True)
    assert other.does(b"t")
    other.end()


class Waiting:
    """One that was refused, because another has the only turn, and waits."""

    def __init__(self, make: Callable[[int], Turns]) -> None:
        self.turns, self.reactor = make(1), MemoryReactor()
        self.woken: list[str] = []
        self.other = Fork(self.turns)
        assert self.other.does(b"t")
        assert not self.turns.take()
        assert self.turns.wait(self.reactor, lambda: self.woken.append("woken")) == ASK_S
        assert self.is_waiting

    @property
    def is_waiting(self) -> bool:
        return self.reactor.getReaders() == [self.turns]


@pytest.fixture
def one(make: Callable[[int], Turns]) -> Iterator[Waiting]:
    made = Waiting(make)
    yield made
    made.other.end()


def can_be_read(turns: Turns) -> bool:
    return bool(select.select([turns], [], [], 0)[0])


def test_who_waits_is_woken(one: Waiting) -> None:
    """Once, when another gives back; it waits no more then."""
    one.turns.wait(one.reactor, lambda: one.woken.append("twice"))
    assert not can_be_read(one.turns)
    assert one.other.does(b"g")
    assert can_be_read(one.turns)
    one.turns.doRead()
    assert one.woken == ["woken"]
    assert not one.is_waiting
    assert one.turns.take()
    assert not can_be_read(one.turns)


def test_another_was_faster(one: Waiting) -> None:
    """Who is woken and finds nothing waits on."""
    one.turns.doRead()
    assert not one.woken
    assert one.is_waiting


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


def test_who_has_a_turn_does_not_wait(one: Waiting) -> None:
    """Who was refused and gets a turn by asking again leaves the next one to the others."""
    assert one.other.does(b"g")
    assert one.turns.take()
    assert not one.is_waiting
    assert not can_be_read(one.turns)


def test_who_is_woken_and_has_nothing_to_do(one: Waiting) -> None:
    """The next one is woken in its place."""
    assert one.other.does(b"g")
    one.turns.doRead()
    assert not can_be_read(one.turns)
    one.turns.slice_over(is_done=True)
    assert can_be_read(one.turns)


def test_the_count_is_corrected(make: Callable[[int], Turns]) -> None:
    """A process that dies takes its turn out of the count: it comes back; what is too much is taken off."""
    turns = make(1)
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
    assert can_be_read(turns)
    assert not turns.take()
    assert not can_be_read(turns)
    other.end()
