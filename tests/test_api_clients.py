"""GET /api/clients/{id}, and the paths of clients."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.errors import BadName, PeerError
from megacomet.names import check_client_id
from megacomet.wire.looking import Connection
from tests.doors import PUSH_KEY, READ_KEY, Doors, get, post

POLL = Connection("poll", "127.0.0.1:5", 1764302400.5, [b"@sue"], 0)


def is_id(text: str) -> bool:
    try:
        check_client_id(text.encode())
    except (BadName, UnicodeEncodeError):
        return False
    return True


IDS = st.text(st.one_of(st.characters(), st.sampled_from("/%?#&+.:;@*<>")), min_size=1, max_size=40).filter(is_id)


def test_a_client() -> None:
    """Every connection with all that is known of it, and what waits."""
    doors = Doors()
    stream = Connection("ws", "[::1]:6", None, ["ü".encode(), b"@sue"], 1200)
    doors.lookup.clients[b"sue"] = [POLL, stream, Connection("sse", None, None, [], 0)]
    doors.lookup.waiting = 2
    answer = doors.ask(get("/api/clients/sue"))
    assert answer.status == 200
    assert answer.json() == {
        "client": "sue",
        "waiting": 2,
        "connections": [
            {
                "worker": 0,
                "transport": "poll",
                "address": "127.0.0.1:5",
                "since": "2025-11-28T04:00:00.500Z",
                "channels": ["@sue"],
                "backlog_bytes": 0,
            },
            {
                "worker": 1,
                "transport": "ws",
                "address": "[::1]:6",
                "since": None,
                "channels": ["ü", "@sue"],
                "backlog_bytes": 1200,
            },
            {"worker": 2, "transport": "sse", "address": None, "since": None, "channels": [], "backlog_bytes": 0},
        ],
    }


def test_a_client_that_is_away() -> None:
    """As long as something waits for it, it is there."""
    doors = Doors()
    doors.lookup.waiting = 1
    assert doors.ask(get("/api/clients/sue")).json() == {"client": "sue", "waiting": 1, "connections": []}


def test_nobody() -> None:
    """Not connected, and nothing waits."""
    answer = Doors().ask(get("/api/clients/sue"))
    assert (answer.status, answer.code) == (404, "not-found")
    assert answer.json()["detail"] == "this client is not connected, and nothing waits for it"


@given(IDS)
def test_every_id_has_its_path(client: str) -> None:
    """For looking and for cutting off."""
    doors = Doors()
    doors.lookup.clients[client.encode()] = [POLL]
    path = f"/api/clients/{quote(client, safe='')}"
    assert doors.ask(get(path)).json()["client"] == client
    assert doors.ask(post(f"{path}/disconnect", "")).status == 200
    assert doors.lookup.asked == [("client", client.encode())]
    assert [mailbox for mailbox, _ in doors.publisher.cut] == [b"@" + client.encode()]


def test_an_id_that_looks_like_a_request() -> None:
    """`bob/disconnect` is a client."""
    doors = Doors()
    doors.lookup.clients[b"bob/disconnect"] = [POLL]
    assert doors.ask(get("/api/clients/bob%2Fdisconnect")).json()["client"] == "bob/disconnect"
    assert doors.ask(post("/api/clients/bob%2Fdisconnect", "")).headers["allow"] == "GET, HEAD"
    assert doors.ask(get("/api/clients/bob/disconnect")).headers["allow"] == "POST"
    assert doors.publisher.cut == []


@pytest.mark.parametrize("segment", ["%20", "%00", "%ff", ".", "..", "%2e", "x" * 251])
@pytest.mark.parametrize("more", ["", "/disconnect"])
def test_what_is_no_id(segment: str, more: str) -> None:
    """It is a 400, not a client that is not there."""
    request = post if more else lambda path, body: get(path)
    answer = Doors().ask(request(f"/api/clients/{segment}{more}", ""))
    assert (answer.status, answer.code) == (400, "bad-name")


@pytest.mark.parametrize("path", ["/api/clients", "/api/clients/", "/api/clients/a/b", "/api/clients//disconnect"])
def test_paths_that_are_not_there(path: str) -> None:
    """There is no list of clients."""
    assert Doors().ask(get(path)).status == 404


def test_scopes() -> None:
    """A key that reads may look, a key that pushes may not."""
    doors = Doors()
    doors.lookup.waiting = 1
    assert doors.ask(get("/api/clients/sue", key=READ_KEY)).status == 200
    assert doors.ask(get("/api/clients/sue", key=PUSH_KEY)).code == "forbidden"
    assert doors.ask(get("/api/clients/sue", key=None)).code == "unauthorized"


def test_a_worker_that_does_not_answer() -> None:
    """A client of which a part is not known is not told."""
    doors = Doors()
    doors.lookup.failure = PeerError("overloaded", "worker 3 has not answered within 2 s")
    assert doors.ask(get("/api/clients/sue")).status == 503
