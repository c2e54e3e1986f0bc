"""`/api/workers`: what is told of a worker, and what is asked for when one is drained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from megacomet.errors import PeerError
from megacomet.wire.jsonbytes import check_utf8

#: Connections that are let go a second, unless the request says, and at most: no worker holds as many.
PER_S: Final = 1000
MOST_PER_S: Final = 1_000_000


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as it stands; what only the worker itself knows is None while it has no link to the manager.

    Attributes:
        worker: its number.
        state: `starting`, `up`, `draining`, `drained`, `restarting`, `unlinked` or `down`.
        pid: of its process, None: there is none.
        connections: that wait, by transport.
        open: connections in all, those between two requests included.
        memory_bytes: of its process, its part of what processes share included.
        cpu_s: of processors that it has used, seconds.
        cpu_share: of one processor, over the last seconds.
        lag_s: how late its event loop was at most in the last seconds.
        uptime_s: how long the process has run.
        restarts: how many processes have ended in this worker's place since the manager's start.
        last_end: how the last of them ended, None: none has.
        drain: `per_s` and how many connections are `left`; None: it is not drained.
    """

    worker: int
    state: str
    pid: int | None
    connections: Mapping[str, int] | None
    open: int | None
    memory_bytes: int | None
    cpu_s: float | None
    cpu_share: float | None
    lag_s: float | None
    uptime_s: float | None
    restarts: int
    last_end: str | None
    drain: Mapping[str, int] | None


def workers_json(workers: Sequence[WorkerInfo]) -> bytes:
    """Return the body that lists workers."""
    return msgspec.json.encode(workers)


def state_json(number: int, state: str) -> bytes:
    """Return the body that tells what a worker was put into."""
    return msgspec.json.encode({"worker": number, "state": state})


class _Drain(msgspec.Struct, forbid_unknown_fields=True):
    per_s: int = PER_S


_decode: Final = msgspec.json.Decoder(_Drain).decode


def decode_drain(body: bytes) -> int:
    """Decode the body of the request; an empty one asks for what is usual.

    Returns:
        connections that are to be let go a second.

    Raises:
        PeerError: `bad-json` or `bad-fields`.
    """
    try:
        check_utf8(body)
        fields = _decode(body or b"{}")
    except msgspec.ValidationError as e:
        raise PeerError("bad-fields", str(e)) from None
    except (msgspec.DecodeError, RecursionError) as e:
        raise PeerError("bad-json", str(e)) from None
    if not 1 <= fields.per_s <= MOST_PER_S:
        raise PeerError("bad-fields", f"per_s is a whole number from 1 to {MOST_PER_S}", "/per_s")
    return fields.per_s
