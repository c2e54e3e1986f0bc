"""Where metrics are read: parts of a manager, two workers that tell their counts, and one that dies."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from megacomet.listeners import Listeners
from megacomet.manager.main import Manager
from megacomet.manager.memory import Memory
from megacomet.manager.places import tell_nobody
from megacomet.manager.supervisor import Supervisor
from megacomet.manager.tally import Tally
from megacomet.manager.vitals import Vitals
from megacomet.manager.workforce import Workforce
from megacomet.metrics.readings import Sources, Times, readings
from megacomet.metrics.table import METRICS
from megacomet.model.directory import Directory
from megacomet.model.memory import MemoryStore
from megacomet.model.message import Publication
from megacomet.model.router import Router
from megacomet.model.store import Retention

from .test_supervisor import FakeProcess, FakeZygote

HISTOGRAM = {"counts": [0] * 14 + [1], "sum_s": 20.0}


def said(**changed: Any) -> dict[str, Any]:
    """What a worker says with a beat, as it arrives."""
    counts = {
        "listening": True,
        "descriptors": {"used": 60, "left": 940},
        "uptime_s": 60.0,
        "lag_s": 0.001,
        "cpu_s": 1.5,
        "cpu_share": 0.25,
        "latency": HISTOGRAM,
        "fanout": HISTOGRAM,
        "connections": {"poll": 1, "sse": 2, "stream": 3, "ws": 4},
        "rows": {"waiting": 1, "streaming": 9, "idle": 5},
        "messages": 10,
        "gaps": 1,
        "encoded": 2,
        "compressed": 1,
        "channels": 3,
        "handed_over": 4,
        "backlog_bytes": 500,
        "refused": {"not-found": 2},
        "drain": None,
        "accepted": 20,
        "given_back": 1,
        "times_full": 1,
        "bytes": 3000,
        "gone": 1,
        "idle": 0,
        "silent": 0,
        "slow": 2,
        "failed": 0,
    }
    return json.loads(json.dumps({**counts, **changed}))


class FakeLink:
    """A link of a worker that has told something."""

    gathered_bytes = 7
    is_drained = False

    def __init__(self, counts: dict[str, Any]) -> None:
        self.counts = counts


class FakeLinks:
    """The links, with the real tally."""

    workers = 2
    ready = True

    def __init__(self) -> None:
        self.tally = Tally()
        self.up: dict[int, FakeLink] = {}

    def of(self, number: int) -> FakeLink | None:
        return self.up.get(number)


class FakeApi:
    """Doors that were used."""

    def __init__(self) -> None:
        self.answered = Counter({200: 5, 404: 1})
        self.refused = Counter({"not-found": 1})
        self.channels: set[Any] = {object()}


class ReadingsTests(SynchronousTestCase):
    """A manager of two workers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(b"e1", lambda _: Retention(60, 1), 10**6)
        self.directory = Directory()
        self.router = Router(self.store, self.directory)
        manager: Any = Manager()
        self.manager = manager
        self.links = manager.links = FakeLinks()
        self.supervisor = manager.supervisor = Supervisor(
            self.clock, 2, open_process=FakeProcess, shut=lambda _: None, all_up=lambda: None
        )
        manager._processes = Memory(lambda pid: 1000 + pid % 7, lambda: 0.0)
        self.vitals = Vitals(self.clock, self.clock.seconds, lambda: 2.5)
        self.vitals.start()
        self.addCleanup(self.vitals.stop)
        self.supervisor.zygote = FakeZygote()
        self.api = FakeApi()
        self.dropped: Counter[str] = Counter()
        self.addCleanup(self.end)
        self.supervisor.zygote_up({0: 100, 1: 101})

    def end(self) -> None:
        self.supervisor.stop(0)
        for call in self.clock.getDelayedCalls():
            call.cancel()

    def tells(self, number: int, pid: int, **changed: Any) -> None:
        """A worker tells its counts."""
        counts = said(**changed)
        self.links.up[number] = FakeLink(counts)
        self.links.tally.told(number, pid, counts)

    def read(self) -> Mapping[tuple[str, ...], Any]:
        """All values by name and labels; no two are of the same."""
        sources = Sources(
            self.manager,
            self.router,
            self.directory,
            self.store,
            Workforce(self.manager, Listeners([]), tell_nobody, self.clock.seconds),
            self.vitals,
            self.api,
            *(self.dropped, 1700000000.0, 5000, 10**6, self.clock.seconds),
        )
        found = list(readings(sources))
        values = {(name, *labels): value for name, value, labels in found}
        self.assertEqual(len(values), len(found))
        return values

    def test_all(self) -> None:
        """Everything in the table is read, and nothing else, with the labels that the table says."""
        self.links.up[0] = FakeLink({})  # it has not had its first beat
        self.tells(1, 101)
        self.dropped["store-full"] += 1
        found = self.read()
        self.assertEqual({name for name, *_ in found}, set(METRICS))
        for name, *labels in found:
            self.assertEqual(len(labels), len(METRICS[name].labels), name)

    def test_nobody_is_there_yet(self) -> None:
        """Before any worker has its link there are the manager's own figures."""
        self.supervisor.zygote = None
        found = self.read()
        self.assertEqual(found["megacomet_ready",], 1)
        self.assertEqual(found["megacomet_workers", "starting"], 2)
        self.assertEqual(found["megacomet_connections_accepted_total", "0"], 0)
        self.assertEqual(found["megacomet_process_cpu_seconds_total", "manager"], 2.5)
        self.assertEqual(found["megacomet_fanout_seconds",], Times([0] * 15, 0.0))
        for name in ("megacomet_open_connections", "megacomet_memory_per_connection_bytes"):
            self.assertNotIn(name, {name for name, *_ in found})

    def test_workers(self) -> None:
        """What belongs to a worker has its number; reasons and times are summed."""
        self.tells(0, 100)
        self.tells(1, 101, accepted=1, refused={"not-found": 1, "overloaded": 3})
        found = self.read()
        for labels, value in {
            ("megacomet_connections_accepted_total", "0"): 20,
            ("megacomet_connections_accepted_total", "1"): 1,
            ("megacomet_connections", "1", "stream"): 3,
            ("megacomet_open_connections", "0"): 15,
            ("megacomet_process_descriptors_left", "worker-1"): 940,
            ("megacomet_link_backlog_bytes", "0"): 7,
            ("megacomet_connections_ended_total", "slow"): 4,
            ("megacomet_requests_refused_total", "worker", "not-found"): 3,
            ("megacomet_requests_refused_total", "worker", "overloaded"): 3,
            ("megacomet_requests_refused_total", "manager", "not-found"): 1,
            ("megacomet_gaps_told_total",): 2,
            ("megacomet_fanout_seconds",): Times([0] * 14 + [2], 40.0),
        }.items():
            self.assertEqual(found[labels], value, labels)
        memory = sum(1000 + pid % 7 for pid in (os.getpid(), 99, 100, 101))
        self.assertEqual(found["megacomet_memory_per_connection_bytes",], memory / 30)

    def test_no_counter_falls(self) -> None:
        """Not when a worker dies, not when its successor begins."""
        self.tells(0, 100)
        self.tells(1, 101)
        before = self.read()
        counters = [key for key in before if METRICS[key[0]].kind == "counter"]
        del self.links.up[0]
        self.supervisor.exited(0, 100, -9)
        dead = self.read()
        self.assertEqual([key for key in counters if dead[key] < before[key]], [])
        self.assertEqual(dead["megacomet_process_restarts_total", "worker-0"], 1)
        self.assertNotIn(("megacomet_open_connections", "0"), dead)
        self.supervisor.forked(0, 102)
        self.tells(0, 102, accepted=1, messages=0, latency={"counts": [1] + [0] * 14, "sum_s": 0.0})
        after = self.read()
        self.assertEqual([key for key in counters if after[key] < dead[key]], [])
        self.assertEqual(after["megacomet_connections_accepted_total", "0"], 21)
        self.assertEqual(after["megacomet_push_to_write_seconds",], Times([1] + [0] * 13 + [2], 40.0))

    def test_messages(self) -> None:
        """Messages are told by what became of them."""
        for key in (b"k", b"k", None):
            self.router.publish(Publication(b"@sue", b"1", None, key), 0, lambda _: None)
        found = self.read()
        told = {
            status: found["megacomet_messages_in_total", status] for status in ("sent", "queued", "unheard", "repeated")
        }
        self.assertEqual(told, {"sent": 0, "queued": 1, "unheard": 0, "repeated": 1})
        self.assertEqual(found["megacomet_messages_refused_total", "mailbox-full"], 1)
        self.assertEqual(found["megacomet_messages_refused_total", "store-full"], 0)
        self.assertEqual(found["megacomet_directory_entries",], 0)
        self.directory.add(b"@sue", self.directory.take_slot())
        self.store.claim(b"@sue", 1)
        self.store.returned(b"@sue", 1)
        found = self.read()
        self.assertEqual(found["megacomet_claims_returned_total",], 1)
        self.assertEqual(found["megacomet_directory_entries",], 1)
        self.assertEqual(found["megacomet_store_waiting_messages",], 1)
        self.assertEqual(found["megacomet_store_max_bytes",], 10**6)
