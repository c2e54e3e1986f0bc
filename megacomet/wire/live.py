"""What a console shows: the figures of this moment, and how they went over the last hour.

The texts under "Attributes" stand in the API's description too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct, field

from megacomet.wire.broadcasts import Broadcast
from megacomet.wire.described import Count, Seconds, Time
from megacomet.wire.workers import State

#: A figure that is not always known, and is never negative.
_Figure = Seconds


class Rates(Struct, frozen=True, kw_only=True):
    """How much happens a second; `null` until the manager has looked twice.

    Attributes:
        in: messages taken from publishers, one for each target.
        out: messages written to connections.
        bytes_out: bytes written to connections.
        accepts: connections that came in.
        refused: requests that were answered with an error.
        requests: to the API.
    """

    in_: _Figure | None = field(name="in")
    out: _Figure | None
    bytes_out: _Figure | None
    accepts: _Figure | None
    refused: _Figure | None
    requests: _Figure | None


class Latency(Struct, frozen=True):
    """From the acceptance of a message to when it was written, milliseconds; `null` without messages.

    Attributes:
        p50: half of them took at most so long.
        p99: all but one in a hundred took at most so long.
    """

    p50: _Figure | None
    p99: _Figure | None


class LiveMemory(Struct, frozen=True, kw_only=True):
    """Memory in bytes; what processes share is divided among them.

    Attributes:
        total: of all processes.
        manager: of the manager.
        zygote: of the process that workers are forked from.
        workers: of all of them.
        per_connection: `total` by open connection, `null` without one.
        available: what the machine, or the server's control group, has left; `null`: it is not told.
    """

    total: Count
    manager: Count
    zygote: Count
    workers: Count
    per_connection: Count | None
    available: Count | None


class Fits(Struct, frozen=True):
    """How many more connections fit.

    Attributes:
        descriptors: by the limit of open files of the workers that listen.
        memory: by the memory that is available; `null` with less than 1,000 connections, which do not tell.
        more: the lesser of the two.
    """

    descriptors: Count
    memory: Count | None
    more: Count


class LiveStore(Struct, frozen=True, kw_only=True):
    """What is kept.

    Attributes:
        messages: that are kept.
        waiting: those of them that wait in mailboxes.
        channels: channels and mailboxes that something is kept of.
        bytes: memory that they take.
        max_bytes: the setting `store_bytes`.
    """

    messages: Count
    waiting: Count
    channels: Count
    bytes: Count
    max_bytes: Count


class LiveWorker(Struct, frozen=True, kw_only=True):
    """A worker as it stands; what only the worker itself knows is `null` while it has no link to the manager.

    Attributes:
        worker: its number.
        state: as in `GET /api/workers`.
        pid: of its process, `null`: there is none.
        open: connections in all, those between two requests included.
        room: at so many it takes no more.
        cpu: processors that it uses, over the last seconds.
        lag_ms: how late its event loop was at most in the last seconds, milliseconds.
        memory: bytes.
        restarts: how many processes have ended in this worker's place since the manager's start.
        accepts: connections that came in, a second.
        out: messages that it wrote, a second.
        drain: `per_s` and how many connections are `left`; `null`: it is not drained.
    """

    worker: Count
    state: State
    pid: int | None
    open: Count | None
    room: Count
    cpu: _Figure | None
    lag_ms: _Figure | None
    memory: Count | None
    restarts: Count
    accepts: _Figure | None
    out: _Figure | None
    drain: Mapping[str, int] | None


class LiveFrame(Struct, frozen=True, kw_only=True):
    """The server at one moment; data of the event `live`.

    Attributes:
        time: when, Unix time.
        version: of MegaComet.
        started: when the manager started.
        ready: whether every worker listens that is to.
        epoch: of this start of the manager; another one: it was restarted.
        connections: that wait for messages, by transport.
        open: connections in all, those between two requests included.
        room: connections that the server can be counted on for.
        rates: how much happens.
        latency_ms: how long messages took in the last 10 s.
        lag_ms: how late the event loop of any process was at most in the last 5 s.
        cpu: processors that all processes use; 1.0 is one of them.
        cores: processors that the server may use.
        memory: that all processes take.
        fits: how many more connections fit.
        store: what is kept.
        workers: all of them, by number.
        broadcasts: those that are under way, and those that ended in the last minute.
    """

    time: float
    version: str
    started: Time
    ready: bool
    epoch: str
    connections: Mapping[str, int]
    open: Count
    room: Count
    rates: Rates
    latency_ms: Latency
    lag_ms: _Figure
    cpu: _Figure
    cores: Count
    memory: LiveMemory
    fits: Fits
    store: LiveStore
    workers: Sequence[LiveWorker]
    broadcasts: Sequence[Broadcast]


#: A number that is negative nowhere, `null` where it is not known.
Points = list[_Figure | None]


class TrendList(Struct, frozen=True):
    """How figures went over the last hour.

    Attributes:
        step_s: seconds between two points.
        end: when the last point was taken, Unix time; `null`: there is none yet.
        series: points by name, the oldest first, all of the same length; `null`: not known.
    """

    step_s: Annotated[int, Meta(extra_json_schema={"minimum": 1})]
    end: float | None
    series: Mapping[str, Points]
