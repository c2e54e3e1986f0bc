"""The time of messages at a pace: in small even pieces, and none while there is nothing."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from megacomet.model.spreading import Spreading
from megacomet.worker.pacing import REPORT_S, STEP_S, Pacing
from tests.conftest import LoggedFailures


class Paced(Spreading):
    """What is paced, as far as the timer knows it."""

    is_paced = True  # type: ignore[assignment]
    is_running = True  # type: ignore[assignment]

    def __init__(self) -> None:
        self.granted: list[float] = []
        self.reports = 0
        self.failure: Exception | None = None

    def grant(self, seconds: float) -> None:
        if self.failure is not None:
            raise self.failure
        self.granted.append(round(seconds, 6))

    def report(self) -> None:
        self.reports += 1


class Timer:
    """The timer under test."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.paced = Paced()
        self.touched = 0
        self.pacing = Pacing(self.paced, self.clock, self.clock.seconds, self.touch)  # type: ignore[arg-type]

    def touch(self) -> None:
        self.touched += 1

    def passes(self, seconds: float, steps: int = 1) -> None:
        for _ in range(steps):
            self.clock.advance(seconds)


def test_nothing_is_paced() -> None:
    """Then there is no timer."""
    timer = Timer()
    timer.paced.is_paced = False
    timer.pacing.look()
    assert timer.clock.calls == []


def test_even_pieces() -> None:
    """What passes is given out step by step, a late step with all that has passed; each second there is a report."""
    timer = Timer()
    timer.pacing.look()
    timer.pacing.look()
    timer.passes(STEP_S, 3)
    assert (timer.paced.granted, timer.touched, timer.paced.reports) == ([STEP_S] * 3, 3, 0)
    timer.passes(0.4)
    assert timer.paced.granted[3:] == [0.4]
    timer.passes(STEP_S, 10)
    assert timer.paced.reports == 1
    timer.paced.is_paced = False
    timer.passes(STEP_S, 3)
    assert (len(timer.paced.granted), timer.clock.calls) == (15, [])


def test_a_pause() -> None:
    """While all pause there is a report each second and nothing else; what has passed then is not made up for."""
    timer = Timer()
    timer.paced.is_running = False
    timer.pacing.look()
    timer.passes(STEP_S, 10)
    assert timer.paced.granted == []
    timer.passes(REPORT_S)
    assert timer.paced.reports == 1
    timer.paced.granted.clear()
    timer.passes(0.7)
    timer.paced.is_running = True
    timer.pacing.look()
    timer.passes(STEP_S)
    assert timer.paced.granted == [STEP_S]


def test_a_step_that_fails(logged_failures: LoggedFailures) -> None:
    """It is logged, and the next one comes as if nothing had been."""
    timer = Timer()
    timer.paced.failure = ZeroDivisionError()
    timer.pacing.look()
    timer.passes(STEP_S)
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
    timer.paced.failure = None
    timer.passes(STEP_S)
    assert timer.paced.granted == [pytest.approx(2 * STEP_S)]
