"""What the machine has left for the server, and how long it has run."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_AVAILABLE: Final = re.compile(r"^MemAvailable:\s+(\d+) kB", re.M)
#: Of a control group, by the version of control groups: where its kind is mounted, the limit, what is used, and what
#: of that is cached of files, which are given up first.
_V2: Final = ("", "memory.max", "memory.current", re.compile(r"^inactive_file (\d+)", re.M))
_V1: Final = (
    *("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    re.compile(r"^total_inactive_file (\d+)", re.M),
)


def elapsed_s() -> float:
    """Return seconds of a clock that never jumps, and goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def available_bytes(root: Path = Path("/")) -> int | None:
    """Return how much memory may still be taken before the system runs out of it, or the control group does.

    Args:
        root: where `proc` and `sys` are.

    Returns:
        None: the system does not tell.
    """
    found = _AVAILABLE.search(_text(root / "proc/meminfo"))
    if found is None:
        return None
    return min([int(found[1]) * 1024, *_left_to_groups(root)])


def _left_to_groups(root: Path) -> Iterator[int]:
    """Yield what is left to the control groups of this process that have a limit."""
    mounted = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, kinds, name = line.split(":", 2)
        if kinds not in ("", "memory"):
            continue
        kind, limit, used, inactive = _V1 if kinds else _V2
        # In a container the group's own name may not be there: its files stand at the mount.
        for group in (mounted / kind / name.lstrip("/"), mounted / kind):
            most, now = _text(group / limit).strip(), _text(group / used).strip()
            if most.isdecimal() and now.isdecimal():
                cached = inactive.search(_text(group / "memory.stat"))
                yield max(0, int(most) - int(now) + (int(cached[1]) if cached is not None else 0))
                break


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
