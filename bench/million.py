"""One million connections held by one server, through all stages of `megacomet swarm --million`, and what they cost."""

from __future__ import annotations

from bench.figures import Figure, Options, all_of, at_most
from bench.processes import whole_run

CLIENTS = 1_000_000
WORKERS = 54
MB = 400


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server."""
    clients = options.clients or CLIENTS
    with whole_run(clients, options.workers or WORKERS) as swarm:
        # What was not reached is a figure of the report, not the end of it.
        report = swarm.report()
    measures = report["measures"]
    marks, reached, verdict = measures["marks"], report["reach"], report["verdict"]
    if not {"held", "reached"} <= set(marks):
        raise RuntimeError(f"the run ended early: {'; '.join(report['problems'])}")
    held = marks["held"]
    return [
        all_of("held by the server's own count", measures["counted"][0], clients),
        at_most(
            *("memory of the whole server", held["server"] / 1e6, "MB", MB), f"{measures['server_processes']} processes"
        ),
        Figure("of that the manager", held["manager"] / 1e6, "MB"),
        Figure("the same after one message to each", marks["reached"]["server"] / 1e6, "MB"),
        Figure("until all were parked", report["connect_s"], "s"),
        Figure("memory of the machine still available", held["available"] / 1e9, "GB"),
        Figure("server CPU, nobody being pushed to", 100 * measures["figures"]["idle_cores"], "% of a core"),
        all_of("clients that one push reached", report["heard"], clients),
        Figure("until it had reached all", reached["max_ms"] / 1000, "s", detail=f"p50 {reached['p50_ms']} ms"),
        all_of("still waiting", report["waiting"], clients),
        Figure("connections lost with a killed worker", measures["lost"], "", detail=f"back in {measures['back_s']} s"),
        Figure("connections lost besides", report["dropped"] - max(0, measures["lost"]), ""),
        all_of("acknowledged messages delivered", verdict["acknowledged"] - verdict["lost"], verdict["acknowledged"]),
    ]
