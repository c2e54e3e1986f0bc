"""How fast `/api/batch` reaches parked clients: N messages, each to another of N, until the last is delivered."""

from __future__ import annotations

from bench import measure
from bench.figures import Figure, Options, all_of, at_least
from bench.processes import Load, Server, load, megacomet

CLIENTS = 100_000
WORKERS = 8
PER_S = 20_000


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server."""
    clients = options.clients or CLIENTS
    with (
        megacomet(options.workers or WORKERS) as server,
        # The load client waits before the batch, so that accepting is over and does not count.
        load(server, clients, "--hold", "25", "--settle", "6", "--batch", str(clients), "--drain", "30") as swarm,
    ):
        measure.wait_for(lambda: swarm.waits(clients), 300, f"{clients} clients connected")
        before = _cpu_s(server, swarm)
        measure.wait_for(lambda: swarm.live["delivered"] >= clients, 120, "delivery of all")
        after = _cpu_s(server, swarm)
        report = swarm.report()
    manager, workers, ours = ((b - a) / clients * 1e6 for a, b in zip(before, after, strict=True))
    verdict = report["verdict"]
    return [
        at_least("batched pushes delivered", report["delivered_per_s"], "/s", PER_S, f"in {report['deliver_s']:.2f} s"),
        all_of("acknowledged", verdict["acknowledged"], clients),
        all_of("delivered once", verdict["delivered"], clients),
        Figure("lost, repeated, out of order", verdict["lost"] + verdict["repeated"] + verdict["out_of_order"], ""),
        Figure("CPU a message, manager", manager, "us"),
        Figure("CPU a message, workers", workers, "us", detail=f"and {ours:.1f} us in the load client"),
    ]


def _cpu_s(server: Server, swarm: Load) -> tuple[float, float, float]:
    """Return what the manager, the workers and the load client have used when all are quiet."""
    measure.settled_cpu_s(server.pids())
    manager, *others = server.pids()
    return measure.cpu_s([manager]), measure.cpu_s(others), measure.cpu_s(swarm.pids())
