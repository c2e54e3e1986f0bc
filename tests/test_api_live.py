"""GET /api/trends; the figures of the moment are in test_api_events.py."""

from __future__ import annotations

from tests.doors import PUSH_KEY, READ_KEY, Doors, get


def test_trends() -> None:
    """The last hour is told as it is known, to who may read."""
    doors = Doors()
    answer = doors.ask(get("/api/trends", key=READ_KEY))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body == doors.live.trends()


def test_who_may_read_them() -> None:
    """A key to push does not do, and there is nothing to change."""
    doors = Doors()
    assert doors.ask(get("/api/trends", key=PUSH_KEY)).code == "forbidden"
    assert doors.ask(get("/api/trends", key=None)).code == "unauthorized"
    assert doors.ask(get("/api/trends", method="DELETE")).headers["allow"] == "GET, HEAD"
