"""What keeping 140,000 idle WebSockets alive costs: server CPU per ping and its pong, and what a million would need.

Measured over two periods of pings after every connection has had its first, less what the same server uses with nothing
connected.
"""

from __future__ import annotations

import time

from bench import measure
from bench.figures import Figure, Options, all_of
from bench.processes import megacomet, readers

CLIENTS = 140_000
WORKERS = 8
PING_S = 25.0
PERIODS = 2
_QUIET_S = 10.0


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server."""
    clients = options.clients or CLIENTS
    with megacomet(options.workers or WORKERS, "--ping-s", f"{PING_S:g}") as server:
        pids = server.pids()
        measure.settled_cpu_s(pids)
        quiet = _used(pids, _QUIET_S)
        with readers(server, clients, "ws", "/comet/ws?channel=c{n}") as load:
            measure.wait_for(lambda: load.waits(clients), 300, f"{clients} WebSockets")
            time.sleep(PING_S)
            before = load.told("pings")
            used = _used(pids, PERIODS * PING_S)
            pings = load.told("pings") - before
            held = server.counted("ws")
            report = load.finish()
    each_us = (used - quiet) * PERIODS * PING_S / max(pings, 1) * 1e6
    return [
        all_of("still open by the server's own count", held, clients),
        Figure("pings a connection and period", pings / clients / PERIODS, "", detail=f"{pings:,}"),
        Figure("server CPU per ping and its pong", each_us, "us", detail=f"{used:.1%} of a core, quiet {quiet:.1%}"),
        Figure("pings and pongs of a million", each_us * 1e6 / PING_S / 1e4, "% of a core"),
        Figure("connections lost", report["lost"], ""),
    ]


def _used(pids: list[int], seconds: float) -> float:
    """Return the share of a core that the processes use for so long."""
    before, began = measure.cpu_s(pids), time.monotonic()
    time.sleep(seconds)
    return (measure.cpu_s(pids) - before) / (time.monotonic() - began)
