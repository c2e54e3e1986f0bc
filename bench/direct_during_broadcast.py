"""How long a message to one client takes while others go to 100,000 SSE subscribers, against without.

Both on the same server, in turns: 100 messages a second to clients on SSE streams of their own. Broadcasts go out in
series, each when the one before is written to all; then the subscribers, who stand for other machines, read what lies
there, and what is sent meanwhile does not count. A message's time is from the write of its push, or from when it was
due if the server held up the publisher, to the arrival at the client's socket, as the kernel stamps it. Messages during
which other processes of the machine took much of it do not count, on both sides.
"""

from __future__ import annotations

import json
import random
import socket
import statistics
import threading
import time
from contextlib import AbstractContextManager

from bench import bystanders, measure
from bench.fanout import quiet_megacomet
from bench.figures import Figure, Options, all_of, at_most
from bench.meanwhile import meanwhile
from bench.processes import Load, Server, readers
from megacomet.swarm.histogram import Histogram

CLIENTS = 100_000
WORKERS = 8
DIRECT = 1_000
RATE = 100.0
RATIO = 4.0
#: Broadcasts of a series; the subscribers rest longer than it takes.
IN_A_SERIES = 6
REST_S = 4.0
#: Between two series; a subscriber that has read all needs a moment without a message to rest again.
PAUSE_S = 0.5
#: A message counts when bystanders took no more of the processors from so long before it, until so long after.
BYSTANDERS = 0.1
BEFORE_NS = 10_000_000
AFTER_NS = 30_000_000
#: So many pushes may wait for their answers: the rate is kept while the manager is busy.
_CONNECTIONS = 16

#: Of each message when it was sent and how long it took, in ns.
Times = list[tuple[int, int]]


def run(options: Options) -> list[Figure]:
    """Measure turns of both on one fresh server."""
    clients = options.clients or CLIENTS
    quiet: list[Histogram] = []
    during: list[Histogram] = []
    left_out = 0
    series = Series(clients)
    with (
        quiet_megacomet(options.workers or WORKERS) as server,
        readers(server, clients, "sse", "/comet/events?channel=bench", "--rest", str(REST_S)) as crowd,
        bystanders.watched() as watch,
    ):
        measure.wait_for(lambda: crowd.waits(clients), 300, f"{clients} subscribers")
        for _ in range(options.pairs):
            measure.settled_cpu_s(server.pids())
            times = _direct(server, options.seconds)
            quiet.append(_histogram(_undisturbed(times, watch)))
            with series.going_out(server, crowd):
                times = _direct(server, options.seconds)
            times = [one for one in times if series.is_during(one[0])]
            during.append(_histogram(_undisturbed(times, watch)))
            if not during[-1].count or not quiet[-1].count:
                raise RuntimeError("no direct message had the machine for itself: measure longer")
            left_out += len(times) - during[-1].count
        report = crowd.finish()
    before, meanwhile = _merged(quiet), _merged(during)
    pairs = [d.quantile(0.99) / q.quantile(0.99) for d, q in zip(during, quiet, strict=True)]
    rates = [clients / (end - began) * 1e9 for began, end in series.broadcasts]
    return [
        Figure("direct message, without broadcasts, p99", _ms(before, 0.99), "ms", detail=_others(before)),
        Figure(
            "direct message, during broadcasts, p99",
            _ms(meanwhile, 0.99),
            "ms",
            detail=f"{_others(meanwhile)}; {left_out} left out",
        ),
        at_most("ratio of p99", statistics.median(pairs), "x", RATIO, f"pairs {' '.join(f'{r:.1f}' for r in pairs)}"),
        Figure("ratio of p50", meanwhile.quantile(0.5) / before.quantile(0.5), "x"),
        Figure("broadcasts meanwhile", len(rates), "", detail=f"median {statistics.median(rates):,.0f} deliveries/s"),
        all_of("subscribers with every broadcast", clients if report["least"] == len(rates) else 0, clients),
    ]


def _ms(histogram: Histogram, share: float) -> float:
    return histogram.quantile(share) / 1e6


def _others(histogram: Histogram) -> str:
    slowest = f"p99.9 {_ms(histogram, 0.999):.2f}, max {histogram.max_ns / 1e6:.2f} ms"
    return f"{histogram.count} messages, p50 {_ms(histogram, 0.5):.2f}, {slowest}"


def _merged(histograms: list[Histogram]) -> Histogram:
    merged = Histogram()
    for histogram in histograms:
        merged.merge(histogram)
    return merged


def _histogram(times: Times) -> Histogram:
    histogram = Histogram()
    for _, took in times:
        histogram.record(took)
    return histogram


def _undisturbed(times: Times, watch: bystanders.Watch) -> Times:
    return [one for one in times if watch.share(one[0] - BEFORE_NS, one[0] + AFTER_NS) <= BYSTANDERS]


def _direct(server: Server, seconds: float) -> Times:
    """Push to random clients for so long.

    Raises:
        RuntimeError: not all messages were delivered, once.
    """
    with readers(server, DIRECT, "sse", "/comet/events?client=d{n}", "--each", "--nice", "0") as load:
        measure.wait_for(lambda: load.waits(DIRECT), 60, f"{DIRECT} clients")
        time.sleep(1)
        count = int(seconds * RATE)
        _push_evenly(server, count)
        measure.waited_for(lambda: load.told("received") >= count, 10)
        report = load.finish()
    if report["received"] != count:
        raise RuntimeError(f"{report['received']} of {count} direct messages were delivered")
    return [(sent, took) for sent, took in report["each"]]


def _push_evenly(server: Server, count: int) -> None:
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(_CONNECTIONS)]
    try:
        began = time.monotonic_ns() + 100_000_000
        for n in range(count):
            due = began + int(n * 1e9 / RATE)
            connection = connections[n % _CONNECTIONS]
            if n >= _CONNECTIONS:
                _accepted(connection)
            if (early := due - time.monotonic_ns()) > 0:
                time.sleep(early / 1e9)
                due = time.monotonic_ns()  # that it is woken late is not the server's doing
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


class Series:
    """Broadcasts one behind the other, then a pause in which the subscribers read, and so on.

    Attributes:
        broadcasts: of each the time of its publish and when it was written to all, in ns.
    """

    def __init__(self, clients: int) -> None:
        self.broadcasts: list[tuple[int, int]] = []
        self._clients = clients

    def is_during(self, at_ns: int) -> bool:
        """Tell whether a broadcast went on at this time."""
        return any(began <= at_ns < end for began, end in self.broadcasts)

    def going_out(self, server: Server, crowd: Load) -> AbstractContextManager[None]:
        """Broadcast during the block."""
        return meanwhile(lambda over: self._send(server, crowd, over))

    def _send(self, server: Server, crowd: Load, over: threading.Event) -> None:
        while not over.is_set():
            for _ in range(IN_A_SERIES):
                self._broadcast(server)
            measure.wait_for(lambda: crowd.told("received") >= self._deliveries(), 60, "the deliveries of a series")
            time.sleep(PAUSE_S)

    def _deliveries(self) -> int:
        return self._clients * len(self.broadcasts)

    def _broadcast(self, server: Server) -> None:
        began = time.monotonic_ns()
        body = json.dumps({"channel": "bench", "data": f"t={began:020d}"})
        status, answer = server.call("POST", "/api/push?receipt=1", body)
        self.broadcasts.append((began, time.monotonic_ns()))
        written = json.loads(answer)["connections"] if status == 200 else f"{status} {answer[:200]!r}"
        if written != self._clients:
            raise RuntimeError(f"broadcast to {self._clients}: written to {written}")
