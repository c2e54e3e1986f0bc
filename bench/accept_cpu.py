"""What the server spends on accepting and parking a long-poll, as a ratio to the bare loop, alternating."""

from __future__ import annotations

from contextlib import AbstractContextManager

from bench import measure
from bench.figures import Figure, Options, at_most, ratios
from bench.processes import Server, bare_loop, load, megacomet

CLIENTS = 140_000
WORKERS = 8
RATIO = 2.0


def run(options: Options) -> list[Figure]:
    """Measure pairs of fresh servers."""
    clients, workers = options.clients or CLIENTS, options.workers or WORKERS
    bare, ours = [], []
    for _ in range(options.pairs):
        bare.append(_microseconds(bare_loop(workers), clients))
        ours.append(_microseconds(megacomet(workers), clients))
    ratio, detail = ratios(ours, bare)
    return [
        Figure("bare loop", sorted(bare)[len(bare) // 2], "us CPU per long-poll accepted", detail=_list(bare)),
        Figure("MegaComet", sorted(ours)[len(ours) // 2], "us CPU per long-poll accepted", detail=_list(ours)),
        at_most("ratio to the bare loop", ratio, "x", RATIO, detail),
    ]


def _microseconds(running: AbstractContextManager[Server], clients: int) -> float:
    with running as server:
        pids = server.pids()
        before = measure.settled_cpu_s(pids)
        with load(server, clients) as swarm:
            measure.wait_for(lambda: swarm.waits(clients), 300, f"{clients} clients connected")
            used = measure.settled_cpu_s(pids) - before
            held = server.polls() if server.key else clients
            swarm.finish()
    if held not in (clients, -1):
        raise RuntimeError(f"{held} of {clients} polls by the server's own count")
    return used / clients * 1e6


def _list(values: list[float]) -> str:
    return " ".join(f"{v:.1f}" for v in values)
