"""What a connection is while the manager is asked for what it missed: a small row of plain data.

That is when it comes, when a stream subscribes to more, and after a link was lost. Then it waits as a value of bytes
(`frozen`).
"""

from __future__ import annotations

import attrs

from megacomet.model.entries import Entry


@attrs.define(eq=False)
class Session:
    """A connection that waits for a page.

    Attributes:
        channels: what it listens to, its mailbox included; not the channel of everyone, which all hear.
        options: the front's own plain data on how to answer; a poll's are bytes, that it can be frozen.
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
