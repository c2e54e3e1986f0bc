"""Questions to workers: all are asked at once, and what is told when one of them does not answer."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from megacomet.errors import PeerError
from megacomet.link import LOOK_S, LinkRefused
from megacomet.manager.asking import ask
from megacomet.wire import looking

QUESTION = looking.CountListeners(b"news")


class Worker:
    """A worker that answers when the test says so."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.asked: list[bytes] = []
        self.answer: Deferred[bytes] = Deferred()

    async def look(self, question: bytes) -> bytes:
        self.asked.append(question)
        return await self.answer


class AskTests(SynchronousTestCase):
    """Three workers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.workers = [Worker(n) for n in range(3)]
        self.answers: Deferred[Any] = Deferred.fromCoroutine(ask(self.workers, QUESTION, self.clock))

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def refused(self) -> str:
        error = self.failureResultOf(self.answers, PeerError).value
        self.assertEqual(error.status, 503)
        return str(error.detail)

    def test_all_answer(self) -> None:
        """Each is asked once, at once; the answers come in the order of the workers."""
        self.assertEqual([w.asked for w in self.workers], [[looking.encode(QUESTION)]] * 3)
        for worker in reversed(self.workers):
            self.assertNoResult(self.answers)
            worker.answer.callback(b"%d" % worker.number)
        self.assertEqual(self.successResultOf(self.answers), [(0, b"0"), (1, b"1"), (2, b"2")])

    def test_one_does_not_answer(self) -> None:
        """It is named after the time that it had; what comes later is not looked at."""
        self.workers[0].answer.callback(b"0")
        self.workers[2].answer.callback(b"2")
        self.clock.advance(LOOK_S - 0.1)
        self.assertNoResult(self.answers)
        self.clock.advance(0.1)
        self.assertEqual(self.refused(), "worker 1 has not answered within 2 s")
        self.workers[1].answer.callback(b"1")

    def test_nobody_answers(self) -> None:
        """All have the same time, not one after the other."""
        self.clock.advance(LOOK_S)
        self.assertEqual(self.refused(), "worker 0 has not answered within 2 s")

    def test_one_refuses(self) -> None:
        """A worker that has given up is one that has not answered; the others' answers are not waited for."""
        self.workers[1].answer.errback(LinkRefused("too late"))
        self.assertEqual(self.refused(), "worker 1 has not answered within 2 s")
        self.clock.advance(LOOK_S)

    def test_links_that_are_lost(self) -> None:
        """A worker that is gone has nothing, and no error is made of it."""
        self.workers[0].answer.errback(ConnectionDone())
        self.workers[1].answer.callback(b"1")
        self.workers[2].answer.errback(ConnectionLost())
        self.assertEqual(self.successResultOf(self.answers), [(1, b"1")])

    def test_an_error_of_ours(self) -> None:
        """It is not hidden."""
        self.workers[0].answer.errback(ZeroDivisionError())
        self.failureResultOf(self.answers, ZeroDivisionError)
        self.clock.advance(LOOK_S)

    def test_whoever_asked_goes_away(self) -> None:
        """Nothing is waited for any more, and nothing is logged."""
        self.workers[0].answer.callback(b"0")
        self.answers.cancel()
        self.failureResultOf(self.answers, CancelledError)
        self.workers[1].answer.callback(b"1")
        self.workers[2].answer.errback(ConnectionDone())

    def test_nobody_is_asked(self) -> None:
        """Then the answer is there."""
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(ask([], QUESTION, self.clock))), [])
        self.answers.cancel()
        self.failureResultOf(self.answers, CancelledError)
