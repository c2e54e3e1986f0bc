"""The records that travel inside the boxes of the link, packed into one value each way.

A box costs some microseconds, so it carries a batch. Down, the value begins with

    number of the box (8) head of the log (8) number of the last box whose answer the manager had read when the first
    record was made (8) when that was, seconds of CLOCK_MONOTONIC, 0: it has no records (8, a double)

Inside the batch a record is this header, the channel and the data:

    kind (1) flags (1) number (4) offset (8) channel length (2) data length (4), big-endian

Down, from the manager to a worker:

    MESSAGE   offset, channel, data         to every connection on the channel; flag RECEIPT asks for a count; flag
              PACED: to as many a second as a PACE says, none before it; what becomes of it is told as PROGRESS
    PAGE      number=join, offset, channel, data      one missed message for the connection that sent the join
    PAGE_END  number=join, offset=head, data=names of the channels with a gap; flag MORE when the limit cut it off
    PAST      number=request, offset, channel, data   one message of a history that was asked for
    PAST_END  number=request, offset=where the reader stands, flags MORE, GAP
    PUBLISHED number=request, offset        the publication has this offset
    REFUSED   number=request, data=code     it was refused
    CUT_OFF   number=close code, offset=seconds, channel=mailbox; flag RECONNECT: the client may come back, else not
              for so long; the connections that were ended are told as a RECEIPT
    PACE      offset=of a message that was PACED, number=connections that it goes to in 1,000 s; flag WITHDRAWN: to none
              any more. Answered by PROGRESS, unless the worker is done with the message

Up, from a worker to the manager:

    WANT      channel                       this worker has a listener; what waits in a mailbox is sent as MESSAGE
    LEAVE     channel                       this worker has no listener any more
    JOIN      number=join, offset=limit, channel=since as text, data=names; answered by PAGE records and PAGE_END;
              flag LATE: the connection hears everyone's channel already
    HISTORY   number=request, offset=limit, channel, data=since as text; answered by PAST records and PAST_END
    PUBLISH   number=request, offset=bytes of the key, channel, data=key and data; answered by PUBLISHED or REFUSED
    COUNTED   number=connections written, offset=of the message: of one whose RECEIPT had the flag LATER
    PROGRESS  offset=of a message that was PACED, number=connections written by now, data=connections that it was due to
              (4), and is still due to (4), or was when it was WITHDRAWN; none of these: the worker is done with it

In the answer to a box of the down stream:

    RETURNED  number=index of the record in its box; flag ABSENT when the worker has no connection on the channel at all
    RECEIPT   number=index of the record in its box, offset=connections written; flag LATER while that goes on: the
              number comes as COUNTED, and offset is the message's
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

MESSAGE: Final = 1
PAGE: Final = 2
PAGE_END: Final = 3
PAST: Final = 4
PAST_END: Final = 5
PUBLISHED: Final = 6
REFUSED: Final = 7
CUT_OFF: Final = 8
PACE: Final = 9
WANT: Final = 16
LEAVE: Final = 17
JOIN: Final = 18
HISTORY: Final = 19
PUBLISH: Final = 20
COUNTED: Final = 21
PROGRESS: Final = 22
RETURNED: Final = 32
RECEIPT: Final = 33

#: On MESSAGE: the publisher wants to know how many connections it was written to.
WANTS_RECEIPT: Final = 1
#: On MESSAGE: it goes to so many connections a second as is said later.
PACED: Final = 2
#: On PAGE_END and PAST_END: the limit cut it off; nothing after its last message was looked at.
MORE: Final = 1
#: On PAST_END: something after the position is, or may be, no longer kept.
GAP: Final = 2
#: On CUT_OFF: the client is to come back.
RECONNECT: Final = 1
#: On PACE: the message goes to nobody any more.
WITHDRAWN: Final = 1
#: On JOIN: the page has nothing of the channel of everyone, which the connection hears already.
LATE: Final = 1
#: On RETURNED: the worker has nobody on the channel; the directory forgets it.
ABSENT: Final = 1
#: On RECEIPT: the number is not known yet.
LATER: Final = 1
#: PACE counts connections in so many seconds, so that a rate may be less than one a second.
PACE_S: Final = 1000

_HEADER: Final = struct.Struct(">BBIQHI")
HEADER_BYTES: Final = _HEADER.size
_PROGRESS: Final = struct.Struct(">II")
_BOX: Final = struct.Struct(">QQQd")


class Frame(NamedTuple):
    """One record of the link, see the module's table for what each field means by kind."""

    kind: int
    flags: int
    number: int
    offset: int
    channel: bytes
    data: bytes


def encode(
    kind: int, *, flags: int = 0, number: int = 0, offset: int = 0, channel: bytes = b"", data: bytes = b""
) -> bytes:
    """Pack one record."""
    return _HEADER.pack(kind, flags, number, offset, len(channel), len(data)) + channel + data


def decode(blob: bytes) -> Iterator[Frame]:
    """Unpack all records of a value, in order.

    Raises:
        ValueError: the value ends in the middle of a record.
    """
    at, end = 0, len(blob)
    unpack, size, make = _HEADER.unpack_from, HEADER_BYTES, Frame._make
    while at < end:
        if at + size > end:
            raise ValueError("a record of the link is cut off in its header")
        kind, flags, number, offset, channel_length, data_length = unpack(blob, at)
        middle = at + size + channel_length
        after = middle + data_length
        if after > end:
            raise ValueError("a record of the link is cut off in its body")
        yield make((kind, flags, number, offset, blob[at + size : middle], blob[middle:after]))
        at = after


def encode_box(number: int, head: int, answered: int, accepted_s: float, records: bytes) -> bytes:
    """Return the value of a box of the down stream."""
    return _BOX.pack(number, head, answered, accepted_s) + records


def decode_box(value: bytes) -> tuple[int, int, int, float, bytes]:
    """Return what `encode_box` was given.

    Raises:
        ValueError: the value is too short.
    """
    if len(value) < _BOX.size:
        raise ValueError("a box of the link is cut off in its header")
    return *_BOX.unpack_from(value), value[_BOX.size :]


class Progress(NamedTuple):
    """How a message that is paced stands at a worker.

    Attributes:
        connections: that it was due to.
        written: that it was written to by now.
        left: that it is still due to.
    """

    connections: int
    written: int
    left: int


def encode_progress(offset: int, progress: Progress) -> bytes:
    """Pack a PROGRESS record."""
    data = _PROGRESS.pack(progress.connections, progress.left)
    return encode(PROGRESS, number=progress.written, offset=offset, data=data)


def decode_progress(frame: Frame) -> Progress:
    """Return what a PROGRESS record says.

    Raises:
        ValueError: its data are not two numbers.
    """
    if len(frame.data) != _PROGRESS.size:
        raise ValueError("a record of progress has two numbers")
    connections, left = _PROGRESS.unpack(frame.data)
    return Progress(connections, frame.number, left)


def encode_names(names: Iterable[bytes]) -> bytes:
    """Pack channel names (at most 255 bytes each) into one value."""
    return b"".join(bytes((len(name),)) + name for name in names)


def decode_names(blob: bytes) -> list[bytes]:
    """Unpack what `encode_names` packed.

    Raises:
        ValueError: the value ends in the middle of a name.
    """
    names, at = [], 0
    while at < len(blob):
        after = at + 1 + blob[at]
        if after > len(blob):
            raise ValueError("a list of names is cut off")
        names.append(blob[at + 1 : after])
        at = after
    return names
