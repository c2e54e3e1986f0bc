"""What a stream asks for, from a request head: channels, position, and how what is written to it must look.

Pure: it answers with values or with the `PeerError` to be told, and knows nothing of connections.

A *form* is one byte, so that a row can say it: the encoding of `wire.streams` and flags.
"""

from __future__ import annotations

from typing import Final

import msgspec

from megacomet.errors import PeerError
from megacomet.model.session import Session
from megacomet.model.streams import PAGE_MESSAGES
from megacomet.wire import streams
from megacomet.wire.http import RequestHead
from megacomet.wire.upgrade import Upgrade, read_upgrade
from megacomet.worker.polls import since_of, wanted_channels

#: What of a form is the encoding.
ENCODING: Final = 0x0F
#: A WebSocket whose client is told a position with each ping.
TOLD: Final = 0x10
#: A WebSocket that sends back what comes.
ECHO: Final = 0x20

_TRANSPORTS: Final = ("sse", "stream", "ws")
_TRANSPORT_OF: Final = bytes(
    _TRANSPORTS.index(streams.transport(form & ENCODING)) + 1 if 1 <= form & ENCODING <= streams.ws_deflate(15) else 0
    for form in range(256)
)
_PLAIN: Final = {
    streams.SSE: streams.SSE_PLAIN,
    streams.SSE_RAW: streams.SSE_RAW_PLAIN,
    streams.NDJSON: streams.NDJSON_PLAIN,
}


class Opening(msgspec.Struct, frozen=True, gc=False):
    """How a stream begins; one is made for each stream, see `model.message` for what that takes.

    Attributes:
        form: of all that is written to it.
        origin: the page's origin, when the answer depends on it, else b"".
        upgrade: of a WebSocket.
    """

    form: int
    origin: bytes = b""
    upgrade: Upgrade | None = None

    @property
    def encoding(self) -> int:
        """The encoding of `wire.streams`."""
        return self.form & ENCODING


def open_events(head: RequestHead, origin: bytes, most_channels: int) -> Session:
    """Read `GET /comet/events`.

    Raises:
        PeerError: `bad-name`, `bad-position`, `bad-request`, `reserved-channel`, `no-channel`.
    """
    return _open(streams.SSE, head, origin, most_channels)


def open_objects(head: RequestHead, origin: bytes, most_channels: int) -> Session:
    """Read `GET /comet/stream`; it raises what `open_events` does."""
    return _open(streams.NDJSON, head, origin, most_channels)


def _open(encoding: int, head: RequestHead, origin: bytes, most_channels: int) -> Session:
    channels, pairs = wanted_channels(head, most_channels)
    if not channels:
        raise PeerError("no-channel", "name a channel= or a client=")
    if encoding == streams.SSE and pairs.get(b"raw") == b"1":
        encoding = streams.SSE_RAW
    if not head.minor:
        encoding = _PLAIN[encoding]
    return _session(channels, since_of(pairs, head), Opening(encoding, origin))


def open_socket(head: RequestHead, origin: bytes, most_channels: int) -> Session:
    """Read `GET /comet/ws`; without a channel it only hears what everyone does, until it subscribes.

    Raises:
        PeerError: those of `open_events` but for `no-channel`, and `upgrade-required`.
    """
    upgrade = read_upgrade(head)
    channels, pairs = wanted_channels(head, most_channels)
    form = _socket_form(upgrade) | (TOLD if upgrade.protocol else 0)
    return _session(channels, since_of(pairs, head), Opening(form, origin, upgrade))


def open_echo(head: RequestHead, origin: bytes) -> Opening:
    """Read the handshake of a WebSocket that sends back what comes.

    Raises:
        PeerError: `bad-request`, `upgrade-required`.
    """
    upgrade = read_upgrade(head)
    return Opening(_socket_form(upgrade) | ECHO, origin, upgrade)


def _socket_form(upgrade: Upgrade) -> int:
    return streams.ws_deflate(upgrade.deflate_bits) if upgrade.deflate_bits else streams.WS


def _session(channels: tuple[bytes, ...], since: bytes, opening: Opening) -> Session:
    return Session(channels, opening, since, PAGE_MESSAGES, is_stream=True)


def transport_of(form: int) -> str:
    """Return the transport of a row by its form; one without a form is a poll."""
    return ("poll", *_TRANSPORTS)[_TRANSPORT_OF[form]]


def count_forms(forms: bytearray) -> dict[str, int]:
    """Count streams by their transport: `sse`, `stream`, `ws`."""
    transports = forms.translate(_TRANSPORT_OF)
    return {name: transports.count(n) for n, name in enumerate(_TRANSPORTS, 1)}
