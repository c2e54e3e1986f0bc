"""One message on its way to the rows of a worker, and the page of those that a returning row missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from megacomet.model.position import OLDEST, format_position, parse_since
from megacomet.model.results import NO_RESULT, Result
from megacomet.wire import frames


class Entry(msgspec.Struct, eq=False, gc=False):
    """One message, one object for all rows that get it; two of the same content are two.

    The garbage collector does not look at it: what it refers to knows no entries.

    Attributes:
        record: index of its record in the box that brought it.
        channel: where it was published.
        id: its position as text.
        data: the JSON that travels.
        offset: its place in the log.
        result: of the box that brought it.
        encoded: how it looks by encoding, for whoever writes it; None until somebody does.
    """

    record: int
    channel: bytes
    id: bytes
    data: bytes
    offset: int
    result: Result
    encoded: dict[int, bytes] | None = None


def entry_of(epoch: bytes, index: int, frame: frames.Frame, result: Result = NO_RESULT) -> Entry:
    """Return the message that a record of the link carries; what becomes of it is told in the result of its box."""
    return Entry(index, frame.channel, format_position(epoch, frame.offset), frame.data, frame.offset, result)


class Page(NamedTuple):
    """What a stream is given when its join is answered; all of it is written at once.

    Attributes:
        first: where the connection stands before the rest.
        gaps: channels of which something was missed that is no longer kept.
        passed: where it stands when it has been told of them.
        entries: what it missed, in order.
        last: where it stands after them, b"" when the last entry says so itself.
    """

    first: bytes
    gaps: Sequence[bytes]
    passed: bytes
    entries: Sequence[Entry]
    last: bytes


def make_page(epoch: bytes, since: bytes, gaps: Sequence[bytes], entries: Sequence[Entry], at: int) -> Page:
    """Return the page of a stream.

    The promise of a position must hold at each point of it, for a client that drops there. So it begins where the
    client said it was (dropped there, it is told the same gaps again), and a gap notice moves it to just before the
    first message that is still kept. What waited in a mailbox from before may be older than that; then the
    page ends with a position that takes nothing back.

    Args:
        epoch: of the log.
        since: what the client asked from, b"" from now.
        gaps: see `Page`.
        entries: see `Page`.
        at: everything up to it is in the page.
    """
    end = format_position(epoch, at)
    if not entries and not gaps:
        return Page(end, (), end, (), b"")
    begin = entries[0].offset - 1 if entries else at
    asked = parse_since(since)
    if asked is None or asked is OLDEST:
        stood, first = begin, format_position(epoch, max(begin, 0))
    else:
        stood = asked.offset if asked.epoch == epoch and asked.offset <= at else 0
        first = since
    passed = format_position(epoch, max(stood, begin))
    last = b"" if entries and entries[-1].offset == at else end
    return Page(first, gaps, passed, entries, last if entries else b"")
