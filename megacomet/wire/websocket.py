"""WebSocket frames (RFC 6455, 5) and messages compressed one by one (RFC 7692), without a socket.

Owns what is a frame, a message and a violation, for both sides. It must not know who holds the connection, what the
messages say, nor how the handshake went (`upgrade`). A parked connection has no reader: `read_frames` takes what
arrives, and hands out a `FrameReader` only when something is left over that later bytes complete.

Everything is found as early as it can be: a frame that would be too big by its head, text that is not UTF-8 by its
first wrong byte, however the bytes arrive.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

from megacomet.wire.deflate import Inflater
from megacomet.wire.masking import xor
from megacomet.wire.utf8 import unfinished

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009

#: Of a control frame (RFC 6455, 5.5).
MAX_CONTROL_BYTES: Final = 125
_MAX_REASON_BYTES: Final = MAX_CONTROL_BYTES - 2
_FIN: Final = 0x80
_RSV1: Final = 0x40
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_FIN_TEXT: Final = _FIN | TEXT
_FIN_PONG: Final = _FIN | PONG
_LENGTH_16: Final = struct.Struct(">BBH").pack
_LENGTH_64: Final = struct.Struct(">BBQ").pack
_CLOSE_CODE: Final = struct.Struct(">H").pack
#: Those of IANA's registry that may be sent; 1004 is reserved, and 1005, 1006 and 1015 are never on the wire.
_CLOSE_CODES: Final = frozenset({*range(1000, 1004), *range(1007, 1015)})


class Message(NamedTuple):
    """A complete message, inflated; that of TEXT is UTF-8."""

    opcode: int
    payload: bytes


class Ping(NamedTuple):
    """A ping, to be answered with a pong of the same payload."""

    payload: bytes


class Pong(NamedTuple):
    """A pong, asked for or not."""

    payload: bytes


class Close(NamedTuple):
    """The peer closes; code None: it gave none. To be answered with a close frame; what comes after it is ignored."""

    code: int | None
    reason: bytes


class Violation(NamedTuple):
    """The peer broke the protocol: send a close frame with this and close. Nothing after it is read."""

    code: int
    reason: bytes


Event = Message | Ping | Pong | Close | Violation


class _Broken(Exception):
    """Raised when the peer broke the protocol; its only argument is the `Violation`."""


def _protocol_error(reason: bytes) -> _Broken:
    return _Broken(Violation(PROTOCOL_ERROR, reason))


def frame(opcode: int, payload: bytes, *, compressed: bool = False) -> bytes:
    """Return one frame of a server that is a whole message or a control frame.

    Args:
        payload: of a control frame at most 125 bytes.
        compressed: whether the payload is that of `deflate.compress`.
    """
    first = _FIN | opcode | _RSV1 if compressed else _FIN | opcode
    length = len(payload)
    if length < 126:
        return b"%c%c%b" % (first, length, payload)
    if length < 65536:
        return _LENGTH_16(first, 126, length) + payload
    return _LENGTH_64(first, 127, length) + payload


def masked_frame(opcode: int, payload: bytes, mask: bytes, *, compressed: bool = False, fin: bool = True) -> bytes:
    """Return one frame of a client; `mask` is four random bytes, `fin` whether the message ends with it."""
    first = (_FIN if fin else 0) | opcode | (_RSV1 if compressed else 0)
    length = len(payload)
    if length < 126:
        head = bytes((first, _MASKED | length))
    elif length < 65536:
        head = _LENGTH_16(first, _MASKED | 126, length)
    else:
        head = _LENGTH_64(first, _MASKED | 127, length)
    return head + mask + xor(payload, mask)


def close_payload(code: int, reason: bytes = b"") -> bytes:
    """Return the payload of a close frame; the reason, which is UTF-8, is cut where it has more than 123 bytes."""
    if len(reason) > _MAX_REASON_BYTES:
        end = _MAX_REASON_BYTES
        while end and reason[end] & 0xC0 == 0x80:
            end -= 1
        reason = reason[:end]
    return _CLOSE_CODE(code) + reason


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """Return the close frame of a server, see `close_payload`."""
    return frame(CLOSE, close_payload(code, reason))


def read_frames(data: bytes, *, max_message_bytes: int, deflate: bool) -> tuple[list[Event], FrameReader | None]:
    """Read what a client sent on a connection on which nothing is pending.

    Args:
        max_message_bytes: of a message, once inflated.
        deflate: whether permessage-deflate was agreed upon.

    Returns:
        the events, and the reader that later bytes are for; None: there is nothing pending, the connection can be
        parked. After `Close` and `Violation` there is a reader, which ignores everything.
    """
    events: list[Event] = []
    at, end = 0, len(data)
    # Nearly everything that comes is a small text or the pong of a browser, whole. Whatever looks different is the
    # reader's, so this decides nothing that the reader would decide otherwise.
    while at < end:
        first = data[at]
        start = at + 6
        if start > end or (first != _FIN_TEXT and first != _FIN_PONG):
            break
        length = data[at + 1] - _MASKED
        stop = start + length
        if not 0 <= length <= 125 or stop > end or length > max_message_bytes:
            break
        payload = xor(data[start:stop], data[at + 2 : start])
        if first == _FIN_PONG:
            events.append(Pong(payload))
        else:
            try:
                unfinished(payload, True)
            except UnicodeDecodeError:
                break
            events.append(Message(TEXT, payload))
        at = stop
    else:
        return events, None
    reader = FrameReader(max_message_bytes=max_message_bytes, deflate=deflate)
    events += reader.receive(data[at:] if at else data)
    return events, None if reader.idle else reader


class FrameReader:
    """Reads the frames of one peer, which may be cut anywhere. Cheap to make: drop it when it is `idle`."""

    __slots__ = (
        "_deflate",
        "_final",
        "_held",
        "_inflater",
        "_left",
        "_limit",
        "_mask",
        "_masked",
        "_message",
        "_opcode",
        "_over",
        "_size",
        "_tail",
    )

    def __init__(self, *, max_message_bytes: int, deflate: bool, masked: bool = True) -> None:
        """Begin where a frame begins.

        Args:
            max_message_bytes: of a message, once inflated.
            deflate: whether permessage-deflate was agreed upon.
            masked: whether the peer is a client, whose frames all are masked, or a server, whose are not.
        """
        self._limit = max_message_bytes
        self._deflate = deflate
        self._masked = masked
        self._over = False
        self._held = b""  # a head, or a control frame, that is not complete: at most 131 bytes
        # The data frame that is being received.
        self._left = -1  # bytes of its payload to come; -1: none is
        self._final = False
        self._mask = b""  # turned so that its first byte is for the next of the payload
        # The message that is being received.
        self._opcode = CONTINUATION  # none is
        self._message: bytes | bytearray = b""
        self._size = 0  # bytes of payload that its heads have announced
        self._inflater: Inflater | None = None
        self._tail = b""  # the beginning of a character

    @property
    def idle(self) -> bool:
        """Whether nothing is pending, neither a frame nor a message, and the peer may send."""
        return not (self._held or self._opcode or self._over)

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes, any number, and return what they complete; a `Close` or a `Violation` is the last event ever."""
        events: list[Event] = []
        if self._held:
            data = self._held + data
            self._held = b""
        at, end = 0, len(data)
        try:
            while at < end and not self._over:
                if self._left < 0:
                    begun = self._begin(data, at, events)
                    if begun == at:
                        self._held = data[at:]
                        break
                    at = begun
                if self._left >= 0:
                    at = self._payload(data, at, events)
        except _Broken as e:
            events.append(e.args[0])
            self._over = True
        if self._over:
            self._message, self._inflater = b"", None
        return events

    def _begin(self, data: bytes, at: int, events: list[Event]) -> int:
        """Read the head of a frame, and a control frame wholly; returns where it ends, `at` while that is missing."""
        first = data[at]
        opcode = first & 0x0F
        self._check_first(first, opcode)
        if at + 2 > len(data):
            return at
        second = data[at + 1]
        if second >> 7 != self._masked:
            raise _protocol_error(b"a frame that is not masked" if self._masked else b"a masked frame")
        length, start = second & 0x7F, at + 2
        if length > MAX_CONTROL_BYTES:
            if opcode >= CLOSE:
                raise _protocol_error(b"a control frame with more than 125 bytes")
            start += 2 if length == 126 else 8
            if start > len(data):
                return at
            length = _long(data[at + 2 : start])
        if opcode < CLOSE:
            self._check_size(first, length)
        mask = b""
        if self._masked:
            mask = data[start : start + 4]
            start += 4
            if start > len(data):
                return at
        if opcode >= CLOSE:
            if start + length > len(data):
                return at
            payload = data[start : start + length]
            events.append(_control(opcode, xor(payload, mask) if mask else payload))
            self._over = opcode == CLOSE
            return start + length
        if opcode:
            self._opcode = opcode
            self._inflater = Inflater() if first & _RSV1 else None
        self._final, self._left, self._mask = bool(first & _FIN), length, mask
        self._size += length
        return start

    def _check_first(self, first: int, opcode: int) -> None:
        reserved = first & _RESERVED
        if reserved and not (self._deflate and reserved == _RSV1 and opcode in (TEXT, BINARY)):
            raise _protocol_error(b"a reserved bit is set")
        if opcode > PONG or BINARY < opcode < CLOSE:
            raise _protocol_error(b"a reserved opcode")
        if opcode >= CLOSE:
            if not first & _FIN:
                raise _protocol_error(b"a control frame in parts")
        elif opcode == CONTINUATION:
            if not self._opcode:
                raise _protocol_error(b"a continuation of nothing")
        elif self._opcode:
            raise _protocol_error(b"a message within a message")

    def _check_size(self, first: int, length: int) -> None:
        limit = self._limit
        if first & _RSV1 or self._inflater is not None:
            # What cannot be compressed grows a little; and without a bound empty blocks could go on for ever.
            limit += (limit >> 3) + 64
        if self._size + length > limit:
            raise self._too_big()

    def _payload(self, data: bytes, at: int, events: list[Event]) -> int:
        """Take what has arrived of the payload of a data frame; returns where it ends."""
        piece = data[at : at + self._left]
        taken = len(piece)
        self._left -= taken
        if self._mask and taken:
            piece = xor(piece, self._mask)
            turn = taken & 3
            self._mask = self._mask[turn:] + self._mask[:turn]
        whole = self._left == 0
        last = whole and self._final
        payload = self._plain(piece, last) if self._inflater is None else self._inflated(self._inflater, piece, last)
        if whole:
            self._left = -1
        if last:
            events.append(Message(self._opcode, payload))
            self._opcode, self._message, self._size = CONTINUATION, b"", 0
            self._inflater, self._tail = None, b""
        return at + taken

    def _plain(self, piece: bytes, last: bool) -> bytes:
        """Take a piece of a message; returns all of it when it was the last."""
        if self._opcode == TEXT:
            try:
                self._tail = unfinished(self._tail + piece, last)
            except UnicodeDecodeError:
                raise _Broken(Violation(INVALID_DATA, b"text that is not UTF-8")) from None
        if last and not self._message:
            return piece
        if not self._message:
            self._message = bytearray()
        self._message += piece
        return bytes(self._message) if last else b""

    def _inflated(self, inflater: Inflater, piece: bytes, last: bool) -> bytes:
        """Take a piece of a compressed message; returns all of it when it was the last.

        What does not inflate is 1007, as with Autobahn: RFC 7692 says nothing, RFC 6455 has it for data that are not
        what the frame says. One reason stands for this and for text that is not UTF-8, since zlib, when it fails, keeps
        what it had inflated before.
        """
        message = self._message = self._message if isinstance(self._message, bytearray) else bytearray()
        had = len(message)
        try:
            inflater.inflate(piece, message, self._limit)
            if last and len(message) <= self._limit:
                inflater.finish(message, self._limit)
            if self._opcode == TEXT:
                self._tail = unfinished(self._tail + message[had:], last and len(message) <= self._limit)
        except (zlib.error, UnicodeDecodeError):
            raise _Broken(Violation(INVALID_DATA, b"a compressed message that is no deflate, or no UTF-8")) from None
        if len(message) > self._limit:
            raise self._too_big()
        return bytes(message) if last else b""

    def _too_big(self) -> _Broken:
        return _Broken(Violation(TOO_BIG, b"a message with more than %d bytes" % self._limit))


def _long(raw: bytes) -> int:
    """Return a length of 16 or of 64 bits."""
    length = int.from_bytes(raw, "big")
    if length >> 63:
        raise _protocol_error(b"a length of 64 bits with the highest set")
    if length < (126 if len(raw) == 2 else 65536):
        raise _protocol_error(b"a length in more bytes than it needs")
    return length


def _control(opcode: int, payload: bytes) -> Event:
    if opcode == PING:
        return Ping(payload)
    if opcode == PONG:
        return Pong(payload)
    if not payload:
        return Close(None, b"")
    if len(payload) == 1:
        raise _protocol_error(b"half a close code")
    code, reason = int.from_bytes(payload[:2], "big"), payload[2:]
    if code not in _CLOSE_CODES and not 3000 <= code <= 4999:
        raise _protocol_error(b"a close code that is never sent")
    try:
        unfinished(reason, True)
    except UnicodeDecodeError:
        raise _Broken(Violation(INVALID_DATA, b"a close reason that is not UTF-8")) from None
    return Close(code, reason)
