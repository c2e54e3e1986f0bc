"""What metrics cost: accepting and fan-out with a scraper every 5 s against without, alternating, and a scrape itself.

Fresh servers with and without take turns at accepting; at fan-out, one server has both in turns. The scraper is this
process: its own time is not the server's. A measured phase begins with a scrape, so that a short one has more of them
than it should.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from bench import measure
from bench.fanout import broadcast, push, quiet_megacomet
from bench.figures import Figure, Options, at_most, ratios
from bench.processes import Server, load, megacomet, readers

CLIENTS = 140_000
SUBSCRIBERS = 50_000
MESSAGES = 20
WORKERS = 8
#: For the cost of one scrape: those of a million connections on a machine that allows 20,000 descriptors.
MANY_WORKERS = 54
SCRAPES = 10
EVERY_S = 5.0
RATIO = 1.03
#: The page is made once a second at most.
APART_S = 1.1


def run(options: Options) -> list[Figure]:
    """Measure pairs of fresh servers that accept, one that fans out in turns, and one with many workers."""
    workers = options.workers or WORKERS
    accepting: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(options.pairs):
        for is_scraped, spent in accepting.items():
            spent.append(_accepting(options.clients or CLIENTS, workers, is_scraped))
    fanning_out = _fanning_out(min(options.clients or SUBSCRIBERS, SUBSCRIBERS), workers, options.pairs)
    figures = [_compared("accepting", accepting), _compared("fan-out", fanning_out)]
    return figures + _one_scrape(options.workers or MANY_WORKERS)


def _compared(name: str, spent: dict[bool, list[float]]) -> Figure:
    ratio, detail = ratios(spent[True], spent[False])
    scraped, alone = (" ".join(f"{us:.2f}" for us in spent[is_scraped]) for is_scraped in (True, False))
    detail = f"{detail}; {scraped} us against {alone}"
    return at_most(f"{name}, CPU with a scraper to without", ratio, "x", RATIO, detail)


def _accepting(clients: int, workers: int, is_scraped: bool) -> float:
    """Return what one long-poll costs the server, from connect to parked, microseconds."""
    with megacomet(workers) as server:
        pids = server.pids()
        measure.settled_cpu_s(pids)
        with _scraped(server, is_scraped):
            before = measure.cpu_s(pids)
            with load(server, clients) as swarm:
                measure.wait_for(lambda: swarm.waits(clients), 300, f"{clients} clients connected")
                spent = measure.cpu_s(pids) - before
                swarm.finish()
    return spent / clients * 1e6


def _fanning_out(clients: int, workers: int, pairs: int) -> dict[bool, list[float]]:
    """Return what one delivery of a message to many costs the server, microseconds, with a scraper and without."""
    found: dict[bool, list[float]] = {False: [], True: []}
    path, sent = "/comet/events?channel=bench", 0
    with quiet_megacomet(workers) as server, readers(server, clients, "sse", path, "--rest", "0.2") as streams:
        measure.wait_for(lambda: streams.waits(clients), 120, f"{clients} subscribers")
        pids = server.pids()
        for is_scraped in (False, True) * pairs:
            measure.settled_cpu_s(pids)
            with _scraped(server, is_scraped):
                before = measure.cpu_s(pids)
                for _ in range(MESSAGES):
                    sent += clients
                    broadcast(push, server, streams, sent)
                spent = measure.cpu_s(pids) - before
            found[is_scraped].append(spent / (clients * MESSAGES) * 1e6)
        streams.finish()
    return found


@contextlib.contextmanager
def _scraped(server: Server, is_scraped: bool) -> Iterator[None]:
    """Scrape now and every `EVERY_S`, for as long as the block lasts."""
    over = threading.Event()

    def scrape() -> None:
        while True:
            server.get("/metrics")
            if over.wait(EVERY_S):
                return

    scraper = threading.Thread(target=scrape, daemon=True)
    if is_scraped:
        scraper.start()
    try:
        yield
    finally:
        over.set()
        if is_scraped:
            scraper.join()


def _one_scrape(workers: int) -> list[Figure]:
    """Return what one costs the manager, beside what it does anyway in the same time, and how long it takes."""
    with megacomet(workers) as server:
        pid = server.pids()[:1]
        status, page = server.get("/metrics")
        if status != 200:
            raise RuntimeError(f"/metrics: {status}")
        measure.settled_cpu_s(server.pids())
        waits: list[float] = []

        def scrape() -> None:
            began = time.perf_counter()
            server.get("/metrics")
            waits.append(time.perf_counter() - began)

        def ask() -> None:
            server.get("/api/config")  # it comes to the manager by the same way

        ms = (_manager_ms(pid, scrape) - _manager_ms(pid, ask)) / SCRAPES
    return [
        Figure(f"a scrape of {workers} workers", ms, "ms of the manager", detail=f"{len(page):,} bytes"),
        Figure("the same by worker", ms / workers * 1000, "us"),
        Figure(
            "how long it takes", sorted(waits)[len(waits) // 2] * 1000, "ms", detail=f"longest {max(waits) * 1e3:.1f}"
        ),
    ]


def _manager_ms(pid: list[int], act: Callable[[], None]) -> float:
    """Return the CPU that the manager takes for some acts and what it does beside them."""
    before = measure.cpu_s(pid)
    for _ in range(SCRAPES):
        act()
        time.sleep(APART_S)
    return (measure.cpu_s(pid) - before) * 1000
