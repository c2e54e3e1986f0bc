"""What changes something is in the audit log, with what it was; what was refused is not."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from megacomet.model.views import PastMessage

from .doors import PUSH_KEY, READ_KEY, Doors, get, post

ACTS = [
    (get("/api/channels/a%2Fb/history", method="DELETE"), "clear-history", {"channel": "a/b", "removed": 1}),
    (post("/api/workers/1/restart", ""), "restart-worker", {"worker": 1}),
    (post("/api/workers/1/drain", '{"per_s":50}'), "drain-worker", {"worker": 1, "per_s": 50}),
    (get("/api/workers/1/drain", method="DELETE"), "undrain-worker", {"worker": 1}),
]


def doors_with_history() -> Doors:
    """Return doors to a channel of which a message is kept."""
    doors = Doors()
    doors.lookup.past = [PastMessage(b"e1-1", b"1", 0.0)]
    return doors


@pytest.mark.parametrize(("request_", "action", "noted"), ACTS)
def test_what_was_done_is_noted(request_: bytes, action: str, noted: dict[str, object]) -> None:
    """The key, the request and what was done stand in one line."""
    doors = doors_with_history()
    answer = doors.ask(request_)
    assert answer.status in (200, 202)
    [note] = doors.audit.notes
    request_id = answer.headers["x-request-id"]
    who = {"key": "api-key", "address": note["address"], "request_id": request_id, "result": "done"}
    assert note == {"action": action, **who, **noted}


@pytest.mark.parametrize(("request_", "action", "noted"), ACTS)
def test_what_was_refused_is_not(request_: bytes, action: str, noted: dict[str, object]) -> None:
    """Nothing was changed: by a key that may not, and where it cannot be."""
    doors = doors_with_history()
    own = f"Bearer {READ_KEY}".encode()
    assert doors.ask(request_.replace(b"Bearer a-key-for-tests", own)).status == 403
    assert doors.ask(request_.replace(b"Bearer a-key-for-tests", f"Bearer {PUSH_KEY}".encode())).status == 403
    doors.workers.conflict = "it is so already"
    if "worker" in noted:
        assert doors.ask(request_).status == 409
    assert doors.audit.notes == []


def test_nobody_waits_any_more() -> None:
    """A client that goes away before the answer does not take the line with it."""
    doors = doors_with_history()
    doors.lookup.late = Deferred()
    connection = doors.connect().send(ACTS[0][0])
    connection.lose()
    assert doors.audit.notes == []
    doors.lookup.late.callback(None)
    assert [(note["action"], note["removed"]) for note in doors.audit.notes] == [("clear-history", 1)]
