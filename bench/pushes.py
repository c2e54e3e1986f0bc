"""How many pushes a second the public port takes over keep-alive connections, beside Nchan's publishes, alternating.

    python -m bench pushes [--clients CONNECTIONS] [--workers W] [--seconds S] [--pairs P]

Messages of 100 bytes to 1,000 channels that nobody listens to. One load client (bench.pushers) asks both servers: it
sends requests that were made before, and each connection the next one when it has the answer to the last. Both servers
have as many workers, and keep 100 messages of a channel for 60 s (MegaComet's defaults, Nchan's are set so); all
histories are filled before, so each push also drops a message. Both stand at once and are asked in turn, who is first
changes with each pair, and a pair is a set of fresh servers. A run during which bystanders took more than 5 % of the
processors is made again, the third one counts in any case.

Load client and server share the processors. What the load client takes is the same work on both sides and stands in the
rates of both, so the ratio of rates is nearer to 1 than that of the servers alone; CPU a push is the server's own. It
is all that its processes use from before the first request until they are quiet again, over the requests answered. The
latency at full speed is mostly the queue of so many connections, that at a fixed rate of 1,000/s what a publisher has.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import attrs

from bench import bystanders, measure, nchan
from bench.figures import Figure, Options, at_least, ratios
from bench.processes import Server, feeders, megacomet, pushers

CONNECTIONS = 64
WORKERS = 2
CHANNELS = 1_000
#: Messages that fill the history of every channel.
KEPT = 100 * CHANNELS
RATE = 1_000
RATIO = 0.5
BYSTANDERS = 0.05
TRIES = 3


@attrs.frozen
class Run:
    """What one run of the load client gave; CPU in us a push, times in ms.

    Attributes:
        manager, workers: CPU of the server; nginx counts as workers.
        client: CPU of the load client.
        bystanders: how much of the processors other processes took meanwhile.
        faults: answers that were not 2xx, connections that were closed.
    """

    per_s: float
    p50: float
    p99: float
    manager: float
    workers: float
    client: float
    bystanders: float
    faults: int

    @property
    def cpu(self) -> float:
        """CPU of the whole server."""
        return self.manager + self.workers


@attrs.frozen
class Side:
    """One of those that are compared.

    Attributes:
        to: whose requests the load client makes.
        fill: fills the histories of a fresh server.
    """

    name: str
    to: str
    running: Callable[[int], AbstractContextManager[Server]]
    fill: Callable[[Server], None]


def _fill(server: Server) -> None:
    with feeders(server, "--channels", str(CHANNELS), "--lines", str(KEPT), "--seconds", "60") as load:
        load.report()


def _fill_nchan(server: Server) -> None:
    with pushers(server, "nchan", "--channels", str(CHANNELS), "--requests", str(KEPT), "--seconds", "60") as load:
        load.report()


OURS = Side("MegaComet", "megacomet", megacomet, _fill)
NCHAN = Side("Nchan", "nchan", nchan.nchan, _fill_nchan)


def run(options: Options) -> list[Figure]:
    """Measure pairs of fresh servers."""
    nchan.brought()
    full: dict[str, list[Run]] = {NCHAN.name: [], OURS.name: []}
    paced: dict[str, list[Run]] = {NCHAN.name: [], OURS.name: []}
    for n in range(options.pairs):
        sides = (OURS, NCHAN) if n % 2 else (NCHAN, OURS)
        for side, at_full_speed, at_rate in _pair(sides, options):
            full[side.name].append(at_full_speed)
            paced[side.name].append(at_rate)
    ours, theirs = full[OURS.name], full[NCHAN.name]
    ratio, detail = ratios([r.per_s for r in ours], [r.per_s for r in theirs])
    cpu, cpu_detail = ratios([r.cpu for r in ours], [r.cpu for r in theirs])
    every = [r for some in (full, paced) for runs in some.values() for r in runs]
    faults = sum(r.faults for r in every)
    return [
        *(_rate(name, runs) for name, runs in full.items()),
        at_least("ratio to Nchan", ratio, "x", RATIO, detail),
        Figure("CPU a push of the server, ratio to Nchan", cpu, "x", detail=cpu_detail),
        *(_latency(name, runs) for name, runs in paced.items()),
        Figure("not 2xx, or closed by the server", faults, "", "none", faults == 0),
    ]


def _pair(sides: Sequence[Side], options: Options) -> Iterator[tuple[Side, Run, Run]]:
    """Run one fresh server of each side, and ask them in turn: at full speed, then at the fixed rate."""
    connections, seconds = str(options.clients or CONNECTIONS), str(options.seconds)
    asked = ("--connections", connections, "--channels", str(CHANNELS), "--seconds", seconds)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(side.running(options.workers or WORKERS)) for side in sides]
        for side, server in zip(sides, servers, strict=True):
            side.fill(server)
        runs = [
            [_undisturbed(side, server, *asked, *rate) for side, server in zip(sides, servers, strict=True)]
            for rate in ((), ("--rate", str(RATE)))
        ]
    yield from zip(sides, *runs, strict=True)


def _undisturbed(side: Side, server: Server, *asked: str) -> Run:
    """Run the load client until it had the machine for itself, some times at most."""
    for _ in range(TRIES):
        run = _run(side, server, *asked)
        if run.bystanders <= BYSTANDERS:
            break
    return run


def _run(side: Side, server: Server, *asked: str) -> Run:
    before, began = cpu_s(server), bystanders.Moment.now()
    with pushers(server, side.to, *asked) as load:
        report = load.report()
    others = bystanders.Moment.now().share_since(began)
    answered = max(report["answered"], 1)
    manager, workers = ((b - a) / answered * 1e6 for a, b in zip(before, cpu_s(server), strict=True))
    if side is NCHAN:
        manager, workers = 0.0, manager + workers
    return Run(
        per_s=report["answered_per_s"],
        p50=report["latency"]["p50_ms"],
        p99=report["latency"]["p99_ms"],
        manager=manager,
        workers=workers,
        client=report["cpu_s"] / answered * 1e6,
        bystanders=others,
        faults=report["faults"],
    )


def cpu_s(server: Server) -> tuple[float, float]:
    """Return what the first process of a server and the others have used when all are quiet."""
    measure.settled_cpu_s(server.pids())
    first, *others = server.pids()
    return measure.cpu_s([first]), measure.cpu_s(others)


def _middle(runs: Sequence[Run]) -> Run:
    """Return the median of each figure."""
    columns = zip(*(attrs.astuple(r) for r in runs), strict=True)
    return Run(*(statistics.median(column) for column in columns))


def _rate(name: str, runs: Sequence[Run]) -> Figure:
    middle = _middle(runs)
    detail = " ".join(f"{r.per_s:,.0f}" for r in runs)
    return Figure(name, middle.per_s, "pushes/s", detail=f"{detail}; {_times(middle)}; {_cpu(name, middle)}")


def _latency(name: str, runs: Sequence[Run]) -> Figure:
    middle = _middle(runs)
    detail = f"{_times(middle)}, of {middle.per_s:,.0f}/s; {_cpu(name, middle)}"
    return Figure(f"{name} at {RATE:,}/s, p99", middle.p99, "ms", detail=detail)


def _times(middle: Run) -> str:
    return f"p50 {middle.p50:.2f}, p99 {middle.p99:.2f} ms"


def _cpu(name: str, middle: Run) -> str:
    parts = f" (manager {middle.manager:.1f}, workers {middle.workers:.1f})" if name == OURS.name else ""
    others = f"others took {middle.bystanders:.0%} of the processors"
    return f"CPU a push {middle.cpu:.1f} us{parts}, in the load client {middle.client:.1f} us; {others}"
