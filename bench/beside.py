"""What it costs the server to have company: accepting and fan-out with it and without, alternating.

Fresh servers with and without take turns at accepting; at fan-out, one server has both in turns. The company is kept by
this process: its own time is not the server's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

from bench import measure
from bench.fanout import broadcast, push, quiet_megacomet
from bench.figures import Figure, Options, at_most, ratios
from bench.processes import Server, load, megacomet, readers

CLIENTS = 140_000
SUBSCRIBERS = 50_000
MESSAGES = 20
WORKERS = 8
RATIO = 1.03

#: Keeps a server company for as long as the block lasts; it is there when the block begins.
Company = Callable[[Server], AbstractContextManager[None]]


def compared(name: str, company: Company, options: Options) -> list[Figure]:
    """Measure pairs of fresh servers that accept, and one that fans out in turns.

    Args:
        name: of the company, "a scraper".
        company: that the server has, or has not.
        options: of the run.
    """
    workers, clients = options.workers or WORKERS, options.clients or CLIENTS
    accepting: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(options.pairs):
        for has_it, spent in accepting.items():
            spent.append(_accepting(clients, workers, company if has_it else _nobody))
    fanning_out = _fanning_out(min(clients, SUBSCRIBERS), workers, options.pairs, company)
    return [_ratio("accepting", name, accepting), _ratio("fan-out", name, fanning_out)]


def _ratio(act: str, name: str, spent: dict[bool, list[float]]) -> Figure:
    ratio, detail = ratios(spent[True], spent[False])
    with_it, alone = (" ".join(f"{us:.2f}" for us in spent[has_it]) for has_it in (True, False))
    detail = f"{detail}; {with_it} us against {alone}"
    return at_most(f"{act}, CPU with {name} to without", ratio, "x", RATIO, detail)


def _nobody(_: Server) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


def _accepting(clients: int, workers: int, company: Company) -> float:
    """Return what one long-poll costs the server, from connect to parked, microseconds."""
    with megacomet(workers) as server:
        pids = server.pids()
        measure.settled_cpu_s(pids)
        with company(server):
            before = measure.cpu_s(pids)
            with load(server, clients) as swarm:
                measure.wait_for(lambda: swarm.waits(clients), 300, f"{clients} clients connected")
                spent = measure.cpu_s(pids) - before
                swarm.finish()
    return spent / clients * 1e6


def _fanning_out(clients: int, workers: int, pairs: int, company: Company) -> dict[bool, list[float]]:
    """Return what one delivery of a message to many costs the server, microseconds, with company and without."""
    found: dict[bool, list[float]] = {False: [], True: []}
    path, sent = "/comet/events?channel=bench", 0
    with quiet_megacomet(workers) as server, readers(server, clients, "sse", path, "--rest", "0.2") as streams:
        measure.wait_for(lambda: streams.waits(clients), 120, f"{clients} subscribers")
        pids = server.pids()
        for has_it in (False, True) * pairs:
            measure.settled_cpu_s(pids)
            with (company if has_it else _nobody)(server):
                before = measure.cpu_s(pids)
                for _ in range(MESSAGES):
                    sent += clients
                    broadcast(push, server, streams, sent)
                spent = measure.cpu_s(pids) - before
            found[has_it].append(spent / (clients * MESSAGES) * 1e6)
        streams.finish()
    return found
