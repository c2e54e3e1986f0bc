"""Connections of the client without a network: what it sends is read here, and what comes is said here."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from twisted.internet import error
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from megacomet.client.objects import Value
from megacomet.client.places import Place, place_of
from megacomet.client.rules import Ending


class Ear:
    """Writes down what a connection tells."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.sizes: list[int] = []
        self.complaints: list[str] = []
        self.endings: list[Ending] = []
        self.heard_times = self.flushes = 0

    def heard(self) -> None:
        self.heard_times += 1

    def told(self, value: Value, size: int) -> None:
        self.values.append(value)
        self.sizes.append(size)

    def complain(self, text: str) -> None:
        self.complaints.append(text)

    def flush(self) -> None:
        self.flushes += 1

    def ended(self, ending: Ending) -> None:
        self.endings.append(ending)


class Wire(StringTransport):
    """A transport that lets a producer be taken away that it does not have, as Twisted's own do."""

    def unregisterProducer(self) -> None:
        self.producer = None


class Line:
    """One TCP connection, from the server's side."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport = Wire()
        protocol.makeConnection(self.transport)

    def sent(self) -> bytes:
        """What the client has sent since it was asked last."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def say(self, data: bytes) -> None:
        """Send to the client."""
        self.protocol.dataReceived(data)

    def answer(self, status: int, kind: str, body: bytes = b"", *more: str, chunked: bool = False) -> None:
        """Answer a request; chunked: with the beginning of a body."""
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        lines = [f"HTTP/1.1 {status} Told", f"Content-Type: {kind}", length, *more, "", ""]
        self.say("\r\n".join(lines).encode())
        if body:
            self.chunk(body) if chunked else self.say(body)

    def chunk(self, data: bytes) -> None:
        """Go on with the body."""
        self.say(b"%x\r\n%b\r\n" % (len(data), data))

    def switch(self, *more: str) -> None:
        """Answer a handshake of WebSocket."""
        found = re.search(rb"Sec-WebSocket-Key: (\S+)\r\n", self.sent())
        assert found is not None
        accept = base64.b64encode(hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        self.say("\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", *more, "", ""]).encode())

    def frame(self, payload: bytes, opcode: int = 1) -> None:
        """Send a frame."""
        size = len(payload)
        head = (
            bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2) if size < 65_536 else b"\x7f" + size.to_bytes(8)
        )
        self.say(bytes([0x80 | opcode]) + head + payload)

    def close(self, code: int, reason: str = "") -> None:
        """Close a WebSocket, and the connection."""
        self.frame(code.to_bytes(2) + reason.encode(), 8)
        self.lose()

    def lose(self) -> None:
        """End the connection."""
        self.protocol.connectionLost(Failure(error.ConnectionDone()))


class Network:
    """The reactor, and the connections that were made through it."""

    def __init__(self, url: str = "http://192.0.2.1:8080") -> None:
        self.reactor: Any = MemoryReactorClock()
        self.place: Place = place_of(url)

    @property
    def attempts(self) -> int:
        """How many connections were asked for."""
        return len(self.reactor.tcpClients)

    def accept(self) -> Line:
        """Accept the one that was asked for last."""
        return Line(self.reactor.tcpClients[-1][2].buildProtocol(None))

    def refuse(self) -> None:
        """Refuse it."""
        self.reactor.tcpClients[-1][2].clientConnectionFailed(None, Failure(error.ConnectionRefusedError("nobody")))


def payloads(sent: bytes) -> list[tuple[int, bytes]]:
    """Return opcode and payload of each of a client's frames (RFC 6455, 5.2)."""
    found = []
    while sent:
        assert sent[1] & 0x80
        size, at = sent[1] & 0x7F, 2
        if size == 126:
            size, at = int.from_bytes(sent[2:4]), 4
        mask, data = sent[at : at + 4], sent[at + 4 : at + 4 + size]
        found.append((sent[0] & 0x0F, bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))))
        sent = sent[at + 4 + size :]
    return found
