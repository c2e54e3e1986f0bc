"""What a program sees of a listening: items, waiting, the end."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from megacomet.client.items import Change, Message
from megacomet.errors import Disconnected
from tests.client_doubles import World


def taking(world: World) -> Deferred[object]:
    """Begin to wait for the next item."""
    return Deferred.fromCoroutine(world.listening.__anext__())


class ListeningTests(SynchronousTestCase):
    """The next item, and the end."""

    def setUp(self) -> None:
        self.world = World()
        self.world.last.stands()

    def test_waits(self) -> None:
        """Who waits is given what comes, after all of what was read at once has come."""
        waiting = taking(self.world)
        self.assertNoResult(waiting)
        self.world.last.brings(1, 2)
        self.assertEqual(self.successResultOf(waiting), Message("news", "e-1", 1))
        self.assertEqual(self.successResultOf(taking(self.world)), Message("news", "e-2", 2))

    def test_positions_wake_nobody(self) -> None:
        """A ping is no item."""
        waiting = taking(self.world)
        self.world.last.stands("e-9")
        self.assertNoResult(waiting)
        self.assertEqual(self.world.listening.position, "e-9")
        self.world.listening.close()
        self.failureResultOf(waiting, StopAsyncIteration)

    def test_given_up(self) -> None:
        """Who stops to wait loses nothing."""
        waiting = taking(self.world)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.world.last.brings(1)
        self.assertEqual(self.successResultOf(taking(self.world)), Message("news", "e-1", 1))

    def test_two_at_once(self) -> None:
        """Two that wait at once is a mistake, and is told as one."""
        waiting = taking(self.world)
        self.failureResultOf(taking(self.world), RuntimeError)
        self.world.last.brings(1)
        self.successResultOf(waiting)

    def test_closed(self) -> None:
        """The loop ends, at once and after it; what was not taken is not given out."""
        self.world.last.brings(1)
        self.successResultOf(Deferred.fromCoroutine(self.world.listening.aclose()))
        self.assertEqual((self.world.listening.state, self.world.listening.transport), ("disconnected", ""))
        self.failureResultOf(taking(self.world), StopAsyncIteration)
        self.successResultOf(Deferred.fromCoroutine(self.world.listening.aclose()))

    def test_closed_by_who_waits(self) -> None:
        """A program that closes it when it has what it wanted, while more is being read."""
        waiting = taking(self.world)
        waiting.addCallback(lambda _: self.world.listening.close())
        self.world.last.brings(*range(1, 300))
        self.assertTrue(self.world.last.is_closed)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """What has come is given out first; then the error, again and again."""
        self.world.last.brings(1)
        self.world.last.ends(3503, "cut off", is_server_s=True)
        self.assertEqual(self.world.numbers(), [1])
        for _ in range(2):
            error = self.failureResultOf(taking(self.world), Disconnected).value
            self.assertEqual((error.code, error.reason, str(error)), (3503, "cut off", "3503: cut off"))

    def test_refused_while_waiting(self) -> None:
        """Who waits is told at once."""
        waiting = taking(self.world)
        self.world.last.ends(401, "no", is_server_s=True)
        self.failureResultOf(waiting, Disconnected)

    def test_context(self) -> None:
        """`async with` closes it."""

        async def use() -> None:
            async with self.world.listening as listening:
                assert await anext(listening)

        self.world.last.brings(1)
        self.successResultOf(Deferred.fromCoroutine(use()))
        self.assertTrue(self.world.last.is_closed)

    def test_loop(self) -> None:
        """`async for`, until it is closed."""
        got = []

        async def use() -> None:
            async for item in self.world.listening:
                got.append(item)

        done = Deferred.fromCoroutine(use())
        self.world.last.brings(1, 2)
        self.world.last.brings(3)
        self.world.listening.close()
        self.successResultOf(done)
        self.assertEqual([item.data for item in got], [1, 2, 3])

    def test_a_watch_that_fails(self) -> None:
        """A fault of the program's is logged, and the connection goes on."""
        self.world.listening._watch = lambda _: 1 / 0
        self.world.last.ends()
        self.world.advance(1)
        self.world.last.stands()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.world.last.brings(1)
        self.assertEqual(self.world.numbers(), [1])


class ConnectedTests(SynchronousTestCase):
    """Waiting for the connection."""

    def connected(self, world: World) -> Deferred[None]:
        """Begin to wait."""
        return Deferred.fromCoroutine(world.listening.connected())

    def test_waits(self) -> None:
        """Several may wait, through failures, and who comes later does not."""
        world = World()
        waiting = [self.connected(world), self.connected(world)]
        world.last.ends()
        world.clock.advance(0)
        self.assertNoResult(waiting[0])
        world.last.stands()
        for each in (*waiting, self.connected(world)):
            self.successResultOf(each)

    def test_refused(self) -> None:
        """The server does not want it."""
        world = World()
        waiting = self.connected(world)
        world.last.ends(403, "no", is_server_s=True)
        self.failureResultOf(waiting, Disconnected)
        self.failureResultOf(self.connected(world), Disconnected)

    def test_closed(self) -> None:
        """Somebody closes it."""
        world = World()
        waiting = self.connected(world)
        world.listening.close()
        self.failureResultOf(waiting, Disconnected)

    def test_given_up(self) -> None:
        """Who stops to wait is forgotten."""
        world = World()
        waiting = self.connected(world)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        world.last.stands()


@pytest.mark.parametrize("since", ["", "e-5", "oldest"])
def test_position_at_first(since: str) -> None:
    """Until something is known it is what was given: a program that keeps it does not lose what it had."""
    world = World(since=since)
    assert world.listening.position == since
    assert world.changes[0] == Change("connecting", "websocket")
