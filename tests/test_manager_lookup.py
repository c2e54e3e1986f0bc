"""What is found out about channels and clients: from the store and from workers at the other end of real links."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.test.iosim import IOPump
from twisted.trial.unittest import SynchronousTestCase

from megacomet import link
from megacomet.errors import PeerError
from megacomet.manager.lookup import CLEARED_A_TURN, MOST_CONNECTIONS, Lookup
from megacomet.model.message import Publication
from megacomet.model.position import OLDEST, Since
from megacomet.model.ranking import Place
from megacomet.model.store import Retention
from megacomet.model.views import ChannelPage, ChannelView, ClientView, Connected, HistoryView
from megacomet.wire import frames, looking
from megacomet.wire.looking import (
    Connection,
    CountBins,
    CountListeners,
    FindConnections,
    ListChannels,
    Names,
    TakeCensus,
)
from tests.ends import NONCE, WorkerEnd, connect_ends, links_of
from tests.steps import step

SUE, NEWS = b"@sue", b"news"
RETENTION = Retention(1e6, 10**6)
UNIX_S = 1_700_000_000.0
POLL = Connection("poll", "127.0.0.1:5", UNIX_S, [SUE], 0)
STREAM = Connection("sse", "127.0.0.1:6", UNIX_S, [b"news", SUE], 9)


class LookupTestCase(SynchronousTestCase):
    """A manager with two workers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.links, self.router, _ = links_of(self.clock, workers=3)
        self.store: Any = self.router._store
        self.lookup = Lookup(self.store, self.router, self.links, lambda: UNIX_S)
        self.workers: list[WorkerEnd] = []
        self.pumps: list[IOPump] = []
        for number in range(2):
            self.let_in(number)

    def let_in(self, number: int) -> None:
        worker = WorkerEnd()
        downlink = self.links.factory().buildProtocol(None)
        assert downlink is not None
        self.pumps.append(connect_ends(downlink, worker, self.clock))
        worker.callRemote(link.Hello, protocol=link.PROTOCOL, number=number, pid=os.getpid(), nonce=NONCE)
        self.workers.append(worker)
        self.flush()

    def flush(self) -> None:
        for pump in self.pumps:
            pump.flush()

    def want(self, number: int, *channels: bytes) -> None:
        records = b"".join(frames.encode(frames.WANT, channel=channel) for channel in channels)
        self.workers[number].callRemote(link.Want, records=records)
        self.flush()

    def publish(self, *channels: bytes, **more: Any) -> None:
        for channel in channels:
            publication = Publication(channel, b'"%b"' % channel, **more)
            self.router.publish(publication, self.clock.seconds(), lambda outcome: None)

    def begin(self, looked_up: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        self.found = Deferred.fromCoroutine(looked_up)
        self.flush()
        return self.found

    def answer(self, number: int, answer: looking.Answer) -> looking.Question:
        """Have a worker answer; return what it was asked."""
        question, waiting = self.workers[number].asked.pop(0)
        waiting.callback({"answer": looking.encode(answer)})
        self.flush()
        return looking.decode_question(question)


class PageTests(LookupTestCase):
    """Lists of channels."""

    def test_workers_and_store_together(self) -> None:
        """Every worker is asked; a channel is there once, with all its subscribers and what is kept of it."""
        self.publish(b"a", b"news", b"news", SUE, b"z")
        found = self.begin(self.lookup.page(b"", b"", 3))
        self.assertEqual(self.answer(0, Names([(b"b", 2), (b"news", 3)], False)), ListChannels(b"", b"", 3))
        self.assertNoResult(found)
        self.answer(1, Names([(b"c", 1), (b"news", 4), (b"y", 1)], True))
        page = self.successResultOf(found)
        self.assertEqual(page, ChannelPage([(b"a", 0, 1), (b"b", 2, 0), (b"c", 1, 0)], b"c"))
        found = self.begin(self.lookup.page(b"", b"c", 3))
        self.answer(0, Names([(b"news", 3)], False))
        self.answer(1, Names([(b"news", 4), (b"y", 1)], False))
        page = self.successResultOf(found)
        self.assertEqual(page, ChannelPage([(b"news", 7, 2), (b"y", 1, 0), (b"z", 0, 1)], None))

    def test_mailboxes(self) -> None:
        """They are listed when the prefix asks for them."""
        self.publish(SUE, b"@bob", b"a")
        found = self.begin(self.lookup.page(b"@", b"@bob", 9))
        for number in range(2):
            self.answer(number, Names([], False))
        self.assertEqual(self.successResultOf(found), ChannelPage([(SUE, 0, 1)], None))

    def test_what_has_nothing_any_more(self) -> None:
        """A channel whose last listener left during the search is left out; the page still goes on behind it."""
        found = self.begin(self.lookup.page(b"", b"", 1))
        self.answer(0, Names([(b"a", 0)], True))
        self.answer(1, Names([], False))
        self.assertEqual(self.successResultOf(found), ChannelPage([], b"a"))

    def test_a_large_store_is_searched_in_turns(self) -> None:
        """Others have theirs in between."""
        self.publish(*(b"channel-%d" % n for n in range(2000)))
        real, late = self.clock.seconds, [0.0]

        def slow() -> float:
            late[0] += 1e-3
            return real() + late[0]

        for worker in self.workers:
            link.transport_of(worker).loseConnection()
        self.flush()
        self.links.clock = slow
        found = Deferred.fromCoroutine(self.lookup.page(b"", b"", 2))
        turns = 0
        while not found.called:
            turns += 1
            step(self.clock)
        self.assertGreater(turns, 10)
        channels = [(b"channel-0", 0, 1), (b"channel-1", 0, 1)]
        self.assertEqual(self.successResultOf(found), ChannelPage(channels, b"channel-1"))

    def test_a_worker_that_does_not_answer(self) -> None:
        """There is no page then: a part would be taken for the whole."""
        found = self.begin(self.lookup.page(b"", b"", 9))
        self.answer(0, Names([(b"a", 1)], False))
        self.clock.advance(link.LOOK_S)
        error = self.failureResultOf(found, PeerError).value
        self.assertEqual((error.code, error.detail), ("overloaded", "worker 1 has not answered within 2 s"))

    def test_a_worker_that_dies_meanwhile(self) -> None:
        """Its connections are gone with it, and the page is that of the others."""
        found = self.begin(self.lookup.page(b"", b"", 9))
        self.answer(0, Names([(b"a", 1)], False))
        link.transport_of(self.workers[1]).loseConnection()
        self.flush()
        self.assertEqual(self.successResultOf(found), ChannelPage([(b"a", 1, 0)], None))


class RankedTests(LookupTestCase):
    """Lists of channels by subscribers."""

    def count(self, *tables: looking.Counts) -> None:
        """Have the workers answer, first how many channels they have, then how many hear each."""
        for number, table in enumerate(tables):
            self.assertIsInstance(self.answer(number, len(table)), TakeCensus)
        self.flush()
        for number, table in enumerate(tables):
            self.assertIsInstance(self.answer(number, table), CountBins)

    def test_workers_and_store_together(self) -> None:
        """The sums of all workers, with what is kept; what only the store has comes last, page by page."""
        self.publish(b"a", b"news", b"news", SUE, b"z")
        found = self.begin(self.lookup.ranked(b"", None, 2))
        self.count({b"b": 5, b"news": 3}, {b"b": 1, b"news": 4, b"c": 6})
        page = self.successResultOf(found)
        self.assertEqual(page, ChannelPage([(b"news", 7, 2), (b"b", 6, 0)], b"6-b"))
        found = self.begin(self.lookup.ranked(b"", Place(-6, b"b"), 3))
        self.count({b"b": 5, b"news": 3}, {b"b": 1, b"news": 4, b"c": 6})
        page = self.successResultOf(found)
        self.assertEqual(page, ChannelPage([(b"c", 6, 0), (b"a", 0, 1), (b"z", 0, 1)], None))

    def test_mailboxes(self) -> None:
        """They are listed when the prefix asks for them."""
        self.publish(SUE, b"@bob", b"a")
        found = self.begin(self.lookup.ranked(b"@", None, 9))
        self.count({SUE: 1}, {})
        self.assertEqual(self.successResultOf(found), ChannelPage([(SUE, 1, 1), (b"@bob", 0, 1)], None))

    def test_a_worker_that_does_not_answer(self) -> None:
        """There is no page then."""
        found = self.begin(self.lookup.ranked(b"", None, 9))
        self.answer(0, 1)
        self.clock.advance(link.LOOK_S)
        self.assertEqual(self.failureResultOf(found, PeerError).value.code, "overloaded")


class ChannelTests(LookupTestCase):
    """One channel."""

    def test_who_has_listeners_is_asked(self) -> None:
        """And nobody else."""
        self.want(1, NEWS)
        self.publish(NEWS, NEWS)
        found = self.begin(self.lookup.channel(NEWS))
        self.assertEqual(self.workers[0].asked, [])
        self.assertEqual(self.answer(1, 3), CountListeners(NEWS))
        self.assertEqual(self.successResultOf(found), ChannelView(NEWS, 3, 2, None, b"e1-2"))

    def test_all_are_asked_about_everyone(self) -> None:
        """Every connection hears that channel."""
        found = self.begin(self.lookup.channel(b"*"))
        for number in range(2):
            self.answer(number, 5)
        self.assertEqual(self.successResultOf(found).subscribers, 10)

    def test_a_mailbox(self) -> None:
        """It says what waits."""
        self.publish(SUE, SUE)
        self.store.claim(SUE, 1)
        self.store.written(SUE, 1)
        found = self.begin(self.lookup.channel(SUE))
        self.assertEqual(self.successResultOf(found), ChannelView(SUE, 0, 2, 1, b"e1-2"))

    def test_a_channel_that_was_never_used(self) -> None:
        """It is there, with zeros."""
        view = self.successResultOf(self.begin(self.lookup.channel(b"nobody")))
        self.assertEqual(view, ChannelView(b"nobody", 0, 0, None, b"e1-0"))


class HistoryTests(LookupTestCase):
    """What is kept of a channel."""

    def history(
        self,
        since: Since | None = None,
        limit: int = 100,
        newest_first: bool = False,
        before: Since | None = None,
    ) -> HistoryView:
        asked = self.lookup.history(NEWS, since, before, limit, newest_first)
        view: HistoryView = self.successResultOf(self.begin(asked))
        return view

    def test_pages(self) -> None:
        """A page that is cut off ends at its last message, and the next one goes on there, up to the head."""
        for _ in range(3):
            self.publish(NEWS)
            self.clock.advance(10)
        self.publish(b"other")
        first = self.history(limit=2)
        times = [(m.id, m.data, m.published) for m in first.messages]
        self.assertEqual(times, [(b"e1-1", b'"news"', UNIX_S - 30), (b"e1-2", b'"news"', UNIX_S - 20)])
        self.assertEqual((first.position, first.gap, first.more), (b"e1-2", False, True))
        second = self.history(Since(b"e1", 2), limit=2)
        self.assertEqual([m.id for m in second.messages], [b"e1-3"])
        self.assertEqual(second.position, b"e1-4")

    def test_the_newest_first(self) -> None:
        """Its position is the head: what comes from now on comes behind all of it."""
        self.publish(NEWS, NEWS, NEWS)
        view = self.history(limit=2, newest_first=True)
        self.assertEqual([m.id for m in view.messages], [b"e1-3", b"e1-2"])
        self.assertEqual(view.position, b"e1-3")

    def test_back_from_a_position(self) -> None:
        """What is older than it; of another life of the log nothing is known, so nothing is older."""
        self.publish(NEWS, NEWS, NEWS)
        view = self.history(newest_first=True, before=Since(b"e1", 3))
        self.assertEqual(([m.id for m in view.messages], view.more), ([b"e1-2", b"e1-1"], False))
        self.assertEqual(self.history(before=Since(b"other", 3)).messages, [])

    def test_gaps(self) -> None:
        """Whoever asks from a position is told that something is gone; whoever asks for the oldest is not."""
        self.publish(NEWS)
        self.successResultOf(self.begin(self.lookup.clear(NEWS)))
        self.assertTrue(self.history(Since(b"e1", 0)).gap)
        self.assertTrue(self.history(Since(b"other", 1)).gap)
        self.assertEqual([self.history(since).gap for since in (None, OLDEST, Since(b"e1", 1))], [False] * 3)

    def test_a_long_history_is_cleared_in_turns(self) -> None:
        """What is published meanwhile stays."""
        self.router._store._retention = lambda namespace: RETENTION
        self.publish(*[NEWS] * (2 * CLEARED_A_TURN))
        found = Deferred.fromCoroutine(self.lookup.clear(NEWS))
        self.assertNoResult(found)
        self.publish(NEWS)
        step(self.clock)
        self.assertNoResult(found)
        while not found.called:
            step(self.clock)
        self.assertEqual(self.successResultOf(found), 2 * CLEARED_A_TURN)
        self.assertEqual(len(self.history().messages), 1)


class ClientTests(LookupTestCase):
    """One client."""

    def test_connections_on_several_workers(self) -> None:
        """By worker, with what waits."""
        for number in (1, 0):
            self.want(number, SUE)
        self.publish(SUE)
        found = self.begin(self.lookup.client(b"sue"))
        self.assertEqual(self.answer(1, [STREAM]), FindConnections(SUE, MOST_CONNECTIONS))
        self.answer(0, [POLL, POLL])
        connections = [Connected(0, POLL), Connected(0, POLL), Connected(1, STREAM)]
        self.assertEqual(self.successResultOf(found), ClientView(b"sue", 1, connections))

    def test_nobody(self) -> None:
        """No worker is asked about a client that none has."""
        view = self.successResultOf(self.begin(self.lookup.client(b"nobody")))
        self.assertEqual(view, ClientView(b"nobody", 0, []))
        self.assertEqual([worker.asked for worker in self.workers], [[], []])

    def test_a_worker_that_has_none(self) -> None:
        """The directory may name one too many."""
        self.want(0, SUE)
        found = self.begin(self.lookup.client(b"sue"))
        self.answer(0, [])
        self.assertEqual(self.successResultOf(found), ClientView(b"sue", 0, []))
