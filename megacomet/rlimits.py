"""Descriptors: how many a process may have, and how many workers follow from that.

Every parked connection is one descriptor, so the limit of descriptors is the limit of connections.
"""

from __future__ import annotations

import math
import os
import resource
from pathlib import Path
from typing import Final

from megacomet.errors import StartError

#: Descriptors that a worker keeps for itself: at so many below its limit it stops to accept. They cover listeners, the
#: link, connections that are under way to the manager, and what a burst accepts before the worker has looked.
RESERVE: Final = 512
#: SO_REUSEPORT spreads connections by a hash, so worker counts differ as in a binomial distribution. Five standard
#: deviations of room: one worker in 1.7 million would be over.
SIGMAS: Final = 5
#: And never filled beyond this part, however narrow the distribution: connections come and go unevenly too.
FULLEST: Final = 0.955

_OPEN: Final = "/proc/self/fd"
_NR_OPEN: Final = Path("/proc/sys/fs/nr_open")
#: What `fs.nr_open` is when it cannot be read; the kernel's own default.
_NR_OPEN_DEFAULT: Final = 1024 * 1024


def raise_descriptor_limit() -> int:
    """Raise this process' soft limit of descriptors to its hard limit.

    Returns:
        The limit in force. Children inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _nr_open() if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return wanted if soft == resource.RLIM_INFINITY else soft


def _nr_open() -> int:
    try:
        return int(_NR_OPEN.read_text())
    except (OSError, ValueError):
        return _NR_OPEN_DEFAULT


def open_descriptors(path: str = _OPEN) -> int:
    """Return how many descriptors this process has open; 0 when the system does not tell."""
    try:
        return len(os.listdir(path)) - 1  # the one of the listing
    except OSError:
        return 0


def connections_per_worker(limit: int) -> int:
    """Return how many connections one of several workers can be counted on for.

    Args:
        limit: its limit of descriptors.

    Raises:
        StartError: nothing is left under that limit.
    """
    room = limit - RESERVE
    if room < 1:
        raise StartError(f"the limit of {limit} open files is too low, at least {RESERVE + 64} are needed (ulimit -n)")
    # The largest mean m with m + SIGMAS * sqrt(m) <= room.
    root = (math.sqrt(SIGMAS * SIGMAS + 4 * room) - SIGMAS) / 2
    return max(1, int(min(root * root, room * FULLEST)))


def workers_for(workers: int, capacity: int, limit: int, cores: int) -> int:
    """Return how many workers to run.

    Args:
        workers: the setting; 0: worked out.
        capacity: connections aimed at; 0: no aim.
        limit: descriptors a worker may have.
        cores: processors that we may use.

    Raises:
        StartError: the limit leaves no room for connections.
    """
    each = connections_per_worker(limit)
    return workers or max(1, cores, math.ceil(capacity / each))


def connections_for(workers: int, limit: int) -> int:
    """Return how many connections that many workers can be counted on for; one alone is not at the mercy of a hash."""
    return max(1, limit - RESERVE) if workers == 1 else workers * connections_per_worker(limit)
