"""How fast `/api/batch` reaches parked clients: N messages, each to another of N, until the last is delivered."""

from __future__ import annotations

from bench.figures import Figure, Options, all_of, at_least
from bench.processes import load, megacomet

CLIENTS = 100_000
WORKERS = 8
PER_S = 20_000


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server."""
    clients = options.clients or CLIENTS
    with (
        megacomet(options.workers or WORKERS) as server,
        # Held for two seconds first, so that the last connects are not part of it.
        load(server, clients, "--hold", "0", "--settle", "2", "--batch", str(clients), "--drain", "30") as swarm,
    ):
        report = swarm.report()
    verdict = report["verdict"]
    return [
        at_least("batched pushes delivered", report["delivered_per_s"], "/s", PER_S, f"in {report['deliver_s']:.2f} s"),
        all_of("acknowledged", verdict["acknowledged"], clients),
        all_of("delivered once", verdict["delivered"], clients),
        Figure("lost, repeated, out of order", verdict["lost"] + verdict["repeated"] + verdict["out_of_order"], ""),
    ]
