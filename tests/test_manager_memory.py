"""Measuring memory: true, and never for long."""

from __future__ import annotations

import os
import subprocess

from megacomet.manager.memory import BUDGET_S, MEASURE_S, Memory, pss_of


class Kernel:
    """Measures in no time, or in as much as the test says, and remembers whom."""

    def __init__(self) -> None:
        self.measured: list[int] = []
        self.now = 0.0
        self.takes_s = 0.0

    def measure(self, pid: int) -> int:
        self.measured.append(pid)
        self.now += self.takes_s
        return pid * 1000 + len(self.measured)

    def clock(self) -> float:
        return self.now


def memory_on(kernel: Kernel) -> Memory:
    return Memory(kernel.measure, kernel.clock)


def test_what_the_system_tells() -> None:
    """A process has memory, one that is gone has none."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    found = Memory().of([os.getpid(), gone.pid], 0)
    assert found[os.getpid()] > 1_000_000
    assert found[gone.pid] == pss_of(gone.pid) == 0


def test_once_a_second() -> None:
    """Whoever asks all the time gets what is known."""
    kernel = Kernel()
    memory = memory_on(kernel)
    first = memory.of([1, 2], 0)
    assert memory.of([1, 2], MEASURE_S / 2) == first
    assert kernel.measured == [1, 2]
    assert memory.of([1, 2], MEASURE_S) != first
    assert kernel.measured == [1, 2, 1, 2]


def test_the_oldest_first_and_not_for_long() -> None:
    """With many large processes each has its turn; a new one is measured at once."""
    kernel = Kernel()
    memory = memory_on(kernel)
    memory.of([1, 2, 3, 4], 0)
    kernel.takes_s = BUDGET_S / 2
    del kernel.measured[:]
    memory.of([1, 2, 3, 4, 5], 10)
    assert kernel.measured == [5, 1]
    memory.of([1, 2, 3, 4, 5], 11)
    assert kernel.measured[2:] == [2, 3]
    memory.of([1, 2, 3, 4, 5], 12)
    assert sorted(kernel.measured[4:]) == [1, 4]


def test_who_is_gone_is_forgotten() -> None:
    """A number that is used again is another process."""
    kernel = Kernel()
    memory = memory_on(kernel)
    memory.of([1], 0)
    assert memory.of([], 0) == {}
    memory.of([1], 0)
    assert kernel.measured == [1, 1]
