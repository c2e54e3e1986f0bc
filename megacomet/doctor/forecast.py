"""The forecast: the memory that so many connections take, how many fit now, and which bound is met first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs

from megacomet.doctor.costs import (
    DEAREST,
    PROCESS_BYTES,
    kernel_bytes,
    message_bytes,
    needed_bytes,
    process_bytes,
    workers_of,
)
from megacomet.doctor.descriptors import hard_limit
from megacomet.doctor.finding import Aim, Finding
from megacomet.doctor.memory import room_bytes
from megacomet.doctor.readings import Files

#: Nobody asks for more; where the search for the largest number ends.
MOST: Final = 100_000_000
MEMORY: Final = "memory"


@attrs.frozen
class Forecast:
    """What so many connections take.

    Attributes:
        connections, workers: as asked.
        processes: bytes of manager, zygote and workers, by transport.
        store: bytes that the store may hold, at the most.
        kernel: bytes of sockets that wait.
        under_way: bytes of a message to all, until it is acknowledged.
        room: bytes that there are for all of it; None: not known.
        most: connections that fit now; None: no bound is known.
        first: the bound that is met first; "": none is known.
    """

    connections: int
    workers: int
    processes: dict[str, int]
    store: int
    kernel: int
    under_way: int
    room: int | None
    most: int | None
    first: str

    @property
    def total(self) -> int:
        """Bytes of all of it, with the dearest transport."""
        return self.processes[DEAREST] + self.store + self.kernel + self.under_way

    @property
    def fits(self) -> bool:
        """Whether nothing that is known stands in the way."""
        return self.most is None or self.most >= self.connections

    def as_object(self) -> dict[str, Any]:
        """Return what JSON tells of it."""
        return {
            "connections": self.connections,
            "workers": self.workers,
            "process_bytes": self.processes,
            "store_bytes": self.store,
            "kernel_bytes": self.kernel,
            "under_way_bytes": self.under_way,
            "total_bytes": self.total,
            "room_bytes": self.room,
            "fits": self.most,
            "first_bound": self.first or None,
        }


def forecast(files: Files, aim: Aim, findings: Iterable[Finding]) -> Forecast:
    """Work out what the aim takes, and how far one can go."""
    room = room_bytes(files, aim)
    bounds = [(finding.most, finding.name) for finding in findings if finding.most is not None]
    if room is not None:
        bounds.append((most_in(room, _needs(files, aim)), MEMORY))
    most, first = min(bounds, default=(None, ""))
    return Forecast(
        aim.connections,
        aim.workers,
        {name: process_bytes(aim.connections, aim.workers, name) for name in PROCESS_BYTES},
        aim.settings.store_bytes,
        kernel_bytes(aim.connections),
        message_bytes(aim.connections),
        room,
        most,
        first,
    )


def _needs(files: Files, aim: Aim) -> Callable[[int], int]:
    """Return what tells the bytes that a number of connections needs, with the workers that are run for them."""
    limit = hard_limit(files, aim.process)

    def needs(connections: int) -> int:
        workers = aim.workers if limit is None else workers_of(aim.settings, connections, limit, aim.cores)
        return needed_bytes(connections, workers, aim.settings)

    return needs


def most_in(room: int, needs: Callable[[int], int]) -> int:
    """Return the largest number of connections whose bytes fit; `needs` never falls."""
    if needs(0) > room:
        return 0
    fits, beyond = 0, MOST
    while fits < beyond - 1:
        middle = (fits + beyond) // 2
        if needs(middle) <= room:
            fits = middle
        else:
            beyond = middle
    return fits
