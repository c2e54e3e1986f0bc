"""What a worker tells of its listeners: lists in slices, numbers, connections as they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import DecodeError
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from megacomet.link import LOOK_S, LinkRefused
from megacomet.model.ranking import BINS
from megacomet.model.session import Session
from megacomet.wire import looking
from megacomet.wire.looking import (
    Connection,
    CountBins,
    CountListeners,
    FindConnections,
    ListChannels,
    Names,
    TakeCensus,
)
from megacomet.worker.looking import Looking
from tests.fronts import House, request
from tests.steps import step

UNIX_S = 784111777.0
SUE = b"@sue"


class Desk:
    """A worker that is asked; `cost_s` is what the clock goes on by whenever it is read."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.cost_s = self.late_s = 0.0
        self.looking = Looking(house.hub.listeners, house.rows, house.clock, clock=self.clock, unix_s=lambda: UNIX_S)

    def clock(self) -> float:
        self.late_s += self.cost_s
        return self.house.clock.seconds() + self.late_s

    def ask(self, question: looking.Question) -> list[Any]:
        """The list has the answer once it is there, or the failure."""
        outcome: list[Any] = []
        answer: Deferred[bytes] = self.looking.look(looking.encode(question))
        answer.addBoth(outcome.append)
        return outcome

    def names(self, prefix: bytes = b"", after: bytes = b"", limit: int = 100) -> Names:
        outcome = self.ask(ListChannels(prefix, after, limit))
        self.house.pump()
        return looking.decode_names(outcome[0])

    def count(self, channel: bytes) -> int:
        return looking.decode_count(self.ask(CountListeners(channel))[0])

    def find(self, channel: bytes, limit: int = 100) -> list[Connection]:
        return looking.decode_connections(self.ask(FindConnections(channel, limit))[0])


@pytest.fixture
def desk(house: House) -> Desk:
    """A worker that is asked."""
    return Desk(house)


def test_channels_of_all_kinds_of_connections(desk: Desk) -> None:
    """Polls, waiting pages and live streams count alike; mailboxes are listed when they are asked for."""
    house = desk.house
    for target in ("/sue.js", "/sue.js", "/comet/poll?channel=a&client=bob", "/comet/events?channel=a&channel=b"):
        house.get(target)
    house.get("/comet/events?channel=c")
    house.pages(head=1)
    assert desk.names() == Names([(b"*", 5), (b"a", 2), (b"b", 1), (b"c", 1)], more=False)
    assert desk.names(b"@") == Names([(b"@bob", 1), (SUE, 2)], more=False)
    assert desk.names(b"b") == Names([(b"b", 1)], more=False)
    assert desk.names(after=b"*", limit=2) == Names([(b"a", 2), (b"b", 1)], more=True)


def test_a_worker_without_connections_has_nothing(desk: Desk) -> None:
    """Not even the channel of everyone."""
    assert desk.names() == Names([], more=False)
    assert (desk.count(b"*"), desk.count(b"a"), desk.find(SUE)) == (0, 0, [])


def test_counting(desk: Desk) -> None:
    """Everybody who waits hears the channel of everyone; who is between two polls does not."""
    desk.house.get("/sue.js")
    desk.house.get("/comet/stream?channel=a")
    desk.house.ask("/healthz")
    assert (desk.count(b"*"), desk.count(SUE), desk.count(b"a")) == (2, 1, 1)


def test_a_long_search_lets_others_have_their_turn(desk: Desk) -> None:
    """One slice a turn; what comes and goes meanwhile does no harm."""
    desk.house.get("/comet/events?channel=a")
    desk.cost_s = 1e-3
    outcome = desk.ask(ListChannels(b"", b"", 9))
    turns = 0
    while not outcome:
        turns += 1
        desk.house.get(f"/comet/stream?channel=b{turns}")
        step(desk.house.clock)
    assert turns > 10
    assert (b"a", 1) in looking.decode_names(outcome[0]).names


def test_who_left_during_the_search_is_nobody(desk: Desk) -> None:
    """The name is told, since the page is complete up to it, and that nobody is there."""
    client = desk.house.get("/comet/events?channel=zz")
    desk.cost_s = 1e-3
    outcome = desk.ask(ListChannels(b"z", b"", 9))
    listing = desk.looking._searches[0].task
    while not listing.names:
        step(desk.house.clock)
    client.close()
    desk.house.turn()
    desk.cost_s = 0
    desk.house.pump()
    assert looking.decode_names(outcome[0]) == Names([(b"zz", 0)], more=False)


def test_searches_go_one_after_the_other(desk: Desk) -> None:
    """The oldest first; what has been given up meanwhile is not done."""
    desk.house.get("/comet/events?channel=a")
    desk.cost_s = 1e-3
    first, second, third = (desk.ask(ListChannels(b"", b"", 9)) for _ in range(3))
    while not first:
        assert not second
        step(desk.house.clock)
    desk.cost_s = 0
    desk.late_s += LOOK_S
    desk.house.pump()
    for outcome in (second, third):
        assert isinstance(outcome[0], Failure)
        assert outcome[0].check(LinkRefused)
    assert desk.names().names == [(b"*", 1), (b"a", 1)]


def test_a_search_that_fails_does_not_stop_the_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked is told, and the next one has its turn."""
    desk.cost_s = 1e-3
    first, second = desk.ask(ListChannels(b"", b"", 9)), desk.ask(ListChannels(b"", b"", 9))
    monkeypatch.setattr(desk.looking._searches[0].task, "work", lambda is_over: 1 // 0)
    desk.cost_s = 0
    desk.house.pump()
    assert first[0].check(ZeroDivisionError)
    assert looking.decode_names(second[0]) == Names([], more=False)


MODULUS = (1 << 60) + 7


def begun(desk: Desk, prefix: bytes = b"") -> int:
    """Have a census taken; returns how many channels there are."""
    outcome = desk.ask(TakeCensus(prefix, MODULUS))
    while not outcome:
        step(desk.house.clock)
    return looking.decode_count(outcome[0])


def counted(desk: Desk, first: int, end: int) -> dict[bytes, int]:
    outcome = desk.ask(CountBins(MODULUS, first, end))
    while not outcome:
        step(desk.house.clock)
    return looking.decode_counts(outcome[0])


def test_counts_of_all_channels(desk: Desk) -> None:
    """Bin after bin: each channel is in one of them, with its listeners; mailboxes when they are asked for."""
    house = desk.house
    for target in ("/sue.js", "/sue.js", "/joe.js", "/comet/poll?channel=a&client=bob", "/comet/events?channel=a"):
        house.get(target)
    assert begun(desk) == 2
    found = [counted(desk, n, n + 64) for n in range(0, BINS, 64)]
    assert {name: count for each in found for name, count in each.items()} == {b"*": 5, b"a": 2}
    assert sum(map(len, found)) == 2
    assert begun(desk, b"@") >= 3
    assert counted(desk, 0, BINS) == {b"@bob": 1, b"@joe": 1, SUE: 2}


def test_a_count_is_of_its_moment(desk: Desk) -> None:
    """Who left since the census is not counted, who came to a channel that was there is, and none counts twice."""
    client = desk.house.get("/comet/events?channel=a")
    desk.house.get("/joe.js")
    begun(desk)
    client.close()
    desk.house.turn()
    assert counted(desk, 0, BINS) == {b"*": 1}
    begun(desk, b"@")
    desk.house.get("/joe.js")
    assert counted(desk, 0, BINS) == {b"@joe": 2}


def test_a_census_lets_others_have_their_turn(desk: Desk) -> None:
    """One slice a turn."""
    desk.house.get("/comet/events?channel=a")
    desk.cost_s = 1e-3
    outcome = desk.ask(TakeCensus(b"", MODULUS))
    turns = 0
    while not outcome:
        turns += 1
        step(desk.house.clock)
    assert turns > 10


def test_a_census_is_forgotten(desk: Desk) -> None:
    """When all of it was told, when nobody asks on, when there is another one, and there is none at first."""

    def is_forgotten(modulus: int = MODULUS) -> bool:
        with pytest.raises(LinkRefused):
            desk.looking.look(looking.encode(CountBins(modulus, 0, 1)))
        return desk.looking._census is None

    assert is_forgotten()
    begun(desk)
    counted(desk, 0, BINS)
    assert is_forgotten()
    begun(desk)
    desk.house.clock.advance(LOOK_S - 0.1)
    counted(desk, 0, 1)
    desk.house.clock.advance(LOOK_S - 0.1)
    counted(desk, 1, 2)
    desk.house.clock.advance(LOOK_S)
    assert is_forgotten()
    begun(desk)
    desk.house.clock.advance(LOOK_S - 0.1)
    begun(desk)
    desk.house.clock.advance(0.2)
    assert not is_forgotten(MODULUS + 2)  # the time of the one before is not its own
    begun(desk)
    counted(desk, 0, BINS)
    assert is_forgotten()


@pytest.fixture
def tcp(house: House) -> Callable[..., Any]:
    """Have a client ask for something over TCP; it waits then."""
    listener = house.listener()
    house.lot.listen(listener)

    def connect(target: str, *headers: str) -> Any:
        client = house.connect(listener, request(target, *headers))
        house.until(house.waiting)
        return client

    return connect


def address(client: Any) -> str:
    host, port = client.getsockname()[:2]
    return f"{host}:{port}"


def test_a_poll(desk: Desk, tcp: Callable[[str], Any]) -> None:
    """It is told with the peer's address and the time of its request."""
    client = tcp("/sue.js")
    (told,) = desk.find(SUE)
    assert told.since is not None
    assert UNIX_S - 60 < told.since <= UNIX_S
    assert told == Connection("poll", address(client), told.since, [SUE], 0)


@pytest.mark.parametrize(
    ("target", "headers", "transport"),
    [
        ("/comet/events?channel=a&client=sue", (), "sse"),
        ("/comet/events?channel=a&client=sue&raw=1", (), "sse"),
        ("/comet/stream?channel=a&client=sue", (), "stream"),
        (
            "/comet/ws?channel=a&client=sue",
            (
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version: 13",
            ),
            "ws",
        ),
    ],
)
def test_a_stream(desk: Desk, tcp: Callable[..., Any], target: str, headers: tuple[str, ...], transport: str) -> None:
    """Before its first page, when it is live, and while it waits for a page again."""
    before = time.time()
    client = tcp(target, *headers)
    (told,) = desk.find(SUE)
    assert told == Connection(transport, address(client), told.since, [b"a", SUE], 0)
    desk.house.pages(head=1)
    after = time.time()
    (told,) = desk.find(SUE)
    assert told.since is not None
    assert before - 0.02 <= told.since <= after
    live = Connection(transport, address(client), told.since, [b"a", SUE], 0)
    assert told == live
    desk.house.unlink()
    assert isinstance(desk.house.rows.keys[desk.house.waiting()[0]], Session)
    assert desk.find(SUE) == [live]


def test_a_poll_of_several_channels(desk: Desk) -> None:
    """On a UNIX socket there is neither an address nor TCP's time."""
    desk.house.get("/comet/poll?channel=a&channel=b&client=sue")
    assert desk.find(SUE) == [Connection("poll", "unix", None, [b"a", b"b", SUE], 0)]


def test_what_a_slow_reader_is_owed(desk: Desk) -> None:
    """Bytes that were written to it and that it does not take."""
    desk.house.get("/comet/stream?client=sue")
    desk.house.pages(head=1)
    for n in range(2, 9):
        desk.house.push(SUE, b'"%s"' % (b"x" * 90_000), n)
    (told,) = desk.find(SUE)
    assert told.backlog_bytes == desk.house.rows.owed > 0


def test_no_more_connections_than_asked_for(desk: Desk) -> None:
    """A thousand connections under one name take no second of a worker."""
    for _ in range(5):
        desk.house.get("/sue.js")
    assert len(desk.find(SUE, limit=3)) == 3
    assert desk.count(SUE) == 5


def test_what_is_no_question(desk: Desk) -> None:
    """It is refused."""
    with pytest.raises(DecodeError):
        desk.looking.look(b"?")
