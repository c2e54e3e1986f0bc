"""How long a message to one client takes while others go to 100,000 SSE subscribers over and over, against without.

Both on the same server, in turns: 100 messages a second to clients on SSE streams of their own, stamped with the time
at which they were due, so that a publisher that is held up does not make them look faster. The clients that are
measured run before those of the broadcast, which wait behind the server; all share the machine's cores.
"""

from __future__ import annotations

import json
import random
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import measure
from bench.fanout import broadcast, push, quiet_megacomet
from bench.figures import Figure, Options, all_of, at_most
from bench.processes import Load, Server, readers
from megacomet.swarm.histogram import Histogram

CLIENTS = 100_000
WORKERS = 8
DIRECT = 1_000
RATE = 100.0
RATIO = 4.0
#: So many pushes may wait for their answers: the rate is kept while the manager is busy.
_CONNECTIONS = 16


def run(options: Options) -> list[Figure]:
    """Measure turns of both on one fresh server."""
    clients = options.clients or CLIENTS
    quiet: list[Histogram] = []
    during: list[Histogram] = []
    rates: list[float] = []
    with (
        quiet_megacomet(options.workers or WORKERS) as server,
        readers(server, clients, "sse", "/comet/events?channel=bench") as crowd,
    ):
        measure.wait_for(lambda: crowd.waits(clients), 300, f"{clients} subscribers")
        for _ in range(options.pairs):
            measure.settled_cpu_s(server.pids())
            quiet.append(_direct(server, options.seconds))
            with _broadcasts(server, crowd, clients, rates):
                during.append(_direct(server, options.seconds))
        report = crowd.finish()
    if len(rates) < options.pairs:
        raise RuntimeError(f"only {len(rates)} broadcasts were delivered")
    before, meanwhile = _merged(quiet), _merged(during)
    pairs = [d.quantile(0.99) / q.quantile(0.99) for d, q in zip(during, quiet, strict=True)]
    sent = int(options.seconds * RATE) * options.pairs
    return [
        Figure("direct message, without broadcasts, p99", _ms(before, 0.99), "ms", detail=_others(before)),
        Figure("direct message, during broadcasts, p99", _ms(meanwhile, 0.99), "ms", detail=_others(meanwhile)),
        at_most("ratio of p99", statistics.median(pairs), "x", RATIO, f"pairs {' '.join(f'{r:.1f}' for r in pairs)}"),
        Figure("ratio of p50", meanwhile.quantile(0.5) / before.quantile(0.5), "x"),
        all_of("direct messages delivered", before.count + meanwhile.count, 2 * sent),
        Figure("broadcasts meanwhile", len(rates), "", detail=f"median {statistics.median(rates):,.0f} deliveries/s"),
        all_of("subscribers with every broadcast", clients if report["least"] == len(rates) else 0, clients),
    ]


def _ms(histogram: Histogram, share: float) -> float:
    return histogram.quantile(share) / 1e6


def _others(histogram: Histogram) -> str:
    return f"p50 {_ms(histogram, 0.5):.2f}, p99.9 {_ms(histogram, 0.999):.2f}, max {histogram.max_ns / 1e6:.2f} ms"


def _merged(histograms: list[Histogram]) -> Histogram:
    merged = Histogram()
    for histogram in histograms:
        merged.merge(histogram)
    return merged


def _direct(server: Server, seconds: float) -> Histogram:
    """Push to random clients for so long; returns the time from when each was due to its arrival."""
    with readers(server, DIRECT, "sse", "/comet/events?client=d{n}", "--each", "--nice", "0") as load:
        measure.wait_for(lambda: load.waits(DIRECT), 60, f"{DIRECT} clients")
        time.sleep(1)
        count = int(seconds * RATE)
        _push_evenly(server, count)
        measure.waited_for(lambda: load.told("received") >= count, 10)
        return Histogram.from_json(load.finish()["histogram"])


def _push_evenly(server: Server, count: int) -> None:
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(_CONNECTIONS)]
    try:
        began = time.monotonic_ns() + 100_000_000
        for n in range(count):
            due = began + int(n * 1e9 / RATE)
            connection = connections[n % _CONNECTIONS]
            if n >= _CONNECTIONS:
                _accepted(connection)
            time.sleep(max(0.0, (due - time.monotonic_ns()) / 1e9))
            connection.sendall(_request(server, f"d{random.randrange(DIRECT)}", due))
        for connection in connections[:count]:
            _accepted(connection)
    finally:
        for connection in connections:
            connection.close()


def _request(server: Server, client: str, due: int) -> bytes:
    body = json.dumps({"client": client, "data": f"t={due:020d}"})
    head = f"POST /api/push HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def _accepted(connection: socket.socket) -> None:
    answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"push to a client: {answer[:200]!r}")


@contextmanager
def _broadcasts(server: Server, crowd: Load, clients: int, rates: list[float]) -> Iterator[None]:
    """Broadcast during the block, each message when the last one has reached all; adds their deliveries/s."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            rates.append(clients / (broadcast(push, server, crowd, (len(rates) + 1) * clients) / 1e9))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
