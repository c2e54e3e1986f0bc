"""From push to delivery with many idle connections and 100 pushes/s, beside the bare loop's latency to one stream."""

from __future__ import annotations

import socket
import time
from threading import Thread

from bench import measure
from bench.figures import Figure, Options, all_of, at_most
from bench.processes import Server, bare_loop, load, megacomet
from megacomet.swarm.histogram import Histogram

CLIENTS = 140_000
WORKERS = 8
RATE = 100.0
P99_MS = 5.0


def run(options: Options) -> list[Figure]:
    """Measure the bare loop, then a fresh server."""
    clients, workers = options.clients or CLIENTS, options.workers or WORKERS
    bare = _bare(clients, workers, options.seconds)
    with (
        megacomet(workers) as server,
        load(server, clients, "--hold", str(options.seconds), "--settle", "3", "--push-rate", str(RATE)) as swarm,
    ):
        report = swarm.report()
    latency, verdict = report["latency"], report["verdict"]
    detail = f"p50 {latency['p50_ms']:.2f}, p99.9 {latency['p99.9_ms']:.2f}, max {latency['max_ms']:.2f} ms"
    beside = f"p50 {_ms(bare, 0.5):.2f}, p99.9 {_ms(bare, 0.999):.2f}, max {bare.max_ns / 1e6:.2f} ms"
    return [
        Figure("bare loop, p99", _ms(bare, 0.99), "ms", detail=beside),
        at_most("push to delivery, p99", latency["p99_ms"], "ms", P99_MS, detail),
        all_of("delivered", verdict["delivered"], verdict["acknowledged"]),
    ]


def _ms(histogram: Histogram, share: float) -> float:
    return histogram.quantile(share) / 1e6


def _bare(clients: int, workers: int, seconds: float) -> Histogram:
    histogram = Histogram()
    with bare_loop(workers) as server, load(server, clients) as swarm:
        measure.wait_for(lambda: swarm.waits(clients), 300, f"{clients} clients connected")
        measure.settled_cpu_s(server.pids())
        with socket.create_connection(("127.0.0.1", server.port)) as stream:
            stream.sendall(b"GET /stream HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n")
            stream.recv(4096)
            listening = Thread(target=_listen, args=(stream, histogram))
            listening.start()
            _tick(server, seconds)
            time.sleep(0.5)
            stream.shutdown(socket.SHUT_RDWR)
            listening.join()
        swarm.finish()
    return histogram


def _tick(server: Server, seconds: float) -> None:
    assert server.process.stdin is not None
    began = time.monotonic()
    for n in range(int(seconds * RATE)):
        time.sleep(max(0.0, began + n / RATE - time.monotonic()))
        server.process.stdin.write(b"\n")
        server.process.stdin.flush()


def _listen(stream: socket.socket, histogram: Histogram) -> None:
    held = b""
    while piece := stream.recv(4096):
        now = time.monotonic_ns()
        *events, held = (held + piece).split(b"\n\n")
        for event in events:
            histogram.record(now - int(event.partition(b"t=")[2]))
