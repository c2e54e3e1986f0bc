"""A tail on a real server: it sees what is published, whichever way it comes, and takes nothing from anybody."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.event_stream import EventStream
from tests.integration.server import LINE_S, Server

ODD = "a/<b>&ü\U0001f600"


class Tail:
    """Somebody who looks at a channel."""

    def __init__(self, desk: Desk, channel: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", desk.port), LINE_S)
        path = f"/api/channels/{quote(channel, safe='')}/tail"
        key = desk.server.key
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        seen = b""
        while b"retry:" not in seen:
            seen += self._receive()
        self._stream = EventStream(seen.partition(b"\r\n\r\n")[2])

    def _receive(self) -> bytes:
        piece = self._socket.recv(65_536)
        assert piece, "the tail has ended"
        return piece

    def messages(self, count: int) -> list[dict[str, Any]]:
        """Wait for so many messages."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            for event in self._stream.receive(self._receive()):
                frame = json.loads(event.data)
                assert (event.type, frame["skipped"]) == ("messages", 0)
                found += frame["messages"]
        return found

    def ends(self) -> bool:
        """Wait for the end of the answer."""
        while self._socket.recv(65_536):
            pass
        return True

    def close(self) -> None:
        self._socket.close()


class Desk:
    """A server, and the port of its API."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port

    def ask(self, path: str, body: str | None = None) -> Any:
        """Make one request to the API, and return the JSON of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LINE_S)
        headers = {"Authorization": f"Bearer {self.server.key}"}
        connection.request("GET" if body is None else "POST", f"/api/{path}", body and body.encode(), headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        assert answer.status == 200, told
        return told

    def push(self, **push: object) -> Any:
        return self.ask("push", json.dumps(push))


@pytest.fixture(params=["by a worker", "by the manager"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """A server whose pushes are taken at the public port, by workers, or at an address of the manager's own."""
    more, port = [], 0
    if request.param == "by the manager":
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        more = [f"--admin=tcp:{port}:interface=127.0.0.1"]
    with Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1", *more) as server:
        yield Desk(server, port or server.port)


def test_a_tail(desk: Desk) -> None:
    """What is pushed, alone and in batches, with the ids that the pusher is told; it ends with the server."""
    tail, other = Tail(desk, ODD), Tail(desk, "other")
    pushed = [desk.push(channel=ODD, data={"n": n}) for n in range(3)]
    assert {told["status"] for told in pushed} == {"queued"}
    batch = "\n".join(json.dumps({"channel": ODD, "data": n, "ttl": 0}) for n in range(50))
    assert desk.ask("batch", batch)["unheard"] == 50
    told = tail.messages(53)
    assert [message["data"] for message in told] == [{"n": 0}, {"n": 1}, {"n": 2}, *range(50)]
    assert [message["id"] for message in told[:3]] == [one["id"] for one in pushed]
    history = desk.ask(f"channels/{quote(ODD, safe='')}/history")["messages"]
    assert [(one["id"], one["data"]) for one in history] == [(one["id"], one["data"]) for one in told[:3]]
    assert desk.ask(f"channels/{quote(ODD, safe='')}")["subscribers"] == 0
    desk.push(channel="other", data=1)
    assert len(other.messages(1)) == 1
    other.close()
    desk.server.stop()
    assert tail.ends()
    tail.close()


def test_a_tail_of_a_mailbox(desk: Desk) -> None:
    """The client still gets its message, whether it comes later or is there."""
    tail = Tail(desk, "@sue")
    assert desk.push(client="sue", data="waits")["status"] == "queued"
    [told] = tail.messages(1)
    assert told["data"] == "waits"
    assert desk.ask("channels/@sue")["waiting"] == 1
    assert b'"waits"' in desk.server.get("/comet/poll?client=sue&timeout=0")
    client = desk.server.connect()
    client.sendall(b"GET /comet/stream?client=sue HTTP/1.1\r\nHost: test\r\n\r\n")
    seen = b""
    while b'"op":"position"' not in seen:
        seen += client.recv(65_536)
    assert desk.push(client="sue", data="is there")["status"] == "sent"
    assert [message["data"] for message in tail.messages(1)] == ["is there"]
    while b'"is there"' not in seen:
        piece = client.recv(65_536)
        assert piece, seen
        seen += piece
    client.close()
    tail.close()
