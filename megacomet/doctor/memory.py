"""Memory, the limits of control groups, processors and the clock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from megacomet.doctor import groups
from megacomet.doctor.costs import COMMIT_BYTES, MANAGER_COMMIT_BYTES, PING_S, RING_BYTES, SOCKET_BYTES, needed_bytes
from megacomet.doctor.finding import (
    FIXED,
    LOW,
    RESULTS,
    UNKNOWN,
    VM,
    Aim,
    Finding,
    Held,
    at_least,
    fine,
    grouped,
    megabytes,
    unknown,
)
from megacomet.doctor.readings import Files, fields, kilobytes, whole

MEMINFO: Final = "proc/meminfo"
CLOCKS: Final = "sys/devices/system/clocksource/clocksource0"
#: Reading these asks a device each time; the others are read without leaving the process.
SLOW_CLOCKS: Final = frozenset({"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit", "hyperv_clocksource_msr"})
#: What the manager and the zygote are beside the workers, and threads that Python's libraries may start.
_OTHER_PROCESSES: Final = 4
_MEMORY_WHY: Final = (
    "Processes, a full store (store_bytes), {socket:,} B of the kernel for each socket, and a page for each message of "
    "a broadcast that is under way; see the forecast."
)
_MIN_FREE_WHY: Final = (
    "Packets that come in take memory that cannot be waited for. Below 1,024 kB a system breaks under load; what is "
    "kept free is nobody's, so more is not better."
)
_SWAP_WHY: Final = (
    "It weighs cached files against processes when memory runs short; where the forecast fits, nothing is swapped."
)
_OVERCOMMIT_WHY: Final = (
    "With 2 the kernel reserves all that each forked worker might write (28.4 MB, though a worker takes 4.2): with 0 "
    "and 1 it does not."
)
_GROUP_WHY: Final = "A control group counts the kernel's sockets too; beyond its limit a worker is killed."
_PIDS_WHY: Final = "Manager, zygote and each worker are a process, {workers} workers here."
_CPU_WHY: Final = (
    "A ping and its answer are 22 us of processor time (bench pings): all streams, each {ping:g} s, take so much."
)
_CLOCK_WHY: Final = (
    "The server asks for the time in each turn; hpet and acpi_pm ask a device each time, others only read memory."
)


_LOCKED_WHY: Final = (
    "Each worker has an io_uring, which some kernels count as locked memory of the user. A worker that gets none "
    "writes to one socket after the other."
)
#: The soft limit is the one that counts.
_LOCKED: Final = re.compile(r"^Max locked memory\s+(\S+)", re.M)
_CAP_IPC_LOCK: Final = 1 << 14


def available_bytes(files: Files, process: str = "self") -> int | None:
    """Return how much memory may still be taken before the system runs out of it, or a control group does.

    Returns:
        None: the system does not tell.
    """
    found = kilobytes(files.text(MEMINFO), "MemAvailable")
    if found is None:
        return None
    return min([found, *(limit.left for limit in groups.memory_limits(files, process))])


def held_by(files: Files, pids: Sequence[int]) -> Held:
    """Return what the processes of a server have, as far as the system tells."""
    shares = (kilobytes(files.text(f"proc/{pid}/smaps_rollup"), "Pss") or 0 for pid in pids)
    return Held(sum(shares), sum(len(files.names(f"proc/{pid}/fd")) for pid in pids))


def _held_bytes(aim: Aim) -> int:
    """Return what the running server has taken already, its sockets in the kernel too."""
    return aim.held.memory_bytes + SOCKET_BYTES * aim.held.files


def room_bytes(files: Files, aim: Aim) -> int | None:
    """Return what the server may take in all; None: the system does not tell."""
    available = available_bytes(files, aim.process)
    return None if available is None else available + _held_bytes(aim)


def memory(files: Files, aim: Aim) -> Finding:
    """Look whether what is needed fits."""
    name, why = "memory", _MEMORY_WHY.format(socket=SOCKET_BYTES)
    room = room_bytes(files, aim)
    if room is None:
        return unknown(files, name, MEMINFO, why, RESULTS)
    need = needed_bytes(aim.connections, aim.workers, aim.settings)
    value, needs = f"{megabytes(room)} to be had", megabytes(need)
    if room >= need:
        return fine(name, value, why, RESULTS, needs)
    return Finding(name, value, needs, FIXED, why, RESULTS, "fewer connections, a smaller store_bytes, or more memory")


def min_free(files: Files, _aim: Aim) -> Finding:
    """Look at what is kept free."""
    name, path = "vm.min_free_kbytes", "proc/sys/vm/min_free_kbytes"
    value = files.number(path)
    if value is None:
        return unknown(files, name, path, _MIN_FREE_WHY, VM)
    return at_least(files, name, value, 1024, _MIN_FREE_WHY, VM)


def swappiness(files: Files, _aim: Aim) -> Finding:
    """Look at what is swapped."""
    name, path = "vm.swappiness", "proc/sys/vm/swappiness"
    value, swap = files.number(path), kilobytes(files.text(MEMINFO), "SwapTotal")
    if value is None:
        return unknown(files, name, path, _SWAP_WHY, VM)
    return fine(name, f"{value}{', no swap' if swap == 0 else ''}", _SWAP_WHY, VM)


def overcommit(files: Files, aim: Aim) -> Finding:
    """Look whether workers can be forked."""
    name, path = "vm.overcommit_memory", "proc/sys/vm/overcommit_memory"
    value = files.number(path)
    if value is None:
        return unknown(files, name, path, _OVERCOMMIT_WHY, VM)
    if value != 2:
        return fine(name, str(value), _OVERCOMMIT_WHY, VM)
    text = files.text(MEMINFO)
    limit, used = kilobytes(text, "CommitLimit"), kilobytes(text, "Committed_AS")
    if limit is None or used is None:
        return unknown(files, name, MEMINFO, _OVERCOMMIT_WHY, VM)
    left = max(0, limit - used)
    need = MANAGER_COMMIT_BYTES + (aim.workers + 1) * COMMIT_BYTES
    if aim.held.files:  # a server that runs has reserved it
        return fine(name, "2", _OVERCOMMIT_WHY, VM)
    told, needs = f"2, {megabytes(left)} left", megabytes(need)
    if left >= need:
        return fine(name, told, _OVERCOMMIT_WHY, VM, needs)
    change = "sysctl -w vm.overcommit_memory=0"
    return Finding(name, told, needs, LOW, _OVERCOMMIT_WHY, VM, change)


def locked(files: Files, aim: Aim) -> Finding:
    """Look at the memory that may be locked, of which io_uring takes some."""
    name, source = "locked memory (RLIMIT_MEMLOCK)", "man getrlimit(2)"
    need = aim.workers * RING_BYTES
    path = f"proc/{aim.process}/limits"
    found = _LOCKED.search(files.text(path) or "")
    value = whole(found[1]) if found is not None else None
    if found is not None and found[1] == "unlimited":
        return fine(name, "no limit", _LOCKED_WHY, source, grouped(need))
    if value is None:
        return Finding(name, "", "", UNKNOWN, f"{_LOCKED_WHY} The limit is not to be read here.", source)
    if value >= need or _may_lock(files, aim.process):
        return fine(name, grouped(value), _LOCKED_WHY, source, grouped(need))
    if files.is_container:
        change = f"--ulimit memlock={need}:{need} where the container is started"
        return Finding(name, grouped(value), grouped(need), FIXED, _LOCKED_WHY, source, change)
    change = f"LimitMEMLOCK={need} in the unit, or * - memlock {need // 1024} in /etc/security/limits.d"
    return Finding(name, grouped(value), grouped(need), LOW, _LOCKED_WHY, source, change)


def _may_lock(files: Files, process: str) -> bool:
    """Whether a process has the capability CAP_IPC_LOCK, for which the limit does not count."""
    held = fields(files.text(f"proc/{process}/status") or "").get("CapEff", "")
    return bool(re.fullmatch(r"[0-9a-f]{1,16}", held) and int(held, 16) & _CAP_IPC_LOCK)


def group_memory(files: Files, aim: Aim) -> Finding:
    """Look at the control groups' limit of memory."""
    name, source = "control group: memory", "kernel docs, admin-guide/cgroup-v2.rst"
    narrowest = min(groups.memory_limits(files, aim.process), key=lambda limit: limit.left, default=None)
    if narrowest is None:
        return fine(name, "no limit", _GROUP_WHY, source)
    need = needed_bytes(aim.connections, aim.workers, aim.settings)
    room = narrowest.left + _held_bytes(aim)
    value = f"{megabytes(narrowest.most)}, {megabytes(room)} to be had"
    if room >= need:
        return fine(name, value, _GROUP_WHY, source, megabytes(need))
    change = f"MemoryMax={-(-(need + narrowest.most - room) // 1_000_000)}M in the unit, or the container's --memory"
    return Finding(name, value, megabytes(need), FIXED, f"{_GROUP_WHY} ({narrowest.path})", source, change)


def group_processes(files: Files, aim: Aim) -> Finding:
    """Look at the control groups' limit of processes."""
    name, source = "control group: processes", "kernel docs, admin-guide/cgroup-v1/pids.rst"
    why = _PIDS_WHY.format(workers=aim.workers)
    found = groups.process_limit(files, aim.process)
    if found is None:
        return fine(name, "no limit", why, source)
    need = aim.workers + _OTHER_PROCESSES
    if found[1] >= need:
        return fine(name, grouped(found[1]), why, source, grouped(need))
    change = f"TasksMax={need} in the unit, or the container's --pids-limit"
    return Finding(name, grouped(found[1]), grouped(need), FIXED, why, source, change)


def processors(files: Files, aim: Aim) -> Finding:
    """Look whether the processors are enough for pings."""
    name, why = "processors", _CPU_WHY.format(ping=aim.settings.ping_s)
    found = groups.processors(files, aim.process)
    have = aim.cores if found is None else min(aim.cores, found[1])
    need = aim.connections * PING_S / aim.settings.ping_s
    value, needs = f"{have:g}", f"{need:.2f}"
    if have >= need:
        return fine(name, value, why, RESULTS, needs)
    return Finding(name, value, needs, FIXED, why, RESULTS, "a longer ping_s, or more processors")


def clock(files: Files, _aim: Aim) -> Finding:
    """Look at the clock that the kernel reads."""
    name, source = "clock source", "kernel docs, timers/timekeeping.rst"
    path = f"{CLOCKS}/current_clocksource"
    value = (files.text(path) or "").strip()
    if not re.fullmatch(r"[\w.-]{1,40}", value, re.A):
        if value:
            files.odd(path, value)
        return Finding(name, "", "", UNKNOWN, f"{_CLOCK_WHY} It is {files.reason(path)} here.", source)
    if value not in SLOW_CLOCKS:
        return fine(name, value, _CLOCK_WHY, source)
    others = [each for each in (files.text(f"{CLOCKS}/available_clocksource") or "").split() if each not in SLOW_CLOCKS]
    if not others:
        return Finding(name, value, "", FIXED, _CLOCK_WHY, source, "a machine whose kernel trusts its tsc")
    return Finding(name, value, others[0], LOW, _CLOCK_WHY, source, f"echo {others[0]} > /{path}")
