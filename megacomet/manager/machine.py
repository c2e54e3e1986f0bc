"""What the machine has left for the server, and how long it has run."""

from __future__ import annotations

import time
from pathlib import Path

from megacomet.doctor import memory
from megacomet.doctor.readings import Files


def elapsed_s() -> float:
    """Return seconds of a clock that never jumps, and goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def available_bytes(root: Path = Path("/")) -> int | None:
    """Return how much memory may still be taken before the system runs out of it, or a control group does.

    Args:
        root: where `proc` and `sys` are.

    Returns:
        None: the system does not tell.
    """
    return memory.available_bytes(Files(root))
