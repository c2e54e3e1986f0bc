"""Clients for the tests of streams: frames by hand, and readers of a live feed on every transport.

The frames are made and read here with what RFC 6455 says, and not with the server's own codec.
"""

from __future__ import annotations

import json
import socket
import struct
import zlib
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import TCP4ClientEndpoint
from wsproto import ConnectionType, WSConnection
from wsproto.events import CloseConnection, Ping, Request, TextMessage

from tests.integration.server import LINE_S

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_ANSWERED: Final = "HTTP/1.1 101 "


# -- frames by hand


class Frame(NamedTuple):
    """One frame of the server.

    Attributes:
        bits: FIN, RSV1, RSV2, RSV3: 8, 4, 2, 1.
    """

    opcode: int
    payload: bytes
    bits: int = 8


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x12\x34\xab\xcd",
    length: int | None = None,
) -> bytes:
    """Return a frame of a client; each part of it may be wrong.

    Args:
        reserved: RSV1, RSV2, RSV3: 4, 2, 1.
        mask: four bytes; None: it is not masked.
        length: what the head says, when it is not that of the payload.
    """
    size = len(payload) if length is None else length
    first = fin << 7 | reserved << 4 | opcode
    masked = 0x80 if mask is not None else 0
    if size < 126:
        head = bytes((first, masked | size))
    elif size < 65_536:
        head = struct.pack(">BBH", first, masked | 126, size)
    else:
        head = struct.pack(">BBQ", first, masked | 127, size)
    if mask is None:
        return head + payload
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    xored = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask + xored.to_bytes(len(payload), "big")


def close(code: int, reason: bytes = b"") -> bytes:
    """Return a close frame of a client."""
    return frame(CLOSE, struct.pack(">H", code) + reason)


def handshake(path: str, *headers: str) -> bytes:
    """Return the request of a client, with the key that RFC 6455 has as its example."""
    lines = [
        f"GET {path} HTTP/1.1",
        *("Host: test", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
        *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers, "", ""),
    ]
    return "\r\n".join(lines).encode()


def deflated(payload: bytes, bits: int = 15) -> bytes:
    """Return the payload of a compressed message."""
    stream = zlib.compressobj(wbits=-bits)
    return (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def inflated(payload: bytes, bits: int = 15) -> bytes:
    """Return the message of a compressed payload; fails when it needs a larger window."""
    return zlib.decompressobj(-bits).decompress(payload + b"\0\0\xff\xff")


class FrameSocket:
    """A WebSocket whose client sends whatever the test says; a context manager.

    Attributes:
        head: the server's answer to the handshake.
    """

    def __init__(self, port: int, path: str, *headers: str) -> None:
        """
        Args:
            port: of the server, on the loopback.
            path: of the WebSocket.
            headers: more lines of the handshake.
        """
        self._socket = connected(port)
        self._socket.sendall(handshake(path, *headers))
        self._file = self._socket.makefile("rb")
        head = b"".join(iter(self._file.readline, b"\r\n"))
        self.head = head.decode()
        assert self.head.startswith(_ANSWERED), self.head
        assert "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in self.head

    def send(self, *pieces: bytes) -> None:
        """Send pieces, each in a packet of its own."""
        for piece in pieces:
            self._socket.sendall(piece)

    def next(self) -> Frame | None:
        """Return the next frame; None: the connection has ended where a frame may end."""
        head = self._file.read(2)
        if not head:
            return None
        first, size = head
        assert size < 128, "a frame of a server is not masked"
        if size > 125:
            least, size_bytes = (126, 2) if size == 126 else (65_536, 8)
            size = int.from_bytes(self._read(size_bytes), "big")
            assert size >= least, "a length has as few bytes as it needs"
        return Frame(first & 0x0F, self._read(size), first >> 4)

    def rest(self) -> Iterator[Frame]:
        """Read frames until the server closes."""
        return iter(self.next, None)  # type: ignore[arg-type]

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        assert len(data) == size, "the connection has ended within a frame"
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._socket.close()


def connected(port: int, receive_bytes: int = 0) -> socket.socket:
    """Return a connection to a port of the loopback.

    Args:
        port: of the server.
        receive_bytes: the kernel's buffer, for a client that does not read; 0: as it is.
    """
    client = socket.socket()
    client.settimeout(LINE_S)
    if receive_bytes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.connect(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a piece is a packet
    return client


# -- readers of a live feed


class Reader(Protocol):
    """What the next object of a feed is, on any transport; those of `/comet/stream`, whatever they look like there."""

    async def next(self) -> dict[str, Any] | None:
        """Wait for an object; None: the connection has ended, in whatever way."""

    async def close(self) -> None:
        """Close the connection, if it is open."""


class _Lines:
    """A stream that is read as lines, by HTTP/1.0: its bytes are those of the stream, and nothing else."""

    path = ""

    def __init__(self, port: int, query: str, receive_bytes: int = 0) -> None:
        self._socket = connected(port, receive_bytes)
        self._socket.sendall(f"GET {self.path}?{query} HTTP/1.0\r\nHost: test\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        self.head = b"".join(iter(self._line, b"\r\n"))
        assert self.head.startswith(b"HTTP/1.1 200 "), self.head

    def _line(self) -> bytes:
        """Return a whole line; b"": there is none any more."""
        try:
            line = self._file.readline()
        except ConnectionError:
            return b""
        return line if line.endswith(b"\n") else b""

    async def close(self) -> None:
        self._file.close()
        self._socket.close()


class ObjectLines(_Lines):
    """`/comet/stream`."""

    path = "/comet/stream"

    async def next(self) -> dict[str, Any] | None:
        line = self._line()
        return json.loads(line) if line else None


class EventLines(_Lines):
    """`/comet/events`.

    Attributes:
        retry_ms: how long the server has asked to wait before the next connection.
    """

    path = "/comet/events"
    retry_ms = 0

    async def next(self) -> dict[str, Any] | None:
        while True:
            fields = self._fields()
            if fields is None:
                return None
            if "data" not in fields:
                continue
            op, data = fields.get("event", "message"), json.loads(fields["data"])
            if op == "message":
                return {"op": op, "channel": data["channel"], "id": fields["id"], "data": data["data"]}
            return {"op": op, "position": fields["id"], **data}

    def _fields(self) -> dict[str, str] | None:
        """Return what stands before the next empty line."""
        fields = {}
        while line := self._line():
            if line == b"\n":
                return fields
            name, _, value = line.decode().rstrip("\n").partition(": ")
            fields[name] = value
            if name == "retry":  # holds when its line is read, not with the event
                self.retry_ms = int(value)
        return None


class Wsproto:
    """A WebSocket of wsproto, which answers pings.

    Attributes:
        code: of the server's close frame, None while there is none.
    """

    def __init__(self, port: int, query: str, receive_bytes: int = 0) -> None:
        self.code: int | None = None
        self._socket = connected(port, receive_bytes)
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._events = self._arriving()
        self._socket.sendall(self._ws.send(Request(host="test", target=f"/comet/ws?{query}")))

    def _arriving(self) -> Iterator[str]:
        """Read on to the next text, until the connection ends."""
        text = ""
        while True:
            for event in self._ws.events():
                if isinstance(event, TextMessage):
                    text += event.data
                    if event.message_finished:
                        yield text
                        text = ""
                elif isinstance(event, Ping):
                    self._socket.sendall(self._ws.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self.code = event.code
                    return
            try:
                data = self._socket.recv(65_536)
            except ConnectionError:
                return
            if not data:
                return
            self._ws.receive_data(data)

    async def next(self) -> dict[str, Any] | None:
        text = next(self._events, None)
        return None if text is None else json.loads(text)

    async def close(self) -> None:
        self._socket.close()


class Autobahn(WebSocketClientProtocol):
    """A WebSocket of Autobahn on the reactor, which runs while something is waited for.

    Attributes:
        came: the messages, and None at the end.
        ended: (whether it was clean, code, reason) when it is closed.
        subprotocol: the one that the server has chosen.
        compressed: whether permessage-deflate was agreed upon.
    """

    def __init__(self) -> None:
        super().__init__()
        self.came: DeferredQueue[str | bytes | None] = DeferredQueue()
        self.opened: Deferred[None] = Deferred()
        self.ended: tuple[bool, int | None, str | None] | None = None
        self.subprotocol: str | None = None
        self.compressed = False

    def onConnect(self, response: Any) -> None:
        self.subprotocol = response.protocol
        self.compressed = bool(response.extensions)

    def onOpen(self) -> None:
        self.opened.callback(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.came.put(payload if isBinary else payload.decode())

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if not self.opened.called:
            self.opened.errback(ConnectionError(f"the handshake failed: {reason}"))
        self.ended = (wasClean, code, reason)
        self.came.put(None)

    # -- for tests, which wait

    async def receive(self) -> str | bytes | None:
        """Wait for a message; None: the connection has ended."""
        return await soon(self.came.get())

    async def next(self) -> dict[str, Any] | None:
        text = await self.receive()
        return None if text is None else json.loads(text)

    def ask(self, **request: Any) -> None:
        """Send a request."""
        self.sendMessage(json.dumps(request).encode())

    async def close(self) -> None:
        if self.ended is None:
            self.sendClose(1000)
        while self.ended is None:
            await self.receive()


async def autobahn(port: int, target: str, *, deflate: bool = True, protocols: Sequence[str] = ()) -> Autobahn:
    """Return an open WebSocket of Autobahn."""

    def accept(response: object) -> PerMessageDeflateResponseAccept | None:
        return PerMessageDeflateResponseAccept(response) if isinstance(response, PerMessageDeflateResponse) else None

    factory = WebSocketClientFactory(f"ws://127.0.0.1:{port}{target}", protocols=list(protocols))
    factory.protocol = Autobahn
    if deflate:
        factory.setProtocolOptions(
            perMessageCompressionOffers=[PerMessageDeflateOffer()], perMessageCompressionAccept=accept
        )
    client: Autobahn = await soon(TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory))
    await soon(client.opened)
    assert client.compressed == deflate
    return client


def soon(what: Deferred[Any]) -> Deferred[Any]:
    """Give up on something that has not come when even a slow machine would have brought it."""
    return what.addTimeout(LINE_S, reactor)


#: The ways to hear a feed.
BLOCKING: Final = {"wsproto": Wsproto, "events": EventLines, "stream": ObjectLines}
WAYS: Final = ("autobahn", *BLOCKING)


async def open_feed(way: str, port: int, query: str) -> Reader:
    """Hear a feed; of the WebSockets, one is compressed and told positions, and one is not."""
    if way == "autobahn":
        return await autobahn(port, f"/comet/ws?{query}", protocols=["megacomet.v1"])
    return BLOCKING[way](port, query)
