"""How fast `/api/batch` publishes into channels that nobody listens to: messages/s, and CPU a message.

    python -m bench batch_publish [--clients CONNECTIONS] [--workers W] [--seconds S] [--pairs P]

The budget is for messages of 100 bytes with the default retention, each line to another of 10,000 channels. The load
client (bench.feeders) sends chunks that were made before over four connections, which are spread evenly over the
workers. The rate is what the answers count over the time from the first byte to the last answer, so nothing that is
still in a buffer counts. A fresh server is filled first, with 100 messages for each channel: that is its rate with an
empty store. Then it is measured: each message drops an older one (of 100 bytes the oldest of all when `store_bytes` is
full, of 20 bytes that of the channel when it has `history_messages`). What would run out after 60 s is not waited for.
Beside it stand smaller messages, and what it takes when nothing is kept. `--pairs` is how often all of them take turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import attrs

from bench import bystanders
from bench.figures import Figure, Options, all_of, at_least
from bench.processes import Server, feeders, megacomet
from bench.pushes import cpu_s

CONNECTIONS = 4
WORKERS = 2
CHANNELS = 10_000
KEPT = 100 * CHANNELS
PER_S = 60_000


@attrs.frozen
class Kind:
    """What is published, and to what server.

    Attributes:
        data_bytes: of a message.
        options: of the server.
        keeps: whether it keeps messages, and is filled first.
    """

    name: str
    data_bytes: int
    options: tuple[str, ...] = ()
    keeps: bool = True


BUDGET = Kind("100 bytes", 100)
KINDS = (
    BUDGET,
    Kind("20 bytes", 20),
    Kind("100 bytes, nothing is kept", 100, ("--history-messages", "0"), keeps=False),
)


@attrs.frozen
class Run:
    """What one run of the load client gave; CPU in us a message."""

    per_s: float
    manager: float
    workers: float
    client: float
    bystanders: float
    sent: int
    counted: int


def run(options: Options) -> list[Figure]:
    """Measure on fresh servers."""
    empty: dict[str, list[Run]] = {kind.name: [] for kind in KINDS}
    full: dict[str, list[Run]] = {kind.name: [] for kind in KINDS}
    for _ in range(options.pairs):
        for kind in KINDS:
            with megacomet(options.workers or WORKERS, *kind.options) as server:
                if kind.keeps:
                    empty[kind.name].append(_run(server, kind, options, "--lines", str(KEPT), "--seconds", "120"))
                full[kind.name].append(_run(server, kind, options, "--seconds", str(options.seconds)))
    every = [one for some in (empty, full) for runs in some.values() for one in runs]
    figures = []
    for kind in KINDS:
        figures.append(_figure(kind.name, full[kind.name], PER_S if kind is BUDGET else 0))
        if kind.keeps:
            figures.append(_figure(f"{kind.name}, into an empty store", empty[kind.name]))
    return [*figures, all_of("counted by the answers", sum(r.counted for r in every), sum(r.sent for r in every))]


def _run(server: Server, kind: Kind, options: Options, *until: str) -> Run:
    """Run the load client until its last answer.

    Raises:
        RuntimeError: an answer is missing, or counts otherwise than what was sent.
    """
    asked = ("--connections", str(options.clients or CONNECTIONS), "--bytes", str(kind.data_bytes))
    before, began = cpu_s(server), bystanders.Moment.now()
    with feeders(server, "--channels", str(CHANNELS), *asked, *until) as load:
        report = load.report()
    others = bystanders.Moment.now().share_since(began)
    if report["problems"]:
        raise RuntimeError(f"{kind.name}: {report['problems'][0]}")
    counted = report["lines"]
    manager, workers = ((b - a) / counted * 1e6 for a, b in zip(before, cpu_s(server), strict=True))
    client = report["cpu_s"] / counted * 1e6
    return Run(report["lines_per_s"], manager, workers, client, others, report["sent"], counted)


def _figure(name: str, runs: Sequence[Run], budget: int = 0) -> Figure:
    middle = [statistics.median(column) for column in zip(*(attrs.astuple(r) for r in runs), strict=True)]
    detail = f"{' '.join(f'{r.per_s:,.0f}' for r in runs)}; CPU a message: manager {middle[1]:.2f} us, "
    detail += (
        f"workers {middle[2]:.2f} us, load client {middle[3]:.2f} us; others took {middle[4]:.0%} of the processors"
    )
    if budget:
        return at_least(name, middle[0], "messages/s", budget, detail)
    return Figure(name, middle[0], "messages/s", detail=detail)
