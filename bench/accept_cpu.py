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
    bare, ours, manager = [], [], []
    for _ in range(options.pairs):
        bare.append(sum(_microseconds(bare_loop(workers), clients)))
        spent = _microseconds(megacomet(workers), clients)
        ours.append(sum(spent))
        manager.append(spent[0])
    ratio, detail = ratios(ours, bare)
    return [
        Figure("bare loop", sorted(bare)[len(bare) // 2], "us CPU per long-poll accepted", detail=_list(bare)),
        Figure("MegaComet", sorted(ours)[len(ours) // 2], "us CPU per long-poll accepted", detail=_list(ours)),
        Figure("of that the manager", sorted(manager)[len(manager) // 2], "us", detail=_list(manager)),
        at_most("ratio to the bare loop", ratio, "x", RATIO, detail),
    ]


def _microseconds(running: AbstractContextManager[Server], clients: int) -> tuple[float, float]:
    """Return what one long-poll costs the first process and all others, from connect to parked."""
    with running as server:
        pids = server.pids()
        measure.settled_cpu_s(pids)
        before = _first_and_others(pids)
        with load(server, clients) as swarm:
            measure.wait_for(lambda: swarm.waits(clients), 300, f"{clients} clients connected")
            measure.settled_cpu_s(pids)
            after = _first_and_others(pids)
            if server.key:
                # The workers tell their counts once a second.
                measure.wait_for(
                    lambda: server.counted("poll") == clients, 10, f"{clients} polls by the server's own count"
                )
            swarm.finish()
    first, others = ((b - a) / clients * 1e6 for a, b in zip(before, after, strict=True))
    return first, others


def _first_and_others(pids: list[int]) -> tuple[float, float]:
    return measure.cpu_s(pids[:1]), measure.cpu_s(pids[1:])


def _list(values: list[float]) -> str:
    return " ".join(f"{v:.1f}" for v in values)
