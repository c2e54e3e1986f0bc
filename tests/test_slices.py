"""How long a slice lasts: by the clock, and by whether something waits."""

from __future__ import annotations

import pytest

from megacomet.slices import LONG_S, LOOK_S, SLICE_S, timed, undisturbed


class Time:
    """A clock, and something that waits from some time on."""

    def __init__(self, waits_from: float = 1e9) -> None:
        self.now = 100.0
        self.looked: list[float] = []
        self._waits_from = waits_from

    def __call__(self) -> float:
        return self.now

    def is_anything_waiting(self) -> bool:
        """Note that it was looked."""
        self.looked.append(self.now)
        return self.now >= self._waits_from


def test_boxes_have_their_time() -> None:
    """Whatever waits meanwhile."""
    time = Time()
    is_over = timed(time)
    time.now += SLICE_S * 0.99
    assert not is_over()
    time.now = 100.0 + SLICE_S
    assert is_over()


def test_nothing_waits() -> None:
    """A message to many goes on for its longest time; how often it is looked does not depend on the length of steps."""
    time = Time()
    is_over = undisturbed(time, time.is_anything_waiting)
    steps = 0
    while not is_over():
        steps += 1
        time.now += LOOK_S / 10
    assert time.now == pytest.approx(100.0 + LONG_S, abs=LOOK_S)
    assert steps >= 100
    assert len(time.looked) == pytest.approx(LONG_S / LOOK_S, abs=2)
    assert min(b - a for a, b in zip(time.looked, time.looked[1:], strict=False)) >= LOOK_S


def test_something_waits() -> None:
    """It ends at the next look."""
    waits_from = 100.0 + LONG_S / 2
    time = Time(waits_from)
    is_over = undisturbed(time, time.is_anything_waiting)
    while not is_over():
        time.now += LOOK_S / 10
    assert waits_from <= time.now <= waits_from + 2 * LOOK_S


def test_one_long_step() -> None:
    """A step that takes longer than all ends the slice, and nobody need look."""
    time = Time()
    is_over = undisturbed(time, time.is_anything_waiting)
    time.now += LONG_S
    assert is_over()
    assert not time.looked
