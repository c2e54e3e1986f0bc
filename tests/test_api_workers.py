"""GET /api/workers and what may be done with a worker, at the doors."""

from __future__ import annotations

import pytest

from tests.doors import PUSH_KEY, READ_KEY, Doors, get, post


def test_the_list() -> None:
    """Every worker with all its figures; what is not known is null."""
    answer = Doors().ask(get("/api/workers", key=READ_KEY))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    first, second = answer.json()
    assert first == {
        "worker": 0,
        "state": "draining",
        "pid": 812,
        "connections": {"poll": 1, "sse": 2, "stream": 0, "ws": 4},
        "open": 9,
        "memory_bytes": 7_000_000,
        "cpu_s": 1.5,
        "cpu_share": 0.25,
        "lag_s": 0.001,
        "uptime_s": 60.0,
        "restarts": 1,
        "last_end": "it was ended by SIGKILL",
        "drain": {"per_s": 50, "left": 9},
    }
    assert list(second) == list(first)
    assert {name for name, value in second.items() if value is None} == set(first) - {"worker", "state", "restarts"}


@pytest.mark.parametrize(
    ("request_", "told", "answer"),
    [
        (post("/api/workers/1/restart", ""), ("restart", 1), {"worker": 1, "state": "restarting"}),
        (post("/api/workers/1/drain", ""), ("drain", 1, 1000), {"worker": 1, "state": "draining"}),
        (post("/api/workers/0/drain", '{"per_s":5}'), ("drain", 0, 5), {"worker": 0, "state": "draining"}),
        (get("/api/workers/0/drain", method="DELETE"), ("undrain", 0), {"worker": 0, "state": "up"}),
    ],
)
def test_acts(request_: bytes, told: tuple[object, ...], answer: dict[str, object]) -> None:
    """Each is accepted with the state that the worker is in then."""
    doors = Doors()
    found = doors.ask(request_)
    assert (found.status, found.json()) == (202, answer)
    assert doors.workers.told == [told]


@pytest.mark.parametrize("number", ["2", "99999", "x", "-1", "1.0", "%31x", "", "..", "1/1", "1%2F1"])
@pytest.mark.parametrize("act", ["restart", "drain"])
def test_who_is_not_there(number: str, act: str) -> None:
    """A number that no worker has, and what is no number, are not there."""
    doors = Doors()
    answer = doors.ask(post(f"/api/workers/{number}/{act}", ""))
    assert (answer.status, answer.code) == (404, "not-found")
    assert doors.workers.told == []


@pytest.mark.parametrize("path", ["/api/workers/1%2Frestart", "/api/workers/1%2Fdrain", "/api/workers/1/restart/"])
def test_paths_are_taken_as_they_are_sent(path: str) -> None:
    """A slash that is encoded cuts nothing, and one more slash is another path."""
    doors = Doors()
    assert doors.ask(post(path, "")).code == "not-found"
    assert doors.workers.told == []


@pytest.mark.parametrize(
    "request_",
    [
        post("/api/workers/1/restart", ""),
        post("/api/workers/1/drain", ""),
        get("/api/workers/1/drain", method="DELETE"),
    ],
)
def test_already_so(request_: bytes) -> None:
    """What is so already, or cannot be, is a conflict that says why."""
    doors = Doors()
    doors.workers.conflict = "worker 1 is drained"
    answer = doors.ask(request_)
    assert (answer.status, answer.code, answer.json()["detail"]) == (409, "conflict", "worker 1 is drained")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ('{"per_s":0}', 422, "bad-fields"),
        ('{"per_s":-5}', 422, "bad-fields"),
        ('{"per_s":1000001}', 422, "bad-fields"),
        ('{"per_s":1.5}', 422, "bad-fields"),
        ('{"per_s":"5"}', 422, "bad-fields"),
        ('{"per_s":null}', 422, "bad-fields"),
        ('{"rate":5}', 422, "bad-fields"),
        ("[]", 422, "bad-fields"),
        ("{", 400, "bad-json"),
    ],
)
def test_bad_rates(body: str, status: int, code: str) -> None:
    """A rate is a whole number from 1 on, and nothing else stands beside it."""
    doors = Doors()
    answer = doors.ask(post("/api/workers/1/drain", body))
    assert (answer.status, answer.code) == (status, code)
    assert doors.workers.told == []


def test_scopes() -> None:
    """Whoever may read sees the workers and may do nothing with them; whoever may push sees nothing."""
    doors = Doors()
    acts = [
        post("/api/workers/1/restart", "", key=READ_KEY),
        post("/api/workers/1/drain", "", key=READ_KEY),
        get("/api/workers/1/drain", method="DELETE", key=READ_KEY),
    ]
    looks = [get(path, key=PUSH_KEY) for path in ("/api/workers", "/api/config", "/api/events")]
    assert {doors.ask(one).code for one in acts + looks} == {"forbidden"}
    assert doors.workers.told == []


@pytest.mark.parametrize(
    ("path", "method", "allow"),
    [
        ("/api/workers", "DELETE", "GET, HEAD"),
        ("/api/workers/1/restart", "GET", "POST"),
        ("/api/workers/1/drain", "GET", "DELETE, POST"),
        ("/api/events", "POST", "GET, HEAD"),
        ("/api/config", "POST", "GET, HEAD"),
    ],
)
def test_methods(path: str, method: str, allow: str) -> None:
    """Another method is told which there are."""
    answer = Doors().ask(get(path, method=method))
    assert (answer.status, answer.headers["allow"]) == (405, allow)
