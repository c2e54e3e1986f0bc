"""Owns the waiting of a benchmark: until something is reached, or processes are quiet; what they use tells `usage`."""

from __future__ import annotations

import time
from collections.abc import Callable

from megacomet.swarm.usage import Machine, cpu_s, machine, own_bytes, pss_bytes, tree

__all__ = ["Machine", "cpu_s", "machine", "own_bytes", "pss_bytes", "settled_cpu_s", "tree", "wait_for", "waited_for"]


def settled_cpu_s(pids: list[int], quiet_s: float = 0.004, longest_s: float = 30.0) -> float:
    """Wait until the processes use less than `quiet_s` of CPU in half a second (each a little for its beats)."""
    end = time.monotonic() + longest_s
    before = cpu_s(pids)
    while True:
        time.sleep(0.5)
        now = cpu_s(pids)
        if now - before < quiet_s * len(pids) or time.monotonic() > end:
            return before
        before = now


def waited_for(reached: Callable[[], bool], longest_s: float) -> bool:
    """Look ten times a second until it is reached; tells whether it was in time."""
    try:
        wait_for(reached, longest_s, "")
    except TimeoutError:
        return False
    return True


def wait_for(reached: Callable[[], bool], longest_s: float, what: str) -> None:
    """Look ten times a second until it is reached.

    Raises:
        TimeoutError: it was not in time; the text says what.
    """
    end = time.monotonic() + longest_s
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {longest_s:.0f} s")
        time.sleep(0.1)
