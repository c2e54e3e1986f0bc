"""Channels that are added and left, on every transport; and what was missed of those that begin earlier."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from megacomet.client.items import POLL, SSE, WEBSOCKET, Gap, Message
from megacomet.client.objects import Ok
from megacomet.client.shelf import MOST_HELD
from megacomet.errors import BadName, BadPosition, PeerError, SubscriptionRefused
from tests.client_doubles import World


def standing(transport: str = WEBSOCKET) -> World:
    """A world with a connection that stands."""
    world = World(transports=[transport])
    world.last.stands("e-1")
    world.clock.advance(0)
    return world


def refusal(world: World) -> SubscriptionRefused:
    """Return what is raised where the next item is waited for."""
    raised: list[SubscriptionRefused] = []
    Deferred.fromCoroutine(world.listening.__anext__()).addErrback(lambda failure: raised.append(failure.value))
    [error] = raised
    assert isinstance(error, SubscriptionRefused)
    return error


class TestByOps:
    """A WebSocket is asked."""

    def test_several_at_once(self) -> None:
        """All that is added in one turn makes one request."""
        world = standing()
        world.listening.subscribe("a")
        world.listening.subscribe("b", "a", "news")
        world.clock.advance(0)
        assert world.last.sent == [{"op": "subscribe", "channels": ("a", "b"), "id": 1}]
        assert world.listening.channels == ("news", "a", "b")
        world.last.confirms()
        world.last.brings(2, channel="b")
        assert world.numbers() == [2]

    def test_left(self) -> None:
        """Nothing of a channel that was left is told, not even what waits."""
        world = standing()
        world.listening.subscribe("a")
        world.clock.advance(0)
        world.last.confirms()
        world.last.brings(2, channel="a")
        world.listening.unsubscribe("a")
        world.last.brings(3, channel="a")
        world.clock.advance(0)
        assert world.last.sent[1:] == [{"op": "unsubscribe", "channels": ("a",)}]
        assert world.numbers() == []

    def test_left_while_it_is_not_read(self) -> None:
        """When what fills everything is dropped, the connection is read again: nobody takes what is not there."""
        world = standing()
        world.listening.subscribe("a")
        world.clock.advance(0)
        world.last.confirms()
        world.last.brings(*range(2, MOST_HELD + 2), channel="a")
        assert world.last.is_paused
        world.listening.unsubscribe("a")
        assert not world.last.is_paused

    def test_left_and_added_again(self) -> None:
        """What comes afterwards is told."""
        world = standing()
        for act in (world.listening.subscribe, world.listening.unsubscribe, world.listening.subscribe):
            act("a")
            world.clock.advance(0)
        world.last.says(Ok(1), Ok(2))
        world.last.brings(2, channel="a")
        assert world.numbers() == [2]

    def test_broken_before_the_answer(self) -> None:
        """The next connection is opened with all of them."""
        world = standing()
        world.listening.subscribe("a")
        world.clock.advance(0)
        world.last.ends()
        world.advance(1)
        assert world.last.wanted.channels == ("news", "a")
        world.last.stands()
        world.clock.advance(0)
        assert world.last.sent == []

    def test_left_before_the_answer(self) -> None:
        """A channel that is not wanted any more when it is confirmed is left then."""
        world = standing()
        world.listening.subscribe("a")
        world.clock.advance(0)
        world.listening.unsubscribe("a")
        world.clock.advance(0)
        world.last.confirms()
        world.clock.advance(0)
        assert [op["op"] for op in world.last.sent] == ["subscribe", "unsubscribe"]

    def test_asked_for_again(self) -> None:
        """An answer that never came does not keep a channel from being asked for later."""
        world = standing()
        world.listening.subscribe("a")
        world.clock.advance(0)
        world.last.ends()
        world.advance(1)
        world.last.stands()
        world.clock.advance(0)
        for act in (world.listening.unsubscribe, world.listening.subscribe):
            act("a")
            world.clock.advance(0)
        assert [op["op"] for op in world.last.sent] == ["unsubscribe", "subscribe"]

    def test_added_while_it_opens(self) -> None:
        """A channel that came too late for the request is asked for when the connection stands."""
        world = World()
        world.listening.subscribe("a")
        world.clock.advance(0)
        world.last.stands()
        world.clock.advance(0)
        assert [op["channels"] for op in world.last.sent] == [("a",)]

    def test_refused(self) -> None:
        """It is raised once, where the next item is waited for; everything else goes on."""
        world = standing()
        world.listening.subscribe("a", "b")
        world.clock.advance(0)
        world.last.refuses(106, "too many")
        error = refusal(world)
        assert (error.channels, error.code, str(error)) == (("a", "b"), 106, "a, b: 106: too many")
        assert world.listening.channels == ("news",)
        world.last.brings(2)
        assert world.numbers() == [2]

    @pytest.mark.parametrize("code", [100, 111])
    def test_not_now(self, code: int) -> None:
        """An error that passes is tried again, after a pause."""
        world = standing()
        world.listening.subscribe("a")
        world.clock.advance(0)
        world.last.refuses(code)
        world.clock.advance(0)
        assert len(world.last.sent) == 1
        world.clock.advance(0.5)
        assert len(world.last.sent) == 2
        assert world.listening.channels == ("news", "a")


@pytest.mark.parametrize("transport", [SSE, POLL])
class TestByRenewal:
    """The others are asked anew, for all channels, while what stands goes on."""

    def test_added(self, transport: str) -> None:
        """Nothing is missed in between, and nothing comes twice."""
        world = standing(transport)
        old = world.last
        world.listening.subscribe("a")
        world.listening.subscribe("b")
        world.clock.advance(0)
        assert (len(world.opened), world.last.wanted.channels, world.last.wanted.since) == (
            2,
            ("news", "a", "b"),
            "e-1",
        )
        old.brings(2)
        world.last.stands("e-1")
        assert old.is_closed
        world.last.brings(2)
        world.last.brings(3, channel="a")
        assert world.numbers() == [2, 3]

    def test_left(self, transport: str) -> None:
        """A channel that was left is not asked for any more."""
        world = World(("news", "a"), [transport])
        world.last.stands()
        world.clock.advance(0)
        world.listening.unsubscribe("a")
        world.clock.advance(0)
        assert world.last.wanted.channels == ("news",)

    def test_refused(self, transport: str) -> None:
        """The connection that stands stays, and what was added is refused."""
        world = standing(transport)
        world.listening.subscribe("a")
        world.clock.advance(0)
        world.last.ends(400, "bad-request: too many", is_server_s=True)
        assert refusal(world).channels == ("a",)
        assert (len(world.opened), world.opened[0].is_closed) == (2, False)

    def test_not_now(self, transport: str) -> None:
        """Without the new one the old one is of no use: it begins from the beginning, with all channels."""
        world = standing(transport)
        world.opened[0].brings(2)
        world.listening.subscribe("a")
        world.clock.advance(0)
        world.last.ends()
        assert world.opened[0].is_closed
        world.advance(1)
        assert (world.last.wanted.channels, world.last.wanted.since) == (("news", "a"), "e-2")


class TestCatchingUp:
    """A channel with a position of its own."""

    def catching(self, *more: str) -> World:
        """A world whose channel a is heard, and what was missed of it asked for."""
        world = standing()
        world.listening.subscribe("a", *more, since="e-0")
        world.clock.advance(0)
        assert world.fetched == []
        world.last.confirms()
        return world

    def test_all_of_it(self) -> None:
        """It is asked until it reaches live messages, which come behind it; the other channels do not wait."""
        world = self.catching()
        world.last.brings(20, channel="a")
        world.last.brings(21)
        assert world.numbers() == [21]
        world.answer("e-11", 10, 11, channel="a")
        assert (world.numbers(), world.fetched[-1][:2]) == ([10, 11], (("a",), "e-11"))
        world.last.brings(22, channel="a")
        world.answer("e-20", 20, channel="a")
        world.last.brings(23, channel="a")
        assert world.numbers() == [20, 22, 23]
        assert len(world.fetched) == 2

    def test_nothing_more(self) -> None:
        """Without live messages it is asked until there is nothing more."""
        world = self.catching()
        world.answer("e-11", 11, channel="a")
        assert world.fetched[-1][:2] == (("a",), "e-11")
        world.answer("e-11", channel="a")
        world.last.brings(12, channel="a")
        assert (world.numbers(), len(world.fetched)) == ([11, 12], 2)

    def test_each_by_itself(self) -> None:
        """A busy channel is through when it reaches its live messages; the other one is asked for alone."""
        world = self.catching("b")
        world.last.brings(20, channel="a")
        world.answer("e-20", 19, 20, channel="a")
        assert world.fetched[-1][:2] == (("b",), "e-20")
        world.last.brings(21, channel="a")
        assert world.numbers() == [19, 20, 21]

    def test_gap(self) -> None:
        """What is no longer kept is told before what still is."""
        world = self.catching()
        world.answer("e-11", 10, 11, channel="a", gap=True)
        world.answer("e-11", channel="a")
        assert world.taken() == [Gap(("a",), ""), Message("a", "e-10", 10), Message("a", "e-11", 11)]

    def test_several(self) -> None:
        """Channels that were added together are caught up together."""
        world = self.catching("b")
        assert world.fetched[0][:2] == (("a", "b"), "e-0")

    @pytest.mark.parametrize("code", [0, 503, 403])
    def test_tried_again(self, code: int) -> None:
        """What fails is asked again after a pause; what stands before the server does not decide."""
        world = self.catching()
        world.fail_fetch(code)
        assert len(world.fetched) == 1
        world.clock.advance(0.25)
        assert len(world.fetched) == 2
        world.answer("e-1", channel="a")

    def test_refused(self) -> None:
        """The server does not give it: the channel is refused."""
        world = self.catching()
        world.fail_fetch(400, True)
        assert refusal(world).channels == ("a",)
        world.clock.advance(0)
        assert world.last.sent[-1] == {"op": "unsubscribe", "channels": ("a",)}

    def test_across_a_break(self) -> None:
        """A connection that breaks in between changes nothing."""
        world = self.catching()
        world.last.brings(20, channel="a")
        world.last.ends()
        world.advance(1)
        assert world.last.wanted.since == "e-20"
        world.last.stands("e-20")
        world.last.brings(21, channel="a")
        world.answer("e-11", 11, channel="a")
        world.answer("e-11", channel="a")
        assert world.numbers() == [11, 20, 21]

    def test_slow(self) -> None:
        """A program that does not take what was missed is not given more of it."""
        world = self.catching()
        world.answer("e-100", *range(1, 101), channel="a")
        assert len(world.fetched) == 1
        assert len(world.numbers()) == 100
        assert world.fetched[1][:2] == (("a",), "e-100")

    def test_live_ones_are_bounded(self) -> None:
        """The connection is left unread while too many live messages wait, and read again when they are told."""
        world = self.catching()
        world.last.brings(*range(1000, 1000 + MOST_HELD + 1), channel="a")
        assert world.last.is_paused
        world.answer("e-1", channel="a")
        assert len(world.numbers()) == MOST_HELD + 1
        assert not world.last.is_paused

    def test_bounded_ones_do_not_stop_it(self) -> None:
        """What was missed is fetched while the connection is left unread for all that waits behind it."""
        world = self.catching()
        world.last.brings(*range(1000, 1000 + MOST_HELD + 1), channel="a")
        world.answer("e-11", 10, 11, channel="a")
        assert world.numbers() == [10, 11]
        world.answer("e-1000", 999, 1000, channel="a")
        assert world.numbers() == [*range(999, 1000 + MOST_HELD + 1)]
        assert not world.last.is_paused

    def test_left(self) -> None:
        """A channel that is left meanwhile is forgotten."""
        world = self.catching()
        world.last.brings(20, channel="a")
        world.listening.unsubscribe("a")
        world.answer("e-11", 11, channel="a")
        world.clock.advance(0)
        assert world.numbers() == []
        assert len(world.fetched) == 1

    @pytest.mark.parametrize("fails", [False, True])
    def test_closed(self, fails: bool) -> None:
        """Nothing is left behind."""
        world = self.catching()
        if fails:
            world.fail_fetch(503)
        world.listening.close()
        assert world.clock.getDelayedCalls() == []

    def test_before_it_stands(self) -> None:
        """Asked for before there is a connection, it is caught up when there is one."""
        world = World()
        world.listening.subscribe("a", since="oldest")
        world.last.ends()
        world.clock.advance(0)
        assert (world.last.transport, world.last.wanted.channels) == (SSE, ("news", "a"))
        world.last.stands()
        world.clock.advance(0)
        assert world.fetched[0][:2] == (("a",), "oldest")


@pytest.mark.parametrize(
    ("channel", "since", "error"),
    [
        *(("", None, BadName), ("a b", None, BadName), ("@sue", None, PeerError), ("*", None, PeerError)),
        ("a", "yesterday", BadPosition),
    ],
)
def test_bad_names(channel: str, since: str | None, error: type[PeerError]) -> None:
    """They are refused where they are given."""
    world = standing()
    with pytest.raises(error):
        world.listening.subscribe(channel, since=since)


def test_nothing_left() -> None:
    """Who leaves the last channel is told to close it instead."""
    world = standing()
    with pytest.raises(PeerError):
        world.listening.unsubscribe("news")
    world.listening.close()
    world.listening.unsubscribe("news")
    world.listening.subscribe("a")
