"""Owns the watch on the rest of the machine: what processes compute meanwhile that no benchmark has started.

Something that takes a processor of two for 150 ms in each second (seen: a service of the machine, for longer the more
descriptors are open) meets a broadcast of 200 ms by chance, and halves its speed. What was measured then is
measured again, or left out, on all sides alike and whatever it gave.

Kernel threads are no bystanders: what they do is mostly the network of those who are measured.
"""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from bench import measure
from bench.meanwhile import meanwhile

#: Between two looks.
LOOK_S: Final = 0.01
#: Looks after which it is found out anew who computes at all: to look at all threads each time would be felt.
_LOOKS: Final = 100
#: The parent of all kernel threads.
_KTHREADD: Final = 2


class Watch:
    """What bystanders have computed, since the watch began."""

    def __init__(self) -> None:
        self._at_ns: list[int] = []
        self._spent_ns: list[int] = []
        self._spent = 0
        self._before: dict[Path, int] = {}
        self._active: dict[Path, int] = {}

    def share(self, began_ns: int, ended_ns: int) -> float:
        """Return how much of all processors' time they took between two times (of the monotonic clock)."""
        first = max(bisect_right(self._at_ns, began_ns) - 1, 0)
        last = min(bisect_left(self._at_ns, ended_ns), len(self._at_ns) - 1)
        took = self._at_ns[last] - self._at_ns[first]
        cpus = len(os.sched_getaffinity(0))
        return (self._spent_ns[last] - self._spent_ns[first]) / took / cpus if took > 0 else 0.0

    def look(self) -> None:
        """Add what they have computed since the last look."""
        if len(self._at_ns) % _LOOKS == 0:
            self._find()
        for task, before in self._active.items():
            self._active[task] = now = _spent_ns(task) or before
            self._spent += now - before
        self._at_ns.append(time.monotonic_ns())
        self._spent_ns.append(self._spent)

    def _find(self) -> None:
        there = {task: _spent_ns(task) for task in _tasks()}
        self._active = {
            task: self._active.get(task, self._before.get(task, spent))
            for task, spent in there.items()
            if spent > self._before.get(task, 0)
        }
        self._before = there


def _tasks() -> Iterator[Path]:
    ours = set(measure.tree(os.getpid())) | set(measure.tree(_KTHREADD))
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) not in ours:
            with contextlib.suppress(OSError):
                yield from (process / "task").iterdir()


def _spent_ns(task: Path) -> int:
    try:
        return int((task / "schedstat").read_text().split()[0])
    except (OSError, IndexError, ValueError):
        return 0  # it has ended, or the kernel does not count


@contextlib.contextmanager
def watched() -> Iterator[Watch]:
    """Look all the time during the block."""
    watch = Watch()

    def go_on(over: threading.Event) -> None:
        while not over.wait(LOOK_S):
            watch.look()

    watch.look()
    with meanwhile(go_on):
        yield watch


@attrs.frozen
class Moment:
    """How long processors have idled and how much the benchmark has computed by now, s.

    For runs of seconds: two of these cost nothing, where a watch takes some hundredths of a processor. What the kernel
    does by itself is a bystander here.
    """

    at_s: float
    idle_s: float
    ours_s: float

    @classmethod
    def now(cls) -> Moment:
        """Read it; a process that has ended counts when it was waited for."""
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        ours_s = measure.cpu_s(measure.tree(os.getpid())) + ended.ru_utime + ended.ru_stime
        # Idle and waiting for a disk.
        return cls(time.monotonic(), (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK"), ours_s)

    def share_since(self, before: Moment) -> float:
        """Return how much of all processors' time others have taken since then."""
        whole = (self.at_s - before.at_s) * (os.cpu_count() or 1)
        return max(0.0, 1 - (self.idle_s - before.idle_s + self.ours_s - before.ours_s) / whole)


def wait_for_quiet(share: float, longest_s: float) -> None:
    """Wait until others take less than that share of the processors in a second, or as long as it may last."""
    end = time.monotonic() + longest_s
    before = Moment.now()
    while time.monotonic() < end:
        time.sleep(1.0)
        now = Moment.now()
        if now.share_since(before) < share:
            return
        before = now
