"""Connections by polls: one after the other, from where the last one ended."""

from __future__ import annotations

import json

import pytest

from megacomet.client.http import Http
from megacomet.client.items import Message
from megacomet.client.objects import Gone, Position
from megacomet.client.polling import LIMIT, PollConnection, PollWay
from megacomet.client.rules import POLL_S, Ending
from megacomet.client.shelf import MOST_HELD
from megacomet.client.ways import Wanted
from tests.client_wires import Ear, Line, Network

JSON = "application/json"


def polled(position: str, *numbers: int, gap: bool = False) -> bytes:
    """The body of an answer."""
    messages = [{"channel": "news", "id": f"e-{n}", "data": n} for n in numbers]
    more = {"gaps": ["news"]} if gap else {}
    return json.dumps({"position": position, "messages": messages, "gap": gap, **more}).encode()


class World:
    """Polls that were begun."""

    def __init__(self) -> None:
        self.network = Network()
        self.ear = Ear()
        self.way = PollWay(Http(self.network.reactor, self.network.place), self.network.reactor)
        self.connection: PollConnection = self.way.open(Wanted(("news",), "", ""), self.ear)
        self.line: Line = self.network.accept()

    def path(self) -> str:
        """What is asked for now; "": nothing."""
        return self.line.sent().decode().partition(" HTTP/")[0]

    def answer(self, body: bytes) -> None:
        """Answer it."""
        self.line.answer(200, JSON, body)


@pytest.fixture
def world() -> World:
    """Polls that were begun."""
    return World()


def test_follow_each_other(world: World) -> None:
    """The first one does not wait, so that the position is known; the others do, on the same connection."""
    assert world.path() == f"GET /comet/poll?channel=news&timeout=0&limit={LIMIT}"
    world.answer(polled("e-1"))
    assert world.path() == f"GET /comet/poll?channel=news&since=e-1&timeout={POLL_S}&limit={LIMIT}"
    world.answer(polled("e-3", 2, 3))
    assert world.path().partition("since=")[2].startswith("e-3&")
    world.answer(polled("e-5", 5, gap=True))
    assert world.ear.values == [
        *(Position("e-1"), Message("news", "e-2", 2), Message("news", "e-3", 3), Position("e-3")),
        *(Gone(("news",), ""), Message("news", "e-5", 5), Position("e-5")),
    ]
    assert (world.network.attempts, world.ear.flushes) == (1, 3)
    assert LIMIT <= MOST_HELD
    world.connection.close()


def test_pause(world: World) -> None:
    """A program that is slow: nothing is asked for until there is room."""
    world.connection.pause()
    world.answer(polled("e-1", 1))
    world.path()
    assert len(world.ear.values) == 2
    assert world.path() == ""
    world.connection.resume()
    assert "since=e-1" in world.path()
    world.connection.resume()
    assert world.path() == ""
    world.connection.close()


@pytest.mark.parametrize(
    ("status", "kind", "body", "ending"),
    [
        (200, "text/html", b"<html>", Ending(0, "the answer is no MegaComet's: it is text/html")),
        (204, JSON, b"", Ending(204, "status 204", 0, True)),
        (404, "text/html", b"<html>", Ending(404, "status 404")),
        (504, "text/html", b"", Ending(504, "status 504")),
        (403, "application/problem+json", b'{"code":"forbidden"}', Ending(403, "forbidden", 0, True)),
    ],
)
def test_refused(world: World, status: int, kind: str, body: bytes, ending: Ending) -> None:
    """Statuses of the server and of what stands before it."""
    world.line.answer(status, kind, body)
    assert world.ear.endings == [ending]


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"position":7}'])
def test_garbage(world: World, body: bytes) -> None:
    """JSON that is another's ends it: there is nothing to go on from."""
    world.answer(body)
    assert [(ending.code, ending.is_server_s) for ending in world.ear.endings] == [(0, False)]


def test_a_proxy_that_ends_requests(world: World) -> None:
    """What is cut off after 30 s is asked for 24 s from then on, by whatever connection."""
    world.answer(polled("e-1"))
    world.network.reactor.advance(30)
    world.line.answer(504, "text/html")
    assert [ending.code for ending in world.ear.endings] == [504]
    again = world.way.open(Wanted(("news",), "", "e-1"), Ear())
    world.line.sent()
    world.answer(polled("e-1"))
    assert "timeout=24&" in world.path()
    again.close()


@pytest.mark.parametrize("is_answered", [False, True])
def test_lost(world: World, is_answered: bool) -> None:
    """The connection goes while a poll waits."""
    if is_answered:
        world.answer(polled("e-1"))
    world.line.lose()
    assert [ending.code for ending in world.ear.endings] == [0]


@pytest.mark.parametrize("is_answered", [False, True])
def test_close(world: World, is_answered: bool) -> None:
    """Who closes it is told nothing more; the poll that waits goes."""
    if is_answered:
        world.answer(polled("e-1"))
    world.connection.close()
    assert world.line.transport.disconnecting or world.line.transport.aborting
    world.line.lose()
    assert world.ear.endings == []
    assert not world.connection.send({"op": "ping"})
    world.connection.ask()
    world.connection.resume()
