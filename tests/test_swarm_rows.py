"""What the load client keeps by client: transports and rooms by arithmetic, positions in rows, moments to switch."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.swarm.check import Published, Receipts, judge, text_of
from megacomet.swarm.events import GAP, MESSAGE, PING, POSITION
from megacomet.swarm.ledger import Ledger
from megacomet.swarm.mix import SCRIPT_NUMBER, SCRIPTS, TRANSPORTS, Mix
from megacomet.swarm.opening import CONNECTING_AT_ONCE, CONNECTS_A_TURN, RETRY_S, Opening
from megacomet.swarm.plan import Plan
from megacomet.swarm.positions import Positions
from megacomet.swarm.rooms import Rooms
from megacomet.swarm.switching import Switching

# the mix


def test_mix_has_its_parts_everywhere() -> None:
    """Of any hundred clients in a row each transport has its parts, and neighbours differ."""
    mix = Mix.of("sse=30,ws=30,stream=10,poll=20,script=10")
    for first in (0, 7, 100_000):
        found = Counter(TRANSPORTS[mix.first(n)] for n in range(first, first + 100))
        assert found == {"sse": 30, "ws": 30, "stream": 10, "poll": 20, "script": 10}
    assert len({mix.first(n) for n in range(10)}) > 2


@pytest.mark.parametrize("text", ["", "sse", "sse=0", "sse=x", "sse=1,sse=2", "smoke=1", "sse=1001"])
def test_no_mix(text: str) -> None:
    """A mix that is none is refused."""
    with pytest.raises(ValueError, match=r"."):
        Mix.of(text)


def test_other_transport() -> None:
    """A switch leads to another transport of the mix by its parts; where there is no other, the same stays."""
    mix, chance = Mix.of("script=1,sse=1,ws=8"), random.Random(1)
    sse, ws = TRANSPORTS.index("sse"), TRANSPORTS.index("ws")
    assert {mix.other(sse, False, chance) for _ in range(200)} == {SCRIPT_NUMBER, ws}
    assert {mix.other(ws, True, chance) for _ in range(200)} == {sse}
    assert Mix.only("ws").other(ws, True, chance) == ws
    assert Mix.of("script=1,sse=1").other(sse, True, chance) == sse


def test_who_listens() -> None:
    """Whoever begins with a script has only its mailbox."""
    assert not any(map(SCRIPTS.listens, range(10)))
    mix = Mix.of("script=1,sse=3")
    assert [mix.listens(n) for n in range(100)].count(True) == 75


# rooms


@given(st.integers(0, 50), st.integers(1, 12), st.integers(0, 1000), st.data())
def test_rooms(first: int, count: int, client: int, data: st.DataObject) -> None:
    """A client's rooms are different ones, and place and room lead to each other."""
    rooms = Rooms(first, count, data.draw(st.integers(1, count)))
    names = rooms.names()
    mine = [names[name] for name in rooms.of(client)]
    assert len(set(mine)) == rooms.channels
    assert [rooms.place(client, room) for room in mine] == list(range(rooms.channels))
    assert [rooms.room(client, place) for place in range(rooms.channels)] == mine
    others = set(range(count)) - set(mine)
    assert all(rooms.place(client, room) >= rooms.channels for room in others)


def test_listeners() -> None:
    """The listeners of each room are counted as they are."""
    rooms, clients = Rooms(0, 7, 3), range(10, 40)
    expected: Counter[int] = Counter()
    names = rooms.names()
    for client in clients:
        if client % 4:
            expected.update(names[name] for name in rooms.of(client))
    assert list(rooms.listeners(clients, lambda c: c % 4 != 0)) == [expected[n] for n in range(7)]


# positions


def test_position_is_the_last_that_was_told() -> None:
    """Not the largest one: a message that had waited takes the position back until the next one is told."""
    positions = Positions(2)
    assert positions.of(0) == b""
    positions.told(0, b"e-9")
    assert positions.message(0, b"e-5")
    assert positions.of(0) == b"e-5"
    positions.told(0, b"e-9")
    assert (positions.of(0), positions.of(1)) == (b"e-9", b"")


def test_order_on_a_connection() -> None:
    """Messages go forward on a connection; the next connection begins anew, and so does another log."""
    positions = Positions(1)
    assert positions.message(0, b"e-5")
    assert not positions.message(0, b"e-5")
    assert not positions.message(0, b"e-4")
    assert positions.message(0, b"e-6")
    positions.connected(0)
    assert positions.message(0, b"e-1")
    assert positions.message(0, b"f-1")
    assert (positions.of(0), positions.message(0, b"f-1")) == (b"f-1", False)


@pytest.mark.parametrize("position", [b"e-1", b"zz9-9999999999999999999", b"e-1.2.3", b"0-0"])
def test_any_position_comes_back(position: bytes) -> None:
    """Whatever a position looks like, it is given back as it came, also after another kind."""
    positions = Positions(3)
    for before in (b"", b"e-7", b"e-1.1"):
        positions.told(1, before)
        positions.told(1, position)
        assert (positions.of(0), positions.of(1), positions.of(2)) == (b"", position, b"")
    positions.told(1, b"")
    assert positions.of(1) == position


# switching


def test_moments_have_the_mean() -> None:
    """There are as many moments as the mean says, each for a client at random, none before the begin or at the end."""
    switching = Switching(100, 10.0, 1)
    assert (list(switching.due(1e9, everyone)), switching.delay_s(0)) == ([], 3600.0)
    switching.begin(0.0)
    clients = Counter(switching.due(1000.0, everyone))
    assert sum(clients.values()) == pytest.approx(100 * 1000 / 10, rel=0.1)
    assert len(clients) == 100
    assert 0 <= switching.delay_s(1000.0) < 10
    switching.leaving.add(1)
    switching.halt()
    assert (list(switching.due(1e9, everyone)), switching.leaving) == ([], set())


def everyone(client: int) -> bool:
    """Whether a client has a connection, where all have."""
    return True


def test_the_rate_is_kept() -> None:
    """Who is not there is passed over for another one, so that as many drop as were asked for."""
    switching = Switching(100, 10.0, 1)
    switching.begin(0.0)
    found = list(switching.due(1000.0, lambda client: client < 50))
    assert len(found) == pytest.approx(100 * 1000 / 10, rel=0.1)
    assert max(found) < 50
    assert list(switching.due(2000.0, lambda client: False)) == []


def test_some_stay_away() -> None:
    """Where any shall, one in a hundred of those that drop stays away for long, and else none."""
    switching = Switching(1, 1.0, 1, away=True)
    assert sum(switching.drop().away for _ in range(10_000)) == pytest.approx(100, rel=0.3)
    switching = Switching(1, 1.0, 1)
    assert not any(switching.drop().away for _ in range(10_000))


def test_all_ways_to_drop() -> None:
    """Resets and plain closes, at once and amid bytes, with and without a rest: all occur."""
    switching = Switching(1, 1.0, 1)
    ways = {(switching.waits_for_bytes(), *vars_of(switching)) for _ in range(200)}
    assert len(ways) == 8
    assert switching.switches == 200
    assert all(switching.piece_bytes() >= 1 for _ in range(100))


def vars_of(switching: Switching) -> tuple[bool, bool]:
    drop = switching.drop()
    return drop.reset, drop.rests


# opening


def test_opening_in_portions() -> None:
    """Not too many at once, not more than handshakes may be under way, all in the end; those that come again first."""
    opening = Opening(1000, 0.0, lambda: 5.0)
    assert list(opening.due(5.0)) == list(range(CONNECTS_A_TURN))
    assert opening.delay_s(5.0) == 0.0
    opening.connecting = CONNECTING_AT_ONCE
    assert list(opening.due(5.0)) == []
    assert opening.delay_s(5.0) == 3600.0
    opening.connecting = 0
    opening.at_once(3)
    opening.later(4)
    assert list(opening.due(5.0))[:2] == [3, CONNECTS_A_TURN]
    assert next(opening.due(5.0 + RETRY_S)) == 4
    assert opening.reconnects == 2


@pytest.mark.parametrize(
    ("mix", "rooms", "who"),
    [("sse=1,ws=1", 0, [True, True]), ("script=1,sse=1", 0, [False, False]), ("script=1,sse=1", 2, [False, True])],
)
def test_who_learns_of_a_gap(mix: str, rooms: int, who: list[bool]) -> None:
    """Whoever may take a script, which has no words for a gap, is not one to come back late."""
    plan = Plan(0, 2, (), 2, "h", mix=Mix.of(mix), rooms=Rooms(0, 4, rooms))
    assert sorted(map(plan.learns_of_gaps, range(2))) == who


def test_who_is_away_for_long() -> None:
    """Such a client comes back when its time is over, or when all are called back."""
    opening = Opening(1, 0.0, lambda: 5.0, away_s=40.0)
    assert list(opening.due(5.0)) == [0]
    opening.much_later(0)
    assert (list(opening.due(44.9)), opening.delay_s(44.5)) == ([], 0.5)
    assert list(opening.due(45.0)) == [0]
    opening.much_later(0)
    opening.call_back()
    assert (opening.delay_s(5.0), list(opening.due(5.0)), list(opening.due(99.0))) == (0.0, [0], [])


def test_opening_at_a_rate() -> None:
    """With a rate the next one is told when it is due."""
    opening = Opening(3, 2.0, lambda: 0.0)
    assert (list(opening.due(0.0)), opening.delay_s(0.0)) == ([0], 0.5)
    assert (list(opening.due(0.4)), list(opening.due(1.2))) == ([], [1, 2])
    assert opening.delay_s(1.2) == 3600.0
    opening.later(1)
    assert opening.delay_s(0.1) == pytest.approx(RETRY_S - 0.1)


# gaps


def test_a_gap_excuses_one_jump() -> None:
    """What is left out behind a notice is no loss; what is left out later is."""
    book, receipts = Published(1), Receipts(1)
    for _ in range(10):
        book.next_number(0)
    receipts.received(0, 1)
    receipts.excuse(0)
    for number in (4, 5, 7, 8, 9, 10):
        receipts.received(0, number)
    verdict = judge([receipts], book)
    assert (verdict.lost, verdict.skipped, verdict.delivered, verdict.examples) == (1, 2, 7, (("lost", 0, 6),))


def test_a_gap_in_which_nothing_was() -> None:
    """A notice after which the next message is the next one excuses nothing any more."""
    book, receipts = Published(1), Receipts(1)
    for _ in range(4):
        book.next_number(0)
    receipts.excuse(0)
    receipts.received(0, 1)
    receipts.received(0, 4)
    verdict = judge([Receipts.from_json(receipts.to_json())], book)
    assert (verdict.lost, verdict.needless, receipts.excused(0)) == (2, 1, False)


def test_begun_in_the_middle() -> None:
    """Who was told of no gap, but came when others were there already, has no needless one."""
    receipts = Receipts(2)
    for client in range(2):
        receipts.excuse(client, told=False)
    receipts.received(0, 1)
    receipts.received(1, 3)
    assert (receipts.needless, receipts.skipped) == (0, 2)


@pytest.mark.parametrize("told", [True, False])
def test_a_gap_at_the_end(told: bool) -> None:
    """What never came behind a notice is no loss, what had been left out before it is."""
    book = Published(1)
    for _ in range(5):
        book.next_number(0)
    receipts = Receipts(1)
    receipts.received(0, 2)
    if told:
        receipts.excuse(0)
    verdict = judge([Receipts.from_json(receipts.to_json())], book)
    assert (verdict.lost, verdict.skipped) == ((1, 3) if told else (4, 0))


# the books


def ledger(*, everyone: bool = False) -> Ledger:
    return Ledger(
        *(5, 2, "c"),
        began_ns=10,
        positions=True,
        rooms=Rooms(0, 3, 2),
        listens=lambda c: c == 6,
        everyone=everyone,
        clock_ns=lambda: 50,
    )


def said(position: str, channel: str, text: str) -> tuple[int, bytes, bytes, bytes]:
    return MESSAGE, position.encode(), channel.encode(), text.encode()


def test_ready_with_a_position() -> None:
    """A client with rooms is ready when it was told a position, one without at its first connection."""
    books = ledger()
    books.met(0)
    books.met(1)
    assert books.ready == 1
    assert books.told(1, [(POSITION, b"e-1", b"", b""), (PING, b"", b"", b"x")]) == [(PING, b"", b"", b"x")]
    assert books.told(1, [(POSITION, b"e-2", b"", b"")]) is None
    assert books.ready == 2


def test_order_over_all_channels() -> None:
    """A message that comes behind a later one of another channel is out of order, though its own numbers go forward."""
    books = ledger()
    room = Rooms(0, 3, 2).of(6)[0].decode()
    books.told(1, [said("e-8", room, text_of(1, room, 20)), said("e-7", "@c6", text_of(1, "c6", 20))])
    assert (books.receipts.out_of_order, books.room_receipts.out_of_order) == (1, 0)
    books.told(1, [said("e-9", room, text_of(2, room, 20)), said("e-4", room, text_of(3, room, 20))])
    assert books.counts()["out_of_order"] == 2
    assert books.room_receipts.examples == [("out_of_order", 2, 3)]


def test_a_missing_worker() -> None:
    """What arrives while a worker is missing is timed apart, and checked as all else."""
    books = ledger()
    books.told(0, [said("e-1", "@c5", text_of(1, "c5", 20))])
    books.failing()
    books.told(0, [said("e-2", "@c5", text_of(2, "c5", 20))])
    assert (books.latency.count, books.failover.count, books.receipts.delivered) == (1, 1, 2)
    assert books.last_words()["failover"]["max_ns"] == 30


def test_numbered_messages_to_everyone() -> None:
    """They are checked as those of a room are, excused by a gap of `*`; another run's are not ours."""
    books = ledger(everyone=True)
    books.told(0, [(POSITION, b"e-1", b"", b"")])
    books.begin()
    for client in (0, 1):
        books.told(client, [said("e-2", "*", text_of(2, "*c", 20)), said("e-3", "*", text_of(1, "*d", 20))])
    assert (books.foreign, books.heard, books.fanout.count) == (2, 0, 2)
    assert books.everyone_receipts.state(0) == (2, frozenset({1}))
    assert (books.everyone_receipts.state(1), books.everyone_receipts.skipped) == ((2, frozenset()), 1)
    books.told(0, [(GAP, b"e-5", b"*", b""), said("e-6", "*", text_of(4, "*c", 20))])
    books.told(0, [said("e-6", "*", text_of(4, "*c", 20))])
    assert (books.everyone_receipts.skipped, books.counts()["repeated"], books.counts()["everyone_delivered"]) == (
        2,
        1,
        3,
    )
    other = ledger()
    other.told(0, [said("e-2", "*", text_of(1, "*c", 20))])
    assert (other.foreign, other.misdelivered) == (1, 0)


def test_gaps_of_channels() -> None:
    """A notice excuses its own channel, and moves the client on."""
    books = ledger()
    rooms = Rooms(0, 3, 2)
    other = (set(rooms.names()) - set(rooms.of(6))).pop()
    for n, channel in enumerate([rooms.of(6)[1], b"@c6", b"*", b"@c5", other]):
        books.told(1, [(GAP, b"e-%d" % n, channel, b"")])
    assert (books.gaps, books.receipts.excused(1), books.receipts.excused(0)) == (5, True, False)
    assert [books.room_receipts.excused(row) for row in range(4)] == [False, False, False, True]
    assert books.positions is not None
    assert books.positions.of(1) == b"e-4"


def test_pushing_begins() -> None:
    """A client that has no position when pushing begins does not know what came before."""
    books = ledger()
    books.begin()
    assert [books.room_receipts.excused(row) for row in range(4)] == [False, False, True, True]
