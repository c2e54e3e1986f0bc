"""How many single pushes a second the API takes over keep-alive connections, as a ratio to a bare Klein endpoint.

On MegaComet each push is also delivered to a parked client, which asks again: that is part of its price.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from bench.figures import Figure, Options, at_least, ratios
from bench.processes import Server, bare_klein, load, megacomet

CLIENTS = 1_000
WORKERS = 2
CONNECTIONS = 16
RATIO = 0.75


def run(options: Options) -> list[Figure]:
    """Measure pairs of fresh servers."""
    clients, klein, ours, faults = options.clients or CLIENTS, [], [], 0
    for _ in range(options.pairs):
        klein.append(_pushed(bare_klein(), clients, options.seconds)["acknowledged_per_s"])
        report = _pushed(megacomet(options.workers or WORKERS), clients, options.seconds)
        verdict = report["verdict"]
        faults += verdict["lost"] + verdict["repeated"] + verdict["out_of_order"]
        ours.append(report["acknowledged_per_s"])
    ratio, detail = ratios(ours, klein)
    return [
        Figure("bare Klein endpoint", sorted(klein)[len(klein) // 2], "pushes/s"),
        Figure("MegaComet", sorted(ours)[len(ours) // 2], "pushes/s"),
        at_least("ratio to Klein", ratio, "x", RATIO, detail),
        Figure("lost, repeated, out of order", faults, ""),
    ]


def _pushed(running: AbstractContextManager[Server], clients: int, seconds: float) -> dict[str, Any]:
    options = ("--hold", str(seconds), "--settle", "1", "--push-rate", "0", "--push-connections", str(CONNECTIONS))
    with running as server, load(server, clients, *options, "--drain", "2") as swarm:
        return swarm.report(tell=server.key_file != "")  # Klein acknowledges and delivers nothing
