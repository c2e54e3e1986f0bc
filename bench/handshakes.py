"""What the server spends on accepting and parking a WebSocket, as a ratio to a long-poll, alternating.

Both come from the same load client as fast as the server takes them. (At a lower rate less is done per event and more
for the events themselves: at 4,000/s both cost several times as much, and about the same.)
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
RATIO = 2.0
PATHS = {"poll": "/c{n}.js", "ws": "/comet/ws?channel=c{n}"}


def run(options: Options) -> list[Figure]:
    """Measure pairs of fresh servers."""
    clients, workers = options.clients or CLIENTS, options.workers or WORKERS
    spent: dict[str, list[tuple[float, float]]] = {"poll": [], "ws": []}
    for _ in range(options.pairs):
        for transport, some in spent.items():
            some.append(_microseconds(transport, clients, workers))
    whole = {transport: [sum(both) for both in some] for transport, some in spent.items()}
    ratio, detail = ratios(whole["ws"], whole["poll"])
    return [
        *(
            Figure(
                *("WebSocket" if transport == "ws" else "long-poll", statistics.median(values)),
                "us CPU accepted and parked",
                detail=f"{' '.join(f'{v:.1f}' for v in values)}; of that the manager "
                f"{statistics.median(manager for manager, _ in spent[transport]):.1f}",
            )
            for transport, values in whole.items()
        ),
        at_most("ratio to the long-poll", ratio, "x", RATIO, detail),
    ]


def _microseconds(transport: str, clients: int, workers: int) -> tuple[float, float]:
    """Return what one connection costs the manager and all other processes, from connect to parked."""
    with quiet_megacomet(workers) as server:
        manager, *others = server.pids()
        measure.settled_cpu_s([manager, *others])
        before = measure.cpu_s([manager]), measure.cpu_s(others)
        with readers(server, clients, transport, PATHS[transport]) as load:
            held = hold(server, load, clients, transport=transport)
            after = measure.cpu_s([manager]), measure.cpu_s(others)
            load.finish()
    if held != clients:
        raise RuntimeError(f"{held} of {clients} held by the server's own count")
    first, rest = ((b - a) / clients * 1e6 for a, b in zip(before, after, strict=True))
    return first, rest
