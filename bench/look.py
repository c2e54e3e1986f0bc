"""What it takes to look: each read of channels and clients with many connected, beside /healthz in the same run.

Half of the connections are polls of a client each, half are streams on a channel each. The reads take turns, each
followed by a /healthz that a worker answers by itself; so both see the same machine. Every name is picked at random.
"""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from bench import measure
from bench.figures import Figure, Options, all_of
from bench.processes import Server, megacomet, readers
from megacomet.swarm.histogram import Histogram

CLIENTS = 140_000
WORKERS = 8
#: Messages of the channel whose history is read.
HISTORY = 100
#: A sequence that is the same in every run.
_SEED = 4


def run(options: Options) -> list[Figure]:
    """Measure on a fresh server."""
    half = (options.clients or CLIENTS) // 2
    with megacomet(options.workers or WORKERS) as server, ExitStack() as stack:
        polls = stack.enter_context(readers(server, half, "poll", "/u{n}.js"))
        streams = stack.enter_context(readers(server, half, "sse", "/comet/events?channel=c{n}"))
        measure.wait_for(lambda: polls.waits(half) and streams.waits(half), 300, f"{2 * half} connections")
        measure.settled_cpu_s(server.pids())
        for _ in range(HISTORY):
            server.push("x" * 100, channel="c7")
        listed = _count_all(server)
        histograms = _look(server, _reads(half), options.seconds)
        polls.finish()
        streams.finish()
    return [_figure(name, histogram) for name, histogram in histograms.items()] + [
        all_of("channels on all pages of 1,000", listed, 2 * half)
    ]


def _reads(half: int) -> dict[str, Callable[[], str]]:
    """Return by what they are called the makers of paths."""
    pick = random.Random(_SEED).randrange
    return {
        "a client": lambda: f"/api/clients/u{pick(half)}",
        "a channel": lambda: f"/api/channels/c{pick(half)}",
        "a mailbox": lambda: f"/api/channels/@u{pick(half)}",
        f"a history of {HISTORY}": lambda: "/api/channels/c7/history",
        "the first 100 channels": lambda: "/api/channels",
        "100 channels from anywhere": lambda: f"/api/channels?after=c{pick(half)}",
        "100 mailboxes from anywhere": lambda: f"/api/channels?prefix=@&after=@u{pick(half)}",
        "1,000 channels from anywhere": lambda: f"/api/channels?limit=1000&after=c{pick(half)}",
        # An order is told for a while, but not after another prefix was asked for: so each of these is made anew.
        "the first 100 channels by subscribers": lambda: "/api/channels?sort=subscribers",
        "the first 1,000 mailboxes by subscribers": lambda: "/api/channels?sort=subscribers&limit=1000&prefix=@",
    }


def _look(server: Server, reads: dict[str, Callable[[], str]], seconds: float) -> dict[str, Histogram]:
    histograms = {name: Histogram() for name in (*reads, "/healthz")}
    with connected(server) as manager, connected(server) as worker:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for name, path in reads.items():
                timed(manager, path(), server.key, histograms[name])
                timed(worker, "/healthz", "", histograms["/healthz"])
    return histograms


@contextmanager
def connected(server: Server) -> Iterator[http.client.HTTPConnection]:
    """Keep a connection open."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def timed(connection: http.client.HTTPConnection, path: str, key: str, histogram: Histogram) -> bytes:
    """Make one request and record how long it took; return the body.

    Raises:
        RuntimeError: it was refused.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    began = time.monotonic_ns()
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    histogram.record(time.monotonic_ns() - began)
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
    return body


def _count_all(server: Server) -> int:
    """Turn over all pages of channels and mailboxes, and return how many have a subscriber beside everyone's."""
    found = 0
    for prefix in ("", "@"):
        after = ""
        while True:
            _, body = server.get(f"/api/channels?limit=1000&prefix={prefix}&after={after}")
            page = json.loads(body)
            found += sum(each["subscribers"] == 1 for each in page["channels"])
            if page["after"] is None:
                break
            after = page["after"]
    return found


def _figure(name: str, histogram: Histogram) -> Figure:
    p50, p999, most = histogram.quantile(0.5) / 1e6, histogram.quantile(0.999) / 1e6, histogram.max_ns / 1e6
    detail = f"p50 {p50:.2f}, p99.9 {p999:.2f}, max {most:.2f} ms, {histogram.count:,} times"
    return Figure(f"{name}, p99", histogram.quantile(0.99) / 1e6, "ms", detail=detail)
