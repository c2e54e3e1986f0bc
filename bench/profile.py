"""Where the server spends its CPU time: while it accepts, while it delivers a batch, while it takes single pushes.

    python -m bench.profile accept|batch|push [--clients N] [--workers W]

The kernel samples as often as its clock ticks (100 times a second of CPU time, mostly); the shares are what counts.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench import measure
from bench.idle_memory import hold
from bench.processes import Load, Server, load, megacomet

_LINES = 30
_SAMPLING = str(Path(__file__).parent / "sampling")


def _accept(server: Server, swarm: Load, clients: int) -> None:
    hold(server, swarm, clients)


def _deliver(server: Server, swarm: Load, clients: int) -> None:
    measure.wait_for(lambda: swarm.live["delivered"] >= clients, 60, "delivery")


def _push(server: Server, swarm: Load, clients: int) -> None:
    swarm.report()


#: what is done; options of the load client; whether connecting is left out
PATHS = {
    "accept": (_accept, ()),
    "batch": (_deliver, ("--hold", "10", "--settle", "4", "--batch")),
    "push": (_push, ("--hold", "5", "--settle", "4", "--push-connections", "16", "--push-rate", "0")),
}


def main(arguments: list[str]) -> None:
    """Profile one path and print the top of each role."""
    p = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    p.add_argument("path", choices=PATHS)
    p.add_argument("--clients", type=int, default=20_000)
    p.add_argument("--workers", type=int, default=2)
    given = p.parse_args(arguments)
    work, options = PATHS[given.path]
    more = (str(given.clients),) if options[-1:] == ("--batch",) else ()
    with tempfile.TemporaryDirectory() as samples:
        environ = {"SAMPLES_DIR": samples, "PYTHONPATH": _SAMPLING}
        with megacomet(given.workers, environ=environ) as server:
            time.sleep(1)
            _sampled(server)
            with load(server, given.clients, *options, *more) as swarm:
                if given.path != "accept":
                    measure.wait_for(lambda: swarm.waits(given.clients), 60, "all connected")
                    time.sleep(1)
                    _sampled(server)
                work(server, swarm, given.clients)
                _sampled(server)
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
