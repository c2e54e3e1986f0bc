"""What waits at a row, as one value of bytes: the rows keep it in a field of their table when it is short.

    name                              a plain poll: its mailbox
    1 | names                         a live stream: its channels
    2 | limit offset | options names  a poll that goes on from a position, or listens to more than its mailbox

Most of those who wait for long have nothing else to be known: an object for each would cost 440 bytes. It exists only
while the manager is being asked for what was missed (`session`).
"""

from __future__ import annotations

import struct
from typing import Final

from megacomet.model.position import format_position
from megacomet.model.session import Session
from megacomet.wire import frames

#: The first byte; no name begins with a control character.
_STREAM: Final = b"\x01"
_POLL: Final = b"\x02"
#: After that byte of a poll: how many messages it takes, and up to where it has been told what was missed.
_NUMBERS: Final = struct.Struct("<HQ")
_MOST_OPTIONS: Final = 255


def freeze_stream(channels: tuple[bytes, ...]) -> bytes:
    """Return the row of a live stream."""
    return _STREAM + frames.encode_names(channels)


def freeze_poll(session: Session, offset: int) -> bytes | None:
    """Return the row of a poll that waits, None when its options are no short bytes.

    Args:
        session: the poll, of which the page brought nothing.
        offset: up to where it has looked.
    """
    options = session.options
    if not isinstance(options, bytes) or len(options) > _MOST_OPTIONS:
        return None
    return _POLL + _NUMBERS.pack(session.limit, offset) + frames.encode_names((options, *session.channels))


def is_frozen_stream(key: object) -> bool:
    """Tell whether a row is a live stream."""
    return isinstance(key, bytes) and key[:1] == _STREAM


def is_name(key: object) -> bool:
    """Tell whether a row is a plain poll."""
    return isinstance(key, bytes) and key[:1] > _POLL


def thawed(key: bytes | Session, epoch: bytes, stands_at: int | None = None) -> bytes | Session:
    """Return the session of a poll that is more than a name, all else as it is.

    Args:
        key: of the row.
        epoch: of the log: a poll does not stay frozen when that changes.
        stands_at: the offset from which the poll goes on; None: up to where it had looked.
    """
    if isinstance(key, Session) or key[:1] != _POLL:
        return key
    limit, offset = _NUMBERS.unpack_from(key, 1)
    if stands_at is not None:
        offset = stands_at
    options, *channels = frames.decode_names(key[1 + _NUMBERS.size :])
    return Session(tuple(channels), options, format_position(epoch, offset), limit)


def channels_of(key: bytes | Session) -> tuple[bytes, ...]:
    """Return what a row listens to."""
    if isinstance(key, Session):
        return key.channels + key.late
    if key[:1] == _STREAM:
        return tuple(frames.decode_names(key[1:]))
    if key[:1] == _POLL:
        return tuple(frames.decode_names(key[1 + _NUMBERS.size :])[1:])
    return (key,)


def only_mailbox(key: object) -> bytes:
    """Return the mailbox of a row that listens to nothing else, b"" for others, and for sessions."""
    if not isinstance(key, bytes):
        return b""
    kind = key[:1]
    if kind > _POLL:
        return key  # most by far
    if kind == _STREAM:
        at = 1
    elif kind == _POLL:
        at = 1 + _NUMBERS.size
        at += 1 + key[at]
    else:
        return b""
    name = key[at + 1 :]
    return name if name[:1] == b"@" and len(name) == key[at] else b""
