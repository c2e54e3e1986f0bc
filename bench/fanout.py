"""How fast one message reaches 50,000 SSE or WebSocket subscribers, beside the bare loop and Nchan, alternating.

    python -m bench.fanout [--clients N] [--workers W] [--pairs P] SIDE …     # megacomet, bare, nchan: only these

Deliveries/s is the number of subscribers over the time from just before the publish to the last delivery that the load
client saw; a turn publishes some messages to a fresh server and counts their median. The load client is the same for
all, and so is what it does for a delivery. The bare loop speaks no WebSocket: both transports stand beside its SSE.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import attrs

from bench import measure, nchan
from bench.figures import Figure, Options, at_least, ratios
from bench.processes import Load, Server, bare_loop, megacomet, readers

CLIENTS = 50_000
WORKERS = 8
MESSAGES = 5
OF_BARE = 0.8
OF_NCHAN = 1.4


@attrs.frozen
class Side:
    """One of those that are compared.

    Attributes:
        paths: where to subscribe, by transport.
        publish: publishes one message and returns its time in ns, taken just before.
    """

    name: str
    running: Callable[[int], AbstractContextManager[Server]]
    paths: dict[str, str]
    publish: Callable[[Server], int]


@attrs.frozen
class Turn:
    """What one fresh server gave: deliveries/s, CPU a delivery of the server and of the load client."""

    per_s: float
    server_us: float
    client_us: float


def push(server: Server) -> int:
    """Push one message to MegaComet's channel `bench`; returns its time."""
    now = time.monotonic_ns()
    server.push(f"t={now:020d}", channel="bench")
    return now


def write_to_all(server: Server) -> int:
    """Let the bare loop write one event to all streams; returns its time."""
    assert server.process.stdin is not None
    now = time.monotonic_ns()
    server.process.stdin.write(b"\n")
    server.process.stdin.flush()
    return now


def quiet_megacomet(workers: int) -> AbstractContextManager[Server]:
    """Run MegaComet without pings meanwhile, which the others do not send either."""
    return megacomet(workers, "--ping-s", "3600")


BARE = Side("bare loop", bare_loop, {"sse": "/stream"}, write_to_all)
OURS = Side(
    *("MegaComet", quiet_megacomet),
    *({"sse": "/comet/events?channel=bench", "ws": "/comet/ws?channel=bench"}, push),
)
NCHAN = Side("Nchan", nchan.nchan, {"sse": "/events?channel=bench", "ws": "/ws?channel=bench"}, nchan.publish)
SIDES = {"bare": BARE, "megacomet": OURS, "nchan": NCHAN}


def run(options: Options) -> list[Figure]:
    """Measure turns of fresh servers, one after the other."""
    nchan.brought()
    turns = _alternating(options, (BARE, OURS, NCHAN))
    figures = _told(turns)
    for transport in ("sse", "ws"):
        ours = [t.per_s for t in turns[OURS.name, transport]]
        for side, of, bound in ((BARE, "sse", OF_BARE), (NCHAN, transport, OF_NCHAN)):
            ratio, detail = ratios(ours, [t.per_s for t in turns[side.name, of]])
            figures.append(at_least(f"{transport.upper()}, ratio to {side.name}", ratio, "x", bound, detail))
    return figures


def _alternating(options: Options, sides: Sequence[Side]) -> dict[tuple[str, str], list[Turn]]:
    turns: dict[tuple[str, str], list[Turn]] = {}
    for _ in range(options.pairs):
        for transport in ("sse", "ws"):
            for side in sides:
                if transport in side.paths:
                    one = turn(side, transport, options.clients or CLIENTS, options.workers or WORKERS)
                    turns.setdefault((side.name, transport), []).append(one)
    return turns


def turn(side: Side, transport: str, clients: int, workers: int) -> Turn:
    """Run one fresh server and its subscribers.

    Raises:
        RuntimeError: a subscriber has not received every message, once.
    """
    with side.running(workers) as server, readers(server, clients, transport, side.paths[transport]) as load:
        measure.wait_for(lambda: load.waits(clients), 120, f"{clients} subscribers of {side.name}")
        pids = server.pids()
        rates = []
        measure.settled_cpu_s(pids)
        before = measure.cpu_s(pids), measure.cpu_s(load.pids())
        for n in range(1, MESSAGES + 1):
            rates.append(clients / (broadcast(side.publish, server, load, n * clients) / 1e9))
            measure.settled_cpu_s(pids)
        after = measure.cpu_s(pids), measure.cpu_s(load.pids())
        report = load.finish()
    if report["least"] != MESSAGES or report["most"] != MESSAGES:
        raise RuntimeError(f"{side.name}, {transport}: {report['least']} to {report['most']} of {MESSAGES} messages")
    server_us, client_us = ((b - a) / clients / MESSAGES * 1e6 for a, b in zip(before, after, strict=True))
    return Turn(statistics.median(rates), server_us, client_us)


def broadcast(publish: Callable[[Server], int], server: Server, load: Load, received: int) -> int:
    """Publish one message and wait until so many were received in all; returns how long that took in ns."""
    began = publish(server)
    measure.wait_for(lambda: load.told("received") >= received, 60, f"{received} deliveries")
    return load.told("last_ns") - began


def _told(turns: dict[tuple[str, str], list[Turn]]) -> list[Figure]:
    figures = []
    for (name, transport), some in turns.items():
        middle = [statistics.median(values) for values in zip(*map(attrs.astuple, some), strict=True)]
        detail = f"{' '.join(f'{t.per_s:,.0f}' for t in some)}; CPU a delivery {middle[1]:.2f} us"
        detail += f", in the load client {middle[2]:.2f} us"
        figures.append(Figure(f"{transport.upper()}, {name}", middle[0], "deliveries/s", detail=detail))
    return figures


def main(arguments: Sequence[str]) -> None:
    """Measure some of the sides, without ratios."""
    p = argparse.ArgumentParser(prog="python -m bench.fanout", description=__doc__)
    p.add_argument("sides", nargs="+", choices=SIDES)
    p.add_argument("--clients", type=int, default=CLIENTS)
    p.add_argument("--workers", type=int, default=WORKERS)
    p.add_argument("--pairs", type=int, default=1)
    given = p.parse_args(arguments)
    turns = _alternating(Options(given.clients, given.workers, given.pairs), [SIDES[name] for name in given.sides])
    print("\n".join(str(figure) for figure in _told(turns)))


if __name__ == "__main__":
    main(sys.argv[1:])
