"""Readers of what streams say, written from the standards and not from our codec: events, chunks, frames."""

from __future__ import annotations

import codecs
import re
import zlib
from typing import NamedTuple


class Event(NamedTuple):
    """An event as an EventSource dispatches it."""

    type: str
    data: str
    last_id: str


class EventStream:
    """The parser of the HTML standard, "Interpreting an event stream"; the bytes may come in any pieces.

    Attributes:
        events: what was dispatched so far.
        last_id: what would be sent as Last-Event-ID.
        retry_ms: the reconnection time; None: never told.
        comments: the lines that begin with a colon.
    """

    def __init__(self, stream: bytes = b"") -> None:
        self.events: list[Event] = []
        self.last_id = ""
        self.retry_ms: int | None = None
        self.comments: list[str] = []
        self._data = self._type = self._id = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = False
        self._unread = ""
        self.receive(stream)

    def receive(self, data: bytes) -> list[Event]:
        """Take the next bytes, and return the events that they complete."""
        before = len(self.events)
        text = self._unread + self._decoder.decode(data)
        if text and not self._begun:
            self._begun, text = True, text.removeprefix("\ufeff")
        # What has no end yet is no line; and whether a CR is one, only the next character tells.
        held = "\r" if text.endswith("\r") else ""
        *lines, rest = re.split("\r\n|\r|\n", text.removesuffix(held))
        self._unread = rest + held
        for line in lines:
            self._line(line)
        return self.events[before:]

    def _line(self, line: str) -> None:
        if not line:
            self._dispatch()
        elif line.startswith(":"):
            self.comments.append(line)
        else:
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._type = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value)

    def _dispatch(self) -> None:
        self.last_id = self._id
        if self._data:
            self.events.append(Event(self._type or "message", self._data.removesuffix("\n"), self.last_id))
        self._data = self._type = ""


class Chunks(NamedTuple):
    """A body as HTTP/1.1 cuts it.

    Attributes:
        pieces: what the chunks held.
        is_ended: whether the last chunk has come.
    """

    pieces: list[bytes]
    is_ended: bool


def chunks(body: bytes) -> Chunks:
    """Read chunks (RFC 9112, 7.1) to the end of the bytes; every chunk must be whole."""
    pieces = []
    while body:
        size_line, _, body = body.partition(b"\r\n")
        size = int(size_line, 16)
        assert body[size : size + 2] == b"\r\n"
        if size == 0:
            assert body == b"\r\n"
            return Chunks(pieces, True)
        pieces.append(body[:size])
        body = body[size + 2 :]
    return Chunks(pieces, False)


class Frame(NamedTuple):
    """A frame of a WebSocket that ends its message.

    Attributes:
        opcode: of RFC 6455.
        payload: inflated when it was compressed.
        is_compressed: whether it was.
    """

    opcode: int
    payload: bytes
    is_compressed: bool


def frames(stream: bytes, bits: int = 15) -> list[Frame]:
    """Read a server's frames (RFC 6455, 5.2; RFC 7692) to the end of the bytes; each is a whole message, unmasked."""
    found = []
    while stream:
        first, size = stream[0], stream[1]
        stream = stream[2:]
        extra = {126: 2, 127: 8}.get(size, 0)
        if extra:
            shortest = {2: 126, 8: 65_536}[extra]
            size, stream = int.from_bytes(stream[:extra], "big"), stream[extra:]
            assert size >= shortest
        assert first & 0xB0 == 0x80
        assert len(stream) >= size
        payload, stream = stream[:size], stream[size:]
        is_compressed = bool(first & 0x40)
        if is_compressed:
            payload = zlib.decompressobj(wbits=-bits).decompress(payload + b"\x00\x00\xff\xff")
        found.append(Frame(first & 0x0F, payload, is_compressed))
    return found
