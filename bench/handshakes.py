"""What the server spends on accepting and parking a WebSocket, as a ratio to two kinds of long-polls, in turns.

Each comes from the same load client as fast as the server takes them. (At a lower rate less is done per event and more
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
#: Transport and path of each. The script's request is a name and no more, and takes the shortest way.
KINDS = {
    "long-poll": ("poll", "/c{n}.js"),
    "long-poll of a channel": ("poll", "/comet/poll?channel=c{n}"),
    "WebSocket": ("ws", "/comet/ws?channel=c{n}"),
}


def run(options: Options) -> list[Figure]:
    """Measure rounds of fresh servers."""
    clients, workers = options.clients or CLIENTS, options.workers or WORKERS
    spent: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for _ in range(options.pairs):
        for kind, some in spent.items():
            some.append(_microseconds(*KINDS[kind], clients, workers))
    whole = {kind: [sum(both) for both in some] for kind, some in spent.items()}
    figures = [_figure(kind, values, [manager for manager, _ in spent[kind]]) for kind, values in whole.items()]
    ratio, detail = ratios(whole["WebSocket"], whole["long-poll of a channel"])
    figures.append(Figure("ratio to the long-poll of a channel", ratio, "x", detail=detail))
    ratio, detail = ratios(whole["WebSocket"], whole["long-poll"])
    return [*figures, at_most("ratio to the long-poll", ratio, "x", RATIO, detail)]


def _figure(kind: str, values: list[float], managers: list[float]) -> Figure:
    detail = f"{' '.join(f'{v:.1f}' for v in values)}; of that the manager {statistics.median(managers):.1f}"
    return Figure(kind, statistics.median(values), "us CPU accepted and parked", detail=detail)


def _microseconds(transport: str, path: str, clients: int, workers: int) -> tuple[float, float]:
    """Return what one connection costs the manager and all other processes, from connect to parked."""
    with quiet_megacomet(workers) as server:
        manager, *others = server.pids()
        measure.settled_cpu_s([manager, *others])
        before = measure.cpu_s([manager]), measure.cpu_s(others)
        with readers(server, clients, transport, path) as load:
            held = hold(server, load, clients, transport=transport)
            after = measure.cpu_s([manager]), measure.cpu_s(others)
            load.finish()
    if held != clients:
        raise RuntimeError(f"{held} of {clients} held by the server's own count")
    first, rest = ((b - a) / clients * 1e6 for a, b in zip(before, after, strict=True))
    return first, rest
