"""The worker's HTTP, as clients see it: a real lot and hub, and the test in place of the manager."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from megacomet.kinds import CROWDED, DRAINING, ENTRANCE, IDLE, PARKED, READING
from megacomet.model.session import Session
from megacomet.wire.websocket import TEXT, frame, masked_frame
from megacomet.worker.closing import SLICE
from megacomet.worker.handover import NoLink
from megacomet.worker.listening import MOST_HEARD_BYTES, PATIENCE_S
from megacomet.worker.room import ANSWER_BYTES, share_of

from .conftest import LoggedFailures
from .fronts import House, parse, parse_all, request
from .lots import read_all, read_now, reset

# -- /<client>.js


def test_a_message_comes_to_the_client_that_waits(house: House) -> None:
    """The original's poll: text as it is, as a script, with the position, byte for byte as the contract has it."""
    client = house.get("/sue.js")
    assert read_now(client) == b"(nothing)"
    assert house.push(b"@sue", b'"alert(1)"', 7) == b""
    assert client.recv(1000) == (
        b"HTTP/1.1 200 OK\r\n"
        b"Server: MegaComet\r\n"
        b"Cache-Control: no-store\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Access-Control-Allow-Origin: *\r\n"
        b"Access-Control-Expose-Headers: MegaComet-Position, Retry-After, X-Request-Id\r\n"
        b"MegaComet-Position: e1-7\r\n"
        b"Content-Type: text/javascript; charset=utf-8\r\n"
        b"Content-Length: 8\r\n"
        b"\r\n"
        b"alert(1)"
    )


@pytest.mark.parametrize(
    ("data", "body"), [(b'"a\\nb\\u0020\xc3\xa9"', b"a\nb \xc3\xa9"), (b'{"a":[1]}', b'{"a":[1]}'), (b"null", b"null")]
)
def test_the_raw_form(house: House, data: bytes, body: bytes) -> None:
    """A JSON string comes out as its text, anything else as its JSON."""
    client = house.get("/sue.js")
    house.push(b"@sue", data, 1)
    assert house.read(client).body == body


@pytest.mark.parametrize("target", ["/sue.js", "/sue.js?c=17", "/sue.js?timeout=20&_=1", "/s%75e.js"])
def test_a_plain_poll_waits_as_a_name(house: House, target: str) -> None:
    """No object stands for a poll that wants nothing but its mailbox."""
    house.get(target)
    [fd] = house.waiting()
    assert house.rows.keys[fd] == b"@sue"
    assert [frame.channel for frame in house.told()] == [b"@sue"]


@pytest.mark.parametrize("query", ["since=e1-3", "callback=f", "timeout=0"])
def test_a_poll_that_wants_more_is_a_session(house: House, query: str) -> None:
    """It asks the manager for what was missed, one message at most."""
    house.get(f"/sue.js?{query}")
    [fd] = house.waiting()
    assert isinstance(house.rows.keys[fd], Session)
    assert house.rows.keys[fd].limit == 1


def test_jsonp(house: House) -> None:
    """With a callback the message is a call, safe in old scripts."""
    client = house.get("/sue.js?callback=app.got")
    house.pages(head=0)
    house.push(b"@sue", '{"a":"\u2028"}'.encode(), 2)
    answer = house.read(client)
    assert answer.body == b'/**/app.got({"a":"\\u2028"});'
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["megacomet-position"] == "e1-2"


@pytest.mark.parametrize(
    ("target", "status", "position"),
    [
        ("/sue.js?timeout=5", 204, None),
        ("/sue.js?timeout=5&since=e1-3", 204, "e1-9"),
        ("/sue.js?timeout=5&callback=f", 200, "e1-9"),
    ],
)
def test_a_timeout_that_was_asked_for(house: House, target: str, status: int, position: str | None) -> None:
    """204, with a callback an empty script; the connection stays."""
    client = house.get(target)
    house.pages(head=9)
    house.box(head=9)
    house.pass_s(5)
    assert read_now(client) == b"(nothing)"
    house.pass_s(1)
    answer = house.read(client)
    assert (answer.status, answer.body, answer.headers.get("megacomet-position")) == (status, b"", position)
    assert ("content-length" in answer.headers) == (status == 200)
    assert house.states() == [IDLE]


def test_without_a_timeout_it_waits_for_days(house: House) -> None:
    """Nobody asked for one, so there is none."""
    client = house.get("/sue.js")
    house.now += 3 * 24 * 3600
    house.pass_s(1)
    assert read_now(client) == b"(nothing)"
    assert house.states() == [PARKED]


def test_timeout_0_is_answered_at_once(house: House) -> None:
    """With what waits, or with nothing; and also when the manager does not say."""
    one, two, three = (house.get(f"/{name}.js?timeout=0") for name in ("a", "b", "c"))
    [join, *_] = [frame for frame in house.told() if frame.kind == 18]
    assert join.channel == b""
    for client in (one, two, three):
        assert read_now(client) == b"(nothing)"
    house.pass_s(PATIENCE_S + 1)
    assert [house.read(client).status for client in (one, two, three)] == [204] * 3
    client = house.get("/a.js?timeout=0")
    house.pages((b"@a", b'"waited"', 5), head=6)
    assert house.read(client).body == b"waited"


@pytest.mark.parametrize(
    ("segment", "code"),
    [
        ("", "bad-name"),
        (".", "bad-name"),
        ("..", "bad-name"),
        ("%00", "bad-name"),
        ("a%00b", "bad-name"),
        ("a%0d%0aSet-Cookie:x", "bad-name"),
        ("%20", "bad-name"),
        ("%ff", "bad-name"),
        ("%c3%28", "bad-name"),
        ("%E2%80%A8", "bad-name"),
        ("c" * 251, "bad-name"),
        ("%2e", "bad-name"),
        ("%2e%2e", "bad-name"),
        ("%zz", "bad-request"),
        ("%", "bad-request"),
    ],
)
def test_what_is_no_client_id(house: House, segment: str, code: str) -> None:
    """Each gets its 400, and the connection stays usable."""
    client = house.get(f"/{segment}.js")
    answer = house.read(client)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, code)
    client.sendall(request("/well.js"))
    house.turn()
    house.push(b"@well", b"1", 1)
    assert house.read(client).body == b"1"


@pytest.mark.parametrize(
    ("segment", "client"),
    [
        ("a%2Fb", b"a/b"),
        ("%2e.js", b"..js"),
        ("@sue", b"@sue"),
        ("-123", b"-123"),
        ("a.b", b"a.b"),
        ("a:b", b"a:b"),
        ("*", b"*"),
        ("caf%C3%A9", "café".encode()),
        ("c" * 250, b"c" * 250),
        ("a+b", b"a+b"),
        ("MegaComet", b"MegaComet"),
    ],
)
def test_unusual_client_ids(house: House, segment: str, client: bytes) -> None:
    """One segment, decoded once: a slash in it is the client's, a plus is a plus."""
    house.get(f"/{segment}.js")
    assert [frame.channel for frame in house.told()] == [b"@" + client]


# -- /comet/poll


def test_a_poll_on_channels(house: House) -> None:
    """The object of the contract, with all messages of the box in order."""
    client = house.get("/comet/poll?channel=news&channel=chat&client=sue")
    house.pages(head=3)
    house.push(b"news", b'{"n":1}', 5)
    answer = house.read(client)
    assert answer.body == b'{"position":"e1-5","messages":[{"channel":"news","id":"e1-5","data":{"n":1}}],"gap":false}'
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["megacomet-position"] == "e1-5"


def test_what_was_missed_comes_at_once(house: House) -> None:
    """With a position: what is kept after it, and which channels have a gap."""
    client = house.get("/comet/poll?channel=a&channel=b&since=e0-4")
    house.pages((b"a", b"1", 8), (b"b", b"2", 9), head=12, gaps=(b"a", b"b"))
    answer = json.loads(house.read(client).body)
    assert answer == {
        "position": "e1-12",
        "messages": [{"channel": "a", "id": "e1-8", "data": 1}, {"channel": "b", "id": "e1-9", "data": 2}],
        "gap": True,
        "gaps": ["a", "b"],
    }


def test_the_default_timeout(make: Callable[..., House]) -> None:
    """A poll that says nothing waits as long as the setting says, and gets a fresh position."""
    house = make(poll_timeout_s=20)
    client = house.get("/comet/poll?channel=a")
    house.pages(head=3)
    house.box(head=44)
    house.pass_s(20)
    assert read_now(client) == b"(nothing)"
    house.pass_s(1)
    assert house.read(client).body == b'{"position":"e1-44","messages":[],"gap":false}'


def test_a_poll_with_a_callback(house: House) -> None:
    """The whole object is the argument, also when time is over."""
    client = house.get("/comet/poll?channel=a&callback=f&timeout=1")
    house.pages(head=3)
    house.pass_s(2)
    answer = house.read(client)
    assert answer.body == b'/**/f({"position":"e1-3","messages":[],"gap":false});'
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "no-channel"),
        ("channel=@sue", "reserved-channel"),
        ("channel=*", "reserved-channel"),
        ("channel=a&since=x", "bad-position"),
        ("channel=a&callback=1", "bad-callback"),
        ("channel=a&timeout=x", "bad-request"),
        ("client=%00", "bad-name"),
    ],
)
def test_a_bad_poll(house: House, query: str, code: str) -> None:
    """A problem, with an id to ask about; nothing is parked."""
    answer = house.ask(f"/comet/poll?{query}", "X-Request-Id: id-1")
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"], problem["request_id"]) == (400, code, "id-1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "id-1"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (house.waiting(), house.front.counts()["refused"].get(code)) == ([], 1)


def test_a_request_id_is_made(house: House) -> None:
    """One that cannot be taken over is replaced."""
    ids = [house.ask("/nothing", f"X-Request-Id: {given}").headers["x-request-id"] for given in ("a b", "x" * 65, "")]
    assert len(set(ids)) == 3
    assert not {"a b", "x" * 65, ""} & set(ids)


# -- methods, versions, connections


@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        ("/sue.js", "text/javascript; charset=utf-8"),
        ("/comet/poll?channel=a", "application/json"),
        ("/healthz", "text/plain; charset=utf-8"),
        ("/readyz", "application/json"),
    ],
)
def test_head(house: House, target: str, content_type: str) -> None:
    """HEAD answers at once, listens to nothing, and takes nothing."""
    house.box(head=3)
    client = house.get(target, method="HEAD")
    data = client.recv(10_000)
    answer, body = parse(data, head_only=True)
    assert (answer.status, body, answer.headers["content-type"]) == (200, b"", content_type)
    assert answer.headers.get("megacomet-position") == ("e1-3" if "z" not in target else None)
    assert (house.waiting(), house.told(), house.states()) == ([], [], [IDLE])


def test_head_of_what_is_wrong(house: House) -> None:
    """The same headers as GET, without the body."""
    get = house.ask("/comet/poll", "X-Request-Id: 1")
    head = house.ask("/comet/poll", "X-Request-Id: 1", method="HEAD")
    assert (head.status, head.headers, head.body) == (400, get.headers, b"")


@pytest.mark.parametrize("target", ["/sue.js", "/comet/poll", "/healthz", "/readyz", "*"])
def test_options(house: House, target: str) -> None:
    """A preflight is answered for every path of the worker, without looking at its parameters."""
    answer = house.ask(target, "Origin: https://a.example", "Access-Control-Request-Method: GET", method="OPTIONS")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-max-age"] == "86400"
    assert "content-length" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PROPFIND", "TRACE", "CONNECT", "BREW"])
def test_other_methods(house: House, method: str) -> None:
    """405, and what is allowed."""
    answer = house.ask("/sue.js", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert house.waiting() == []


@pytest.mark.parametrize("body", ["Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"])
@pytest.mark.parametrize(("method", "status"), [("GET", 400), ("HEAD", 400), ("OPTIONS", 400), ("POST", 405)])
def test_a_body_where_none_belongs(house: House, method: str, status: int, body: str) -> None:
    """Refused, and the connection closed: what follows might be taken for a request."""
    client = house.send(f"{method} /sue.js HTTP/1.1\r\nHost: x\r\n{body}GET /smuggled.js HTTP/1.1\r\n\r\n".encode())
    house.settle()
    answer, rest = parse(read_all(client), head_only=method == "HEAD")
    assert (answer.status, answer.headers["connection"], rest) == (status, "close", b"")
    assert house.waiting() == []


def test_content_length_0_is_no_body(house: House) -> None:
    """Some clients say so on every request."""
    house.get("/sue.js", "Content-Length: 0")
    assert len(house.waiting()) == 1


def test_polls_follow_each_other(house: House) -> None:
    """Keep-alive: one connection, many polls."""
    client = house.get("/sue.js")
    for n in range(1, 5):
        house.push(b"@sue", b"%d" % n, n)
        answer = house.read(client)
        assert answer.body == b"%d" % n
        assert "connection" not in answer.headers
        client.sendall(request("/sue.js"))
        house.turn()


@pytest.mark.parametrize(
    ("headers", "version", "connection"),
    [
        (("Connection: close",), "1.1", "close"),
        (("Connection: Keep-Alive, Close",), "1.1", "close"),
        ((), "1.0", "close"),
        (("Connection: keep-alive",), "1.0", "keep-alive"),
        (("Connection: keep-alive",), "1.1", None),
    ],
)
@pytest.mark.parametrize("target", ["/sue.js", "/healthz", "/nothing", "/sue.js?timeout=1"])
def test_what_becomes_of_the_connection(
    house: House, headers: tuple[str, ...], version: str, connection: str | None, target: str
) -> None:
    """What was asked for is said and done, for answers of every kind."""
    client = house.get(target, *headers, version=version)
    if target == "/sue.js":
        house.push(b"@sue", b"1", 1)
    house.pass_s(2)
    assert house.read(client).headers.get("connection") == connection
    assert house.states() == ([] if connection == "close" else [IDLE])
    if connection == "close":
        assert read_all(client) == b""


def test_old_clients_without_a_host(house: House) -> None:
    """HTTP/1.0 knows none."""
    client = house.send(b"GET /sue.js HTTP/1.0\r\n\r\n")
    house.push(b"@sue", b'"old"', 1)
    assert read_all(client).endswith(b"\r\n\r\nold")


def test_pipelined_requests_are_answered_in_order(house: House) -> None:
    """A request behind a waiting poll is served after it."""
    client = house.send(request("/healthz") + request("/sue.js") + request("/readyz") + request("/nothing"))
    assert [answer.body for answer in parse_all(read_now(client))] == [b"ok"]
    house.settle()
    assert read_now(client) == b"(nothing)"
    house.push(b"@sue", b"1", 1)
    house.settle()
    first, second, third = parse_all(read_now(client))
    assert (first.body, second.body, third.status) == (b"1", b'{"ready":true,"workers":8}', 404)


def test_a_poll_that_comes_behind_a_poll(house: House) -> None:
    """In a segment of its own: it waits unread, and joins when it is its turn."""
    client = house.get("/sue.js")
    client.sendall(request("/tom.js"))
    house.settle()
    assert house.states() == [CROWDED]
    assert [frame.channel for frame in house.told()] == [b"@sue"]
    house.push(b"@sue", b"1", 1)
    house.settle()
    assert [frame.channel for frame in house.told()] == [b"@sue", b"@tom"]
    house.push(b"@tom", b"2", 2)
    assert [answer.body for answer in parse_all(read_now(client))] == [b"1", b"2"]


# -- clients that go


@pytest.mark.parametrize("target", ["/sue.js", "/comet/poll?client=sue&channel=a"])
def test_a_client_that_goes_takes_nothing_with_it(house: House, target: str) -> None:
    """A message for a client that is gone is returned to the manager."""
    client = house.get(target)
    house.pages(head=0)
    client.close()
    house.settle()
    assert house.waiting() == []
    assert house.push(b"@sue", b"1", 1) != b""


def test_a_client_that_resets_before_we_know(house: House) -> None:
    """What could not be written is returned."""
    listener = house.listener()
    house.lot.listen(listener)
    client = house.connect(listener, request("/sue.js"))
    house.until(house.waiting)
    reset(client)
    assert house.push(b"@sue", b"1", 1) != b""
    assert house.rows.open == 0


def test_half_closed(house: House) -> None:
    """FIN behind a poll: gone. FIN behind what can be answered: answered."""
    ours, client = socket.socketpair()
    house.sockets.append(client)
    client.sendall(request("/healthz") + request("/readyz"))
    client.shutdown(socket.SHUT_WR)
    house.lot.adopt(ours.detach(), b"")
    house.settle()
    assert [answer.status for answer in parse_all(read_all(client))] == [200, 200]
    other = house.get("/sue.js")
    other.shutdown(socket.SHUT_WR)
    house.settle()
    assert (read_all(other), house.rows.open) == (b"", 0)


# -- streams


def test_what_another_stream_has_sent(house: House) -> None:
    """A stream that sends too much is closed; the next one with its number begins anew."""
    for _ in range(2):
        client = house.get("/comet/events?channel=news")
        house.pages(head=0)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
        client.sendall(b"x" * MOST_HEARD_BYTES)
        house.turn()
        house.turn()
        assert read_now(client) == b"(nothing)"
        client.sendall(b"x")
        house.turn()
        assert read_now(client) == b""


def test_frames_behind_the_handshake_of_an_echo(make: Callable[..., House]) -> None:
    """What came together with a handshake that is answered at once is read after it."""
    house = make(ws_echo="/echo")
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    head = request("/echo", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", key)
    client = house.send(head + masked_frame(TEXT, b"early", b"mask"))
    assert client.recv(4096).endswith(b"\r\n\r\n")
    house.turn()
    assert client.recv(4096) == frame(TEXT, b"early")


# -- heads


def test_a_head_byte_by_byte(house: House) -> None:
    """However it is cut, it is one request."""
    _, client = house.pair()
    for byte in request("/sue.js", "Accept: */*"):
        client.sendall(bytes((byte,)))
        house.turn()
    assert len(house.waiting()) == 1
    assert house.rows.unread == {}


def test_a_head_of_which_a_part_came(house: House) -> None:
    """After 10 s: 408 and the end; a byte a second makes no difference. Nothing at all: the end without a word."""
    _, silent = house.pair()
    house.rows.begin(house.lot.rows.kinds.index(IDLE))
    house.rows.wait_for_head(house.lot.rows.kinds.index(READING))
    client = house.send(b"GET /sue.js HTTP/1.1\r\nHost: ")
    for _ in range(11):
        house.pass_s(1)
        if house.states() != [DRAINING]:
            client.sendall(b"x")
            house.settle()
    answer, rest = parse(read_all(client))
    assert (answer.status, json.loads(answer.body)["code"], rest) == (408, "head-timeout", b"")
    assert answer.headers["connection"] == "close"
    assert read_all(silent) == b""


FILL = b"X-Filler: " + b"f" * 8192
MALFORMED = {
    "garbage": (b"\x00\x01\x02\xff\xfe garbage\r\n\r\n", 400),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no host": (b"GET /sue.js HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET /sue.js HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "length and chunked": (
        b"GET /sue.js HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "NUL": (b"GET /s\0e.js HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "bare LF": (b"GET /sue.js HTTP/1.1\nHost: x\n\n", 400),
    "two spaces": (b"GET  /sue.js HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "no version": (b"GET /sue.js\r\n\r\n", 400),
    "another version": (b"GET /sue.js HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    "no method": (b"BREW /sue.js HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "a long target": (b"GET /" + b"a" * 9000 + b".js HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "a long target without an end": (b"GET /" + b"a" * 9000, 414),
    "a long head": (b"GET /sue.js HTTP/1.1\r\nHost: x\r\n" + FILL + b"\r\n\r\n", 431),
    "a long head without an end": (b"GET /sue.js HTTP/1.1\r\nHost: x\r\n" + FILL, 431),
    "empty lines without an end": (b"\r\n" * 5000, 414),
}


@pytest.mark.parametrize(("head", "status"), MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("pieces", [1, 7])
def test_a_malformed_head(house: House, head: bytes, status: int, pieces: int) -> None:
    """The right 4xx, then the end; what follows is not served, and a poll elsewhere is unharmed."""
    other = house.get("/tom.js")
    _, client = house.pair()
    size = len(head) // pieces + 1
    for at in range(0, len(head), size):
        client.sendall(head[at : at + size])
        house.settle()
    client.sendall(request("/healthz"))
    house.settle()
    answer, rest = parse(read_all(client))
    assert (answer.status, answer.headers["connection"], rest) == (status, "close", b"")
    house.push(b"@tom", b"1", 1)
    assert house.read(other).body == b"1"
    assert house.rows.ended["failed"] == 0


def test_a_head_of_8_kb(house: House) -> None:
    """Exactly the bound is served."""
    filler = 8192 - len(request("/sue.js", "X-Filler: "))
    head = request("/sue.js", "X-Filler: " + "f" * filler)
    assert len(head) == 8192
    house.send(head)
    house.settle()
    assert len(house.waiting()) == 1


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([*(m for m, _ in MALFORMED.values())])), max_size=4))
def test_any_bytes(house: House, pieces: list[bytes]) -> None:
    """Whatever comes, it is answered as HTTP or not at all, and nothing fails inside."""
    _, client = house.pair()
    for piece in pieces:
        try:
            client.sendall(piece)
        except BrokenPipeError:
            break
        house.settle()
    data = read_now(client)
    assert data in (b"(nothing)", b"") or all(answer.status >= 400 for answer in parse_all(data))
    assert house.rows.ended["failed"] == 0
    client.close()
    house.settle()
    assert house.rows.open == 0


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 400), max_size=12))
def test_requests_cut_anywhere(house: House, cuts: list[int]) -> None:
    """The same answers come, however the requests are cut into segments."""
    data = request("/healthz") + request("/no", method="HEAD") + request("/a.js?timeout=x") + request("/readyz")
    _, client = house.pair()
    for cut in cuts:
        piece, data = data[:cut], data[cut:]
        client.sendall(piece)
        house.turn()
    client.sendall(data)
    house.settle()
    one, rest = parse(read_now(client))
    two, rest = parse(rest, head_only=True)
    three, four = parse_all(rest)
    assert [answer.status for answer in (one, two, three, four)] == [200, 404, 400, 200]


# -- paths


@pytest.mark.parametrize(
    "target",
    [
        "//",
        "/nothing",
        "/sue",
        "/a/b.js",
        "/sue.js/",
        "//sue.js",
        "/comet",
        "/comet/",
        "/comet/poll/",
        "/megacomet.js",
        "/megacomet.mjs",
        "/megacomet.d.ts",
        "/apifoo",
        "/sue%2Ejs",
        "/healthz/",
    ],
)
def test_unknown_paths(house: House, target: str) -> None:
    """404, told by the worker itself."""
    answer = house.ask(target)
    assert (answer.status, json.loads(answer.body)["code"]) == (404, "not-found")
    assert house.link.adopted == []


def test_the_entrance(house: House, make: Callable[..., House]) -> None:
    """Whoever types the server's name into a browser comes to the console; not where it is served elsewhere."""
    for method in ("GET", "HEAD"):
        answer = house.ask("/", method=method)
        assert (answer.status, answer.headers["location"], answer.body) == (302, "/console/", b"")
    assert house.ask("/", method="POST").status == 405
    assert house.link.adopted == []
    elsewhere = make(admin="tcp:8081")
    for target in ("/", "/console", "/console/", "/console/session", "/console/api/stats", "/console/@1f/app.js"):
        assert elsewhere.ask(target).status == 404
    assert elsewhere.link.adopted == []


def test_health(house: House) -> None:
    """`ok` as long as the manager is there."""
    answer = house.ask("/healthz")
    assert (answer.status, answer.body) == (200, b"ok")
    house.link.up = False
    answer = house.ask("/healthz")
    assert answer.status == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 10


def test_readiness(house: House) -> None:
    """Ready when every worker listens, and the manager is there to say so."""
    assert json.loads(house.ask("/readyz").body) == {"ready": True, "workers": 8}
    house.link.ready = False
    assert house.ask("/readyz").status == 503
    house.link.ready, house.link.up = True, False
    assert house.ask("/readyz").status == 503


def test_the_original_s_ports(house: House) -> None:
    """There every `/<client>.js` is a client, one answer a connection, and nothing else is there."""
    listener = house.listener()
    house.lot.listen(listener, flags=ENTRANCE)
    client = house.connect(listener, request("/megacomet.js"))
    house.until(house.waiting)
    house.push(b"@megacomet", b"1", 1)
    answer, rest = parse(read_all(client))
    assert (answer.body, answer.headers["connection"], rest) == (b"1", "close", b"")
    for target in ("/healthz", "/api/stats", "/comet/poll?channel=a", "/"):
        accepted = house.lot.accepted
        client = house.connect(listener, request(target, "Authorization: Bearer x"))
        house.until(lambda accepted=accepted: house.lot.accepted > accepted)
        house.settle()
        assert parse(read_all(client))[0].status == 404


# -- origins


def test_origins(make: Callable[..., House]) -> None:
    """With origins set, other pages are refused; those that are let in are named; without an Origin anybody is."""
    house = make(origins=("https://a.example", "null"))
    bad = house.ask("/sue.js", "Origin: https://b.example")
    assert (bad.status, json.loads(bad.body)["code"]) == (403, "bad-origin")
    assert "access-control-allow-origin" not in bad.headers
    assert bad.headers["vary"] == "Origin"
    well, scripts = house.get("/sue.js", "Origin: https://a.example"), house.get("/sue.js")
    house.pages(head=0)
    house.push(b"@sue", b"1", 1)
    answer = house.read(well)
    assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == ("https://a.example", "Origin")
    assert "access-control-allow-origin" not in house.read(scripts).headers
    answer = house.ask("/healthz", "Origin: null")
    assert answer.headers["access-control-allow-origin"] == "null"
    assert house.ask("/nothing", "Origin: https://a.example").headers["access-control-allow-origin"]


def test_a_preflight_of_a_page_that_is_not_let_in(make: Callable[..., House]) -> None:
    """It learns nothing."""
    house = make(origins=("https://a.example",))
    answer = house.ask("/sue.js", "Origin: https://b.example", method="OPTIONS")
    assert answer.status == 204
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-methods" not in answer.headers


# -- room


def test_no_more_than_the_capacity(make: Callable[..., House]) -> None:
    """Beyond it polls are told to come back, each at its own time; other requests are served."""
    house = make(most=3)
    clients = [house.get(f"/c{n}.js") for n in range(3)]
    answers = [house.ask("/late.js") for _ in range(30)]
    assert {(answer.status, json.loads(answer.body)["code"]) for answer in answers} == {(503, "overloaded")}
    assert len({answer.headers["retry-after"] for answer in answers}) > 1
    assert {answer.headers["connection"] for answer in answers} == {"close"}
    house.settle()
    house.pass_s(3)
    assert house.ask("/healthz").status == 200
    clients.pop().close()
    house.settle()
    house.pass_s(80)
    house.get("/late.js")
    assert len(house.waiting()) == 3


@pytest.mark.parametrize(
    ("capacity", "workers", "least", "most"),
    [(0, 8, 0, 0), (10, 1, 10, 10), (140_000, 8, 17_500, 18_100), (10, 8, 2, 8)],
)
def test_the_share_of_a_worker(capacity: int, workers: int, least: int, most: int) -> None:
    """Its part of the whole, and as much as chance may add."""
    assert least <= share_of(capacity, workers) <= most


def test_an_answer_is_never_too_large_for_its_backlog(make: Callable[..., House]) -> None:
    """A client that reads slowly gets the largest answer there is, however small the bound of streams is set."""
    house = make(backlog_bytes=100_000)
    client = house.get("/sue.js")
    house.push(b"@sue", b'"%b"' % (b"x" * 1_000_000), 1)
    got = b""
    while len(got) < 1_000_000:
        got += client.recv(1 << 16)
        house.settle()
    assert parse(got)[0].body == b"x" * 1_000_000
    assert ANSWER_BYTES > 2_000_000


# -- the manager is told


def test_the_manager_is_told_once_a_turn(house: House) -> None:
    """Who comes and goes is gathered; requests that change nothing disturb nobody."""
    listener = house.listener()
    house.lot.listen(listener)
    clients = [house.connect(listener, request(f"/c{n}.js")) for n in range(20)]
    house.until(lambda: house.lot.accepted == 20)
    assert 1 <= house.link.touched < 5
    before = house.link.touched
    house.ask("/healthz")
    house.ask("/nothing")
    assert house.link.touched == before
    clients[0].close()
    house.settle()
    assert house.link.touched == before + 1


def test_before_there_is_a_link(make: Callable[..., House]) -> None:
    """A worker that is not linked yet lets polls wait, and says to everybody else that it is not ready."""
    house = make()
    house.front.link = NoLink()
    house.get("/sue.js")
    assert len(house.waiting()) == 1
    assert house.ask("/healthz").status == 503
    assert house.ask("/api/push", "Authorization: Bearer x").status == 503


def test_counts(house: House) -> None:
    """The figures of a worker are JSON."""
    house.get("/sue.js")
    house.get("/comet/poll?channel=a")
    house.ask("/nothing")
    counts = json.loads(json.dumps(house.front.counts()))
    assert counts["connections"] == {"poll": 2, "sse": 0, "stream": 0, "ws": 0}
    assert (counts["channels"], counts["refused"], counts["failed"]) == (2, {"not-found": 1}, 0)


def test_bytes_are_counted_when_the_kernel_has_taken_them(house: House) -> None:
    """What was written to clients, from the first byte of an answer to the last."""
    client = house.get("/sue.js")
    assert house.front.counts()["bytes"] == 0
    house.push(b"@sue", b'"x"', 1)
    assert house.front.counts()["bytes"] == len(client.recv(65_536))


def test_gaps_are_counted_when_they_are_told(house: House) -> None:
    """One for each channel of a connection; of a poll and of a stream alike."""
    house.get("/comet/poll?channel=a&channel=b&since=e0-1")
    house.pages(head=2, gaps=(b"a", b"b"))
    house.get("/comet/events?channel=a&since=e0-1")
    house.pages(head=2, gaps=(b"a",))
    assert house.front.counts()["gaps"] == 3


def test_messages_are_counted_when_they_are_written(house: House) -> None:
    """Each message counts for each connection that it was written to; an empty answer, or one that failed, does not."""
    house.get("/sue.js")
    house.get("/sue.js")
    several = house.get("/comet/poll?channel=a&since=oldest")
    house.pages((b"a", b"1", 1), (b"a", b"2", 2), head=2)
    house.get("/comet/poll?channel=b&timeout=1")
    assert len(json.loads(house.read(several).body)["messages"]) == 2
    house.push(b"@sue", b'"x"', 3)
    assert house.front.counts()["messages"] == 4
    house.pass_s(3)
    house.get("/sue.js").close()
    house.push(b"@sue", b'"y"', 4)
    assert house.front.counts()["messages"] == 4


# -- what is wrong with us


def test_data_that_is_no_json_costs_one_connection(house: House, logged_failures: LoggedFailures) -> None:
    """A bug elsewhere does not stop a box: the message is returned, and the others get theirs."""
    house.get("/sue.js")
    other = house.get("/comet/poll?channel=a")
    house.pages(head=0)
    assert house.push(b"@sue", b'"\\q"', 1) != b""
    house.push(b"a", b"1", 2)
    assert json.loads(house.read(other).body)["position"] == "e1-2"
    assert len(logged_failures.flush()) == 1
    assert (house.rows.open, house.rows.ended["failed"]) == (1, 1)


# -- the end


def test_stop_answers_everybody(house: House) -> None:
    """Polls get their empty answer and the end, idle connections the end, newcomers are refused."""
    listener = house.listener()
    house.lot.listen(listener)
    plain, script, poll = (
        house.get(target) for target in ("/a.js", "/b.js?callback=f", "/comet/poll?channel=c&timeout=900")
    )
    house.pages(head=3)
    _, idle = house.pair()
    beginning = house.send(b"GET /")
    gone: list[object] = []
    house.front.stop().addCallback(gone.append)
    assert gone == []
    house.pump()
    house.settle()
    answers = [parse(read_all(client))[0] for client in (plain, script, poll)]
    assert [(answer.status, answer.headers["connection"]) for answer in answers] == [
        (204, "close"),
        (200, "close"),
        (200, "close"),
    ]
    assert answers[2].body == b'{"position":"e1-3","messages":[],"gap":false}'
    assert [read_all(client) for client in (idle, beginning)] == [b"", b""]
    assert gone == [None]
    with pytest.raises(ConnectionRefusedError):
        house.connect(listener)


def test_stop_in_slices(house: House) -> None:
    """Many polls are answered over several turns."""
    clients = [house.get(f"/c{n}.js") for n in range(SLICE + 10)]
    gone: list[object] = []
    house.front.stop().addCallback(gone.append)
    left: list[int] = []
    house.clock.callLater(0, lambda: left.append(len(house.waiting())))
    house.pump()
    assert (left, len(house.waiting()), gone) == ([10], 0, [None])
    assert {read_all(client)[:12] for client in clients} == {b"HTTP/1.1 204"}


def test_stop_waits_for_who_reads_slowly(house: House) -> None:
    """An answer on its way arrives whole."""
    client = house.get("/sue.js")
    house.push(b"@sue", b'"%b"' % (b"x" * 500_000), 1)
    gone: list[object] = []
    house.front.stop().addCallback(gone.append)
    house.pump()
    assert gone == []
    got = b""
    while part := client.recv(1 << 16):
        got += part
        house.settle()
    assert len(parse(got)[0].body) == 500_000
    assert gone == [None]


def test_who_comes_while_it_stops(house: House) -> None:
    """A request behind the last answer, and a connection from the queue, are told 503; silent ones are closed."""
    client = house.send(request("/sue.js") + request("/sue.js"))
    listener = house.listener()
    house.lot.listen(listener)
    queued, silent = house.connect(listener, request("/tom.js")), house.connect(listener)
    gone: list[object] = []
    house.front.stop().addCallback(gone.append)
    assert house.front.stop() is house.front.stop()
    house.pump()
    house.settle()
    first, rest = parse(read_all(client))
    assert (first.status, first.headers["connection"], rest) == (204, "close", b"")
    answer = parse(read_all(queued))[0]
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "shutting-down")
    assert "retry-after" in answer.headers
    client.close()
    queued.close()
    house.settle()
    house.pass_s(2)
    house.pump()
    assert (read_all(silent), gone) == (b"", [None])


def test_stop_of_an_empty_house(house: House) -> None:
    """Nobody is there, so it is done in the next turn."""
    gone: list[object] = []
    house.front.stop().addCallback(gone.append)
    house.pump()
    assert gone == [None]
