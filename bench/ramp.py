"""How many connections a second come in on the way to a million, as a ratio to the bare loop, alternating.

    python -m bench ramp [--clients N] [--workers W] [--pairs P]

Both have as many processes, and the load client is the same; it shares the processors with them. A ramp goes from the
first connect to when all clients wait, by the server's own count where it has one.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from bench import measure
from bench.figures import Figure, Options, at_least, ratios
from bench.processes import Server, bare_loop, load, megacomet

CLIENTS = 1_000_000
WORKERS = 54
RATIO = 0.7
_LONGEST_S = 400.0


def run(options: Options) -> list[Figure]:
    """Measure pairs of fresh servers; who comes first changes with each pair."""
    clients, workers = options.clients or CLIENTS, options.workers or WORKERS
    rates: dict[str, list[float]] = {"bare loop": [], "MegaComet": []}
    for n in range(options.pairs):
        sides = [("bare loop", bare_loop), ("MegaComet", megacomet)]
        for name, running in sides if n % 2 else reversed(sides):
            rates[name].append(_per_s(running(workers), clients))
    ratio, detail = ratios(rates["MegaComet"], rates["bare loop"])
    return [
        *(
            Figure(name, sorted(some)[len(some) // 2], "connects/s", detail=" ".join(f"{rate:,.0f}" for rate in some))
            for name, some in rates.items()
        ),
        at_least("ratio to the bare loop", ratio, "x", RATIO, detail),
    ]


def _per_s(running: AbstractContextManager[Server], clients: int) -> float:
    with running as server, load(server, clients) as swarm:
        measure.wait_for(lambda: swarm.waits(clients), _LONGEST_S, f"{clients} clients connected")
        if server.key:
            measure.wait_for(
                lambda: server.counted("poll") == clients, 30, f"{clients} polls by the server's own count"
            )
        report = swarm.finish()
    return clients / float(report["connect_s"])
