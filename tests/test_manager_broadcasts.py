"""Broadcasts as the manager keeps them: their states, what is told of them, and how many there may be."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from megacomet.errors import PeerError, Refused
from megacomet.manager.broadcasts import KEPT, LOOKED_AT_S, MOST_AT_WORK, Broadcasts
from megacomet.model.directory import Directory
from megacomet.model.memory import MemoryStore
from megacomet.model.message import Appended, Publication
from megacomet.model.position import OLDEST
from megacomet.model.receipts import WRITTEN, Token
from megacomet.model.router import Router
from megacomet.model.store import Missed, Retention
from megacomet.wire import frames
from megacomet.wire.broadcasts import Broadcast, Order
from megacomet.wire.frames import Progress
from tests.doors import FakePressure

NEWS = Order(b"news", b'"hello"', None, 100)
NOON = 784111777.0


class Link:
    """A link to a worker that works records off, and says how it stands, when the test says so."""

    listening = has_room = True

    def __init__(self, router: Router) -> None:
        self._router = router
        self._untold: list[tuple[frames.Frame, Token | None]] = []
        self.paces: list[tuple[int, int]] = []
        router.attach(self)
        router.received(self, frames.encode(frames.WANT, channel=b"news"), 0.0)

    def send(self, record: bytes, token: Token | None) -> None:
        [frame] = frames.decode(record)
        self._untold.append((frame, token))
        if frame.kind == frames.PACE:
            self.paces.append((frame.number, frame.flags))

    def works_off(self) -> None:
        untold, self._untold = self._untold, []
        for _, token in untold:
            if token is not None:
                self._router.settled(self, token, WRITTEN, 0.0)

    def tells(self, offset: int, connections: int, written: int, left: int) -> None:
        self._router.received(self, frames.encode_progress(offset, Progress(connections, written, left)), 0.0)

    def is_lost(self) -> None:
        self._router.detach(self, [token for _, token in self._untold if token is not None], 0.0)


class Server:
    """Broadcasts over two workers."""

    def __init__(self, store_class: type[MemoryStore] = MemoryStore) -> None:
        self.store = store_class(b"e1", lambda _: Retention(60, 100), 10**6)
        self.router = Router(self.store, Directory())
        self.links = [Link(self.router), Link(self.router)]
        self.pressure = FakePressure()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.unix_s = NOON
        self.broadcasts = Broadcasts(
            self.router,
            self.pressure,
            self.tell,
            lambda: 0.0,
            lambda: self.unix_s,
            everyone=lambda: 12,
            subscribers=self.subscribers,
        )

    async def subscribers(self, channel: bytes) -> int:
        return len(channel)

    def tell(self, name: str, **data: object) -> None:
        self.events.append((name, data))

    def begin(self, order: Order = NEWS, *, connections: int = 10) -> Broadcast:
        """Begin one that is due to so many at each worker."""
        answer = ask(self.broadcasts.start(order, "ops"))
        assert answer == []  # not before the workers have it
        for link in self.links:
            link.tells(self.store.head, connections, 0, connections)
            link.works_off()
        [begun] = answer
        assert isinstance(begun, Broadcast)
        return begun

    def works_off(self) -> None:
        for link in self.links:
            link.works_off()

    def states(self) -> list[object]:
        """Return the states that were told."""
        assert {name for name, _ in self.events} <= {"broadcast"}
        return [data["state"] for _, data in self.events]

    def kept(self) -> list[int]:
        found: list[Missed] = []
        self.store.read([b"news"], OLDEST, 100, 10**6, 0.0, found.append)
        return [message.offset for message in found[0].messages]


def ask(doing: Coroutine[Deferred[Any], Any, Any]) -> list[object]:
    """Ask for something; the answer, or the error, is in the list when it is there."""
    answer: list[object] = []
    Deferred.fromCoroutine(doing).addErrback(lambda failure: failure.value).addCallback(answer.append)
    return answer


def told(answer: list[object]) -> Broadcast:
    [broadcast] = answer
    assert isinstance(broadcast, Broadcast), broadcast
    return broadcast


def code(answer: list[object]) -> str:
    [error] = answer
    assert isinstance(error, PeerError), error
    return error.code


def test_from_its_beginning_to_its_end() -> None:
    """It is published, paced when all workers have it, and done when none has anybody left."""
    server = Server()
    begun = server.begin()
    assert begun == Broadcast(
        id="e1-1",
        channel="news",
        state="running",
        per_s=100,
        connections=20,
        written=0,
        lost=0,
        started="1994-11-06T08:49:37.000Z",
        ended=None,
        by="ops",
        bytes=7,
    )
    assert [link.paces for link in server.links] == [[(50_000, 0)], [(50_000, 0)]]
    assert server.kept() == [1]
    server.links[0].tells(1, 10, 4, 6)
    assert server.broadcasts.find("e1-1").written == 4
    server.links[0].tells(1, 10, 9, 0)
    assert server.links[1].paces[1:] == [(100_000, 0)]
    server.unix_s += 5
    server.links[1].tells(1, 10, 10, 0)
    done = server.broadcasts.find("e1-1")
    assert (done.state, done.written, done.lost, done.ended) == ("done", 19, 1, "1994-11-06T08:49:42.000Z")
    assert server.events == [
        ("broadcast", {"id": "e1-1", "channel": "news", "state": state, "written": written, "connections": 20})
        for state, written in (("running", 0), ("done", 19))
    ]


def test_nobody_hears_it() -> None:
    """It is done as soon as it has begun."""
    server = Server()
    begun = told(ask(server.broadcasts.start(Order(b"sport", b"1"), "ops")))
    assert (begun.state, begun.connections, begun.ended is None) == ("done", 0, False)
    assert server.states() == ["running", "done"]


def test_pause_and_resume() -> None:
    """A pause is answered when all workers know of it, with what was written by then."""
    server = Server()
    server.begin()
    paused = ask(server.broadcasts.pause("e1-1"))
    for link in server.links:
        assert (paused, link.paces[-1]) == ([], (0, 0))
        link.tells(1, 10, 3, 7)
        link.works_off()
    assert (told(paused).state, told(paused).written) == ("paused", 6)
    server.links[0].tells(1, 10, 3, 0)  # all others there have left
    assert server.links[1].paces[-1] == (0, 0)
    assert told(ask(server.broadcasts.resume("e1-1"))).state == "running"
    assert server.links[1].paces[-1] == (100_000, 0)
    assert server.states() == ["running", "paused", "running"]


def test_cancel() -> None:
    """It is taken from the log at once, and answered when nobody will be written it any more."""
    server = Server()
    server.begin()
    gone = ask(server.broadcasts.cancel("e1-1"))
    assert server.kept() == []
    assert server.broadcasts.find("e1-1").state == "cancelled"
    assert [code(ask(do("e1-1"))) for do in (server.broadcasts.pause, server.broadcasts.cancel)] == ["conflict"] * 2
    server.links[0].tells(1, 10, 9, 0)
    server.links[0].works_off()
    server.links[1].tells(1, 10, 2, 6)
    assert (gone, server.states()) == ([], ["running"])
    server.links[1].works_off()
    assert [link.paces[-1] for link in server.links] == [(0, frames.WITHDRAWN)] * 2
    assert (told(gone).state, told(gone).written, told(gone).lost) == ("cancelled", 11, 3)
    assert told(gone).ended is not None
    assert server.events[1:] == [
        ("broadcast", {"id": "e1-1", "channel": "news", "state": "cancelled", "written": 11, "connections": 20})
    ]


@pytest.mark.parametrize("what", ["pause", "cancel"])
def test_before_all_have_it(what: str) -> None:
    """What is asked for before every worker has it holds: it is not paced when they do."""
    server = Server()
    begun = ask(server.broadcasts.start(NEWS, "ops"))
    asked = ask(getattr(server.broadcasts, what)("e1-1"))
    for link in server.links:
        link.tells(1, 10, 0, 10 if what == "pause" else 0)
        link.works_off()
    state = {"pause": "paused", "cancel": "cancelled"}[what]
    assert (told(begun).state, told(asked).state) == (state, state)
    assert all(number == 0 for link in server.links for number, _ in link.paces)
    assert server.states() == [state]


@pytest.mark.parametrize(
    ("before", "what", "is_possible"),
    [
        ("running", "pause", True),
        ("running", "resume", False),
        ("running", "cancel", True),
        ("paused", "pause", False),
        ("paused", "resume", True),
        ("paused", "cancel", True),
        *((before, what, False) for before in ("done", "cancelled") for what in ("pause", "resume", "cancel")),
    ],
)
def test_states(before: str, what: str, is_possible: bool) -> None:
    """What may be asked for in which state; everything else is a conflict that names the state."""
    server = Server()
    server.begin()
    broadcasts = server.broadcasts
    if before == "paused":
        ask(broadcasts.pause("e1-1"))
    elif before == "cancelled":
        ask(broadcasts.cancel("e1-1"))
    elif before == "done":
        for link in server.links:
            link.tells(1, 10, 10, 0)
    server.works_off()
    assert broadcasts.find("e1-1").state == before
    answer = ask(getattr(broadcasts, what)("e1-1"))
    server.works_off()
    if is_possible:
        told(answer)
    else:
        [error] = answer
        assert isinstance(error, PeerError)
        assert (error.code, error.detail) == ("conflict", f"the broadcast is {before}")


@pytest.mark.parametrize("before", ["running", "paused", "cancelled"])
def test_a_worker_dies(before: str) -> None:
    """What was left there is lost, the others go on, and whoever waits for an answer gets it."""
    server = Server()
    server.begin()
    first, second = server.links
    first.tells(1, 10, 3, 7)
    asked = []
    if before != "running":
        asked = ask(getattr(server.broadcasts, {"paused": "pause", "cancelled": "cancel"}[before])("e1-1"))
    second.works_off()
    first.is_lost()
    found = server.broadcasts.find("e1-1")
    assert (found.state, found.written, found.lost) == (before, 3, 7)
    if before == "running":
        assert second.paces[-1] == (100_000, 0)
        second.tells(1, 10, 10, 0)
        assert server.broadcasts.find("e1-1").state == "done"
    else:
        told(asked)


def test_all_workers_die_while_it_pauses() -> None:
    """Then nobody is left, and it is done."""
    server = Server()
    server.begin()
    ask(server.broadcasts.pause("e1-1"))
    for link in server.links:
        link.is_lost()
    found = server.broadcasts.find("e1-1")
    assert (found.state, found.written, found.lost) == ("done", 0, 20)


def test_a_worker_dies_before_it_has_said_anything() -> None:
    """Nobody knows how many were there; it begins at the others."""
    server = Server()
    begun = ask(server.broadcasts.start(NEWS, "ops"))
    server.links[0].is_lost()
    server.links[1].tells(1, 10, 0, 10)
    server.links[1].works_off()
    assert (told(begun).connections, server.links[1].paces) == (10, [(100_000, 0)])


def test_only_some_at_a_time() -> None:
    """More than a few are refused, until one is over; also when room had to be waited for."""
    server = Server()
    for _ in range(MOST_AT_WORK):
        server.begin()
    assert code(ask(server.broadcasts.start(NEWS, "ops"))) == "conflict"
    assert server.store.head == MOST_AT_WORK
    ask(server.broadcasts.cancel("e1-2"))
    assert code(ask(server.broadcasts.start(NEWS, "ops"))) == "conflict"
    server.works_off()
    server.pressure.is_full = True
    waiting = [ask(server.broadcasts.start(NEWS, "ops")) for _ in range(2)]
    assert waiting == [[], []]
    server.pressure.relax()
    assert server.store.head == MOST_AT_WORK + 1
    assert (waiting[0], code(waiting[1])) == ([], "conflict")


def test_the_last_ones_are_known() -> None:
    """The newest first; the oldest that is over makes room, and one that is under way stays known."""
    server = Server()
    server.begin()
    for _ in range(KEPT):
        told(ask(server.broadcasts.start(Order(b"sport", b"1"), "ops")))
    listed = [one.id for one in server.broadcasts.listed()]
    assert listed == [f"e1-{n}" for n in range(KEPT + 1, 2, -1)] + ["e1-1"]
    with pytest.raises(PeerError, match="not-found"):
        server.broadcasts.find("e1-2")
    with pytest.raises(PeerError, match="not-found"):
        server.broadcasts.find("")


def test_those_that_are_looked_at() -> None:
    """Those under way, and those that were lately, as plain values."""
    server = Server()
    server.begin()
    told(ask(server.broadcasts.start(Order(b"sport", b"1"), "ops")))
    assert [(one.id, one.state) for one in server.broadcasts.look()] == [("e1-2", "done"), ("e1-1", "running")]
    server.unix_s += LOOKED_AT_S + 1
    assert [one.id for one in server.broadcasts.look()] == ["e1-1"]


def test_an_estimate() -> None:
    """Of everyone it is known how many there are; of a channel the workers are asked."""
    server = Server()
    assert [ask(server.broadcasts.estimate(Order(c, b"1"))) for c in (b"*", b"news")] == [[12], [4]]


class FullStore(MemoryStore):
    """Takes nothing."""

    def append(self, publication: Publication, now: float, done: Any, note: object = None) -> None:
        refused: Appended | Refused = Refused("store-full")
        done(refused)


def test_a_full_store() -> None:
    """What the store does not take is no broadcast."""
    server = Server(FullStore)
    assert code(ask(server.broadcasts.start(NEWS, "ops"))) == "store-full"
    assert (server.broadcasts.listed(), server.events) == ([], [])
