"""The opening handshake of a WebSocket (RFC 6455, 4.2) and what it agrees on about compression (RFC 7692, 5 to 7).

Owns which requests become WebSockets, and the answer to those. It must not know frames, nor who may connect.

Extensions are read here and not with Autobahn's classes: importing them brings 2 MB into a worker, and they take
numbers with signs and with zeros before them.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import Collection
from functools import lru_cache
from hashlib import sha1
from typing import Final

import msgspec

from megacomet.errors import PeerError
from megacomet.wire.http import RequestHead

#: Of RFC 6455, 1.3: shows that whoever answers has read the key as that of a WebSocket.
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION: Final = b"13"
_KEY_BYTES: Final = 16
#: 8 is left out: zlib makes no raw deflate data with so small a window.
_SERVER_BITS: Final = {b"%d" % bits: bits for bits in range(9, 16)}
_CLIENT_BITS: Final = frozenset({b"", *(b"%d" % bits for bits in range(8, 16))})
_FLAGS: Final = frozenset({b"server_no_context_takeover", b"client_no_context_takeover"})
_DEFLATE: Final = b"permessage-deflate"
#: Nothing is kept between messages in either direction, or a parked connection would need 40 KB and more.
_AGREED: Final = _DEFLATE + b"; server_no_context_takeover; client_no_context_takeover"
_QUOTED: Final = re.compile(rb'(=[ \t]*)?"([^"]*)"')


class Upgrade(msgspec.Struct, frozen=True, gc=False):
    """What a handshake has agreed on; one is made for each WebSocket.

    Attributes:
        accept: the value of Sec-WebSocket-Accept.
        protocol: the subprotocol chosen, b"" none.
        deflate_bits: the window that messages of the server may be compressed with, 9-15; 0: no permessage-deflate.
        extension: the value of Sec-WebSocket-Extensions, b"" none.
    """

    accept: bytes
    protocol: bytes
    deflate_bits: int
    extension: bytes


def read_upgrade(head: RequestHead, protocols: Collection[bytes] = (b"megacomet.v1",)) -> Upgrade:
    """Read the handshake of a client.

    Args:
        protocols: the subprotocols that are spoken here; the first of them that the client offers is chosen.

    Raises:
        PeerError: `upgrade-required` when it is none, or one of another version; `bad-request` when it is broken.
    """
    headers = head.headers
    if head.method != b"GET" or not head.minor or b"websocket" not in _tokens(headers.get(b"upgrade", b"").lower()):
        raise PeerError("upgrade-required", "what stands here is a WebSocket")
    if headers.get(b"sec-websocket-version") != _VERSION:
        raise PeerError("upgrade-required", "version 13 of WebSocket is spoken here")
    if b"upgrade" not in _tokens(headers.get(b"connection", b"").lower()):
        raise PeerError("bad-request", "a WebSocket handshake has Connection: Upgrade")
    if head.content_length or head.chunked:  # its body would be read as frames
        raise PeerError("bad-request", "a WebSocket handshake has no body")
    key = headers.get(b"sec-websocket-key", b"")
    if not _is_key(key):
        raise PeerError("bad-request", "the Sec-WebSocket-Key is not 16 bytes in base64")
    offered = _tokens(headers.get(b"sec-websocket-protocol", b""))
    protocol = next((name for name in offered if name in protocols), b"")
    bits, extension = _deflate(headers.get(b"sec-websocket-extensions", b""))
    return Upgrade(b64encode(sha1(key + _GUID).digest()), protocol, bits, extension)


def switching(upgrade: Upgrade, headers: bytes) -> bytes:
    """Return the answer 101; frames follow it.

    Args:
        headers: more lines, each with its CRLF, such as `http.date_line`.
    """
    chosen = b""
    if upgrade.protocol:
        chosen += b"Sec-WebSocket-Protocol: %b\r\n" % upgrade.protocol
    if upgrade.extension:
        chosen += b"Sec-WebSocket-Extensions: %b\r\n" % upgrade.extension
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nServer: MegaComet\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b%b\r\n" % (upgrade.accept, chosen, headers)
    )


# Browsers of one kind all send the same lines: what these few functions say is remembered.
@lru_cache(maxsize=256)
def _tokens(value: bytes) -> tuple[bytes, ...]:
    return tuple(token.strip(b" \t") for token in value.split(b","))


def _is_key(key: bytes) -> bool:
    try:
        return len(a2b_base64(key, strict_mode=True)) == _KEY_BYTES
    except Error:
        return False


@lru_cache(maxsize=256)
def _deflate(offers: bytes) -> tuple[int, bytes]:
    """Return window and answer for the first offer that can be met; (0, b"") when none can: that fails no handshake."""
    if b"\\" in offers:  # nothing that is understood here needs an escape in a quoted value
        return 0, b""
    if b'"' in offers:
        offers = _QUOTED.sub(_unquoted, offers)
    for offer in offers.split(b","):
        name, *parameters = (part.strip(b" \t") for part in offer.split(b";"))
        if name == _DEFLATE and (found := _window(parameters)) is not None:
            bits, named = found
            return bits, _AGREED + b"; server_max_window_bits=%d" % bits if named else _AGREED
    return 0, b""


def _unquoted(value: re.Match[bytes]) -> bytes:
    # A quoted number is the number; in place of any other string a quote is left, which no known parameter has.
    return value[1] + value[2] if value[1] and value[2].isdigit() else b'"'


def _window(parameters: list[bytes]) -> tuple[int, bool] | None:
    """Return the window an offer allows and whether it names it; None: it has what is unknown, wrong or doubled."""
    bits, seen = 15, set()
    for parameter in parameters:
        name, equals, value = (part.strip(b" \t") for part in parameter.partition(b"="))
        if name in seen or (equals and not value):
            return None
        seen.add(name)
        if name == b"server_max_window_bits":
            if value not in _SERVER_BITS:
                return None
            bits = _SERVER_BITS[value]
        elif not (name == b"client_max_window_bits" and value in _CLIENT_BITS) and not (name in _FLAGS and not equals):
            return None
    return bits, b"server_max_window_bits" in seen
