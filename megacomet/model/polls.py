"""How the polls of a worker are answered: from what is due to them, or empty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from megacomet.model.entries import Entry
from megacomet.model.position import format_position, parse_since
from megacomet.model.session import Session
from megacomet.wire import frames

#: A poll's answer takes no more messages after so many bytes of data (the wire contract, section 5).
ANSWER_BYTES = 1_000_000
#: What is said of a row that got no page in this box.
_LIVE: tuple[list[bytes], int] = ([], 0)


class IPolls(Protocol):
    """Writes answers to polls."""

    def answer(
        self,
        fd: int,
        key: bytes | Session,
        messages: list[tuple[bytes, bytes, bytes]],
        position: bytes,
        gaps: list[bytes],
    ) -> bool:
        """Answer the poll that waits on a descriptor; its row is no longer the hub's.

        Args:
            messages: (channel, id, data) in order; empty when it timed out.
            position: what the connection may resume from; b"" when it was never looked at, so there is none.
            gaps: channels of which something was missed.

        Returns:
            Whether the answer was written, or taken over to be written.
        """


class Polls:
    """The pages that polls got in this box, and the rules of answers."""

    def __init__(self, answers: IPolls) -> None:
        self._answers = answers
        #: descriptor -> channels with a gap, position if the page was cut off
        self._paged: dict[int, tuple[list[bytes], int]] = {}

    def paged(self, fd: int, session: Session, end: frames.Frame) -> tuple[Entry, ...] | None:
        """The page of a poll is complete: return what it is answered with, None when it goes on waiting."""
        session.join = 0
        entries, session.missed = tuple(session.missed or ()), None
        gaps = frames.decode_names(end.data)
        if not entries and not gaps and not session.immediate:
            return None
        self._paged[fd] = (gaps, entries[-1].offset if end.flags & frames.MORE and entries else 0)
        session.limit = max(session.limit, len(entries))
        return entries

    def is_cut_off(self, fd: int) -> bool:
        """Tell whether a poll's page did not have all: what comes live now is not its next."""
        return bool(self._paged.get(fd, _LIVE)[1])

    def cut_off(self) -> list[int]:
        """Return the descriptors of those polls."""
        return [fd for fd, (_, position) in self._paged.items() if position]

    def forget(self, fd: int) -> None:
        """The poll is gone."""
        self._paged.pop(fd, None)

    def clear(self) -> None:
        """The box was worked off."""
        self._paged.clear()

    def choose(
        self, fd: int, key: bytes | Session, entries: tuple[Entry, ...], epoch: bytes, head: int
    ) -> tuple[tuple[Entry, ...], int, list[bytes]]:
        """Return what of the messages that are due a poll takes, where it stands then, and its gaps."""
        if not isinstance(key, Session):  # a plain one takes one message
            return entries[:1], entries[0].offset, []
        gaps, position = self._paged.get(fd, _LIVE)
        taken = within_limits(entries, key.limit)
        if position or len(taken) < len(entries):
            # What waited in its mailbox from before must not take it back.
            stood = parse_since(key.since)
            position = max(taken[-1].offset, stood.offset if stood is not None and stood.epoch == epoch else 0)
        return taken, position or head, gaps

    def answer(
        self, fd: int, key: bytes | Session, entries: Sequence[Entry], position: bytes, gaps: list[bytes]
    ) -> bool:
        """Answer a poll whose row has been left."""
        return self._answers.answer(fd, key, [(e.channel, e.id, e.data) for e in entries], position, gaps)

    def answer_empty(self, fd: int, key: bytes | Session, epoch: bytes, stands_at: int) -> None:
        """Answer a poll whose row has been left and whose time is over."""
        position = b""  # a plain poll was promised nothing
        if isinstance(key, Session):
            position = key.since if key.join else format_position(epoch, stands_at)
        self.answer(fd, key, (), position, [])


def within_limits(entries: tuple[Entry, ...], limit: int) -> tuple[Entry, ...]:
    """Return the messages that one answer takes."""
    total = 0
    for n, entry in enumerate(entries):
        total += len(entry.data)
        if n and (n >= limit or total > ANSWER_BYTES):
            return entries[:n]
    return entries
