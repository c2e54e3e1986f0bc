"""Rankings: what the workers are asked, how much at once, in which turns, and for how long the answer is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from megacomet.errors import PeerError
from megacomet.link import LOOK_S, LinkRefused
from megacomet.manager.ranking import Rankings, _bins_at_once
from megacomet.model.listing import span_of
from megacomet.model.ranking import BINS, MOST, Census, Place
from megacomet.wire import looking
from tests.steps import step


class Worker:
    """A worker that knows how many hear what.

    Attributes:
        asked: the questions so far.
        late: what its next answers wait for.
    """

    def __init__(self, number: int, table: dict[bytes, int]) -> None:
        self.number = number
        self.table = table
        self.asked: list[looking.Question] = []
        self.late: Deferred[None] | None = None
        self.census: Census | None = None

    async def look(self, question: bytes) -> bytes:
        asked = looking.decode_question(question)
        self.asked.append(asked)
        if self.late is not None:
            await self.late
        if isinstance(asked, looking.TakeCensus):
            self.modulus = asked.modulus
            self.census = Census(span_of(asked.prefix, b""), asked.modulus, [list(self.table)])
            self.census.work(lambda: False)
            return looking.encode(self.census.found)
        assert isinstance(asked, looking.CountBins)
        assert self.census is not None
        assert asked.modulus == self.modulus
        return looking.encode({name: self.table[name] for name in self.census.take(asked.first, asked.end)})


class Links:
    """The links to some workers."""

    def __init__(self, *tables: dict[bytes, int]) -> None:
        self.reactor = Clock()
        self.workers = [Worker(n, table) for n, table in enumerate(tables)]
        self.cost_s = self.late_s = 0.0

    def all(self) -> list[Worker]:
        return list(self.workers)

    def clock(self) -> float:
        self.late_s += self.cost_s
        return self.reactor.seconds() + self.late_s


class Desk:
    """Rankings of what some workers know; `idle` are the names in the store."""

    def __init__(self, *tables: dict[bytes, int], idle: Sequence[bytes] = ()) -> None:
        self.links: Any = Links(*tables)
        self.idle = idle
        self.rankings = Rankings(self.links, self._idle)

    async def _idle(self, prefix: bytes, most: int) -> Sequence[bytes]:
        return [name for name in self.idle if name.startswith(prefix)][:most]

    def begin(self, prefix: bytes = b"") -> Deferred[Any]:
        return Deferred.fromCoroutine(self.rankings.first(prefix))

    def rank(self, prefix: bytes = b"") -> list[Place]:
        """Ask, and take the turns that it takes."""
        found = self.begin(prefix)
        while not found.called:
            self.links.reactor.advance(0)
        places: list[Place] = []
        found.addCallback(places.extend)
        return places

    def asked(self) -> int:
        """How many questions worker 0 was asked."""
        return len(self.links.workers[0].asked)


TABLES = st.lists(
    st.dictionaries(st.integers(0, 3000).map(lambda n: b"c%d" % n), st.integers(1, 3), max_size=60), max_size=6
)


@given(TABLES, st.sets(st.integers(0, 50).map(lambda n: b"c%d" % n)))
def test_the_true_sums(tables: list[dict[bytes, int]], idle: set[bytes]) -> None:
    """Over all workers, with what only the store has behind."""
    sums: Counter[bytes] = Counter(dict.fromkeys(idle, 0))
    for table in tables:
        sums.update(table)
    assert Desk(*tables, idle=sorted(idle)).rank() == sorted(Place(-n, name) for name, n in sums.items())


class RankingsTests(SynchronousTestCase):
    """Rankings of large tables."""

    def test_the_first_thousand_of_very_many(self) -> None:
        """A channel that is spread over all workers, where nearly all have one subscriber, is the first."""
        tables = [{b"c%05d" % (8 * n + w): 1 for n in range(9000)} | {b"spread": 1, b"two": w // 6} for w in range(8)]
        desk = Desk(*tables)
        places = desk.rank()
        self.assertEqual(len(places), MOST)
        self.assertEqual(places[:3], [Place(-8, b"spread"), Place(-2, b"two"), Place(-1, b"c00000")])
        self.assertEqual(places[-1], Place(-1, b"c%05d" % (MOST - 3)))

    def test_never_all_names_at_once(self) -> None:
        """Each bin is asked for once, so many at a time as may be here."""
        desk = Desk({b"c%d" % n: 1 for n in range(20_000)}, {b"d": 1})
        desk.rank()
        for worker in desk.links.workers:
            census, *bins = worker.asked
            self.assertIsInstance(census, looking.TakeCensus)
            self.assertEqual([n for one in bins for n in range(one.first, one.end)], list(range(BINS)))
            self.assertEqual(len(bins), 3)

    def test_how_many_bins_at_once(self) -> None:
        """All of them when there are few channels, one at least; bounded for one worker and for all together."""
        self.assertEqual(_bins_at_once([]), BINS)
        self.assertEqual(_bins_at_once([0, 10]), BINS)
        self.assertEqual(_bins_at_once([16_384, 0]), BINS // 2)
        self.assertEqual(_bins_at_once([8192] * 16), BINS // 2)
        self.assertEqual(_bins_at_once([10**9]), 1)

    def test_others_have_their_turn(self) -> None:
        """The sums are made in slices."""
        desk = Desk({b"c%d" % n: 1 for n in range(4000)}, {b"c%d" % n: 1 for n in range(4000)})
        desk.links.cost_s = 1e-3
        found = desk.begin()
        turns = 0
        while not found.called:
            turns += 1
            step(desk.links.reactor)
        self.assertGreater(turns, 2)
        self.assertEqual(self.successResultOf(found)[0], Place(-2, b"c0"))

    def test_it_is_told_for_a_while(self) -> None:
        """As long as bounds what is spent on them: the longer it took the longer, and another prefix is another."""
        desk = Desk({b"a": 1})
        desk.links.cost_s = 0.01
        desk.rank()
        desk.links.cost_s = 0
        once = desk.asked()
        desk.links.workers[0].table[b"b"] = 1
        self.assertEqual(len(desk.rank()), 1)
        self.assertEqual(desk.asked(), once)
        self.assertEqual(desk.rank(b"b"), [Place(-1, b"b")])
        desk.links.reactor.advance(1)
        self.assertEqual(len(desk.rank()), 2)

    def test_it_is_new_when_it_costs_little(self) -> None:
        """Nine times as long as it took is soon over."""
        desk = Desk({b"a": 1})
        desk.links.cost_s = 1e-3
        desk.rank()
        desk.links.cost_s = 0
        desk.links.workers[0].table[b"b"] = 1
        desk.links.reactor.advance(0.1)
        self.assertEqual(len(desk.rank()), 2)

    def test_it_is_not_told_for_ever(self) -> None:
        """Some seconds at most, however long it took."""
        desk = Desk({b"a": 1})
        desk.links.cost_s = 1
        desk.rank()
        desk.links.cost_s = 0
        once = desk.asked()
        desk.links.reactor.advance(4.9)
        desk.rank()
        self.assertEqual(desk.asked(), once)
        desk.links.reactor.advance(0.2)
        desk.rank()
        self.assertGreater(desk.asked(), once)

    def test_one_at_a_time_for_all_who_wait(self) -> None:
        """Whoever asks meanwhile is told the same."""
        desk = Desk({b"a": 1})
        desk.links.cost_s = 0.01
        late = desk.links.workers[0].late = Deferred()
        found = [desk.begin() for _ in range(3)]
        desk.links.workers[0].late = None
        late.callback(None)
        desk.links.reactor.advance(0)
        for each in found:
            self.assertEqual(self.successResultOf(each), [Place(-1, b"a")])
        self.assertEqual(desk.asked(), 2)

    def test_who_goes_away(self) -> None:
        """Those who wait behind it are told all the same."""
        desk = Desk({b"a": 1})
        desk.links.workers[0].late = Deferred()
        one, two = desk.begin(), desk.begin()
        desk.links.workers[0].late = None
        one.cancel()
        self.failureResultOf(one, CancelledError)
        self.assertEqual(self.successResultOf(two), [Place(-1, b"a")])

    def test_a_worker_that_does_not_answer(self) -> None:
        """There is no list then, and the next one is made anew."""
        desk = Desk({b"a": 1}, {b"a": 1})
        worker = desk.links.workers[1]
        worker.late = Deferred()
        found = desk.begin()
        desk.links.reactor.advance(LOOK_S)
        self.assertEqual(self.failureResultOf(found, PeerError).value.code, "overloaded")
        worker.late = None
        self.assertEqual(desk.rank(), [Place(-2, b"a")])

    def test_a_worker_that_has_forgotten(self) -> None:
        """It is one that has not answered."""
        desk = Desk({b"a": 1})
        late = desk.links.workers[0].late = Deferred()
        found = desk.begin()
        late.errback(LinkRefused("not known any more"))
        self.assertEqual(self.failureResultOf(found, PeerError).value.code, "overloaded")

    def test_a_worker_that_dies_meanwhile(self) -> None:
        """It has nothing, and a worker that comes meanwhile is not asked."""
        desk = Desk({b"a": 1}, {b"a": 1})
        gone = desk.links.workers[1]
        late = gone.late = Deferred()
        found = desk.begin()
        desk.links.workers.append(Worker(2, {}))
        gone.late = Deferred()
        late.callback(None)
        gone.late.errback(ConnectionDone())
        self.assertEqual(self.successResultOf(found), [Place(-1, b"a")])
        self.assertEqual(desk.links.workers[2].asked, [])
