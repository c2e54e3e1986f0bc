"""WebSocket frames against clients of other houses, without a network."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

import pytest
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.events import Ping as WsprotoPing
from wsproto.extensions import PerMessageDeflate

from megacomet.wire.deflate import compress
from megacomet.wire.http import find_head_end, parse_head
from megacomet.wire.upgrade import Upgrade, read_upgrade, switching
from megacomet.wire.websocket import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    Close,
    Event,
    FrameReader,
    Message,
    Ping,
    Pong,
    close_frame,
    close_payload,
    frame,
    masked_frame,
)

LIMIT = 1 << 20
TEXTS = ["", "Hello", "κόσμε 😀 " * 50, '{"op":"message","data":"' + "x" * 70_000 + '"}', "".join(map(chr, range(900)))]


def read(data: bytes, *, deflate: bool, masked: bool = True) -> list[Event]:
    """The events of data that arrives in pieces of any size."""
    reader, sizes, at, events = (
        FrameReader(max_message_bytes=LIMIT, deflate=deflate, masked=masked),
        random.Random(1),
        0,
        [],
    )
    while at < len(data):
        size = sizes.choice((1, 2, 5, 100, 5000))
        events += reader.receive(data[at : at + size])
        at += size
    return events


def masks() -> Iterator[bytes]:
    return (number.to_bytes(4, "little") for number in count(0x12345678))


def of_wsproto(kind: ConnectionType, deflate: bool, bits: int = 15) -> Connection:
    extension = PerMessageDeflate()
    if deflate:
        answer = (
            f"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits={bits}"
        )
        if kind is ConnectionType.CLIENT:
            extension.finalize(answer)
        else:
            extension.accept(answer)
    return Connection(kind, [extension] if deflate else [])


@pytest.mark.parametrize("deflate", [False, True])
def test_what_a_client_of_wsproto_sends(deflate: bool) -> None:
    """Messages of wsproto, in fragments too, with pings between them, are read."""
    client = of_wsproto(ConnectionType.CLIENT, deflate)
    data, expected = b"", []
    for text in TEXTS:
        third = len(text) // 3
        for part, finished in ((text[:third], False), (text[third : 2 * third], False), (text[2 * third :], True)):
            data += client.send(TextMessage(data=part, message_finished=finished))
            data += client.send(WsprotoPing(payload=b"are you there"))
            expected += [Message(TEXT, text.encode())] * finished + [Ping(b"are you there")]
        data += client.send(BytesMessage(data=text.encode("utf-16")))
        expected.append(Message(BINARY, text.encode("utf-16")))
    data += client.send(CloseConnection(code=3999, reason="κ"))
    assert read(data, deflate=deflate) == [*expected, Close(3999, "κ".encode())]


@pytest.mark.parametrize("bits", [0, 9, 12, 15])
def test_what_a_client_of_wsproto_reads(bits: int) -> None:
    """Frames of ours, compressed with any window, are read by wsproto."""
    client = of_wsproto(ConnectionType.CLIENT, bits > 0, bits)
    for text in TEXTS:
        payload = text.encode()
        client.receive_data(frame(TEXT, compress(payload, bits), compressed=True) if bits else frame(TEXT, payload))
        client.receive_data(frame(PING, b"x"))
        events = list(client.events())
        assert "".join(event.data for event in events if isinstance(event, TextMessage)) == text
        assert isinstance(events[-1], WsprotoPing)
    client.receive_data(close_frame(3001, b"shutdown"))
    [closed] = client.events()
    assert (closed.code, closed.reason) == (3001, "shutdown")


@pytest.mark.parametrize("deflate", [False, True])
def test_a_server_of_wsproto(deflate: bool) -> None:
    """As a client too: a server of wsproto reads our masked frames, and its own are read."""
    server, mask = of_wsproto(ConnectionType.SERVER, deflate), masks()
    for text in TEXTS:
        payload = compress(text.encode()) if deflate else text.encode()
        server.receive_data(masked_frame(TEXT, payload[:2], next(mask), compressed=deflate, fin=False))
        server.receive_data(masked_frame(0, payload[2:], next(mask)))
        assert "".join(event.data for event in server.events()) == text
    data = b"".join(server.send(TextMessage(data=text)) for text in TEXTS)
    assert read(data, deflate=deflate, masked=False) == [Message(TEXT, text.encode()) for text in TEXTS]
    server.receive_data(masked_frame(CLOSE, close_payload(1001, b"away"), next(mask)))
    [closed] = server.events()
    assert (closed.code, closed.reason) == (1001, "away")


class Client(WebSocketClientProtocol):
    """Autobahn's client, which keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[bytes, bool]] = []
        self.closed: tuple[object, ...] = ()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.got.append((payload, isBinary))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.closed = (wasClean, code, reason)


def accept(response: object) -> object:
    """Agree to what the server says about compression."""
    assert isinstance(response, PerMessageDeflateResponse)
    return PerMessageDeflateResponseAccept(response)


def connected(bits: int) -> tuple[Client, StringTransport, Upgrade]:
    """Autobahn's client after a handshake with us."""
    factory = WebSocketClientFactory("ws://push.example/comet/ws", protocols=["megacomet.v1"], reactor=Clock())
    factory.protocol = Client
    options: dict[str, object] = {"autoFragmentSize": 700, "openHandshakeTimeout": 0, "closeHandshakeTimeout": 0}
    options["echoCloseCodeReason"] = True
    if bits:
        offer = PerMessageDeflateOffer(request_max_window_bits=0 if bits == 15 else bits)
        options |= {"perMessageCompressionOffers": [offer], "perMessageCompressionAccept": accept}
    factory.setProtocolOptions(**options)
    client = factory.buildProtocol(None)
    assert isinstance(client, Client)
    transport = StringTransport()
    client.makeConnection(transport)
    request = transport.value()
    transport.clear()
    assert find_head_end(request, 0) == len(request)
    upgrade = read_upgrade(parse_head(request))
    client.dataReceived(switching(upgrade, b""))
    assert client.state == client.STATE_OPEN
    return client, transport, upgrade


@pytest.mark.parametrize("bits", [0, 9, 15])
def test_a_client_of_autobahn(bits: int) -> None:
    """Autobahn's client shakes hands with us, reads our frames, and its fragments are read."""
    client, transport, upgrade = connected(bits)
    assert (upgrade.protocol, upgrade.deflate_bits) == (b"megacomet.v1", bits)
    for text in TEXTS:
        client.sendMessage(text.encode())
        client.dataReceived(
            frame(TEXT, compress(text.encode(), bits), compressed=True) if bits else frame(TEXT, text.encode())
        )
    assert client.got == [(text.encode(), False) for text in TEXTS]
    client.dataReceived(frame(PING, b"x"))
    client.sendClose(3500, "enough")
    expected: list[Event] = [Message(TEXT, text.encode()) for text in TEXTS]
    assert read(transport.value(), deflate=bits > 0) == [*expected, Pong(b"x"), Close(3500, b"enough")]


def test_autobahn_understands_our_close() -> None:
    """A close of ours is answered, with the code."""
    client, transport, _ = connected(0)
    client.dataReceived(close_frame(3503, b"cut off"))
    assert read(transport.value(), deflate=False) == [Close(3503, b"cut off")]
