"""GET /api/stats, /healthz and /readyz on the manager's own address."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.doors import BEARER, Doors, get


def test_stats() -> None:
    """The numbers are told in one object."""
    answer = Doors().ask(get("/api/stats"))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "version": "0.1.0",
        "started": "2026-11-23T09:00:00Z",
        "connections": {"poll": 3, "sse": 0, "stream": 0, "ws": 0},
        "messages": {"in": 5, "out": 7},
        "store": {"messages": 2, "bytes": 10},
        "memory": {"manager": 1000},
    }


def test_stats_need_a_key() -> None:
    """Without a key there are no numbers."""
    answer = Doors().ask(get("/api/stats", key=None))
    assert (answer.status, answer.code) == (401, "unauthorized")


def test_stats_are_read_only() -> None:
    """Other methods are told which there are."""
    answer = Doors().ask(get("/api/stats", method="DELETE"))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_healthz() -> None:
    """The process answers, without a key."""
    answer = Doors().ask(get("/healthz", key=None))
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_readyz() -> None:
    """It is ready when every worker listens, and says so without a key."""
    doors = Doors()
    answer = doors.ask(get("/readyz", key=None))
    assert (answer.status, answer.json()) == (200, {"ready": True, "workers": 8})
    doors.manager.ready = False
    answer = doors.ask(get("/readyz", key=None))
    assert (answer.status, answer.json()) == (503, {"ready": False, "workers": 8})


class ErrorTests(SynchronousTestCase):
    """What goes wrong inside."""

    def test_an_error_of_ours(self) -> None:
        """A bug is a 500 with the request's id, logged with its traceback; the connection goes on."""
        doors = Doors()
        doors.manager.failure = ZeroDivisionError("secret")
        connection = doors.connect().send(get("/api/stats", "X-Request-Id: my-id"))
        answer = connection.answer()
        self.assertEqual((answer.status, answer.code), (500, "internal"))
        self.assertEqual(answer.headers["x-request-id"], "my-id")
        self.assertNotIn(b"secret", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        doors.manager.failure = None
        self.assertEqual(connection.send(get("/api/stats")).answer().status, 200)

    def test_with_treq(self) -> None:
        """The numbers with an ordinary client."""
        doors = Doors()
        got: Deferred[Any] = doors.treq.get("http://h/api/stats", headers={"Authorization": BEARER})
        doors.treq.flush()
        body = self.successResultOf(doors.treq.json_content(self.successResultOf(got)))
        self.assertEqual(body["connections"]["poll"], 3)
