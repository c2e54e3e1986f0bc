"""Positions: where in the one log of all channels a reader stands. Only this floor takes them apart or compares them.

A position is `<epoch>-<offset>`. The epoch names one life of a log; the offset counts up over all channels. A log with
several partitions has one offset for each, joined by dots; the logs here have one, so another count is another log's.
"""

from __future__ import annotations

from typing import Final

import attrs

from megacomet.errors import BadPosition
from megacomet.names import is_position


@attrs.frozen
class Since:
    """From where a reader wants to go on.

    Attributes:
        epoch: the log's epoch, b"" for `OLDEST`.
        offset: everything up to it was read; -1 when the position is of a log with other partitions.
    """

    epoch: bytes
    offset: int


#: All that is kept, without a gap notice for what is not.
OLDEST: Final = Since(b"", 0)


def parse_since(text: bytes) -> Since | None:
    """Parse what a client gave as `since`; None (from now on) for b"".

    Raises:
        BadPosition: the text is neither a position nor `oldest`.
    """
    if not text:
        return None
    if text == b"oldest":
        return OLDEST
    if not is_position(text):
        raise BadPosition("a position looks like 3kx9-1207, or is the word oldest")
    epoch, _, offset = text.partition(b"-")
    return Since(epoch, int(offset) if b"." not in offset else -1)


def parse_before(text: bytes) -> Since | None:
    """Parse what somebody gave as `before`; None (no bound) for b"".

    Raises:
        BadPosition: the text is no position.
    """
    if text and not is_position(text):
        raise BadPosition("before is a position, which looks like 3kx9-1207")
    return parse_since(text)


def format_position(epoch: bytes, offset: int) -> bytes:
    """Format a position for a client."""
    return b"%b-%d" % (epoch, offset)
