"""Owns the reading of the machine while a run goes on: in full at its marks, a little now and then for its series."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from megacomet.swarm import usage
from megacomet.swarm.measures import COLUMNS, EMPTY, Mark
from megacomet.swarm.series import Series

#: PSS of many processes takes the kernel a while; so much of the time goes into it at most.
_SHARE: Final = 0.05
#: Processes come and go: the server's are looked for so often.
_LOOK_S: Final = 5.0


class Meter:
    """Reads what the own server, if there is one, and the load client use."""

    def __init__(self, server: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            server: the process from which those of the server descend; None: the server is another's.
        """
        self._server = server
        self._clock = clock
        self._began = clock()
        self._pids: list[int] = []
        self._look_at = self._pss_at = 0.0
        self._bytes: tuple[int | None, int] = (None, 0)
        self.marks: dict[str, Mark] = {}
        self.series = Series(COLUMNS)

    @property
    def pids(self) -> list[int]:
        """The server's processes as they were found last."""
        return self._pids

    def begin(self) -> None:
        """Begin to count the seconds, with what there is before the first client as the first mark."""
        self._began = self._clock()
        self.mark(EMPTY, ())

    def mark(self, name: str, children: Sequence[int]) -> None:
        """Read all now.

        Args:
            children: processes of the load client beside this one.
        """
        self._look(self._clock())
        machine = usage.machine()
        self.marks[name] = Mark(
            round(self._clock() - self._began, 3),
            usage.pss_bytes(self._pids),
            usage.pss_bytes(self._pids[:1]),
            usage.pss_bytes([os.getpid(), *children]),
            round(usage.cpu_s(self._pids), 3),
            machine.slab,
            machine.sockets,
            machine.available,
        )

    def sample(self, counts: Mapping[str, int], children: Sequence[int]) -> None:
        """Add a row to the series if one is due."""
        now = self._clock()
        seconds = now - self._began
        if EMPTY not in self.marks or not self.series.due(seconds):
            return
        if now >= self._look_at:
            self._look(now)
        if now >= self._pss_at:
            server = usage.pss_bytes(self._pids) if self._server is not None else None
            self._bytes = (server, usage.pss_bytes([os.getpid(), *children]))
            self._pss_at = now + (self._clock() - now) / _SHARE
        machine = usage.machine()
        kernel = machine.slab + machine.sockets - self.marks[EMPTY].kernel
        self.series.add(
            round(seconds, 2), counts["connected"], counts["waiting"], self._bytes[0], kernel, self._bytes[1]
        )

    def _look(self, now: float) -> None:
        self._pids = usage.tree(self._server) if self._server is not None else []
        self._look_at = now + _LOOK_S
