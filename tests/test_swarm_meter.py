"""What is read of the machine while a run goes on: of the processes of a tree, in full at marks, a little meanwhile."""

from __future__ import annotations

import mmap
import os

from megacomet.swarm import usage
from megacomet.swarm.measures import EMPTY, HELD
from megacomet.swarm.meter import Meter

COUNTS = {"connected": 3, "waiting": 2}


class Clock:
    """A clock that is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_tree() -> None:
    """A process and those that descend from it; one that is gone takes nothing."""
    assert os.getpid() in usage.tree(os.getppid())
    assert usage.tree(os.getpid())[0] == os.getpid()
    assert usage.pss_bytes([os.getpid()]) > 1_000_000
    assert usage.cpu_s([os.getpid()]) > 0
    gone = 2**22 + 1  # more than there are processes
    assert (usage.pss_bytes([gone]), usage.cpu_s([gone]), usage.tree(gone)) == (0, 0.0, [gone])


def test_memory_without_files() -> None:
    """What a process has taken for itself is in it, private or to be shared with who it forks; its code is not."""
    pid = os.getpid()
    before = usage.own_bytes([pid])
    # Not by malloc, which has what other tests have left.
    held = [mmap.mmap(-1, 20_000_000, each | mmap.MAP_ANONYMOUS) for each in (mmap.MAP_PRIVATE, mmap.MAP_SHARED)]
    for each in held:
        for at in range(0, len(each), mmap.PAGESIZE):
            each[at] = 1
    assert 39_000_000 < usage.own_bytes([pid]) - before < 60_000_000
    assert usage.own_bytes([pid]) < usage.pss_bytes([pid])


def test_marks() -> None:
    """A mark has the seconds since the begin, and the memory of server and load client."""
    clock = Clock()
    meter = Meter(os.getpid(), clock)
    clock.now = 110.0
    meter.begin()
    clock.now = 150.5
    meter.mark(HELD, [os.getpid()])
    assert (meter.marks[EMPTY].at_s, meter.marks[HELD].at_s) == (0.0, 40.5)
    held = meter.marks[HELD]
    assert held.server >= held.manager > 1_000_000
    assert held.load > held.manager
    assert held.available > 0
    assert held.cpu_s > 0


def test_series() -> None:
    """Rows come when they are due, and only after the begin; of another's server the memory is not known."""
    clock = Clock()
    meter = Meter(None, clock)
    meter.sample(COUNTS, [])
    assert meter.series.rows == []
    meter.begin()
    for now in (100.0, 100.1, 100.5, 101.0):
        clock.now = now
        meter.sample(COUNTS, [])
    assert [row[:4] for row in meter.series.rows] == [(0.0, 3, 2, None), (0.5, 3, 2, None), (1.0, 3, 2, None)]
    assert meter.pids == []
    assert all((row[5] or 0) > 1_000_000 for row in meter.series.rows)
