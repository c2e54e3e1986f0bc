"""`/api/workers`: how the workers stand, and what may be done with one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from megacomet.api.acts import Act
from megacomet.errors import PeerError
from megacomet.wire.http import split_path
from megacomet.wire.workers import WorkerInfo, decode_drain, state_json, workers_json

_NUMBER: Final = re.compile(rb"[0-9]{1,4}").fullmatch


class IWorkers(Protocol):
    """Knows the workers, and gives them orders: the manager.

    All but `look` return the worker's state and raise `PeerError`: `not-found`, or `conflict` when it is so already or
    cannot be.
    """

    def look(self) -> Sequence[WorkerInfo]:
        """Return how they stand now, by number."""

    def restart(self, number: int) -> str:
        """Have one end in order and replaced."""

    async def drain(self, number: int, per_s: int) -> str:
        """Have one listen no more, and let so many connections go a second."""

    async def undrain(self, number: int) -> str:
        """Take back `drain`."""


def list_workers(workers: IWorkers) -> bytes:
    """Return the body of `GET /api/workers`."""
    return workers_json(workers.look())


async def restart(workers: IWorkers, path: bytes) -> Act:
    """Do `POST /api/workers/{n}/restart`."""
    number = number_in(path)
    return Act(state_json(number, workers.restart(number)), {"worker": number})


async def drain(workers: IWorkers, path: bytes, body: bytes) -> Act:
    """Do `POST /api/workers/{n}/drain`."""
    number, per_s = number_in(path), decode_drain(body)
    return Act(state_json(number, await workers.drain(number, per_s)), {"worker": number, "per_s": per_s})


async def undrain(workers: IWorkers, path: bytes) -> Act:
    """Do `DELETE /api/workers/{n}/drain`."""
    number = number_in(path)
    return Act(state_json(number, await workers.undrain(number)), {"worker": number})


def number_in(path: bytes) -> int:
    """Return the worker's number in a path as it was sent.

    Raises:
        PeerError: `not-found`: it is no number, or Klein found the path only after it had decoded it.
    """
    segments = split_path(path)
    if len(segments) != 4 or _NUMBER(segments[2]) is None:
        raise PeerError("not-found")
    return int(segments[2])
