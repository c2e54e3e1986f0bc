"""A worker is killed while pushes go on: what was acknowledged reaches each client that comes back, once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from bench import measure
from bench.figures import Figure, Options, all_of
from bench.processes import Server, load, megacomet

CLIENTS = 100_000
WORKERS = 8
PUSHES_PER_S = 1_000


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server; the kill comes after a third of the time."""
    clients = options.clients or CLIENTS
    with (
        megacomet(options.workers or WORKERS) as server,
        load(
            *(server, clients, "--since", "--settle", "3", "--drain", "60"),
            *("--push-rate", str(PUSHES_PER_S), "--hold", str(options.seconds)),
        ) as swarm,
    ):
        measure.wait_for(lambda: swarm.told("acknowledged") > 0, 300, "the first push")
        time.sleep(options.seconds / 3)
        victim = a_worker(server)
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        measure.wait_for(lambda: swarm.told("dropped") > 0, 60, "lost connections")
        measure.wait_for(lambda: swarm.waits(clients), 120, "all clients back")
        back_s = time.monotonic() - began
        report = swarm.report()
    verdict, latency = report["verdict"], report["latency"]
    return [
        all_of("acknowledged messages delivered", verdict["acknowledged"] - verdict["lost"], verdict["acknowledged"]),
        all_of("repeated", verdict["repeated"], 0),
        all_of("out of order", verdict["out_of_order"], 0),
        Figure("connections lost", report["dropped"], "", detail=f"errors {report['errors']}"),
        Figure("until every client waited again", back_s, "s", detail="seen once a second"),
        Figure("pushes not acknowledged", sum(report["push_errors"].values()), "", detail=str(report["push_errors"])),
        Figure(
            "push to delivery, max", latency["max_ms"], "ms", detail=f"p50 {latency['p50_ms']}, p99 {latency['p99_ms']}"
        ),
    ]


def a_worker(server: Server) -> int:
    """Return the process id of one of the workers."""
    for pid in server.pids():
        if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise RuntimeError("no worker found by its title")
