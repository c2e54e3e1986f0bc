"""What an idle long-poll costs in memory, and what the server costs with nothing connected.

Memory is PSS over manager, zygote and workers. A connection counts as held when the server's own count is the client's
and it has then received a message; beside PSS stands the fall of the machine's available memory less what the kernel's
sockets and the load client took.
"""

from __future__ import annotations

from bench import measure
from bench.figures import Figure, Options, all_of, at_most
from bench.processes import Load, Server, load, megacomet

CLIENTS = 140_000
WORKERS = 8
BYTES_PER_POLL = 220
EMPTY_MB = 120


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server."""
    clients = options.clients or CLIENTS
    with megacomet(options.workers or WORKERS) as server:
        measure.settled_cpu_s(server.pids())
        empty = measure.pss_bytes(server.pids())
        before = measure.machine()
        with load(server, clients) as swarm:
            held = hold(server, swarm, clients)
            full, after = measure.pss_bytes(server.pids()), measure.machine()
            ours = measure.pss_bytes(swarm.pids())
            server.push_to_everyone()
            measure.wait_for(lambda: swarm.told("heard") >= clients, 120, "a message to everyone")
            measure.settled_cpu_s(server.pids())
            again = measure.pss_bytes(server.pids())
            report = swarm.finish()
    taken = before.available - after.available
    kernel = (after.slab - before.slab) + (after.sockets - before.sockets)
    return [
        at_most("server with nothing connected", empty / 1e6, "MB", EMPTY_MB),
        all_of("held by the server's own count", held, clients),
        at_most(
            "memory per idle long-poll", (full - empty) / clients, "B", BYTES_PER_POLL, f"{full / 1e6:.1f} MB in all"
        ),
        Figure("the same after one message to each", (again - empty) / clients, "B"),
        Figure(
            *("fall of MemAvailable less sockets and load client", (taken - kernel - ours) / clients, "B per poll"),
            detail=f"{taken / 1e6:.0f} MB less {kernel / 1e6:.0f} MB kernel, {ours / 1e6:.0f} MB load client",
        ),
        all_of("clients that received the message", report["heard"], clients),
    ]


def hold(server: Server, swarm: Load, clients: int, longest_s: float = 300.0, transport: str = "poll") -> int:
    """Wait until the load client's connections are the server's, and the server is quiet; returns its own count."""
    measure.wait_for(lambda: swarm.waits(clients), longest_s, f"{clients} clients connected")
    what = f"{clients} of {transport} by the server's own count"
    measure.wait_for(lambda: server.counted(transport) in (clients, -1), 60, what)
    measure.settled_cpu_s(server.pids())
    return server.counted(transport)
