"""Owns how a client speaks each transport: the bytes of its request, and the cutting of what arrives into events.

No sockets, no clock, nothing per client: what one of them has not read to its end is handed out and handed in again.
"""

from __future__ import annotations

import os
import struct
from base64 import b64encode
from collections.abc import Callable, Collection
from hashlib import sha1
from typing import Any, Final, Protocol
from urllib.parse import quote

import attrs

from megacomet.swarm.answers import Answer, BadAnswer, header
from megacomet.swarm.events import CLOSE, MESSAGE, PING, POSITION, Event, gaps_of, message_of, read_json, read_object
from megacomet.swarm.mix import POLL, SCRIPT, SSE, STREAM, TRANSPORTS, WS, WS_DEFLATE
from megacomet.swarm.rooms import NO_ROOMS, Rooms
from megacomet.swarm.streams import cut_lines, cut_sse
from megacomet.wire import websocket
from megacomet.wire.websocket import FrameReader

#: In place of a position: all that is kept.
OLDEST: Final = b"oldest"
PROTOCOL: Final = b"megacomet.v1"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FIN_TEXT: Final = 0x81
#: The server's messages have 64 KB at most by default, 1 MB in any case; a batch of them in one frame is not foreseen.
_MAX_MESSAGE_BYTES: Final = 16 << 20


@attrs.frozen
class Names:
    """How the clients of a process are called in a request.

    Attributes:
        first: index of the first client over all processes; its name is the prefix and the index.
        listens: whether a client, by its index over all processes, listens to rooms.
    """

    host: str
    prefix: str
    first: int
    rooms: Rooms = NO_ROOMS
    listens: Callable[[int], bool] = lambda client: False

    @property
    def path(self) -> bytes:
        """What stands before a client's index in a path or a query."""
        return quote(self.prefix, safe="").encode()

    def query(self, client: int) -> bytes:
        """Return the parameters that name the client's mailbox and rooms."""
        index = self.first + client
        query = b"client=%b%d" % (self.path, index)
        if self.rooms.channels and self.listens(index):
            query += b"".join(b"&channel=%b" % name for name in self.rooms.of(index))
        return query


class Poller(Protocol):
    """A transport that asks again for each answer."""

    def request(self, client: int, position: bytes) -> bytes: ...

    def read(self, answer: Answer) -> list[Event]:
        """Return what an answer of status 200 tells."""
        ...


class Streamer(Protocol):
    """A transport that asks once."""

    #: of the answer that opens the stream
    status: int

    def request(self, client: int, position: bytes) -> bytes: ...

    def fault(self, head: bytes) -> str:
        """Return what is wrong with the head of an answer of that status, "" nothing."""
        ...

    def receive(self, held: Any, data: bytes) -> tuple[list[Event], Any]:
        """Cut what arrived.

        Args:
            held: what the last call gave back; None or empty: nothing is pending.
        """
        ...


class Script:
    """`GET /<client>.js`: one message of the mailbox in raw form."""

    def __init__(self, names: Names) -> None:
        self._start = b"GET /%b" % names.path
        self._first = names.first
        self._tail = _tail(names)

    def request(self, client: int, position: bytes) -> bytes:
        if position:
            return b"%b%d.js?since=%b%b" % (self._start, self._first + client, position, self._tail)
        return b"%b%d.js%b" % (self._start, self._first + client, self._tail)

    def read(self, answer: Answer) -> list[Event]:
        return [(MESSAGE, header(answer.head, b"megacomet-position"), b"", answer.body)]


class Poll:
    """`GET /comet/poll`. Without a position it asks for one at once, so that nothing is said before it has one."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._tail = _tail(names)

    def request(self, client: int, position: bytes) -> bytes:
        query = self._names.query(client)
        if position in (b"", OLDEST):
            query += b"&timeout=0"
        return b"GET /comet/poll?%b%b%b" % (query, _since(position), self._tail)

    def read(self, answer: Answer) -> list[Event]:
        plain = read_json(answer.body)
        position = plain.get("position")
        messages = plain.get("messages")
        if not isinstance(position, str) or not isinstance(messages, list):
            raise BadAnswer(f"no answer of a poll: {answer.body[:80]!r}")
        told = position.encode()
        events = gaps_of(plain.get("gaps", []), told) if plain.get("gap") else []
        events += [message_of(message, message.get("id")) for message in messages]
        return [*events, (POSITION, told, b"", b"")]


class EventSource:
    """`GET /comet/events`: the position goes into the header, as browsers do when they come back."""

    status = 200

    def __init__(self, names: Names) -> None:
        self._names = names
        self._tail = _tail(names, b"Accept: text/event-stream\r\n")

    def request(self, client: int, position: bytes) -> bytes:
        query = self._names.query(client)
        if not position:
            return b"GET /comet/events?%b%b" % (query, self._tail)
        if position == OLDEST:
            return b"GET /comet/events?%b&since=oldest%b" % (query, self._tail)
        return b"GET /comet/events?%b%b%b" % (query, self._tail[:-2], b"Last-Event-ID: %b\r\n\r\n" % position)

    def fault(self, head: bytes) -> str:
        return _fault(head, b"text/event-stream")

    def receive(self, held: Any, data: bytes) -> tuple[list[Event], Any]:
        return cut_sse(held + data if held else data)


class Lines:
    """`GET /comet/stream`: objects, one a line."""

    status = 200

    def __init__(self, names: Names) -> None:
        self._names = names
        self._tail = _tail(names)

    def request(self, client: int, position: bytes) -> bytes:
        return b"GET /comet/stream?%b%b%b" % (self._names.query(client), _since(position), self._tail)

    def fault(self, head: bytes) -> str:
        return _fault(head, b"application/x-ndjson")

    def receive(self, held: Any, data: bytes) -> tuple[list[Event], Any]:
        return cut_lines(held + data if held else data)


class WebSocket:
    """`GET /comet/ws`: objects in frames. A reader of frames exists while one is incomplete."""

    status = 101

    def __init__(self, names: Names, deflate: bool) -> None:
        self._names = names
        self._deflate = deflate
        key = b64encode(os.urandom(16))
        self._accept = b64encode(sha1(key + _GUID).digest())
        self._tail = _tail(
            names,
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Protocol: %b\r\n"
            % (key, PROTOCOL)
            + b"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n" * deflate,
        )

    def request(self, client: int, position: bytes) -> bytes:
        return b"GET /comet/ws?%b%b%b" % (self._names.query(client), _since(position), self._tail)

    def fault(self, head: bytes) -> str:
        if header(head, b"sec-websocket-accept") != self._accept:
            return "a wrong Sec-WebSocket-Accept"
        if header(head, b"sec-websocket-protocol") != PROTOCOL:
            return "no megacomet.v1"
        agreed = header(head, b"sec-websocket-extensions").startswith(b"permessage-deflate")
        if agreed != self._deflate:
            return "permessage-deflate unasked" if agreed else "no permessage-deflate"
        return ""

    def receive(self, held: Any, data: bytes) -> tuple[list[Event], Any]:
        events: list[Event] = []
        at = 0 if held else _read_plain_frames(data, events)
        if at == len(data):
            return events, None
        reader = held or FrameReader(max_message_bytes=_MAX_MESSAGE_BYTES, deflate=self._deflate, masked=False)
        for one in reader.receive(data[at:]):
            _read_event(one, events)
        return events, None if reader.idle else reader


def _read_plain_frames(data: bytes, events: list[Event]) -> int:
    """Read whole text frames that are not compressed; returns where they end, the rest is the reader's."""
    at, end = 0, len(data)
    while at + 2 <= end and data[at] == _FIN_TEXT:
        length, start = data[at + 1], at + 2
        if length == 126 and at + 4 <= end:
            length, start = data[at + 2] << 8 | data[at + 3], at + 4
        elif length > 125:
            break
        stop = start + length
        if stop > end:
            break
        told = read_object(data[start:stop])
        if told is not None:
            events.append(told)
        at = stop
    return at


def _read_event(one: websocket.Event, events: list[Event]) -> None:
    if isinstance(one, websocket.Message):
        if one.opcode != websocket.TEXT:
            raise BadAnswer("a binary frame")
        told = read_object(one.payload)
        if told is not None:
            events.append(told)
    elif isinstance(one, websocket.Ping):
        events.append((PING, b"", b"", one.payload))
    elif isinstance(one, websocket.Close):
        events.append((CLOSE, b"", b"", b"%d" % (one.code or 1005)))
    elif isinstance(one, websocket.Violation):
        raise BadAnswer(one.reason.decode())


def pong(payload: bytes) -> bytes:
    """Return a client's answer to a ping."""
    return websocket.masked_frame(websocket.PONG, payload, os.urandom(4))


def close(code: int) -> bytes:
    """Return a client's answer to a close frame; 1005 is none on the wire."""
    payload = b"" if code == 1005 else struct.pack(">H", code)
    return websocket.masked_frame(websocket.CLOSE, payload, os.urandom(4))


def made(names: Names, numbers: Collection[int]) -> tuple[dict[int, Poller], dict[int, Streamer]]:
    """Return the transports with these numbers, those that ask again and those that stream."""
    pollers: dict[str, Callable[[], Poller]] = {SCRIPT: lambda: Script(names), POLL: lambda: Poll(names)}
    streamers: dict[str, Callable[[], Streamer]] = {
        SSE: lambda: EventSource(names),
        STREAM: lambda: Lines(names),
        WS: lambda: WebSocket(names, deflate=False),
        WS_DEFLATE: lambda: WebSocket(names, deflate=True),
    }
    return (
        {n: pollers[TRANSPORTS[n]]() for n in numbers if TRANSPORTS[n] in pollers},
        {n: streamers[TRANSPORTS[n]]() for n in numbers if TRANSPORTS[n] in streamers},
    )


def _since(position: bytes) -> bytes:
    return b"&since=%b" % position if position else b""


def _tail(names: Names, more: bytes = b"") -> bytes:
    return b" HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (names.host.encode(), more)


def _fault(head: bytes, kind: bytes) -> str:
    if not header(head, b"content-type").startswith(kind):
        return f"no {kind.decode()}"
    return "" if header(head, b"transfer-encoding").lower() == b"chunked" else "a stream without chunks"
