"""The load client's reading of streams: whole, byte by byte and cut anywhere, in the server's form and in others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from megacomet.swarm.answers import BadAnswer, cut
from megacomet.swarm.chunks import chunk, unchunked
from megacomet.swarm.events import CLOSE, END, GAP, MESSAGE, PING, POSITION, Event, read_object
from megacomet.swarm.mix import TRANSPORTS
from megacomet.swarm.rooms import Rooms
from megacomet.swarm.transports import OLDEST, Names, Streamer, close, made, pong
from megacomet.wire import streams as wire
from megacomet.wire.websocket import CLOSE as CLOSE_FRAME
from megacomet.wire.websocket import CONTINUATION, TEXT, Close, FrameReader, Pong, close_frame, frame, masked_frame
from megacomet.wire.websocket import PING as PING_FRAME

NAMES = Names("h:80", "c", 20, Rooms(0, 10, 2), lambda client: True)
ENCODINGS = {
    "sse": wire.SSE,
    "stream": wire.NDJSON,
    "ws": wire.WS,
    "ws-deflate": wire.ws_deflate(15),
}


def streamer(name: str) -> Streamer:
    number = TRANSPORTS.index(name)
    return made(NAMES, [number])[1][number]


def read(reader: Streamer, pieces: list[bytes]) -> list[Event]:
    held: Any = None
    events: list[Event] = []
    for piece in pieces:
        found, held = reader.receive(held, piece)
        events += found
    assert not held
    return events


def message(position: bytes, channel: bytes, text: bytes) -> Event:
    return MESSAGE, position, channel, text


#: What the server's own codec writes, and what it means.
def spoken(encoding: int) -> tuple[bytes, list[Event]]:
    long = b"x" * 300
    data = b"".join(
        [
            wire.position(encoding, b"e-1"),
            wire.message(encoding, b"room:1", b"e-2", b'"1 room:1 5"'),
            wire.message(encoding, b"room:1", b"e-3", b'"2 room:1 \\u0035"'),
            wire.message(encoding, b"room:\xc3\xa4", b"e-4", b'{"a":[1]}'),
            wire.gaps(encoding, [b"room:1"], b"e-4", b"e-5"),
            wire.message(encoding, b"@c20", b"e-6.7", b'"%b"' % long),
            wire.message(encoding, b"@c20", b"e-8", b'"1 c20 5"'),
        ]
    )
    return data, [
        (POSITION, b"e-1", b"", b""),
        message(b"e-2", b"room:1", b"1 room:1 5"),
        message(b"e-3", b"room:1", b"2 room:1 5"),
        message(b"e-4", b"room:\xc3\xa4", b'{"a": [1]}'),
        (GAP, b"e-5", b"room:1", b""),
        message(b"e-6.7", b"@c20", long),
        message(b"e-8", b"@c20", b"1 c20 5"),
    ]


@pytest.mark.parametrize("name", list(ENCODINGS))
def test_what_the_server_writes(name: str) -> None:
    """Whole, byte by byte, and cut once anywhere, the stream says the same."""
    data, events = spoken(ENCODINGS[name])
    assert read(streamer(name), [data]) == events
    assert read(streamer(name), [bytes([byte]) for byte in data]) == events
    for at in range(1, len(data)):
        assert read(streamer(name), [data[:at], data[at:]]) == events


@pytest.mark.parametrize("name", ["sse", "stream"])
@pytest.mark.parametrize("size", [1, 3, 50, 5000])
def test_chunks_of_another_size(name: str, size: int) -> None:
    """A front end may cut the chunks anew: an event over several of them, or several in one, is still one event."""
    data, events = spoken(ENCODINGS[name])
    payload, rest, ended = unchunked(data)
    assert (rest, ended) == (b"", False)
    again = b"".join(chunk(payload[at : at + size]) for at in range(0, len(payload), size))
    assert read(streamer(name), [again]) == events
    assert read(streamer(name), [bytes([byte]) for byte in again]) == events


@pytest.mark.parametrize(
    ("block", "events"),
    [
        (b": ping\n\n", []),
        (b"retry: 2000\n\n", []),
        (b"id: e-1\n\n", []),
        (b"retry: 2000\nevent: position\nid: e-1\ndata: {}\n\n", [(POSITION, b"e-1", b"", b"")]),
        (b'id:e-2\ndata:{"channel":"a",\ndata:"data":"x"}\n\n', [message(b"e-2", b"a", b"x")]),
        (b'id: e-2\r\ndata: {"channel":"a","data":"x"}\r\n\r\n', [message(b"e-2", b"a", b"x")]),
        (b'\n\nid: e-2\ndata: {"channel":"a","data":"x"}\n\n\n', [message(b"e-2", b"a", b"x")]),
        (
            b'event: gap\nid: e-3\ndata: {"channels":["a","*"]}\n\n',
            [(GAP, b"e-3", b"a", b""), (GAP, b"e-3", b"*", b"")],
        ),
        (b"event: something\nid: e-4\ndata: {}\n\n", []),
    ],
)
def test_events(block: bytes, events: list[Event]) -> None:
    """The forms that an event stream may have, and what says nothing."""
    found, rest = streamer("sse").receive(None, chunk(block))
    assert found == events
    assert rest in (b"", chunk(b"\n"))


@pytest.mark.parametrize("name", ["sse", "stream"])
def test_end_of_a_stream(name: str) -> None:
    """The last chunk ends the stream, behind what came before."""
    data, events = spoken(ENCODINGS[name])
    assert read(streamer(name), [data + b"0\r\n\r\n"]) == [*events, (END, b"", b"", b"")]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("sse", b"x\r\n"),
        ("sse", b"-1\r\n"),
        ("sse", b"\r\n"),
        ("sse", b"2\r\nabcd"),
        ("sse", b"1" * 2000),
        ("sse", chunk(b"data: 1\n\n")),
        ("sse", chunk(b'data: {"data":1}\n\n')),
        ("sse", chunk(b'data: {"channel":"a"}\n\n')),
        ("sse", chunk(b'event: gap\ndata: {"channels":"a"}\n\n')),
        ("stream", chunk(b"{\n")),
        ("stream", chunk(b'{"op":"message","channel":"a","id":7,"data":1}\n')),
        ("ws", frame(TEXT, b"[]")),
        ("ws", frame(2, b"{}")),
        ("ws", b"\x81\x80abcd"),
        ("ws", b"\xc1\x00"),
        ("ws-deflate", b"\xc1\x01\xff"),
    ],
)
def test_garbage(name: str, data: bytes) -> None:
    """What can never become an event is told at once."""
    with pytest.raises(BadAnswer):
        streamer(name).receive(None, data)


@pytest.mark.parametrize("name", ["sse", "stream"])
@pytest.mark.parametrize("more", [-1, 1])
def test_chunk_of_another_size_than_it_says(name: str, more: int) -> None:
    """A message in a chunk that ends earlier or later than its size says is no message."""
    whole = wire.message(ENCODINGS[name], b"room:1", b"e-2", b'"1 room:1 5"')
    size, _, rest = whole.partition(b"\r\n")
    with pytest.raises(BadAnswer):
        streamer(name).receive(None, b"%x\r\n%b%b" % (int(size, 16) + more, rest, whole))


def test_websocket_control() -> None:
    """Pings and closes are handed out in their place, pongs are not; messages in parts are one."""
    text = b'{"op":"position","position":"e-1"}'
    parts = bytes([TEXT]) + frame(TEXT, text[:9])[1:] + frame(PING_FRAME, b"hi") + frame(CONTINUATION, text[9:])
    data = parts + frame(10, b"") + close_frame(3001, b"x")
    expected = [(PING, b"", b"", b"hi"), (POSITION, b"e-1", b"", b""), (CLOSE, b"", b"", b"3001")]
    for pieces in ([data], [bytes([byte]) for byte in data]):
        held: Any = None
        found: list[Event] = []
        for piece in pieces:
            events, held = streamer("ws").receive(held, piece)
            found += events
        assert found == expected


def test_websocket_close_without_a_code() -> None:
    """A close frame without a code is answered by one without."""
    events, _ = streamer("ws").receive(None, frame(CLOSE_FRAME, b""))
    assert events == [(CLOSE, b"", b"", b"1005")]
    reader = FrameReader(max_message_bytes=100, deflate=False, masked=True)
    assert reader.receive(pong(b"hi") + close(1005)) == [Pong(b"hi"), Close(None, b"")]
    assert FrameReader(max_message_bytes=100, deflate=False, masked=True).receive(close(3001)) == [Close(3001, b"")]
    assert masked_frame(TEXT, b"", b"abcd") == b"\x81\x80abcd"


@pytest.mark.parametrize("raw", [b'{"op":"ok","id":1}', b'{"op":"error","id":1}', b"{}"])
def test_objects_that_say_nothing(raw: bytes) -> None:
    """Answers to requests, and what is not known, are passed over."""
    assert read_object(raw) is None


# requests


@pytest.mark.parametrize(
    ("name", "position", "line", "header"),
    [
        ("script", b"", "GET /c23.js HTTP/1.1", ""),
        ("script", b"e-1", "GET /c23.js?since=e-1 HTTP/1.1", ""),
        ("poll", b"", "GET /comet/poll?{}&timeout=0 HTTP/1.1", ""),
        ("poll", OLDEST, "GET /comet/poll?{}&timeout=0&since=oldest HTTP/1.1", ""),
        ("poll", b"e-1", "GET /comet/poll?{}&since=e-1 HTTP/1.1", ""),
        ("sse", b"", "GET /comet/events?{} HTTP/1.1", "Accept: text/event-stream"),
        ("sse", OLDEST, "GET /comet/events?{}&since=oldest HTTP/1.1", ""),
        ("sse", b"e-1", "GET /comet/events?{} HTTP/1.1", "Last-Event-ID: e-1"),
        ("stream", b"e-1", "GET /comet/stream?{}&since=e-1 HTTP/1.1", ""),
        ("ws", b"e-1", "GET /comet/ws?{}&since=e-1 HTTP/1.1", "Sec-WebSocket-Protocol: megacomet.v1"),
        ("ws-deflate", b"", "GET /comet/ws?{} HTTP/1.1", "Sec-WebSocket-Extensions: permessage-deflate"),
    ],
)
def test_requests(name: str, position: bytes, line: str, header: str) -> None:
    """Each transport asks for the client's mailbox and rooms, from its position on."""
    number = TRANSPORTS.index(name)
    pollers, streamers = made(NAMES, [number])
    transport = pollers.get(number) or streamers[number]
    request = transport.request(3, position).decode()
    assert request.startswith(line.format("client=c23&channel=room:6&channel=room:7") + "\r\nHost: h:80\r\n")
    assert f"\r\n{header}" in request
    assert request.endswith("\r\n\r\n")
    assert request.count("\r\n\r\n") == 1


def test_names_are_quoted() -> None:
    """A prefix with characters of its own meaning stays one name."""
    names = Names("h", "a/b?ä&", 0)
    assert names.query(1) == b"client=a%2Fb%3F%C3%A4%261"
    assert made(names, [0])[0][0].request(1, b"").startswith(b"GET /a%2Fb%3F%C3%A4%261.js HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("body", "events"),
    [
        ({"position": "e-5", "messages": [], "gap": False}, [(POSITION, b"e-5", b"", b"")]),
        (
            {"position": "e-5", "messages": [{"channel": "a", "id": "e-4", "data": "x"}], "gap": True, "gaps": ["a"]},
            [(GAP, b"e-5", b"a", b""), message(b"e-4", b"a", b"x"), (POSITION, b"e-5", b"", b"")],
        ),
    ],
)
def test_answer_of_a_poll(body: dict[str, Any], events: list[Event]) -> None:
    """A poll's answer tells its gaps, its messages, and then the position."""
    text = json.dumps(body).encode()
    answer = cut(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))
    assert answer is not None
    assert made(NAMES, [1])[0][1].read(answer) == events


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"position":"e-1","messages":[{}]}'])
def test_no_answer_of_a_poll(body: bytes) -> None:
    """Something else than a poll's answer is told."""
    answer = cut(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    assert answer is not None
    with pytest.raises(BadAnswer):
        made(NAMES, [1])[0][1].read(answer)


@pytest.mark.parametrize(
    ("name", "head", "fault"),
    [
        ("sse", b"Content-Type: text/html", "no text/event-stream"),
        ("sse", b"Content-Type: text/event-stream", "a stream without chunks"),
        ("sse", b"Content-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked", ""),
        ("stream", b"Content-Type: application/json\r\nTransfer-Encoding: chunked", "no application/x-ndjson"),
        ("ws", b"Sec-WebSocket-Accept: x", "a wrong Sec-WebSocket-Accept"),
    ],
)
def test_faults_of_a_head(name: str, head: bytes, fault: str) -> None:
    """A head that does not open this stream says why."""
    assert streamer(name).fault(b"HTTP/1.1 200 OK\r\n" + head) == fault
