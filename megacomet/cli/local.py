"""What this machine tells of a server without asking its API: its processes, by the state directory."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from megacomet import whereabouts
from megacomet.manager.memory import pss_of
from megacomet.proctitle import has_title
from megacomet.statedir import control_path_of
from megacomet.whereabouts import Whereabouts

#: The zygote answers at once, or hangs.
_PATIENCE_S: Final = 2.0


@attrs.frozen
class Process:
    """A process as the system tells of it.

    Attributes:
        pid: its number.
        memory_bytes: proportional set size; None: the system does not tell this user.
        uptime_s: how long it has run; None: the same.
    """

    pid: int
    memory_bytes: int | None
    uptime_s: float | None


@attrs.frozen
class Local:
    """The processes of a state directory.

    Attributes:
        manager: None: none runs here.
        zygote: None: none answers.
        workers: by number.
        server: what the running manager has left for us; None: nothing, or it is not ready yet.
        why_unknown: why it is not known whether a manager runs; "": it is.
    """

    manager: Process | None = None
    zygote: Process | None = None
    workers: Mapping[int, Process] = attrs.field(factory=dict)
    server: Whereabouts | None = None
    why_unknown: str = ""

    @property
    def is_any(self) -> bool:
        """Whether any process of a server runs."""
        return bool(self.manager or self.zygote or self.workers)


def look(state_dir: str) -> Local:
    """Return what runs with a state directory."""
    server = whereabouts.read(state_dir)
    why_unknown = ""
    try:
        manager = whereabouts.manager_of(state_dir)
    except OSError as e:
        manager = server.pid if server is not None else None
        if manager is None:
            why_unknown = f"whether a server runs cannot be known: {e.filename or state_dir}: {e.strerror or e}"
    zygote, workers = _family(control_path_of(state_dir))
    return Local(
        process(manager) if manager is not None else None,
        process(zygote) if zygote is not None and has_title(zygote, "zygote") else None,
        {number: process(pid) for number, pid in workers.items() if has_title(pid, f"worker {number}")},
        server,
        why_unknown,
    )


def _family(control_path: str) -> tuple[int | None, dict[int, int]]:
    """Ask the zygote who it is and which workers it has; (None, {}) where none answers."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(_PATIENCE_S)
            control.connect(control_path)
            control.sendall(b'{"op": "report"}\n')
            with control.makefile("rb") as file:
                told: Any = json.loads(file.readline())
        return int(told["pid"]), {int(number): int(pid) for number, pid in told["workers"].items()}
    return None, {}


def process(pid: int) -> Process:
    """Return what the system tells of a process."""
    return Process(pid, pss_of(pid) or None, _uptime(pid))


def _uptime(pid: int) -> float | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        # The name, in parentheses, may hold anything; the 20th field behind it is the start, in ticks since the boot.
        started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
        return round(max(0.0, up - started / os.sysconf("SC_CLK_TCK")), 2)
    return None
