"""Control groups: the limits of the groups that a process is in, of both versions of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

import attrs

from megacomet.doctor.readings import Files, whole

MOUNTED: Final = "sys/fs/cgroup"
#: By version: limit of memory, what is used, and what of that is cached of files, which are given up first.
_MEMORY: Final = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", re.compile(r"^total_inactive_file ([0-9]{1,20})$", re.M)),
    2: ("memory.max", "memory.current", re.compile(r"^inactive_file ([0-9]{1,20})$", re.M)),
}
#: Version 1 has no word for "no limit": it is the largest multiple of a page.
_UNLIMITED: Final = 1 << 60


@attrs.frozen
class Group:
    """A control group.

    Attributes:
        version: 1 or 2.
        path: its directory, below the root of the files.
    """

    version: int
    path: str


@attrs.frozen
class MemoryLimit:
    """What a group may take.

    Attributes:
        path: of the file that has the limit.
        most: bytes.
        left: bytes, with what is cached of files.
    """

    path: str
    most: int
    left: int


def groups(files: Files, kind: str, process: str = "self") -> Iterator[Group]:
    """Yield the groups of a process that may limit something, its own first, then those around it.

    Args:
        kind: as version 1 calls it: memory, pids, cpu.
        process: its number, or "self".
    """
    for line in (files.text(f"proc/{process}/cgroup") or "").splitlines():
        parts = line.split(":", 2)
        if len(parts) != 3 or (parts[1] != "" and kind not in parts[1].split(",")):
            continue
        version = 1 if parts[1] else 2
        # Both kinds at once: version 2 is beside those of version 1 then.
        mounts = [f"{MOUNTED}/{kind}", f"{MOUNTED}/{parts[1]}"] if version == 1 else [MOUNTED, f"{MOUNTED}/unified"]
        mount = next((each for each in mounts if files.exists(each)), mounts[0])
        yield from (Group(version, path) for path in _upwards(mount, parts[2]))


def _upwards(mount: str, name: str) -> Iterator[str]:
    """Yield a group's directory and those around it.

    In a container the group's own name may not be there: its files stand at the mount.
    """
    inner = PurePosixPath(name.lstrip("/"))
    if ".." not in inner.parts:
        for each in (inner, *inner.parents):
            if each.parts:
                yield f"{mount}/{each}"
    yield mount


def memory_limits(files: Files, process: str = "self") -> Iterator[MemoryLimit]:
    """Yield the limits of memory that hold for a process."""
    for group in groups(files, "memory", process):
        limit, used, cached = _MEMORY[group.version]
        most, now = (whole(files.text(f"{group.path}/{name}")) for name in (limit, used))
        if most is None or now is None or most >= _UNLIMITED:
            continue
        found = cached.search(files.text(f"{group.path}/memory.stat") or "")
        yield MemoryLimit(f"{group.path}/{limit}", most, max(0, most - now + (int(found[1]) if found else 0)))


def process_limit(files: Files, process: str = "self") -> tuple[str, int] | None:
    """Return the file and the number of processes that the narrowest group may have; None: there is no limit."""
    found = []
    for group in groups(files, "pids", process):
        most = whole(files.text(f"{group.path}/pids.max"))
        if most is not None:
            found.append((f"{group.path}/pids.max", most))
    return min(found, key=lambda one: one[1], default=None)


def processors(files: Files, process: str = "self") -> tuple[str, float] | None:
    """Return the file and the processors that the narrowest group may use; None: there is no limit."""
    found = []
    for group in groups(files, "cpu", process):
        if group.version == 2:
            path, words = f"{group.path}/cpu.max", (files.text(f"{group.path}/cpu.max") or "").split()
        else:
            path = f"{group.path}/cpu.cfs_quota_us"
            words = [(files.text(f"{group.path}/cpu.cfs_{name}_us") or "").strip() for name in ("quota", "period")]
        numbers = [whole(word) for word in words]
        if len(numbers) == 2 and numbers[0] is not None and numbers[1]:
            found.append((path, numbers[0] / numbers[1]))
    return min(found, key=lambda one: one[1], default=None)
