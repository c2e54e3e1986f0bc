"""What a console shows: the frame of this moment and the points of the last hour, of a manager with two workers."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from megacomet.listeners import Listeners
from megacomet.manager.live import FRESH_S, POINTS, STEP_S, Live, Shown
from megacomet.manager.looks import Counted
from megacomet.manager.main import Manager
from megacomet.manager.memory import Memory
from megacomet.manager.places import tell_nobody
from megacomet.manager.supervisor import Supervisor
from megacomet.manager.vitals import Vitals
from megacomet.manager.workforce import Workforce
from megacomet.model.directory import Directory
from megacomet.model.memory import MemoryStore
from megacomet.model.message import Publication
from megacomet.model.room import ENOUGH
from megacomet.model.router import Router
from megacomet.model.store import Retention
from megacomet.rlimits import RESERVE, connections_for
from megacomet.wire.broadcasts import Broadcast

from . import test_metrics_readings as doubles
from .test_metrics_readings import FakeApi, FakeLink, said
from .test_supervisor import FakeProcess, FakeZygote

LIMIT = 20_000
AWAKE_S = 1_795_860_000.0
SERIES = (
    *("connections_poll", "connections_sse", "connections_stream", "connections_ws"),
    *("in", "out", "bytes_out", "accepts", "refused", "latency_p50_ms", "latency_p99_ms"),
    *("memory", "memory_per_connection", "cpu", "lag_ms"),
)


class Link(FakeLink):
    """A link that knows whose it is."""

    number = -1


class FakeLinks(doubles.FakeLinks):
    """The links, and all that stand."""

    def all(self) -> list[FakeLink]:
        return [self.up[number] for number in sorted(self.up)]


class LiveTests(SynchronousTestCase):
    """Parts of a real manager, and workers that tell what the test says."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.slept = 0.0
        self.store = MemoryStore(b"e1", lambda _: Retention(60, 1), 10**6)
        self.router = Router(self.store, Directory())
        manager: Any = Manager()
        self.links = manager.links = FakeLinks()
        self.supervisor = manager.supervisor = Supervisor(
            self.clock, 2, open_process=FakeProcess, shut=lambda _: None, all_up=lambda: None
        )
        self.measured: list[int] = []
        manager._processes = Memory(self.measure, lambda: 0.0)
        vitals = Vitals(self.clock, self.clock.seconds, lambda: 0.5 * self.clock.seconds())
        vitals.start()
        self.addCleanup(vitals.stop)
        self.supervisor.zygote = FakeZygote()
        self.api = FakeApi()
        self.available: int | None = 10**9
        self.broadcasts: list[Broadcast] = []
        workforce = Workforce(manager, Listeners([]), tell_nobody, self.clock.seconds)
        shown = Shown(
            manager=manager,
            store=self.store,
            workforce=workforce,
            counted=Counted(manager, self.router, vitals, lambda: self.api),
            started="2026-11-28T09:00:00Z",
            epoch="boot",
            room=38_000,
            limit=LIMIT,
            cores=2,
            available=lambda: self.available,
            broadcasts=lambda: self.broadcasts,
            now=self.clock.seconds,
            elapsed=lambda: self.clock.seconds() + self.slept,
            unix_s=lambda: AWAKE_S + self.clock.seconds() + self.slept,
        )
        self.live = Live(self.clock, shown)
        self.addCleanup(self.end)
        self.supervisor.zygote_up({0: 100, 1: 101})
        self.counts: dict[int, dict[str, Any]] = {}

    def end(self) -> None:
        self.live.stop()
        self.supervisor.stop(0)
        for call in self.clock.getDelayedCalls():
            call.cancel()

    def measure(self, pid: int) -> int:
        self.measured.append(pid)
        return {100: 2_000_000, 101: 3_000_000, 99: 4_000_000}.get(pid, 5_000_000)

    def tells(self, number: int, pid: int, **changed: Any) -> None:
        """A worker tells its counts; the last ones are kept for `works`."""
        counts = self.counts[number] = said(**{"answered": {}, "uptime_s": 60.0, **changed})
        if number not in self.links.up:
            self.supervisor.worker_up(number, pid)
            link = self.links.up[number] = Link(counts)
            link.number = number
        self.links.up[number].counts = counts
        self.links.tally.told(number, pid, counts)

    def works(self, seconds: int = 1, **more: int) -> None:
        """Seconds pass in which both workers do so much more in each."""
        for _ in range(seconds):
            self.clock.advance(1)
            for number, pid in ((0, 100), (1, 101)):
                counts = self.counts[number]
                changed = {name: counts[name] + count for name, count in more.items()}
                self.tells(number, pid, **{**counts, **changed, "uptime_s": counts["uptime_s"] + 1})

    def both_tell(self, **changed: Any) -> None:
        self.tells(0, 100, **changed)
        self.tells(1, 101, **changed)

    def frame(self) -> Any:
        return json.loads(self.live.frame())

    def trends(self) -> Any:
        return json.loads(self.live.trends())

    # -- this moment

    def test_a_frame(self) -> None:
        """Everything that the reference names, of two workers that have told something once."""
        self.live.start()
        self.both_tell()
        frame = self.frame()
        workers = frame.pop("workers")
        rates = dict.fromkeys(["in", "out", "bytes_out", "accepts", "refused", "requests"])
        assert frame == {
            "time": AWAKE_S,
            "version": "0.1.0",
            "started": "2026-11-28T09:00:00Z",
            "ready": True,
            "epoch": "boot",
            "connections": {"poll": 2, "sse": 4, "stream": 6, "ws": 8},
            "open": 30,
            "room": 38_000,
            "rates": rates,
            "latency_ms": {"p50": None, "p99": None},
            "lag_ms": 1.0,
            "cpu": 0.5,
            "cores": 2,
            "memory": {
                "total": 14_000_000,
                "manager": 5_000_000,
                "zygote": 4_000_000,
                "workers": 5_000_000,
                "per_connection": 466_667,
                "available": 10**9,
            },
            "fits": {"descriptors": (left := connections_for(2, LIMIT) - 30), "memory": None, "more": left},
            "store": {"messages": 0, "waiting": 0, "channels": 0, "bytes": 0, "max_bytes": 10**6},
            "broadcasts": [],
        }
        assert workers[1] == {
            "worker": 1,
            "state": "up",
            "pid": 101,
            "open": 15,
            "room": LIMIT - RESERVE,
            "cpu": 0.25,
            "lag_ms": 1.0,
            "memory": 3_000_000,
            "restarts": 0,
            "accepts": None,
            "out": None,
            "drain": None,
        }

    def test_rates(self) -> None:
        """What all processes do a second, and what each worker does."""
        self.both_tell()
        self.live.frame()
        for _ in range(4):
            self.works(accepted=2, messages=10, bytes=1000)
            self.api.answered[200] += 3
            self.api.refused["not-found"] += 1
            self.router.publish(Publication(b"news", b"1", None, None), 0, lambda _: None)
            frame = self.frame()
        assert frame["rates"] == {
            "in": 1.0,
            "out": 20.0,
            "bytes_out": 2000.0,
            "accepts": 4.0,
            "refused": 1.0,
            "requests": 3.0,
        }
        assert [(each["accepts"], each["out"]) for each in frame["workers"]] == [(2.0, 10.0)] * 2
        assert frame["cpu"] == 1.0  # 0.25 of each worker, and the half that the manager takes

    def test_latencies(self) -> None:
        """Of what was written in the last ten seconds; when nothing was any more, nothing is told."""
        self.both_tell()
        self.live.frame()
        self.both_tell(latency={"counts": [0, 0, 0, 10, *[0] * 10, 1], "sum_s": 20.0}, uptime_s=61.0)
        self.works()
        self.works()
        self.assertEqual(self.frame()["latency_ms"], {"p50": 3.75, "p99": 4.975})
        for _ in range(11):
            self.works()
            frame = self.frame()
        self.assertEqual(frame["latency_ms"], {"p50": None, "p99": None})

    def test_a_worker_dies(self) -> None:
        """No rate is negative, and its successor's figures are no burst; it has what its place had."""
        self.both_tell(messages=10**6)
        for _ in range(3):
            self.works(messages=10)
            self.live.frame()
        del self.links.up[0]
        self.supervisor.worker_down(0)
        self.supervisor.exited(0, 100, -9)
        self.clock.advance(1)
        frame = self.frame()
        states = [(each["state"], each["open"], each["out"], each["memory"]) for each in frame["workers"]]
        self.assertEqual(states, [("starting", None, None, None), ("up", 15, 10.0, 3_000_000)])
        self.assertEqual(frame["ready"], self.links.ready)
        self.supervisor.forked(0, 102)
        for uptime_s in (0.5, 1.5, 2.5):
            self.clock.advance(1)
            self.tells(0, 102, messages=int(uptime_s + 0.5) * 10, uptime_s=uptime_s)
            counts = self.counts[1]
            self.tells(1, 101, **{**counts, "messages": counts["messages"] + 10, "uptime_s": counts["uptime_s"] + 1})
            rates = self.frame()["rates"]
            self.assertTrue(0 <= min(rates.values()) <= max(rates.values()) <= 10_000, rates)
            self.assertTrue(10 <= rates["out"] <= 20.0, rates)

    def test_a_worker_hangs(self) -> None:
        """One that hangs cannot say how late it is: it is as late as its beat, and what it does is not known."""
        self.both_tell()
        self.live.frame()
        for _ in range(4):
            self.clock.advance(1)
            self.tells(1, 101, **{**self.counts[1], "uptime_s": self.counts[1]["uptime_s"] + 1})
            frame = self.frame()
        assert frame["lag_ms"] == 3000
        assert [(each["lag_ms"], each["out"]) for each in frame["workers"]] == [(3000, None), (1, 0)]

    def test_workers_that_were_taken_over(self) -> None:
        """What they did under another manager is no rate of this one's: none is told until they have told more."""
        self.live.start()
        self.clock.advance(1)
        self.both_tell(uptime_s=3600.0, messages=10**9)
        self.clock.advance(1)
        assert set(self.frame()["rates"].values()) == {None}
        self.works(3, messages=5)
        assert self.frame()["rates"]["out"] == 10.0
        assert self.trends()["series"]["out"] == [None, None]

    def test_it_is_made_once(self) -> None:
        """However many ask within a second, they are given the same; and then another."""
        self.both_tell()
        first = self.live.frame()
        self.clock.advance(FRESH_S / 2)
        assert self.live.frame() is first
        self.clock.advance(1 - FRESH_S / 2)
        assert self.live.frame() is not first

    def test_memory_is_measured_with_the_points(self) -> None:
        """Frames measure nothing, but for a process that nobody has measured yet."""
        self.live.start()
        self.both_tell()
        self.live.frame()
        self.measured.clear()
        for _ in range(STEP_S - 1):
            self.works()
            self.live.frame()
        assert self.measured == []
        self.works()
        assert len(self.measured) == 4

    def test_what_fits(self) -> None:
        """By descriptors of those who listen, and by memory once there are enough to tell."""
        self.links.ready = False
        self.live.start()
        self.links.ready = True
        self.both_tell(rows={"idle": ENOUGH})
        frame = self.frame()
        assert frame["fits"]["memory"] == int(10**9 / (14_000_000 / (2 * ENOUGH) + 4096))
        self.available = 12_000_000
        self.works()
        fits = self.frame()["fits"]
        assert fits["more"] == fits["memory"] < fits["descriptors"] == connections_for(2, LIMIT) - 2 * ENOUGH
        self.tells(1, 101, rows={"idle": ENOUGH}, drain={"per_s": 5, "left": ENOUGH})
        self.links.up[1].is_drained = True
        self.clock.advance(1)
        frame = self.frame()
        assert frame["fits"]["descriptors"] == connections_for(1, LIMIT) - ENOUGH
        assert frame["workers"][1]["drain"] == {"per_s": 5, "left": ENOUGH}
        self.available = None
        self.links.up[0].is_drained = True
        self.links.up[0].counts["drain"] = {"per_s": 5, "left": ENOUGH}
        self.clock.advance(1)
        assert self.frame()["fits"] == {"descriptors": 0, "memory": None, "more": 0}

    def test_what_the_server_took_without_connections(self) -> None:
        """It is seen at the points, when all workers are there, and is not what a connection costs."""
        self.links.ready = False
        self.both_tell(rows={"idle": 1})
        self.live.start()
        self.links.ready = True
        self.works(STEP_S)
        self.both_tell(rows={"idle": ENOUGH})
        self.works()
        assert self.frame()["fits"]["memory"] == 10**9 // 4096

    def test_broadcasts(self) -> None:
        """They are told as they are given."""
        started = "2026-11-28T09:00:00.000Z"
        told = {"id": "e1-7", "channel": "news", "state": "running", "per_s": 10, "connections": 3, "written": 1}
        told |= {"lost": 0, "started": started, "ended": None, "by": "ops", "bytes": 7}
        self.broadcasts = [Broadcast(**told)]
        assert self.frame()["broadcasts"] == [told]

    # -- the last hour

    def test_points(self) -> None:
        """All series are there; counts become rates at the second point."""
        assert self.trends() == {"step_s": STEP_S, "end": None, "series": {name: [] for name in SERIES}}
        self.both_tell()
        self.live.start()
        self.works(STEP_S - 1, messages=10)
        latency = {"counts": [0, 0, 0, 10, *[0] * 11], "sum_s": 0.04}
        for number in (0, 1):
            self.counts[number]["latency"] = {**latency, "counts": [*latency["counts"][:14], 1]}  # type: ignore[index]
        self.clock.advance(1)
        told = self.trends()
        assert (told["step_s"], told["end"]) == (STEP_S, AWAKE_S + STEP_S)
        series = told["series"]
        assert tuple(series) == SERIES
        assert {len(points) for points in series.values()} == {2}
        assert series["connections_ws"] == [8, 8]
        assert series["out"] == [None, 20.0]
        assert series["in"] == [None, 0.0]
        assert series["memory"] == [14_000_000] * 2
        assert series["memory_per_connection"] == [466_667] * 2
        assert series["cpu"] == [0.5, 1.0]
        assert series["lag_ms"] == [1.0, 1.0]

    def test_no_point_is_made_up(self) -> None:
        """While the machine slept nothing is known, and what was counted then is in no point."""
        self.both_tell()
        self.live.start()
        self.works(STEP_S, messages=10)
        self.slept = 3 * STEP_S
        self.works(STEP_S, messages=1000)
        self.works(STEP_S, messages=10)
        series = self.trends()["series"]
        assert series["out"] == [None, 20.0, None, None, None, None, 416.0]
        assert series["connections_poll"] == [2, 2, None, None, None, 2, 2]
        assert series["lag_ms"] == [1, 1, None, None, None, 1, 1]

    def test_an_hour(self) -> None:
        """More than an hour is not kept, and the body is made once a step."""
        self.both_tell()
        self.live.start()
        body = self.live.trends()
        assert self.live.trends() is body
        for _ in range(POINTS + 3):
            self.clock.advance(STEP_S)
        assert self.live.trends() is not body
        assert {len(points) for points in self.trends()["series"].values()} == {POINTS}

    def test_a_point_that_fails(self) -> None:
        """An error of ours is logged, and the next point is taken."""
        self.both_tell()
        self.live.start()
        answered, self.api.answered = self.api.answered, None  # type: ignore[assignment]
        self.clock.advance(STEP_S)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.api.answered = answered
        self.clock.advance(STEP_S)
        assert self.trends()["series"]["connections_ws"] == [8, None, 8]

    def test_the_end(self) -> None:
        """Behind the stop no point is taken; a second stop does nothing."""
        self.live.start()
        self.live.stop()
        self.live.stop()
        before = self.trends()
        self.clock.advance(STEP_S)
        assert self.trends() == before
