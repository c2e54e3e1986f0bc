"""Pushes at a worker's door whose client, manager or worker goes while they are under way: one answer, or an end."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest

from megacomet.kinds import CALLING, DRAINING, TAKING
from megacomet.publishing.batch import MAX_IN_FLIGHT
from megacomet.worker.draining import STEP_S

from .fronts import House, parse, request
from .lots import next_descriptor, read_all, read_now, reset
from .pushing import Manager, batch, code, push, send_all, to, told

NOTHING = b"(nothing)"
LINES = [to("a", n) for n in range(3)]
#: In the middle of the body, of its last byte, and of the lines of a batch.
BEGUN = {
    "a push without its body": push(to("a")).partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
    "a push": push(to("a"))[:-1],
    "a push in chunks": push(to("a"), chunked=True)[:-5],
    "a batch": batch(*LINES)[:-5],
    "a batch in chunks": batch(*LINES, chunked=True)[:-5],
}
WHOLE = {
    "a push": push(to("a")),
    "a push in chunks": push(to("a"), chunked=True),
    "a batch": batch(*LINES),
    "a batch in chunks": batch(*LINES, chunked=True),
    "a push with another behind it": push(to("a")) + push(to("b")),
}


def lines_of(name: str) -> int:
    """How many lines of what has begun came whole."""
    return {"a batch": 2, "a batch in chunks": 3}.get(name, 0)


def go(client: socket.socket, way: str) -> None:
    """Have a client go."""
    if way == "reset":
        reset(client)
    elif way == "closed":
        client.close()
    else:
        client.shutdown(socket.SHUT_WR)


def many_lines(count: int) -> bytes:
    """Return the beginning of a batch whose end is to come."""
    data = batch(*[to("a", n) for n in range(count)], "x" * 1000)
    return data[:-1000]


# -- clients


@pytest.mark.parametrize("way", ["reset", "closed", "half-closed"])
@pytest.mark.parametrize("name", BEGUN)
def test_a_client_that_goes_while_it_sends(manager: Manager, name: str, way: str) -> None:
    """Nothing of a push is published; of a batch, the lines that came whole."""
    client = manager.house.send(BEGUN[name])
    manager.house.settle()
    assert manager.house.states() == [TAKING]
    go(client, way)
    manager.work()
    assert (manager.house.states(), len(manager.published)) == ([], lines_of(name))


@pytest.mark.parametrize("way", ["reset", "closed", "half-closed"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_client_that_goes_while_the_manager_has_it(manager: Manager, name: str, way: str) -> None:
    """It is published, and the answer goes nowhere."""
    client = manager.house.send(WHOLE[name])
    manager.house.clock.advance(0)
    assert manager.house.states() == [CALLING]
    go(client, way)
    manager.house.settle()
    assert manager.house.states() == []
    manager.work()
    assert len(manager.published) == (3 if "batch" in name else 1)
    assert manager.house.front.counts()["gone"] == 1


@pytest.mark.parametrize("what", ["nothing", "a poll", "half a head", "half a body", "a push"])
@pytest.mark.parametrize("name", ["a push", "a batch in chunks"])
def test_the_next_one_under_its_number(manager: Manager, name: str, what: str) -> None:
    """An answer goes to nobody but who has asked, also when the descriptor's number is somebody else's by now."""
    house = manager.house
    client = house.send(WHOLE[name])
    house.clock.advance(0)
    fds = list(house.front._pushes._of)
    client.close()
    house.settle()
    data = {
        "nothing": b"",
        "a poll": request("/sue.js"),
        "half a head": b"GET /x",
        "half a body": push(to("b"))[:-1],
        "a push": push(to("b"), "X-Request-Id: other"),
    }[what]
    spare: list[socket.socket] = []
    while next_descriptor() < fds[0]:
        spare.append(socket.socket(socket.AF_UNIX))
    fd, other = house.pair(data)
    for each in spare:
        each.close()
    assert [fd] == fds
    manager.work()
    if what == "a push":
        [answer] = told(read_now(other))
        assert answer.headers["x-request-id"] == "other"
    else:
        assert read_now(other) == NOTHING


def test_a_client_of_a_batch_that_is_paused(manager: Manager) -> None:
    """While its lines wait for the manager nothing is read; who goes meanwhile has what it sent whole published."""
    client = manager.house.send(b"")
    send_all(manager, client, many_lines(MAX_IN_FLIGHT + 500))
    for _ in range(20):
        manager.house.clock.advance(0)
        manager.house.settle()
    client.sendall(b"never read" * 100)
    [fd] = manager.house.front._pushes._of
    assert not manager.house.rows.deadlines.is_armed(fd)
    manager.house.pass_s(1000)
    assert manager.house.states() == [TAKING]
    client.close()
    manager.house.settle()
    assert manager.house.states() == [TAKING]  # what it sent is to be read yet
    manager.work()
    assert (manager.house.states(), len(manager.published)) == ([], MAX_IN_FLIGHT + 500)


def test_who_is_silent(manager: Manager) -> None:
    """A body that does not go on is given up after the time that a connection may be idle."""
    client = manager.house.send(BEGUN["a batch in chunks"])
    manager.work()
    manager.house.pass_s(int(manager.house.settings.keep_alive_s) + 2)
    assert read_all(client) == b""
    assert manager.house.front.counts()["silent"] == 1
    assert len(manager.published) == 3


def test_a_slow_manager(manager: Manager) -> None:
    """The answer is waited for as long as it takes, and the connection goes on afterwards."""
    client = manager.house.send(push(to("a")))
    manager.house.pass_s(1000)
    assert read_now(client) == NOTHING
    manager.work()
    assert [answer.status for answer in told(read_now(client))] == [200]
    client.sendall(push(to("a")))
    manager.work()
    assert [answer.status for answer in told(read_now(client))] == [200]


# -- the link


@pytest.mark.parametrize("name", ["a push", "a push in chunks"])
def test_the_link_is_lost_while_a_push_comes(manager: Manager, name: str) -> None:
    """503 when it is complete, unless there is a link again by then; the connection goes on."""
    for is_again in (False, True):
        client = manager.house.send(BEGUN[name])
        manager.unlink()
        manager.house.settle()
        assert read_now(client) == NOTHING
        if is_again:
            manager.link()
        client.sendall(WHOLE[name][len(BEGUN[name]) :])
        manager.work()
        [answer] = told(read_now(client))
        assert answer.status == (200 if is_again else 503)
        assert "connection" not in answer.headers
        if not is_again:
            assert "retry-after" in answer.headers
            manager.link()
        client.sendall(push(to("b")))
        manager.work()
        assert [again.status for again in told(read_now(client))] == [200]
    assert len(manager.published) == 3


@pytest.mark.parametrize("is_sent", [False, True])
def test_the_link_is_lost_while_a_push_is_under_way(manager: Manager, is_sent: bool) -> None:
    """503 at once, and never a second answer, whether the manager has published it or not."""
    client = manager.house.send(push(to("a"), "X-Request-Id: 1"))
    if is_sent:
        manager.house.clock.advance(0)
        assert manager.end is not None
        manager.intake.lost()  # it publishes, and what it would tell does not arrive
        manager.intake.take(manager.end.boxes[0])
    manager.unlink()
    [answer] = told(read_now(client))
    assert (answer.status, answer.headers["x-request-id"]) == (503, "1")
    assert "may have been published" in json.loads(answer.body)["detail"]
    assert code(answer) == "overloaded"
    manager.link()
    manager.work()
    assert read_now(client) == NOTHING
    client.sendall(push(to("a")))
    manager.work()
    assert [again.status for again in told(read_now(client))] == [200]
    assert len(manager.published) == 1 + is_sent


def test_the_link_is_lost_while_a_batch_comes(manager: Manager) -> None:
    """The lines of which nobody knows, and those that come while there is no manager, are told as failed."""
    client = manager.house.send(batch(*LINES)[:-5])
    manager.house.clock.advance(0)
    manager.unlink()
    client.sendall(batch(*LINES)[-5:])
    manager.work()
    [answer] = told(read_now(client))
    counts = json.loads(answer.body)
    assert (answer.status, counts["lines"], counts["failed"]) == (422, 3, 3)
    assert {error["code"] for error in counts["errors"]} == {"overloaded"}
    manager.link()
    client.sendall(batch(*LINES))
    manager.work()
    assert [again.status for again in told(read_now(client))] == [200]


@pytest.mark.parametrize("name", ["a batch", "a batch in chunks"])
def test_the_link_is_lost_while_a_batch_is_under_way(manager: Manager, name: str) -> None:
    """It is answered at once, once."""
    client = manager.house.send(WHOLE[name])
    manager.house.clock.advance(0)
    manager.unlink()
    manager.link()
    manager.work()
    [answer] = told(read_now(client))
    assert json.loads(answer.body)["failed"] == 3


def test_the_link_is_lost_while_a_batch_is_paused(manager: Manager) -> None:
    """It goes on to its end, and tells how far it has come."""
    client = manager.house.send(b"")
    send_all(manager, client, many_lines(MAX_IN_FLIGHT + 500))
    for _ in range(20):
        manager.house.clock.advance(0)
        manager.house.settle()
    manager.unlink()
    manager.work()
    manager.link()
    client.sendall(b"x" * 1000)
    manager.work()
    [answer] = told(read_now(client))
    counts = json.loads(answer.body)
    assert (counts["lines"], counts["failed"]) == (MAX_IN_FLIGHT + 501, MAX_IN_FLIGHT + 501)
    assert len(counts["errors"]) == 100


@pytest.mark.parametrize("name", [*WHOLE, "for an EventSource"])
def test_without_a_manager(manager: Manager, name: str) -> None:
    """503 by the head, whatever its client would like to read, and what still comes is dropped."""
    data = WHOLE.get(name, push(to("a"), "Accept: application/json, text/event-stream"))
    manager.unlink()
    client = manager.house.send(data)
    send_all(manager, client, push(to("b")) * 100)
    manager.house.settle()
    [answer] = told(read_all(client))
    assert (answer.status, code(answer), answer.headers["connection"]) == (503, "overloaded", "close")
    assert "retry-after" in answer.headers
    assert not [header for header in answer.headers if header.startswith("access-control")]
    assert manager.house.front.counts()["refused"] == {"overloaded": 1}


def test_pushes_that_find_the_next_manager(manager: Manager) -> None:
    """Kept connections push on, however often the manager is another one."""
    client = manager.house.send(push(to("a")))
    for _ in range(5):
        manager.unlink()
        manager.link()
        client.sendall(push(to("a")))
        manager.work()
    answers = told(read_now(client))
    assert [answer.status for answer in answers] == [503, 200, 200, 200, 200, 200]


# -- the worker's end


@pytest.mark.parametrize("name", BEGUN)
def test_a_stop_while_a_body_comes(manager: Manager, name: str) -> None:
    """It is given up without an answer: its client knows then that the request was not taken."""
    house = manager.house
    client = house.send(BEGUN[name])
    manager.work()
    gone: list[object] = []
    house.front.stop().addCallback(gone.append)
    manager.work()
    assert (read_all(client), gone) == (b"", [None])
    assert len(manager.published) == lines_of(name)


def test_a_stop_while_a_batch_is_paused(manager: Manager) -> None:
    """The lines that were read are published, and nobody hangs."""
    house = manager.house
    client = house.send(b"")
    send_all(manager, client, many_lines(MAX_IN_FLIGHT + 500))
    for _ in range(20):
        house.clock.advance(0)
        house.settle()
    gone: list[object] = []
    house.front.stop().addCallback(gone.append)
    manager.work()
    assert (read_all(client).removesuffix(b"(reset)"), gone) == (b"", [None])
    assert MAX_IN_FLIGHT <= len(manager.published) <= MAX_IN_FLIGHT + 500


@pytest.mark.parametrize("name", WHOLE)
def test_a_stop_while_the_manager_has_it(manager: Manager, name: str) -> None:
    """The answer is given, and is the last; the worker waits for it."""
    house = manager.house
    client = house.send(WHOLE[name])
    gone: list[object] = []
    house.front.stop().addCallback(gone.append)
    for _ in range(3):
        house.clock.advance(0)
        house.settle()
    assert (read_now(client), gone) == (NOTHING, [])
    manager.work()
    [answer] = told(read_all(client))
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    client.close()
    house.settle()
    house.pass_s(1)
    house.pump()
    assert gone == [None]


def test_a_stop_while_the_link_is_lost(manager: Manager) -> None:
    """Even then nobody waits for an answer that cannot come."""
    house = manager.house
    client = house.send(push(to("a")))
    house.front.stop()
    house.pump()
    manager.unlink()
    [answer] = told(read_all(client))
    assert (answer.status, answer.headers["connection"]) == (503, "close")
    house.pass_s(1)
    house.pump()
    assert house.front.stop().called


@pytest.mark.parametrize("behind", [b"", push(to("b")), b"POST /api"])
def test_a_stop_while_an_answer_is_on_its_way(manager: Manager, behind: bytes) -> None:
    """It arrives whole; what was asked behind it is not answered."""
    house = manager.house
    names = [f"{n:04}" + "x" * 200 for n in range(3000)]
    client = house.send(b"")
    send_all(manager, client, push({"channels": names, "data": 1}) + behind)
    manager.work()
    house.front.stop()
    house.pump()
    got = b""
    while part := client.recv(1 << 16):
        got += part
        house.settle()
    answer, rest = parse(got)
    assert (len(json.loads(answer.body)["results"]), rest) == (3000, b"")
    client.close()
    house.settle()
    house.pass_s(1)
    house.pump()
    assert house.front.stop().called


def test_a_push_in_the_middle_of_a_stop(manager: Manager) -> None:
    """One whose answer and next request cross: it is told that the server goes, and the connection ends."""
    house = manager.house
    client = house.send(push(to("a")) + push(to("b")))
    house.clock.advance(0)
    assert manager.end is not None
    manager.take()
    assert [answer.status for answer in told(read_now(client))] == [200]
    house.front.stop()
    house.pump()
    house.settle()
    [answer] = told(read_all(client))
    assert (answer.status, code(answer), answer.headers["connection"]) == (503, "shutting-down", "close")
    assert len(manager.published) == 1


def test_refused_and_still_sending_at_a_stop(manager: Manager) -> None:
    """A client that was refused has its time to read why, and no more."""
    house = manager.house
    client = house.send(push(to("a"), key="wrong"))
    assert house.states() == [DRAINING]
    house.front.stop()
    house.pump()
    house.pass_s(4)
    house.pump()
    assert house.front.stop().called
    assert parse(read_all(client))[0].status == 401


def drain(house: House, seconds: int = 2) -> None:
    """Let seconds of a drain pass."""
    for _ in range(seconds):
        house.pass_s(1)
        for _ in range(round(1 / STEP_S)):
            house.clock.advance(STEP_S)
            house.settle()


@pytest.mark.parametrize("name", ["a push", "a batch", "a batch in chunks"])
def test_a_drain_while_a_body_comes(manager: Manager, name: str) -> None:
    """Nobody is refused: it comes to its end, is answered, and its connection goes then."""
    client = manager.house.send(BEGUN[name])
    manager.house.front.draining.begin(100_000)
    drain(manager.house)
    assert manager.house.states() == [TAKING]
    client.sendall(WHOLE[name][len(BEGUN[name]) :])
    manager.work()
    assert [answer.status for answer in told(read_now(client))] == [200]
    drain(manager.house)
    assert read_all(client) == b""


def test_a_drain_while_the_manager_has_it(opened: Callable[..., Manager]) -> None:
    """It is waited for; who pushes on without a pause is told that the next answer is the last."""
    manager = opened()
    client = manager.house.send(push(to("a")))
    manager.house.front.draining.begin(100_000)
    for _ in range(5):
        manager.house.pass_s(1)
    assert read_now(client) == NOTHING
    client.sendall(push(to("b")) + push(to("c")))
    manager.work()
    first, second = told(read_all(client))
    assert [first.status, second.status, second.headers["connection"]] == [200, 200, "close"]
    assert [channel for channel, _ in manager.published] == [b"a", b"b"]
    client.close()
    drain(manager.house)


def test_everybody_at_once(manager: Manager) -> None:
    """In every state a connection can be in, at a stop: all that was taken is answered, all else ends."""
    house = manager.house
    begun = [house.send(data) for data in BEGUN.values()]
    whole = [house.send(data) for data in WHOLE.values()]
    refused = house.send(push(to("a"), key=None))
    idle = house.send(b"")
    asked = house.send(push(to("a"))[:10])
    poll = house.send(request("/sue.js") + push(to("a")))
    house.front.stop()
    manager.work()
    assert [read_all(client) for client in (*begun, idle, asked)] == [b""] * (len(begun) + 2)
    assert {parse(read_all(client))[0].status for client in whole} == {200}
    assert [parse(read_all(client))[0].status for client in (refused, poll)] == [401, 204]
    for client in house.sockets:
        client.close()
    house.pass_s(3)
    house.pump()
    assert house.front.stop().called
