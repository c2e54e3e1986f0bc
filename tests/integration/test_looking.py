"""Channels and clients as an application sees them: a real server with several workers, of which one dies or hangs."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.server import LINE_S, Server

WORKERS = 3
CLIENTS = 24


class Desk:
    """A server that is asked on an address of the manager's own, and its clients."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        self.sockets: list[socket.socket] = []

    def ask(self, path: str, method: str = "GET", body: object = None) -> tuple[int, Any]:
        """Make one request to the API; return status and JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LINE_S)
        data = None if body is None else json.dumps(body)
        connection.request(method, f"/api/{path}", data, {"Authorization": f"Bearer {self.server.key}"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        return answer.status, told

    def listen(self, target: str) -> socket.socket:
        """Begin a stream, and wait for its first event: then it listens."""
        client = self.server.connect()
        self.sockets.append(client)
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        seen = b""
        while b'"op":"position"' not in seen and b"event: position" not in seen:
            piece = client.recv(65_536)
            assert piece, seen
            seen += piece
        return client

    def channels(self, **query: object) -> list[dict[str, Any]]:
        """Turn over all pages of a list."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            parameters = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
            status, page = self.ask(f"channels?limit=5&{parameters}{after}")
            assert status == 200, page
            found += page["channels"]
            if page["after"] is None:
                return found
            after = f"&after={quote(page['after'], safe='')}"

    def publish(self, channel: str, data: object) -> None:
        status, told = self.ask("push", "POST", {"channel": channel, "data": data})
        assert status == 200, told

    def connections(self) -> list[dict[str, Any]]:
        """Return those of all clients."""
        return [each for n in range(4) for each in self.ask(f"clients/c{n}")[1]["connections"]]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A server with three workers; clients on channels of their own and on one that all share."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    options = ("--port=0", "--interface=127.0.0.1", f"--admin=tcp:{port}:interface=127.0.0.1")
    with Server(tmp_path / "state", *options, workers=WORKERS) as server:
        desk = Desk(server, port)
        for n in range(CLIENTS):
            desk.listen(f"/comet/{'events' if n % 2 else 'stream'}?channel=all&channel=room%2F{n:02}&client=c{n % 4}")
        yield desk
        for client in desk.sockets:
            client.close()


def rooms(found: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(each["channel"], each["subscribers"]) for each in found]


def test_channels_of_all_workers(desk: Desk) -> None:
    """Turned over page by page, every channel is there once, with its subscribers on all workers."""
    every = [f"room/{n:02}" for n in range(CLIENTS)]
    assert rooms(desk.channels()) == [("*", CLIENTS), ("all", CLIENTS), *((room, 1) for room in every)]
    assert rooms(desk.channels(prefix="room/1")) == [(room, 1) for room in every[10:20]]
    assert rooms(desk.channels(prefix="@")) == [(f"@c{n}", CLIENTS // 4) for n in range(4)]
    status, told = desk.ask("channels/room%2F07")
    assert (status, told["channel"], told["subscribers"], told["messages"]) == (200, "room/07", 1, 0)


def test_a_client_on_several_workers(desk: Desk) -> None:
    """All its connections are told, as its sockets know them."""
    status, told = desk.ask("clients/c1")
    assert (status, told["waiting"]) == (200, 0)
    ports = {f"127.0.0.1:{client.getsockname()[1]}" for client in desk.sockets[1::4]}
    assert {each["address"] for each in told["connections"]} == ports
    assert {each["transport"] for each in told["connections"]} == {"sse"}
    assert sorted(each["channels"] for each in told["connections"]) == [
        ["all", f"room/{n:02}", "@c1"] for n in range(1, CLIENTS, 4)
    ]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each["since"]) for each in told["connections"])


def test_a_history_that_is_cleared(desk: Desk) -> None:
    """It is read, removed, and whoever comes back from before is told of a gap."""
    for n in range(3):
        desk.publish("<script>", {"n": n})
    path = f"channels/{quote('<script>', safe='')}/history"
    _, told = desk.ask(f"{path}?limit=2")
    assert [message["data"] for message in told["messages"]] == [{"n": 0}, {"n": 1}]
    since = told["messages"][0]["id"]
    _, told = desk.ask(f"{path}?since={told['position']}")
    assert ([message["data"] for message in told["messages"]], told["gap"]) == ([{"n": 2}], False)
    assert desk.ask(path, "DELETE") == (200, {"removed": 3})
    assert desk.ask(f"{path}?since={since}")[1]["gap"]
    answer = desk.server.get(f"/comet/poll?channel={quote('<script>', safe='')}&since={since}&timeout=0")
    assert b'"gap":true' in answer


def test_a_worker_that_is_killed(desk: Desk) -> None:
    """Its connections are gone from the answers, those of the others are all there, and nobody waits."""
    before = desk.connections()
    assert len(before) == CLIENTS
    worker = before[0]["worker"]
    desk.server.kill(f"worker {worker}")
    left = desk.connections()
    assert left == [each for each in before if each["worker"] != worker]
    assert rooms(desk.channels(prefix="room/")) == sorted((each["channels"][1], 1) for each in left)
    assert desk.ask("channels/all")[1]["subscribers"] == len(left)


def test_a_worker_that_hangs(desk: Desk) -> None:
    """Whoever asks for what it has is told so within the bound; what does not need it is answered as ever."""
    worker = desk.ask("clients/c0")[1]["connections"][0]["worker"]
    desk.server.kill(f"worker {worker}", signal.SIGSTOP)
    try:
        for path in ("channels", "clients/c0"):
            status, told = desk.ask(path)
            assert (status, told["code"]) == (503, "overloaded")
            assert told["detail"] == f"worker {worker} has not answered within 2 s"
        assert desk.ask("channels/nobody")[0] == 200
        assert desk.ask("channels/all/history")[0] == 200
    finally:
        desk.server.kill(f"worker {worker}", signal.SIGCONT)
    assert desk.ask("channels/all")[1]["subscribers"] == CLIENTS
