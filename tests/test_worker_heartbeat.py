"""The seconds of a worker: one after the other, some left out, and none missed by who does something."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from megacomet.worker.heartbeat import Heartbeat


class Life:
    """A heartbeat, and what it has done.

    Attributes:
        beats: when, and how long after the one before each was to be.
        woken: when a rest ended before its time, and how long before that a second had begun.
        rest_s: what it may leave out from now on.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.beats: list[tuple[float, float]] = []
        self.woken: list[tuple[float, float]] = []
        self.rest_s = 1.0
        self.heartbeat = Heartbeat(self.clock, self._beat, lambda: self.rest_s, self._wake)

    def _beat(self, after_s: float) -> None:
        self.beats.append((self.clock.seconds(), after_s))

    def _wake(self, ago_s: float) -> None:
        self.woken.append((self.clock.seconds(), ago_s))

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
    assert life.woken == []


@pytest.mark.parametrize(
    ("after_s", "ago_s", "next_beat"),
    [
        *((0.25, 0.25, (2, 1)), (0.75, 0.75, (2, 1)), (1, 0, (3, 2)), (1.25, 0.25, (3, 2)), (2.5, 0.5, (4, 3))),
        *((3.75, 0.75, (5, 4)), (4, 0, (6, 5)), (4.75, 0.75, (6, 5))),
    ],
)
def test_somebody_wakes_it(life: Life, after_s: float, ago_s: float, next_beat: tuple[float, float]) -> None:
    """Its seconds are those that it would have without the rest, the begun one is told; nothing to who is awake."""
    life.rest_s = 5
    life.pass_s(1)
    life.clock.advance(after_s)
    life.heartbeat.wake()
    assert not life.heartbeat.rests
    assert life.woken == [(1 + after_s, ago_s)]
    life.heartbeat.wake()
    assert life.woken == [(1 + after_s, ago_s)]
    assert len(life.clock.getDelayedCalls()) == 1
    beat_at, _ = next_beat
    assert life.pass_s(6)[:2] == [next_beat, (beat_at + 5, 5)]


def test_somebody_wakes_it_when_its_rest_is_over(life: Life) -> None:
    """Whoever is first in that moment: the second has begun, which is told; the beat is that of the next one."""
    life.rest_s = 5
    life.pass_s(1)
    (call,) = life.clock.getDelayedCalls()
    life.clock.rightNow = call.getTime()
    life.heartbeat.wake()
    assert life.woken == [(6, 0)]
    assert life.pass_s(1) == [(7, 6)]


def test_it_stops(life: Life) -> None:
    """When it has stopped it beats no more, not even when it is woken."""
    life.rest_s = 5
    life.pass_s(2)
    life.heartbeat.stop()
    life.heartbeat.wake()
    assert life.pass_s(20) == []
    assert life.woken == []
    assert life.clock.getDelayedCalls() == []


def test_it_stops_within_a_beat() -> None:
    """What ends the worker in its second is followed by no other second."""
    clock = Clock()
    heartbeat = Heartbeat(clock, lambda _: heartbeat.stop(), lambda: 1.0, lambda _: None)
    heartbeat.start()
    assert clock.getDelayedCalls() == []


def test_a_beat_that_fails_is_not_the_last() -> None:
    """An error of one second costs that second only."""
    clock = Clock()
    beats = []

    def beat(_: float) -> None:
        beats.append(clock.seconds())
        raise ValueError(len(beats))

    heartbeat = Heartbeat(clock, beat, lambda: 5.0, lambda _: None)
    with pytest.raises(ValueError, match="1"):
        heartbeat.start()
    with pytest.raises(ValueError, match="2"):
        clock.advance(1)
    assert beats == [0, 1]
    assert not heartbeat.rests
