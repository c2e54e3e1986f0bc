"""The figures that a console shows: of this moment, and of the last hour.

A frame is made for all who read, and only when somebody does; a point of the trends is taken every few seconds,
whether somebody asks or not. Owns when that is done, and the form of both. What memory the processes take is measured
with the points only: that is what costs most of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from megacomet import __version__
from megacomet.link import BEAT_S
from megacomet.manager.looks import Counted
from megacomet.manager.main import Manager
from megacomet.manager.workforce import Workforce
from megacomet.model.histogram import quantile
from megacomet.model.memory import MemoryStore
from megacomet.model.rates import OF_WORKERS, Happened, Look, Looks, happened, latencies
from megacomet.model.room import Upkeep
from megacomet.model.trends import Steps, Trends
from megacomet.rlimits import RESERVE, connections_for
from megacomet.wire.answers import as_json
from megacomet.wire.broadcasts import Broadcast
from megacomet.wire.live import Fits, Latency, LiveFrame, LiveMemory, LiveStore, LiveWorker, Rates, TrendList
from megacomet.wire.workers import WorkerInfo

#: Between two points of the trends, seconds, and how many of them are kept: an hour.
STEP_S: Final = 5
POINTS: Final = 720
#: A frame is given to everybody for so long, seconds: a little less than the second after which readers want another.
FRESH_S: Final = 0.9
#: Rates are told over so many seconds at least, that each worker's beat is in them; latencies over so many.
RATE_S: Final = 1.9
LATENCY_S: Final = 9.9
#: A rate of a point is known when the look before was made a step earlier; not when some of them were missed.
_LATE: Final = 1.5

_RATES: Final = ("in", "out", "bytes_out", "accepts", "refused")
#: The series, and to how many digits behind the point they are told.
_SERIES: Final[Mapping[str, int | None]] = {
    **dict.fromkeys(("connections_poll", "connections_sse", "connections_stream", "connections_ws")),
    **dict.fromkeys(_RATES, 1),
    **dict.fromkeys(("latency_p50_ms", "latency_p99_ms"), 3),
    **dict.fromkeys(("memory", "memory_per_connection")),
    **dict.fromkeys(("cpu", "lag_ms"), 3),
}


@attrs.frozen(kw_only=True)
class Shown:
    """What is shown, and by what it is measured.

    Attributes:
        manager, store, workforce: parts of the manager.
        counted: what its processes have counted.
        started: when it started, RFC 3339.
        epoch: of this start.
        room: connections that there is room for.
        limit: descriptors that a process may have.
        cores: processors that it may use.
        available: memory that may still be taken, None: not known.
        broadcasts: those to be shown.
        now: seconds, monotonic.
        elapsed: the same, going on while the machine sleeps.
        unix_s: the time of the day.
    """

    manager: Manager
    store: MemoryStore
    workforce: Workforce
    counted: Counted
    started: str
    epoch: str
    room: int
    limit: int
    cores: int
    available: Callable[[], int | None]
    broadcasts: Callable[[], Sequence[Broadcast]]
    now: Callable[[], float]
    elapsed: Callable[[], float]
    unix_s: Callable[[], float]


class Live:
    """See the module, and `megacomet.api.live.ILive`."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, shown: Shown) -> None:
        """
        Args:
            clock: for the steps.
            shown: what the figures are of.
        """
        self._shown = shown
        self._looks = Looks(LATENCY_S)
        self._made_at = -math.inf
        self._made = b""
        self._trends = Trends(_SERIES, POINTS)
        self._steps = Steps(STEP_S)
        self._stepped: Look | None = None
        self._end: float | None = None
        self._told: bytes | None = None
        self._upkeep = Upkeep()
        self._memory: Mapping[int, int] = {}
        self._call = LoopingCall(self._tick)
        self._call.clock = clock

    def start(self) -> None:
        """Begin to take points; the manager's pulse must be felt by then."""
        self._call.start(STEP_S).addErrback(lambda failure: self._log.failure("the trends ended", failure))

    def stop(self) -> None:
        """Take no more."""
        if self._call.running:
            self._call.stop()

    def _tick(self) -> None:
        try:
            self.step()
        except Exception:
            self._log.failure("a point of the trends failed")

    # -- the last hour

    def step(self) -> None:
        """Take a point."""
        shown, before = self._shown, self._stepped
        look = self._stepped = self._look()
        is_in_step = before is not None and 0 < look.at_s - before.at_s < STEP_S * _LATE
        done = happened(before, look) if before is not None and is_in_step else None
        self._memory = shown.manager.memory_of(shown.now())
        self._end, self._told = shown.unix_s(), None
        figures = self._figures(done)
        if shown.manager.ready:
            self._upkeep.seen(figures.used, figures.open)
        values: dict[str, float | None] = {
            **{f"connections_{name}": count for name, count in figures.connections.items()},
            "memory": figures.memory,
            "memory_per_connection": figures.per_connection,
            "cpu": figures.cpu,
            "lag_ms": figures.lag_ms,
        }
        if before is not None and done is not None:
            values |= {name: done.rates[name] for name in _RATES}
            took = _latency(latencies(before, look))
            values |= {"latency_p50_ms": took.p50, "latency_p99_ms": took.p99}
        self._trends.add(self._steps.ahead(look.at_s), values)

    def trends(self) -> bytes:
        """Return the last hour as JSON, made once a step at most."""
        if self._told is None:
            series = {
                name: [round(value, _SERIES[name]) if value == value else None for value in points]
                for name, points in self._trends.series().items()
            }
            self._told = as_json(TrendList(STEP_S, self._end, series))
        return self._told

    # -- this moment

    def frame(self) -> bytes:
        """Return the figures as JSON, the same object while they are fresh."""
        now = self._shown.now()
        if now >= self._made_at + FRESH_S:
            self._made = as_json(self._make())
            self._made_at = now
        return self._made

    def _make(self) -> LiveFrame:
        shown = self._shown
        look = self._look()
        if any(place.pid and place.pid not in self._memory for place in shown.manager.supervisor.places):
            self._memory = shown.manager.memory_of(shown.now())
        before = self._before(look, RATE_S)
        long_before = self._before(look, LATENCY_S) or before
        done = happened(before, look) if before is not None else None
        figures = self._figures(done)
        infos = shown.workforce.look(self._memory)
        available = shown.available()
        counts = shown.store.counts()
        return LiveFrame(
            time=round(shown.unix_s(), 3),
            version=__version__,
            started=shown.started,
            ready=shown.manager.ready,
            epoch=shown.epoch,
            connections=figures.connections,
            open=figures.open,
            room=shown.room,
            rates=_rates(done),
            latency_ms=_latency(latencies(long_before, look) if long_before is not None else []),
            lag_ms=figures.lag_ms,
            cpu=figures.cpu,
            cores=shown.cores,
            memory=figures.told(available),
            fits=self._fits(figures, infos, available),
            store=LiveStore(
                **{name: counts[name] for name in ("messages", "waiting", "channels", "bytes")},
                max_bytes=shown.store.max_bytes,
            ),
            workers=[_worker(info, max(1, shown.limit - RESERVE), done, self._late_s(info.worker)) for info in infos],
            broadcasts=shown.broadcasts(),
        )

    def _fits(self, figures: _Figures, infos: Sequence[WorkerInfo], available: int | None) -> Fits:
        listening = [info.open or 0 for info in infos if info.state == "up"]
        room = connections_for(len(listening), self._shown.limit) if listening else 0
        descriptors = max(0, room - sum(listening))
        memory = self._upkeep.fits(figures.used, figures.open, available)
        return Fits(descriptors, memory, descriptors if memory is None else min(descriptors, memory))

    # -- both

    def _look(self) -> Look:
        look = self._shown.counted.look(self._shown.elapsed())
        self._looks.add(look)
        return look

    def _before(self, look: Look, seconds: float) -> Look | None:
        """Return the look to compare with; None: there is none, or those between were missed."""
        before = self._looks.back(seconds)
        return before if before is not None and look.at_s - before.at_s < seconds + STEP_S * _LATE else None

    def _late_s(self, number: int) -> float:
        """Return how late a worker's beat is at least, seconds: one that hangs does not say so itself."""
        return max(0.0, self._looks.silent_s(number, STEP_S * _LATE) - BEAT_S)

    def _figures(self, done: Happened | None) -> _Figures:
        shown, manager = self._shown, self._shown.manager
        own = shown.counted.vitals.counts()
        cpu, lag_s, open_ = own["cpu_share"], own["lag_s"], 0
        for link in manager.links.all():
            if said := link.counts:
                cpu += said["cpu_share"]
                lag_s = max(lag_s, said["lag_s"], self._late_s(link.number))
                open_ += sum(said["rows"].values())
        if done is not None:
            cpu += done.rates["cpu"]
        return _Figures(
            dict(manager.connections()),
            open_,
            round(cpu, 3),
            round(lag_s * 1000, 3),
            manager.parts_of(self._memory),
            shown.store.counts()["bytes"],
        )


@attrs.frozen
class _Figures:
    """What frames and points have in common.

    Attributes:
        connections: by transport.
        open: all of them.
        cpu, lag_ms: as they are told.
        parts: memory in bytes, by what takes it.
        kept: what of it the store keeps.
    """

    connections: dict[str, int]
    open: int
    cpu: float
    lag_ms: float
    parts: Mapping[str, int]
    kept: int

    @property
    def memory(self) -> int:
        """Bytes that all processes take."""
        return sum(self.parts.values())

    @property
    def used(self) -> int:
        """Those of them that the store does not keep."""
        return max(0, self.memory - self.kept)

    @property
    def per_connection(self) -> int | None:
        """Bytes by connection."""
        return round(self.memory / self.open) if self.open else None

    def told(self, available: int | None) -> LiveMemory:
        """Return what is told of memory."""
        return LiveMemory(total=self.memory, **self.parts, per_connection=self.per_connection, available=available)


def _rates(done: Happened | None) -> Rates:
    if done is None:
        return Rates(**dict.fromkeys(("in_", "out", "bytes_out", "accepts", "refused", "requests")))
    told = {name: round(rate, 1) for name, rate in done.rates.items() if name != "cpu"}
    return Rates(in_=told.pop("in"), **told)


def _latency(counts: Sequence[float]) -> Latency:
    p50, p99 = (quantile(counts, share) for share in (0.5, 0.99))
    return Latency(*(None if each is None else round(each * 1000, 3) for each in (p50, p99)))


def _worker(info: WorkerInfo, room: int, done: Happened | None, late_s: float) -> LiveWorker:
    rates: Mapping[str, float] = {}
    if done is not None and info.worker in done.workers and info.open is not None:
        rates = dict(zip(OF_WORKERS, (round(rate, 1) for rate in done.workers[info.worker]), strict=True))
    return LiveWorker(
        worker=info.worker,
        state=info.state,
        pid=info.pid,
        open=info.open,
        room=room,
        cpu=info.cpu_share,
        lag_ms=None if info.lag_s is None else round(max(info.lag_s, late_s) * 1000, 3),
        memory=info.memory_bytes,
        restarts=info.restarts,
        accepts=rates.get("accepts"),
        out=rates.get("out"),
        drain=info.drain,
    )
