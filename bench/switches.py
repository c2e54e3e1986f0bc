"""Clients drop at random and come back with another transport while workers are killed: nothing lost or repeated.

Every client listens to its mailbox and to shared channels and goes by positions. The run goes on until a million
messages are delivered; at a quarter, a half and three quarters of them a worker is killed.
"""

from __future__ import annotations

import os
import signal

from bench import measure
from bench.figures import Figure, Options, all_of, at_least
from bench.kill_worker import a_worker
from bench.processes import Load, load, megacomet

CLIENTS = 2_000
WORKERS = 4
DELIVERIES = 1_000_000
KILLS = 3
MIX = "sse=30,ws=20,ws-deflate=10,stream=10,poll=20,script=10"
#: A client that is away for as long as a worker needs to come back finds all that it missed: a room hears three
#: messages a second, and 100 of each are kept.
ROOMS = 50
_ROOM_PUSHES_PER_S = 150
_PUSHES_PER_S = 200
_LONGEST_S = 900.0


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server."""
    clients = options.clients or CLIENTS
    with (
        megacomet(options.workers or WORKERS) as server,
        load(
            *(server, clients, "--mix", MIX, "--switch", "10", "--drain", "60"),
            *("--channels", "5", "--rooms", str(ROOMS), "--publish-rooms", str(_ROOM_PUSHES_PER_S)),
            *("--push-rate", str(_PUSHES_PER_S)),
        ) as swarm,
    ):
        for kill in range(1, KILLS + 1):
            _wait_for(swarm, DELIVERIES * kill // (KILLS + 1))
            os.kill(a_worker(server), signal.SIGKILL)
        _wait_for(swarm, DELIVERIES)
        report = swarm.finish()
    delivered = report["verdict"]["delivered"] + report["rooms"]["delivered"]
    transports = ", ".join(f"{number:,} {name}" for name, number in report["transports"].items())
    return [
        at_least("delivered", delivered, "", DELIVERIES, detail=f"{report['delivered_per_s']:,.0f}/s"),
        all_of("lost", report["lost"], 0),
        all_of("repeated", report["repeated"], 0),
        all_of("out of order", report["out_of_order"], 0),
        all_of("gaps told", report["gaps"], 0),
        Figure("switches", report["switches"], "", detail=f"at the end {transports}"),
        Figure("connections lost", report["dropped"], "", detail=f"{KILLS} kills, errors {report['errors']}"),
        Figure("pushes not acknowledged", sum(report["push_errors"].values()), "", detail=str(report["push_errors"])),
    ]


def _wait_for(swarm: Load, deliveries: int) -> None:
    measure.wait_for(
        lambda: swarm.told("delivered") + swarm.told("room_delivered") >= deliveries,
        _LONGEST_S,
        f"{deliveries:,} deliveries",
    )
