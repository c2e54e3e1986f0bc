"""What streams ask of the manager beside joins: the history of a channel, and to publish.

A row has at most one request under way: whoever reads its connection waits for the reply, so replies need no order
of their own. A lost link leaves a request without a reply, and nobody can tell whether a publication was taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from megacomet.model.entries import Entry, entry_of
from megacomet.model.position import format_position
from megacomet.wire import frames


class IReplies(Protocol):
    """Takes what the manager replies; the token is the one that the request was made with."""

    def history(self, fd: int, token: object, entries: Sequence[Entry], position: bytes, gap: bool) -> None:
        """The messages that were asked for; the reader of them stands at the position."""

    def published(self, fd: int, token: object, position: bytes, code: str) -> None:
        """A publication is a message with this position; or it was refused, for the code, and there is no position."""

    def unanswered(self, fd: int, token: object) -> None:
        """The link was lost before the reply."""


@attrs.define(eq=False)
class _Request:
    fd: int
    token: object
    entries: list[Entry] = attrs.field(factory=list)


class Requests:
    """The requests that are under way."""

    def __init__(self, replies: IReplies) -> None:
        self._replies = replies
        self._last = 0
        self._of: dict[int, _Request] = {}
        self._records: list[bytes] = []

    def ask_history(self, fd: int, channel: bytes, since: bytes, limit: int, token: object) -> None:
        """Ask for what is kept of a channel after a position, b"" for all; at most so many messages."""
        number = self._begin(fd, token)
        self._records.append(
            frames.encode(frames.HISTORY, number=number, offset=limit, channel=channel, data=since or b"oldest")
        )

    def publish(self, fd: int, channel: bytes, data: bytes, key: bytes, token: object) -> None:
        """Publish; the key is one of all publishers, b"" for none."""
        number = self._begin(fd, token)
        self._records.append(
            frames.encode(frames.PUBLISH, number=number, offset=len(key), channel=channel, data=key + data)
        )

    def _begin(self, fd: int, token: object) -> int:
        self._last = self._last % 0xFFFF_FFFF + 1
        self._of[self._last] = _Request(fd, token)
        return self._last

    def outgoing(self) -> list[bytes]:
        """Return the records for the manager that were gathered since the last call."""
        records, self._records = self._records, []
        return records

    def forget(self, fd: int) -> None:
        """The connection is gone."""
        if self._of:
            self._of = {number: request for number, request in self._of.items() if request.fd != fd}

    def unlinked(self) -> None:
        """The link is lost, and with it the replies."""
        asked, self._of, self._records = self._of, {}, []
        for request in asked.values():
            self._replies.unanswered(request.fd, request.token)

    def replied(self, index: int, frame: frames.Frame, epoch: bytes) -> bool:
        """Take a record of the manager; tells whether it is one for here."""
        if frame.kind not in (frames.PAST, frames.PAST_END, frames.PUBLISHED, frames.REFUSED):
            return False
        if frame.kind == frames.PAST:
            if frame.number in self._of:
                self._of[frame.number].entries.append(entry_of(epoch, index, frame))
            return True
        request = self._of.pop(frame.number, None)
        if request is None:
            return True
        position = format_position(epoch, frame.offset)
        if frame.kind == frames.PAST_END:
            has_gap = bool(frame.flags & frames.GAP)
            self._replies.history(request.fd, request.token, request.entries, position, has_gap)
        elif frame.kind == frames.PUBLISHED:
            self._replies.published(request.fd, request.token, position, "")
        else:
            self._replies.published(request.fd, request.token, b"", frame.data.decode())
        return True
