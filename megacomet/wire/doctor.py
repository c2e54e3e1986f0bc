"""What `GET /api/doctor` tells, as `megacomet doctor --json` does: what the machine allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from megacomet.wire.answers import as_json

_Whole = Annotated[int, Meta(ge=0)]


class DoctorCheck(Struct, frozen=True):
    """One setting or limit of the machine.

    Attributes:
        about: what it belongs to.
        name: of the sysctl, the limit, the file.
        value: what is so, for people; empty: it is not known.
        needs: what so many connections need, for people; empty: nothing of it.
        state: `low` stands in the way, and so does what is `not changeable here`.
        why: why so much is needed, or nothing.
        source: where that is from.
        change: the line that changes it; empty: there is none. What is fine may have one too, as advice.
        most: connections that this bound lets in; null: it bounds none, or is not known.
    """

    about: str
    name: str
    value: str
    needs: str
    state: Literal["fine", "low", "unknown", "not changeable here"]
    why: str
    source: str
    change: str
    most: _Whole | None


class DoctorForecast(Struct, frozen=True):
    """The memory that so many connections take.

    Attributes:
        connections: that it is about.
        workers: that share them.
        process_bytes: of manager, zygote and workers, by transport, were all of it.
        store_bytes: of messages that are kept, at the most.
        kernel_bytes: of the sockets.
        under_way_bytes: of a message to all, until it is acknowledged.
        total_bytes: all of it, with the dearest transport.
        room_bytes: that there are for it; null: not known.
        fits: connections that fit now; null: not known.
        first_bound: what ends it; null: not known.
    """

    connections: _Whole
    workers: _Whole
    process_bytes: dict[str, _Whole]
    store_bytes: _Whole
    kernel_bytes: _Whole
    under_way_bytes: _Whole
    total_bytes: _Whole
    room_bytes: _Whole | None
    fits: _Whole | None
    first_bound: str | None


class DoctorTrace(Struct, frozen=True):
    """Something that has run short since the machine started.

    Attributes:
        where: the counter or the log that tells.
        what: what has happened.
        count: how often, at the least.
        do: what to do about it.
        last: the log's last line about it; empty of a counter.
    """

    where: str
    what: str
    count: _Whole
    do: str
    last: str


class DoctorLoss(Struct, frozen=True):
    """A line of a file that is read later and takes back, at the next start, what `--fix` has set.

    Attributes:
        path: of the file.
        name: of the sysctl.
        value: that it gets; empty: none, and the kernel's own value holds.
        wanted: that it should have.
    """

    path: str
    name: str
    value: str
    wanted: str


class DoctorUnread(Struct, frozen=True):
    """A file that is read later, and closed here: what it sets is not known.

    Attributes:
        path: of the file.
        why: the reason.
    """

    path: str
    why: str


class DoctorLater(Struct, frozen=True):
    """What the files of sysctl.d that are read after /etc/sysctl.d/60-megacomet.conf make of it.

    Attributes:
        losses: what is taken back.
        unread: files of which that is not known.
    """

    losses: list[DoctorLoss]
    unread: list[DoctorUnread]


class DoctorReport(Struct, frozen=True):
    """What this machine allows, for so many connections.

    Attributes:
        connections: the setting `capacity`, or what the workers' descriptors allow.
        workers: that share them.
        fine: whether nothing is low.
        checks: all of them.
        forecast: of the memory.
        traces: what has run short.
        kernel_log: whether the kernel's log could be read.
        later: what does not last beyond the next start of the machine.
    """

    connections: _Whole
    workers: _Whole
    fine: bool
    checks: list[DoctorCheck]
    forecast: DoctorForecast
    traces: list[DoctorTrace]
    kernel_log: bool
    later: DoctorLater


def doctor_json(told: Mapping[str, Any]) -> bytes:
    """Return the body of the answer from the form of `--json`."""
    return as_json(msgspec.convert(told, DoctorReport))
