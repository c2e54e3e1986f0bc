"""WebSockets as clients see them: a real lot and hub, and the test in place of the manager."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from megacomet.kinds import ASKING, DRAINING, IDLE, SOCKET, STATE
from megacomet.model.hub import Hub
from megacomet.wire import frames
from megacomet.wire.deflate import compress
from megacomet.wire.websocket import BINARY, CONTINUATION, masked_frame
from megacomet.worker.listening import PATIENCE_S
from megacomet.worker.sockets import STRIKES

from .conftest import LoggedFailures
from .event_stream import frames as read_frames
from .fronts import House, message, request
from .lots import read_all, read_now, reset
from .socket_clients import CLOSE, DEFLATE, HANDSHAKE, NEWEST, NOTHING, PING, PONG, TEXT, SocketClient

MASK = b"mask"


@pytest.fixture
def client(house: House) -> SocketClient:
    """A client on `news` that has read its position."""
    client = SocketClient(house)
    assert client.shown() == ["at e1-3"]
    return client


def text(data: str | bytes | dict[str, Any], mask: bytes = MASK) -> bytes:
    """A client's text frame."""
    raw = json.dumps(data).encode() if isinstance(data, dict) else data.encode() if isinstance(data, str) else data
    return masked_frame(TEXT, raw, mask)


def state(house: House, client: SocketClient) -> int:
    return house.rows.kinds[client.fd] & STATE


# -- the handshake


@pytest.mark.parametrize(
    ("leave_out", "put_in", "status", "code"),
    [
        ("Upgrade: websocket", [], 426, "upgrade-required"),
        ("Sec-WebSocket-Version: 13", [], 426, "upgrade-required"),
        ("Sec-WebSocket-Version: 13", ["Sec-WebSocket-Version: 8"], 426, "upgrade-required"),
        ("Connection: Upgrade", [], 400, "bad-request"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", [], 400, "bad-request"),
        ("", ["Content-Length: 3"], 400, "bad-request"),
        ("", ["Origin: https://b.example"], 403, "bad-origin"),
    ],
)
def test_what_is_no_handshake(
    make: Callable[..., House], leave_out: str, put_in: list[str], status: int, code: str
) -> None:
    """Each is refused with its code, and 426 says which version is spoken."""
    house = make(origins=("https://a.example",))
    lines = [line for line in HANDSHAKE if line != leave_out]
    answer = house.ask("/comet/ws", *lines, *put_in)
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
    if status == 426:
        assert answer.headers["sec-websocket-version"] == "13"
    assert house.states() == [DRAINING if "Content-Length: 3" in put_in else IDLE]


def test_old_http_and_head(house: House) -> None:
    """No WebSocket comes of either."""
    assert house.ask("/comet/ws", *HANDSHAKE, method="HEAD").status == 426
    assert house.ask("/comet/ws", *HANDSHAKE, version="1.0").status == 426


@pytest.mark.parametrize(
    ("query", "code"),
    [("channel=@sue", "reserved-channel"), ("since=x", "bad-position"), ("client=", "bad-name")],
)
def test_a_bad_query(house: House, query: str, code: str) -> None:
    """It is refused as for other streams."""
    answer = house.ask(f"/comet/ws?{query}", *HANDSHAKE)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, code)


def test_101_to_the_byte(house: House) -> None:
    """The first position comes in the same write."""
    client = house.get("/comet/ws?channel=news&client=sue", *HANDSHAKE)
    assert read_now(client) == NOTHING
    house.pages(head=3)
    assert client.recv(4096) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Server: MegaComet\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Cache-Control: no-store\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Access-Control-Allow-Origin: *\r\n"
        b"Access-Control-Expose-Headers: MegaComet-Position, Retry-After, X-Request-Id\r\n"
        b"\r\n"
        b'\x81\x23{"op":"position","position":"e1-3"}'
    )
    house.push(b"@sue", b"[1]", 4)
    assert read_now(client) == b'\x81\x38{"op":"message","channel":"@sue","id":"e1-4","data":[1]}'
    assert house.states() == [SOCKET]


def test_what_is_agreed_on(house: House) -> None:
    """Subprotocol and compression, when they are offered."""
    one = SocketClient(house, "/comet/ws", NEWEST + ", other", DEFLATE)
    assert b"\r\nSec-WebSocket-Protocol: megacomet.v1\r\n" in one.head
    agreed = b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    assert b"\r\nSec-WebSocket-Extensions: %b\r\n" % agreed in one.head
    other = SocketClient(house, "/comet/ws", "Sec-WebSocket-Protocol: other", "Sec-WebSocket-Extensions: x-other")
    assert b"Sec-WebSocket-Protocol" not in other.head
    assert b"Sec-WebSocket-Extensions" not in other.head


def test_the_manager_does_not_answer(house: House) -> None:
    """503 after ten seconds, not 101."""
    client = house.get("/comet/ws?channel=news", *HANDSHAKE)
    house.pass_s(PATIENCE_S + 1)
    answer = house.read(client)
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "overloaded")
    assert house.states() == [DRAINING]


def test_what_was_missed(house: House) -> None:
    """Position, gaps, messages, in one write with the 101."""
    client = house.get("/comet/ws?channel=a&channel=b&since=e1-2", *HANDSHAKE)
    house.pages((b"a", b"1", 5), head=9, gaps=(b"a", b"b"))
    told = [json.loads(f.payload) for f in read_frames(client.recv(4096).partition(b"\r\n\r\n")[2])]
    assert told == [
        {"op": "position", "position": "e1-2"},
        {"op": "gap", "channel": "a", "position": "e1-2"},
        {"op": "gap", "channel": "b", "position": "e1-4"},
        {"op": "message", "channel": "a", "id": "e1-5", "data": 1},
        {"op": "position", "position": "e1-9"},
    ]


def test_what_came_behind_the_handshake(house: House) -> None:
    """Frames sent before the 101 wait, one byte of them with us, and are read after it."""
    client = house.send(request("/comet/ws?channel=a", *HANDSHAKE) + text({"op": "ping", "id": 1}))
    client.sendall(text({"op": "ping", "id": 2}) + masked_frame(PING, b"x", MASK))
    house.settle()
    house.pages(head=3)
    house.settle()
    told = read_frames(client.recv(4096).partition(b"\r\n\r\n")[2])
    assert [f.opcode for f in told] == [TEXT, TEXT, TEXT, PONG]
    assert [json.loads(f.payload).get("id") for f in told[:3]] == [None, 1, 2]


def test_without_a_channel(house: House) -> None:
    """It hears what is said to everyone."""
    client = SocketClient(house, "/comet/ws")
    house.push(b"news", b"1", 4)
    house.push(b"*", b"2", 5)
    assert client.shown() == ["at e1-3", "2"]


# -- requests that are answered at once


def test_ping(client: SocketClient) -> None:
    """The answer says where the client stands, and everything up to it has come before."""
    assert client.ask({"op": "ping", "id": 7}) == {"op": "ok", "id": 7, "position": "e1-3"}
    assert client.ask({"op": "ping", "id": "x"}) == {"op": "ok", "id": "x", "position": "e1-3"}
    client.say({"op": "ping"})
    client.say({"op": "ping", "id": None})
    assert client.frames() == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("x", 107),
        ("[]", 107),
        ("{}", 107),
        ('{"op":"ping","id":1,"more":1}', 107),
        ('{"op":"ping","id":-1}', 107),
        ('{"op":"ping","id":1.5}', 107),
        ('{"op":"subscribe","channels":[],"id":1}', 107),
        ('{"op":"subscribe","channels":["a"],"since":"x","id":1}', 107),
        ('{"op":"subscribe","channels":["@sue"],"id":1}', 103),
        ('{"op":"subscribe","channels":["*"],"id":1}', 103),
        ('{"op":"unsubscribe","channels":["@sue"],"id":1}', 103),
        ('{"op":"publish","channel":"a","data":1,"id":1}', 103),
        ('{"op":"history","channel":"other","id":1}', 103),
        ('{"op":"history","channel":"news","limit":0,"id":1}', 107),
        ('{"op":"presence","channel":"a","id":1}', 108),
        ('{"op":"auth","token":"a","id":1}', 108),
        ('{"op":"rpc","id":1}', 108),
        ('{"op":"other","id":1}', 104),
    ],
)
def test_errors(client: SocketClient, asked: str, code: int) -> None:
    """Each has its code, with the id where there is one that can be read; the connection goes on."""
    answer = client.ask(asked)
    assert (answer["op"], answer["code"]) == ("error", code)
    assert answer.get("id") == (1 if '"id":1' in asked and "1.5" not in asked else None)
    assert isinstance(answer["message"], str)
    assert client.ask({"op": "ping", "id": 1})["op"] == "ok"


def test_five_bad_requests(house: House, client: SocketClient) -> None:
    """In a row they end the connection; a good one in between lets the count begin anew, other errors do not count."""
    for _ in range(STRIKES - 1):
        assert client.ask("x")["code"] == 107
    assert client.ask({"op": "ping", "id": 1})["op"] == "ok"
    for _ in range(STRIKES - 1):
        assert client.ask("x")["code"] == 107
    assert client.ask({"op": "subscribe", "channels": ["*"], "id": 1})["code"] == 103
    client.say("x")
    [last, closed] = client.frames()
    assert json.loads(last.payload)["code"] == 107
    assert (closed.opcode, closed.payload) == (CLOSE, (3501).to_bytes(2, "big") + b"bad request")
    assert read_all(client.socket) == b""
    assert house.waiting() == []


def test_five_bad_requests_at_once(client: SocketClient) -> None:
    """What comes behind the fifth is not looked at."""
    client.send(text("x") * 9 + masked_frame(PING, b"", MASK))
    told = client.frames()
    assert [f.opcode for f in told] == [TEXT] * 5 + [CLOSE]


def test_too_many_channels(house: House, client: SocketClient) -> None:
    """106, also for ten thousand in one request; those that are there count, the mailbox does not."""
    names = [f"c{n}" for n in range(10_000)]
    assert client.ask({"op": "subscribe", "channels": names, "id": 1})["code"] == 106
    assert client.ask({"op": "subscribe", "channels": names[:128], "id": 1})["code"] == 106
    client.say({"op": "subscribe", "channels": [*names[:127], "news"], "id": 2})
    house.pages(head=3)
    house.pump()
    assert client.shown() == ["ok 2 e1-3"]
    assert client.ask({"op": "subscribe", "channels": ["d"], "id": 3})["code"] == 106
    other = SocketClient(house, "/comet/ws?client=sue&" + "&".join(f"channel={n}" for n in names[:128]))
    other.frames()
    assert other.ask({"op": "subscribe", "channels": ["c1"], "id": 3})["op"] == "ok"
    assert other.ask({"op": "subscribe", "channels": ["d"], "id": 3})["code"] == 106


# -- frames


def test_byte_by_byte(house: House, client: SocketClient) -> None:
    """A frame that comes in pieces of a byte is put together, a ping between the parts of a message answered."""
    for byte in text({"op": "ping", "id": 1}):
        assert client.frames() == []
        client.send(bytes((byte,)))
    assert client.shown() == ["ok 1 e1-3"]
    client.send(masked_frame(TEXT, b'{"op":"pi', MASK, fin=False) + masked_frame(PING, b"p", MASK))
    [pong] = client.frames()
    assert (pong.opcode, pong.payload) == (PONG, b"p")
    client.send(masked_frame(CONTINUATION, b'ng","id":2}', MASK))
    assert client.shown() == ["ok 2 e1-3"]
    assert house.states() == [SOCKET]


def test_pings_and_pongs(client: SocketClient) -> None:
    """Each ping is answered with its payload, a flood of them in one write; pongs are not answered."""
    client.say(b"hello", PING)
    client.say(b"", PONG)
    assert [(f.opcode, f.payload) for f in client.frames()] == [(PONG, b"hello")]
    client.send(b"".join(masked_frame(PING, b"%d" % n, MASK) for n in range(1000)))
    assert [f.payload for f in client.frames()] == [b"%d" % n for n in range(1000)]


def test_pings_between_requests(client: SocketClient) -> None:
    """Answers come in the order of what was asked."""
    ping = masked_frame(PING, b"", MASK)
    client.send(ping + ping + text({"op": "ping", "id": 1}) + ping + text({"op": "ping", "id": 2}) + ping)
    assert [f.opcode for f in client.frames()] == [PONG, PONG, TEXT, PONG, TEXT, PONG]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked_frame(BINARY, b"x", MASK), 1003),
        (b"\x81\x01x", 1002),
        (b"\xf1\x80mask", 1002),
        (b"\x83\x80mask", 1002),
        (masked_frame(CONTINUATION, b"x", MASK), 1002),
        (masked_frame(TEXT, b"\xff", MASK), 1007),
        (b"\x81\xff" + (365_537).to_bytes(8, "big"), 1009),
        (masked_frame(CLOSE, b"\x03", MASK), 1002),
        (masked_frame(CLOSE, (1005).to_bytes(2, "big"), MASK), 1002),
    ],
)
def test_violations(house: House, client: SocketClient, data: bytes, code: int) -> None:
    """Each ends the connection with its code, whatever comes behind it."""
    client.send(data + text({"op": "ping", "id": 1}))
    assert client.ended()[0] == code
    client.socket.close()
    house.settle()
    assert (house.waiting(), house.rows.open) == ([], 0)


def test_the_longest_request(house: House, client: SocketClient) -> None:
    """A message of message_bytes + 300,000 is read."""
    client.send(text(b"x" * (65_536 + 300_000)))
    [answer] = client.objects()
    assert answer["code"] == 107


@pytest.mark.parametrize(("code", "payload"), [(None, b""), (1000, b"\x03\xe8"), (4999, b"\x13\x87")])
def test_the_client_closes(house: House, client: SocketClient, code: int | None, payload: bytes) -> None:
    """Its code is sent back, then the connection is shut; the manager is told that nobody listens."""
    touched = house.link.touched
    client.close(code)
    [closed] = client.frames()
    assert (closed.opcode, closed.payload) == (CLOSE, payload)
    assert read_now(client.socket) == b""
    assert house.states() == [DRAINING]
    assert [(f.kind, f.channel) for f in house.told()] == [(frames.LEAVE, b"news")]
    house.pass_s(1)
    assert house.link.touched > touched
    client.socket.close()
    house.settle()
    assert house.rows.open == 0


def test_a_close_in_parts(house: House, client: SocketClient) -> None:
    """After its close frame nothing of a client is read."""
    client.send(masked_frame(CLOSE, b"\x03\xe8", MASK)[:5])
    client.send(masked_frame(CLOSE, b"\x03\xe8", MASK)[5:] + text({"op": "ping", "id": 1}))
    assert client.ended()[0] == 1000


def test_a_client_that_goes(house: House) -> None:
    """Without a close frame, or in the middle of one frame: its row is free and nothing of it is left."""
    for cut in (0, 4):
        one = SocketClient(house)
        one.send(text({"op": "ping", "id": 1})[:cut])
        reset(one.socket)
        house.settle()
        assert (house.waiting(), house.states()) == ([], [])
        other = SocketClient(house)
        assert other.fd == one.fd
        other.frames()
        assert other.ask({"op": "ping", "id": 2})["id"] == 2
        other.socket.close()
        house.settle()


# -- signs of life


def until_ping(house: House, client: SocketClient, most: int) -> list[Any]:
    """What comes with the first ping, within so many seconds."""
    for _ in range(most):
        house.pass_s(1)
        if told := client.frames():
            return told
    raise AssertionError("no ping")


def test_no_pong(make: Callable[..., House]) -> None:
    """A ping when nothing has come for a while; nothing within pong_s after it: 3012."""
    house = make(ping_s=5, pong_s=3)
    client = SocketClient(house)
    client.frames()
    [ping] = until_ping(house, client, 6)
    assert (ping.opcode, ping.payload) == (PING, b"")
    house.pass_s(3)
    assert client.frames() == []
    house.pass_s(1)
    assert client.ended() == (3012, b"no pong")
    assert house.waiting() == []


@pytest.mark.parametrize("data", [masked_frame(PONG, b"", MASK), text({"op": "ping"}), b"\x8a"])
def test_any_byte_is_a_sign_of_life(make: Callable[..., House], data: bytes) -> None:
    """A pong, a request or the beginning of a frame: the next ping comes ping_s later."""
    house = make(ping_s=5, pong_s=3)
    client = SocketClient(house)
    client.frames()
    until_ping(house, client, 6)
    client.send(data)
    house.pass_s(5)
    assert client.frames() == []
    house.pass_s(1)
    assert [f.opcode for f in client.frames()] == [PING]


def test_positions_with_pings(make: Callable[..., House]) -> None:
    """Under megacomet.v1 each ping comes with the position, also while the manager is away."""
    house = make(ping_s=1)
    client = SocketClient(house, "/comet/ws?channel=news", NEWEST)
    client.frames()
    house.box(head=9)
    ping, told = until_ping(house, client, 2)
    assert (ping.opcode, json.loads(told.payload)) == (PING, {"op": "position", "position": "e1-9"})
    client.say(b"", PONG)
    house.unlink()
    ping, told = until_ping(house, client, 2)
    assert json.loads(told.payload) == {"op": "position", "position": "e1-9"}


def test_pings_while_a_request_is_under_way(make: Callable[..., House]) -> None:
    """They go on, with the position, and no answer to them is waited for, since none is read."""
    house = make(ping_s=1, pong_s=1, client_publish=True)
    client = SocketClient(house, "/comet/ws?channel=news", NEWEST)
    client.frames()
    client.say({"op": "publish", "channel": "news", "data": 1, "id": 1})
    for _ in range(3):
        house.pass_s(2)
        assert [f.opcode for f in client.frames()] == [PING, TEXT]
    assert house.states() == [ASKING]


# -- requests that the manager answers


def test_publish(make: Callable[..., House]) -> None:
    """The answer is the message's id; the key is one of WebSockets, of that channel."""
    house = make(client_publish=True)
    client = SocketClient(house)
    client.frames()
    house.told()
    touched = house.link.touched
    client.say({"op": "publish", "channel": "a", "data": {"x": [1, 2]}, "key": "k", "id": 5})
    assert house.link.touched > touched
    [asked] = house.told()
    assert (asked.kind, asked.channel) == (frames.PUBLISH, b"a")
    assert asked.data[: asked.offset] == b"ws\0a\0k"
    assert json.loads(asked.data[asked.offset :]) == {"x": [1, 2]}
    assert (house.states(), client.frames()) == ([ASKING], [])
    house.box(frames.encode(frames.PUBLISHED, number=asked.number, offset=8), head=8)
    assert client.objects() == [{"op": "ok", "id": 5, "message": "e1-8"}]
    house.pump()
    assert house.states() == [SOCKET]
    client.say({"op": "publish", "channel": "a", "data": 1})
    [asked] = house.told()
    assert (asked.offset, asked.data) == (0, b"1")
    house.box(frames.encode(frames.PUBLISHED, number=asked.number, offset=9), head=9)
    house.pump()
    assert (client.frames(), house.states()) == ([], [SOCKET])


@pytest.mark.parametrize(
    ("why", "code"), [(b"store-full", 507), (b"mailbox-full", 507), (b"too-large", 106), (b"internal", 100)]
)
def test_a_publication_that_is_refused(make: Callable[..., House], why: bytes, code: int) -> None:
    """The store's reasons have their codes, and an id that is missing is none in the answer either."""
    house = make(client_publish=True)
    client = SocketClient(house)
    client.frames()
    for id_ in ({"id": 5}, {}):
        client.say({"op": "publish", "channel": "a", "data": 1, **id_})
        [asked] = [frame for frame in house.told() if frame.kind == frames.PUBLISH]
        house.box(frames.encode(frames.REFUSED, number=asked.number, data=why), head=8)
        [answer] = client.objects()
        assert (answer["op"], answer["code"], answer.get("id")) == ("error", code, id_.get("id"))
        house.pump()


def test_data_that_is_too_large(make: Callable[..., House]) -> None:
    """106, before anybody is asked."""
    house = make(client_publish=True)
    client = SocketClient(house)
    client.frames()
    house.told()
    assert client.ask({"op": "publish", "channel": "a", "data": "x" * 65_536, "id": 1})["code"] == 106
    assert house.told() == []


def test_history(house: House, client: SocketClient) -> None:
    """What is kept of a channel, and from where to ask on."""
    house.told()
    client.say({"op": "history", "channel": "news", "since": "e1-1", "limit": 2, "id": "h"})
    [asked] = house.told()
    assert (asked.kind, asked.channel, asked.data, asked.offset) == (frames.HISTORY, b"news", b"e1-1", 2)
    past = [
        frames.encode(frames.PAST, number=asked.number, offset=n, channel=b"news", data=b"[%d]" % n) for n in (2, 3)
    ]
    house.box(*past, head=9)
    assert client.frames() == []
    end = frames.encode(frames.PAST_END, flags=frames.GAP, number=asked.number, offset=3)
    house.box(end, head=9)
    assert client.objects() == [
        {
            "op": "ok",
            "id": "h",
            "messages": [
                {"channel": "news", "id": "e1-2", "data": [2]},
                {"channel": "news", "id": "e1-3", "data": [3]},
            ],
            "position": "e1-3",
            "gap": True,
        }
    ]
    house.pump()
    client.say({"op": "history", "channel": "news"})
    [asked] = house.told()
    assert (asked.data, asked.offset) == (b"oldest", 100)
    house.box(frames.encode(frames.PAST_END, number=asked.number, offset=3), head=9)
    house.pump()
    assert (client.frames(), house.states()) == ([], [SOCKET])


def test_without_a_manager(make: Callable[..., House]) -> None:
    """What is under way and what comes gets error 100; what comes before the page of what was missed waits for it."""
    house = make(client_publish=True)
    client = SocketClient(house)
    client.frames()
    client.say({"op": "publish", "channel": "a", "data": 1, "id": 1})
    house.unlink()
    assert client.shown() == ["error 1 100"]
    house.pump()
    client.say({"op": "ping", "id": "p"})
    assert client.shown() == ["error p 100"]
    [join] = house.relink(head=7)
    client.say({"op": "publish", "channel": "a", "data": 1, "id": 2})
    assert (client.frames(), house.told(), house.states()) == ([], [], [ASKING])
    house.page(join, (b"news", b"6", 6), head=7)
    house.pump()
    assert client.shown() == ["6", "at e1-7"]
    [asked] = [frame for frame in house.told() if frame.kind == frames.PUBLISH]
    house.box(frames.encode(frames.PUBLISHED, number=asked.number, offset=8), head=8)
    assert client.objects() == [{"op": "ok", "id": 2, "message": "e1-8"}]


def test_the_link_goes_while_a_stream_is_live(make: Callable[..., House]) -> None:
    """A request in the moment in which the link is known to be down, but not yet lost, is refused."""
    house = make(client_publish=True)
    client = SocketClient(house)
    client.frames()
    house.link.up = False
    for asked in ({"op": "publish", "channel": "a", "data": 1, "id": 1}, {"op": "history", "channel": "news", "id": 1}):
        assert client.ask(asked)["code"] == 100


def test_requests_wait_for_each_other(make: Callable[..., House]) -> None:
    """While one is under way the others wait, and what comes later stays in the kernel."""
    house = make(client_publish=True)
    client = SocketClient(house)
    client.frames()
    publish = {"op": "publish", "channel": "a", "data": 1}
    client.send(text({**publish, "id": 1}) + text({"op": "ping", "id": 2}) + text({**publish, "id": 3}))
    client.send(text({"op": "ping", "id": 4}))
    for n, expected in ((8, ["ok 1", "ok 2 e1-8"]), (9, ["ok 3", "ok 4 e1-9"])):
        [asked] = [frame for frame in house.told() if frame.kind == frames.PUBLISH]
        house.settle()
        assert (state(house, client), house.rows.unread) == (ASKING, {})
        house.push(b"news", b'"live"', n)
        assert client.shown() == ["live"]
        house.box(frames.encode(frames.PUBLISHED, number=asked.number, offset=n), head=n)
        house.pump()
        house.settle()
        assert client.shown() == expected
    assert house.states() == [SOCKET]


def test_a_close_behind_a_request(make: Callable[..., House]) -> None:
    """It has its turn after the answer."""
    house = make(client_publish=True)
    client = SocketClient(house)
    client.frames()
    closing = masked_frame(CLOSE, b"\x03\xe8", MASK)
    client.send(text({"op": "publish", "channel": "a", "data": 1, "id": 1}) + closing + text("x"))
    assert client.frames() == []
    [asked] = [frame for frame in house.told() if frame.kind == frames.PUBLISH]
    house.box(frames.encode(frames.PUBLISHED, number=asked.number, offset=8), head=8)
    house.pump()
    assert [f.opcode for f in client.frames()] == [TEXT, CLOSE]


@pytest.mark.parametrize("ends", ["reset", "half-close"])
def test_who_goes_while_a_request_is_under_way(make: Callable[..., House], ends: str) -> None:
    """Its number goes to another: the reply is not for that one, nor what had been read behind the request."""
    house = make(client_publish=True)
    client = SocketClient(house)
    client.frames()
    client.send(text({"op": "publish", "channel": "a", "data": 1, "id": 1}) + text({"op": "ping", "id": 2}))
    [asked] = [frame for frame in house.told() if frame.kind == frames.PUBLISH]
    if ends == "reset":
        reset(client.socket)
    else:
        client.socket.shutdown(1)
    house.settle()
    assert house.rows.open == 0
    other = SocketClient(house)
    assert other.fd == client.fd
    other.frames()
    house.box(frames.encode(frames.PUBLISHED, number=asked.number, offset=8), head=8)
    house.pump()
    assert other.frames() == []
    assert other.ask({"op": "ping", "id": 3})["id"] == 3


def test_who_goes_between_the_answer_and_the_next_turn(make: Callable[..., House]) -> None:
    """The same, when the reply is there and what came behind it has not had its turn."""
    house = make(client_publish=True)
    client = SocketClient(house)
    client.frames()
    client.send(text({"op": "publish", "channel": "a", "data": 1, "id": 1}) + text({"op": "ping", "id": 2}))
    [asked] = [frame for frame in house.told() if frame.kind == frames.PUBLISH]
    house.box(frames.encode(frames.PUBLISHED, number=asked.number, offset=8), head=8)
    reset(client.socket)
    house.settle()
    other = SocketClient(house)
    assert other.fd == client.fd
    other.say({"op": "publish", "channel": "b", "data": 1, "id": 5})
    house.pump()
    assert other.shown() == ["at e1-3"]
    assert house.states() == [ASKING]


# -- subscriptions


def test_subscribe_from_now(house: House, client: SocketClient) -> None:
    """The ok has the newest position; then the channel is live, the others have been all the time."""
    client.say({"op": "subscribe", "channels": ["b", "news", "b"], "id": 1})
    assert client.frames() == []
    house.push(b"news", b'"n"', 5)
    assert client.shown() == ["n"]
    [join] = house.pages(head=6)
    assert (join.channel, frames.decode_names(join.data), join.flags) == (b"", [b"b"], frames.LATE)
    house.pump()
    assert client.shown() == ["ok 1 e1-6"]
    house.push(b"b", b'"b"', 7)
    house.push(b"news", b'"n"', 8)
    assert client.shown() == ["b", "n"]
    assert client.ask({"op": "subscribe", "channels": ["b"], "id": 2}) == {"op": "ok", "id": 2, "position": "e1-8"}


def test_subscribe_without_an_id(house: House, client: SocketClient) -> None:
    """No answer, and the channel is live."""
    client.say({"op": "subscribe", "channels": ["b"]})
    house.pages(head=6)
    house.pump()
    house.push(b"b", b'"b"', 7)
    assert client.shown() == ["b"]
    client.say({"op": "subscribe", "channels": ["c"], "since": "e1-2"})
    house.pages(head=8)
    assert client.shown() == ["at e1-8"]


def test_subscribe_and_nothing_was_missed(house: House, client: SocketClient) -> None:
    """With since: the ok has the newest position, and that is all."""
    client.say({"op": "subscribe", "channels": ["b"], "since": "e1-2", "id": 1})
    house.pages(head=6)
    assert client.shown() == ["ok 1 e1-6"]


def test_subscribe_with_what_was_missed(house: House, client: SocketClient) -> None:
    """ok at since, gap, what was missed and what came on the others, in order, then one position for all."""
    client.say({"op": "subscribe", "channels": ["b"], "since": "e1-2", "id": 1})
    house.push(b"news", b'"n8"', 8)
    house.push(b"b", b'"b9"', 9)
    house.push(b"news", b'"n12"', 12)
    assert client.frames() == []
    [join] = house.pages((b"b", b'"b5"', 5), (b"b", b'"b9"', 9), head=10, gaps=(b"b",))
    assert join.channel == b"e1-2"
    assert client.shown() == ["ok 1 e1-2", "gap b e1-4", "b5", "n8", "b9", "at e1-10"]
    house.push(b"b", b'"b13"', 13)
    assert client.shown()[-1] == "b13"


def test_subscribe_in_pieces(house: House, client: SocketClient) -> None:
    """What was missed comes in pages; what comes live waits until its place, and requests do."""
    client.say({"op": "subscribe", "channels": ["b"], "since": "oldest", "id": 1})
    client.say({"op": "ping", "id": 2})
    house.push(b"news", b'"n8"', 8)
    house.pages((b"b", b'"b5"', 5), (b"b", b'"b6"', 6), head=9, more=True)
    house.pump()
    house.settle()
    assert client.shown() == ["ok 1 e1-4", "b5", "b6"]
    [join] = house.pages((b"b", b'"b7"', 7), head=9)
    assert join.channel == b"e1-6"
    house.pump()
    assert client.shown() == ["b7", "n8", "at e1-9", "ok 2 e1-9"]


def test_the_link_is_lost_while_it_catches_up(house: House, client: SocketClient) -> None:
    """First what the old channels missed, then the ok and the rest; no position speaks for all before the end."""
    client.say({"op": "subscribe", "channels": ["b"], "since": "e1-2", "id": 1})
    house.push(b"news", b'"held"', 8)
    house.unlink()
    house.pump()
    [join] = house.relink(head=9)
    assert (join.channel, frames.decode_names(join.data)) == (b"e1-7", [b"news"])
    house.page(join, (b"news", b'"held"', 8), head=9)
    assert client.shown() == ["held"]
    [late] = [frame for frame in house.told() if frame.kind == frames.JOIN]
    assert (late.channel, frames.decode_names(late.data), late.flags) == (b"e1-2", [b"b"], frames.LATE)
    house.pump()
    client.say({"op": "ping", "id": 2})
    house.page(late, (b"b", b'"b"', 5), head=10)
    house.pump()
    assert client.shown() == ["ok 1 e1-2", "b", "at e1-10", "ok 2 e1-10"]


def test_no_position_while_it_catches_up(make: Callable[..., House]) -> None:
    """With a ping in the middle of it, the link lost or not, none is told: it would speak for the new channels."""
    house = make(ping_s=1)
    client = SocketClient(house, "/comet/ws?channel=news", NEWEST)
    client.frames()
    client.say({"op": "subscribe", "channels": ["b"], "since": "oldest", "id": 1})
    house.pages((b"b", b"5", 5), head=9, more=True)
    house.pump()
    assert client.shown() == ["ok 1 e1-4", "5"]
    house.pass_s(2)
    assert [f.opcode for f in client.frames()] == [PING]
    house.unlink()
    client.say(b"", PONG)
    house.pass_s(2)
    assert [f.opcode for f in client.frames()] == [PING]


def test_unsubscribe(house: House, client: SocketClient) -> None:
    """No message of it comes behind the ok, also not one that is under way to many."""
    others = [SocketClient(house) for _ in range(70)]
    house.told()
    house.queue(message(b"news", b'"n"', 5), head=5)
    house.work(briefly=True)
    last = others[-1]
    last.frames()
    last.say({"op": "unsubscribe", "channels": ["news", "other"], "id": 1})
    assert last.shown() == ["n", "ok 1"]
    house.work()
    house.push(b"news", b"1", 6)
    assert last.frames() == []
    for other in (client, *others[:-1]):
        other.say({"op": "unsubscribe", "channels": ["news"]})
    assert [(f.kind, f.channel) for f in house.told()] == [(frames.LEAVE, b"news")]


@pytest.mark.parametrize("op", ["subscribe", "unsubscribe"])
def test_channels_change_during_a_broadcast_at_a_pace(house: House, client: SocketClient, op: str) -> None:
    """It comes before the ok: behind that, one position speaks for all channels. A ping does not bring it."""
    slow = frames.encode(frames.MESSAGE, flags=frames.PACED, offset=5, channel=b"news", data=b'"slow"')
    house.box(slow, head=6)
    assert client.ask({"op": "ping", "id": 1}) == {"op": "ok", "id": 1, "position": "e1-4"}
    assert client.ask({"op": "subscribe", "channels": ["news"], "id": 2}) == {"op": "ok", "id": 2, "position": "e1-4"}
    client.say({"op": op, "channels": ["sport" if op == "subscribe" else "news"], "id": 3})
    assert client.shown() == ["slow"] + (["ok 3"] if op == "unsubscribe" else [])
    house.pages(head=6)
    house.pump()
    assert client.shown() == (["ok 3 e1-6"] if op == "subscribe" else [])


# -- many, compression, slow readers


def test_compression(house: House) -> None:
    """A message is compressed once for all of the same window; positions are not."""
    clients = [SocketClient(house, "/comet/ws?channel=news", DEFLATE) for _ in range(3)]
    small = SocketClient(house, "/comet/ws?channel=news", DEFLATE + "; server_max_window_bits=9")
    plain = SocketClient(house)
    small.bits = 9
    for client in (*clients, small, plain):
        assert [f.is_compressed for f in client.frames()] == [False]
    house.push(b"news", b'"%b"' % (b"x" * 1000), 4)
    told = [client.frames()[0] for client in (*clients, small, plain)]
    assert [f.is_compressed for f in told] == [True] * 4 + [False]
    assert len({f.payload for f in told}) == 1
    counts = house.front.counts()
    assert (counts["encoded"], counts["compressed"], counts["messages"]) == (3, 2, 5)


def test_a_compressed_request(house: House) -> None:
    """What the client compresses is read."""
    client = SocketClient(house, "/comet/ws?channel=news", DEFLATE)
    client.frames()
    client.send(masked_frame(TEXT, compress(b'{"op":"ping","id":1}'), MASK, compressed=True))
    assert client.shown() == ["ok 1 e1-3"]


def test_a_slow_reader(make: Callable[..., House]) -> None:
    """It gets what is on its way to the end of its frame, then 3008, and is counted."""
    house = make(backlog_bytes=200_000)
    client = SocketClient(house)
    client.frames()
    offset = 4
    while not house.front.counts()["slow"]:
        house.push(b"news", b'"%b"' % (b"x" * 30_000), offset)
        offset += 1
    assert (house.waiting(), house.front.counts()["slow"]) == ([], 1)
    assert house.rows.owed < 40_000
    data = b""
    while house.rows.owed:
        data += client.socket.recv(1 << 20)
        house.settle()
    *told, closed = read_frames(data + read_all(client.socket))
    assert [json.loads(f.payload)["id"] for f in told] == [f"e1-{n}" for n in range(4, 4 + len(told))]
    assert len(told) < offset - 4
    assert (closed.opcode, closed.payload) == (CLOSE, (3008).to_bytes(2, "big") + b"slow")


def test_a_message_that_is_larger_than_the_backlog(make: Callable[..., House]) -> None:
    """Of which the kernel took a part: no close frame may stand in the middle of it, so the connection just ends."""
    house = make(backlog_bytes=1000, message_bytes=1_000_000)
    for many in (False, True):
        clients = [SocketClient(house) for _ in range(70 if many else 1)]
        for client in clients:
            client.frames()
        house.push(b"news", b'"%b"' % (b"x" * 900_000), 4)
        for client in clients:
            assert b"slow" not in read_all(client.socket)[-100:]
        assert house.rows.open == 0
    assert house.front.counts()["slow"] == 71


def test_what_waits_too_long_for_a_page(make: Callable[..., House]) -> None:
    """Ten thousand messages that wait for what a client catches up with end its connection, and no other's."""
    house = make()
    one, two = SocketClient(house), SocketClient(house)
    for client in (one, two):
        client.frames()
    one.say({"op": "subscribe", "channels": ["b"], "since": "e1-1", "id": 1})
    records = [message(b"news", b"1", n) for n in range(4, 10_006)]
    house.box(*records[:-1], head=10_004)
    assert one.ended() == (3008, b"slow")
    house.box(records[-1], head=10_005)
    assert house.waiting() == [two.fd]


def test_too_much_waits_during_a_broadcast(house: House) -> None:
    """The same, when the last one is a message to many."""
    clients = [SocketClient(house) for _ in range(3)]
    for client in clients[:2]:
        client.frames()
        client.say({"op": "subscribe", "channels": ["b"], "since": "e1-1", "id": 1})
    house.box(*[message(b"*", b"1", n) for n in range(4, 10_005)], head=10_004)
    assert [client.ended()[0] for client in clients[:2]] == [3008] * 2
    assert house.waiting() == [clients[2].fd]


# -- connections that break while they are written to


def broken(client: SocketClient) -> None:
    """Have a connection break, of which the house has no event yet."""
    client.socket.close()


def test_who_is_gone_when_it_is_answered(make: Callable[..., House]) -> None:
    """Whatever is written: the row is free then, and what came behind the request is forgotten."""
    house = make(client_publish=True, ws_echo="/echo", ping_s=1)
    requests: list[dict[str, Any]] = [
        {"op": "publish", "channel": "a", "data": 1, "id": 1},
        {"op": "history", "channel": "news", "id": 1},
        {"op": "subscribe", "channels": ["b"], "id": 1},
        {"op": "subscribe", "channels": ["b"], "since": "e1-1", "id": 1},
    ]
    for asked in requests:
        client = SocketClient(house)
        client.send(text(asked) + text({"op": "ping", "id": 2}))
        broken(client)
        for frame in house.told():
            number = frame.number
            if frame.kind == frames.PUBLISH:
                house.box(frames.encode(frames.PUBLISHED, number=number, offset=8), head=8)
            elif frame.kind == frames.HISTORY:
                house.box(frames.encode(frames.PAST_END, number=number, offset=8), head=8)
            elif frame.kind == frames.JOIN:
                house.page(frame, (b"b", b"1", 5), head=8)
        house.pump()
        assert house.rows.open == 0
        assert house.waiting() == []


def test_who_is_gone_before_its_answer_at_once(house: House) -> None:
    """The client has sent a flood and gone: nothing is served any more."""
    for data in (
        masked_frame(PING, b"", MASK) * 3 + text({"op": "ping", "id": 1}),
        text({"op": "ping", "id": 1}) * 3,
        text("x") * 9,
        text({"op": "unsubscribe", "channels": ["news"], "id": 1}) * 2,
        masked_frame(CLOSE, b"", MASK),
    ):
        client = SocketClient(house)
        client.socket.sendall(data)
        broken(client)
        house.turn()
        assert house.states() == []


def test_an_echo_that_is_gone(echo: House) -> None:
    """The same."""
    client = SocketClient(echo, "/echo")
    client.socket.sendall(text("x") * 2)
    broken(client)
    echo.turn()
    assert echo.states() == []


def test_who_is_gone_when_its_ping_is_due(make: Callable[..., House]) -> None:
    """A ping that cannot be written, or what was due before it, ends the connection."""
    house = make(ping_s=1)
    client = SocketClient(house)
    broken(client)
    house.pass_s(2)
    assert (house.waiting(), house.rows.open) == ([], 0)
    clients = [SocketClient(house) for _ in range(70)]
    house.queue(message(b"news", b"1", 9), head=9)
    house.work(briefly=True)
    broken(clients[-1])
    house.pass_s(2)
    assert clients[-1].fd not in house.waiting()
    assert len(house.waiting()) == 69


def test_who_is_gone_with_a_broadcast_due(house: House) -> None:
    """Asked to do something, stopped, or in its turn: what is due is written first, and shows that it is gone."""
    clients = [SocketClient(house) for _ in range(70)]
    house.queue(message(b"news", b"1", 9, is_counted=True), head=9)
    house.work(briefly=True)
    asking = [
        (clients[-1], {"op": "subscribe", "channels": ["b"], "id": 1}),
        (clients[-2], {"op": "unsubscribe", "channels": ["news"], "id": 1}),
    ]
    for client, asked in asking:
        client.socket.sendall(text(asked))
        broken(client)
        house.turn()
    broken(clients[-3])
    broken(clients[0])
    house.front.stop()
    assert house.work() == b""
    assert house.counted() == [(9, 67)]
    house.pump()
    house.settle()
    assert house.waiting() == []


# -- the end


def test_stopping(make: Callable[..., House]) -> None:
    """3001, whatever is under way; one that waits for its page gets 503."""
    house = make(client_publish=True)
    idle, asking = SocketClient(house), SocketClient(house)
    for client in (idle, asking):
        client.frames()
    asking.say({"op": "publish", "channel": "a", "data": 1, "id": 1})
    opening = house.get("/comet/ws?channel=b", *HANDSHAKE)
    done = house.front.stop()
    house.pump()
    assert idle.ended() == asking.ended() == (3001, b"shutdown")
    assert house.read(opening).status == 503
    for client in (idle.socket, asking.socket, opening):
        client.close()
    house.settle()
    assert done.called


class BrokenHub(Hub):
    """Has an error of ours for one of the rows."""

    broken = -1

    def position(self, fd: int) -> bytes:
        if fd == self.broken:
            raise ZeroDivisionError(fd)
        return super().position(fd)


def test_an_error_of_ours_costs_one_connection(make: Callable[..., House], logged_failures: LoggedFailures) -> None:
    """The others whose answers have come in the same turn go on."""
    house = make(hub=BrokenHub, client_publish=True)
    assert isinstance(house.hub, BrokenHub)
    clients = [SocketClient(house) for _ in range(3)]
    for client in clients:
        client.frames()
        client.send(text({"op": "publish", "channel": "a", "data": 1, "id": 1}) + text({"op": "ping", "id": 2}))
    asked = [frame.number for frame in house.told() if frame.kind == frames.PUBLISH]
    house.box(*[frames.encode(frames.PUBLISHED, number=n, offset=8) for n in asked], head=8)
    house.hub.broken = clients[1].fd
    house.pump()
    assert [client.shown() for client in clients] == [["ok 1", "ok 2 e1-8"], ["ok 1"], ["ok 1", "ok 2 e1-8"]]
    assert read_all(clients[1].socket) == b""
    assert house.waiting() == [clients[0].fd, clients[2].fd]
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


# -- echo


@pytest.fixture
def echo(make: Callable[..., House]) -> House:
    return make(ws_echo="/echo")


@pytest.mark.parametrize("headers", [(), (DEFLATE,)])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_echo(echo: House, headers: tuple[str, ...], opcode: int) -> None:
    """Each message comes back as it came, also a large one."""
    client = SocketClient(echo, "/echo", *headers)
    for size in (0, 1, 1000, 100_000):
        client.say(b"x" * size, opcode)
        [back] = read_frames(client.take())
        assert (back.opcode, back.payload) == (opcode, b"x" * size)
        assert back.is_compressed == (bool(headers) and size > 1)
    assert echo.push(b"*", b"1", 4) == b""
    assert client.frames() == []


def test_an_echo_of_16_mb(echo: House) -> None:
    """It is read in parts and sent in parts; one byte more is 1009."""
    client = SocketClient(echo, "/echo")
    whole = bytes(16 * 1024 * 1024)
    client.send(masked_frame(BINARY, whole, MASK))
    [back] = read_frames(client.take())
    assert back.payload == whole
    client.send(masked_frame(BINARY, whole + b"x", MASK))
    assert client.ended()[0] == 1009


def test_an_echo_that_is_not_read(echo: House) -> None:
    """While its client does not take what came before nothing more is read from it; then it goes on."""
    client = SocketClient(echo, "/echo")
    client.send(masked_frame(BINARY, bytes(1_000_000), MASK) + text("behind"))
    assert state(echo, client) == ASKING
    owed = echo.rows.owed
    client.send(masked_frame(BINARY, bytes(1_000_000), MASK) + text("later"))
    assert (state(echo, client), echo.rows.owed) == (ASKING, owed)
    told = [f.payload for f in read_frames(client.take())]
    assert told == [bytes(1_000_000), b"behind", bytes(1_000_000), b"later"]
    assert state(echo, client) == SOCKET


def test_signs_of_life_of_an_echo(make: Callable[..., House]) -> None:
    """It is pinged like others; it has no position."""
    house = make(ws_echo="/echo", ping_s=1, pong_s=1)
    client = SocketClient(house, "/echo", NEWEST)
    [ping] = until_ping(house, client, 2)
    assert ping.opcode == PING
    client.say(b"", PING)
    assert [f.opcode for f in client.frames()] == [PONG]
    house.front.stop()
    house.pump()
    assert client.ended()[0] == 3001


def test_echo_refuses(echo: House) -> None:
    """What is no handshake."""
    assert echo.ask("/echo").status == 426
