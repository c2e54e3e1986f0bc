"""Pushes at a worker's doors whose answer cannot be made: an error of ours that is logged and told as one."""

from __future__ import annotations

import json
import socket

import pytest
from twisted.logger import LogEvent, capturedLogs, formatEvent

from megacomet.kinds import IDLE
from megacomet.model.keys import Keys
from megacomet.wire.push import PushResult
from megacomet.wire.pushed import decode_pushes, encode_told

from .conftest import LoggedFailures
from .fronts import EPOCH, House

KEY = "a-key"
#: No epoch, and so no position, is anything else than ASCII.
BROKEN = b"\xff"


class End:
    """A connection to the manager that keeps boxes."""

    def __init__(self) -> None:
        self.boxes: list[bytes] = []

    def publish(self, pushes: bytes) -> None:
        self.boxes.append(pushes)


class Doors:
    """A front whose manager answers when the test says so."""

    def __init__(self, house: House, epoch: bytes = EPOCH) -> None:
        self.house = house
        self.pusher = house.pusher
        self.end = End()
        self.pusher.linked(self.end, epoch, 0, Keys([(KEY, "admin")]).pack())

    def post(self, path: str, body: bytes) -> socket.socket:
        """A client that has sent a request, and what it pushes is under way."""
        head = f"POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {KEY}\r\nX-Request-Id: r-7\r\n"
        client = self.house.send(head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.house.pump()
        return client

    def tell(self, *results: PushResult, code: str = "") -> None:
        """The manager answers the one box that it has with what became of each push in it."""
        (box,) = self.end.boxes
        numbers = [sent.number for sent in decode_pushes(box)]
        told = [encode_told(number, results, (code, "") if code else None) for number in numbers]
        self.pusher.told(b"".join(told), 1, 1)

    def failed(self, client: socket.socket, path: str, events: list[LogEvent], seen: LoggedFailures) -> None:
        """The client has the one answer that it is to have, and the log says of which request."""
        answer = self.house.read(client)
        assert answer.status == 500
        assert answer.headers["x-request-id"] == "r-7"
        problem = json.loads(answer.body)
        assert (problem["code"], problem["request_id"]) == ("internal", "r-7")
        assert problem["detail"] == problem["title"]
        lines = [str(formatEvent(event)) for event in events if event.get("log_failure") is not None]
        assert lines == [f"POST {path} failed, request r-7"]
        assert len(seen.flush()) == 1
        assert self.house.front._pushes.answered == {500: 1}
        assert self.house.front._pushes.refused == {"internal": 1}
        assert self.house.states() == [IDLE]  # and the connection serves the next one
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        self.house.turn()
        assert self.house.read(client).status == 200


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (PushResult(b"a", BROKEN, "sent"), ""),
        (PushResult(b"a", b"", "refused", code="store-full"), "no-such-code"),
        (None, "no-such-code"),
    ],
)
def test_a_push(house: House, logged_failures: LoggedFailures, result: PushResult | None, code: str) -> None:
    """The client is told that it failed, when the manager has answered and its own answer cannot be made of that."""
    doors = Doors(house)
    client = doors.post("/api/push", b'{"channel":"a","data":1}')
    with capturedLogs() as events:
        doors.tell(*([result] if result is not None else []), code=code)
    doors.failed(client, "/api/push", events, logged_failures)


@pytest.mark.parametrize("body", [b'{"channel":"a","data":1}\n', b"{}\n", b""])
def test_a_batch(house: House, logged_failures: LoggedFailures, body: bytes) -> None:
    """And so is whoever sent a batch, one that published something or nothing."""
    doors = Doors(house, epoch=BROKEN)
    client = doors.post("/api/batch", body)
    with capturedLogs() as events:
        doors.tell(PushResult(b"a", b"e1-1", "sent"))
    doors.failed(client, "/api/batch", events, logged_failures)


def test_others_have_their_answers(house: House, logged_failures: LoggedFailures) -> None:
    """What fails for one costs nobody else an answer, whose push was told with it."""
    doors = Doors(house)
    body = b'{"channel":"a","data":1}'
    head = b"POST /api/push HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"
    clients = [house.send(head % (KEY.encode(), len(body)) + body) for _ in range(3)]
    house.pump()
    (box,) = doors.end.boxes
    numbers = [sent.number for sent in decode_pushes(box)]
    results = [PushResult(b"a", id_, "sent") for id_ in (b"e1-1", BROKEN, b"e1-3")]
    doors.pusher.told(b"".join(encode_told(n, [r], None) for n, r in zip(numbers, results, strict=True)), 1, 3)
    assert [house.read(client).status for client in clients] == [200, 500, 200]
    assert len(logged_failures.flush(UnicodeDecodeError)) == 1


def test_nobody_is_there(house: House, logged_failures: LoggedFailures) -> None:
    """A client that has gone is told nothing; the log has it all the same."""
    doors = Doors(house)
    doors.post("/api/push", b'{"channel":"a","data":1}').close()
    house.turn()
    doors.tell(PushResult(b"a", BROKEN, "sent"))
    assert len(logged_failures.flush(UnicodeDecodeError)) == 1
    assert house.front._pushes.answered == {}
