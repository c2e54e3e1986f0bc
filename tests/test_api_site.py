"""The manager's connections: heads, keys, bodies, pipelining, time, and the headers of every answer."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from megacomet.api.admin import BACKLOG, admin_service
from megacomet.api.channel import CLOSE_S, LINGER_BYTES, LINGER_S, MAX_PIPELINED_BYTES, SLICE
from megacomet.api.request import SMALL_BODY_BYTES
from megacomet.errors import StartError
from tests.chunked import BAD, GOOD, Bad
from tests.doors import BEARER, KEY, Connection, Doors, get, post

PUSH = '{"channel":"a","data":1}'


def raw(*lines: str, body: bytes = b"") -> bytes:
    """Return a request of these lines."""
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


# -- every answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        post("/api/push", PUSH),
        post("/api/batch", PUSH),
        post("/api/push", "{"),
        post("/api/push", PUSH, key="wrong"),
        get("/api/stats"),
        get("/api/nothing"),
        get("/nothing"),
        get("/healthz"),
        get("/api/push"),
        b"nonsense\r\n\r\n",
        raw("GET /healthz HTTP/1.1"),
    ],
)
def test_headers_of_every_answer(request_bytes: bytes) -> None:
    """Whatever is answered, is not kept by caches, not guessed at, and has an id; no other site may read it."""
    headers = Doors().ask(request_bytes).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["server"] == "MegaComet"
    assert headers["x-request-id"]
    assert "date" in headers
    assert not [name for name in headers if name.startswith("access-control")]


def test_request_ids() -> None:
    """A client's id is taken over; without one, or with a strange one, an id is made that is never used twice."""
    doors = Doors()
    assert doors.ask(get("/api/stats", "X-Request-Id: my.Id_-7")).headers["x-request-id"] == "my.Id_-7"
    made = set()
    for given in ("X-None: 1", "X-Request-Id: " + "x" * 65, 'X-Request-Id: a"b', "X-Request-Id: a b", "X-Request-Id:"):
        made.add(doors.ask(get("/api/stats", given)).headers["x-request-id"])
    assert len(made) == 5
    assert all(made_id.replace("-", "").isalnum() for made_id in made)


def test_a_problem_tells_the_id() -> None:
    """The id of the answer stands in its body as well."""
    answer = Doors().ask(get("/api/nothing", "X-Request-Id: abc"))
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "abc"


# -- paths and methods


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/pus",
        "/api/push/",
        "/api//push",
        "//api/push",
        "/api/push/x",
        "/api/./push",
        "/api/../api/push",
        "/api%2Fpush",
        "/api/%70ush",
        "/api/push%00",
        "/api/push;x=1",
        "/API/push",
        "/consoles",
        "/metrics/",
        "/apis",
        "/healthz/",
        "/sue.js",
    ],
)
def test_unknown_paths(path: str) -> None:
    """Paths are taken as they were sent: nothing else opens a door, and nothing is redirected."""
    for request in (get(path), post(path, PUSH)):
        answer = Doors().ask(request)
        assert (answer.status, answer.code) == (404, "not-found")


def test_a_query_opens_the_same_door() -> None:
    """Unknown parameters are ignored."""
    assert Doors().ask(get("/api/stats?_=1&x")).status == 200
    assert Doors().ask(post("/api/push?_=%ff", PUSH)).status == 200


def test_an_address_in_full() -> None:
    """A client that thinks that we are a proxy is served."""
    assert Doors().ask(get("http://h/api/stats")).status == 200


def test_head() -> None:
    """HEAD answers with the headers of GET and nothing else; the connection goes on."""
    doors = Doors()
    for path, key in (("/api/stats", KEY), ("/healthz", None), ("/api/nothing", KEY), ("/api/stats", None)):
        whole = doors.ask(get(path, key=key))
        connection = doors.connect().send(get(path, method="HEAD", key=key))
        head = connection.transport.value()
        assert head.endswith(b"\r\n\r\n")
        assert head.count(b"\r\n\r\n") == 1
        assert head.startswith(whole.first.encode())
        if whole.status == 200:
            assert f"Content-Length: {len(whole.body)}\r\n".encode() in head
        connection.transport.clear()
        assert connection.send(get("/healthz")).answer().status == 200


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "POST", "TRACE"])
def test_wrong_methods(method: str) -> None:
    """Other methods are refused with those that there are; a preflight learns nothing."""
    answer = Doors().ask(get("/api/stats", "Origin: http://evil", method=method))
    assert (answer.status, answer.code) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD"


def test_no_detour_around_the_key() -> None:
    """A path that Klein would take for another is not looked at by it, so that no door is reached without its key."""
    doors = Doors()
    for path in ("//api/push", "///api/push", "/.//api/push"):
        assert doors.ask(post(path, PUSH, key=None)).status == 404
    assert doors.publisher.published == []


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:99999",
        "user@evil.example",
        "evil.example#",
        "evil.example?x",
        "<script>",
        "a,evil",
    ],
)
@pytest.mark.parametrize("path", ["/api/stats", "/api/nothing", "/api/docs", "/api/openapi.json", "/healthz", "/"])
def test_a_host_that_is_not_ours(host: str, path: str) -> None:
    """No answer depends on the Host or repeats it: it opens no door, and no link and no cache can be poisoned by it."""
    usual = Doors().ask(get(path))
    raw_request = raw(
        f"GET {path} HTTP/1.1", f"Host: {host}", f"Authorization: {BEARER}", "X-Forwarded-Host: evil.example"
    )
    connection = Doors().connect().send(raw_request)
    assert b"evil" not in connection.transport.value()
    assert host.encode() not in connection.transport.value()
    answer = connection.answer()
    if answer.status != 400:
        assert (answer.status, answer.headers.keys()) == (usual.status, usual.headers.keys())
        assert len(answer.body) == len(usual.body)


@pytest.mark.parametrize("method", ["FOO", "get", "post"])
def test_methods_that_do_not_exist(method: str) -> None:
    """A method is what it is called, in capital letters."""
    answer = Doors().ask(get("/api/stats", method=method))
    assert answer.status in (400, 405)
    assert answer.headers["connection"] == "close"


# -- keys


@pytest.mark.parametrize(
    "header",
    [
        "X-None: 1",
        "Authorization:",
        "Authorization: Bearer",
        "Authorization: Bearer wrong",
        f"Authorization: Bearer {KEY[:-1]}",
        f"Authorization: Bearer {KEY}x",
        f"Authorization: Basic {KEY}",
        f"Authorization: {KEY}",
    ],
)
@pytest.mark.parametrize("path", ["/api/push", "/api/batch", "/api/stats", "/api/nothing", "/api"])
def test_no_key_no_door(header: str, path: str) -> None:
    """Without the key nothing is told, not even which paths there are; the answer says what is wanted."""
    doors = Doors()
    for request in (get(path, header, key=None), post(path, PUSH, header, key=None)):
        answer = doors.ask(request)
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert doors.publisher.published == []


def test_two_keys() -> None:
    """A head with two Authorization headers is malformed."""
    assert Doors().ask(post("/api/push", PUSH, f"Authorization: {BEARER}")).status == 400


def test_the_key_in_the_address() -> None:
    """A key in the URL would stand in every log on the way: it does not count."""
    assert Doors().ask(get(f"/api/stats?key={KEY}&access_token={KEY}", key=None)).status == 401


def test_the_key_is_looked_at_before_the_body() -> None:
    """Nobody sends us a body without a key: the answer comes at once, and the rest is dropped."""
    doors = Doors()
    head = raw("POST /api/push HTTP/1.1", "Host: h", "Content-Length: 1000000")
    connection = doors.connect().send(head)
    answer = connection.answer()
    assert (answer.status, answer.headers["connection"]) == (401, "close")
    connection.send(b"x" * 100_000)
    assert connection.answers() == []
    assert connection.transport.write_closed


def test_a_wrong_key_without_a_body_keeps_the_connection() -> None:
    """A mistake costs no connection when there is nothing to drop."""
    connection = Doors().connect().send(get("/api/stats", key="wrong"))
    assert connection.answer().status == 401
    assert connection.send(get("/api/stats")).answer().status == 200


# -- bodies


def test_a_body_that_is_too_large_is_refused_by_its_length() -> None:
    """The answer comes before the body, and instead of 100 Continue."""
    for expect in ((), ("Expect: 100-continue",)):
        doors = Doors()
        head = raw(
            "POST /api/push HTTP/1.1", "Host: h", f"Authorization: {BEARER}", "Content-Length: 99999999", *expect
        )
        answer = doors.ask(head)
        assert (answer.status, answer.code) == (413, "too-large")
        assert answer.headers["connection"] == "close"


def test_a_chunked_body_that_grows_too_large() -> None:
    """Without a length it is refused when it has become too large, and not kept."""
    doors = Doors()
    connection = doors.connect()
    connection.send(raw("POST /api/push HTTP/1.1", "Host: h", f"Authorization: {BEARER}", "Transfer-Encoding: chunked"))
    for _ in range(60):
        connection.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
    answer = connection.answer()
    assert (answer.status, answer.code) == (413, "too-large")
    connection.send(b"0\r\n\r\n" + post("/api/push", PUSH))
    assert connection.answers() == []
    assert doors.publisher.published == []


def test_bodies_that_nobody_asks_for() -> None:
    """They are read and dropped when they are small."""
    doors = Doors()
    assert doors.ask(post("/api/stats", "x" * 100)).status == 405
    assert doors.ask(post("/api/stats", "x" * (SMALL_BODY_BYTES + 1))).status == 413
    connection = doors.connect()
    connection.send(raw("GET /healthz HTTP/1.1", "Host: h", "Content-Length: 5", body=b"hello") + get("/healthz"))
    assert [a.status for a in connection.answers()] == [200, 200]


@pytest.mark.parametrize("bytewise", [False, True])
def test_pipelining(bytewise: bool) -> None:
    """Requests may be sent at once, in pieces of any size; the answers come in their order."""
    doors = Doors()
    connection = doors.connect()
    chunked = raw(
        "POST /api/push HTTP/1.1",
        "Host: h",
        f"Authorization: {BEARER}",
        "Transfer-Encoding: chunked",
        body=b"5;ext=1\r\n"
        + PUSH[:5].encode()
        + b"\r\n%x\r\n" % (len(PUSH) - 5)
        + PUSH[5:].encode()
        + b"\r\n0\r\nT: x\r\n\r\n",
    )
    everything = get("/healthz") + post("/api/push", PUSH) + chunked + get("/api/nothing") + get("/api/stats")
    (connection.send_bytewise if bytewise else connection.send)(everything)
    assert [a.status for a in connection.answers()] == [200, 200, 200, 404, 200]
    assert len(doors.publisher.published) == 2


def test_what_is_pipelined_waits_for_its_turn() -> None:
    """A request behind one that is not answered yet waits; not much may wait, then the connection is not read."""
    doors = Doors()
    doors.publisher.late = True
    connection = doors.connect().send(post("/api/push", PUSH) + get("/healthz"))
    assert connection.answers() == []
    assert connection.transport.producerState == "producing"
    connection.send(get("/healthz", "X-Long: " + "x" * 6000) * (MAX_PIPELINED_BYTES // 6000 + 1))
    assert connection.transport.producerState == "paused"
    doors.publisher.answer_all()
    assert [a.status for a in connection.answers()] == [200] * 5
    assert connection.transport.producerState == "producing"


def test_many_that_are_pipelined() -> None:
    """However many come at once: a few are answered a turn, and meanwhile the connection is not read."""
    doors = Doors()
    connection = doors.connect().send(get("/healthz") * SLICE)
    connection.send(get("/healthz") * (2 * SLICE + 1) + b"GET")
    assert len(connection.answers()) == 2 * SLICE
    assert connection.transport.producerState == "paused"
    connection.channel.dataReceived(b"")
    assert connection.answers() == []
    doors.clock.advance(0)
    assert len(connection.answers()) == SLICE + 1
    assert connection.transport.producerState == "producing"
    assert connection.send(get("/healthz")[3:]).answer().status == 200


def test_many_that_are_pipelined_by_somebody_who_is_gone() -> None:
    """What was left of them is forgotten."""
    doors = Doors()
    connection = doors.connect().send(get("/healthz") * (SLICE + 1))
    connection.lose()
    assert doors.clock.getDelayedCalls() == []


def test_a_client_that_does_not_read() -> None:
    """Whoever does not read answers may send no more requests, and those that it has sent wait."""
    doors = Doors()
    connection = doors.connect()
    connection.channel.pauseProducing()
    assert connection.transport.producerState == "paused"
    connection.send(get("/healthz") + post("/api/push", PUSH))
    assert connection.answers() == []
    doors.clock.advance(doors.site.head_timeout_s)
    connection.channel.resumeProducing()
    assert connection.transport.producerState == "producing"
    assert [a.status for a in connection.answers()] == [200, 200]


# -- heads


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET /healthz HTTP/1.1"], 400),
        (["GET /healthz HTTP/1.1", "Host: a", "Host: b"], 400),
        (["GET /healthz HTTP/1.1", "Host: a", "Host: a"], 400),
        (["GET /healthz HTTP/1.1", "Host: a b"], 400),
        (["GET /healthz HTTP/1.1", "Host : a"], 400),
        (["GET /healthz HTTP/1.1", "Host: a", " folded"], 400),
        (["GET /healthz HTTP/1.1", " Host: a"], 400),
        (["GET /healthz HTTP/1.1", "Host: a", "No colon"], 400),
        (["GET /healthz HTTP/1.1", "Host: a", ": no name"], 400),
        (["GET /healthz HTTP/1.1", "Host: a", "X: a\0b"], 400),
        (["GET /healthz HTTP/1.1", "Host: a", "X: a\nContent-Length: 5"], 400),
        (["GET /healthz HTTP/1.1", "Host: a", "X: a\rContent-Length: 5"], 400),
        (["GET  /healthz HTTP/1.1", "Host: a"], 400),
        (["GET /health z HTTP/1.1", "Host: a"], 400),
        (["GET /healthz", "Host: a"], 400),
        (["GET /healthz HTTP/2.0", "Host: a"], 505),
        (["GET /healthz HTTP/1.2", "Host: a"], 505),
        (["GET /healthz http/1.1", "Host: a"], 400),
        (["GET healthz HTTP/1.1", "Host: a"], 400),
        (["GET ftp://h/healthz HTTP/1.1", "Host: a"], 400),
        (["GET /health\xe9 HTTP/1.1", "Host: a"], 400),
        (["CONNECT h:80 HTTP/1.1", "Host: a"], 405),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Content-Length: 5"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: identity"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length: 5", "Content-Length: 6"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length: 5", "Content-Length: 5"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length: 5, 5"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length: +5"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length: -5"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length: 0x5"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length: 5 5"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length:"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length : 5"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length: " + "9" * 5000], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Content-Length: " + "9" * 19], 401),
        (["POST /api/push HTTP/1.1", "Host: a", "Transfer-Encoding: identity"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Transfer-Encoding: gzip, chunked"], 501),
        (["POST /api/push HTTP/1.1", "Host: a", "Transfer-Encoding: chunked, chunked"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Transfer-Encoding: xchunked"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Transfer-Encoding : chunked"], 400),
        (["POST /api/push HTTP/1.1", "Host: a", "Transfer-Encoding:\x0bchunked"], 400),
        (["POST /api/push HTTP/1.0", "Host: a", "Transfer-Encoding: chunked"], 400),
        (["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], 400),
        (["PRI * HTTP/2.0"], 505),
        (["x" * 100], 400),
    ],
)
def test_bad_heads(lines: list[str], status: int) -> None:
    """What two servers could read in two ways is read by none: 400 or so, and the connection is closed."""
    for send in (Connection.send, Connection.send_bytewise):
        doors = Doors()
        # What follows would be a push of somebody else if the first were cut in another place.
        connection = send(doors.connect(), raw(*lines) + post("/api/push", PUSH))
        answer = connection.answer()
        assert answer.status == status
        assert answer.code
        assert answer.headers["connection"] == "close"
        assert connection.closed
        assert doors.publisher.published == []


def test_the_same_on_the_second_request() -> None:
    """A connection is no more trusted later on."""
    doors = Doors()
    connection = doors.connect().send(get("/healthz") + raw("GET /healthz HTTP/1.1") + get("/healthz"))
    assert [a.status for a in connection.answers()] == [200, 400]
    assert connection.closed


@pytest.mark.parametrize("bytewise", [False, True])
@pytest.mark.parametrize(
    ("request_bytes", "code"),
    [
        (get("/" + "x" * 9000), "uri-too-long"),
        (b"GET /" + b"x" * 20_000, "uri-too-long"),
        (get("/healthz", "X: " + "x" * 9000), "head-too-large"),
        (get("/healthz", *["A: b"] * 2000), "head-too-large"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 2000, "head-too-large"),
    ],
)
def test_large_heads(request_bytes: bytes, code: str, bytewise: bool) -> None:
    """A head has at most 8 KB, whether its end arrives or not."""
    connection = Doors().connect()
    (connection.send_bytewise if bytewise else connection.send)(request_bytes)
    answer = connection.answer()
    assert (answer.status, answer.code) == ({"uri-too-long": 414, "head-too-large": 431}[code], code)
    assert connection.closed


def test_a_head_of_8_kb_is_taken() -> None:
    """The bound is exact."""
    head = get("/healthz", "X: ")
    fits = get("/healthz", "X: " + "x" * (8192 - len(head)))
    assert len(fits) == 8192
    assert Doors().ask(fits).status == 200


CHUNKED_HEAD = ("Host: h", f"Authorization: {BEARER}", "Transfer-Encoding: chunked")


@pytest.mark.parametrize("path", ["/api/push", "/api/batch"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_chunks(bad: Bad, path: str) -> None:
    """What is no chunk ends the connection: neither the push in it nor what follows is published."""
    request = raw(f"POST {path} HTTP/1.1", *CHUNKED_HEAD, body=bad.data) + post("/api/push", PUSH)
    for send in (Connection.send, Connection.send_bytewise):
        doors = Doors()
        connection = send(doors.connect(), request)
        answer = connection.answer()
        assert (answer.status, answer.code) == (400, "bad-request")
        assert answer.json()["detail"] == bad.detail
        assert answer.headers["connection"] == "close"
        assert connection.closed
        assert doors.publisher.published == []


@pytest.mark.parametrize("path", ["/api/push", "/api/batch"])
@pytest.mark.parametrize("chunks", GOOD.values(), ids=GOOD.keys())
def test_good_chunks(chunks: bytes, path: str) -> None:
    """The same push in chunks that are in order is published, and so is what follows."""
    request = raw(f"POST {path} HTTP/1.1", *CHUNKED_HEAD, body=chunks) + post("/api/push", PUSH)
    for send in (Connection.send, Connection.send_bytewise):
        doors = Doors()
        connection = send(doors.connect(), request)
        assert [answer.status for answer in connection.answers()] == [200, 200]
        assert len(doors.publisher.published) == 2


@pytest.mark.parametrize(
    ("first", "headers", "closes"),
    [
        ("GET /healthz HTTP/1.1", ["Host: h"], False),
        ("GET /healthz HTTP/1.1", ["Host: h", "Connection: close"], True),
        ("GET /healthz HTTP/1.1", ["Host: h", "Connection: x, Close"], True),
        ("GET /healthz HTTP/1.0", [], True),
        ("GET /healthz HTTP/1.0", ["Connection: keep-alive"], False),
    ],
)
def test_keep_alive(first: str, headers: list[str], closes: bool) -> None:
    """Connections are kept as their clients ask, HTTP/1.0 included."""
    connection = Doors().connect().send(raw(first, *headers) + get("/healthz"))
    answers = connection.answers()
    assert len(answers) == (1 if closes else 2)
    assert connection.closed == closes
    assert (answers[0].headers.get("connection") == "close") == closes


# -- time


class TimeTests(SynchronousTestCase):
    """Nobody holds a connection for nothing."""

    def setUp(self) -> None:
        """Open a connection."""
        self.doors = Doors(keep_alive_s=75.0, head_timeout_s=10.0)
        self.connection = self.doors.connect()

    def test_idle(self) -> None:
        """A connection on which nothing happens is closed after 75 s, without a word."""
        self.doors.clock.advance(74)
        self.assertFalse(self.connection.closed)
        self.doors.clock.advance(1)
        self.assertTrue(self.connection.closed)
        self.assertEqual(self.connection.answers(), [])

    def test_idle_behind_a_request(self) -> None:
        """The time begins anew with each request."""
        self.doors.clock.advance(70)
        self.connection.send(get("/healthz")).answer()
        self.doors.clock.advance(74)
        self.assertFalse(self.connection.closed)
        self.doors.clock.advance(1)
        self.assertTrue(self.connection.closed)

    def test_a_head_that_trickles(self) -> None:
        """A head must be complete in 10 s, however often a byte of it comes."""
        for byte in b"GET /heal":
            self.connection.send(bytes((byte,)))
            self.doors.clock.advance(1)
        self.assertFalse(self.connection.closed)
        self.doors.clock.advance(1)
        answer = self.connection.answer()
        self.assertEqual((answer.status, answer.code), (408, "head-timeout"))
        self.assertTrue(self.connection.closed)

    def test_a_second_head_that_trickles(self) -> None:
        """That holds for every head."""
        self.connection.send(get("/healthz") + b"GET")
        self.connection.answer()
        self.doors.clock.advance(10)
        self.assertEqual(self.connection.answer().code, "head-timeout")

    def test_a_body_that_stops(self) -> None:
        """A body may take its time, but it must come."""
        whole = post("/api/push", PUSH)
        self.connection.send(whole[:-3])
        self.doors.clock.advance(74)
        self.connection.send(whole[-3:-2])
        self.doors.clock.advance(74)
        self.assertFalse(self.connection.closed)
        self.doors.clock.advance(1)
        self.assertTrue(self.connection.closed)

    def test_a_slow_answer(self) -> None:
        """The time that we take is ours."""
        self.doors.publisher.late = True
        self.connection.send(post("/api/push", PUSH))
        self.doors.clock.advance(1000)
        self.assertFalse(self.connection.closed)
        self.doors.publisher.answer_all()
        self.assertEqual(self.connection.answer().status, 200)
        self.doors.clock.advance(75)
        self.assertTrue(self.connection.closed)

    def test_after_an_early_answer(self) -> None:
        """What still comes after an early answer is dropped for a while, then the connection is cut."""
        self.connection.send(post("/api/push", PUSH, key="wrong")[:-3])
        self.assertFalse(self.connection.transport.disconnected)
        self.doors.clock.advance(LINGER_S)
        self.assertTrue(self.connection.transport.disconnected)

    def test_too_much_after_an_early_answer(self) -> None:
        """Only so much is dropped."""
        self.connection.send(post("/api/push", PUSH, key="wrong")[:-3])
        for _ in range(LINGER_BYTES // 1_000_000 + 1):
            self.connection.send(b"x" * 1_000_000)
        self.assertTrue(self.connection.transport.disconnected)

    def test_a_client_that_never_reads_its_last_answer(self) -> None:
        """A connection that cannot be closed in order is cut."""
        self.connection.send(get("/healthz", "Connection: close"))
        self.assertFalse(self.connection.transport.disconnected)
        self.doors.clock.advance(CLOSE_S)
        self.assertTrue(self.connection.transport.disconnected)

    def test_a_client_that_never_reads(self) -> None:
        """A connection whose answers are not read is cut like an idle one."""
        self.connection.send(get("/healthz"))
        self.connection.channel.pauseProducing()
        self.doors.clock.advance(75)
        self.assertTrue(self.connection.transport.disconnected)

    def test_a_client_that_never_reads_and_asks_on(self) -> None:
        """What it has sent behind gives it no more time, and no answer about its head."""
        self.connection.channel.pauseProducing()
        self.connection.send(get("/healthz") * 2)
        self.doors.clock.advance(75)
        self.assertTrue(self.connection.transport.disconnected)
        self.assertEqual(self.connection.answers(), [])

    def test_gone(self) -> None:
        """A connection that is gone leaves no timer behind."""
        self.connection.send(b"GET")
        self.connection.lose()
        self.assertEqual(self.doors.clock.getDelayedCalls(), [])


class StopTests(SynchronousTestCase):
    """The site ends in order."""

    def test_idle_connections_are_closed(self) -> None:
        """Who waits for nothing is let go at once."""
        doors = Doors()
        connections = [doors.connect(), doors.connect().send(get("/healthz")), doors.connect().send(b"GET")]
        stopped = doors.site.stop()
        self.assertNoResult(stopped)
        for connection in connections:
            self.assertTrue(connection.closed)
            connection.lose()
        self.successResultOf(stopped)

    def test_answers_are_waited_for(self) -> None:
        """Who waits for an answer gets it, and hears that it was the last."""
        doors = Doors()
        doors.publisher.late = True
        connection = doors.connect().send(post("/api/push", PUSH) + get("/healthz"))
        stopped: Deferred[None] = doors.site.stop()
        self.assertFalse(connection.closed)
        doors.publisher.answer_all()
        self.assertEqual(connection.answer().headers["connection"], "close")
        self.assertTrue(connection.closed)
        connection.lose()
        self.successResultOf(stopped)

    def test_nobody_there(self) -> None:
        """Without connections it has ended."""
        self.successResultOf(Doors().site.stop())


class AdminTests(SynchronousTestCase):
    """--admin serves the same site on an address of its own."""

    def test_the_site_is_served_there(self) -> None:
        """The endpoint is a Twisted endpoint by its text, with a backlog that takes a burst."""
        for text, backlog in (("tcp:8081:interface=127.0.0.1", BACKLOG), ("tcp:8081:backlog=7", 7)):
            doors = Doors()
            admin = admin_service(doors.clock, text, doors.site)
            admin.privilegedStartService()
            ((port, site, got, _),) = doors.clock.tcpServers
            self.assertEqual((port, site, got), (8081, doors.site, backlog))

    def test_no_endpoint(self) -> None:
        """What is no endpoint is told before anything is started."""
        for text in ("", "8081", "tcp:x", "nonsense:1", "tcp:8081:interfaces=::1"):
            with self.assertRaises(StartError) as caught:
                admin_service(Doors().clock, text, Doors().site)
            self.assertIn("admin = ", str(caught.exception))

    def test_a_port_in_use(self) -> None:
        """An address that is taken stops the start."""
        doors = Doors()

        def taken(port: int, factory: object, backlog: int, interface: str) -> None:
            raise CannotListenError(interface, port, OSError(98, "Address already in use"))

        doors.clock.listenTCP = taken  # type: ignore[method-assign]
        admin = admin_service(doors.clock, "tcp:8081", doors.site)
        self.assertRaises(CannotListenError, admin.privilegedStartService)

    def test_a_directory_that_is_not_there(self) -> None:
        """A UNIX socket that has no place is told as what it is: Twisted fails at a lock beside it."""
        doors = Doors()

        def nowhere(*arguments: object, **options: object) -> None:
            raise FileNotFoundError(2, "No such file or directory", "812", None, b"/nowhere/x.lock")

        doors.clock.listenUNIX = nowhere  # type: ignore[method-assign]
        admin = admin_service(doors.clock, "unix:/nowhere/x", doors.site)
        with self.assertRaises(StartError) as caught:
            admin.privilegedStartService()
        self.assertEqual(str(caught.exception), "cannot listen on 'unix:/nowhere/x': no such file or directory")


def test_errors_are_counted() -> None:
    """By code, whether a request was understood or not; for those who look on."""
    doors = Doors()
    doors.ask(get("/api/stats", key=None))
    doors.ask(get("/nothing"))
    doors.ask(b"GET / HTTP/1.1\r\n\r\n")
    assert doors.site.refused == {"unauthorized": 1, "not-found": 1, "bad-request": 1}
