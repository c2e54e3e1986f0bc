"""What happens too often for an event each, gathered from what workers say."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from megacomet.manager.watch import LOOK_S, Watch


class FakeLink:
    """A link, with what its worker said last."""

    def __init__(self, number: int, **counts: Any) -> None:
        self.number = number
        self.pid = 100 + number
        self.counts = counts

    def says(self, **counts: Any) -> None:
        """Its worker says something else than the second before."""
        self.counts = {**self.counts, **counts}


class WatchTests(SynchronousTestCase):
    """A watch on links that the test controls."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[tuple[str, dict[str, object]]] = []
        self.links = [FakeLink(0, slow=5, refused={"not-found": 7}), FakeLink(1, slow=0, refused={})]
        self.refused: Counter[str] = Counter()
        self.doors: Counter[str] = Counter({"unauthorized": 50})
        self.watch = Watch(
            self.clock,
            lambda name, **data: self.told.append((name, data)),
            links=lambda: self.links,
            site_refused=self.doors,
            store_refused=self.refused,
        )
        self.watch.start()
        self.addCleanup(self.watch.stop)
        self.second()

    def second(self) -> list[tuple[str, dict[str, object]]]:
        """What is told in the next second."""
        del self.told[:]
        self.clock.advance(LOOK_S)
        return list(self.told)

    def test_nothing_happens(self) -> None:
        """Then nothing is told, whatever was before we looked."""
        self.assertEqual(self.told, [])
        self.assertEqual(self.second(), [])

    def test_slow_clients(self) -> None:
        """How many were closed, on all workers together."""
        self.links[0].says(slow=7)
        self.links[1].says(slow=1)
        self.assertEqual(self.second(), [("clients-slow", {"closed": 3})])
        self.assertEqual(self.second(), [])

    def test_refused_requests(self) -> None:
        """How many, by reason, on all workers and at the manager's own doors."""
        self.links[0].says(refused={"not-found": 9, "overloaded": 1})
        self.links[1].says(refused={"overloaded": 4})
        self.doors.update({"unauthorized": 3, "overloaded": 1})
        reasons = {"unauthorized": 3, "overloaded": 6, "not-found": 2}
        self.assertEqual(self.second(), [("requests-refused", {"reasons": reasons})])
        self.assertEqual(self.second(), [])

    def test_refused_messages(self) -> None:
        """How many the store did not take, by reason."""
        self.refused.update({"mailbox-full": 2, "store-full": 1})
        self.assertEqual(self.second(), [("messages-refused", {"reasons": {"mailbox-full": 2, "store-full": 1}})])
        self.refused.update({"store-full": 4})
        self.assertEqual(self.second(), [("messages-refused", {"reasons": {"store-full": 4}})])

    def test_a_successor_counts_from_its_own_start(self) -> None:
        """A new process has small figures, and that is nothing that happened."""
        self.links[0] = FakeLink(0)
        self.links[0].pid = 999
        self.assertEqual(self.second(), [])
        self.links[0].says(slow=2, refused={"not-found": 1})
        self.assertEqual(self.second(), [])
        self.links[0].says(slow=3)
        self.assertEqual(self.second(), [("clients-slow", {"closed": 1})])

    def test_drained(self) -> None:
        """It is told once when nobody is left, and again after the next drain."""
        link = self.links[0]
        link.says(drain={"per_s": 10, "left": 3})
        self.assertEqual(self.second(), [])
        link.says(drain={"per_s": 10, "left": 0})
        self.assertEqual(self.second(), [("worker-drained", {"worker": 0, "pid": 100})])
        self.assertEqual(self.second(), [])
        link.says(drain=None)
        self.assertEqual(self.second(), [])
        link.says(drain={"per_s": 10, "left": 0})
        self.assertEqual(self.second(), [("worker-drained", {"worker": 0, "pid": 100})])

    def test_a_worker_that_says_nonsense(self) -> None:
        """It is logged, and the next second is looked at again."""
        self.links[0].says(drain="soon")
        self.assertEqual(self.second(), [])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.links[0].says(drain=None, slow=6)
        self.assertEqual(self.second(), [("clients-slow", {"closed": 1})])

    def test_stopped(self) -> None:
        """After the stop nothing is told; stopping twice is nothing."""
        self.watch.stop()
        self.refused.update({"store-full": 4})
        self.assertEqual(self.second(), [])
        self.watch.stop()
