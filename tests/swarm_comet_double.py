"""A double of the server with all transports, rooms, positions and gaps, and with one fault on purpose if asked for.

It keeps one log of all messages, as the server does, and answers from it; it runs in a thread (`swarm_double.running`).
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha1
from typing import Any
from urllib.parse import parse_qs, urlsplit

from megacomet.wire.deflate import compress
from megacomet.wire.websocket import PING, TEXT, FrameReader, close_frame, frame
from tests.swarm_double import EPOCH, Double

LOSE, REPEAT, SWAP = "lose", "repeat", "swap"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Message = tuple[int, str, str]


class Listener:
    """A stream of one client: `write` is given messages, positions and gaps as objects, in order."""

    def __init__(self, channels: list[str], writer: asyncio.StreamWriter, framed: Callable[[dict[str, Any]], bytes]):
        self.channels = channels
        self.writer = writer
        self._framed = framed
        self.held: list[Message] = []

    def write(self, *objects: dict[str, Any]) -> None:
        self.writer.write(b"".join(map(self._framed, objects)))


class Comet(Double):
    """The server.

    Args:
        fault: LOSE, REPEAT or SWAP, or "" for none.
        at: which delivery, counted from 0 over all connections, it happens to.
        hides_gaps: whoever comes back too late is not told.
    """

    def __init__(self, fault: str = "", at: int = 0, hides_gaps: bool = False) -> None:
        super().__init__()
        self._fault = fault
        self._at = at
        self._hides_gaps = hides_gaps
        self.log: list[Message] = []
        self.forgotten: list[Message] = []
        self.deliveries = 0
        self.opened: dict[str, int] = {}
        #: what came from WebSocket clients
        self.received: list[Any] = []
        self._listeners: list[Listener] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._polls: set[asyncio.Event] = set()
        #: by mailbox: what a poll was to get before; where a script without a position goes on
        self._held: dict[str, list[Message]] = {}
        self._written: dict[str, int] = {}
        self.loop: asyncio.AbstractEventLoop | None = None

    # what a test does, in its own thread

    def say(self, channel: str, text: str) -> None:
        """Publish; returns when it is written to the streams that are open."""
        self._do(lambda: self.publish({"channel": channel, "data": text}))

    def ping(self, payload: bytes) -> None:
        """Send a ping to all streams, which must be WebSockets."""
        self._do(lambda: [one.writer.write(frame(PING, payload)) for one in self._listeners])

    def end(self, code: int = 0) -> None:
        """End all streams; WebSockets with a close code, and it is their clients who close then."""
        last = close_frame(code) if code else b"0\r\n\r\n"
        self._do(lambda: [(one.writer.write(last), code or one.writer.close()) for one in self._listeners])

    def cut_all(self) -> None:
        """Lose all streams and polls."""
        self._do(lambda: [writer.transport.abort() for writer in self._writers])

    def forget(self) -> None:
        """Keep nothing of what was said so far."""
        self._do(lambda: (self.forgotten.extend(self.log), self.log.clear()))

    def raw(self, data: bytes) -> None:
        """Write bytes to all streams."""
        self._do(lambda: [one.writer.write(data) for one in self._listeners])

    def polls_waiting(self) -> int:
        """Return how many polls wait."""
        return len(self._polls)

    def _do(self, what: Callable[[], Any]) -> None:
        async def do() -> None:
            what()

        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(do(), self.loop).result()

    # publishing

    def publish(self, push: dict[str, object]) -> str:
        self.ordinal += 1
        self.head += 1
        channel = "*" if push.get("everyone") else str(push.get("channel") or f"@{push['client']}")
        message = (self.head, channel, str(push["data"]))
        self.log.append(message)
        for listener in self._listeners:
            if channel in listener.channels:
                listener.write(*map(_message, self._faulty(listener.held, [message])))
        for event in self._polls:
            event.set()
        return "sent"

    def _faulty(self, held: list[Message], messages: list[Message]) -> list[Message]:
        """Return what is really delivered; `held` is what a connection was to get before."""
        delivered = []
        for message in messages:
            ordinal, self.deliveries = self.deliveries, self.deliveries + 1
            if ordinal == self._at and self._fault == SWAP:
                held.append(message)
                continue
            times = {LOSE: 0, REPEAT: 2}.get(self._fault, 1) if ordinal == self._at else 1
            delivered += [message] * times + held
            held.clear()
        return delivered

    # serving

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.loop = asyncio.get_running_loop()
        self._writers.add(writer)
        try:
            await super().serve(reader, writer)
        finally:
            self._writers.discard(writer)

    async def _get(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        url = urlsplit(head.split(" ", 2)[1])
        query = parse_qs(url.query)
        name = url.path.removeprefix("/comet/")
        self.opened[name] = self.opened.get(name, 0) + 1
        since = _header(head, "last-event-id") or query.get("since", [""])[0]
        if url.path.endswith(".js"):
            await self._script(url.path[1:-3], since, reader, writer)
            return
        channels = [f"@{query['client'][0]}", "*", *query.get("channel", [])]
        if name == "poll":
            await self._answer_poll(channels, since, query.get("timeout") == ["0"], reader, writer)
            return
        opening, framed = _OPENINGS[name](head)
        writer.write(opening)
        listener = Listener(channels, writer, framed)
        self._begin(listener, since)
        self._listeners.append(listener)
        try:
            await self._read(reader)
        finally:
            self._listeners.remove(listener)

    def _begin(self, listener: Listener, since: str) -> None:
        listener.write({"op": "position", "position": since if since and since != "oldest" else self._position()})
        if since:
            gaps = self._gaps(listener.channels, since)
            listener.write(*({"op": "gap", "channel": c, "position": since} for c in gaps))
            missed = self._faulty(listener.held, self._after(listener.channels, since))
            listener.write(*map(_message, missed), {"op": "position", "position": self._position()})

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = FrameReader(max_message_bytes=1000, deflate=True, masked=True)
        while data := await reader.read(1000):
            self.received += frames.receive(data)

    async def _answer_poll(
        self, channels: list[str], since: str, at_once: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        start = since or self._position()
        while not (missed := self._after(channels, start)) and not self._gaps(channels, start) and not at_once:
            await self._news(reader)
        missed = self._faulty(self._held.setdefault(channels[0], []), missed)
        messages = [{"channel": c, "id": f"{EPOCH}-{n}", "data": text} for n, c, text in missed]
        gaps = self._gaps(channels, start)
        answer = {
            "position": self._position(),
            "messages": messages,
            "gap": bool(gaps),
            **({"gaps": gaps} if gaps else {}),
        }
        _write_answer(writer, json.dumps(answer).encode(), self._position())

    async def _script(
        self, client: str, since: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        start = since or f"{EPOCH}-{self._written.get(client, 0)}"
        while not (missed := self._after([f"@{client}", "*"], start)):
            await self._news(reader)
        offset, _, text = missed[0]
        self._written[client] = offset
        _write_answer(writer, text.encode(), f"{EPOCH}-{offset}")

    async def _news(self, reader: asyncio.StreamReader) -> None:
        """Wait until something was said, or the client is gone."""
        event = asyncio.Event()
        self._polls.add(event)
        gone = asyncio.ensure_future(reader.read(1))
        said = asyncio.ensure_future(event.wait())
        await asyncio.wait((gone, said), return_when=asyncio.FIRST_COMPLETED)
        self._polls.discard(event)
        said.cancel()
        if gone.done():
            raise ConnectionError
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)

    # the log

    def _position(self) -> str:
        return f"{EPOCH}-{self.head}"

    def _after(self, channels: list[str], since: str) -> list[Message]:
        return [m for m in self.log if m[1] in channels and m[0] > _offset(since)]

    def _gaps(self, channels: list[str], since: str) -> list[str]:
        if self._hides_gaps or since == "oldest":
            return []
        return sorted({c for n, c, _ in self.forgotten if c in channels and n > _offset(since)})


def _offset(position: str) -> int:
    return 0 if position == "oldest" else int(position.split("-")[1])


def _message(message: Message) -> dict[str, Any]:
    offset, channel, text = message
    return {"op": "message", "channel": channel, "id": f"{EPOCH}-{offset}", "data": text}


def _write_answer(writer: asyncio.StreamWriter, body: bytes, position: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nMegaComet-Position: {position}\r\n\r\n"
    writer.write(head.encode() + body)


def _header(head: str, name: str) -> str:
    found = [line for line in head.split("\r\n") if line.lower().startswith(name + ":")]
    return found[0].partition(":")[2].strip() if found else ""


def _json(plain: dict[str, Any]) -> bytes:
    return json.dumps(plain, separators=(",", ":")).encode()


def _chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def _as_event(plain: dict[str, Any]) -> bytes:
    if plain["op"] == "message":
        data = _json({"channel": plain["channel"], "data": plain["data"]})
        return _chunk(b"id: %b\ndata: %b\n\n" % (plain["id"].encode(), data))
    data = _json({"channels": [plain["channel"]]} if plain["op"] == "gap" else {})
    return _chunk(b"event: %b\nid: %b\ndata: %b\n\n" % (plain["op"].encode(), plain["position"].encode(), data))


def _stream(kind: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % kind


def _websocket(head: str) -> tuple[bytes, Callable[[dict[str, Any]], bytes]]:
    accept = b64encode(sha1(_header(head, "sec-websocket-key").encode() + _GUID).digest())
    deflate = "permessage-deflate" in _header(head, "sec-websocket-extensions")
    extension = b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n" * deflate
    opening = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\nSec-WebSocket-Protocol: megacomet.v1\r\n%b\r\n" % (accept, extension)
    )

    def framed(plain: dict[str, Any]) -> bytes:
        payload = _json(plain)
        return frame(TEXT, compress(payload), compressed=True) if deflate else frame(TEXT, payload)

    return opening, framed


_OPENINGS: dict[str, Callable[[str], tuple[bytes, Callable[[dict[str, Any]], bytes]]]] = {
    "events": lambda head: (_stream(b"text/event-stream; charset=utf-8") + _chunk(b"retry: 2000\n\n"), _as_event),
    "stream": lambda head: (_stream(b"application/x-ndjson"), lambda plain: _chunk(_json(plain) + b"\n")),
    "ws": _websocket,
}
