"""The load client of batches: connections that send lines for as long as they are told to, and read the one answer.

    python -m bench.feeders --port PORT --connections N --seconds S | --lines L …

The chunks are made before and turn over the channels, each connection from another place on. A connection sends as fast
as the server takes, so the server paces all of them. What is counted is what the answers say. The
connections are spread evenly over the server's processes: the kernel deals them out by chance, and so few may all be
with one. The key comes in MEGACOMET_API_KEY; the report is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import os
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.bodies import BATCH_END, Piece, answer_size, batch_head, batch_pieces, data_of

#: A server that takes nothing and says nothing for so long is stuck.
_STALL_S: Final = 60.0
_READ_BYTES: Final = 65_536
#: As /proc/net/tcp writes it.
_ESTABLISHED: Final = "01"


class Feeder:
    """One batch on one connection."""

    def __init__(self, connection: socket.socket, head: bytes, pieces: Sequence[Piece], first: int) -> None:
        """
        Args:
            connection: to the server; not blocking.
            head: of the request.
            pieces: what is sent over and over.
            first: the number of the piece to begin with.
        """
        self.connection = connection
        self._pieces = itertools.cycle([*pieces[first:], *pieces[:first]])
        self._left = memoryview(head)
        self._is_last = False
        self._answer = b""
        #: lines that were sent, or have been begun
        self.lines = 0
        self.problem = ""
        self.report: dict[str, Any] = {}
        self.ended = False

    @property
    def wants_to_write(self) -> bool:
        """Whether there is something left to send."""
        return not self.ended and not (self._is_last and not self._left)

    def write(self, goes_on: bool) -> None:
        """Send as much as is taken at once; the body ends behind the present piece unless it goes on."""
        try:
            self._left = self._left[self.connection.send(self._left) :]
        except BlockingIOError:
            return
        except OSError as e:
            self._end(f"sending: {e}")
            return
        if self._left or self._is_last:
            return
        if goes_on:
            piece = next(self._pieces)
            self._left = memoryview(piece.data)
            self.lines += piece.lines
        else:
            self._left, self._is_last = memoryview(BATCH_END), True

    def read(self) -> None:
        """Take a piece of the answer."""
        try:
            data = self.connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as e:
            self._end(f"reading: {e}")
            return
        self._answer += data
        try:
            size = answer_size(self._answer)
        except ValueError as e:
            self._end(str(e))
            return
        if size and len(self._answer) >= size:
            self._answered(self._answer[:size])
        elif not data:
            self._end("the connection ended without an answer")

    def _answered(self, answer: bytes) -> None:
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            self._end(f"answered {answer[:300]!r}")
            return
        self.report = json.loads(body)
        early = "answered before the end" if self.wants_to_write else ""
        self._end(early or wrong(self.report, self.lines))

    def _end(self, problem: str) -> None:
        self.ended, self.problem = True, problem


def wrong(answer: dict[str, Any], lines: int) -> str:
    """Return what is wrong with the answer to a batch of so many lines with one target each; "": nothing."""
    counted = sum(answer[name] for name in ("sent", "queued", "unheard"))
    if answer["lines"] != lines or counted != lines or answer["failed"] or answer["repeated"]:
        return f"{lines} lines were sent, and the answer is {answer}"
    return ""


def feed(feeders: Sequence[Feeder], seconds: float, lines: int) -> float:
    """Send for so long, or until so many lines are sent; returns the seconds until the last one has its answer."""
    epoll, at = select.epoll(), {feeder.connection.fileno(): feeder for feeder in feeders}
    for descriptor in at:
        epoll.register(descriptor, select.EPOLLIN | select.EPOLLOUT)
    began = moved = time.monotonic()
    while at:
        now = time.monotonic()
        goes_on = now < began + seconds and sum(feeder.lines for feeder in feeders) < lines
        events = epoll.poll(1.0)
        moved = now if events else moved
        for descriptor, mask in events:
            feeder = at[descriptor]
            if mask & ~select.EPOLLOUT:
                feeder.read()
            if mask & select.EPOLLOUT and feeder.wants_to_write:
                feeder.write(goes_on)
            if feeder.ended:
                epoll.unregister(at.pop(descriptor).connection)
            elif not feeder.wants_to_write:
                epoll.modify(descriptor, select.EPOLLIN)
        if now - moved > _STALL_S:
            for feeder in at.values():
                feeder.problem = f"no progress in {_STALL_S:.0f} s"
            break
    epoll.close()
    return time.monotonic() - began


def spread(port: int, count: int) -> tuple[list[socket.socket], list[int]]:
    """Open connections that as many workers as possible have equally many of; returns them, and how many each has.

    Raises:
        TimeoutError: they are not accepted.
    """
    opened = {connection.getsockname()[1]: connection for connection in (_connected(port) for _ in range(8 * count))}
    end = time.monotonic() + 10
    while len(held := holders(port)) < len(opened):
        if time.monotonic() > end:
            raise TimeoutError("connections are not accepted")
        time.sleep(0.05)
    chosen = dealt({mine: pid for mine, pid in held.items() if mine in opened}, count)
    for mine, connection in opened.items():
        if mine not in chosen:
            connection.close()
    return [opened[mine] for mine in chosen], sorted(Counter(held[mine] for mine in chosen).values())


def dealt(held: Mapping[int, int], count: int) -> list[int]:
    """Return so many of the keys, those of each value in turn."""
    by_value: dict[int, list[int]] = {}
    for key, value in held.items():
        by_value.setdefault(value, []).append(key)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_value.values()))
    return [key for key in turns if key is not None][:count]


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.setblocking(False)
    return connection


def holders(port: int) -> dict[int, int]:
    """Return the process that has the connection, by its client's port, of all to a port of this machine (Linux)."""
    clients: dict[str, int] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as lines:
            for fields in (line.split() for line in itertools.islice(lines, 1, None)):
                if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == _ESTABLISHED:
                    clients[f"socket:[{fields[9]}]"] = int(fields[2].rpartition(":")[2], 16)
    held = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                for descriptor in (process / "fd").iterdir():
                    with contextlib.suppress(OSError):
                        if (client := clients.get(os.readlink(descriptor))) is not None:
                            held[client] = int(process.name)
    return held


def _report(feeders: Sequence[Feeder], shares: Sequence[int], took_s: float, cpu_s: float) -> dict[str, Any]:
    lines = sum(feeder.report.get("lines", 0) for feeder in feeders)
    return {
        "sent": sum(feeder.lines for feeder in feeders),
        "lines": lines,
        "lines_per_s": lines / took_s,
        "seconds": took_s,
        "shares": shares,
        "cpu_s": cpu_s,
        "problems": [feeder.problem for feeder in feeders if feeder.problem],
    }


def main(arguments: Sequence[str]) -> None:
    """Send the batches and print the report."""
    given = _parser().parse_args(arguments)
    key = os.environ.get("MEGACOMET_API_KEY", "")
    head, pieces = batch_head(given.port, key), batch_pieces(given.channels, data_of(given.bytes))
    sockets, shares = spread(given.port, given.connections)
    firsts = [len(pieces) * n // len(sockets) for n in range(len(sockets))]
    feeders = [Feeder(each, head, pieces, first) for each, first in zip(sockets, firsts, strict=True)]
    gc.disable()  # nothing here makes a cycle
    before = time.process_time()
    took_s = feed(feeders, given.seconds, given.lines or sys.maxsize)
    print(json.dumps(_report(feeders, shares, took_s, time.process_time() - before)))


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m bench.feeders", description=__doc__)
    p.add_argument("--port", type=int, required=True, help="of the server on 127.0.0.1")
    p.add_argument("--connections", type=int, default=4, help="how many (4)")
    p.add_argument("--channels", type=int, default=10_000, help="how many (10,000)")
    p.add_argument("--bytes", type=int, default=100, help="of the data of a message (100)")
    p.add_argument("--seconds", type=float, default=10.0, help="how long (10)")
    p.add_argument("--lines", type=int, default=0, help="end after so many; 0: after --seconds (0)")
    return p


if __name__ == "__main__":
    main(sys.argv[1:])
