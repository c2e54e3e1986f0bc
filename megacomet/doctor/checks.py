"""The table of checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from megacomet.doctor import descriptors, ksm, memory, ports, queues, tcp
from megacomet.doctor.finding import Aim, Finding
from megacomet.doctor.readings import Files

#: By what they are about, in the order in which they are told.
CHECKS: Final[dict[str, tuple[Callable[[Files, Aim], Finding], ...]]] = {
    "Descriptors": (descriptors.open_files, descriptors.nr_open, descriptors.file_max, descriptors.epoll_watches),
    "Queues": (queues.somaxconn, queues.syn_backlog, queues.packet_backlog, queues.spread, queues.migrate),
    "TCP": (
        *(tcp.memory, tcp.receive_buffers, tcp.send_buffers, tcp.receive_bound, tcp.send_bound),
        *(tcp.time_wait, tcp.fin_timeout, tcp.conntrack),
    ),
    "Ports": (ports.port_range, ports.reserved_ports),
    "Memory and processors": (
        *(memory.memory, memory.group_memory, memory.min_free, memory.swappiness, memory.overcommit),
        *(memory.locked, ksm.merging, memory.group_processes, memory.processors, memory.clock),
    ),
}


def examine(files: Files, aim: Aim) -> dict[str, list[Finding]]:
    """Return what all checks find, by what they are about."""
    return {about: [check(files, aim) for check in checks] for about, checks in CHECKS.items()}
