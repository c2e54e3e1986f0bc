"""What the manager feels of itself once a second, as its workers do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from megacomet.pulse import Pulse

FEEL_S: Final = 1.0

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class Vitals:
    """The manager's pulse."""

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, now: Callable[[], float], cpu_s: Callable[[], float] = time.process_time
    ) -> None:
        """
        Args:
            clock: for the seconds.
            now: the clock that they are measured by.
            cpu_s: what the process has taken of processors.
        """
        self._pulse = Pulse()
        self._now = now
        self._cpu_s = cpu_s
        self._call = LoopingCall(self._feel)
        self._call.clock = clock
        self._zygotes: dict[int, float] = {}

    def start(self) -> None:
        """Begin to feel."""
        self._call.start(FEEL_S).addErrback(lambda failure: self._log.failure("the manager's pulse ended", failure))

    def stop(self) -> None:
        """Feel no more."""
        if self._call.running:
            self._call.stop()

    def _feel(self) -> None:
        self._pulse.feel(self._now(), self._cpu_s(), FEEL_S)

    def counts(self) -> dict[str, float]:
        """Return the figures, see `Pulse.counts`."""
        return self._pulse.counts()

    def cpu_s_of_zygote(self, pid: int) -> float:
        """Return what the zygotes have taken of processors until now, seconds.

        Args:
            pid: of the one that there is, 0 for none; what those before it had taken when they were asked for stays.
        """
        if pid and (taken := cpu_s_of(pid)) is not None:
            self._zygotes[pid] = taken
        return sum(self._zygotes.values())


def cpu_s_of(pid: int) -> float | None:
    """Return what a process has taken of processors, None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S  # utime and stime of proc(5)
