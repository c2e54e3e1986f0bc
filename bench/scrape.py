"""What metrics cost: accepting and fan-out with a scraper every 5 s against without, alternating, and a scrape itself.

See `bench.beside`. A measured phase begins with a scrape, so that a short one has more of them than it should.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from bench import measure
from bench.beside import compared
from bench.figures import Figure, Options
from bench.meanwhile import meanwhile
from bench.processes import Server, megacomet

#: For the cost of one scrape: those of a million connections on a machine that allows 20,000 descriptors.
MANY_WORKERS = 54
SCRAPES = 10
EVERY_S = 5.0
#: The page is made once a second at most.
APART_S = 1.1


def run(options: Options) -> list[Figure]:
    """Measure with and without, and one server with many workers."""
    return compared("a scraper", _scraped, options) + _one_scrape(options.workers or MANY_WORKERS)


def _scraped(server: Server) -> AbstractContextManager[None]:
    """Scrape now and every `EVERY_S`, for as long as the block lasts."""

    def scrape(over: threading.Event) -> None:
        while True:
            server.get("/metrics")
            if over.wait(EVERY_S):
                return

    return meanwhile(scrape)


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
