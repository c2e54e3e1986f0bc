"""POST /api/batch: lines published as they arrive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.trial.unittest import SynchronousTestCase

from megacomet.publishing.pushing import SLICE
from tests.doors import BEARER, Connection, Doors, get, post

PATH = "/api/batch"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: h\r\nAuthorization: {BEARER}\r\n"
CHUNKED = (HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode()


def line(channel: object = "a", data: object = 1, **more: object) -> bytes:
    """Return one line without its end."""
    return json.dumps({"channel": str(channel), "data": data} | more).encode()


def chunk(data: bytes) -> bytes:
    """Return a chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def batch(doors: Doors, body: bytes, *headers: str) -> Any:
    """Send a batch whose status is 200, and return the parsed answer."""
    answer = doors.ask(post(PATH, body, *headers))
    assert answer.status == 200, answer.body
    return answer.json()


def channels(doors: Doors) -> list[bytes]:
    """Return where was published to."""
    return [p.channel for p in doors.publisher.published]


def turns(doors: Doors, connection: Connection) -> None:
    """Let the reactor turn until the batch is answered."""
    for _ in range(1000):
        doors.clock.advance(0)
        if connection.transport.value():
            return
    raise AssertionError("no answer")


def test_the_answer_counts() -> None:
    """One object after the last line says what became of all."""
    doors = Doors()
    doors.publisher.status = {b"b": "queued", b"c": "unheard"}
    body = b"\n".join([line("a"), line("b"), line("c"), line("k", key="1"), line("k", key="1"), b"{broken"])
    assert batch(doors, body) == {
        "lines": 6,
        "sent": 2,
        "queued": 1,
        "unheard": 1,
        "repeated": 1,
        "failed": 1,
        "errors": [
            {"line": 6, "code": "bad-json", "detail": "JSON is malformed: object keys must be strings (byte 1)"}
        ],
        "position": "e1-4",
    }


def test_a_bad_line_in_the_middle() -> None:
    """It is reported with its number; those before and behind it are published, in order."""
    doors = Doors()
    answer = batch(doors, b"\n".join([line("a"), b'{"channel":"b","data":"\xff"}', line("c")]) + b"\n")
    assert channels(doors) == [b"a", b"c"]
    assert (answer["lines"], answer["sent"], answer["failed"]) == (3, 2, 1)
    assert [(e["line"], e["code"]) for e in answer["errors"]] == [(2, "bad-json")]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"[]", "bad-fields"),
        (b"x", "bad-json"),
        (line("a", colour="red"), "bad-fields"),
        (line("a", "x" * 70_000), "too-large"),
        (b'{"channel":"a","data":1,"data":2}', "bad-fields"),
        (line("a b"), "bad-fields"),
        (b'{"channel":"a","data":' + b"[" * 5000 + b"]" * 5000 + b"}", "bad-fields"),
        (b'"' + b"x" * 4_000_000 + b'"', "too-large"),
    ],
)
def test_bad_lines(bad: bytes, code: str) -> None:
    """Whatever is wrong with a line, the rest is published."""
    doors = Doors()
    answer = batch(doors, b"\n".join([line("a"), bad, line("b")]))
    assert channels(doors) == [b"a", b"b"]
    assert answer["errors"][0]["code"] == code


def test_all_lines_bad() -> None:
    """When nothing was published the status is 422, and the answer has the same form; a hundred errors are told."""
    answer = Doors().ask(post(PATH, b"x\n" * 150))
    assert answer.status == 422
    assert (answer.json()["lines"], answer.json()["failed"], len(answer.json()["errors"])) == (150, 150, 100)


def test_refused_lines_fail() -> None:
    """A full mailbox is an error of its line."""
    doors = Doors()
    doors.publisher.refuse[b"@sue"] = "mailbox-full"
    answer = doors.ask(post(PATH, b'{"client":"sue","data":1}'))
    assert answer.status == 422
    assert answer.json()["errors"][0]["code"] == "mailbox-full"


def test_partly_refused_lines() -> None:
    """A line to several of whom some refuse counts those that took it, and says that some did not."""
    doors = Doors()
    doors.publisher.refuse[b"@sue"] = "mailbox-full"
    answer = batch(doors, b'{"clients":["sue","joe","ann"],"data":1}')
    assert (answer["lines"], answer["sent"], answer["failed"]) == (1, 2, 0)
    assert [(e["line"], e["code"]) for e in answer["errors"]] == [(1, "mailbox-full")]


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n\r\n", b"  \n\t\n"])
def test_nothing_in_it(body: bytes) -> None:
    """A batch without lines is no error."""
    assert batch(Doors(), body)["lines"] == 0


def test_blank_lines_and_crlf() -> None:
    """Blank lines are counted in numbers only; CRLF ends a line; the last may lack its end."""
    doors = Doors()
    answer = batch(doors, b"\r\n" + line("a") + b"\r\n\r\n" + line("b") + b"\n\nx")
    assert channels(doors) == [b"a", b"b"]
    assert (answer["lines"], answer["errors"][0]["line"]) == (3, 6)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Content-Type: application/x-ndjson", 200),
        ("Content-Type: application/json", 200),
        ("X-None: 1", 200),
        ("Content-Type: text/plain", 415),
        ("Content-Type: multipart/form-data; boundary=x", 415),
    ],
)
def test_content_types(header: str, status: int) -> None:
    """NDJSON is taken, by its own name and as JSON."""
    doors = Doors()
    assert doors.ask(post(PATH, line(), header)).status == status
    assert len(doors.publisher.published) == (status == 200)


def test_published_as_they_arrive() -> None:
    """A line is published when it is complete, long before the body ends; the answer comes at the end only."""
    doors = Doors()
    connection = doors.connect().send(CHUNKED)
    connection.send(chunk(line("a") + b"\n" + line("b")[:5]))
    assert channels(doors) == [b"a"]
    connection.send(chunk(line("b")[5:] + b"\n"))
    assert channels(doors) == [b"a", b"b"]
    connection.send(chunk(line("c")))
    assert connection.answers() == []
    connection.send(b"0\r\n\r\n")
    assert channels(doors) == [b"a", b"b", b"c"]
    assert connection.answer().json()["sent"] == 3


@pytest.mark.parametrize("bytewise", [False, True])
def test_the_connection_goes_on(bytewise: bool) -> None:
    """A batch, chunked or with a length, whole or byte by byte, leaves the connection in order."""
    doors = Doors()
    connection = doors.connect()
    send = connection.send_bytewise if bytewise else connection.send
    raw = CHUNKED + chunk(line("a") + b"\n") + chunk(line("b")) + b"0\r\n\r\n"
    raw += post(PATH, line("c")) + post("/api/push", line("d")) + get("/healthz")
    send(raw)
    assert [a.status for a in connection.answers()] == [200, 200, 200, 200]
    assert channels(doors) == [b"a", b"b", b"c", b"d"]


def test_expect_continue() -> None:
    """A client that asks first is told to go on."""
    doors = Doors()
    connection = doors.connect().send(
        (HEAD + f"Expect: 100-continue\r\nContent-Length: {len(line())}\r\n\r\n").encode()
    )
    assert connection.transport.value() == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.transport.clear()
    assert connection.send(line()).answer().json()["sent"] == 1


@pytest.mark.parametrize(
    "more", ["Authorization: Bearer wrong\r\n", "", f"Authorization: {BEARER}\r\nContent-Type: a/b\r\n"]
)
@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
def test_refused_before_the_body(more: str, expect: str) -> None:
    """Key and type are looked at before the body: nothing of it is read, nobody is told to go on."""
    doors = Doors()
    head = f"POST {PATH} HTTP/1.1\r\nHost: h\r\n{more}{expect}Transfer-Encoding: chunked\r\n\r\n"
    connection = doors.connect().send(head.encode())
    answer = connection.answer()
    assert answer.status == (415 if "a/b" in more else 401)
    assert answer.headers["connection"] == "close"
    connection.send(chunk(line()))
    assert connection.closed
    assert channels(doors) == []
    assert connection.answers() == []


def test_a_broken_connection() -> None:
    """What came whole is published, the line in the middle of which it broke is not."""
    doors = Doors()
    connection = doors.connect().send(CHUNKED + chunk(line("a") + b"\n" + line("b") + b"\n" + line("c")))
    connection.lose()
    doors.clock.advance(0)
    assert channels(doors) == [b"a", b"b"]
    assert doors.clock.getDelayedCalls() == []


def test_a_broken_chunk() -> None:
    """What is no chunk ends the connection; what came before is published."""
    doors = Doors()
    connection = doors.connect().send(CHUNKED + chunk(line("a") + b"\n") + b"zz\r\n")
    assert connection.answer().status == 400
    assert connection.closed
    assert channels(doors) == [b"a"]


def test_a_broken_connection_while_lines_wait() -> None:
    """Lines that came whole are published even when they had to wait and their sender is gone."""
    doors = Doors()
    doors.pressure.is_full = True
    connection = doors.connect().send(post(PATH, line("a") + b"\n" + line("b")))
    connection.lose()
    doors.pressure.relax()
    assert channels(doors) == [b"a", b"b"]
    assert doors.clock.getDelayedCalls() == []


class PaceTests(SynchronousTestCase):
    """A batch comes no faster than it can be dealt with."""

    def setUp(self) -> None:
        """Open the doors and begin a batch."""
        self.doors = Doors()
        self.connection = self.doors.connect().send(CHUNKED)

    def paused(self) -> bool:
        """Tell whether the connection is not read at the moment."""
        return bool(self.connection.transport.producerState == "paused")

    def test_a_full_link(self) -> None:
        """While a link or the store is full the connection is not read, and no line is published."""
        self.connection.send(chunk(line("a") + b"\n"))
        self.assertFalse(self.paused())
        self.doors.pressure.is_full = True
        self.connection.send(chunk(line("b") + b"\n"))
        self.assertTrue(self.paused())
        self.assertEqual(channels(self.doors), [b"a"])
        self.doors.pressure.relax()
        self.assertFalse(self.paused())
        self.assertEqual(channels(self.doors), [b"a", b"b"])

    def test_the_end_arrives_while_it_is_full(self) -> None:
        """The answer waits for the last line."""
        self.doors.pressure.is_full = True
        self.connection.send(chunk(line("a") + b"\n") + b"0\r\n\r\n")
        self.assertEqual(self.connection.answers(), [])
        self.doors.pressure.relax()
        self.assertEqual(self.connection.answer().json()["sent"], 1)
        self.assertFalse(self.paused())
        self.assertEqual(self.connection.send(get("/healthz")).answer().status, 200)

    def test_slices(self) -> None:
        """A large piece is worked off in slices, so that others get their turn, and nothing is read meanwhile."""
        self.connection.send(chunk(b"".join(line(n) + b"\n" for n in range(SLICE * 3))))
        self.assertEqual(len(channels(self.doors)), SLICE)
        self.assertTrue(self.paused())
        self.connection.send(b"0\r\n\r\n")
        turns(self.doors, self.connection)
        self.assertEqual(channels(self.doors), [b"%d" % n for n in range(SLICE * 3)])

    def test_a_line_to_many_is_not_overtaken(self) -> None:
        """A line to many targets takes several turns; the next one waits for it."""
        many = json.dumps({"channels": [f"m{n}" for n in range(SLICE * 2 + 1)], "data": 1}).encode()
        self.connection.send(chunk(many + b"\n" + line("z") + b"\n") + b"0\r\n\r\n")
        self.assertTrue(self.paused())
        turns(self.doors, self.connection)
        self.assertEqual(channels(self.doors)[-1], b"z")
        self.assertEqual(len(channels(self.doors)), SLICE * 2 + 2)
        self.assertEqual(self.connection.answer().json()["sent"], SLICE * 2 + 2)

    def test_the_answer_waits_for_the_store(self) -> None:
        """No answer before the last line is safe."""
        self.doors.publisher.late = True
        self.connection.send(chunk(line("a")) + b"0\r\n\r\n")
        self.assertEqual(self.connection.answers(), [])
        self.doors.publisher.answer_all()
        self.assertEqual(self.connection.answer().json()["sent"], 1)

    def test_memory_is_bounded(self) -> None:
        """A line without an end is not kept beyond its bound."""
        for _ in range(100):
            self.connection.send(chunk(b"x" * 60_000))
        kept = self.connection.channel.requests[0]._sink._cut
        self.assertLess(len(kept._kept), 4_000_000)
        self.connection.send(chunk(b"\n" + line("a")) + b"0\r\n\r\n")
        answer = self.connection.answer().json()
        self.assertEqual((answer["sent"], answer["errors"][0]["code"]), (1, "too-large"))

    def test_a_held_batch_is_not_idle(self) -> None:
        """The time that a batch waits for room is not its own."""
        self.doors.pressure.is_full = True
        self.connection.send(chunk(line("a") + b"\n"))
        self.doors.clock.advance(1000)
        self.assertFalse(self.connection.closed)
        self.doors.pressure.relax()
        self.connection.send(b"0\r\n\r\n")
        self.assertEqual(self.connection.answer().status, 200)

    def test_an_error_of_ours(self) -> None:
        """A bug in the middle is a 500 and the end of the connection, with its traceback in the log."""
        self.doors.publisher.status = None  # type: ignore[assignment]
        answer = self.connection.send(chunk(line("a") + b"\n")).answer()
        self.assertEqual((answer.status, answer.code), (500, "internal"))
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.assertEqual(self.connection.send(chunk(line("a") + b"\n")).answers(), [])
        self.assertTrue(self.connection.closed)

    def test_an_error_of_ours_later(self) -> None:
        """A bug in a later turn is told as well."""
        self.connection.send(chunk(b"".join(line(n) + b"\n" for n in range(SLICE + 1))) + b"0\r\n\r\n")
        self.doors.publisher.status = None  # type: ignore[assignment]
        self.doors.clock.advance(0)
        self.assertEqual(self.connection.answer().code, "internal")
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.assertFalse(self.connection.closed)
        self.assertFalse(self.paused())


def test_wrong_methods() -> None:
    """The door takes POST only."""
    answer = Doors().ask(get(PATH))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
