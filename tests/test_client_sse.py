"""Connections by server-sent events: the request, what comes, how it ends."""

from __future__ import annotations

import pytest

from megacomet.client.http import Http
from megacomet.client.items import Message
from megacomet.client.objects import MOST_BYTES, Gone, Position
from megacomet.client.rules import Ending
from megacomet.client.sse import SseConnection, SseWay
from megacomet.client.ways import Wanted
from tests.client_wires import Ear, Line, Network

STREAM = "text/event-stream; charset=utf-8"
FIRST = b"retry: 3000\nevent: position\nid: e-1\ndata: {}\n\n"


class World:
    """A stream that was asked for."""

    def __init__(self) -> None:
        self.network = Network("http://192.0.2.1:8080/push")
        self.ear = Ear()
        way = SseWay(Http(self.network.reactor, self.network.place))
        self.connection: SseConnection = way.open(Wanted(("news",), "", "e-0"), self.ear)
        self.line: Line = self.network.accept()

    def stands(self) -> World:
        """Have it open."""
        self.line.answer(200, STREAM, FIRST, chunked=True)
        return self


@pytest.fixture
def world() -> World:
    """A stream that was asked for."""
    return World()


def test_request(world: World) -> None:
    """It asks for events, past what would keep them."""
    sent = world.line.sent().decode()
    assert sent.startswith("GET /push/comet/events?channel=news&since=e-0 HTTP/1.1\r\n")
    for header in ("Accept: text/event-stream", "Cache-Control: no-cache", "Host: 192.0.2.1:8080"):
        assert f"{header}\r\n" in sent


def test_events(world: World) -> None:
    """Position, messages, gap and pings, in pieces of any size."""
    world.stands()
    data = (
        b'id: e-2\ndata: {"channel":"news","data":1}\n\nevent: gap\nid: e-5\ndata: {"channels":["news"]}\n\n'
        b": ping\nevent: position\nid: e-9\ndata: {}\n\nevent: other\ndata: 1\n\n"
    )
    for i in range(0, len(data), 7):
        world.line.chunk(data[i : i + 7])
    assert world.ear.values == [Position("e-1"), Message("news", "e-2", 1), Gone(("news",), "e-5"), Position("e-9")]
    assert world.ear.flushes > 4
    assert world.ear.endings == []


def test_garbage(world: World) -> None:
    """An event that is none of ours is complained about; the stream goes on."""
    world.stands().line.chunk(b'id: e-2\ndata: hello\n\nid: e-3\ndata: {"channel":"news","data":2}\n\n')
    assert (len(world.ear.complaints), world.ear.values[1:]) == (1, [Message("news", "e-3", 2)])


def test_what_never_ends(world: World) -> None:
    """An event without an end ends the connection."""
    world.stands()
    for _ in range(MOST_BYTES // 1_000_000 + 1):
        world.line.chunk(b"data: " + b"x" * 999_994)
    assert [ending.code for ending in world.ear.endings] == [0]
    assert world.line.transport.disconnecting


@pytest.mark.parametrize(
    ("status", "kind", "body", "more", "ending"),
    [
        (200, "text/html", b"<html>", [], Ending(0, "the answer is no MegaComet's: it is text/html")),
        (204, "text/plain", b"", [], Ending(204, "status 204", 0, True)),
        (403, "text/html", b"<html>", [], Ending(403, "status 403")),
        (502, "text/html", b"<html>", ["Retry-After: 9"], Ending(502, "status 502", 9)),
        (
            401,
            "application/problem+json",
            b'{"code":"unauthorized","detail":"a token"}',
            [],
            Ending(401, "unauthorized: a token", 0, True),
        ),
        (429, "application/problem+json", b"{}", ["Retry-After: 3"], Ending(429, "status 429", 3, True)),
    ],
)
def test_refused(world: World, status: int, kind: str, body: bytes, more: list[str], ending: Ending) -> None:
    """Statuses of the server and of what stands before it: a captive portal, a proxy."""
    world.line.answer(status, kind, body, *more)
    assert world.ear.endings == [ending]


def test_a_portal_without_end(world: World) -> None:
    """A page that is none of ours is not read."""
    world.line.answer(200, "text/html", b"<html>", chunked=True)
    assert world.line.transport.disconnecting
    assert len(world.ear.endings) == 1


def test_redirected(world: World) -> None:
    """A front end that sends to another place is followed."""
    world.line.answer(307, "text/html", b"", "Location: http://192.0.2.2/comet/events?channel=news")
    assert world.network.reactor.tcpClients[-1][:2] == ("192.0.2.2", 80)


class TestEnd:
    """How a stream ends."""

    def test_by_the_server(self, world: World) -> None:
        """With the time to come back after."""
        world.stands().line.say(b"0\r\n\r\n")
        assert world.ear.endings == [Ending(0, "the stream has ended", 3.0, True)]

    def test_at_once(self, world: World) -> None:
        """A full server answers 200 with the time, and ends: it never stood."""
        world.line.answer(200, STREAM, b"retry: 4500\n\n")
        assert (world.ear.endings, world.ear.values) == ([Ending(0, "the stream has ended", 4.5, True)], [])

    def test_lost(self, world: World) -> None:
        """In the middle."""
        world.stands().line.lose()
        assert [(ending.code, ending.wait_s) for ending in world.ear.endings] == [(0, 3.0)]

    def test_before_the_answer(self, world: World) -> None:
        """Nothing was answered."""
        world.line.lose()
        assert [ending.code for ending in world.ear.endings] == [0]


def test_nobody() -> None:
    """Nobody listens there."""
    world = World.__new__(World)
    world.network, world.ear = Network(), Ear()
    SseWay(Http(world.network.reactor, world.network.place)).open(Wanted(("news",), "", ""), world.ear)
    world.network.refuse()
    assert [ending.code for ending in world.ear.endings] == [0]


def test_pause(world: World) -> None:
    """It is not read, and read again."""
    world.stands()
    world.connection.pause()
    assert world.line.transport.producerState == "paused"
    world.connection.resume()
    assert world.line.transport.producerState == "producing"
    assert not world.connection.send({"op": "ping"})
    world.connection.ask()


@pytest.mark.parametrize("stands", [False, True])
@pytest.mark.parametrize("is_paused", [False, True])
def test_close(world: World, stands: bool, is_paused: bool) -> None:
    """Who closes it is told nothing more, whenever; the connection goes."""
    if stands:
        world.stands()
    if is_paused:
        world.connection.pause()
    world.connection.close()
    assert world.line.transport.disconnecting or world.line.transport.aborting
    world.line.lose()
    assert world.ear.endings == []
