"""Whatever clients, the link and the manager do: every request of a client that stays has one answer, in its order."""

from __future__ import annotations

import json
import socket
from collections import Counter
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megacomet.worker.pushes import Pushes

from .doors import READ_KEY
from .fronts import Answer, House, request
from .lots import read_now, reset
from .pushing import Manager, batch, check_nothing_left, push, to, told

NOTHING: Final = b"(nothing)"
#: By kind of request: the statuses that it may have. 503 is that of a link that is lost, or that is not there.
STATUSES: Final = {
    "push": {200, 503},
    "many": {200, 503},
    "last": {200, 503},
    "no JSON": {400, 503},
    "a wrong type": {415, 503},
    "may not": {403, 503},
    "a stranger": {401, 503},
    "a bad chunk": {400, 503},
    "batch": {200, 422, 503},
    "health": {200, 503},
}


class Asked:
    """A request: its id, its kind, and what it publishes when it is taken."""

    def __init__(self, number: int, kind: str, chunked: bool, lines: int) -> None:
        self.id, self.kind = f"r{number}", kind
        self.tokens = [f"{self.id}.{n}" for n in range(lines if kind in ("batch", "many") else 1)]
        header = f"X-Request-Id: {self.id}"
        one = to("a", self.tokens[0] if self.tokens else "")
        self.data = {
            "push": lambda: push(one, header, chunked=chunked),
            "many": lambda: push(
                {"channels": [f"c{t}" for t in ["0", *self.tokens]], "data": one}, header, chunked=chunked
            ),
            "last": lambda: push(one, header, "Connection: close", chunked=chunked),
            "no JSON": lambda: push("{", header, chunked=chunked),
            "a wrong type": lambda: push(one, header, "Content-Type: a/b", chunked=chunked),
            "may not": lambda: push(one, header, key=READ_KEY, chunked=chunked),
            "a stranger": lambda: push(one, header, key="wrong", chunked=chunked),
            "a bad chunk": lambda: push("", header, chunked=True).replace(b"0\r\n\r\n", b"5\r\n12345x"),
            "batch": lambda: batch(*[to("a", token) for token in self.tokens], chunked=chunked).replace(
                b"Host: h", b"Host: h\r\n" + header.encode()
            ),
            "health": lambda: request("/healthz"),
        }[kind]()
        if kind not in ("push", "last", "batch"):
            self.tokens = []


class Client:
    """A client: what it has asked for, what of that it has still to send, what it has read."""

    def __init__(self, world: World) -> None:
        _, self.socket = world.house.pair()
        self.asked: list[Asked] = []
        self.unsent = b""
        self.got = b""
        self.stays = True

    def send(self, count: int) -> None:
        """Send some of what is unsent; a client whose connection has ended sends no more."""
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent[:count], socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            pass
        except OSError:
            self.unsent = b""

    def read(self) -> None:
        """Read what is there."""
        try:
            data = read_now(self.socket)
        except ConnectionError:
            return
        self.got += b"" if data == NOTHING else data

    def go(self, is_reset: bool) -> None:
        """Go away."""
        self.stays = False
        if is_reset:
            reset(self.socket)
        else:
            self.socket.close()


class World:
    """A door, its manager and its clients, who do what they are told."""

    def __init__(self) -> None:
        self.house = House()
        self.manager = Manager(self.house)
        self.clients: list[Client] = []
        self.numbers = count()

    def do(self, op: str, which: int, size: int, kind: str, is_so: bool) -> None:
        """Have one thing happen."""
        manager = self.manager
        if op == "connect" or not self.clients:
            self.clients.append(Client(self))
        client = self.clients[which % len(self.clients)]
        if op == "ask" and client.stays:
            asked = Asked(next(self.numbers), kind, is_so, size % 30)
            client.asked.append(asked)
            client.unsent += asked.data
        elif op == "send" and client.stays:
            client.send(size)
        elif op == "flow" and client.stays:
            client.send(1 << 16)
            self.house.settle()
        elif op == "turn":
            self.house.turn()
        elif op == "take" and manager.end is not None:
            manager.take()
        elif op == "pass":
            manager.pass_turn()
        elif op == "late":
            manager.publisher.late = is_so
        elif op == "answer":
            manager.publisher.answer_all()
        elif op == "full":
            manager.pressure.is_full = True
        elif op == "relax":
            manager.pressure.relax()
        elif op == "link":
            self.link(is_so)
        elif op == "go" and client.stays:
            client.go(is_so)

    def link(self, stands: bool) -> None:
        """The link stands, or is lost."""
        if stands != (self.manager.end is not None):
            (self.manager.link if stands else self.manager.unlink)()

    def finish(self) -> None:
        """Let everybody who stays send and read all."""
        manager = self.manager
        self.link(True)
        manager.publisher.late = False
        for _ in range(1000):
            manager.pressure.relax()
            manager.publisher.answer_all()
            manager.work()
            staying = [client for client in self.clients if client.stays]
            for client in staying:
                client.send(1 << 16)
                client.read()
            if not (any(client.unsent for client in staying) or manager.publisher.waiting):
                break
        manager.work()
        for client in staying:
            client.read()

    def check(self, *, may_end: bool = False) -> None:
        """Check what must be so, whatever has happened; `may_end`: connections, at any moment without an answer."""
        published = Counter(json.loads(each.data) for each in self.manager.publisher.published if each.channel == b"a")
        for client in self.clients:
            answers = told(client.got) if client.stays else []
            if client.stays:
                check_order(client.asked, answers, may_end)
            for asked, answer in zip(client.asked, answers, strict=False):
                check_published(asked, answer, [published[token] for token in asked.tokens])
            for asked in client.asked[len(answers) :]:
                times = [published[token] for token in asked.tokens]
                is_known = client.stays and not (may_end and asked.kind == "batch")
                assert max(times, default=0) <= (0 if is_known else 1), asked.id
        assert not self.manager.broken

    def close(self) -> None:
        """End."""
        self.house.close()


def check_order(asked: list[Asked], answers: list[Answer], may_end: bool) -> None:
    """Each request has its answer, in order, up to one that is the last of its connection."""
    for one, answer in zip(asked, answers, strict=False):
        assert answer.status in STATUSES[one.kind], (one.kind, answer)
        if one.kind not in ("health", "a bad chunk") and answer.status != 503:
            assert answer.headers["x-request-id"] == one.id
    assert len(answers) <= len(asked)
    closes = [answer.headers.get("connection") == "close" for answer in answers]
    assert True not in closes[:-1]
    if len(answers) < len(asked) and not may_end:
        assert closes[-1:] == [True], "a request has no answer, and its connection goes on"


def check_published(asked: Asked, answer: Answer, times: list[int]) -> None:
    """What is told is what was done: 200 is once, an error is never, 503 is nobody knows."""
    assert max(times, default=0) <= 1
    if asked.kind == "batch" and answer.status != 503:
        counts: dict[str, Any] = json.loads(answer.body)
        assert counts["lines"] == len(times)
        assert counts["sent"] <= sum(times) <= counts["lines"]
        assert counts["sent"] + counts["failed"] == counts["lines"]
    elif answer.status == 200:
        assert times == [1] * len(times)
    elif answer.status != 503:
        assert not sum(times)


OPS: Final = [
    *("connect", "ask", "ask", "ask", "send", "send", "flow", "flow", "turn", "turn", "take", "pass", "pass"),
    *("late", "answer", "full", "relax", "link", "go"),
]
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(OPS),
        st.integers(0, 3),
        st.integers(1, 400),
        st.sampled_from(sorted(STATUSES)),
        st.booleans(),
    ),
    min_size=5,
    max_size=120,
)


@settings(max_examples=300)
@given(STEPS)
def test_one_answer_each(steps: list[tuple[str, int, int, str, bool]]) -> None:
    """Requests of all kinds, cut anywhere, of clients that stay or go, over links that are lost and come again."""
    world = World()
    try:
        for step in steps:
            world.do(*step)
        world.finish()
        world.check()
        check_nothing_left(world.house)
    finally:
        world.close()


@settings(max_examples=200)
@given(STEPS, st.integers(0, 120), st.booleans())
def test_an_end_at_any_moment(steps: list[tuple[str, int, int, str, bool]], at: int, is_drained: bool) -> None:
    """A worker that stops in the middle of it all, drained before or not: nobody waits, and nothing is told wrongly."""
    world = World()
    front = world.house.front
    try:
        for n, step in enumerate(steps):
            if n == at:
                front.draining.begin(1000) if is_drained else front.stop()
            world.do(*step)
        world.finish()
        front.stop()
        world.house.pass_s(1)  # those who have come in since are let go
        world.finish()
        for client in world.clients:
            if client.stays:
                assert_ended(client)
        world.check(may_end=True)
        check_nothing_left(world.house)
        world.house.pass_s(1)
        world.house.pump()
        assert front.stop().called
    finally:
        world.close()


def assert_ended(client: Client) -> None:
    """Read a connection to its end, which is there by now."""
    client.socket.settimeout(0)
    try:
        while data := client.socket.recv(1 << 16):
            client.got += data
    except ConnectionResetError:
        pass


#: Two clients with pushes and batches that are answered, one of them over a link that is lost.
SCENE: Final = [
    ("connect", 0, 1, "push", False),
    ("connect", 0, 1, "push", False),
    *[("ask", n, 5, kind, n > 0) for n in (0, 1) for kind in ("push", "batch", "push")],
    ("send", 0, 400, "push", False),
    ("send", 1, 4000, "push", False),
    ("turn", 0, 1, "push", False),
    ("link", 0, 1, "push", False),
    ("link", 0, 1, "push", True),
]


def play() -> World:
    """Play the scene."""
    world = World()
    try:
        for step in SCENE:
            world.do(*step)
        world.finish()
        world.check()
        check_nothing_left(world.house)
    finally:
        world.close()
    return world


def test_the_scene() -> None:
    """It ends well where nothing is broken, with answers of both kinds."""
    statuses = Counter(answer.status for client in play().clients for answer in told(client.got))
    assert statuses == {200: 4, 503: 2}


@pytest.mark.parametrize("fault", ["an answer is lost", "an answer is given twice", "answers are exchanged"])
def test_a_fault_is_seen(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """A door that answers too little, too much or somebody else fails the same check."""
    answer, calls = Pushes._answer, count()

    def broken(door: Pushes, asked: Any, status: int, body: bytes) -> None:
        is_third = next(calls) == 2
        if is_third and fault == "an answer is lost":
            return
        if is_third and fault == "answers are exchanged":
            asked.id = "r99"
        answer(door, asked, status, body)
        if is_third and fault == "an answer is given twice":
            door._of[asked.fd] = asked
            answer(door, asked, status, body)

    monkeypatch.setattr(Pushes, "_answer", broken)
    with pytest.raises(AssertionError):
        play()
