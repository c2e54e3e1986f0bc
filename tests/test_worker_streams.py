"""Server-sent events and lines of JSON, as clients read them: a real lot and hub, the test in place of the manager."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from megacomet.kinds import DRAINING, FREE, IDLE, PARKED, STREAM
from megacomet.wire import frames
from megacomet.worker.listening import MOST_HEARD_BYTES, PATIENCE_S

from .event_stream import EventStream, chunks
from .fronts import EPOCH, House, message, request
from .lots import read_all, read_now, reset

NOTHING = b"(nothing)"
HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: MegaComet\r\n"
    b"Cache-Control: no-cache, no-transform\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    b"Access-Control-Allow-Origin: *\r\n"
    b"Access-Control-Expose-Headers: MegaComet-Position, Retry-After, X-Request-Id\r\n"
    b"Content-Type: %b\r\n"
    b"X-Accel-Buffering: no\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"\r\n"
)
EVENTS, OBJECTS = b"text/event-stream; charset=utf-8", b"application/x-ndjson"
RETRY = re.compile(rb"c\r\nretry: ([0-9]{4})\n\r\n")


def body(client: socket.socket) -> list[bytes]:
    """The chunks of a stream that begins."""
    _, _, rest = client.recv(1 << 20).partition(b"\r\n\r\n")
    return chunks(rest).pieces


def opened(house: House, target: str = "/comet/stream?channel=news", *headers: str, head: int = 3) -> socket.socket:
    """A client on a live stream that has read all of it."""
    client = house.get(target, *headers)
    house.pages(head=head)
    assert client.recv(1 << 20).startswith(b"HTTP/1.1 200 OK")
    return client


def objects(client: socket.socket) -> list[Any]:
    """The objects that a client has by now."""
    data = read_now(client)
    return [] if data == NOTHING else [json.loads(piece) for piece in chunks(data).pieces]


def shown(client: socket.socket) -> list[str]:
    """The same in short: data of messages, gaps and positions by where the client stands."""
    short = {"message": lambda o: o["data"], "gap": lambda o: f"gap {o['channel']} {o['position']}"}
    return [short.get(o["op"], lambda o: o["position"])(o) for o in objects(client)]


# -- how it begins


def test_events_to_the_byte(house: House) -> None:
    """Head, retry and position in one write; then each message in a chunk of its own."""
    client = house.get("/comet/events?channel=news")
    assert read_now(client) == NOTHING
    house.pages(head=3)
    data = client.recv(1 << 16)
    head = HEAD % EVENTS
    assert data.startswith(head)
    retry = RETRY.match(data, len(head))
    assert retry is not None
    assert 2000 <= int(retry[1]) <= 5000
    assert data[retry.end() :] == b"23\r\nevent: position\nid: e1-3\ndata: {}\n\n\r\n"
    house.push(b"news", b'{"n":1}', 4)
    assert read_now(client) == b'32\r\nid: e1-4\ndata: {"channel":"news","data":{"n":1}}\n\n\r\n'
    assert house.states() == [STREAM]


def test_objects_to_the_byte(house: House) -> None:
    """One object a line, one line a chunk."""
    client = house.get("/comet/stream?channel=news&client=sue")
    [join] = house.pages(head=3)
    assert (frames.decode_names(join.data), join.channel) == ([b"news", b"@sue"], b"")
    assert client.recv(1 << 16) == HEAD % OBJECTS + b'24\r\n{"op":"position","position":"e1-3"}\n\r\n'
    house.push(b"@sue", b"[1]", 4)
    assert read_now(client) == b'39\r\n{"op":"message","channel":"@sue","id":"e1-4","data":[1]}\n\r\n'


def test_http_1_0(house: House) -> None:
    """Nothing is chunked, and the end of the connection is the end of the stream."""
    clients = [house.get(f"/comet/{name}?channel=a", version="1.0") for name in ("events", "stream")]
    house.pages(head=3)
    house.push(b"a", b"1", 4)
    house.front.stop()
    house.pump()
    events, lines = (read_all(client) for client in clients)
    for data in (events, lines):
        assert b"Transfer-Encoding" not in data
        assert b"Connection: close\r\n" in data
    stream = EventStream(events.partition(b"\r\n\r\n")[2])
    assert [(e.type, e.data, e.last_id) for e in stream.events] == [
        ("position", "{}", "e1-3"),
        ("message", '{"channel":"a","data":1}', "e1-4"),
    ]
    assert lines.endswith(
        b'\r\n\r\n{"op":"position","position":"e1-3"}\n{"op":"message","channel":"a","id":"e1-4","data":1}\n'
    )


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_raw(house: House, version: str) -> None:
    """Data in raw form, without the channel; `/comet/stream` takes no notice of it."""
    client = house.get("/comet/events?channel=a&raw=1", version=version)
    other = house.get("/comet/stream?channel=a&raw=1")
    house.pages(head=3)
    for one in (client, other):
        one.recv(1 << 16)
    house.push(b"a", b'"x\\r\\ny"', 4)
    house.push(b"a", b"[1]", 5)
    data = read_now(client)
    assert (data if version == "1.0" else b"".join(chunks(data).pieces)) == (
        b"id: e1-4\ndata: x\ndata: y\n\nid: e1-5\ndata: [1]\n\n"
    )
    assert shown(other) == ["x\r\ny", [1]]


@pytest.mark.parametrize("name", ["events", "stream"])
def test_head(house: House, name: str) -> None:
    """HEAD answers at once with the same head, subscribes nothing, and the connection stays."""
    client = house.get(f"/comet/{name}?channel=a", method="HEAD")
    assert client.recv(1 << 16) == HEAD % {"events": EVENTS, "stream": OBJECTS}[name]
    assert (house.waiting(), house.told(), house.states()) == ([], [], [IDLE])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "no-channel"),
        ("channel=@sue", "reserved-channel"),
        ("channel=*", "reserved-channel"),
        ("channel=a&since=x", "bad-position"),
        ("channel=a&lastEventId=x", "bad-position"),
        ("channel=", "bad-name"),
        ("client=%20", "bad-name"),
    ],
)
@pytest.mark.parametrize("name", ["events", "stream"])
def test_what_is_refused(house: House, name: str, query: str, code: str) -> None:
    """Errors that would come again are told as they are, to an EventSource too."""
    answer = house.ask(f"/comet/{name}?{query}", "Accept: text/event-stream")
    assert (answer.status, json.loads(answer.body)["code"]) == (400, code)
    assert house.states() == [IDLE]


@pytest.mark.parametrize("header", ["Content-Length: 1", "Transfer-Encoding: chunked"])
def test_a_body(house: House, header: str) -> None:
    """A stream has no use for a body: 400, and the connection ends."""
    answer = house.ask("/comet/events?channel=a", header, "Accept: text/event-stream")
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert house.states() == [DRAINING]


def test_the_limit_of_channels(make: Callable[..., House]) -> None:
    """So many as the setting says; the mailbox is not counted, nor is a channel that stands twice."""
    house = make(channels_per_connection=2)
    assert house.ask("/comet/stream?channel=a&channel=b&channel=c").status == 400
    opened(house, "/comet/stream?channel=a&channel=b&channel=a&client=sue")


def test_origins(make: Callable[..., House]) -> None:
    """Pages of the origins that are set are let in, and told that the answer is theirs."""
    house = make(origins=("https://a.example",))
    client = house.get("/comet/events?channel=a", "Origin: https://a.example")
    house.pages(head=1)
    head = client.recv(1 << 16)
    assert b"Access-Control-Allow-Origin: https://a.example\r\n" in head
    assert b"Vary: Origin\r\n" in head
    assert house.ask("/comet/events?channel=a", "Origin: https://b.example").status == 403


# -- positions, gaps, what was missed


@pytest.mark.parametrize(
    ("query", "header", "asked"),
    [
        ("since=e1-1", "", b"e1-1"),
        ("since=", "", b""),
        ("since=oldest", "", b"oldest"),
        ("since=e1-1&lastEventId=e1-2", "", b"e1-2"),
        ("since=e1-1&lastEventId=e1-2", "Last-Event-ID: e1-3", b"e1-3"),
        ("since=e1-1", "Last-Event-ID:", b"e1-1"),
    ],
)
def test_from_where(house: House, query: str, header: str, asked: bytes) -> None:
    """The header wins over lastEventId, which wins over since; what is empty is absent."""
    house.get(f"/comet/events?channel=a&{query}", *filter(None, [header]))
    [join] = house.pages(head=5)
    assert join.channel == asked


def test_nothing_was_missed(house: House) -> None:
    """The first position is the newest there is."""
    client = house.get("/comet/stream?channel=a&since=e1-3")
    house.pages(head=9)
    assert body(client) == [b'{"op":"position","position":"e1-9"}\n']


def test_what_was_missed(house: House) -> None:
    """The client's own position first, what was missed, and where it stands when its last message does not say it."""
    client = house.get("/comet/stream?channel=a&since=e1-3")
    house.pages((b"a", b"4", 4), (b"a", b"6", 6), head=9)
    assert body(client) == [
        b'{"op":"position","position":"e1-3"}\n',
        b'{"op":"message","channel":"a","id":"e1-4","data":4}\n',
        b'{"op":"message","channel":"a","id":"e1-6","data":6}\n',
        b'{"op":"position","position":"e1-9"}\n',
    ]


def test_the_last_message_says_it(house: House) -> None:
    """No position follows when the last message is the newest of all."""
    client = house.get("/comet/stream?channel=a&since=oldest")
    house.pages((b"a", b"4", 4), head=4)
    assert body(client) == [
        b'{"op":"position","position":"e1-3"}\n',
        b'{"op":"message","channel":"a","id":"e1-4","data":4}\n',
    ]


def test_a_gap_as_an_event(house: House) -> None:
    """One event names all channels, and lies just before what is still kept."""
    client = house.get("/comet/events?channel=a&channel=b", "Last-Event-ID: e1-3")
    house.pages((b"a", b"8", 8), head=8, gaps=(b"a", b"*"))
    assert body(client)[1:] == [
        b"event: position\nid: e1-3\ndata: {}\n\n",
        b'event: gap\nid: e1-7\ndata: {"channels":["a","*"]}\n\n',
        b'id: e1-8\ndata: {"channel":"a","data":8}\n\n',
    ]


def test_a_gap_as_objects(house: House) -> None:
    """One for each channel; all but the last have the old position."""
    client = house.get("/comet/stream?channel=a&channel=b&since=e1-3")
    house.pages(head=8, gaps=(b"a", b"b"))
    assert body(client) == [
        b'{"op":"position","position":"e1-3"}\n',
        b'{"op":"gap","channel":"a","position":"e1-3"}\n',
        b'{"op":"gap","channel":"b","position":"e1-8"}\n',
    ]


@pytest.mark.parametrize("since", ["e0-3", "e1-99"])
def test_a_position_of_another_log(house: House, since: str) -> None:
    """Of another life of it, or ahead of its head: the own one, the gap, and what is kept from its beginning."""
    client = house.get(f"/comet/stream?channel=a&since={since}")
    house.pages((b"a", b"5", 5), head=8, gaps=(b"a",))
    assert body(client) == [
        b'{"op":"position","position":"%b"}\n' % since.encode(),
        b'{"op":"gap","channel":"a","position":"e1-4"}\n',
        b'{"op":"message","channel":"a","id":"e1-5","data":5}\n',
        b'{"op":"position","position":"e1-8"}\n',
    ]


def test_a_mailbox_that_something_waits_in(house: House) -> None:
    """Without a position: just before the first message that waits."""
    client = house.get("/comet/events?client=sue")
    house.pages((b"@sue", b"1", 5), head=9)
    assert body(client)[1:] == [
        b"event: position\nid: e1-4\ndata: {}\n\n",
        b'id: e1-5\ndata: {"channel":"@sue","data":1}\n\n',
        b"event: position\nid: e1-9\ndata: {}\n\n",
    ]


def test_a_message_that_has_waited(house: House) -> None:
    """One that is older than what the client was told is followed by a position that takes nothing back."""
    client = opened(house, "/comet/stream?client=sue", head=9)
    assert house.box(message(b"@sue", b"1", 5), head=12) == b""
    assert shown(client) == [1, "e1-12"]
    assert house.box(message(b"@sue", b"2", 13), head=14) == b""
    assert shown(client) == [2]


def test_a_page_that_is_cut_off(house: House) -> None:
    """It is asked on from its last message, and nothing live comes between the pieces."""
    client = house.get("/comet/stream?channel=a&since=e1-1")
    house.pages((b"a", b"2", 2), (b"a", b"3", 3), head=9, more=True)
    assert [json.loads(o)["op"] for o in body(client)] == ["position", "message", "message"]
    house.push(b"a", b"10", 10)
    assert shown(client) == []
    [join] = house.pages((b"a", b"9", 9), (b"a", b"10", 10), head=10)
    assert (join.channel, frames.decode_names(join.data)) == (b"e1-3", [b"a"])
    assert shown(client) == [9, 10]
    house.push(b"a", b"11", 11)
    assert shown(client) == [11]


# -- pings


@pytest.mark.parametrize(
    ("name", "ping"),
    [
        ("events", b"2a\r\n: ping\nevent: position\nid: e1-7\ndata: {}\n\n\r\n"),
        ("stream", b'24\r\n{"op":"position","position":"e1-7"}\n\r\n'),
    ],
)
def test_pings(make: Callable[..., House], name: str, ping: bytes) -> None:
    """Each carries the newest position, the first one comes after a random part of the time."""
    house = make(ping_s=5)
    client = opened(house, f"/comet/{name}?channel=a")
    house.box(head=7)
    for _ in range(6):
        house.pass_s(1)
        first = read_now(client)
        if first != NOTHING:
            break
    assert first == ping
    house.box(head=8)
    house.pass_s(5)
    assert read_now(client) == NOTHING
    house.pass_s(1)
    assert read_now(client) == ping.replace(b"e1-7", b"e1-8")


def test_a_ping_comes_behind_what_is_due(make: Callable[..., House]) -> None:
    """Whoever is told a position has been given everything up to it, a broadcast in its middle included."""
    house = make(ping_s=1)
    clients = [opened(house) for _ in range(70)]
    house.queue(message(b"news", b"1", 9), head=9)
    house.work(briefly=True)
    late = [client for client in clients if read_now(client) == NOTHING]
    assert 0 < len(late) < 70
    house.pass_s(2)
    for client in late:
        assert shown(client) == [1, "e1-9"]


def test_a_ping_stands_before_a_broadcast_at_a_pace(make: Callable[..., House]) -> None:
    """It brings nothing of it: those whose turn is still to come stand before it, and others at the newest position."""
    house = make(ping_s=1)
    clients = [opened(house, head=8) for _ in range(2)]
    slow = frames.encode(frames.MESSAGE, flags=frames.PACED, offset=9, channel=b"*", data=b'"slow"')
    pace = frames.encode(frames.PACE, offset=9, number=1000)
    house.box(slow, pace, head=20)
    house.hub.spreading.grant(1.0)
    house.work()
    house.pass_s(2)
    assert [shown(client) for client in clients] == [["slow", "e1-20"], ["e1-8"]]
    house.push(b"news", b'"new"', 21)
    house.pass_s(2)
    assert [shown(client) for client in clients] == [["new", "e1-21"], ["slow", "new", "e1-21"]]


# -- how it ends


@pytest.mark.parametrize(
    ("name", "version", "end"),
    [
        ("events", "1.1", rb"c\r\nretry: [2-5][0-9]{3}\n\r\n0\r\n\r\n"),
        ("events", "1.0", rb"retry: [2-5][0-9]{3}\n"),
        ("stream", "1.1", rb"0\r\n\r\n"),
        ("stream", "1.0", rb""),
    ],
)
def test_stopping(house: House, name: str, version: str, end: bytes) -> None:
    """SIGTERM: an EventSource is told when to come back, then the stream ends in order."""
    client = house.get(f"/comet/{name}?channel=a", version=version)
    house.pages(head=1)
    client.recv(1 << 16)
    stopped = house.front.stop()
    house.pump()
    assert re.fullmatch(end, read_all(client))
    client.close()
    house.settle()
    assert stopped.called


def test_stopping_before_it_began(house: House) -> None:
    """A stream that waits for its page is told to come back as a new one would be."""
    events, lines = (house.get(f"/comet/{name}?channel=a") for name in ("events", "stream"))
    house.front.stop()
    house.pump()
    answer = house.read(events)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert re.fullmatch(rb"retry: [2-5][0-9]{3}\n", answer.body)
    answer = house.read(lines)
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "shutting-down")
    assert house.waiting() == []


def test_the_manager_does_not_answer(house: House) -> None:
    """After ten seconds: an EventSource is told to come back, others 503."""
    events, lines = (house.get(f"/comet/{name}?channel=a") for name in ("events", "stream"))
    house.pass_s(PATIENCE_S)
    assert read_now(events) == read_now(lines) == NOTHING
    house.pass_s(1)
    answer = house.read(events)
    assert (answer.status, answer.headers["content-type"]) == (200, EVENTS.decode())
    assert answer.body.startswith(b"retry: ")
    answer = house.read(lines)
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "overloaded")
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert (house.front.counts()["refused"], house.waiting()) == ({"overloaded": 2}, [])


@pytest.mark.parametrize(("accept", "status"), [("text/event-stream", 200), ("*/*", 503)])
def test_no_room(make: Callable[..., House], accept: str, status: int) -> None:
    """A status that an EventSource would not survive is for it 200 and the time to come back."""
    house = make(most=1)
    house.get("/other.js")
    client = house.get("/comet/events?channel=a", f"Accept: {accept}")
    assert (house.read(client).status, house.front.counts()["refused"]) == (status, {"overloaded": 1})


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_new_stream_while_stopping(house: House, method: str) -> None:
    """Who comes when the server is about to stop is told so in the same way."""
    house.get("/stays.js")
    house.front.stop()
    answer = house.ask("/comet/events?channel=a", "Accept: text/event-stream", method=method)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert house.ask("/comet/stream?channel=a", method=method).status == 503


def test_a_client_that_goes(house: House) -> None:
    """Its row is free, nobody listens any more, and the manager is told."""
    one, two = opened(house), opened(house)
    touched = house.link.touched
    one.close()
    reset(two)
    house.settle()
    assert (house.waiting(), house.states(), house.rows.open) == ([], [], 0)
    assert [(f.kind, f.channel) for f in house.told()] == [(frames.LEAVE, b"news")]
    assert house.link.touched > touched


def test_a_client_that_goes_before_its_page(house: House) -> None:
    """The page that comes for it is nobody's; what it had of a mailbox goes back."""
    client = house.get("/comet/stream?client=sue")
    [join] = house.told()
    client.close()
    house.settle()
    page = frames.encode(frames.PAGE, number=join.number, offset=3, channel=b"@sue", data=b"1")
    end = frames.encode(frames.PAGE_END, number=join.number, offset=3)
    [returned] = frames.decode(house.box(page, end, head=3))
    assert (returned.kind, returned.number, returned.flags) == (frames.RETURNED, 0, frames.ABSENT)


def test_a_client_that_half_closes(house: House) -> None:
    """FIN: nobody reads any more, as with polls."""
    client = opened(house)
    client.shutdown(socket.SHUT_WR)
    house.settle()
    assert (read_all(client), house.rows.open) == (b"", 0)


def test_what_a_client_sends(house: House) -> None:
    """It is read and dropped, up to 8,192 bytes; then the connection is closed."""
    client = opened(house)
    for _ in range(2):
        client.sendall(b"x" * (MOST_HEARD_BYTES // 2))
        house.settle()
    house.push(b"news", b"1", 4)
    assert shown(client) == [1]
    client.sendall(b"x")
    house.settle()
    assert read_now(client) == b""
    assert (house.waiting(), house.front.counts()["failed"]) == ([], 1)


def test_what_was_pipelined(house: House) -> None:
    """A request behind that of a stream is never served; it counts among what is dropped."""
    client = house.send(request("/comet/stream?channel=news") + request("/healthz"))
    house.pages(head=1)
    house.settle()
    assert len(body(client)) == 1
    house.push(b"news", b"1", 4)
    assert shown(client) == [1]
    client.sendall(b"x" * MOST_HEARD_BYTES)
    house.settle()
    assert read_all(client) in (b"", b"(reset)")


# -- readers that are slow


def stuffed(client: socket.socket, house: House, offset: int, size: int = 100_000) -> int:
    """Push until something is owed to a client; the next offset."""
    while not house.rows.owed:
        house.push(b"news", b'"%b"' % (b"x" * size), offset)
        offset += 1
    return offset


def test_a_slow_reader(house: House) -> None:
    """What does not fit waits, in order, and goes on when it reads; then it is owed nothing."""
    client = opened(house)
    offset = stuffed(client, house, 4)
    house.push(b"news", b'"after"', offset)
    house.box(head=offset + 7)
    data = b""
    while not data.endswith(b'"data":"after"}\n\r\n'):
        data += client.recv(1 << 20)
        house.settle()
    pieces = [json.loads(piece) for piece in chunks(data).pieces]
    assert [o["id"] for o in pieces] == [f"e1-{n}" for n in range(4, offset + 1)]
    assert (house.rows.owed, house.rows.backlogs, house.states()) == (0, {}, [STREAM])
    house.push(b"news", b"1", offset + 8)
    assert shown(client) == [1]


def test_who_does_not_read_is_closed(make: Callable[..., House]) -> None:
    """More than backlog_bytes are due to it: it is closed and counted, others are not."""
    house = make(backlog_bytes=200_000)
    client, reader = opened(house), opened(house)
    offset = 4
    while not house.front.counts()["slow"]:
        house.push(b"news", b'"%b"' % (b"x" * 60_000), offset)
        offset += 1
        assert objects(reader)
    assert (house.states(), house.rows.owed) == ([STREAM], 0)
    assert len(read_all(client)) > 60_000
    house.push(b"news", b"1", offset)
    assert shown(reader) == [1]


def test_a_broken_connection_is_found_by_writing(house: House) -> None:
    """Reset while a message is written: the row is free before its event comes."""
    client = opened(house)
    client.close()
    house.push(b"news", b"1", 4)
    assert (house.states(), house.waiting(), house.front.counts()["gone"]) == ([], [], 1)
    house.settle()


def test_stopping_with_a_slow_reader(house: House) -> None:
    """The end comes behind what it is owed."""
    client = opened(house)
    stuffed(client, house, 4)
    house.front.stop()
    house.pump()
    data = b""
    while house.rows.owed:
        data += client.recv(1 << 20)
        house.settle()
    assert chunks(data + read_all(client)).is_ended


# -- the link is lost


def test_the_link_is_lost_and_back(house: House) -> None:
    """The stream stays; when the manager is back it is given what it missed, without a word in between."""
    client = opened(house)
    house.push(b"news", b"5", 5)
    house.box(head=6)
    house.unlink()
    assert shown(client) == [5]
    [join] = house.relink(head=9)
    assert (join.channel, frames.decode_names(join.data)) == (b"e1-6", [b"news"])
    house.page(join, (b"news", b"8", 8), head=9)
    assert shown(client) == [8, "e1-9"]
    house.push(b"news", b"10", 10)
    assert shown(client) == [10]


def test_nothing_was_missed_meanwhile(house: House) -> None:
    """Then nothing is told."""
    client = opened(house)
    house.unlink()
    [join] = house.relink(head=3)
    house.page(join, head=3)
    assert shown(client) == []
    house.push(b"news", b"4", 4)
    assert shown(client) == [4]


def test_another_manager(house: House) -> None:
    """After a restart the log is another: a gap, what it has, and from then on its positions."""
    client = opened(house, "/comet/events?channel=news")
    house.unlink()
    [join] = house.relink(b"e2", 2)
    house.page(join, (b"news", b"1", 1), head=2, gaps=(b"news",))
    assert chunks(read_now(client)).pieces == [
        b'event: gap\nid: e2-0\ndata: {"channels":["news"]}\n\n',
        b'id: e2-1\ndata: {"channel":"news","data":1}\n\n',
        b"event: position\nid: e2-2\ndata: {}\n\n",
    ]


def test_pings_without_a_manager(make: Callable[..., House]) -> None:
    """They go on with the position that the stream has."""
    house = make(ping_s=1)
    events, lines = opened(house, "/comet/events?channel=news"), opened(house)
    house.push(b"news", b"1", 5)
    house.box(head=6)
    house.unlink()
    for client in (events, lines):
        assert read_now(client) != NOTHING
    house.pass_s(2)
    assert read_now(events) == b"2a\r\n: ping\nevent: position\nid: e1-6\ndata: {}\n\n\r\n"
    assert shown(lines) == ["e1-6"]
    house.relink(b"e2", 2)
    house.pass_s(2)
    assert shown(lines) == ["e1-6"]


def test_the_end_without_a_manager(house: House) -> None:
    """Who stops then ends the streams as usual."""
    client = opened(house)
    house.unlink()
    house.front.stop()
    house.pump()
    assert read_all(client) == b"0\r\n\r\n"


# -- many


def test_one_form_is_made_once(house: House) -> None:
    """A message is put into each form once, however many rows want it, at once or by a broadcast."""
    for count in (3, 80):
        clients = [opened(house) for _ in range(count)]
        events = opened(house, "/comet/events?channel=news")
        before = house.front.counts()
        house.push(b"news", b"1", house.hub.head + 1)
        after = house.front.counts()
        assert after["encoded"] - before["encoded"] == 2
        assert after["messages"] - before["messages"] == len(house.waiting())
        assert after["compressed"] == 0
        assert [shown(client) for client in clients] == [[1]] * count
        assert read_now(events) != NOTHING


def test_a_message_to_everyone(house: House) -> None:
    """All hear it: streams of whatever channels, and polls."""
    client, poll = opened(house), house.get("/bob.js")
    house.push(b"*", b'"all"', 4)
    assert objects(client) == [{"op": "message", "channel": "*", "id": "e1-4", "data": "all"}]
    assert house.read(poll).body == b"all"


def test_a_broadcast_in_slices(house: House) -> None:
    """Streams and polls among them, some gone meanwhile, some new; and a message to one keeps the order."""
    clients = [opened(house, f"/comet/stream?channel=news&client=c{n}") for n in range(100)]
    polls = [house.get("/comet/poll?channel=news") for _ in range(30)]
    house.pages(head=3)
    house.queue(message(b"news", b"1", 4, is_counted=True), head=4)
    assert house.work(briefly=True) == frames.encode(frames.RECEIPT, flags=frames.LATER, offset=4)
    waiting = [n for n, client in enumerate(clients) if not client_has(client)]
    gone, first = waiting[0], waiting[-1]
    clients[gone].close()
    house.settle()
    new = house.get("/comet/stream?channel=news")
    [join] = [frame for frame in house.told() if frame.kind == frames.JOIN]
    page = frames.encode(frames.PAGE_END, number=join.number, offset=4)
    assert house.box(page, message(b"@c%d" % first, b"2", 5), message(b"news", b"3", 6), head=6) == b""
    assert house.counted() == [(4, 129)]
    for n, client in enumerate(clients):
        if n != gone:
            assert shown(client) == ([1, 2, 3] if n == first else [1, 3])
    assert [json.loads(o).get("data") for o in body(new)] == [None, 3]
    for poll in polls:
        assert [m["data"] for m in json.loads(house.read(poll).body)["messages"]] in ([1], [1, 3])


def client_has(client: socket.socket) -> bool:
    """Whether there is something for a client to be read."""
    client.setblocking(False)
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        client.settimeout(10)


def test_receipts(house: House) -> None:
    """Who asks how many it was written to is told when the last one has it."""
    for _ in range(3):
        opened(house)
    [few] = frames.decode(house.box(message(b"news", b"1", 4, is_counted=True), head=4))
    for _ in range(70):
        opened(house, head=4)
    house.get("/bob.js")
    [many] = frames.decode(house.box(message(b"*", b"1", 5, is_counted=True), head=5))
    assert [(f.kind, f.offset) for f in (few, many)] == [(frames.RECEIPT, 3), (frames.RECEIPT, 74)]


def test_a_number_that_is_used_again_during_a_broadcast(house: House) -> None:
    """A stream that came after a message is not given it in the place of one that has gone."""
    clients = [opened(house) for _ in range(70)]
    house.queue(message(b"news", b"1", 4), head=4)
    house.work(briefly=True)
    last = max(house.waiting())
    clients[-1].close()
    house.settle()
    assert last not in house.waiting()
    new = opened(house, head=4)
    assert last in house.waiting()
    house.work()
    assert shown(new) == []


def test_counts(house: House) -> None:
    """The figures by transport."""
    opened(house)
    opened(house, "/comet/events?channel=news&raw=1")
    house.get("/comet/events?channel=news")
    assert house.front.counts()["connections"] == {"poll": 1, "sse": 1, "stream": 1, "ws": 0}
    assert house.front.counts()["rows"]["streaming"] == 2
    assert sorted(house.states()) == [PARKED, STREAM, STREAM]
    assert house.rows.kinds[-1] == FREE
    assert EPOCH == b"e1"
