"""`python -m bench [NAME …]`: runs benchmarks, prints each figure beside its budget, and the command that made it."""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from bench.figures import Figure, Options

#: In the order in which they run; each is a module with `run(options)` and a docstring.
NAMES = (
    *("idle_memory", "idle_cpu", "idle_streams", "accept_cpu", "handshakes", "batch_delivery", "single_push", "fanout"),
    *("pushes", "batch_publish", "versus"),
    *(
        "latency_idle",
        "direct_during_broadcast",
        "look",
        "pings",
        "kill_worker",
        "switches",
        "scrape",
        "console",
        "console_pages",
        "browser_client",
        "client_matrix",
        "python_client",
        "fuzz_websocket",
        "fuzz_ops",
        "fuzz_transfer",
        "kernel_memory",
        "ramp",
        "million",
    ),
)

#: Takes too long to be among all: it is named, or `make soak`.
ALONE = ("soak",)


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; returns 0 when every budget was met, 1 otherwise."""
    parser = _parser()
    given = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that what was started is ended
    if unknown := set(given.names) - {*NAMES, *ALONE}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    options = Options(given.clients, given.workers, given.pairs, given.seconds, given.inputs, given.transport)
    options = attrs.evolve(options, peer=given.peer, minutes=given.minutes, rate=given.rate, samples=given.samples)
    for name in filter(None, (given.json, given.samples)):
        if not os.access(Path(name).absolute().parent, os.W_OK):
            parser.error(f"{name} cannot be written")
    status, began, told = 0, datetime.datetime.now(datetime.UTC), []
    for name in given.names or NAMES:
        module = importlib.import_module(f"bench.{name}")
        print(f"\n{name}: {(module.__doc__ or name).splitlines()[0]}", flush=True)
        figures = _one(module.run, options)
        status |= int(figures is None or any(figure.met is False for figure in figures))
        told += [{"benchmark": name, **attrs.asdict(figure)} for figure in figures or ()]
        print(f"  $ {_command(name, arguments, given.names)}", flush=True)
    if given.json:
        report = {"command": " ".join(["python -m bench", *arguments]), "began": began.isoformat(timespec="seconds")}
        Path(given.json).write_text(json.dumps({**report, "cores": os.cpu_count(), "figures": told}) + "\n", "utf-8")
    return status


def _one(run: Callable[[Options], list[Figure]], options: Options) -> list[Figure] | None:
    """Run one benchmark and tell its figures; None: it failed."""
    began = time.monotonic()
    try:
        figures = run(options)
    except (RuntimeError, TimeoutError) as e:
        print(f"  FAILED: {e}", flush=True)
        return None
    for figure in figures:
        print(f"  {figure}", flush=True)
    print(f"  ({time.monotonic() - began:.0f} s on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f})", flush=True)
    return figures


def _command(name: str, arguments: Sequence[str], names: Sequence[str]) -> str:
    rest = [a for a in arguments if a not in names]
    return " ".join(["python -m bench", name, *rest])


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    p.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of: {', '.join(NAMES)}; none: all of them; {ALONE[0]}"
    )
    p.add_argument("--clients", type=int, default=0, help="how many clients (each benchmark has its own number)")
    p.add_argument("--workers", type=int, default=0, help="how many workers (each benchmark has its own number)")
    p.add_argument("--pairs", type=int, default=5, help="how often reference and server take turns (5)")
    p.add_argument("--seconds", type=float, default=10.0, help="how long a rate or a latency is measured (10)")
    p.add_argument("--inputs", type=int, default=0, help="how many inputs are fuzzed with (1,000,000)")
    p.add_argument(
        "--transport", choices=("ws", "sse"), default="", help="only this one of the two that versus measures"
    )
    p.add_argument("--peer", default="", help="only this one of those that versus compares")
    p.add_argument("--json", default="", metavar="FILE", help="write the figures into a file as well, as JSON")
    p.add_argument("--minutes", type=float, default=0.0, help="how long a soak takes, besides some at rest (20)")
    p.add_argument("--rate", type=float, default=0.0, help="of a soak, connects and disconnects a second (2,000)")
    p.add_argument("--samples", default="", metavar="FILE", help="of a soak, where all goes that was measured, as JSON")
    return p


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
