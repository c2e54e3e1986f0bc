"""How messages look on connections that stay open: server-sent events, lines of JSON, WebSocket frames.

Every function returns the complete bytes to write: in a chunk of its own where HTTP/1.1 chunks, in a frame where it is
a WebSocket. Owns the form of what the server says unasked; answers to requests are `ops`. It must not know connections
nor what a position means. An *encoding* is a small integer, so that the row of a connection says it in one byte; the
same bytes serve all connections with the same encoding.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from megacomet.wire.deflate import compress
from megacomet.wire.encodings import channel_json, raw_form
from megacomet.wire.websocket import PING, TEXT, frame

#: Server-sent events. "Plain" is for HTTP/1.0, which knows no chunks; "raw" gives data in the raw form.
SSE: Final = 1
SSE_PLAIN: Final = 2
SSE_RAW: Final = 3
SSE_RAW_PLAIN: Final = 4
#: One JSON object a line.
NDJSON: Final = 5
NDJSON_PLAIN: Final = 6
#: WebSocket without compression; with it the encodings are those of `ws_deflate`.
WS: Final = 7

_CHUNKED: Final = frozenset({SSE, SSE_RAW, NDJSON})
_RAW: Final = frozenset({SSE_RAW, SSE_RAW_PLAIN})
_WS_DEFLATE: Final = -1  # plus the bits of the window
#: HTML, "Parsing an event stream": each of the three ends a line.
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
#: What breaks neither the line of an event nor a JSON string, and is not empty: an empty SSE id means "forget it".
_ID: Final = re.compile(rb"[\x20\x21\x23-\x5b\x5d-\x7e]+").fullmatch


def ws_deflate(bits: int) -> int:
    """Return the encoding of a WebSocket with permessage-deflate, without context takeover.

    Args:
        bits: of the server's window, 9-15. (8 may be asked for, but zlib cannot make it.)
    """
    if not 9 <= bits <= 15:
        raise ValueError(f"a window has 9 to 15 bits, not {bits}")
    return _WS_DEFLATE + bits


def is_websocket(encoding: int) -> bool:
    """Tell whether it is one of the WebSocket encodings."""
    return encoding >= WS


def is_chunked(encoding: int) -> bool:
    """Tell whether it is written in chunks of HTTP/1.1."""
    return encoding in _CHUNKED


def transport(encoding: int) -> Literal["sse", "stream", "ws"]:
    """Return the transport as the API and the statistics call it."""
    if encoding >= WS:
        return "ws"
    return "stream" if encoding >= NDJSON else "sse"


def message(encoding: int, channel: bytes, id_: bytes, data: bytes) -> bytes:
    """Return a message, compressed when its WebSocket has agreed to that and it is shorter so.

    Nothing else is ever compressed: what tells a single client its position is too short to be worth the time.

    In the raw encodings a text is cut where CRLF, CR or LF stand in it, each part in a `data:` line of its own: that is
    what ends a line for the reader, so no text breaks the framing, and all three come out as a newline.

    Args:
        id_: the message's position.
        data: JSON as `jsonbytes` lets it pass, so without line breaks.

    Raises:
        ValueError: the id or the data would break the framing.
    """
    _check_id(id_)
    if encoding in _RAW:
        text = raw_form(data)
        if b"\n" in text or b"\r" in text:
            text = b"\ndata: ".join(_LINE_END.split(text))
        return _piece(encoding, b"id: %b\ndata: %b\n\n" % (id_, text))
    if b"\n" in data or b"\r" in data:
        raise ValueError("data with a line break has not passed jsonbytes")
    if encoding < NDJSON:
        return _piece(encoding, b'id: %b\ndata: {"channel":%b,"data":%b}\n\n' % (id_, channel_json(channel), data))
    payload = b'{"op":"message","channel":%b,"id":"%b","data":%b}' % (channel_json(channel), id_, data)
    return socket_frame(encoding, TEXT, payload) if encoding > WS else _object(encoding, payload)


def socket_frame(encoding: int, opcode: int, payload: bytes) -> bytes:
    """Return a data frame for a WebSocket, compressed when that was agreed to and is shorter."""
    if encoding > WS:
        packed = compress(payload, encoding - _WS_DEFLATE)
        if len(packed) < len(payload):
            return frame(opcode, packed, compressed=True)
    return frame(opcode, payload)


def position(encoding: int, where: bytes) -> bytes:
    """Return what tells a client where it stands.

    As an event it has a name and data: `onmessage` does not see it, and every client remembers its id; an id without
    data is forgotten by some.

    Raises:
        ValueError: the position would break the framing.
    """
    _check_id(where)
    if encoding < NDJSON:
        return _piece(encoding, _position_event(where))
    return _object(encoding, b'{"op":"position","position":"%b"}' % where)


def ping(encoding: int, where: bytes, is_told: bool = True) -> bytes:
    """Return a sign of life, which also tells where the client stands.

    Args:
        where: the client's position.
        is_told: for a WebSocket, whether the position comes behind the ping frame: to clients of `megacomet.v1`.

    Raises:
        ValueError: the position would break the framing.
    """
    _check_id(where)
    if encoding < NDJSON:
        return _piece(encoding, b": ping\n" + _position_event(where))
    if encoding < WS:
        return position(encoding, where)
    signal = frame(PING, b"")
    return signal + position(encoding, where) if is_told else signal


def gaps(encoding: int, channels: Sequence[bytes], before: bytes, where: bytes) -> bytes:
    """Return the notice that something is, or may be, gone; b"" without channels.

    An event names all channels at once. As objects there is one a channel, and only the last one moves the client on:
    one that drops between two of them is told of all of them again.

    Args:
        channels: where something is missing.
        before: where the client stood until now.
        where: where it stands after the notice.

    Raises:
        ValueError: a position would break the framing.
    """
    _check_id(before)
    _check_id(where)
    if not channels:
        return b""
    if encoding < NDJSON:
        names = b",".join(map(channel_json, channels))
        return _piece(encoding, b'event: gap\nid: %b\ndata: {"channels":[%b]}\n\n' % (where, names))
    *others, last = channels
    told = [*((channel, before) for channel in others), (last, where)]
    return b"".join(
        _object(encoding, b'{"op":"gap","channel":%b,"position":"%b"}' % (channel_json(channel), at))
        for channel, at in told
    )


def retry(encoding: int, ms: int) -> bytes:
    """Return what tells an EventSource how long to wait before it comes back; b"" for all other encodings.

    It is a line of the event that follows, and counts without one: some take an empty event for a message.
    """
    return _piece(encoding, b"retry: %d\n" % ms) if encoding < NDJSON else b""


def ending(encoding: int) -> bytes:
    """Return what ends the body of a stream; b"" where the end of the connection says it, or a close frame."""
    return b"0\r\n\r\n" if encoding in _CHUNKED else b""


def _check_id(text: bytes) -> None:
    if _ID(text) is None:
        raise ValueError(f"a position that would break the framing: {text!r}")


def _position_event(where: bytes) -> bytes:
    return b"event: position\nid: %b\ndata: {}\n\n" % where


def _object(encoding: int, payload: bytes) -> bytes:
    return _piece(encoding, payload + b"\n") if encoding < WS else frame(TEXT, payload)


def _piece(encoding: int, body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body) if encoding in _CHUNKED else body
