"""POST /api/push: who may push what to whom, and what the publisher is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from megacomet.publishing.publisher import RECEIPT_S
from megacomet.publishing.pushing import SLICE
from tests.doors import BEARER, Doors, get, post


def push(doors: Doors, path: str = "/api/push", /, **fields: Any) -> Any:
    """Push as a browser of the API would, and return the parsed answer."""
    answer = doors.ask(post(path, json.dumps(fields)))
    assert answer.status == 200, answer.body
    return answer.json()


def problem(doors: Doors, body: str | bytes, *headers: str, path: str = "/api/push") -> tuple[int, str]:
    """Push what is wrong; return status and code."""
    answer = doors.ask(post(path, body, *headers))
    return answer.status, answer.code


@pytest.mark.parametrize(
    ("target", "channels"),
    [
        ({"channel": "news"}, [b"news"]),
        ({"client": "sue"}, [b"@sue"]),
        ({"client": "bob/disconnect"}, [b"@bob/disconnect"]),
        ({"channels": ["a", "b", "a"]}, [b"a", b"b"]),
        ({"clients": ["sue", "joe"]}, [b"@sue", b"@joe"]),
        ({"everyone": True}, [b"*"]),
        ({"channel": "ü"}, ["ü".encode()]),
    ],
)
def test_every_kind_of_target(target: dict[str, Any], channels: list[bytes]) -> None:
    """A push goes to a channel, a client, several of either, or to everyone."""
    doors = Doors()
    push(doors, data={"n": 1}, **target)
    assert [p.channel for p in doors.publisher.published] == channels
    assert {p.data for p in doors.publisher.published} == {b'{"n": 1}'}


def test_one_target_is_answered_by_one_object() -> None:
    """The answer to one target says its position and what became of it; it is a 200."""
    assert push(Doors(), channel="news", data=1) == {"id": "e1-1", "status": "sent"}


@pytest.mark.parametrize("status", ["sent", "queued", "unheard"])
def test_status(status: str) -> None:
    """Whether somebody listens is told."""
    doors = Doors()
    doors.publisher.status[b"@sue"] = status
    assert push(doors, client="sue", data=1)["status"] == status


def test_several_targets_are_answered_in_order() -> None:
    """The results stand in the order asked, a refused one among them without an id."""
    doors = Doors()
    doors.publisher.refuse[b"@joe"] = "mailbox-full"
    assert push(doors, clients=["sue", "joe", "ann"], data=1) == {
        "results": [
            {"channel": "@sue", "id": "e1-1", "status": "sent"},
            {"channel": "@joe", "status": "refused", "code": "mailbox-full"},
            {"channel": "@ann", "id": "e1-2", "status": "sent"},
        ]
    }


def test_one_target_in_a_list_is_answered_by_a_list() -> None:
    """Whoever sends a list gets a list."""
    assert len(push(Doors(), channels=["a"], data=1)["results"]) == 1


@pytest.mark.parametrize("fields", [{"client": "sue"}, {"clients": ["sue"]}, {"clients": ["sue", "joe"]}])
@pytest.mark.parametrize("code", ["mailbox-full", "store-full"])
def test_all_refused(fields: dict[str, Any], code: str) -> None:
    """When nothing was taken, the answer is a problem with 507."""
    doors = Doors()
    doors.publisher.refuse = {b"@sue": code, b"@joe": code}
    assert problem(doors, json.dumps({"data": 1} | fields)) == (507, code)


def test_a_full_mailbox_among_several_is_no_error() -> None:
    """One that is taken makes a 200, whichever it is."""
    doors = Doors()
    doors.publisher.refuse[b"@sue"] = "mailbox-full"
    assert push(doors, clients=["sue", "joe"], data=1)["results"][1]["status"] == "sent"


@pytest.mark.parametrize(("given", "ttl_s"), [(0, 0), (90, 90), (0.5, 0.5), (2_592_000, 2_592_000)])
def test_ttl(given: float, ttl_s: float) -> None:
    """How long a message is kept may be said, 0 is live only."""
    doors = Doors()
    push(doors, channel="a", data=1, ttl=given)
    assert doors.publisher.published[0].ttl_s == ttl_s


def test_without_ttl_the_namespace_decides() -> None:
    """No ttl is not a ttl of zero."""
    doors = Doors()
    push(doors, channel="a", data=1)
    assert doors.publisher.published[0].ttl_s is None


def test_a_repeated_key_is_answered_as_the_first_time() -> None:
    """A push that is sent again with its key is not published again, and says so."""
    doors = Doors()
    doors.publisher.status[b"a"] = "queued"
    assert push(doors, channel="a", data=1, key="k") == {"id": "e1-1", "status": "queued"}
    assert push(doors, channel="a", data=1, key="k") == {"id": "e1-1", "status": "queued", "repeated": True}


def test_everyone_needs_scope_admin() -> None:
    """A key of a lesser scope may not push to everyone, by whichever name."""
    doors = Doors()
    for target in ('"everyone":true', '"channel":"*"', '"channels":["a","*"]'):
        answer = doors.ask(post("/api/push", '{"data":1,' + target + "}", key="a-key-to-push"))
        assert (answer.status, answer.code) == (403, "forbidden")
    assert doors.publisher.published == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 400, "bad-json"),
        ("{", 400, "bad-json"),
        ('{"channel":"a","data":1', 400, "bad-json"),
        ('{"channel":"a","data":nul}', 400, "bad-json"),
        ('{"channel":"a","data":NaN}', 400, "bad-json"),
        ('{"channel":"a","data":1} x', 400, "bad-json"),
        (b'{"channel":"a","data":"\xff"}', 400, "bad-json"),
        (b'{"channel":"a","data":{"deep":["\xc3\x28"]}}', 400, "bad-json"),
        (b'{"channel":"a","data":"\xed\xa0\x80"}', 400, "bad-json"),
        (b"\xff\xfe", 400, "bad-json"),
        ('{"channel":"a","data":' + "[" * 200 + "1" + "]" * 200 + "}", 422, "bad-fields"),
        ('{"channel":"a","data":' + "[" * 100_000 + "1" + "]" * 100_000 + "}", 422, "bad-fields"),
        (json.dumps({"channel": "a", "data": "x" * 70_000}), 413, "too-large"),
        ("[]", 422, "bad-fields"),
        ("1", 422, "bad-fields"),
        ('"push"', 422, "bad-fields"),
        ("{}", 422, "bad-fields"),
        ('{"channel":"a"}', 422, "bad-fields"),
        ('{"data":1}', 422, "bad-fields"),
        ('{"channel":"a","client":"b","data":1}', 422, "bad-fields"),
        ('{"channel":"a","everyone":true,"data":1}', 422, "bad-fields"),
        ('{"everyone":false,"data":1}', 422, "bad-fields"),
        ('{"channel":1,"data":1}', 422, "bad-fields"),
        ('{"channels":"a","data":1}', 422, "bad-fields"),
        ('{"channels":[],"data":1}', 422, "bad-fields"),
        ('{"channels":[1],"data":1}', 422, "bad-fields"),
        ('{"channel":"a b","data":1}', 422, "bad-fields"),
        ('{"channel":"a\\u0000b","data":1}', 422, "bad-fields"),
        ('{"client":"..","data":1}', 422, "bad-fields"),
        (json.dumps({"client": "x" * 251, "data": 1}), 422, "bad-fields"),
        ('{"channel":"","data":1}', 422, "bad-fields"),
        ('{"channel":"a","data":1,"colour":"red"}', 422, "bad-fields"),
        ('{"channel":"a","data":1,"data":2}', 422, "bad-fields"),
        ('{"channel":"a","channel":"b","data":1}', 422, "bad-fields"),
        ('{"channel":"a","data":1,"ttl":-1}', 422, "bad-fields"),
        ('{"channel":"a","data":1,"ttl":2592001}', 422, "bad-fields"),
        ('{"channel":"a","data":1,"ttl":"1"}', 422, "bad-fields"),
        ('{"channel":"a","data":1,"key":""}', 422, "bad-fields"),
        (json.dumps({"channel": "a", "data": 1, "key": "k" * 129}), 422, "bad-fields"),
        (json.dumps({"clients": [str(n) for n in range(10_001)], "data": 1}), 422, "bad-fields"),
    ],
)
def test_bad_bodies(body: str | bytes, status: int, code: str) -> None:
    """What is wrong with a body is told with status and code, nothing is published, and the connection goes on."""
    doors = Doors()
    client = doors.connect()
    answer = client.send(post("/api/push", body)).answer()
    assert (answer.status, answer.code) == (status, code)
    assert doors.publisher.published == []
    assert client.send(post("/api/push", '{"channel":"a","data":1}')).answer().status == 200


def test_a_problem_names_the_field_at_fault() -> None:
    """A pointer says where to look."""
    answer = Doors().ask(post("/api/push", '{"channels":["a","b c"],"data":1}'))
    assert answer.json()["errors"][0]["pointer"] == "/channels/1"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Content-Type: application/json", 200),
        ("Content-Type: application/json; charset=utf-8", 200),
        ("Content-Type: Application/JSON", 200),
        ("X-None: 1", 200),
        ("Content-Type: text/plain", 415),
        ("Content-Type: application/x-ndjson", 415),
        ("Content-Type: application/x-www-form-urlencoded", 415),
        ("Content-Type:", 415),
    ],
)
def test_content_types(header: str, status: int) -> None:
    """JSON is taken, and what says nothing; a web page's form is not."""
    assert Doors().ask(post("/api/push", '{"channel":"a","data":1}', header)).status == status


def test_the_largest_push_is_taken() -> None:
    """10,000 clients with the longest names and the largest data fit into one push."""
    doors = Doors()
    clients = [f"{n:0>250}" for n in range(10_000)]
    connection = doors.connect().send(
        post("/api/push", json.dumps({"clients": clients, "data": "x" * 65_000}, separators=(",", ":")))
    )
    for _ in range(10_000 // SLICE):
        doors.clock.advance(0)
    assert len(connection.answer().json()["results"]) == 10_000
    assert len(doors.publisher.published) == 10_000


def test_many_targets_leave_others_their_turn() -> None:
    """A push to many is taken in slices."""
    doors = Doors()
    doors.connect().send(post("/api/push", json.dumps({"channels": [str(n) for n in range(SLICE * 2)], "data": 1})))
    assert len(doors.publisher.published) == SLICE
    doors.clock.advance(0)
    assert len(doors.publisher.published) == SLICE * 2


@pytest.mark.parametrize("fields", [{"channel": "a"}, {"channels": ["a", "b"]}])
def test_a_push_waits_for_room(fields: dict[str, Any]) -> None:
    """While a link is full nothing is taken."""
    doors = Doors()
    doors.pressure.is_full = True
    connection = doors.connect().send(post("/api/push", json.dumps({"data": 1} | fields)))
    assert doors.publisher.published == []
    assert connection.answers() == []
    doors.pressure.relax()
    assert connection.answer().status == 200


def test_an_answer_that_comes_later() -> None:
    """A store that takes its time delays the answer, nothing else."""
    doors = Doors()
    doors.publisher.late = True
    connection = doors.connect().send(post("/api/push", '{"channel":"a","data":1}'))
    assert connection.answers() == []
    doors.publisher.answer_all()
    assert connection.answer().json()["status"] == "sent"


@pytest.mark.parametrize("fields", [{"channel": "a"}, {"channels": [str(n) for n in range(SLICE + 1)]}])
def test_a_client_that_leaves_before_its_answer(fields: dict[str, Any]) -> None:
    """Its push is published all the same, and nothing is logged."""
    doors = Doors()
    doors.publisher.late = True
    connection = doors.connect().send(post("/api/push", json.dumps({"data": 1} | fields)))
    connection.lose()
    doors.clock.advance(0)
    doors.publisher.answer_all()
    assert len(doors.publisher.published) == len(fields.get("channels", "1"))
    assert connection.answers() == []
    assert doors.clock.getDelayedCalls() == []


class ReceiptTests(SynchronousTestCase):
    """?receipt=1 tells how many connections got the message."""

    def setUp(self) -> None:
        """Open the doors."""
        self.doors = Doors()

    def ask(self, body: str, path: str = "/api/push?receipt=1") -> Any:
        """Push and return the connection."""
        return self.doors.connect().send(post(path, body))

    def test_counted(self) -> None:
        """The answer comes when the workers have reported."""
        connection = self.ask('{"channel":"a","data":1}')
        self.assertEqual(connection.answers(), [])
        self.doors.publisher.receipts[0].reported(3)
        self.assertEqual(connection.answer().json(), {"id": "e1-1", "status": "sent", "connections": 3})
        self.assertEqual(self.doors.clock.getDelayedCalls()[1:], [])

    def test_each_target_has_its_count(self) -> None:
        """Several targets are counted apart; who refused has none."""
        self.doors.publisher.refuse[b"b"] = "store-full"
        connection = self.ask('{"channels":["a","b","c"],"data":1}')
        self.doors.publisher.receipts[1].reported(2)
        self.doors.publisher.receipts[0].reported(1)
        results = connection.answer().json()["results"]
        self.assertEqual([r.get("connections") for r in results], [1, None, 2])

    def test_nobody_reports(self) -> None:
        """Nobody waits longer than five seconds; what is known by then is told, and later reports do no harm."""
        connection = self.ask('{"channels":["a","b"],"data":1}')
        self.doors.publisher.receipts[1].reported(2)
        self.doors.clock.advance(RECEIPT_S - 0.01)
        self.assertEqual(connection.answers(), [])
        self.doors.clock.advance(0.01)
        results = connection.answer().json()["results"]
        self.assertEqual([r["connections"] for r in results], [0, 2])
        self.doors.publisher.receipts[0].reported(7)
        self.assertEqual(connection.answers(), [])

    def test_a_repeat_is_written_to_nobody(self) -> None:
        """A repeated push publishes nothing, so it reaches no connection."""
        self.ask('{"channel":"a","data":1,"key":"k"}')
        answer = self.ask('{"channel":"a","data":1,"key":"k"}').answer().json()
        self.assertEqual(answer, {"id": "e1-1", "status": "sent", "repeated": True, "connections": 0})

    def test_only_when_asked(self) -> None:
        """Without receipt=1, and with any other value or parameter, nobody waits."""
        for query in ("", "?receipt=0", "?receipts=1", "?_=123", "?receipt=1&receipt=0"):
            answer = self.ask('{"channel":"a","data":1}', "/api/push" + query).answer().json()
            self.assertNotIn("connections", answer)

    def test_asked_twice(self) -> None:
        """Of a parameter that is given twice the last one holds."""
        for query in ("receipt=1&receipt=1", "receipt=0&receipt=1"):
            connection = self.ask('{"channel":"a","data":1}', "/api/push?" + query)
            self.doors.publisher.receipts.pop().reported(1)
            self.assertEqual(connection.answer().json()["connections"], 1)

    def test_refused(self) -> None:
        """A refused push is a problem, with or without receipt."""
        self.doors.publisher.refuse[b"a"] = "store-full"
        self.assertEqual(self.ask('{"channel":"a","data":1}').answer().code, "store-full")


class ClientTests(SynchronousTestCase):
    """The door as an HTTP client sees it."""

    def test_with_treq(self) -> None:
        """A push with an ordinary client."""
        doors = Doors()
        got: Deferred[Any] = doors.treq.post(
            "http://h/api/push", headers={"Authorization": BEARER}, json={"channel": "a", "data": {"n": 1}}
        )
        doors.treq.flush()
        response = self.successResultOf(got)
        self.assertEqual(response.code, 200)
        body = self.successResultOf(doors.treq.json_content(response))
        self.assertEqual(body, {"id": "e1-1", "status": "sent"})

    def test_an_error_of_ours(self) -> None:
        """A bug is answered with 500 and an id that stands in the log; the client learns nothing else."""
        doors = Doors()
        doors.publisher.status = None  # type: ignore[assignment]
        answer = doors.connect().send(post("/api/push", '{"channel":"a","data":1}', "X-Request-Id: abc")).answer()
        self.assertEqual((answer.status, answer.code), (500, "internal"))
        self.assertNotIn("NoneType", answer.body.decode())
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_wrong_methods(self) -> None:
        """The door takes POST only."""
        for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH"):
            answer = Doors().ask(get("/api/push", method=method))
            self.assertEqual((answer.status, answer.code), (405, "method-not-allowed"))
            self.assertEqual(answer.headers["allow"], "POST")
