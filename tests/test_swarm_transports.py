"""The load client on every transport, against a double with real sockets: each fault is told exactly, none besides.

Nothing waits for a time: the clients' clock is the test's, and each turn waits for an event.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from megacomet.swarm.check import Published, Verdict, judge, text_of
from megacomet.swarm.clients import Clients
from megacomet.swarm.mix import TRANSPORTS, Mix
from megacomet.swarm.opening import RETRY_S
from megacomet.swarm.plan import Plan
from megacomet.swarm.rooms import Rooms
from megacomet.wire.websocket import Close, Pong
from tests.swarm_comet_double import LOSE, REPEAT, SWAP, Comet
from tests.swarm_double import running

STREAMS = ("sse", "stream", "ws", "ws-deflate")
WITH_ROOMS = ("poll", *STREAMS)
ROOMS = Rooms(0, 4, 2)
CLIENTS = 4
#: Turns until a test gives up; each waits for an event, so this is no time.
TURNS = 500


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Arena:
    """A double, clients of it, and the books of both sides."""

    def __init__(self, double: Comet, mix: str, rooms: Rooms = ROOMS, **more: Any) -> None:
        self.double = double
        self.clock = Clock()
        self.plan = Plan(
            first=0,
            count=CLIENTS,
            addresses=(("127.0.0.1", double.port),),
            family=socket.AF_INET,
            host="h",
            since=True,
            mix=Mix.of(mix),
            rooms=rooms,
            **more,
        )
        self.clients = Clients(self.plan, self.clock, lambda: 5_000_000)
        self.ledger = self.clients.ledger
        self.mailboxes = Published(CLIENTS)
        self.rooms = Published(rooms.count)

    def until(self, reached: Callable[[], bool], *, each_s: float = 0.0) -> None:
        for _ in range(TURNS):
            if reached():
                return
            self.clock.now += each_s
            self.clients.turn(0.05)
        pytest.fail(f"it did not happen: {self.clients.counts()}")

    def ready(self) -> None:
        """Have all clients connect and come to know a position."""
        self.until(lambda: self.ledger.ready == CLIENTS and self.clients.waiting == CLIENTS)
        self.clients.begin()

    def to_room(self, room: int) -> None:
        name = f"room:{room}"
        self.double.say(name, text_of(self.rooms.next_number(room), name, 4_000_000))

    def to_client(self, client: int) -> None:
        name = f"c{client}"
        self.double.say(f"@{name}", text_of(self.mailboxes.next_number(client), name, 4_000_000))

    def say_something(self) -> None:
        for n in range(12):
            self.to_room(n % ROOMS.count)
            self.to_client(n % CLIENTS)

    def arrived(self) -> int:
        both = (self.ledger.receipts, self.ledger.room_receipts)
        return sum(r.delivered + r.repeated for r in both)

    def verdicts(self) -> tuple[Verdict, Verdict]:
        """Return what is found about mailboxes and about rooms."""

        def whose(row: int) -> int | None:
            client, place = divmod(row, ROOMS.channels)
            return ROOMS.room(client, place) if self.plan.listens(client) else None

        return (
            judge([self.ledger.receipts], self.mailboxes),
            judge([self.ledger.room_receipts], self.rooms, whose),
        )

    def faults(self) -> tuple[int, int, int, int]:
        """Return how much was lost, repeated, out of order and from nowhere."""
        found = self.verdicts()
        names = ("lost", "repeated", "out_of_order", "strange")
        lost, repeated, out_of_order, strange = (sum(getattr(v, name) for v in found) for name in names)
        return lost, repeated, out_of_order, strange


@pytest.fixture
def arena() -> Iterator[Callable[..., Arena]]:
    """Make an arena; its clients are closed at the end, and then its double."""
    stacks: list[Any] = []

    def make(mix: str, double: Comet | None = None, **more: Any) -> Arena:
        run = running(double or Comet())
        made = Arena(run.__enter__(), mix, **more)  # type: ignore[arg-type]
        stacks.append((made, run))
        return made

    yield make
    for made, run in stacks:
        made.clients.close()
        run.__exit__(None, None, None)


#: Twelve messages to rooms with two of four clients' places each, and twelve to mailboxes.
DELIVERIES = 12 * CLIENTS * ROOMS.channels // ROOMS.count + 12


@pytest.mark.parametrize("transport", WITH_ROOMS)
def test_all_well(arena: Callable[..., Arena], transport: str) -> None:
    """On each transport every message of a mailbox and of its rooms arrives, and no fault is told."""
    run = arena(f"{transport}=1")
    run.ready()
    run.say_something()
    run.until(lambda: run.arrived() == DELIVERIES)
    assert run.faults() == (0, 0, 0, 0)
    assert (run.ledger.latency.count, run.ledger.fanout.count) == (12, 24)
    counts = run.clients.counts()
    assert counts["transports"] == {transport: CLIENTS}
    assert (counts["errors"], counts["dropped"], counts["foreign"], counts["misdelivered"]) == ({}, 0, 0, 0)


@pytest.mark.parametrize("at", [0, 7, 20])
@pytest.mark.parametrize(
    ("fault", "arrivals", "expected"),
    [
        (LOSE, 2 * DELIVERIES - 1, (1, 0, 0, 0)),
        (REPEAT, 2 * DELIVERIES + 1, (0, 1, 0, 0)),
        (SWAP, 2 * DELIVERIES, (0, 0, 1, 0)),
    ],
)
@pytest.mark.parametrize("transport", WITH_ROOMS)
def test_negative_control(
    *, arena: Callable[..., Arena], transport: str, fault: str, arrivals: int, expected: tuple[int, ...], at: int
) -> None:
    """A server that loses one message, repeats one or swaps two is told exactly, on each transport."""
    run = arena(f"{transport}=1", Comet(fault, at))
    run.ready()
    run.say_something()
    run.until(lambda: run.double.deliveries == DELIVERIES)  # so that what is held back goes out behind the next
    run.say_something()
    run.until(lambda: run.arrived() == arrivals)
    assert run.faults() == expected


@pytest.mark.parametrize("transport", WITH_ROOMS)
@pytest.mark.parametrize("hides", [False, True])
def test_gap(arena: Callable[..., Arena], transport: str, hides: bool) -> None:
    """What was forgotten while a client was away is no loss if it is told of a gap, and a loss if not."""
    run = arena(f"{transport}=1", Comet(hides_gaps=hides))
    run.ready()
    run.say_something()
    run.until(lambda: run.arrived() == DELIVERIES)
    if transport == "poll":
        run.until(lambda: run.double.polls_waiting() == CLIENTS)
    run.double.cut_all()
    run.until(lambda: run.clients.dropped == CLIENTS)
    run.to_room(1)
    run.to_room(1)
    run.to_client(2)
    run.double.forget()
    run.to_room(1)
    run.to_client(2)
    run.clock.now += RETRY_S
    run.until(lambda: run.arrived() == DELIVERIES + 3)
    mailboxes, rooms = run.verdicts()
    assert (mailboxes.lost, rooms.lost, run.ledger.gaps) == ((1, 4, 0) if hides else (0, 0, 3))
    assert (mailboxes.skipped, rooms.skipped) == ((0, 0) if hides else (1, 4))
    assert (mailboxes.examples, rooms.examples) == ((), ()) or hides


@pytest.mark.parametrize("transport", STREAMS)
def test_gap_with_nothing_after_it(arena: Callable[..., Arena], transport: str) -> None:
    """What was forgotten, and nothing was kept after it, is no loss either."""
    run = arena(f"{transport}=1")
    run.ready()
    run.double.cut_all()
    run.until(lambda: run.clients.dropped == CLIENTS)
    run.to_room(0)
    run.double.forget()
    run.clock.now += RETRY_S
    run.until(lambda: run.ledger.gaps == 2)
    _, rooms = run.verdicts()
    assert (rooms.lost, rooms.skipped) == (0, 2)


@pytest.mark.parametrize("transport", WITH_ROOMS)
def test_comes_back_with_its_position(arena: Callable[..., Arena], transport: str) -> None:
    """What is said while a client is away comes when it is back, once."""
    run = arena(f"{transport}=1")
    run.ready()
    run.say_something()
    if transport == "poll":
        run.until(lambda: run.double.polls_waiting() == CLIENTS)
    run.double.cut_all()
    run.until(lambda: run.clients.dropped == CLIENTS)
    run.say_something()
    run.clock.now += RETRY_S
    run.until(lambda: run.arrived() == 2 * DELIVERIES)
    assert run.faults() == (0, 0, 0, 0)
    assert run.clients.counts()["reconnects"] == CLIENTS


@pytest.mark.parametrize("transport", ["ws", "ws-deflate"])
def test_ping_and_close(arena: Callable[..., Arena], transport: str) -> None:
    """A WebSocket client answers pings and closes, and comes back after a close."""
    run = arena(f"{transport}=1")
    run.ready()
    run.double.ping(b"are you there")
    run.until(lambda: run.double.received == [Pong(b"are you there")] * CLIENTS)
    run.double.end(3001)
    run.until(lambda: run.clients.closed == CLIENTS)
    run.until(lambda: run.double.received[CLIENTS:] == [Close(3001, b"")] * CLIENTS)
    assert run.clients.errors == {"closed with 3001": CLIENTS}
    run.clock.now += RETRY_S
    run.until(lambda: run.clients.waiting == CLIENTS)


@pytest.mark.parametrize("transport", ["sse", "stream"])
def test_end_of_a_stream(arena: Callable[..., Arena], transport: str) -> None:
    """A stream that ends in order counts as closed, not as lost, and is opened again after a rest."""
    run = arena(f"{transport}=1")
    run.ready()
    run.double.end()
    run.until(lambda: run.clients.closed == CLIENTS)
    assert (run.clients.waiting, run.clients.open, run.clients.dropped) == (0, 0, 0)
    run.clock.now += RETRY_S
    run.until(lambda: run.clients.waiting == CLIENTS)


@pytest.mark.parametrize(
    ("transport", "data"), [("sse", b"zz\r\n"), ("stream", b"2\r\n[]xy"), ("ws", b"\x82\x00"), ("ws", b"\xff\x00")]
)
def test_garbage(arena: Callable[..., Arena], transport: str, data: bytes) -> None:
    """Bytes that are none of the transport's lose the connection and say why."""
    run = arena(f"{transport}=1")
    run.ready()
    run.double.raw(data)
    run.until(lambda: run.clients.dropped == CLIENTS)
    assert run.clients.errors == {"bad answer": CLIENTS}


def test_everyone(arena: Callable[..., Arena]) -> None:
    """A message to everyone is heard on every transport, once."""
    run = arena("script=1,poll=1,sse=1,ws=1")
    run.ready()
    run.double.say("*", text_of(0, "*", 4_000_000))
    run.until(lambda: run.ledger.heard == CLIENTS)
    assert run.ledger.heard_again == 0


def test_late_client(arena: Callable[..., Arena]) -> None:
    """A client that connects when pushing has begun is not told to have lost what came before it."""
    run = arena("sse=1", rate=0.001)
    run.until(lambda: run.clients.waiting == 1 and run.ledger.ready == 1)
    run.clients.begin()
    run.to_room(2)
    run.clock.now += 1e6
    run.until(lambda: run.clients.waiting == CLIENTS and run.ledger.ready == CLIENTS)
    run.to_room(2)
    run.until(lambda: run.arrived() == 2)
    assert run.faults() == (0, 0, 0, 0)


def test_misdelivered(arena: Callable[..., Arena]) -> None:
    """A message of another client's mailbox, or of a room that a client does not listen to, is told."""
    run = arena("sse=1")
    run.ready()
    for channel, name in (("@c0", "c1"), ("room:0", "room:1"), ("room:0", "c0")):
        run.double.say(channel, text_of(1, name, 4_000_000))
    run.until(lambda: run.ledger.misdelivered == 5)
    assert run.arrived() == 0


@pytest.mark.parametrize("mix", [f"{t}=1" for t in WITH_ROOMS] + ["script=1,poll=1,sse=2,stream=1,ws=2,ws-deflate=1"])
def test_switching(arena: Callable[..., Arena], mix: str) -> None:
    """Clients that drop at random, also amid bytes, and come back with another transport miss nothing."""
    run = arena(mix, switch_s=1.0)
    run.ready()
    for n in range(40):
        run.to_room(n % ROOMS.count)
        run.to_client(n % CLIENTS)
        for _ in range(4):
            run.clock.now += 0.1
            run.clients.turn(0.02)
    run.clients.halt()
    listening = [c for c in range(CLIENTS) if run.plan.listens(c)]
    heard = sum(10 for c in listening for _ in range(ROOMS.channels))
    run.until(lambda: run.arrived() >= 40 + heard and run.clients.waiting == CLIENTS, each_s=0.1)
    assert run.faults() == (0, 0, 0, 0)
    assert run.clients.counts()["switches"] > 10
    assert run.ledger.gaps == 0


def test_clients_with_rooms_never_take_a_script(arena: Callable[..., Arena]) -> None:
    """A script hears no room, so only clients without rooms use it, now and after a switch."""
    run = arena("script=1,sse=1", switch_s=0.5)
    run.ready()
    for _ in range(100):
        run.clock.now += 0.1
        run.clients.turn(0.01)
    listening = sum(run.plan.listens(c) for c in range(CLIENTS))
    assert listening == CLIENTS // 2
    assert run.clients.counts()["transports"]["script"] <= CLIENTS - listening


# whole runs


def swarm(double: Comet, *arguments: str) -> tuple[int, dict[str, Any]]:
    run = subprocess.run(
        [sys.executable, "-m", "megacomet.swarm", "--url", f"http://127.0.0.1:{double.port}", "--json", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "MEGACOMET_API_KEY": "k"},
        cwd=Path(__file__).parent.parent,
        check=False,
    )
    return run.returncode, json.loads(run.stdout)


def test_run_with_everything() -> None:
    """A mix of all transports with rooms and switches, pushes to both: the report has all of it, and status 0."""
    mix = ",".join(f"{name}=1" for name in TRANSPORTS)
    with running(Comet()) as double:
        status, report = swarm(
            double,  # type: ignore[arg-type]
            *("--clients", "24", "--processes", "2", "--hold", "1", "--mix", mix, "--switch", "0.3"),
            *(
                "--channels",
                "2",
                "--rooms",
                "7",
                "--publish-rooms",
                "50",
                "--push-rate",
                "50",
                "--everyone",
                "0.2",
                "--away",
                "9",
            ),
        )
    assert (status, report["problems"]) == (0, [])
    assert (report["lost"], report["repeated"], report["out_of_order"], report["gaps"]) == (0, 0, 0, 0)
    assert set(report["transports"]) <= set(TRANSPORTS)
    assert sum(report["transports"].values()) == report["waiting"] == 24
    assert report["switches"] > 0
    assert report["verdict"]["delivered"] == report["verdict"]["acknowledged"] > 0
    to_everyone = report["everybody"]
    assert to_everyone["delivered"] == 24 * to_everyone["acknowledged"] > 24
    assert report["rooms"]["delivered"] + to_everyone["delivered"] == report["fanout"]["count"]
    assert report["rooms"]["delivered"] > report["rooms"]["acknowledged"] > 0


def test_run_with_a_fault() -> None:
    """One delivery that is lost among all of them is told with its room and client, with status 1."""
    with running(Comet(LOSE, 20)) as double:
        status, report = swarm(
            double,  # type: ignore[arg-type]
            *("--clients", "10", "--transport", "ws", "--channels", "3", "--rooms", "5", "--publish-rooms", "100"),
            *("--hold", "1", "--drain", "1"),
        )
    assert (status, report["lost"], report["problems"]) == (1, 1, ["1 messages lost"])
    assert len(report["rooms"]["examples"]) == 1
