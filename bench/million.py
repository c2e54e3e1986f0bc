"""One million idle connections held once, and every one of them served a message."""

from __future__ import annotations

import time

from bench import measure
from bench.figures import Figure, Options, all_of, at_most
from bench.idle_memory import hold
from bench.processes import load, megacomet

CLIENTS = 1_000_000
WORKERS = 54
MB = 400


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server."""
    clients = options.clients or CLIENTS
    with megacomet(options.workers or WORKERS) as server, load(server, clients, "--patience", "120") as swarm:
        began = time.monotonic()
        held = hold(server, swarm, clients, 900)
        connected_s = time.monotonic() - began
        pids = server.pids()
        full, machine = measure.pss_bytes(pids), measure.machine()
        manager = measure.pss_bytes([server.process.pid])
        server.push_to_everyone()
        # What was not reached is a figure of the report, not the end of it.
        measure.waited_for(lambda: swarm.told("heard") >= clients, 120)
        measure.waited_for(lambda: swarm.waits(clients), 120)
        measure.settled_cpu_s(pids)
        again = measure.pss_bytes(pids)
        report = swarm.finish()
    return [
        all_of("held by the server's own count", held, clients),
        at_most("memory of the whole server", full / 1e6, "MB", MB, f"{len(pids)} processes"),
        Figure("of that the manager", manager / 1e6, "MB"),
        Figure("the same after one message to each", again / 1e6, "MB"),
        Figure("until all were parked", connected_s, "s"),
        Figure("memory of the machine still available", machine.available / 1e9, "GB"),
        all_of("clients that one push reached", report["heard"], clients),
        Figure(
            "until it had reached all",
            report["reach"]["max_ms"] / 1000,
            "s",
            detail=f"p50 {report['reach']['p50_ms']} ms",
        ),
        all_of("still waiting", report["waiting"], clients),
        Figure("connections lost", report["dropped"], ""),
    ]
