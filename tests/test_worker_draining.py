"""A drained worker, as its clients see it: they go at the rate, in order, and lose nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest

from megacomet.kinds import ENTRANCE
from megacomet.wire import frames
from megacomet.worker.draining import ARREARS_S, LOOKS, STEP_S

from .fronts import House, parse, request
from .lots import read_all, read_now
from .socket_clients import HANDSHAKE, NOTHING, SocketClient

FAST = 100_000


def steps(house: House, count: int = 1) -> None:
    """Let steps pass, and the turns that they ask for."""
    for _ in range(count):
        house.clock.advance(STEP_S)
        while any(call.getTime() <= house.clock.seconds() for call in house.clock.getDelayedCalls()):
            house.clock.advance(0)
        house.settle()


def seconds(house: House, count: int = 1) -> None:
    """Let seconds pass."""
    for _ in range(count):
        house.pass_s(1)
        steps(house, round(1 / STEP_S))


def test_everybody_goes_in_order(house: House) -> None:
    """Polls get what is at hand, an EventSource is told when to come back, a WebSocket 3011, idle ones the end."""
    plain, poll = house.get("/a.js"), house.get("/comet/poll?channel=c&timeout=900")
    events, lines = house.get("/comet/events?channel=c"), house.get("/comet/stream?channel=c")
    house.pages(head=3)
    for client in (events, lines):
        client.recv(1 << 16)
    sockets = SocketClient(house)
    sockets.frames()
    _, idle = house.pair()
    house.front.draining.begin(FAST)
    steps(house)
    assert [parse(read_all(client))[0].headers["connection"] for client in (plain, poll)] == ["close", "close"]
    assert read_all(events).split(b"\r\n")[1].startswith(b"retry: ")
    assert read_all(lines) == b"0\r\n\r\n"
    assert sockets.ended() == (3011, b"reconnect asked for")
    assert read_all(idle) == b""
    assert house.waiting() == []


def test_the_manager_hears_who_went(house: House) -> None:
    """It is told in the same turn, so that it sends nothing more here."""
    house.get("/a.js")
    house.turn()
    house.told()
    touched = house.link.touched
    house.front.draining.begin(FAST)
    steps(house)
    assert house.link.touched > touched
    assert [frame.kind for frame in house.told()] == [frames.LEAVE]


def test_a_stream_gets_what_is_due_to_it_first(house: House) -> None:
    """What has come for it is in front of its end."""
    client = house.get("/comet/stream?channel=c")
    house.pages(head=3)
    client.recv(1 << 16)
    house.queue(frames.encode(frames.MESSAGE, offset=4, channel=b"c", data=b'"late"'), head=4)
    house.hub.work(lambda: True)
    house.front.draining.begin(FAST)
    steps(house)
    assert b'"late"' in read_all(client)


@pytest.mark.parametrize(("per_s", "after_1_s"), [(1, 1), (20, 20), (50, 50), (1000, 60)])
def test_the_rate(house: House, per_s: int, after_1_s: int) -> None:
    """So many go in a second, and not more."""
    for n in range(60):
        house.get(f"/c{n}.js")
    house.front.draining.begin(per_s)
    steps(house, round(1 / STEP_S))
    gone = 60 - len(house.waiting())
    assert after_1_s - 1 <= gone <= after_1_s
    assert house.front.counts()["drain"] == {"per_s": per_s, "left": 60 - gone}


def test_a_late_step_does_not_make_up_for_all(house: House) -> None:
    """A worker that was busy for a minute does not let a minute's connections go at once."""
    for n in range(60):
        house.get(f"/c{n}.js")
    house.front.draining.begin(100)
    house.clock.advance(60)
    assert len(house.waiting()) == 60 - 100 * ARREARS_S


def test_more_than_a_slice(house: House) -> None:
    """Many go in several turns of one step, and a large table is looked through in several."""
    for n in range(300):
        house.get(f"/c{n}.js")
    house.rows.grow(3 * LOOKS)
    house.front.draining.begin(FAST)
    steps(house)
    assert house.waiting() == []
    steps(house, 4)
    assert house.clock.getDelayedCalls() == []


def test_nobody_new_and_nobody_refused(house: House) -> None:
    """The door is shut when those before it are in; who is inside is served, and goes with the answer."""
    listener = house.listener()
    house.lot.listen(listener)
    _, idle = house.pair()
    queued = house.connect(listener, request("/sue.js"))
    house.front.draining.begin(1)
    house.settle()
    with pytest.raises(ConnectionRefusedError):
        house.connect(listener)
    idle.sendall(request("/tom.js"))
    house.until(lambda: len(house.waiting()) == 2)
    house.push(b"@sue", b"1", 1)
    house.push(b"@tom", b"2", 2)
    answers = [parse(read_all(client))[0] for client in (queued, idle)]
    assert [(answer.body, answer.headers["connection"]) for answer in answers] == [(b"1", "close"), (b"2", "close")]


def test_undo(house: House) -> None:
    """It listens again, and those who are still there stay."""
    listener = house.listener()
    house.lot.listen(listener, flags=ENTRANCE)
    stays = house.get("/a.js")
    house.front.draining.begin(1)
    house.settle()
    house.front.draining.undo()
    seconds(house, 5)
    assert read_now(stays) == NOTHING
    client = house.connect(listener, request("/sue.js"))
    house.until(lambda: len(house.waiting()) == 2)
    house.push(b"@sue", b"1", 1)
    assert parse(read_all(client))[0].body == b"1"
    assert house.front.counts()["drain"] is None


def test_a_head_in_pieces_is_waited_for(house: House) -> None:
    """Half a request is not thrown away: it is answered, as the last one."""
    client = house.send(b"GET /sue.js HTTP/1.1\r\n")
    house.front.draining.begin(FAST)
    seconds(house, 2)
    assert read_now(client) == NOTHING
    client.sendall(b"Host: h\r\n\r\n")
    house.until(house.waiting)
    seconds(house)
    answer = parse(read_all(client))[0]
    assert (answer.status, answer.headers["connection"]) == (204, "close")


@pytest.mark.parametrize("target", ["/comet/events?channel=c", "/comet/stream?channel=c"])
def test_a_stream_begins_before_it_ends(house: House, target: str) -> None:
    """One whose first page is under way gets it, and goes in the next round."""
    client = house.get(target)
    house.front.draining.begin(FAST)
    seconds(house)
    assert read_now(client) == NOTHING
    house.pages(head=3)
    seconds(house)
    data = read_all(client)
    assert data.startswith(b"HTTP/1.1 200 OK")
    assert b"e1-3" in data


def test_a_question_is_answered_before_the_end(make: Callable[..., House]) -> None:
    """A WebSocket whose request is under way gets its answer; one that asks all the time does not stay for that."""
    house = make(client_publish=True)
    client, busy = SocketClient(house), SocketClient(house)
    for each in (client, busy):
        each.frames()
        each.say({"op": "publish", "channel": "a", "data": 1, "id": 1})
    [publish, _] = [frame for frame in house.told() if frame.kind == frames.PUBLISH]
    house.front.draining.begin(FAST)
    steps(house)
    house.box(frames.encode(frames.PUBLISHED, number=publish.number, offset=4), head=4)
    assert client.objects() == [{"op": "ok", "id": 1, "message": "e1-4"}]
    seconds(house)
    assert client.ended()[0] == busy.ended()[0] == 3011


def test_an_answer_on_its_way_arrives_whole(house: House) -> None:
    """Who reads slowly is not cut off; it goes behind its answer, and counts once."""
    client = house.get("/sue.js")
    house.push(b"@sue", b'"%b"' % (b"x" * 500_000), 1)
    house.front.draining.begin(FAST)
    seconds(house, 3)
    got = b""
    while part := client.recv(1 << 16):
        got += part
        house.settle()
    assert len(parse(got)[0].body) == 500_000


def test_a_stop_while_it_is_drained(house: House) -> None:
    """The stop takes over."""
    client = house.get("/comet/poll?channel=c&timeout=900")
    house.pages(head=3)
    house.front.draining.begin(1)
    gone: list[object] = []
    house.front.stop().addCallback(gone.append)
    house.pump()
    assert json.loads(parse(read_all(client))[0].body)["messages"] == []
    assert gone == [None]
    assert house.front.counts()["drain"] is None


def test_it_is_told_when_nobody_is_left(house: House) -> None:
    """Once, in the turn in which the last one has gone; and at once where nobody was."""
    listener = house.listener()
    house.lot.listen(listener)
    client = house.get("/comet/stream?channel=c")
    house.pages(head=3)
    gone: list[int] = []
    house.front.draining.begin(FAST, is_succeeded=True, gone=lambda: gone.append(1))
    steps(house)
    assert house.front.counts()["drain"] is None
    assert gone == []
    house.connect(listener)
    read_all(client)
    client.close()
    house.settle()
    assert gone == [1]
    seconds(house, 2)
    assert gone == [1]
    house.front.draining.begin(FAST, gone=lambda: gone.append(2))
    assert gone == [1, 2]


def test_who_resumes_elsewhere_misses_nothing(make: Callable[..., House]) -> None:
    """A poll that was let go has a position, from which another worker goes on."""
    one, other = make(), make()
    client = one.get("/comet/poll?channel=c&timeout=900")
    one.pages(head=3)
    one.front.draining.begin(FAST)
    steps(one)
    position = json.loads(parse(read_all(client))[0].body)["position"]
    assert position == "e1-3"
    again: socket.socket = other.get(f"/comet/poll?channel=c&timeout=900&since={position}")
    other.pages((b"c", b"1", 4), head=4)
    assert [message["data"] for message in json.loads(other.read(again).body)["messages"]] == [1]


def test_late_subscriber(house: House) -> None:
    """A WebSocket that subscribes to more while it is drained is let go as well."""
    client = SocketClient(house)
    client.frames()
    client.say({"op": "subscribe", "channels": ["more"], "since": "e1-1", "id": 1})
    house.front.draining.begin(FAST)
    seconds(house, 2)
    assert client.ended()[0] == 3011


def test_handshake_is_the_last(house: House) -> None:
    """Who opens a WebSocket on a connection that is still here gets it, and is let go."""
    _, client = house.pair()
    house.front.draining.begin(1)
    client.sendall(request("/comet/ws?channel=news", *HANDSHAKE))
    house.until(house.waiting)
    house.pages(head=3)
    assert client.recv(1 << 16).startswith(b"HTTP/1.1 101")
    seconds(house, 2)
    assert b"reconnect asked for" in read_all(client)
