"""Descriptors: of a process, of the system, and places in epoll. A connection is one of each."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from typing import Final

from megacomet.doctor.costs import OWN_FILES, WORKERS_MOST, room_of, workers_of
from megacomet.doctor.finding import FIXED, FS, LOW, UNKNOWN, Aim, Finding, at_least, fine, grouped, unknown
from megacomet.doctor.readings import Files, whole
from megacomet.rlimits import RESERVE, connections_for

#: systemd's unit of the server, where there is one.
UNIT: Final = "megacomet.service"
UNITS: Final = tuple(f"{directory}/{UNIT}" for directory in ("etc/systemd/system", "usr/lib/systemd/system"))
_OPEN_FILES: Final = re.compile(r"^Max open files\s+(\S+)\s+(\S+)", re.M)
#: `unlimited`, which the kernel does not let anybody have beyond fs.nr_open.
_ENDLESS: Final = 1 << 63
NOFILE: Final = "open files (RLIMIT_NOFILE)"
_NOFILE_WHY: Final = (
    "Each connection is an open file of a worker, and a worker stops to accept {reserve} below its limit; "
    "more than {most} workers, the bound of that setting, are not reckoned with."
)
_EPOLL_WHY: Final = (
    "Each connection is watched by epoll, and so many watches a user may have; the kernel's own value is 4 % of memory."
)


def hard_limit(files: Files, process: str = "self") -> int | None:
    """Return the hard limit of open files of a process, which the server raises its own to; None: not known."""
    path = f"proc/{process}/limits"
    found = _OPEN_FILES.search(files.text(path) or "")
    if found is None:
        return None
    words = found[2]
    if words == "unlimited":
        return files.number("proc/sys/fs/nr_open") or _ENDLESS
    return whole(words)


def needed_limit(connections: int, workers: int) -> int:
    """Return the least limit of open files with which so many workers hold so many connections."""
    mean = math.ceil(connections / workers)
    limits = range(RESERVE + 1, RESERVE + 64 + 2 * mean)
    return limits[bisect_left(limits, connections, key=lambda limit: connections_for(workers, limit))]


def open_files(files: Files, aim: Aim) -> Finding:
    """Look at the descriptors that a process may have."""
    name = NOFILE
    why = _NOFILE_WHY.format(reserve=RESERVE, most=WORKERS_MOST)
    source = "megacomet/rlimits.py"
    limit = hard_limit(files, aim.process)
    if limit is None:
        return Finding(name, "", "", UNKNOWN, f"{why} The limit is not to be read here.", source)
    most = room_of(aim.settings, limit, aim.cores)
    least = needed_limit(aim.connections, aim.settings.workers or WORKERS_MOST)
    if most >= aim.connections:
        workers = workers_of(aim.settings, aim.connections, limit, aim.cores)
        return fine(name, grouped(limit), f"{why} With this limit {workers} are run.", source, grouped(least), most)
    wanted = needed_limit(aim.connections, aim.settings.workers or aim.cores)
    if files.is_container:
        change, state, written = f"--ulimit nofile={wanted}:{wanted} where the container is started", FIXED, 0
    elif has_unit(files):
        change, state, written = f"LimitNOFILE={wanted} in {UNIT}", LOW, wanted
    else:
        change, state, written = f"* hard nofile {wanted} in /etc/security/limits.d", LOW, wanted
    return Finding(name, grouped(limit), grouped(least), state, why, source, change, descriptors=written, most=most)


def has_unit(files: Files) -> bool:
    """Whether systemd has a unit of the server."""
    return any(map(files.exists, UNITS))


def nr_open(files: Files, aim: Aim) -> Finding:
    """Look at the bound of every process' limit."""
    name, path = "fs.nr_open", "proc/sys/fs/nr_open"
    why = "No process may have a higher limit of open files, whatever limits.conf says."
    value = files.number(path)
    if value is None:
        return unknown(files, name, path, why, FS)
    limit = hard_limit(files, aim.process)
    # Where the limit is enough as it is, nobody has to raise it.
    is_enough = limit is not None and room_of(aim.settings, limit, aim.cores) >= aim.connections
    workers = aim.settings.workers or (WORKERS_MOST if is_enough else aim.cores)
    need = needed_limit(aim.connections, workers)
    return at_least(files, name, value, need, why, FS)


def file_max(files: Files, aim: Aim) -> Finding:
    """Look at the descriptors of the whole system."""
    name, path = "fs.file-max", "proc/sys/fs/file-max"
    why = "All open files of the system together, a connection is one; beyond it only root may open more."
    value, counts = files.number(path), files.numbers("proc/sys/fs/file-nr", 3)
    if value is None:
        return unknown(files, name, path, why, FS)
    others = max(0, (counts[0] if counts else 0) - aim.held.files)
    need = aim.connections + OWN_FILES + others
    return at_least(files, name, value, need, why, FS, most=max(0, value - OWN_FILES - others))


def epoll_watches(files: Files, aim: Aim) -> Finding:
    """Look at the places in epoll that a user may have."""
    name, path = "fs.epoll.max_user_watches", "proc/sys/fs/epoll/max_user_watches"
    value = files.number(path)
    if value is None:
        return unknown(files, name, path, _EPOLL_WHY, FS)
    # A row is watched by the lot; what is handed over, and the worker's own, by another.
    return at_least(files, name, value, aim.connections + OWN_FILES, _EPOLL_WHY, FS, most=max(0, value - OWN_FILES))
