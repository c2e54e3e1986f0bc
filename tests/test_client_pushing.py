"""Pushes: what is sent, and what the answer says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from megacomet.client import Client, Pushed
from megacomet.errors import BadData, BadName, CallError, NoServer, PeerError, Rejected, Unanswered
from tests.client_wires import Line, Network

JSON = "application/json"
PROBLEM = "application/problem+json"


class PushTests(SynchronousTestCase):
    """`Client.push`."""

    def setUp(self) -> None:
        self.network = Network()
        self.client = Client("http://192.0.2.1:8080", "k" * 20, reactor=self.network.reactor)

    def push(self, data: Any = "hi", **rest: Any) -> tuple[Deferred[Any], Line]:
        """Begin a push; return it, and the connection that it came by."""
        pushing = Deferred.fromCoroutine(self.client.push(data, **rest))
        return pushing, self.network.accept()

    def body(self, line: Line) -> Any:
        """What was sent."""
        return json.loads(line.sent().partition(b"\r\n\r\n")[2])

    def tearDown(self) -> None:
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    def test_one(self) -> None:
        """To one channel: one result."""
        pushing, line = self.push({"title": "\u00e4"}, channel="news", ttl=0, key="once")
        sent = line.sent()
        self.assertTrue(sent.startswith(b"POST /api/push HTTP/1.1\r\n"))
        self.assertIn(b"Authorization: Bearer " + b"k" * 20 + b"\r\n", sent)
        self.assertIn(b"Content-Type: application/json\r\n", sent)
        told = json.loads(sent.partition(b"\r\n\r\n")[2])
        self.assertEqual(told, {"channel": "news", "data": {"title": "\u00e4"}, "ttl": 0, "key": "once"})
        line.answer(200, JSON, b'{"id":"e-1","status":"sent","repeated":true,"new":1}', "Connection: close")
        self.assertEqual(self.successResultOf(pushing), Pushed("e-1", "sent", None, True, "news"))

    def test_receipt(self) -> None:
        """How many it was written to."""
        pushing, line = self.push(client="sue", receipt=True)
        self.assertIn(b"POST /api/push?receipt=1 ", line.sent())
        line.answer(200, JSON, b'{"id":"e-1","status":"queued","connections":0}', "Connection: close")
        self.assertEqual(self.successResultOf(pushing), Pushed("e-1", "queued", 0, False, "@sue"))

    def test_several(self) -> None:
        """To many: a result for each, in the order asked, a refused one too."""
        pushing, line = self.push(clients=["sue", "bob"])
        self.assertEqual(self.body(line), {"clients": ["sue", "bob"], "data": "hi"})
        results = [
            {"channel": "@sue", "id": "e-1", "status": "sent"},
            {"channel": "@bob", "status": "refused", "code": "mailbox-full"},
        ]
        line.answer(200, JSON, json.dumps({"results": results}).encode(), "Connection: close")
        self.assertEqual(
            self.successResultOf(pushing),
            [Pushed("e-1", "sent", channel="@sue"), Pushed("", "refused", channel="@bob", code="mailbox-full")],
        )

    def test_everyone(self) -> None:
        """To all."""
        pushing, line = self.push(everyone=True)
        self.assertEqual(self.body(line), {"everyone": True, "data": "hi"})
        line.answer(200, JSON, b'{"id":"e-1","status":"sent"}', "Connection: close")
        self.assertEqual(self.successResultOf(pushing).channel, "*")

    def test_rejected(self) -> None:
        """The server's own error, with code and field."""
        pushing, line = self.push(channel="news", ttl=-1)
        problem = {
            "status": 422,
            "code": "bad-fields",
            "detail": "ttl",
            "errors": [{"pointer": "/ttl", "detail": "ttl"}],
        }
        line.answer(422, PROBLEM, json.dumps(problem).encode(), "Connection: close")
        error = self.failureResultOf(pushing, Rejected).value
        self.assertEqual((error.status, error.code, error.pointer), (422, "bad-fields", "/ttl"))

    def test_not_ours(self) -> None:
        """A captive portal, a proxy, an answer that is not of the form: never taken for success."""
        for status, kind, body in (
            *((200, "text/html", b"<html>"), (502, "text/html", b""), (302, "text/html", b""), (204, JSON, b"")),
            *((200, JSON, b"[]"), (200, JSON, b"<html>"), (200, JSON, b'{"results":7}'), (503, PROBLEM, b"<html>")),
        ):
            pushing, line = self.push(channel="news")
            line.answer(status, kind, body, "Location: http://192.0.2.9/", "Connection: close")
            self.failureResultOf(pushing, CallError)
        self.assertTrue(all(client[0] == "192.0.2.1" for client in self.network.reactor.tcpClients))

    def test_nobody(self) -> None:
        """Nobody listens there: nothing was published."""
        pushing = Deferred.fromCoroutine(self.client.push("hi", channel="news"))
        self.network.refuse()
        error = self.failureResultOf(pushing, NoServer).value
        self.assertNotIsInstance(error, Unanswered)
        self.assertIn("192.0.2.1:8080", str(error))

    def test_unanswered(self) -> None:
        """The connection goes before the answer: it may have been published, and says so."""
        pushing, line = self.push(channel="news")
        line.lose()
        self.assertIn("may have been published", str(self.failureResultOf(pushing, Unanswered).value))

    def test_slow(self) -> None:
        """No answer within the time, none of it or not all of it."""
        for begins in (False, True):
            pushing, line = self.push(channel="news")
            if begins:
                line.answer(200, JSON, b"{", chunked=True)
            self.network.reactor.advance(10)
            self.assertIn("10 s", str(self.failureResultOf(pushing, Unanswered).value))

    def test_closing(self) -> None:
        """Who closes the client waits for no answer any more, at whatever point it is; no connection stays."""
        for begins in (False, True):
            pushing, line = self.push(channel="news")
            if begins:
                line.answer(200, JSON, b"{", chunked=True)
            self.successResultOf(Deferred.fromCoroutine(self.client.close()))
            self.assertTrue(line.transport.disconnecting or line.transport.aborting)
            line.lose()
            self.failureResultOf(pushing, Unanswered)

    def test_no_key(self) -> None:
        """Without a key none is sent."""
        self.client = Client("http://192.0.2.1:8080", reactor=self.network.reactor)
        pushing, line = self.push(channel="news")
        self.assertNotIn(b"Authorization", line.sent())
        line.answer(401, PROBLEM, b'{"code":"unauthorized"}', "Connection: close")
        self.failureResultOf(pushing, Rejected)

    def test_bad_calls(self) -> None:
        """What cannot be sent is told where it is given; nothing is sent."""
        for kind, rest in (
            (PeerError, {}),
            (PeerError, {"channel": "a", "client": "b"}),
            (PeerError, {"channels": "abc"}),
            (BadName, {"channel": "a b"}),
            (BadName, {"clients": ["ok", ""]}),
            (BadName, {"channel": "\ud83d"}),
            (BadData, {"channel": "a", "data": float("nan")}),
            (BadData, {"channel": "a", "data": {1, 2}}),
            (BadData, {"channel": "a", "data": "\ud83d"}),
        ):
            data = rest.pop("data", "hi")
            self.failureResultOf(Deferred.fromCoroutine(self.client.push(data, **rest)), kind)
        self.assertEqual(self.network.attempts, 0)


@pytest.mark.parametrize("transports", [(), ("websocket", "carrier-pigeon")])
def test_bad_transports(transports: tuple[str, ...]) -> None:
    """There is no such transport."""
    with pytest.raises(ValueError, match="websocket, sse, poll"):
        Client("http://a.example", transports=transports)


@pytest.mark.parametrize(
    ("channels", "rest"),
    [((), {}), (("a b",), {}), (("@sue",), {}), (("*",), {}), ((), {"client_id": ""}), (("a",), {"since": "x"})],
)
def test_bad_listenings(channels: tuple[str, ...], rest: dict[str, Any]) -> None:
    """They are refused where they are given."""
    client = Client("http://a.example", reactor=Network().reactor)
    with pytest.raises(PeerError):
        client.listen(*channels, **rest)
