"""What a waiting connection is when there is more to know than its mailbox: a small row of plain data."""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class Session:
    """A waiting poll with several channels, a position, a timeout or options.

    Attributes:
        channels: what it listens to, its mailbox included; not the channel of everyone, which all hear.
        options: the front's own plain data on how to answer.
        since: from where it goes on, as text; b"" from now.
        limit: at most so many messages an answer.
        immediate: answer when what was missed is known, whatever it is.
        join: number of the join that is under way, 0 when the session is live.
        floor: everything on its channels up to this offset was looked at when it went live.
        missed: what the join's page brought so far: (index in the box, channel, id, data, offset).
    """

    channels: tuple[bytes, ...]
    options: object
    since: bytes = b""
    limit: int = 100
    immediate: bool = False
    join: int = 0
    floor: int = 0
    missed: list[tuple[int, bytes, bytes, bytes, int]] | None = None
