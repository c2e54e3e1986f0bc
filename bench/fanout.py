"""How fast one message reaches 50,000 SSE or WebSocket subscribers, beside the bare loop and Nchan, alternating.

    python -m bench.fanout [--clients N] [--workers W] [--pairs P] SIDE …     # megacomet, bare, nchan: only these

Deliveries/s is the number of subscribers over the time from just before the publish to the arrival of the last message
at its socket, as the kernel stamps it; the load client, the same for all, stands for other machines and reads when all
have arrived. All servers stand at once, each with its subscribers, and publish in turn, so that what else the machine
does meets all of them; a pair is a set of fresh servers and the median of its messages' ratios. The bare loop speaks no
WebSocket: its SSE stands in for it.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import attrs

from bench import bystanders, measure, nchan
from bench.figures import Figure, Options, at_least, ratios
from bench.processes import Load, Server, bare_loop, megacomet, readers

CLIENTS = 50_000
WORKERS = 8
MESSAGES = 5
OF_BARE = 0.8
OF_NCHAN = 1.4
#: The load client reads so long after the first arrival: a broadcast takes a fraction of it.
REST_S = 1.0
#: A message counts when bystanders took no more of the processors meanwhile; else the next one, after some tries any.
BYSTANDERS = 0.05
TRIES = 6


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
class Message:
    """What one message gave: deliveries/s, CPU a delivery of the server and of the load client.

    Attributes:
        bystanders: how much of the processors other processes took meanwhile.
    """

    per_s: float
    server_us: float
    client_us: float
    bystanders: float


#: The messages of each side, by set of fresh servers.
Sets = dict[str, list[list[Message]]]


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
    """Measure sets of fresh servers."""
    nchan.brought()
    figures, sides = [], (BARE, OURS, NCHAN)
    for transport in ("sse", "ws"):
        sets = _measured(options, transport, sides)
        figures += _told(transport, sets)
        for side, bound in ((BARE, OF_BARE), (NCHAN, OF_NCHAN)):
            pairs = [_ratio(*both) for both in zip(sets[OURS.name], sets[side.name], strict=True)]
            ratio, detail = ratios(pairs, [1.0] * len(pairs))
            figures.append(at_least(f"{transport.upper()}, ratio to {side.name}", ratio, "x", bound, detail))
    return figures


def _ratio(ours: Sequence[Message], others: Sequence[Message]) -> float:
    return statistics.median(a.per_s / b.per_s for a, b in zip(ours, others, strict=True))


def _measured(options: Options, transport: str, sides: Sequence[Side]) -> Sets:
    sets: Sets = {side.name: [] for side in sides}
    for _ in range(options.pairs):
        for name, messages in _one_set(sides, transport, options.clients or CLIENTS, options.workers or WORKERS):
            sets[name].append(messages)
    return sets


def _one_set(sides: Sequence[Side], transport: str, clients: int, workers: int) -> Iterator[tuple[str, list[Message]]]:
    """Run one fresh server of each side with its subscribers, and let them publish in turn."""
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(bystanders.watched())
        crowds = [stack.enter_context(_crowded(side, transport, clients, workers, watch)) for side in sides]
        for _ in range(MESSAGES):
            for crowd in crowds:
                crowd.publish()
        for crowd in crowds:
            yield crowd.side.name, crowd.finish()


@contextlib.contextmanager
def _crowded(side: Side, transport: str, clients: int, workers: int, watch: bystanders.Watch) -> Iterator[Crowd]:
    """Run a server and its subscribers, who are connected when the block begins."""
    if transport not in side.paths:
        transport = "sse"
    rest = ("--rest", str(REST_S))
    with side.running(workers) as server, readers(server, clients, transport, side.paths[transport], *rest) as load:
        measure.wait_for(lambda: load.waits(clients), 120, f"{clients} subscribers of {side.name}")
        yield Crowd(side, server, load, clients, watch)


class Crowd:
    """A server and its subscribers, who are connected."""

    def __init__(self, side: Side, server: Server, load: Load, clients: int, watch: bystanders.Watch) -> None:
        measure.settled_cpu_s(server.pids())
        self.side = side
        self._server = server
        self._load = load
        self._clients = clients
        self._watch = watch
        self._pids, self._load_pids = server.pids(), load.pids()
        self._messages: list[Message] = []
        self._sent = 0

    def publish(self) -> None:
        """Publish a message until one had the machine for itself, and note what that one gave."""
        for _ in range(TRIES):
            message = self._publish()
            if message.bystanders <= BYSTANDERS:
                break
        self._messages.append(message)

    def _publish(self) -> Message:
        """Publish one message and wait until all have it and the server is quiet."""
        before = self._cpu_s()
        self._sent += 1
        began, last = broadcast(self.side.publish, self._server, self._load, self._sent * self._clients)
        measure.settled_cpu_s(self._pids)
        spent = ((b - a) / self._clients * 1e6 for a, b in zip(before, self._cpu_s(), strict=True))
        return Message(self._clients / (last - began) * 1e9, *spent, self._watch.share(began, last))

    def _cpu_s(self) -> tuple[float, float]:
        return measure.cpu_s(self._pids), measure.cpu_s(self._load_pids)

    def finish(self) -> list[Message]:
        """End the subscribers; returns what the messages gave.

        Raises:
            RuntimeError: a subscriber has not received every message, once.
        """
        report, sent = self._load.finish(), self._sent
        if report["least"] != sent or report["most"] != sent:
            raise RuntimeError(f"{self.side.name}: {report['least']} to {report['most']} of {sent} messages received")
        return self._messages


def broadcast(publish: Callable[[Server], int], server: Server, load: Load, received: int) -> tuple[int, int]:
    """Publish one message and wait until so many were received in all; returns when it began and ended, in ns.

    Raises:
        RuntimeError: a connection was lost, which the next message would miss if not this one.
        TimeoutError: they have not come.
    """
    began = publish(server)

    def over() -> bool:
        return load.told("received") >= received or bool(load.told("lost"))

    measure.wait_for(over, 60, f"{received} deliveries")
    if lost := load.told("lost"):
        raise RuntimeError(f"{lost:,} connections were lost while a message went to all: {load.live['errors']}")
    return began, load.told("last_ns")


def _told(transport: str, sets: Sets) -> list[Figure]:
    figures = []
    for name, some in sets.items():
        every = [attrs.astuple(message) for messages in some for message in messages]
        middle = [statistics.median(values) for values in zip(*every, strict=True)]
        detail = " ".join(f"{statistics.median(m.per_s for m in messages):,.0f}" for messages in some)
        detail += f"; CPU a delivery {middle[1]:.2f} us, in the load client {middle[2]:.2f} us"
        if disturbed := sum(message[3] > BYSTANDERS for message in every):
            detail += f"; {disturbed} of {len(every)} messages disturbed"
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
    options = Options(given.clients, given.workers, given.pairs)
    for transport in ("sse", "ws"):
        for figure in _told(transport, _measured(options, transport, [SIDES[name] for name in given.sides])):
            print(figure, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
