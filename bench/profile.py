"""Where the server spends its CPU time: while it accepts long-polls, SSE streams or WebSockets, while it delivers a
batch or broadcasts, while all who poll get a message and ask again (`everyone`), while it takes single pushes (`push`:
to parked clients, `pushes`: to nobody) or batches to nobody, while clients come and go.

    python -m bench.profile accept|open-sse|open-ws|batch|everyone|fanout-sse|fanout-ws|push|pushes|batch-publish|churn
                            [--clients N] [--workers W]

Before pushes and batches to nobody are sampled the histories are filled; their clients are connections. The kernel
samples as often as its clock ticks (100 times a second of CPU time, mostly); the shares are what counts.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from bench import batch_publish, measure, pushes, soak
from bench.fanout import broadcast, push
from bench.idle_memory import hold
from bench.idle_streams import PATHS
from bench.processes import Load, Server, feeders, load, megacomet, pushers, readers

_LINES = 30
_CLIENTS = 20_000
_SECONDS = "8"
_BROADCASTS = 20
_SAMPLING = str(Path(__file__).parent / "sampling")


def _swarm(*options: str) -> Callable[[Server, int], None]:
    """Return a run of the load client that is sampled from when all have connected to its end."""

    def run(server: Server, clients: int) -> None:
        counted = (str(clients),) if options[-1] == "--batch" else ()
        with load(server, clients, *options, *counted) as swarm:
            measure.wait_for(lambda: swarm.waits(clients), 60, "all connected")
            time.sleep(1)
            _sampled(server)
            if counted:
                measure.wait_for(lambda: swarm.live["delivered"] >= clients, 60, "delivery")
            else:
                swarm.report()
            _sampled(server)

    return run


def _accept(server: Server, clients: int) -> None:
    with load(server, clients) as swarm:
        hold(server, swarm, clients)
        _sampled(server)


def _opened(transport: str) -> Callable[[Server, int], None]:
    def run(server: Server, clients: int) -> None:
        with readers(server, clients, transport, PATHS[transport] + "?channel=c{n}") as streams:
            hold(server, streams, clients, transport=transport)
            _sampled(server)

    return run


def _broadcast(transport: str) -> Callable[[Server, int], None]:
    def run(server: Server, clients: int) -> None:
        with readers(server, clients, transport, PATHS[transport] + "?channel=bench") as streams:
            hold(server, streams, clients, transport=transport)
            _sampled(server)
            for n in range(1, _BROADCASTS + 1):
                broadcast(push, server, streams, n * clients)
            _sampled(server)

    return run


def _come_and_go(server: Server, clients: int) -> None:
    seconds = ("--switch", str(soak.DROP_EVERY_S), "--settle", "2", "--hold", _SECONDS, "--drain", "5")
    with load(server, clients, *soak.RESIDENTS, *seconds) as swarm:
        measure.wait_for(lambda: swarm.told("switches") > 0, 60, "the first who goes")
        _sampled(server)
        swarm.report()
        _sampled(server)


def _to_nobody(channels: int, run_load: Callable[..., AbstractContextManager[Load]]) -> Callable[[Server, int], None]:
    """Return a run of a load client of pushes without listeners, with full histories."""
    some = ("--channels", str(channels))

    def run(server: Server, clients: int) -> None:
        with feeders(server, *some, "--lines", str(100 * channels), "--seconds", "300") as load:
            load.report()
        _sampled(server)
        with run_load(server, *some, "--connections", str(clients), "--seconds", _SECONDS) as load:
            load.report()
        _sampled(server)

    return run


WORK = {
    "accept": _accept,
    "batch": _swarm("--hold", "10", "--settle", "4", "--batch"),
    "everyone": _swarm("--hold", "1", "--settle", "4", "--everyone"),
    "push": _swarm("--hold", "5", "--settle", "4", "--push-connections", "16", "--push-rate", "0"),
    "open-sse": _opened("sse"),
    "open-ws": _opened("ws"),
    "fanout-sse": _broadcast("sse"),
    "fanout-ws": _broadcast("ws"),
    "churn": _come_and_go,
    "pushes": _to_nobody(pushes.CHANNELS, lambda server, *options: pushers(server, "megacomet", *options)),
    "batch-publish": _to_nobody(batch_publish.CHANNELS, feeders),
}
#: How many clients, where it is another number.
_CLIENTS_OF = {"pushes": pushes.CONNECTIONS, "batch-publish": batch_publish.CONNECTIONS}


def main(arguments: list[str]) -> None:
    """Profile one kind of work and print the top of each role."""
    p = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    p.add_argument("work", choices=WORK)
    p.add_argument("--clients", type=int, default=0, help=f"how many ({_CLIENTS:,}; of work to nobody few)")
    p.add_argument("--workers", type=int, default=2)
    given = p.parse_args(arguments)
    with tempfile.TemporaryDirectory() as samples:
        environ = {"SAMPLES_DIR": samples, "PYTHONPATH": _SAMPLING}
        with megacomet(given.workers, environ=environ) as server:
            time.sleep(1)
            _sampled(server)
            WORK[given.work](server, given.clients or _CLIENTS_OF.get(given.work, _CLIENTS))
        for role in ("manager", "worker"):
            _print(role, [f for f in Path(samples).iterdir() if f.name.startswith(role)])


def _sampled(server: Server) -> None:
    """Let every process write and forget its samples (the last ones written count)."""
    for pid in server.pids():
        os.kill(pid, signal.SIGUSR2)
    time.sleep(1.5)


def _print(role: str, files: list[Path]) -> None:
    counts: dict[str, Counter[str]] = {"own": Counter(), "under": Counter()}
    for file in files:
        for line in file.read_text().splitlines():
            kind, count, place = line.split(" ", 2)
            counts[kind][place] += int(count)
    total = sum(counts["own"].values())
    print(f"\n{role} ({len(files)}): {total} samples")
    for kind, title in (("own", "by line"), ("under", "by function, with what it calls")):
        print(f"  {title}")
        # What everything runs under says nothing.
        told = [
            (place, number) for place, number in counts[kind].most_common() if number < 0.99 * total or kind == "own"
        ]
        for place, number in told[:_LINES]:
            print(f"    {number / max(total, 1):6.1%}  {place}")


if __name__ == "__main__":
    main(sys.argv[1:])
