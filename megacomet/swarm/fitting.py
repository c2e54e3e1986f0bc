"""Owns how a run is cut to the machine: how many clients fit, in how many processes, with how many workers.

No files are read here and nothing is opened: the limits are arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

from megacomet.doctor.costs import SOCKET_BYTES, message_bytes, process_bytes, workers_of
from megacomet.doctor.forecast import MEMORY, MOST, most_in
from megacomet.settings import Settings
from megacomet.swarm.sources import PORTS_USED

#: A process needs a few descriptors besides its clients': pipes, epoll, the standard streams.
SPARE_DESCRIPTORS: Final = 100
#: Below this one process connects as fast as two.
CLIENTS_WORTH_A_PROCESS: Final = 5_000
#: Memory of a client, of a process of clients, and of the processes that gather and push (PSS after a message to each,
#: 2026-11-28): `megacomet swarm --whole --hold 3` with `--processes 1 --clients 2000` had 24.7 MB, with 18,000 clients
#: 26.6 MB, and with `--processes 4 --clients 2000` 35.3 MB.
CLIENT_BYTES: Final = 118
CLIENT_PROCESS_BYTES: Final = 3_600_000
GATHERING_BYTES: Final = 21_000_000
#: The process that gathers, the one that keeps the server, the publishers, manager and zygote.
OTHER_PROCESSES: Final = 8

FILES: Final = "open files (RLIMIT_NOFILE)"
PORTS: Final = "source ports"
PROCESSES: Final = "processes"


@attrs.frozen
class Limits:
    """What a machine lets a run have.

    Attributes:
        descriptors: open files of a process.
        ports: that one source address has towards one address and port.
        sources: addresses that may be connected from; targets: addresses and ports that are connected to.
        cores: processors.
        memory: bytes to be had; processes: that may be started; None: no limit is known.
        bounds: connections that other limits let in, by the name of the limit.
    """

    descriptors: int
    ports: int
    sources: int
    targets: int
    cores: int
    memory: int | None = None
    processes: int | None = None
    bounds: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen
class Shape:
    """How a run is made up.

    Attributes:
        clients: connections, one a client.
        workers: of the run's own server, 0 without one.
        processes: of clients.
        bound: the limit that lets no more clients in; "": there are as many as wanted.
    """

    clients: int
    workers: int
    processes: int
    bound: str = ""


def processes_for(clients: int, descriptors: int, cores: int) -> tuple[int, int]:
    """Return how many processes hold so many clients: at least, and as many as are worth it.

    Args:
        descriptors: open files that each may have, more than `SPARE_DESCRIPTORS`.
    """
    least = max(1, math.ceil(clients / (descriptors - SPARE_DESCRIPTORS)))
    return least, max(least, min(cores, math.ceil(clients / CLIENTS_WORTH_A_PROCESS)))


def fitted(wanted: int, limits: Limits, server: Settings | None) -> Shape:
    """Return the largest run that fits.

    Args:
        wanted: clients.
        server: settings of the run's own server, which has its share of the limits; None: it is elsewhere.

    Returns:
        A shape of at most `wanted` clients; of none when nothing fits, and `bound` says why.
    """
    most, bound = min(_bounds(limits, server), key=lambda one: one[0], default=(MOST, ""))
    clients = max(0, min(wanted, most))
    if not clients:
        return Shape(0, 0, 0, bound)
    _, processes = processes_for(clients, limits.descriptors, limits.cores)
    return Shape(
        clients,
        _workers(clients, limits, server),
        processes,
        bound if clients < wanted else "",
    )


def needed_bytes(clients: int, limits: Limits, server: Settings | None) -> int:
    """Return the memory that so many clients take, and the server if it is the run's own; never falls."""
    _, processes = processes_for(clients, limits.descriptors, limits.cores)
    ours = GATHERING_BYTES + processes * CLIENT_PROCESS_BYTES + clients * (CLIENT_BYTES + SOCKET_BYTES)
    if server is None:
        return ours
    theirs = process_bytes(clients, _workers(clients, limits, server)) + server.store_bytes
    return ours + theirs + clients * SOCKET_BYTES + message_bytes(clients)


def _bounds(limits: Limits, server: Settings | None) -> Iterable[tuple[int, str]]:
    if limits.descriptors <= SPARE_DESCRIPTORS:
        yield 0, FILES
        return
    yield int(limits.ports * PORTS_USED) * limits.sources * limits.targets, PORTS
    yield from ((most, name) for name, most in limits.bounds.items())
    if limits.memory is not None:
        yield most_in(limits.memory, lambda clients: needed_bytes(clients, limits, server)), MEMORY
    if limits.processes is not None:
        yield most_in(limits.processes, _processes(limits, server)), PROCESSES


def _processes(limits: Limits, server: Settings | None) -> Callable[[int], int]:
    def processes(clients: int) -> int:
        ours, _ = processes_for(clients, limits.descriptors, 1)
        return OTHER_PROCESSES + ours + _workers(clients, limits, server)

    return processes


def _workers(clients: int, limits: Limits, server: Settings | None) -> int:
    return 0 if server is None else workers_of(server, clients, limits.descriptors, limits.cores)
