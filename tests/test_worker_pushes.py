"""Pushes and batches at a worker's door: what is checked, in which order, and that every answer is the manager's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from megacomet.kinds import ENTRANCE

from .conftest import LoggedFailures
from .doors import KEY, PUSH_KEY, READ_KEY, Doors
from .fronts import request
from .lots import read_all, read_now
from .pushing import Manager, ask_one, batch, code, push, send_all, to, told

NOTHING = b"(nothing)"
MESSAGE_BYTES = 1000


# -- the usual way


def test_a_push(manager: Manager) -> None:
    """It is published by the manager and answered by the worker, which keeps nothing of it."""
    client = manager.house.send(push(to("a", {"text": "hello"})))
    assert read_now(client) == NOTHING
    manager.work()
    [answer] = told(read_now(client))
    assert (answer.status, json.loads(answer.body)) == (200, {"id": "e1-1", "status": "sent"})
    assert manager.published == [(b"a", b'{"text": "hello"}')]
    assert manager.house.link.adopted == []


def test_a_batch(manager: Manager) -> None:
    """Its lines are published in order, and it is answered at its end."""
    answer = ask_one(manager, batch(to("a"), "", to("b", 2), "nonsense", chunked=True))
    counts = json.loads(answer.body)
    [error] = counts.pop("errors")
    assert (error["line"], error["code"]) == (4, "bad-json")
    assert counts == {
        "lines": 3,
        "sent": 2,
        "queued": 0,
        "unheard": 0,
        "repeated": 0,
        "failed": 1,
        "position": "e1-2",
    }
    assert manager.published == [(b"a", b"1"), (b"b", b"2")]


def test_a_receipt(manager: Manager) -> None:
    """It is waited for where the messages are published."""
    client = manager.house.send(push(to("a"), path="/api/push?receipt=1"))
    manager.work()
    assert read_now(client) == NOTHING
    [receipt] = manager.publisher.receipts
    receipt.reported(3)
    manager.work()
    [answer] = told(read_now(client))
    assert json.loads(answer.body) == {"id": "e1-1", "status": "sent", "connections": 3}


def test_many_in_one_box(manager: Manager) -> None:
    """What comes in a turn leaves in one box, and each is answered for itself."""
    clients = [manager.house.send(push(to("a", n))) for n in range(50)]
    manager.house.clock.advance(0)
    assert manager.end is not None
    assert len(manager.end.boxes) == 1
    manager.work()
    assert [json.loads(told(read_now(client))[0].body)["id"] for client in clients] == [
        f"e1-{n + 1}" for n in range(50)
    ]


def test_a_push_to_everyone_is_noted(manager: Manager) -> None:
    """Who it was, and from where, stands in the audit log as if the manager had been asked."""
    ask_one(manager, push({"everyone": True, "data": 1}, "X-Request-Id: mine"))
    ask_one(manager, batch({"everyone": True, "data": 1}))
    note = {"action": "push-everyone", "result": "done", "key": "api-key", "address": "unix"}
    first, second = manager.audit.notes
    assert first == {**note, "request_id": "mine", "id": "e1-1"}
    assert {**second, "request_id": ""} == {**note, "request_id": "", "id": "e1-2"}


def test_the_rest_of_a_batch_to_everyone_is_noted(manager: Manager) -> None:
    """From where it came is known also when its client has gone before its last line was published."""
    lines = [to("a", n) for n in range(1000)]
    client = manager.house.send(batch(*lines, {"everyone": True, "data": 1}))
    manager.house.settle()
    client.close()
    manager.work()
    [note] = manager.audit.notes
    assert note["address"] == "unix"
    assert len(manager.published) == 1001


# -- equal to the manager


def same(raw: bytes) -> bytes:
    """An answer without what is another one each time."""
    raw = re.sub(rb"\r\nDate: [^\r]*", b"", raw)
    raw = re.sub(rb"\r\nRetry-After: \d+", b"\r\nRetry-After: 1", raw)
    return re.sub(rb"[0-9a-f]{12}-[0-9a-f]+", b"made-1", raw)


LARGE = "x" * 2000
REQUESTS = {
    "a push": push(to("a")),
    "chunked": push(to("a"), chunked=True),
    "to a client": push({"client": "sue", "data": [1, None]}),
    "to many": push({"channels": ["a", "b", "a"], "data": 1}),
    "to a list of one": push({"clients": ["sue"], "data": 1}),
    "to a full mailbox": push({"client": "full", "data": 1}),
    "to two full mailboxes": push({"clients": ["full", "full2"], "data": 1}),
    "to some that are full": push({"clients": ["sue", "full"], "data": 1}),
    "to everyone": push({"everyone": True, "data": 1}),
    "to everyone with a key that may not": push({"everyone": True, "data": 1}, key=PUSH_KEY),
    "with a key of its own": push(to("a", key="k", ttl=1.5)),
    "an id": push(to("a"), "X-Request-Id: my-1"),
    "a strange id": push(to("a"), "X-Request-Id: my 1"),
    "no JSON": push("{"),
    "no UTF-8": push(b'{"channel":"a","data":"\xff"}'),
    "nothing": push(""),
    "a wrong field": push(to("a", wrong=1)),
    "no target": push({"data": 1}),
    "two targets": push(to("a", client="b")),
    "a bad name": push(to("a b")),
    "a field twice": push('{"channel":"a","data":1,"data":2}'),
    "too deep": push('{"channel":"a","data":' + "[" * 200 + "]" * 200 + "}"),
    "data that is too large": push(to("a", LARGE)),
    "too large by its length": push(to("a"), "X: 1").replace(b"Content-Length: ", b"Content-Length: 99999999"),
    "too large, and waits": push(to("a"), "Expect: 100-continue").replace(
        b"Content-Length: ", b"Content-Length: 9999999"
    ),
    "no key": push(to("a"), key=None),
    "a wrong key": push(to("a"), key="wrong"),
    "another scheme": push(to("a"), f"Authorization: Basic {KEY}", key=None),
    "a key that may not": push(to("a"), key=READ_KEY),
    "a key that may not, and no JSON": push("{", key=READ_KEY),
    "a wrong type": push(to("a"), "Content-Type: text/plain"),
    "a wrong type without a body": push("", "Content-Type: text/plain"),
    "a type with parameters": push(to("a"), "Content-Type: Application/JSON; charset=x"),
    "a broken query": push(to("a"), path="/api/push?receipt=%zz"),
    "an unknown parameter": push(to("a"), path="/api/push?_=%ff"),
    "a broken query and a wrong field": push(to("a", wrong=1), path="/api/push?receipt=%zz"),
    "an address in full": push(to("a"), path="http://h/api/push"),
    "continue": push(to("a"), "Expect: 100-continue"),
    "continue, in capitals": push(to("a"), "Expect: 100-Continue"),
    "something else expected": push(to("a"), "Expect: more"),
    "continue, of old": push(to("a"), "Expect: 100-continue", version="1.0"),
    "continue without a body": push("", "Expect: 100-continue"),
    "of old": push(to("a"), version="1.0"),
    "of old, kept": push(to("a"), "Connection: keep-alive", version="1.0"),
    "of old, kept, refused": push("{", "Connection: keep-alive", version="1.0"),
    "the last": push(to("a"), "Connection: close"),
    "the last, refused": push("{", "Connection: close"),
    "for an EventSource": push("{", "Accept: text/event-stream"),
    "a batch": batch(to("a"), to("b")),
    "a batch in chunks": batch(to("a"), to("b"), chunked=True),
    "an empty batch": push("", path="/api/batch"),
    "an empty batch in chunks": push("", path="/api/batch", chunked=True),
    "a batch of blank lines": batch("", "", ""),
    "a batch that fails": batch("{", to("a b"), {"client": "full", "data": 1}),
    "a batch that fails in part": batch("{", to("a"), {"clients": ["full", "sue"], "data": 1}),
    "a batch with 200 errors": batch(*["{"] * 200, to("a")),
    "a batch to everyone": batch({"everyone": True, "data": 1}, to("a"), key=PUSH_KEY),
    "a batch of JSON": push(b'{"channel":"a","data":1}', "Content-Type: application/json", path="/api/batch"),
    "a batch of NDJSON": push(b'{"channel":"a","data":1}', "Content-Type: application/x-ndjson", path="/api/batch"),
    "a batch of another type": push(to("a"), "Content-Type: text/csv", path="/api/batch"),
    "a batch with a key that may not": batch(to("a"), key=READ_KEY),
    "a batch with a key that may not, and of another type": push(
        to("a"), "Content-Type: text/csv", path="/api/batch", key=READ_KEY
    ),
    "a batch without a key": batch(to("a"), key=None),
    "a batch with CRLF": push(b'{"channel":"a","data":1}\r\n\r\n{"channel":"b","data":1}', path="/api/batch"),
    "a batch of old": batch(to("a"), version="1.0"),
    "a chunk that is none": push("", path="/api/push", chunked=True).replace(b"0\r\n\r\n", b"x\r\n\r\n"),
}
#: Whose answers are known to come to the door of a stranger: there is none in front of the manager's own port.
STRANGERS = {"no key", "a wrong key", "another scheme", "a batch without a key"}


@pytest.mark.parametrize("name", REQUESTS)
def test_the_answer_is_the_manager_s(opened: Callable[..., Manager], name: str) -> None:
    """To the byte, for every kind of request; what is published is the same, and what is counted."""
    manager, doors = opened(message_bytes=MESSAGE_BYTES), Doors(message_bytes=MESSAGE_BYTES)
    for publisher in (manager.publisher, doors.publisher):
        publisher.refuse.update({b"@full": "mailbox-full", b"@full2": "mailbox-full"})
    connection = doors.connect().send(REQUESTS[name])
    while doors.clock.getDelayedCalls() and any(not c.getTime() for c in doors.clock.getDelayedCalls()):
        doors.clock.advance(0)
    client = manager.house.send(REQUESTS[name])
    manager.work()
    ours = read_now(client)
    assert same(ours) == same(connection.transport.value())
    assert manager.published == [(each.channel, each.data) for each in doors.publisher.published]
    assert [each.key for each in manager.publisher.published] == [each.key for each in doors.publisher.published]
    assert [{**note, "address": 0, "request_id": 0} for note in manager.audit.notes] == [
        {**note, "address": 0, "request_id": 0} for note in doors.audit.notes
    ]
    client.settimeout(0.0)
    try:
        is_closed = client.recv(1) == b""
    except BlockingIOError:
        is_closed = False
    assert is_closed == connection.closed


@pytest.mark.parametrize("name", ["no key", "a wrong key", "a wrong type", "too large by its length", "chunks"])
def test_an_answer_before_the_body_was_read(opened: Callable[..., Manager], name: str) -> None:
    """The client can read it, however much it goes on sending; and what it sends is no request."""
    manager = opened()
    data = (
        push("x", "Transfer-Encoding: chunked").replace(b"Content-Length: 1\r\n", b"")
        if name == "chunks"
        else REQUESTS[name]
    )
    client = manager.house.send(data)
    send_all(manager, client, b"x" * 1_000_000 + push(to("a")))
    manager.work()
    [answer] = told(read_all(client))
    assert answer.status >= 400
    assert answer.headers["connection"] == "close"
    assert manager.published == []


# -- the order of the checks


def test_the_order_for_a_push(opened: Callable[..., Manager]) -> None:
    """Of several faults it is always the first that is told: key, type, length, scope, JSON, fields, rights."""
    manager = opened(message_bytes=MESSAGE_BYTES)
    broken = {"path": "/api/push?receipt=%zz"}
    large = b"Content-Length: 9999999"
    for data, expected in (
        (push("{", "Content-Type: a/b", key="wrong", **broken).replace(b"Content-Length: ", large), "unauthorized"),
        (
            push("{", "Content-Type: a/b", key=READ_KEY, **broken).replace(b"Content-Length: ", large),
            "unsupported-media-type",
        ),
        (push("{", key=READ_KEY, **broken).replace(b"Content-Length: ", large), "too-large"),
        (push("{", key=READ_KEY, **broken), "forbidden"),
        (push("{", key=PUSH_KEY, **broken), "bad-json"),
        (push({"everyone": True, "data": 1, "x": 1}, key=PUSH_KEY, **broken), "bad-fields"),
        (push({"everyone": True, "data": 1}, key=PUSH_KEY, **broken), "forbidden"),
    ):
        assert code(ask_one(manager, data)) == expected
    assert manager.published == []


def test_the_order_for_a_batch(manager: Manager) -> None:
    """A key that may not push does not get as far as a body."""
    for data, expected in (
        (push("{", "Content-Type: a/b", key=None, path="/api/batch"), "unauthorized"),
        (push("{", "Content-Type: a/b", key=READ_KEY, path="/api/batch"), "unsupported-media-type"),
        (push("{", key=READ_KEY, path="/api/batch"), "forbidden"),
    ):
        answer = ask_one(manager, data)
        assert (code(answer), answer.headers["connection"]) == (expected, "close")


def test_a_stranger_s_answer_is_the_last(manager: Manager) -> None:
    """Without a valid key there is one request a connection, with a body or without."""
    for data in (push("", key="wrong"), push(to("a"), key=None)):
        client = manager.house.send(data + push(to("a")))
        manager.work()
        [answer] = told(read_all(client))
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert manager.published == []


def test_a_key_that_the_manager_has_revoked(manager: Manager) -> None:
    """It may hear of it before the worker does; the answer is that to any key that is not known."""
    manager.keys.replace([(READ_KEY, "admin")], ())
    client = manager.house.send(push(to("a")) + push(to("b")))
    manager.work()
    [answer] = told(read_all(client))
    assert (answer.status, answer.headers["connection"], manager.published) == (401, "close", [])
    manager.tell_keys()
    assert code(ask_one(manager, push(to("a")))) == "unauthorized"
    assert ask_one(manager, push(to("a"), key=READ_KEY)).status == 200


# -- one after the other

POLL = request("/sue.js")


def test_pushes_in_a_row(manager: Manager) -> None:
    """They are answered in their order, each published after the one before it."""
    client = manager.house.send(b"".join(push(to("a", n), f"X-Request-Id: {n}") for n in range(20)))
    manager.work()
    answers = told(read_now(client))
    assert [answer.headers["x-request-id"] for answer in answers] == [str(n) for n in range(20)]
    assert [data for _, data in manager.published] == [b"%d" % n for n in range(20)]


def test_a_push_and_a_poll(manager: Manager) -> None:
    """The poll begins to wait when the push is answered."""
    client = manager.house.send(push(to("a")) + POLL)
    assert manager.house.waiting() == []
    manager.work()
    assert len(manager.house.waiting()) == 1
    manager.house.push(b"@sue", b"7", 1)
    assert [answer.body for answer in told(read_now(client))][1:] == [b"7"]


@pytest.mark.parametrize("behind", [push(to("a")), batch(to("a"), chunked=True)])
def test_a_poll_and_a_push(manager: Manager, behind: bytes) -> None:
    """What is pushed behind a poll is looked at when the poll is answered."""
    client = manager.house.send(POLL + behind)
    manager.work()
    assert manager.published == []
    manager.house.push(b"@sue", b"7", 1)
    manager.work()
    assert [answer.status for answer in told(read_now(client))] == [200, 200]
    assert len(manager.published) == 1


def test_a_batch_and_a_push(manager: Manager) -> None:
    """Whatever stands behind a batch is no line of it."""
    for chunked in (False, True):
        client = manager.house.send(
            batch(to("a", 1), to("a", 2), chunked=chunked) + push(to("b", 3)) + batch(to("a", 4))
        )
        manager.work()
        assert [answer.status for answer in told(read_now(client))] == [200, 200, 200]
    assert [data for _, data in manager.published] == [b"1", b"2", b"3", b"4"] * 2


@pytest.mark.parametrize(
    ("refused", "is_seen"),
    [
        (push("{"), True),
        (push("", "Content-Type: a/b"), True),
        (push(to("a"), "Content-Type: a/b"), False),
        (push(to("a"), key=READ_KEY), True),
        (push("", key="wrong"), False),
        (batch("{"), True),
        (push("", chunked=True).replace(b"0\r\n\r\n", b"x\r\n\r\n"), False),
    ],
)
def test_a_push_behind_one_that_is_refused(manager: Manager, refused: bytes, is_seen: bool) -> None:
    """It is seen when the first one was read to its end, and its sender is known; else the connection has ended."""
    client = manager.house.send(refused + push(to("b")))
    manager.work()
    answers = told(read_now(client))
    assert [answer.status for answer in answers][1:] == [200] * is_seen
    assert manager.published == [(b"b", b"1")] * is_seen


def test_the_manager_s_behind_a_push(manager: Manager) -> None:
    """A request that is the manager's goes to it with the connection, when the push is answered."""
    stats = request("/api/stats", f"Authorization: Bearer {KEY}")
    client = manager.house.send(push(to("a")) + stats)
    manager.work()
    assert [answer.status for answer in told(read_now(client))] == [200]
    [(fd, unread, _, taken)] = manager.house.link.adopted
    assert unread == stats
    taken.callback({})
    assert fd not in manager.house.states()


def test_a_client_that_does_not_read(manager: Manager) -> None:
    """Its next requests are not looked at before it has its answers; all of them come in the end."""
    names = [f"{n:04}" + "x" * 200 for n in range(4000)]
    both = push({"channels": names, "data": 1}, "X-Request-Id: 1") + push(to("b"), "X-Request-Id: 2")
    client = manager.house.send(b"")
    send_all(manager, client, both)
    manager.work()
    assert len(manager.published) == 4000
    got = b""
    while not got.endswith(b'"status":"sent"}'):
        got += client.recv(1 << 16)
        manager.work()
    assert [answer.headers["x-request-id"] for answer in told(got)] == ["1", "2"]


def test_an_answer_that_is_larger_than_a_backlog(opened: Callable[..., Manager]) -> None:
    """Who pushes to 10,000 is told of each of them, however little a stream may be owed."""
    manager = opened(backlog_bytes=65_536)
    names = [f"{n:05}" + "x" * 240 for n in range(10_000)]
    client = manager.house.send(b"")
    send_all(manager, client, push({"channels": names, "data": 1}, "Connection: close"))
    manager.work()
    got = b""
    while part := client.recv(1 << 20):
        got += part
        manager.work()
    [answer] = told(got)
    assert [result["channel"] for result in json.loads(answer.body)["results"]] == names


# -- where there is no such door


def test_with_an_address_of_its_own(opened: Callable[..., Manager]) -> None:
    """With `--admin` the API is not on the public port."""
    manager = opened(admin="tcp:1")
    for data in (push(to("a")), batch(to("a"))):
        assert code(ask_one(manager, data)) == "not-found"
    assert manager.published == []


def test_at_the_original_s_ports(opened: Callable[..., Manager]) -> None:
    """There are only scripts."""
    manager = opened()
    house = manager.house
    listener = house.listener()
    house.lot.listen(listener, flags=ENTRANCE)
    client = house.connect(listener, push(to("a")))
    house.until(lambda: house.lot.accepted)
    [answer] = told(read_all(client))
    assert (answer.status, answer.headers["connection"], manager.published) == (404, "close", [])
    client.close()
    house.until(lambda: not house.rows.open)
    house.lot.stop_listening()
    house.settle()
    house.rows.kinds[listener.fileno()] = 0


@pytest.mark.parametrize("path", ["/api/push/", "/api/pus", "/api//push", "/api/batch/x", "/api/%70ush"])
def test_other_paths(manager: Manager, path: str) -> None:
    """They are the manager's, as all of the API that is not answered here."""
    manager.house.send(push(to("a"), path=path))
    [(_, _, _, taken)] = manager.house.link.adopted
    taken.callback({})
    assert manager.published == []


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS"])
def test_other_methods(manager: Manager, method: str) -> None:
    """They are the manager's to be refused."""
    manager.house.get("/api/push", f"Authorization: Bearer {KEY}", method=method)
    [(_, _, _, taken)] = manager.house.link.adopted
    taken.callback({})


# -- figures and faults


def test_counts(manager: Manager) -> None:
    """Requests are counted by status, errors by code."""
    for data in (push(to("a")), batch(to("a")), push("{"), push(to("a"), key=None), batch("{")):
        ask_one(manager, data)
    counts = manager.house.front.counts()
    assert counts["answered"] == {"200": 2, "400": 1, "401": 1, "422": 1}
    assert counts["refused"] == {"bad-json": 1, "unauthorized": 1}


@pytest.mark.parametrize(
    "data", [push(to("a"), "X-Request-Id: mine"), push(to("a"), "X-Request-Id: mine", chunked=True)]
)
@pytest.mark.parametrize("path", [b"/api/push", b"/api/batch"])
def test_an_error_of_ours(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures, data: bytes, path: bytes
) -> None:
    """500 without its inside, in the log with the request's id; a request that came whole costs no connection."""

    def broken(*_: object, **__: object) -> bool:
        raise ZeroDivisionError("a secret")

    data = data.replace(b"/api/push", path)
    with monkeypatch.context() as patched:
        patched.setattr(manager.house.pusher, "publish", broken)
        client = manager.house.send(data)
        manager.work()
        [answer] = told(read_now(client))
    assert (answer.status, answer.headers["x-request-id"]) == (500, "mine")
    assert b"secret" not in answer.body
    assert [event["request_id"] for event in logged_failures] == ["mine"]
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
    client.sendall(push(to("b")))
    manager.work()
    assert [again.status for again in told(read_now(client))] == [200]


def test_an_error_of_ours_in_the_middle_of_a_batch(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, logged_failures: LoggedFailures
) -> None:
    """500, and what still comes is dropped."""

    def broken(*_: object, **__: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(manager.house.pusher, "publish", broken)
    data = batch(to("a"), to("b"))
    client = manager.house.send(data[:-5])
    send_all(manager, client, data[-5:] + push(to("c")))
    manager.work()
    [answer] = told(read_all(client))
    assert (answer.status, answer.headers["connection"]) == (500, "close")
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
