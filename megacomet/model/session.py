"""What a waiting connection is when there is more to know than its mailbox: a small row of plain data.

A stream (SSE, NDJSON, WebSocket) that is live is *frozen*: its channels side by side in one value of bytes, which the
rows keep in a field of their table when it is short. A session exists for it only while the manager is being asked for
what it missed: when it comes, when it subscribes to more, and after a link was lost.
"""

from __future__ import annotations

from typing import Final

import attrs

from megacomet.model.entries import Entry
from megacomet.wire import frames

#: The first byte of a frozen stream; no name begins with a control character.
_FROZEN: Final = b"\x01"


@attrs.define(eq=False)
class Session:
    """A connection with several channels, a position, a timeout or options; or a stream that waits for a page.

    Attributes:
        channels: what it listens to, its mailbox included; not the channel of everyone, which all hear.
        options: the front's own plain data on how to answer.
        since: from where it goes on, as text; b"" from now.
        limit: at most so many messages an answer, or a page.
        immediate: answer when what was missed is known, whatever it is.
        is_stream: it stays after it was given something.
        is_open: a stream that was given its first page.
        join: number of the join that is under way, 0 when there is none.
        missed: what the join's page brought so far.
        late: channels that a stream subscribes to while it is live on its others, ...
        late_since: ... from where, ...
        held: ... and what came for the others meanwhile, None when nothing has to wait.
        token: whoever asked for it, to be answered.
    """

    channels: tuple[bytes, ...]
    options: object
    since: bytes = b""
    limit: int = 100
    immediate: bool = False
    is_stream: bool = False
    is_open: bool = False
    join: int = 0
    missed: list[Entry] | None = None
    late: tuple[bytes, ...] = ()
    late_since: bytes = b""
    held: list[Entry] | None = None
    token: object = None

    @property
    def joins_late(self) -> bool:
        """Whether the join that is due or under way is of the late channels only."""
        return self.is_open and bool(self.late) and not self.since

    def is_joining(self, channel: bytes) -> bool:
        """Tell whether what comes on a channel will be in the page that is under way."""
        return bool(self.join) and (not self.joins_late or channel in self.late)


def freeze(channels: tuple[bytes, ...]) -> bytes:
    """Return the row of a live stream."""
    return _FROZEN + frames.encode_names(channels)


def is_frozen(key: object) -> bool:
    """Tell whether a row is a live stream."""
    return isinstance(key, bytes) and key[:1] == _FROZEN


def thaw(key: bytes) -> tuple[bytes, ...]:
    """Return the channels of a live stream."""
    return tuple(frames.decode_names(key[1:]))
