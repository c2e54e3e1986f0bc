"""Looking at the machine for who asks, as `megacomet doctor` does; seldom, since the manager waits meanwhile."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from megacomet.doctor.finding import Held
from megacomet.doctor.readings import Files
from megacomet.manager.main import Manager
from megacomet.settings import Settings

#: It takes some 10 ms; what it finds changes slowly. Seconds.
LOOK_S: Final = 5.0


class Checkup:
    """See `megacomet.api.doctor.IDoctor`."""

    def __init__(
        self, settings: Settings, manager: Manager, now: Callable[[], float], files: Callable[[], Files] = Files
    ) -> None:
        """
        Args:
            settings: of this server.
            manager: knows what its processes have.
            now: seconds, monotonic.
            files: gives the system's files.
        """
        self._settings = settings
        self._manager = manager
        self._now = now
        self._files = files
        self._looked = -math.inf
        self._found: Mapping[str, Any] = {}

    def look(self) -> Mapping[str, Any]:
        """Return what was found, in the form of `--json`; it may be `LOOK_S` old."""
        now = self._now()
        if now >= self._looked + LOOK_S:
            self._looked = now
            self._found = self._look(now)
        return self._found

    def _look(self, now: float) -> Mapping[str, Any]:
        # What is imported stays in memory: not before somebody asks.
        from megacomet.doctor.kernel_log import kernel_messages
        from megacomet.doctor.report import aim_of, make_report

        files = self._files()
        held = Held(sum(self._manager.memory_of(now).values()), sum(self._manager.connections().values()))
        aim = aim_of(files, self._settings, 0, len(os.sched_getaffinity(0)), held=held)
        return make_report(files, aim, kernel_messages(files.root)).as_object()
