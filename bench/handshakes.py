"""What the server spends on accepting and parking a WebSocket, as a ratio to a long-poll, alternating.

Both come from the same load client at the same rate: it costs less to accept many at once (a long-poll takes a third
of the CPU at 20,000/s that it takes at 8,000/s).
"""

from __future__ import annotations

import statistics

from bench import measure
from bench.fanout import quiet_megacomet
from bench.figures import Figure, Options, at_most, ratios
from bench.idle_memory import hold
from bench.processes import readers

CLIENTS = 50_000
WORKERS = 8
PER_S = 15_000
RATIO = 2.0
PATHS = {"poll": "/c{n}.js", "ws": "/comet/ws?channel=c{n}"}


def run(options: Options) -> list[Figure]:
    """Measure pairs of fresh servers."""
    clients, workers = options.clients or CLIENTS, options.workers or WORKERS
    polls, sockets = [], []
    for _ in range(options.pairs):
        polls.append(_microseconds("poll", clients, workers))
        sockets.append(_microseconds("ws", clients, workers))
    ratio, detail = ratios(sockets, polls)
    return [
        Figure("long-poll", statistics.median(polls), "us CPU accepted and parked", detail=_list(polls)),
        Figure("WebSocket", statistics.median(sockets), "us CPU accepted and parked", detail=_list(sockets)),
        at_most("ratio to the long-poll", ratio, "x", RATIO, detail),
    ]


def _microseconds(transport: str, clients: int, workers: int) -> float:
    with quiet_megacomet(workers) as server:
        pids = server.pids()
        measure.settled_cpu_s(pids)
        before = measure.cpu_s(pids)
        with readers(server, clients, transport, PATHS[transport], "--rate", str(PER_S)) as load:
            held = hold(server, load, clients, transport=transport)
            spent = measure.cpu_s(pids) - before
            load.finish()
    if held != clients:
        raise RuntimeError(f"{held} of {clients} held by the server's own count")
    return spent / clients * 1e6


def _list(values: list[float]) -> str:
    return " ".join(f"{v:.1f}" for v in values)
