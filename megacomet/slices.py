"""How long a worker goes on with something long before the rest of its reactor has a turn.

A slice of boxes has its time. A slice of a message to many goes on while nothing else waits: to ask the kernel costs
less than a turn of the reactor for nothing (4 to 8 % of the deliveries/s, bench/RESULTS.md), and who comes is seen
sooner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Boxes are worked off for so long, seconds.
SLICE_S: Final = 0.002
#: A message to many is written for so long at most, seconds; it is looked so often whether something waits.
LONG_S: Final = 0.006
LOOK_S: Final = 0.0005


def timed(clock: Callable[[], float]) -> Callable[[], bool]:
    """Begin a slice of boxes; returns what tells whether it is over."""
    until = clock() + SLICE_S
    return lambda: clock() >= until


def undisturbed(clock: Callable[[], float], is_anything_waiting: Callable[[], bool]) -> Callable[[], bool]:
    """Begin a slice of a message to many; returns what tells whether it is over."""
    look_at = clock() + LOOK_S
    until = look_at - LOOK_S + LONG_S

    def is_over() -> bool:
        nonlocal look_at
        now = clock()
        if now < look_at:
            return False
        look_at = now + LOOK_S
        return now >= until or is_anything_waiting()

    return is_over
