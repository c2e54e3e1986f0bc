"""What the keys open at the manager's doors."""

from __future__ import annotations

import pytest

from megacomet.model.keys import NamedKey, digest_of
from tests.doors import KEY, PUSH_KEY, READ_KEY, Doors, get, post


def named(name: str, key: str, scope: str = "push") -> NamedKey:
    """Return a key with a name."""
    return NamedKey(name, scope, digest_of(key.encode()), "2026-11-28T09:00:00Z")


def test_a_revoked_key_on_a_kept_connection() -> None:
    """The connection that a key has opened does not outlive it: its next request is 401."""
    doors = Doors()
    doors.site.keys.replace([(KEY, "admin")], [named("shop", "a")])
    connection = doors.connect()
    assert connection.send(post("/api/push", '{"channel":"a","data":1}', key="a")).answer().status == 200
    doors.site.keys.replace([(KEY, "admin")], [])
    answer = connection.send(post("/api/push", '{"channel":"a","data":1}', key="a")).answer()
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert len(doors.publisher.published) == 1


def test_two_keys_are_two_publishers() -> None:
    """The same publication key means one thing with one API key, and another with another of the same scope."""
    doors = Doors()
    doors.site.keys.replace([], [named("one", "a"), named("two", "b")])
    push = '{"channel":"a","data":1,"key":"order-7"}'
    answers = [doors.ask(post("/api/push", push, key=key)).json() for key in ("a", "b", "a")]
    assert [answer.get("repeated", False) for answer in answers] == [False, False, True]


@pytest.mark.parametrize(
    ("request_", "allowed"),
    [
        (post("/api/push", '{"channel":"a","data":1}', key=None), {PUSH_KEY, KEY}),
        (post("/api/batch", '{"channel":"a","data":1}', key=None), {PUSH_KEY, KEY}),
        (get("/api/stats", key=None), {READ_KEY, KEY}),
        (post("/api/clients/sue/disconnect", "{}", key=None), {KEY}),
    ],
)
def test_what_a_scope_allows(request_: bytes, allowed: set[str]) -> None:
    """Publishing, looking and acting need a key each; scope admin allows everything."""
    for key in (KEY, PUSH_KEY, READ_KEY):
        answer = Doors().ask(
            request_.replace(b"Host: h\r\n", b"Host: h\r\nAuthorization: Bearer %b\r\n" % key.encode())
        )
        assert answer.status == (200 if key in allowed else 403)
