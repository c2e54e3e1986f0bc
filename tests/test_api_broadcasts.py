"""`/api/broadcasts` at the doors."""

from __future__ import annotations

import json

import pytest

from megacomet.errors import PeerError, Refused
from megacomet.wire.broadcasts import Order
from tests.doors import PUSH_KEY, READ_KEY, Doors, get, post

BODY = '{"everyone":true,"data":[1],"per_s":500}'
ORDER = Order(b"*", b"[1]", None, 500)
ONE = {
    "id": "e1-7",
    "channel": "*",
    "state": "running",
    "per_s": 500,
    "connections": 9,
    "written": 4,
    "lost": 1,
    "started": "2026-11-23T09:00:00.000Z",
    "ended": None,
    "by": "ops",
    "bytes": 3,
}


def test_one_is_begun() -> None:
    """It is accepted with how it stands, under the name of the key, and noted without its data."""
    doors = Doors()
    answer = doors.ask(post("/api/broadcasts", BODY))
    assert (answer.status, answer.json()) == (202, ONE)
    assert doors.broadcasts.told == [("start", ORDER, "api-key")]
    [note] = doors.audit.notes
    assert {name: note[name] for name in ("action", "id", "channel", "per_s", "connections", "bytes", "result")} == {
        "action": "broadcast",
        "id": "e1-7",
        "channel": "*",
        "per_s": 500,
        "connections": 9,
        "bytes": 3,
        "result": "done",
    }
    assert "[1]" not in json.dumps(note, default=str)


@pytest.mark.parametrize("query", ["?estimate=1", "?a=b&estimate=1"])
def test_an_estimate(query: str) -> None:
    """Everything is checked, nothing is begun and nothing noted."""
    doors = Doors()
    answer = doors.ask(post(f"/api/broadcasts{query}", BODY))
    assert (answer.status, answer.json()) == (200, {"connections": 9, "seconds": 0.018, "bytes": 3})
    assert (doors.broadcasts.told, doors.audit.notes) == ([("estimate", ORDER)], [])
    assert doors.ask(post(f"/api/broadcasts{query}", '{"data":1}')).code == "bad-fields"


@pytest.mark.parametrize("query", ["?estimate=0", "?estimate=", "?estimate=1&estimate=1"])
def test_no_estimate(query: str) -> None:
    """Only `1` asks for one."""
    assert Doors().ask(post(f"/api/broadcasts{query}", BODY)).status == 202


def test_they_are_listed() -> None:
    """Who may read sees them."""
    doors = Doors()
    assert doors.ask(get("/api/broadcasts", key=READ_KEY)).json() == {"broadcasts": [ONE]}
    assert doors.ask(get("/api/broadcasts/e1-7", key=READ_KEY)).json() == ONE


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (post("/api/broadcasts/e1-7/pause", ""), "pause"),
        (post("/api/broadcasts/e1-7/resume", ""), "resume"),
        (get("/api/broadcasts/e1-7", method="DELETE"), "cancel"),
    ],
)
def test_acts(request_: bytes, what: str) -> None:
    """Each is answered with how it stands then, and noted; what cannot be is a conflict, and not noted."""
    doors = Doors()
    answer = doors.ask(request_)
    assert (answer.status, answer.json()) == (200, ONE)
    assert doors.broadcasts.told == [(what, "e1-7")]
    [note] = doors.audit.notes
    assert (note["action"], note["id"], note["written"]) == (f"{what}-broadcast", "e1-7", 4)
    doors.broadcasts.failure = PeerError("conflict", "the broadcast is done")
    answer = doors.ask(request_)
    assert (answer.status, answer.code, answer.json()["detail"]) == (409, "conflict", "the broadcast is done")
    assert len(doors.audit.notes) == 1


@pytest.mark.parametrize(
    "id_", ["e1-8", "e0-7", "7", "x", "..", "%FF", "e1-7%2Fpause", "e1%2D7x", "%00", "gr%C3%BC%C3%9Fe", "e1-7" * 60]
)
def test_which_is_not_there(id_: str) -> None:
    """An id that is none of a broadcast, and what is no id, are not there."""
    doors = Doors()
    requests = [
        get(f"/api/broadcasts/{id_}"),
        get(f"/api/broadcasts/{id_}", method="DELETE"),
        post(f"/api/broadcasts/{id_}/pause", ""),
        post(f"/api/broadcasts/{id_}/resume", ""),
    ]
    assert {(doors.ask(one).status, doors.ask(one).code) for one in requests} == {(404, "not-found")}
    assert doors.broadcasts.told == []


def test_scopes() -> None:
    """Whoever may read begins and changes nothing; whoever may push sees nothing; a stranger is asked for a key."""
    doors = Doors()
    acts = [
        post("/api/broadcasts", BODY, key=READ_KEY),
        post("/api/broadcasts", BODY, key=PUSH_KEY),
        post("/api/broadcasts?estimate=1", BODY, key=READ_KEY),
        post("/api/broadcasts/e1-7/pause", "", key=READ_KEY),
        post("/api/broadcasts/e1-7/resume", "", key=READ_KEY),
        get("/api/broadcasts/e1-7", method="DELETE", key=READ_KEY),
        get("/api/broadcasts", key=PUSH_KEY),
        get("/api/broadcasts/e1-7", key=PUSH_KEY),
    ]
    assert {doors.ask(one).code for one in acts} == {"forbidden"}
    assert doors.ask(post("/api/broadcasts", BODY, key=None)).code == "unauthorized"
    assert (doors.broadcasts.told, doors.audit.notes) == ([], [])


@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [
        ("/api/broadcasts", "DELETE", "GET, HEAD, POST"),
        ("/api/broadcasts/e1-7", "POST", "DELETE, GET, HEAD"),
        ("/api/broadcasts/e1-7/pause", "GET", "POST"),
        ("/api/broadcasts/e1-7/resume", "DELETE", "POST"),
    ],
)
def test_methods(path: str, method: str, allow: str) -> None:
    """Another method is told which there are."""
    answer = Doors().ask(get(path, method=method))
    assert (answer.status, answer.headers["allow"]) == (405, allow)


def test_bodies() -> None:
    """Their type, and their length, are those of a push: data may be as large as a message."""
    doors = Doors(message_bytes=100_000)
    assert doors.ask(post("/api/broadcasts", BODY, "Content-Type: text/plain")).code == "unsupported-media-type"
    large = '{"channel":"news","data":"%s"}'
    assert doors.ask(post("/api/broadcasts", large % ("x" * 99_998))).status == 202
    assert doors.ask(post("/api/broadcasts", large % ("x" * 99_999))).code == "too-large"
    assert doors.ask(post("/api/broadcasts", b'{"channel":"news","data":"\xff"}')).code == "bad-json"
    answer = doors.ask(post("/api/broadcasts", '{"channel":"@sue","data":1}'))
    assert (answer.code, answer.json()["errors"][0]["pointer"]) == ("bad-fields", "/channel")


def test_what_the_store_refuses() -> None:
    """A full store is told as to a push."""
    doors = Doors()
    doors.broadcasts.failure = Refused("store-full")
    answer = doors.ask(post("/api/broadcasts", BODY))
    assert (answer.status, answer.code, doors.audit.notes) == (507, "store-full", [])
