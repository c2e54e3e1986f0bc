"""Owns who is compared: how each runs, where one listens and who takes a push. What is measured it does not know.

MegaComet and nginx are given as many workers as there are processors. Pushpin has the processes that it has. Autobahn
and aiohttp run as one process, as one writes them; several could listen on one port, but would have to send each other
what is published to them, which is a server's other half and no part of either.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import attrs

from bench import fanout, measure, nchan, processes
from bench.bodies import REQUESTS, answer_size, stamped, stamped_data
from bench.processes import Server
from bench.versus import pushpin

#: Of the data of a message, as `bench.pushers` has it.
DATA_BYTES: Final = 100
#: Over which pushes are made as fast as they are answered.
PUSH_CONNECTIONS: Final = 64
_HERE: Final = Path(__file__).parent
#: Descriptors that a process has besides those of its connections.
_OTHER_DESCRIPTORS: Final = 500
_ANSWER_BYTES: Final = 65_536


def _at_once(transport: str, clients: int) -> float:
    """Return that connections may begin when it listens."""
    return 0.0


@attrs.frozen
class Peer:
    """One of those that are compared.

    Attributes:
        running: runs it with so many workers, if it has a number of them.
        paths: where one listens to `{channel}`, by transport.
        to: whose requests `bench.pushers` makes, by transport.
        unanswered: connections that it lets come at once; 0: as many as the load client begins.
        push_connections: over which it is sent pushes as fast as it answers them.
        standing_s: how long it must have stood before so many connections may begin over a transport.
    """

    name: str
    running: Callable[[int], AbstractContextManager[Server]]
    paths: Mapping[str, str]
    to: Mapping[str, str]
    unanswered: int = 0
    push_connections: int = PUSH_CONNECTIONS
    standing_s: Callable[[str, int], float] = _at_once

    def path(self, transport: str, channel: str) -> str:
        """Return where one listens to a channel; `c{n}` is one of each client's own."""
        return self.paths[transport].replace("{channel}", channel)

    def side(self, transport: str) -> fanout.Side:
        """Return it as one that broadcasts to the channel `c0`."""
        publish = functools.partial(publish_once, self.to[transport])
        return fanout.Side(self.name, self.running, {transport: self.path(transport, "c0")}, publish)


def publish_once(to: str, server: Server) -> int:
    """Publish one message to the channel `c0`, over a connection of its own; returns its time in ns, taken before.

    Raises:
        RuntimeError: it was refused.
    """
    now = time.monotonic_ns()
    request = stamped(REQUESTS[to](server.push_port, server.key, 0, stamped_data(DATA_BYTES)), now)
    with socket.create_connection(("127.0.0.1", server.push_port), timeout=60) as connection:
        connection.sendall(request)
        answer = b""
        while not 0 < answer_size(answer) <= len(answer):
            if not (piece := connection.recv(_ANSWER_BYTES)):
                break
            answer += piece
    if not answer.startswith(b"HTTP/1.1 2"):
        raise RuntimeError(f"a publish to {to} was refused: {answer[:200]!r}")
    return now


@contextlib.contextmanager
def _plain(script: str, ports: int, _: int) -> Iterator[Server]:
    """Run one of the plain servers; with two ports it takes pushes at the second."""
    chosen = [processes.free_port() for _ in range(ports)]
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, str(_HERE / script), *map(str, chosen)]
        with processes.running(command, dict(os.environ), log) as process:
            try:
                measure.wait_for(lambda: _up(process, chosen), 30, script)
            except BaseException:
                log.seek(0)
                sys.stderr.write(log.read().decode(errors="replace")[-4000:])
                raise
            yield Server(process, chosen[0], push_port=chosen[-1])


def _up(process: subprocess.Popen[bytes], ports: list[int]) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the server ended with status {process.returncode}; see its output above")
    return all(processes.listens(port) for port in ports)


_QUERIES: Final = {"sse": "/events?channel={channel}", "ws": "/ws?channel={channel}"}
OURS: Final = Peer(
    *("MegaComet", fanout.quiet_megacomet),
    {"sse": "/comet/events?channel={channel}", "ws": "/comet/ws?channel={channel}"},
    {"sse": "megacomet", "ws": "megacomet"},
)
PEERS: Final = (
    OURS,
    Peer("Nchan", nchan.nchan, _QUERIES, {"sse": "nchan", "ws": "nchan"}),
    Peer(
        *("Pushpin", pushpin.pushpin, _QUERIES, {"sse": "pushpin-sse", "ws": "pushpin-ws"}),
        unanswered=pushpin.UNANSWERED,
        push_connections=pushpin.PUSH_CONNECTIONS,
        standing_s=pushpin.standing_s,
    ),
    Peer(
        *("Autobahn", functools.partial(_plain, "autobahn_server.py", 2)),
        *({"ws": _QUERIES["ws"]}, {"ws": "plain"}),
    ),
    Peer(
        *("aiohttp", functools.partial(_plain, "aiohttp_server.py", 1)),
        *(_QUERIES, {"sse": "plain", "ws": "plain"}),
    ),
)


def brought() -> None:
    """Have all of them here.

    Raises:
        RuntimeError: one cannot be had; the text says why.
    """
    nchan.brought()
    pushpin.brought()
    if importlib.util.find_spec("aiohttp") is None:
        raise RuntimeError(
            "aiohttp is not installed, a peer and the backend of another: `pip install '.[bench]'` does it"
        )


def most_clients() -> int:
    """Return how many connections a peer can hold that has them all in one process."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_DESCRIPTORS
