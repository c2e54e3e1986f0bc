"""Owns the reading of what processes use: memory as PSS, CPU as user + system time, both over a tree of processes.

Linux only. PSS shares a page among those that map it, so forked processes can be added up.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import attrs

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def tree(pid: int) -> list[int]:
    """Return the process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            parent = _parent(entry)
            if parent is not None:
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None  # it has ended meanwhile


def pss_bytes(pids: Iterable[int]) -> int:
    """Return the processes' proportional share of memory."""
    return sum(_rollup(pid, "Pss:") for pid in pids)


def own_bytes(pids: Iterable[int]) -> int:
    """Return the same without the pages of files: how many others share those changes with whatever else runs."""
    return sum(_rollup(pid, "Pss_Anon:") + _rollup(pid, "Pss_Shmem:") for pid in pids)


def _rollup(pid: int, field: str) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(field))


def cpu_s(pids: Iterable[int]) -> float:
    """Return the processes' user + system time."""
    return sum(_cpu_s(pid) for pid in pids)


def _cpu_s(pid: int) -> float:
    try:
        # schedstat counts the same time as stat does, in ns instead of ticks of 10 ms, per thread.
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        pass
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


@attrs.frozen
class Machine:
    """What the whole machine uses, in bytes.

    Attributes:
        available: MemAvailable.
        slab: the kernel's objects that it cannot give back, sockets and epoll entries among them; those that it can
            count as available.
        sockets: buffers of TCP (sockstat).
    """

    available: int
    slab: int
    sockets: int


def machine() -> Machine:
    """Read the machine's memory."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())

    def size(name: str) -> int:
        return int(fields[name].split()[0]) * 1024

    tcp = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:")).split()
    return Machine(size("MemAvailable"), size("SUnreclaim"), int(tcp[tcp.index("mem") + 1]) * _PAGE_BYTES)
