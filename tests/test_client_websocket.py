"""Connections by WebSocket: the handshake, what comes, how it ends."""

from __future__ import annotations

import pytest

from megacomet.client.items import Message
from megacomet.client.objects import Ok, Position
from megacomet.client.rules import Ending
from megacomet.client.ways import Wanted
from megacomet.client.websocket import WebSocketConnection, WebSocketWay
from tests.client_wires import Ear, Line, Network, payloads

POSITION = b'{"op":"position","position":"e-1"}'


class World:
    """A connection that was begun."""

    def __init__(self, url: str = "http://192.0.2.1:8080") -> None:
        self.network = Network(url)
        self.ear = Ear()
        way = WebSocketWay(self.network.reactor, self.network.place)
        self.connection: WebSocketConnection = way.open(Wanted(("news", "a/b&c"), "sue", "e-0"), self.ear)

    def switched(self) -> Line:
        """Have it open."""
        line = self.network.accept()
        line.switch("Sec-WebSocket-Protocol: megacomet.v1")
        line.frame(POSITION)
        line.sent()
        return line


@pytest.fixture
def world() -> World:
    """A connection that was begun."""
    return World()


def test_handshake() -> None:
    """It asks for everything in the URL, behind the path of the place, and for pings that tell the position."""
    world = World("http://192.0.2.1:8080/push/")
    sent = world.network.accept().sent().decode()
    assert sent.startswith("GET /push/comet/ws?channel=news&channel=a%2Fb%26c&client=sue&since=e-0 HTTP/1.1\r\n")
    assert "Sec-WebSocket-Protocol: megacomet.v1\r\n" in sent
    assert "Host: 192.0.2.1:8080\r\n" in sent
    assert world.network.reactor.tcpClients[0][:2] == ("192.0.2.1", 8080)


def test_values(world: World) -> None:
    """What comes is told, with the bytes of each; then that all of the read was told."""
    line = world.switched()
    line.frame(b'{"op":"message","channel":"news","id":"e-2","data":"x"}')
    line.frame(b'{"op":"ok","id":7}')
    assert world.ear.values == [Position("e-1"), Message("news", "e-2", "x"), Ok(7)]
    assert world.ear.sizes[0] == len(POSITION)
    assert world.ear.flushes == world.ear.heard_times == 4


def test_an_older_server(world: World) -> None:
    """No subprotocol, and pings as frames only: they are heard, and answered."""
    line = world.network.accept()
    line.switch()
    line.frame(POSITION)
    heard = world.ear.heard_times
    line.sent()
    line.frame(b"now", 9)
    assert world.ear.heard_times > heard
    assert payloads(line.sent()) == [(10, b"now")]


def test_garbage(world: World) -> None:
    """What is no JSON, or binary, is complained about; the connection goes on."""
    line = world.switched()
    line.frame(b"<html>")
    line.frame(b"\1\2", 2)
    line.frame(b'{"op":"weather"}')
    line.frame(POSITION)
    assert (len(world.ear.complaints), len(world.ear.values), world.ear.endings) == (2, 2, [])


def test_a_large_message(world: World) -> None:
    """A message of 1 MB."""
    line = world.switched()
    line.frame(b'{"op":"message","channel":"news","id":"e-2","data":"%b"}' % (b"x" * 1_000_000))
    assert world.ear.sizes[-1] > 1_000_000


def test_broken_frames(world: World) -> None:
    """What is no WebSocket ends the connection, as one that is broken: something between has spoilt it."""
    line = world.switched()
    line.say(b"\xff\xff\xff")
    line.lose()
    [ending] = world.ear.endings
    assert (ending.code, ending.is_server_s) == (0, False)


@pytest.mark.parametrize(
    ("status", "kind", "more", "ending"),
    [
        (401, "application/problem+json", [], Ending(401, "HTTP/1.1 401 Told", 0, True)),
        (403, "text/html", [], Ending(403, "HTTP/1.1 403 Told", 0, False)),
        (503, "application/problem+json", ["Retry-After: 4"], Ending(503, "HTTP/1.1 503 Told", 4, True)),
        (200, "text/html", [], Ending(200, "HTTP/1.1 200 Told", 0, False)),
        (426, "application/problem+json; charset=utf-8", [], Ending(426, "HTTP/1.1 426 Told", 0, True)),
    ],
)
def test_refused(world: World, status: int, kind: str, more: list[str], ending: Ending) -> None:
    """The status, and whether it is the server's own word or that of something before it: a captive portal, a proxy."""
    line = world.network.accept()
    line.answer(status, kind, b"{}", *more)
    line.lose()
    assert world.ear.endings == [ending]


def test_no_http(world: World) -> None:
    """Something else listens there."""
    line = world.network.accept()
    line.say(b"220 mail ready\r\n\r\n\r\n")
    line.lose()
    assert [ending.code for ending in world.ear.endings] == [0]


@pytest.mark.parametrize(
    ("code", "reason", "wait_s"), [(3001, "stopping retry=3", 3), (3503, "cut off", 0), (1001, "", 0), (4000, "", 0)]
)
def test_closed(world: World, code: int, reason: str, wait_s: float) -> None:
    """Code, reason and advice of a close."""
    world.switched().close(code, reason)
    [ending] = world.ear.endings
    assert (ending.code, ending.wait_s, ending.is_server_s) == (code, wait_s, True)
    assert reason in ending.reason


def test_lost(world: World) -> None:
    """A connection that just ends."""
    world.switched().lose()
    [ending] = world.ear.endings
    assert (ending.code, ending.is_server_s) == (0, False)


def test_nobody(world: World) -> None:
    """Nobody listens there."""
    world.network.refuse()
    assert [ending.code for ending in world.ear.endings] == [0]


def test_pause(world: World) -> None:
    """It is not read, and read again."""
    line = world.switched()
    world.connection.pause()
    assert line.transport.producerState == "paused"
    world.connection.resume()
    assert line.transport.producerState == "producing"


def test_requests(world: World) -> None:
    """Requests go out; a ping that asks whether the server lives, too."""
    line = world.switched()
    assert world.connection.send({"op": "subscribe", "channels": ("b",), "id": 1})
    world.connection.ask()
    assert [payload for _, payload in payloads(line.sent())] == [
        b'{"op":"subscribe","channels":["b"],"id":1}',
        b'{"op":"ping","id":0}',
    ]


class TestClose:
    """Who closes it is told nothing more."""

    def test_in_order(self, world: World) -> None:
        """It says so, and waits a second for the answer."""
        line = world.switched()
        world.connection.close()
        [(opcode, payload)] = payloads(line.sent())
        assert (opcode, payload[:2]) == (8, (1000).to_bytes(2))
        line.frame(POSITION)
        line.close(1000)
        assert (world.ear.endings, len(world.ear.values)) == ([], 1)
        assert world.network.reactor.getDelayedCalls() == []

    def test_without_an_answer(self, world: World) -> None:
        """Then the connection is dropped."""
        line = world.switched()
        world.connection.pause()
        world.connection.close()
        assert line.transport.producerState == "producing"
        world.network.reactor.advance(1)
        assert line.transport.disconnecting or line.transport.aborting
        line.lose()

    def test_while_it_opens(self, world: World) -> None:
        """Before there is a connection, and before there is an answer."""
        world.connection.close()
        assert world.ear.endings == []
        other = World()
        line = other.network.accept()
        other.connection.close()
        assert line.transport.disconnecting or line.transport.aborting
        line.lose()
        assert other.ear.endings == []

    def test_requests_then(self, world: World) -> None:
        """A request that comes too late goes nowhere."""
        line = world.switched()
        line.close(3001)
        line.sent()
        assert world.connection.send({"op": "ping"})
        assert line.sent() == b""
