"""Connections that go to the manager: in which order, how many, and what becomes of them when something is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from megacomet.kinds import AWAY, DRAINING
from megacomet.link import LinkRefused
from megacomet.worker.handover import HELD, UNDER_WAY

from .conftest import LoggedFailures
from .fronts import House, parse, request
from .lots import read_all, read_now

KEY = "Authorization: Bearer k"
ASKED = request("/api/clients/sue/disconnect", KEY, "Content-Length: 5", method="POST")


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "target", ["/api/push/", "/api/stats", "/api", "/api/clients/bob%2Fx", "/console/", "/metrics?x=1"]
)
def test_what_is_the_manager_s_goes_to_it(house: House, target: str) -> None:
    """With every byte that was read, the body's beginning and pipelined requests included."""
    data = request(target, KEY, "Content-Length: 5", method="POST") + b"12345" + request("/sue.js")
    house.send(data)
    [(fd, read, peer, _)] = house.link.adopted
    assert (read, peer, house.states(), is_open(fd)) == (data, b"", [AWAY], True)


def test_it_is_out_of_the_set_before_it_is_sent_and_closed_on_the_answer(house: House) -> None:
    """Nothing is read here any more; the number stays taken until the manager has it."""
    in_set: list[bool] = []
    adopt = house.link.adopt

    def looks(fd: int, head: bytes, peer: bytes) -> Any:
        try:
            house.rows.epoll.modify(fd, 0)
        except FileNotFoundError:
            in_set.append(False)
        return adopt(fd, head, peer)

    house.link.adopt = looks  # type: ignore[method-assign]
    client = house.send(ASKED)
    client.sendall(b"12345")
    house.settle()
    [(fd, read, _, answer)] = house.link.adopted
    assert (in_set, read, os.read(fd, 100)) == ([False], ASKED, b"12345")
    house.pass_s(200)
    assert is_open(fd)
    answer.callback({})
    assert (is_open(fd), house.rows.open, house.front.counts()["handed_over"]) == (False, 0, 1)


def test_when_the_link_is_lost_it_is_closed(house: House) -> None:
    """The manager may have it or not, so nothing is written."""
    client = house.send(ASKED)
    [(fd, _, _, answer)] = house.link.adopted
    house.link.up = False
    answer.errback(Failure(ConnectionDone()))
    assert (is_open(fd), read_all(client)) == (False, b"")


def test_when_the_manager_does_not_want_it(house: House) -> None:
    """It is answered 503 here, readable although the body is unread."""
    client = house.send(ASKED + b"12345")
    [(_, _, _, answer)] = house.link.adopted
    answer.errback(Failure(LinkRefused("the manager has no descriptors")))
    told, rest = parse(read_all(client))
    assert (told.status, json.loads(told.body)["detail"], rest) == (503, "the manager has no descriptors", b"")
    client.close()
    house.settle()
    assert house.rows.open == 0


def test_no_more_than_32_at_once(house: House) -> None:
    """The others wait, with their sockets, and go one by one."""
    for _ in range(UNDER_WAY + 5):
        house.send(ASKED)
    assert len(house.link.adopted) == UNDER_WAY
    for n in range(5):
        house.link.adopted[n][3].callback({})
        assert len(house.link.adopted) == UNDER_WAY + n + 1
    for *_, answer in house.link.adopted[5:]:
        answer.callback({})
    assert house.rows.open == 0


def test_no_more_than_1000_are_held(house: House) -> None:
    """One more is told 503 by the worker; polls are served meanwhile."""
    clients = [house.send(ASKED) for _ in range(HELD)]
    answer = house.ask("/api/stats", KEY)
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "overloaded")
    assert "access-control-allow-origin" not in answer.headers
    assert house.ask("/healthz").status == 200
    house.link.adopted[0][3].callback({})
    house.send(ASKED)
    assert len(house.link.adopted) == UNDER_WAY + 1
    assert len(clients) == HELD


def test_those_that_wait_when_the_link_is_lost(house: House) -> None:
    """They were never sent, so they are ours still: 503. Those under way are closed."""
    clients = [house.send(ASKED) for _ in range(UNDER_WAY + 300)]
    house.link.up = False
    for *_, answer in list(house.link.adopted):
        answer.errback(Failure(ConnectionDone()))
    answers = [read_all(client) for client in clients]
    assert answers[:UNDER_WAY] == [b""] * UNDER_WAY
    assert {parse(data)[0].status for data in answers[UNDER_WAY:]} == {503}
    for client in clients:
        client.close()
    house.settle()
    assert house.rows.open == 0


def test_without_a_link(house: House) -> None:
    """503 at once, and the connection is closed, since a body may follow."""
    house.link.up = False
    client = house.send(ASKED + b"12345")
    answer, _ = parse(read_all(client))
    assert (answer.status, answer.headers["connection"]) == (503, "close")
    assert house.link.adopted == []


def test_without_a_key(house: House) -> None:
    """401 by the worker, which pages cannot read; other paths of the manager are its to judge."""
    answer = house.ask("/api/stats")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["connection"] == "close"
    assert house.states() == [DRAINING]
    client = house.send(request("/api/clients/sue/disconnect", "Content-Length: 5", method="POST") + b"12345")
    assert parse(read_all(client))[0].headers["connection"] == "close"
    assert house.link.adopted == []
    house.get("/metrics")
    house.get("/console/")
    house.get("/api/openapi.json?x")
    house.get("/api/docs")
    assert len(house.link.adopted) == 4


@pytest.mark.parametrize("target", ["/api/stats", "/console/", "/metrics"])
def test_with_an_admin_endpoint(make: Callable[..., House], target: str) -> None:
    """There they are, and here they are not."""
    house = make(admin="tcp:8081")
    assert house.ask(target, KEY).status == 404
    assert house.link.adopted == []


def test_alternating(house: House) -> None:
    """Comet, API, comet on one connection, each by who it belongs to."""
    client = house.get("/healthz")
    assert parse(read_now(client))[0].status == 200
    client.sendall(request("/api/stats", KEY))
    house.turn()
    [(fd, read, _, answer)] = house.link.adopted
    assert read == request("/api/stats", KEY)
    theirs = os.dup(fd)
    answer.callback({})
    os.write(theirs, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert parse(read_now(client))[0].body == b"{}"
    house.front.take_back(theirs, request("/sue.js")[:20])
    client.sendall(request("/sue.js")[20:] + request("/healthz"))
    house.settle()
    assert house.link.touched == 1
    house.push(b"@sue", b"1", 1)
    house.settle()
    one, rest = parse(read_now(client))
    assert (one.body, parse(rest)[0].body) == (b"1", b"ok")


def test_while_it_stops(house: House) -> None:
    """What is under way is waited for; what is new is refused."""
    house.send(ASKED)
    gone: list[object] = []
    house.front.stop().addCallback(gone.append)
    house.pump()
    assert gone == []
    answer = house.ask("/api/stats", KEY)
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "shutting-down")
    house.link.adopted[0][3].callback({})
    house.settle()
    house.pass_s(3)
    assert gone == [None]


def test_a_failure_in_the_refusal_is_logged(house: House, logged_failures: LoggedFailures) -> None:
    """It costs that connection, and the next in the queue has its turn."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    house.front._handover._refuse = fails
    for _ in range(UNDER_WAY + 1):
        house.send(ASKED)
    house.link.adopted[0][3].errback(Failure(LinkRefused("no")))
    assert len(house.link.adopted) == UNDER_WAY + 1
    assert len(logged_failures.flush(ZeroDivisionError)) == 1
    assert house.rows.open == UNDER_WAY
