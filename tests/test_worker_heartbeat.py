"""The seconds of a worker: one after the other, some left out, and none missed by who does something."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from megacomet.worker.heartbeat import Heartbeat


class Life:
    """A heartbeat, and what it has done.

    Attributes:
        beats: when, and how long after the one before each was to be.
        rest_s: what it may leave out from now on.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.beats: list[tuple[float, float]] = []
        self.rest_s = 1.0
        self.heartbeat = Heartbeat(self.clock, self._beat, lambda: self.rest_s)

    def _beat(self, after_s: float) -> None:
        self.beats.append((self.clock.seconds(), after_s))

    def pass_s(self, seconds: float) -> list[tuple[float, float]]:
        """Return the beats of so many seconds."""
        self.beats.clear()
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)
        return self.beats


@pytest.fixture
def life() -> Life:
    """A heartbeat that has begun."""
    life = Life()
    life.heartbeat.start()
    assert life.beats == [(0, 1)]
    return life


def test_every_second(life: Life) -> None:
    """It beats every second when nobody may rest."""
    assert life.pass_s(3) == [(1, 1), (2, 1), (3, 1)]
    assert not life.heartbeat.rests


def test_a_rest(life: Life) -> None:
    """It leaves out as many seconds as it may, and says how long it meant to."""
    life.rest_s = 5
    assert life.pass_s(11) == [(1, 1), (6, 5), (11, 5)]
    assert life.heartbeat.rests


def test_somebody_wakes_it(life: Life) -> None:
    """A beat comes at once then and the next one in a second, whatever might be left out; not before who is awake."""
    life.rest_s = 5
    life.pass_s(3.25)
    life.beats.clear()
    life.heartbeat.wake()
    assert life.beats == [(3.25, 5)]
    life.heartbeat.wake()
    assert life.beats == [(3.25, 5)]
    assert life.pass_s(6) == [(4.25, 1), (9.25, 5)]


def test_it_stops(life: Life) -> None:
    """When it has stopped it beats no more, not even when it is woken."""
    life.rest_s = 5
    life.pass_s(2)
    life.heartbeat.stop()
    assert life.pass_s(20) == []
    assert life.clock.getDelayedCalls() == []


def test_it_stops_within_a_beat() -> None:
    """What ends the worker in its second is followed by no other second."""
    clock = Clock()
    heartbeat = Heartbeat(clock, lambda _: heartbeat.stop(), lambda: 1.0)
    heartbeat.start()
    assert clock.getDelayedCalls() == []


def test_a_beat_that_fails_is_not_the_last() -> None:
    """An error of one second costs that second only."""
    clock = Clock()
    beats = []

    def beat(_: float) -> None:
        beats.append(clock.seconds())
        raise ValueError(len(beats))

    heartbeat = Heartbeat(clock, beat, lambda: 5.0)
    with pytest.raises(ValueError, match="1"):
        heartbeat.start()
    with pytest.raises(ValueError, match="2"):
        clock.advance(1)
    assert beats == [0, 1]
    assert not heartbeat.rests
