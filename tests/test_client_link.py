"""A connection that is kept: down and up the transports, pauses, advice, silence, sleep, back-pressure."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from megacomet.client.items import CONNECTED, CONNECTING, DISCONNECTED, POLL, SSE, WEBSOCKET, Change, Message
from megacomet.client.objects import Gone, Lost, Position
from megacomet.client.rules import Ending
from megacomet.client.shelf import MOST_HELD, MOST_HELD_BYTES
from tests.client_doubles import World

REFUSED = Ending(0, "refused")


def test_connects() -> None:
    """The best transport is tried at once, for the channels and from the position that were given."""
    world = World(("news", "sport"), since="e-5")
    assert [opened.transport for opened in world.opened] == [WEBSOCKET]
    assert (world.last.wanted.channels, world.last.wanted.since) == (("news", "sport"), "e-5")
    world.last.stands("e-7")
    assert world.changes == [Change(CONNECTING, WEBSOCKET), Change(CONNECTED, WEBSOCKET)]
    assert (world.listening.state, world.listening.transport) == (CONNECTED, WEBSOCKET)
    world.last.brings(8)
    assert (world.numbers(), world.listening.position) == ([8], "e-8")


class TestDown:
    """What does not open makes room for the next transport."""

    def test_at_once(self) -> None:
        """A refused one is followed without delay."""
        world = World()
        world.last.ends(403, "blocked")
        world.clock.advance(0)
        assert world.last.transport == SSE
        assert world.change == Change(CONNECTING, SSE, 403, "blocked")
        world.last.ends()
        world.clock.advance(0)
        assert world.last.transport == POLL
        world.last.stands()
        assert world.change == Change(CONNECTED, POLL)

    def test_after_five_seconds(self) -> None:
        """One that does not answer, too; and it is closed."""
        world = World()
        world.advance(4.9)
        assert len(world.opened) == 1
        world.advance(0.2)
        assert [opened.transport for opened in world.opened] == [WEBSOCKET, SSE]
        assert world.opened[0].is_closed

    def test_opened_without_a_position(self) -> None:
        """Bytes that say nothing are not enough."""
        world = World()
        world.last.ear.heard()
        world.last.ear.flush()
        world.advance(5)
        assert world.last.transport == SSE

    def test_before_open_returns(self) -> None:
        """All refused at once: one attempt each, then a pause that grows."""
        world = World(random=1.0)
        world.refuses = dict.fromkeys((SSE, POLL, WEBSOCKET), REFUSED)
        world.last.ends()
        world.clock.advance(0)
        world.clock.advance(0)
        assert [opened.transport for opened in world.opened] == [WEBSOCKET, SSE, POLL]
        delays = []
        for _ in range(8):
            delays.append(world.change.delay_s)
            world.clock.advance(delays[-1])
            world.clock.advance(0)
            world.clock.advance(0)
        assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]
        assert len(world.opened) == 3 * 9

    def test_what_works_first(self) -> None:
        """A server that comes back is met by the transport that worked."""
        world = World()
        world.last.ends()
        world.clock.advance(0)
        world.last.stands()
        world.last.brings(1)
        world.refuses = dict.fromkeys((SSE, POLL), REFUSED)
        world.last.ends()
        for _ in range(2):
            world.clock.advance(world.change.delay_s)
        assert [opened.transport for opened in world.opened[2:]] == [SSE, POLL, SSE, POLL]

    def test_two_brief_ones(self) -> None:
        """A transport that opens and breaks at once, twice, is left for a time; no pause is zero for ever."""
        world = World(random=1.0)
        delays = []
        for _ in range(2):
            world.last.stands()
            world.last.ends()
            delays.append(world.change.delay_s)
            world.clock.advance(delays[-1])
        assert delays == [0.5, 1]
        assert world.last.transport == SSE

    def test_that_held(self) -> None:
        """One that broke after it brought something is opened again as it was, from where it ended."""
        world = World()
        for n in range(1, 4):
            world.last.stands()
            world.last.brings(n)
            world.last.ends()
            assert world.change == Change(CONNECTING, WEBSOCKET, 0, "lost", 0.25)
            world.clock.advance(0.25)
            assert (world.last.transport, world.last.wanted.since) == (WEBSOCKET, f"e-{n}")


class TestForGood:
    """What the server forbids is not tried again."""

    @pytest.mark.parametrize("code", [3503, 3500, 4999, 1003])
    def test_closes(self, code: int) -> None:
        """A close code that says so."""
        world = World()
        world.last.stands()
        world.last.ends(code, "cut off", is_server_s=True)
        assert world.change == Change(DISCONNECTED, "", code, "cut off")
        world.advance(700)
        assert len(world.opened) == 1
        assert world.listening.state == DISCONNECTED

    @pytest.mark.parametrize("code", [400, 401, 403, 404, 405])
    def test_statuses_of_the_server(self, code: int) -> None:
        """A refused token, a channel that cannot be named: one request and no more."""
        world = World()
        world.last.ends(code, "no", is_server_s=True)
        world.advance(700)
        assert (world.change.state, len(world.opened)) == (DISCONNECTED, 1)

    @pytest.mark.parametrize("code", [403, 404])
    def test_statuses_of_what_stands_before(self, code: int) -> None:
        """A proxy that blocks a transport does not end it while there is another one; the last one's word counts."""
        world = World()
        for transport in (WEBSOCKET, SSE):
            assert world.last.transport == transport
            world.last.ends(code)
            world.clock.advance(0)
        world.last.ends(code)
        world.advance(700)
        assert (world.change.state, len(world.opened)) == (DISCONNECTED, 3)

    @pytest.mark.parametrize("code", [429, 500, 502, 503, 3001, 1001])
    def test_what_passes(self, code: int) -> None:
        """Everything else comes back."""
        world = World(transports=[WEBSOCKET])
        world.last.ends(code, is_server_s=True)
        world.advance(1)
        assert len(world.opened) == 2


class TestAdvice:
    """The server says how long it wants to be left alone."""

    def test_of_an_end(self) -> None:
        """A close with a wait, or a stream's retry: at least as long, and up to half of it more."""
        world = World()
        world.last.stands()
        world.last.ends(3001, "stopping retry=4", 4.0, True)
        assert world.change.delay_s == 5
        world.advance(4.9)
        assert len(world.opened) == 1
        world.advance(0.2)
        assert len(world.opened) == 2

    def test_of_a_refusal(self) -> None:
        """A full server is not asked by the next transport at once."""
        world = World()
        world.last.ends(503, "full", 10.0, True)
        assert world.change == Change(CONNECTING, WEBSOCKET, 503, "full", 12.5)
        world.advance(12)
        assert len(world.opened) == 1

    def test_of_what_stands_before(self) -> None:
        """A proxy's advice is remembered until all transports were tried."""
        world = World()
        world.last.ends(503, "no WebSocket here", 20.0)
        world.clock.advance(0)
        assert world.last.transport == SSE
        world.last.ends()
        world.clock.advance(0)
        world.last.ends()
        assert world.change.delay_s == 25


class TestUp:
    """A better transport is looked for while a lower one stands."""

    def lowered(self) -> World:
        """A world that polls."""
        world = World()
        world.refuses = {SSE: REFUSED}
        world.last.ends()
        world.clock.advance(0)
        world.clock.advance(0)
        assert world.last.transport == POLL
        world.last.stands()
        return world

    def keep(self, world: World, seconds: int) -> None:
        """Let time pass in which the present connection shows that it lives."""
        standing = next(one for one in world.opened if one.transport == POLL)
        for _ in range(seconds):
            standing.ear.heard()
            world.clock.advance(1)

    def test_looked_for(self) -> None:
        """After a minute, all better ones, one after the other; then after two, four … ten."""
        world = self.lowered()
        world.refuses[WEBSOCKET] = REFUSED
        tried = []
        for second in range(1, 60 * 40):
            before = len(world.opened)
            self.keep(world, 1)
            if len(world.opened) > before:
                tried.append((second // 60, [opened.transport for opened in world.opened[before:]]))
        assert [minute for minute, _ in tried] == [1, 3, 7, 15, 25, 35]
        assert all(transports == [WEBSOCKET, SSE] for _, transports in tried)
        assert world.listening.transport == POLL

    def test_breaks_put_nothing_off(self) -> None:
        """However often the lower one breaks meanwhile, the better ones are looked for when it is time."""
        world = self.lowered()
        world.refuses[WEBSOCKET] = REFUSED
        tried = []
        for second in range(1, 60 * 8):
            before = len(world.opened)
            if second % 20 == 0:
                next(one for one in reversed(world.opened) if one.transport == POLL).ends()
            world.clock.advance(1)
            for opened in world.opened[before:]:
                if opened.transport == POLL:
                    opened.stands()
                elif opened.transport == WEBSOCKET:
                    tried.append(second // 60)
        assert tried == [1, 3, 7]

    def test_switched(self) -> None:
        """It is opened beside, from the position of now; when it stands the old one goes, and nothing is told twice."""
        world = self.lowered()
        poll = world.last
        poll.brings(1)
        self.keep(world, 60)
        socket = world.last
        assert (socket.transport, socket.wanted.since) == (WEBSOCKET, "e-1")
        poll.brings(2)
        assert not poll.is_closed
        assert (world.numbers(), world.listening.position) == ([1, 2], "e-2")
        socket.stands("e-1")
        assert (poll.is_closed, world.listening.position) == (True, "e-2")
        socket.brings(2, 3)
        assert world.numbers() == [3]
        assert world.change == Change(CONNECTED, WEBSOCKET)

    def test_a_channel_that_is_added_meanwhile(self) -> None:
        """What is tried beside a WebSocket was not asked for it: it is given up, and tried again with the channel."""
        world = World(transports=(SSE, WEBSOCKET))
        world.last.ends()
        world.clock.advance(0)
        socket = world.last
        socket.stands()
        for _ in range(60):
            socket.ear.heard()
            world.clock.advance(1)
        tried = world.last
        assert (tried.transport, tried.wanted.channels) == (SSE, ("news",))
        world.listening.subscribe("sport")
        world.clock.advance(0)
        assert ([op["op"] for op in socket.sent], tried.is_closed, socket.is_closed) == (["subscribe"], True, False)
        for _ in range(121):
            socket.ear.heard()
            world.clock.advance(1)
        assert (world.last.transport, world.last.wanted.channels) == (SSE, ("news", "sport"))

    @pytest.mark.parametrize("told", [(Gone(("news",), "f-3"),), (Gone(("news",), ""), Message("news", "f-3", 3))])
    def test_a_gap_meanwhile(self, told: tuple[Gone | Message, ...]) -> None:
        """A gap is told once: what is tried from before it, and would tell of it too, is tried again from behind it."""
        world = self.lowered()
        poll = world.last
        poll.brings(1)
        self.keep(world, 60)
        tried = world.last
        assert (tried.transport, tried.wanted.since) == (WEBSOCKET, "e-1")
        poll.says(*told, Position("f-3"))
        assert (tried.is_closed, world.last.transport, world.last.wanted.since) == (True, WEBSOCKET, "f-3")
        tried.says(Position("e-1"), Lost("news", "f-3"))
        world.last.stands("f-3")
        assert (poll.is_closed, len(world.gaps())) == (True, 1)
        world.last.says(Message("news", "f-4", 4))
        assert (world.numbers(), world.listening.position) == ([4], "f-4")

    def test_the_old_one_ends(self) -> None:
        """The one that stands breaks while the better one is opened: it begins from the top of what works."""
        world = self.lowered()
        poll = world.last
        poll.brings(1)
        self.keep(world, 60)
        socket = world.last
        poll.ends()
        assert socket.is_closed
        world.advance(1)
        assert (world.last.transport, world.last.wanted.since) == (POLL, "e-1")

    def test_too_late(self) -> None:
        """A better one that does not answer is given up after five seconds, and nothing else changes."""
        world = self.lowered()
        self.keep(world, 66)
        assert [opened.is_closed for opened in world.opened[-3:]] == [False, True, False]
        assert world.listening.transport == POLL


class TestSilence:
    """A server that says nothing is dead."""

    @pytest.mark.parametrize(("transport", "seconds"), [(WEBSOCKET, 60), (SSE, 60), (POLL, 65)])
    def test_dead(self, transport: str, seconds: int) -> None:
        """It is given up, and opened again, from where it was."""
        world = World(transports=[transport])
        world.last.stands("e-3")
        world.advance(seconds - 1)
        assert len(world.opened) == 1
        world.advance(1.5)
        assert world.opened[0].is_closed
        assert (len(world.opened), world.last.wanted.since) == (2, "e-3")
        assert world.changes[2].reason.startswith("nothing came for")

    def test_any_byte(self) -> None:
        """A ping is enough."""
        world = World()
        world.last.stands()
        for _ in range(10):
            world.advance(25)
            world.last.ear.heard()
        assert len(world.opened) == 1

    def test_sleep(self) -> None:
        """After an hour of sleep the connection has five seconds to show that it lives."""
        world = World()
        world.last.stands()
        world.clock.advance(3600)
        assert (world.last.asked, world.last.is_closed) == (1, False)
        world.advance(10)
        assert len(world.opened) == 2

    def test_sleep_survived(self) -> None:
        """One that answers stays."""
        world = World()
        world.last.stands()
        world.clock.advance(3600)
        world.last.says(Position("e-9"))
        world.advance(30)
        assert len(world.opened) == 1


class TestSlow:
    """A program that is slow."""

    def test_not_read(self) -> None:
        """When enough is held the connection is not read, and read again when there is room for many."""
        world = World()
        world.last.stands()
        world.last.brings(*range(1, MOST_HELD))
        assert not world.last.is_paused
        world.last.brings(MOST_HELD)
        assert world.last.is_paused
        world.advance(600)
        assert (len(world.opened), world.last.is_paused) == (1, True)
        assert world.numbers() == [*range(1, MOST_HELD + 1)]
        assert not world.last.is_paused
        world.advance(59)
        assert len(world.opened) == 1

    def test_large_ones(self) -> None:
        """A message of 1 MB is enough for the moment."""
        world = World()
        world.last.stands()
        world.last.brings(1, size=MOST_HELD_BYTES)
        assert world.last.is_paused

    def test_across_a_break(self) -> None:
        """What is held when the connection breaks stays; the next one waits for room, and brings nothing beyond."""
        world = World()
        world.last.stands()
        world.last.brings(*range(1, 300))
        world.last.ends(3008, "slow", is_server_s=True)
        world.advance(600)
        assert (len(world.opened), world.listening.state) == (1, CONNECTING)
        assert world.numbers() == [*range(1, 300)]
        world.clock.advance(0)
        assert (len(world.opened), world.last.wanted.since) == (2, "e-299")
        world.last.stands("e-299")
        world.last.brings(300)
        assert (world.numbers(), world.last.is_paused) == ([300], False)

    def test_while_another_opens(self) -> None:
        """One that opens is read up to its position, also where the handshake is a read of its own."""
        world = World(transports=[SSE])
        world.last.stands()
        world.clock.advance(0)
        world.listening.subscribe("a")
        world.clock.advance(0)
        world.opened[0].brings(*range(1, 300))
        world.last.says()
        assert [opened.is_paused for opened in world.opened] == [True, False]
        world.last.stands("e-0")
        assert [opened.is_closed for opened in world.opened] == [True, False]
        assert world.last.is_paused


def test_gaps() -> None:
    """A gap is told, and the next connection begins behind it."""
    world = World()
    world.last.stands("e-1")
    world.last.says(Lost("news", "e-5"))
    world.last.ends()
    world.advance(1)
    assert world.last.wanted.since == "e-5"
    assert [gap.channels for gap in world.gaps()] == [("news",)]


def test_complains_once() -> None:
    """Garbage is told once for a connection, and the connection goes on."""
    world = World()
    world.last.stands()
    told = []
    world.link.owner.complain = told.append
    for _ in range(3):
        world.last.ear.complain("what is this")
    world.last.brings(1)
    assert (told, world.numbers(), len(world.opened)) == (["what is this"], [1], 1)


def test_closed() -> None:
    """Who closes it is told nothing more, and nothing is left behind."""
    world = World()
    world.last.stands()
    world.listening.close()
    assert world.last.is_closed
    world.last.brings(1)
    assert world.taken() == []
    assert world.clock.getDelayedCalls() == []


@pytest.mark.parametrize("seconds", [0, 3, 5, 62, 70])
def test_closed_at_any_time(seconds: int) -> None:
    """While it waits, tries, stands or looks for something better."""
    world = World()
    world.last.ends()
    world.clock.advance(0)
    if seconds > 3:
        world.last.stands()
    world.advance(seconds)
    world.listening.close()
    assert all(opened.is_closed for opened in world.opened)
    assert world.clock.getDelayedCalls() == []


@pytest.mark.parametrize("state", [CONNECTING, CONNECTED])
def test_closed_by_who_is_told(state: str) -> None:
    """Who watches the connection may close it there: it does not come back."""
    world = World()

    def watch(change: Change) -> None:
        if change.state == state:
            world.listening.close()

    world.listening._watch = watch
    world.last.stands() if state == CONNECTED else world.last.ends()
    assert world.clock.getDelayedCalls() == []
    assert (len(world.opened), world.last.is_closed) == (1, True)


def test_closed_by_who_waited_for_it() -> None:
    """So may whoever has waited until it is connected."""
    world = World()

    async def connects() -> None:
        await world.listening.connected()
        world.listening.close()

    Deferred.fromCoroutine(connects())
    world.last.stands()
    assert world.clock.getDelayedCalls() == []
