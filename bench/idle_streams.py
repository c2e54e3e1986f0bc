"""What an idle SSE stream or WebSocket costs in memory: each on a channel of its own, and on ten that all share.

As in `idle_memory`: PSS over manager, zygote and workers; a connection counts as held when the server's own count is
the client's and it has then received a message. Pings go on meanwhile and are answered.
"""

from __future__ import annotations

import time

from bench import measure
from bench.figures import Figure, Options, all_of, at_most
from bench.idle_memory import hold
from bench.processes import megacomet, readers

CLIENTS = 140_000
WORKERS = 8
BYTES_PER_STREAM = 450
PATHS = {"sse": "/comet/events", "ws": "/comet/ws"}
_TEN = "&".join(f"channel=shared-{n}" for n in range(10))


def run(options: Options) -> list[Figure]:
    """Measure on four fresh servers."""
    clients, workers = options.clients or CLIENTS, options.workers or WORKERS
    figures = []
    for transport in ("sse", "ws"):
        figures += _measured(transport, "one channel each", "channel=c{n}", clients, workers)
        figures += _measured(transport, "ten shared channels", _TEN, clients, workers)
    return figures


def _measured(transport: str, kind: str, query: str, clients: int, workers: int) -> list[Figure]:
    path = f"{PATHS[transport]}?{query}"
    with megacomet(workers) as server:
        measure.settled_cpu_s(server.pids())
        empty, before = measure.pss_bytes(server.pids()), measure.machine()
        with readers(server, clients, transport, path) as load:
            held = hold(server, load, clients, transport=transport)
            full, after = measure.pss_bytes(server.pids()), measure.machine()
            ours = measure.pss_bytes(load.pids())
            server.push(f"t={time.monotonic_ns():020d}", everyone=True)
            measure.waited_for(lambda: load.told("received") >= clients, 120)
            measure.settled_cpu_s(server.pids())
            again = measure.pss_bytes(server.pids())
            report = load.finish()
    name, each = f"{transport.upper()}, {kind}", (full - empty) / clients
    detail = f"{full / 1e6:.1f} MB in all, {(again - empty) / clients:.0f} B after one message to each"
    kernel = (after.slab - before.slab) + (after.sockets - before.sockets)
    fall = (before.available - after.available - kernel - ours) / clients
    return [
        all_of(f"{name}: held by the server's own count", held, clients),
        at_most(f"{name}: memory per idle connection", each, "B", BYTES_PER_STREAM, detail)
        if kind.startswith("one")
        else Figure(f"{name}: memory per idle connection", each, "B", detail=detail),
        Figure(f"{name}: fall of MemAvailable less sockets and load client", fall, "B per connection"),
        all_of(f"{name}: received the message", report["reached"], clients),
        Figure(f"{name}: connections lost", report["lost"], "", detail=f"pings answered {report['pings']:,}"),
    ]
