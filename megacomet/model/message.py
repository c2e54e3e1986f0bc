"""A message, what a publisher asks for, and what the publisher is told.

One of each is made for every message, and a tuple is made faster than a frozen attrs class.
"""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    """One message of the log.

    Attributes:
        offset: its place in the log, over all channels.
        channel: the channel's name.
        data: compact JSON, the bytes that travel to every client.
    """

    offset: int
    channel: bytes
    data: bytes


class Publication(NamedTuple):
    """What a publisher asks for.

    Attributes:
        channel: one target.
        data: checked, compact JSON.
        ttl_s: how long it is kept, seconds; None: as long as the channel's namespace says; 0: live only.
        key: the idempotency key with the publisher's identity in front, None without one.
    """

    channel: bytes
    data: bytes
    ttl_s: float | None = None
    key: bytes | None = None


class Appended(NamedTuple):
    """The log took the publication: it is safe.

    Attributes:
        offset: of the message.
        kept: whether a later reader can still read it.
        repeated: whether this is the answer of an earlier publication with the same key.
        status: of a repeated one, the status that the first was answered with.
    """

    offset: int
    kept: bool
    repeated: bool = False
    status: str = ""


class Published(NamedTuple):
    """What the publisher is told.

    Attributes:
        offset: of the message.
        status: `sent` (handed to a worker with a listener), `queued` (nobody listens, kept) or `unheard`.
        repeated: whether an earlier publication with the same key is answered again.
    """

    offset: int
    status: str
    repeated: bool = False
