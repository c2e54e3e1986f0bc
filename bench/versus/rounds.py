"""Owns one round of one peer: fresh servers, the connections of the load client, and what all of it gave."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

import attrs

from bench import bystanders, measure
from bench.fanout import REST_S, Crowd
from bench.processes import Load, Server, pushers, readers
from bench.pushers import quantile_ms
from bench.versus.peers import Peer

#: The pushes a second at which latency is measured, and over how many connections.
RATE = 500
CONNECTIONS = 8
#: Messages to all.
MESSAGES = 3
#: A round waits a while until others take less of the processors than that; and is made again, the less disturbed one
#: counts, when they took more.
QUIET = 0.1
QUIET_S = 20.0
BYSTANDERS = 0.2
TRIES = 2
_LONGEST_S = 120.0


@attrs.frozen
class Round:
    """What a round gave, by `comparison.MEASURES`; beside it what must not be.

    Attributes:
        faults: what the load clients complained of, messages that did not come among it.
        others: how much of the processors other processes took meanwhile, in the part in which it was more.
    """

    values: dict[str, float]
    faults: list[str]
    others: float


@attrs.frozen
class _Act:
    """Who is asked for what.

    Attributes:
        clients: how many connections there are.
    """

    peer: Peer
    transport: str
    clients: int
    server: Server

    def connecting(self, channel: str, *options: str) -> AbstractContextManager[Load]:
        """Run the load client, whose connections listen to a channel, or to one each."""
        more = ("--rest", str(REST_S), "--unanswered", str(self.peer.unanswered), *options)
        return readers(self.server, self.clients, self.transport, self.peer.path(self.transport, channel), *more)

    def wait(self, load: Load) -> None:
        """Wait until all are connected.

        Raises:
            RuntimeError: one was refused; it is not tried again.
        """

        def over() -> bool:
            return load.waits(self.clients) or bool(load.live.get("errors"))

        measure.wait_for(over, _LONGEST_S, f"{self.clients} connections")
        if not load.waits(self.clients):
            raise RuntimeError(f"{load.told('waiting'):,} of {self.clients:,} connections: {load.live['errors']}")


@attrs.define
class _Apart:
    """The part in which each connection listens to a channel of its own."""

    act: _Act
    pids: list[int]
    values: dict[str, float] = attrs.Factory(dict)
    faults: list[str] = attrs.Factory(list)
    accepted: int = 0

    def run(self, seconds: float) -> None:
        """Take the connections, then push to them."""
        before_s, empty = measure.settled_cpu_s(self.pids), measure.pss_bytes(self.pids)
        self.values["empty"] = empty / 1e6
        with self.act.connecting("c{n}", "--each") as load:
            self.act.wait(load)
            after_s = measure.settled_cpu_s(self.pids)
            self.values["connects"] = self.act.clients / float(load.live["opening_s"])
            self.values["connect_cpu"] = (after_s - before_s) / self.act.clients * 1e6
            self.values["memory"] = (measure.pss_bytes(self.pids) - empty) / self.act.clients
            self._push_fast(load, seconds)
            fast_ns = load.told("last_ns")
            self._push(load, CONNECTIONS, "--seconds", str(seconds), "--rate", str(RATE))
            report = load.finish()
        self.faults += report["problems"]
        took = sorted(took for sent, took in report["each"] if sent > fast_ns)
        self.values |= {"p50": quantile_ms(took, 0.5), "p99": quantile_ms(took, 0.99)}

    def _push_fast(self, load: Load, seconds: float) -> None:
        """Push to the clients in no order, as fast as pushes are answered."""
        before_s = measure.settled_cpu_s(self.pids)
        accepted, began_ns = self._push(load, self.act.peer.push_connections, "--seconds", str(seconds))
        # By the last delivery: a push may be answered long before.
        self.values["pushes"] = accepted / (load.told("last_ns") - began_ns) * 1e9
        self.values["push_cpu"] = (measure.settled_cpu_s(self.pids) - before_s) / accepted * 1e6

    def _push(self, load: Load, connections: int, *options: str) -> tuple[int, int]:
        """Returns how many were accepted, and when the first one was sent; all have come then, or it is a fault."""
        act = self.act
        to, channels = act.peer.to[act.transport], str(act.clients)
        more = ("--stamp", "--channels", channels, "--connections", str(connections), *options)
        with pushers(act.server, to, *more) as pushing:
            report = pushing.report()
        self.faults += report["problems"]
        accepted = max(report["answered"] - report["faults"], 1)
        self.accepted += accepted
        if not measure.waited_for(lambda: load.told("received") >= self.accepted, _LONGEST_S):
            self.faults.append(f"{load.told('received'):,} of {self.accepted:,} pushes have come")
        return accepted, report["began_ns"]


def undisturbed_round(peer: Peer, transport: str, clients: int, workers: int, seconds: float) -> Round:
    """Run a peer once, and again if others took much of the processors; the less disturbed one counts.

    Raises:
        RuntimeError: it, or the load client, ended early, or it did not deliver each message to all once.
        TimeoutError: something took much longer than it should.
    """
    tries: list[Round] = []
    while not tries or (tries[-1].others > BYSTANDERS and len(tries) < TRIES):
        bystanders.wait_for_quiet(QUIET, QUIET_S)
        tries.append(one_round(peer, transport, clients, workers, seconds))
    return min(tries, key=lambda tried: tried.others)


def one_round(peer: Peer, transport: str, clients: int, workers: int, seconds: float) -> Round:
    """Run a peer once; each part has a fresh server.

    Many connections that have just gone are still work for a server: Pushpin tells its backend of each, again and again
    until that has answered, and who comes meanwhile may be answered 502.

    Raises:
        RuntimeError: it, or the load client, ended early, or it did not deliver each message to all once.
        TimeoutError: something took much longer than it should.
    """
    # What others take is looked at while a server stands: the time of those of its processes that have ended is lost.
    with _standing(peer, transport, clients, workers) as server:
        began = bystanders.Moment.now()
        apart = _Apart(_Act(peer, transport, clients, server), server.pids())
        apart.run(seconds)
        others = bystanders.Moment.now().share_since(began)
    with _standing(peer, transport, clients, workers) as server:
        began = bystanders.Moment.now()
        together = _together(_Act(peer, transport, clients, server))
        others = max(others, bystanders.Moment.now().share_since(began))
    return Round(apart.values | together, apart.faults, others)


@contextlib.contextmanager
def _standing(peer: Peer, transport: str, clients: int, workers: int) -> Iterator[Server]:
    """Run a peer, and wait until so many connections may begin."""
    with peer.running(workers) as server:
        time.sleep(peer.standing_s(transport, clients))
        yield server


def _together(act: _Act) -> dict[str, float]:
    """Return what messages gave that went to all connections."""
    with bystanders.watched() as watch, act.connecting("c0") as load:
        act.wait(load)
        crowd = Crowd(act.peer.side(act.transport), act.server, load, act.clients, watch)
        for _ in range(MESSAGES):
            crowd.publish()
        messages = crowd.finish()
    return {
        "deliveries": statistics.median(message.per_s for message in messages),
        "delivery_cpu": statistics.median(message.server_us for message in messages),
    }
