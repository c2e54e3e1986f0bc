"""A worker's front that publishes: a real lot, and behind the pusher the manager's own intake on a publisher in memory.

A box that the worker sends stays on its way until the test lets the manager take it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections import deque
from typing import Any, Final

from megacomet.manager.intake import Intake
from megacomet.model.keys import Keys
from megacomet.publishing.publisher import Publisher
from tests.doors import KEY, PUSH_KEY, READ_KEY, FakeAudit, FakePressure, FakePublisher
from tests.fronts import EPOCH, Answer, House, parse
from tests.lots import PATIENCE_S, read_now

SCOPES: Final = [(KEY, "admin"), (PUSH_KEY, "push"), (READ_KEY, "read")]


class End:
    """The worker's end of a link: boxes on their way."""

    def __init__(self) -> None:
        self.boxes: deque[bytes] = deque()

    def publish(self, pushes: bytes) -> None:
        """Send a box."""
        self.boxes.append(pushes)


class Manager:
    """The manager of a house: takes boxes when it is told to.

    Attributes:
        publisher: has all that was published.
        keys: those of the manager; what the worker knows of them it was told by `link` and `tell_keys`.
    """

    def __init__(self, house: House) -> None:
        self.house = house
        self.publisher = FakePublisher()
        self.pressure = FakePressure()
        self.audit = FakeAudit()
        self.keys = Keys(SCOPES)
        clock = house.clock
        most = house.settings.message_bytes
        self.pushing = Publisher(self.publisher, self.pressure, self.audit, clock, clock.seconds, most)
        self.end: End | None = None
        self.broken = 0
        self.link()

    def link(self) -> None:
        """A link stands."""
        self.end = End()
        self.intake = Intake(self.pushing, self.keys, self._tell, self._broken)
        self.house.link.up = True
        self.house.pusher.linked(self.end, EPOCH, self.publisher.head, self.keys.pack())

    def unlink(self) -> None:
        """It is lost, with the boxes that are on their way."""
        assert self.end is not None
        self.end = None
        self.intake.lost()
        self.house.link.up = False
        self.house.pusher.unlinked()

    def tell_keys(self) -> None:
        """The worker hears what the keys are now."""
        self.house.pusher.keys.unpack(self.keys.pack())

    def take(self) -> int:
        """Take the boxes that are on their way; return how many there were."""
        assert self.end is not None
        count = 0
        while self.end.boxes:
            count += 1
            self.intake.take(self.end.boxes.popleft())
        return count

    def work(self) -> None:
        """Let all go on until nothing is left to be done, but for what is late."""
        for _ in range(10_000):
            self.house.settle()
            if not self.pass_turn():
                return
        raise AssertionError("it goes on for ever")

    def pass_turn(self) -> bool:
        """Let one turn go by in both; tell whether there was anything to be done."""
        clock = self.house.clock
        due = [call for call in clock.getDelayedCalls() if call.getTime() <= clock.seconds()]
        clock.advance(0)
        return bool(due) | bool(self.end is not None and self.take())

    def _tell(self, told: bytes, boxes: int) -> None:
        self.house.pusher.told(told, boxes, self.publisher.head)

    def _broken(self) -> None:
        self.broken += 1

    @property
    def published(self) -> list[tuple[bytes, bytes]]:
        """What was published: channel and data."""
        return [(each.channel, each.data) for each in self.publisher.published]


def push(
    body: bytes | str | dict[str, Any],
    *headers: str,
    path: str = "/api/push",
    key: str | None = KEY,
    version: str = "1.1",
    chunked: bool = False,
) -> bytes:
    """Return a request that pushes; `chunked`: in two chunks."""
    if isinstance(body, dict):
        body = json.dumps(body)
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"POST {path} HTTP/{version}", "Host: h", *headers]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        half = len(raw) // 2
        raw = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (raw[:half], raw[half:]) if part) + b"0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(raw)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def batch(*lines: dict[str, Any] | str, chunked: bool = False, key: str | None = KEY, version: str = "1.1") -> bytes:
    """Return a request that pushes many."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return push("\n".join(texts) + "\n", path="/api/batch", chunked=chunked, key=key, version=version)


def to(channel: str, data: Any = 1, **fields: Any) -> dict[str, Any]:
    """Return a push to a channel."""
    return {"channel": channel, "data": data, **fields}


def told(data: bytes) -> list[Answer]:
    """The answers in what a client has read; `100 Continue` is one of them."""
    answers = []
    while data:
        answer, data = parse(data)
        answers.append(answer)
    return answers


def code(answer: Answer) -> str:
    """The code of a problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer
    return str(json.loads(answer.body)["code"])


def descriptors() -> set[str]:
    """The open sockets of this process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the list itself
            found.add(os.readlink(f"/proc/self/fd/{name}"))
    return {target for target in found if target.startswith("socket:")}


def check_nothing_left(house: House) -> None:
    """End all clients, and check that nothing of them is left: no request, no row, no byte, no descriptor."""
    for client in house.sockets:
        client.close()
    house.settle()
    rows, door = house.rows, house.front._pushes
    left = {fd: kind for fd, kind in enumerate(rows.kinds) if kind}
    assert left == {}
    assert (door._of, door._kept) == ({}, 0)
    assert (rows.open, rows.unread, rows.backlogs, rows.owed) == (0, {}, {}, 0)
    assert not [fd for fd in range(len(rows.kinds)) if rows.deadlines.is_armed(fd)]


def ask(manager: Manager, data: bytes) -> list[Answer]:
    """Send something on a connection of its own, let all go on, and return what was answered."""
    client = manager.house.send(data)
    manager.work()
    return told(read_now(client))


def ask_one(manager: Manager, data: bytes) -> Answer:
    """The same, where there is one answer."""
    [answer] = ask(manager, data)
    return answer


def send_all(manager: Manager, client: socket.socket, data: bytes) -> None:
    """Send more than fits into the kernel; what cannot be sent any more is not."""
    client.setblocking(False)
    view = memoryview(data)
    while view:
        try:
            view = view[client.send(view) :]
        except BlockingIOError:
            manager.house.settle()
        except OSError:
            break
    client.settimeout(PATIENCE_S)
