"""Turns that processes share: never more at a time than there are places, and none is lost with who had it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from megacomet.turns import SLICES, Turns


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
    """Another process that takes turns when it is told to."""

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
                    turns.give_back()
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
    turns.give_back()
    second.does(b"g")
    assert turns.take()
    assert not second.does(b"t")
    turns.give_back()
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
    turns.give_back()


def test_others_have_theirs(make: Callable[[int], Turns]) -> None:
    """Who had many slices in a row is told to wait a little before it asks again; who has none, too."""
    turns = make(1)
    goes_on = []
    for _ in range(2 * SLICES):
        assert turns.take()
        goes_on.append(turns.goes_on)
        turns.give_back()
    assert goes_on == ([True] * (SLICES - 1) + [False]) * 2
    other = Fork(turns)
    assert other.does(b"t")
    assert not turns.take()
    assert not turns.goes_on
    other.end()
