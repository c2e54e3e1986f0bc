"""MegaComet beside Nchan, Pushpin, a plain Autobahn and a plain aiohttp server: the same load client, in turns.

    python -m bench versus [--clients N] [--workers W] [--seconds S] [--pairs ROUNDS] [--transport ws|sse]
                           [--peer NAME] [--json FILE]
    python -m bench.versus FILE … [--charts FOLDER]     # what runs have written, as tables, and as charts in the folder

A round of a peer is two fresh servers. On the first the load client (bench.readers) opens N connections as fast as they
are answered, each to a channel of its own: connects/s, CPU of the server a connect, and memory (PSS of all its
processes) before and after. Then bench.pushers pushes 100 bytes to these clients in no order, each push to one of them,
over 64 keep-alive connections as fast as they are answered: pushes/s until the last has come, and CPU a push. The same
at 500/s: latency, from just before the request to the client's socket. On the second N connections listen to one
channel, and three messages go to all of them, as in `fanout`: deliveries/s, CPU a delivery. WebSocket is what all
speak; over SSE all but Autobahn. The peers take turns, in the other order in every second round, and figures are
medians over the rounds. One during which others took more than a fifth of the processors is made again, and the less
disturbed one counts. A round that fails gives no figures, and beside the number of rounds it is told why.

All run on one machine with their load, with as many processes as are usual (see `peers`), no pings, no log of requests.
What they do is not the same: MegaComet and Nchan keep 100 messages of a channel for a minute, MegaComet also numbers
them and asks for a key; the others keep nothing. Pushpin asks a backend for each connection, a small one on aiohttp,
which counts neither in its memory nor in its CPU, but takes its part of the processors. It closes the connection behind
each push, and is sent only as many connections and pushes at once as it can take, streams not before it has stood for
some seconds (see `pushpin`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from bench.figures import Figure, Options
from bench.versus import measures
from bench.versus.peers import PEERS, Peer, brought, most_clients
from bench.versus.rounds import Round, undisturbed_round
from megacomet.swarm.comparison import TRANSPORTS

CLIENTS = 10_000


def run(options: Options) -> list[Figure]:
    """Measure rounds of fresh servers.

    Raises:
        RuntimeError: a peer cannot be had or is not known, or could not hold so many connections.
    """
    if options.peer and options.peer not in (names := [peer.name for peer in PEERS]):
        raise RuntimeError(f"{options.peer} is none of {', '.join(names)}")
    brought()
    clients, workers = options.clients or CLIENTS, options.workers or os.cpu_count() or 1
    if clients > most_clients():
        raise RuntimeError(f"{clients:,} connections are more than one process may have: at most {most_clients():,}")
    figures = []
    for transport in (options.transport,) if options.transport else TRANSPORTS:
        sides = [peer for peer in PEERS if transport in peer.paths and options.peer in ("", peer.name)]
        rounds: dict[str, list[Round | str]] = {peer.name: [] for peer in sides}
        for n in range(options.pairs):
            for peer in reversed(sides) if n % 2 else sides:
                rounds[peer.name].append(_tried(peer, transport, clients, workers, options.seconds))
        for name, tried in rounds.items():
            figures += measures.figures(transport, name, [each.values for each in tried if isinstance(each, Round)])
            figures.append(without_a_fault(transport, name, tried))
    return figures


def _tried(peer: Peer, transport: str, clients: int, workers: int, seconds: float) -> Round | str:
    """Run a round; returns why, if it failed."""
    try:
        return undisturbed_round(peer, transport, clients, workers, seconds)
    except (RuntimeError, TimeoutError) as e:
        print(f"  {peer.name} over {transport}: {e}", file=sys.stderr, flush=True)
        return str(e)


def without_a_fault(transport: str, name: str, tried: Sequence[Round | str]) -> Figure:
    """Return how many rounds went without a fault, of which some may have failed; the faults beside it, and why."""
    rounds = [each for each in tried if isinstance(each, Round)]
    good = sum(not each.faults for each in rounds)
    told = [f"others took {' '.join(f'{each.others:.0%}' for each in rounds)} of the processors"] if rounds else []
    told += [fault for each in rounds for fault in each.faults]
    told += [f"a round failed: {each}" for each in tried if isinstance(each, str)]
    title = f"{TRANSPORTS[transport]}, {name}: rounds without a fault"
    return Figure(title, good, f"of {len(tried)}", "all", good == len(tried), "; ".join(told))
