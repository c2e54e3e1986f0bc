"""The memory of the server's processes, measured as seldom as those who ask can bear."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

#: A process is measured so often at most, seconds.
MEASURE_S: Final = 1.0
#: Whoever asks has the manager measure for so long at most, seconds: it does nothing else meanwhile, and the system
#: takes a millisecond for each few thousand pages of a process. Those that were measured longest ago come first, so
#: that whoever asks often has figures that are a few seconds old. Who was never measured is, however long it takes: a
#: process that counts as nothing would be a lie.
BUDGET_S: Final = 0.01

_PSS: Final = re.compile(r"^Pss:\s+(\d+) kB", re.M)


class Memory:
    """What processes take, what they share divided among them."""

    def __init__(
        self, measure: Callable[[int], int] | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """
        Args:
            measure: tells the memory of a process, None: `pss_of`.
            clock: seconds, for the time that measuring takes.
        """
        self._measure = measure or pss_of
        self._clock = clock
        self._known: dict[int, tuple[float, int]] = {}

    def of(self, pids: Iterable[int], now: float) -> dict[int, int]:
        """Return bytes by process; it is 0 of one that is gone.

        Args:
            pids: all processes of interest: others are forgotten.
            now: seconds, monotonic.
        """
        self._known = {pid: self._known.get(pid, (-MEASURE_S, -1)) for pid in pids}
        until = self._clock() + BUDGET_S
        for pid, (measured, size) in sorted(self._known.items(), key=lambda item: item[1][0]):
            if size < 0 or (now >= measured + MEASURE_S and self._clock() < until):
                self._known[pid] = (now, self._measure(pid))
        return {pid: size for pid, (_, size) in self._known.items()}


def pss_of(pid: int) -> int:
    """Return the proportional memory of a process in bytes, 0 when the system does not tell."""
    with contextlib.suppress(OSError):
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
        if found is not None:
            return int(found[1]) * 1024
    return 0
