"""`/api/workers`: what is told of a worker, and what is asked for when one is drained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from megacomet.errors import PeerError
from megacomet.wire.answers import as_json
from megacomet.wire.bodies import decode_body
from megacomet.wire.described import Count, Seconds, Whole

#: Connections that are let go a second, unless the request says, and at most: no worker holds as many.
PER_S: Final = 1000
MOST_PER_S: Final = 1_000_000


State = Annotated[
    str,
    Meta(
        extra_json_schema={"enum": ["starting", "up", "draining", "drained", "restarting", "unlinked", "down"]},
    ),
]


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as it stands; what only the worker itself knows is `null` while it has no link to the manager.

    Attributes:
        worker: its number.
        state: `starting`, `up`, `draining`, `drained`, `restarting`, `unlinked` or `down`.
        pid: of its process, `null`: there is none.
        connections: that wait, by transport.
        open: connections in all, those between two requests included.
        memory_bytes: of its process, its part of what processes share included.
        cpu_s: of processors that it has used, seconds.
        cpu_share: of one processor, over the last seconds.
        lag_s: how late its event loop was at most in the last seconds.
        uptime_s: how long the process has run.
        restarts: how many processes have ended in this worker's place since the manager's start.
        last_end: how the last of them ended, `null`: none has.
        drain: `per_s` and how many connections are `left`; `null`: it is not drained.
    """

    worker: Count
    state: State
    pid: int | None
    connections: Mapping[str, int] | None
    open: Count | None
    memory_bytes: Count | None
    cpu_s: Seconds | None
    cpu_share: Seconds | None
    lag_s: Seconds | None
    uptime_s: Seconds | None
    restarts: Count
    last_end: str | None
    drain: Mapping[str, int] | None


#: All of them, by number.
WorkerList = Sequence[WorkerInfo]


class WorkerState(msgspec.Struct, frozen=True):
    """What a worker was put into.

    Attributes:
        worker: its number.
        state: that it has now.
    """

    worker: Count
    state: State


def workers_json(workers: Sequence[WorkerInfo]) -> bytes:
    """Return the body that lists workers."""
    return as_json(workers)


def state_json(number: int, state: str) -> bytes:
    """Return the body that tells what a worker was put into."""
    return as_json(WorkerState(number, state))


class DrainBody(msgspec.Struct, forbid_unknown_fields=True):
    """How a worker is drained.

    Attributes:
        per_s: connections that are let go a second.
    """

    per_s: Annotated[Whole, Meta(extra_json_schema={"minimum": 1, "maximum": MOST_PER_S})] = PER_S


_decode: Final = msgspec.json.Decoder(DrainBody).decode


def decode_drain(body: bytes) -> int:
    """Decode the body of the request; an empty one asks for what is usual.

    Returns:
        connections that are to be let go a second.

    Raises:
        PeerError: `bad-json` or `bad-fields`.
    """
    fields = decode_body(_decode, body)
    if not 1 <= fields.per_s <= MOST_PER_S:
        raise PeerError("bad-fields", f"per_s is a whole number from 1 to {MOST_PER_S}", "/per_s")
    return int(fields.per_s)
