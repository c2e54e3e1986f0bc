"""What a server costs in CPU while nothing is connected and nothing is sent, by kind of process.

    python -m bench idle_cpu [--workers N] [--seconds S] [--pairs SERVERS]

User and system time of manager, zygote and all workers over S seconds, after they were all up and have come to rest, in
percent of one processor. Each of the servers is a fresh one, and figures are medians over them. Beside the sum stands
what others took of all processors meanwhile: work beside it makes the same seconds dearer, since little of a process
that wakes up once in five of them is in the caches of a processor that others use.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Final

from bench import bystanders, measure
from bench.figures import Figure, Options, at_most
from bench.processes import megacomet
from bench.standing import Processes

WORKERS: Final = 54
#: The aim for a million that wait; without them it is not more.
PERCENT: Final = 2.0
#: Of a worker.
WORKER: Final = "worker"
#: Two of a worker's longest rests, so that all rest.
SETTLE_S: Final = 10.0


def run(options: Options) -> list[Figure]:
    """Measure fresh servers."""
    workers = options.workers or WORKERS
    return told(*zip(*(_one(workers, options.seconds) for _ in range(options.pairs)), strict=True))


def _one(workers: int, seconds: float) -> tuple[dict[str, float], float]:
    """Measure one server; returns percent of a processor by kind, and the share of all processors that others took."""
    with megacomet(workers) as server:
        what = f"manager, zygote and {workers} workers"
        measure.wait_for(lambda: len(Processes(server).pids) == workers + 2, 60, what)
        measure.settled_cpu_s(server.pids())
        time.sleep(SETTLE_S)
        processes = Processes(server)
        began, before = bystanders.Moment.now(), _cpu_s(processes.pids)
        time.sleep(seconds)
        after, ended = _cpu_s(processes.pids), bystanders.Moment.now()
        if processes.replaced:
            raise RuntimeError(f"{processes.replaced} processes of the server have ended meanwhile")
    return percents(before, after, ended.at_s - began.at_s), ended.share_since(began)


def _cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    return {name: measure.cpu_s([pid]) for name, pid in pids.items()}


def percents(before: Mapping[str, float], after: Mapping[str, float], took_s: float) -> dict[str, float]:
    """Return percent of a processor by kind of process, which is the first word of a name.

    Args:
        before, after: CPU seconds of each process, by name.
    """
    found: dict[str, float] = {}
    for name, spent_s in after.items():
        kind = name.split()[0]
        found[kind] = found.get(kind, 0.0) + (spent_s - before[name]) / took_s * 100
    return found


def told(servers: Sequence[Mapping[str, float]], others: Sequence[float]) -> list[Figure]:
    """Return the figures of servers: the sum, which has a budget, and each kind.

    Args:
        servers: percent of a processor by kind, of each server.
        others: what others took meanwhile, as a share of all processors.
    """
    sums = [sum(each.values()) for each in servers]
    meanwhile = f"{_all(sums)}; others took {' '.join(f'{share:.0%}' for share in others)} of all processors"
    unit = "% of a processor"
    figures = [at_most("CPU with nothing connected", statistics.median(sums), unit, PERCENT, meanwhile)]
    for kind in servers[0]:
        some = [each[kind] for each in servers]
        name = "workers" if kind == WORKER else kind
        figures.append(Figure(f"of that the {name}", statistics.median(some), unit, detail=_all(some)))
    return figures


def _all(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" for value in values)
