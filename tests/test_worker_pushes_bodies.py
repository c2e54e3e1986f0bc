"""Bodies of pushes and batches at a worker's door: cut anywhere, in chunks good and bad, too large, and waited for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from megacomet.wire.push import ENVELOPE_BYTES
from megacomet.wire.requests import CONTINUE
from megacomet.worker import pushes

from .chunked import BAD, GOOD
from .fronts import parse
from .lots import read_all, read_now
from .pushing import Manager, ask, ask_one, batch, code, push, send_all, to, told

NOTHING = b"(nothing)"
MESSAGE_BYTES = 1000


PIECES = {
    "a push": push(to("a", "x" * 30), "X-Request-Id: 1"),
    "chunks": push(to("a", "x" * 30), "X-Request-Id: 1", chunked=True),
    "a batch": push('{"channel":"a","data":1}\n\r\n{"channel":"b","data":2}', "X-Request-Id: 1", path="/api/batch"),
    "a batch in chunks": push(
        '{"channel":"a","data":1}\n{"channel":"b","data":2}', "X-Request-Id: 1", path="/api/batch", chunked=True
    ),
    "a push that fails": push('{"channel":"a","data"', "X-Request-Id: 1"),
    "a push to nobody": push("", "X-Request-Id: 1"),
}


@pytest.mark.parametrize("name", PIECES)
def test_every_cut(opened: Callable[..., Manager], name: str) -> None:
    """However a request and the one behind it are cut in two: each is answered as it is when it comes whole."""
    data = PIECES[name]
    manager = opened()
    [whole] = ask(manager, data)
    both = data + data.replace(b"Id: 1", b"Id: 2")
    for cut in range(1, len(both)):
        client = manager.house.send(both[:cut])
        manager.work()
        client.sendall(both[cut:])
        manager.work()
        first, second = told(read_now(client))
        assert (first.status, second.status) == (whole.status, whole.status)
        assert (first.headers["x-request-id"], second.headers["x-request-id"]) == ("1", "2")
        client.close()
    manager.house.settle()
    lines = whole.status == 200 and (2 if "batch" in name else 1)
    assert len(manager.published) == lines * (2 * len(both) - 1)


@pytest.mark.parametrize("name", PIECES)
def test_byte_by_byte(manager: Manager, name: str) -> None:
    """A client that sends each byte in a segment of its own."""
    [whole] = ask(manager, PIECES[name])
    client = manager.house.send(PIECES[name][:1])
    for byte in PIECES[name][1:]:
        client.sendall(bytes((byte,)))
        manager.house.turn()
    manager.work()
    [answer] = told(read_now(client))
    assert (answer.status, answer.headers) == (whole.status, {**answer.headers, "x-request-id": "1"})


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("is_bytewise", [False, True])
def test_good_chunks(manager: Manager, name: str, is_bytewise: bool) -> None:
    """Every body that the manager would take is taken, and the request behind it is seen."""
    head = push("", chunked=True).replace(b"0\r\n\r\n", b"")
    data = head + GOOD[name] + push(to("b", 2))
    if is_bytewise and len(data) > 2000:
        data = head + GOOD["trailers"] + push(to("b", 2))
    client = manager.house.send(data[:1] if is_bytewise else data)
    for byte in data[1:] if is_bytewise else b"":
        client.sendall(bytes((byte,)))
        manager.pass_turn()
        manager.house.turn()
    manager.work()
    assert [answer.status for answer in told(read_now(client))] == [200, 200]
    assert manager.published == [(b"a", b"1"), (b"b", b"2")]


@pytest.mark.parametrize("name", BAD)
def test_bad_chunks(opened: Callable[..., Manager], name: str) -> None:
    """400, and nothing of a push is published; of a batch, the lines that came whole before the fault are."""
    bad = BAD[name]
    manager = opened()
    for path in ("/api/push", "/api/batch"):
        head = push("", chunked=True, path=path).replace(b"0\r\n\r\n", b"")
        if path == "/api/batch":
            line = b'{"channel":"first","data":1}\n'
            head += b"%x\r\n%b\r\n" % (len(line), line)
        client = manager.house.send(head)
        send_all(manager, client, bad.data + push(to("a")))
        manager.work()
        [answer] = told(read_all(client))
        assert (answer.status, json.loads(answer.body)["detail"]) == (400, bad.detail)
        assert answer.headers["connection"] == "close"
    assert manager.published == [(b"first", b"1")]
    assert manager.house.front.counts()["refused"] == {"bad-request": 2}


def test_a_chunked_body_that_grows_too_large(opened: Callable[..., Manager]) -> None:
    """Without a length it is refused when it has become too large, and what was kept of it is given up."""
    manager = opened(message_bytes=MESSAGE_BYTES)
    client = manager.house.send(push("", chunked=True).replace(b"0\r\n\r\n", b""))
    send_all(manager, client, (b"10000\r\n" + b"x" * 65536 + b"\r\n") * ((ENVELOPE_BYTES + MESSAGE_BYTES) // 65536 + 1))
    manager.house.settle()
    [answer] = told(read_all(client))
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert manager.house.front._pushes._kept == 0


def test_a_body_of_the_greatest_length(opened: Callable[..., Manager]) -> None:
    """The bound is exact."""
    manager = opened(message_bytes=MESSAGE_BYTES)
    data = json.dumps(to("a")).encode()
    for chunked in (False, True):
        full = data + b" " * (ENVELOPE_BYTES + MESSAGE_BYTES - len(data))
        client = manager.house.send(b"")
        send_all(manager, client, push(full, chunked=chunked))
        manager.work()
        assert [answer.status for answer in told(read_now(client))] == [200]
        client = manager.house.send(b"")
        send_all(manager, client, push(full + b" ", chunked=chunked))
        manager.work()
        assert [answer.status for answer in told(read_all(client))] == [413]


def test_a_body_in_small_chunks(manager: Manager) -> None:
    """What is kept of it is about as large as it is, however small its chunks are."""
    head = push("", chunked=True).replace(b"0\r\n\r\n", b"")
    client = manager.house.send(head)
    client.sendall(b"2\r\nxx\r\n" * 5000)
    manager.house.settle()
    [entry] = manager.house.front._pushes._of.values()
    assert entry.size == 10_000
    assert len(entry.pieces) < 20


def test_too_many_large_pushes(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a bound for all bodies together; who is over it is told 503, and the others go on."""
    monkeypatch.setattr(pushes, "MOST_KEPT_BYTES", 100_000)
    data = push(to("a", "x" * 45_000))
    first, second, third = (manager.house.send(data[:-1]) for _ in range(3))
    manager.house.settle()
    [answer] = told(read_all(third))
    assert (code(answer), answer.headers["connection"]) == ("overloaded", "close")
    assert "retry-after" in answer.headers
    for client in (first, second):
        client.sendall(data[-1:])
        manager.work()
        assert [a.status for a in told(read_now(client))] == [200]
    assert ask_one(manager, data).status == 200


# -- 100 Continue


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("made", [push, batch])
def test_continue(manager: Manager, made: Any, chunked: bool) -> None:
    """It comes once, before the body, and the answer behind it."""
    data = made(to("a"), chunked=chunked).replace(b"Host: h", b"Host: h\r\nExpect: 100-continue")
    head, _, body = data.partition(b"\r\n\r\n")
    client = manager.house.send(head + b"\r\n\r\n")
    manager.work()
    assert read_now(client) == CONTINUE
    for part in (body[:5], body[5:]):
        client.sendall(part)
        manager.work()
    assert [answer.status for answer in told(read_now(client))] == [200]


def test_continue_behind_another_request(manager: Manager) -> None:
    """It does not overtake the answer before it."""
    waits = push(to("b"), "Expect: 100-continue").partition(b"\r\n\r\n")
    client = manager.house.send(push(to("a")) + waits[0] + waits[1])
    manager.house.settle()
    assert read_now(client) == NOTHING
    manager.work()
    first, rest = parse(read_now(client))
    assert (first.status, rest) == (200, CONTINUE)
    client.sendall(waits[2])
    manager.work()
    assert [answer.status for answer in told(read_now(client))] == [200]
