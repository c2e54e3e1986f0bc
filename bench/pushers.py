"""The load client of single pushes: keep-alive connections, one request under way on each.

    python -m bench.pushers --port PORT --to megacomet|nchan|… --connections N --seconds S [--rate R] …

Without --rate each connection sends its next request when it has the answer to the last. With it requests are due at a
steady pace and go over whatever connection is free; how long one took counts from when it was due if none was free.
The requests are made before and turn over the channels; with --stamp each is given the time at which it is sent. Every
answer is looked at: one that is not 2xx, and a connection that the server closes, are faults (it is replaced). One that
the server has said to close is replaced and no fault. The key comes in MEGACOMET_API_KEY; the report is one JSON
object.
"""

from __future__ import annotations

import argparse
import errno
import gc
import itertools
import json
import os
import select
import socket
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final

from bench.bodies import REQUESTS, answer_size, data_of, is_last, shuffled, stamped, stamped_data

_READ_BYTES: Final = 16_384
_EVENTS_A_TURN: Final = 256
#: So long an answer may take.
_ANSWER_S: Final = 30.0
#: With more it ends: what is measured then is something else.
_FAULTS: Final = 1000


class Pushers:
    """The connections of one server."""

    def __init__(self, port: int, requests: Sequence[bytes], connections: int, stamps: bool = False) -> None:
        """
        Args:
            stamps: put the time into each request.

        Raises:
            OSError: the server cannot be connected to.
        """
        self._port = port
        self._next = itertools.cycle(requests).__next__
        self._stamps = stamps
        self._epoll = select.epoll()
        self._free: deque[int] = deque()
        self._began_ns: dict[int, int] = {}
        self._partial: dict[int, bytes] = {}
        self._goes_on = False
        #: how long each answered request took
        self.took_ns = array("Q")
        #: requests for which no connection was free when they were due
        self.behind = 0
        self.faults: Counter[str] = Counter()
        for _ in range(connections):
            self._connect()

    def push(self, seconds: float, rate: float = 0.0, most: int = sys.maxsize) -> float:
        """Push for so long, or until so many are answered; returns how long that was."""
        began_ns = time.monotonic_ns()
        end_ns = began_ns + int(seconds * 1e9)
        if rate:
            self._push_paced(began_ns, end_ns, rate)
        else:
            self._goes_on = True
            for descriptor in list(self._free):
                self._send(descriptor, time.monotonic_ns())
            self._free.clear()
            while time.monotonic_ns() < end_ns and len(self.took_ns) < most and self.faults.total() < _FAULTS:
                self._turn(0.1)
        self._goes_on = False
        return (time.monotonic_ns() - began_ns) / 1e9

    def _push_paced(self, began_ns: int, end_ns: int, rate: float) -> None:
        """Push at a rate. Sleeps by select(2): the timeout of epoll is whole milliseconds."""
        pause_ns, due_ns, was_behind = int(1e9 / rate), began_ns, False
        while (now_ns := time.monotonic_ns()) < end_ns and self.faults.total() < _FAULTS:
            while due_ns <= now_ns and self._free:
                self._send(self._free.popleft(), due_ns if was_behind else time.monotonic_ns())
                self.behind += was_behind
                due_ns += pause_ns
                was_behind = was_behind and due_ns <= now_ns
            was_behind = due_ns <= now_ns
            pause_s = 1.0 if was_behind else (due_ns - time.monotonic_ns()) / 1e9
            if select.select([self._epoll], [], [], max(pause_s, 0.0))[0]:
                self._turn(0)

    def finish(self) -> None:
        """Wait for the answers to what is under way, and close everything."""
        end = time.monotonic() + _ANSWER_S
        while self._began_ns and time.monotonic() < end:
            self._turn(0.1)
        self.faults["no answer"] += len(self._began_ns)
        for descriptor in (*self._began_ns, *self._free):
            os.close(descriptor)
        self._epoll.close()

    def _connect(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        descriptor = connection.detach()
        self._epoll.register(descriptor, select.EPOLLIN)
        self._free.append(descriptor)

    def _send(self, descriptor: int, began_ns: int) -> None:
        self._began_ns[descriptor] = began_ns
        request = self._next()
        if self._stamps:
            request = stamped(request, time.monotonic_ns())
        try:
            if os.write(descriptor, request) == len(request):
                return
            why = "a request was not taken as a whole"
        except OSError as e:
            why = errno.errorcode.get(e.errno or 0, str(e))
        self._lose(descriptor, why)

    def _turn(self, longest_s: float) -> None:
        """Take what has come; this loop is what the load client costs."""
        for descriptor, _ in self._epoll.poll(longest_s, _EVENTS_A_TURN):
            try:
                data = os.read(descriptor, _READ_BYTES)
            except OSError as e:
                self._lose(descriptor, errno.errorcode.get(e.errno or 0, str(e)))
                continue
            if not data:
                self._lose(descriptor, "closed by the server")
                continue
            if descriptor in self._partial:
                data = self._partial.pop(descriptor) + data
            if not self._is_answer(descriptor, data):
                continue
            now_ns = time.monotonic_ns()
            self.took_ns.append(now_ns - self._began_ns[descriptor])
            if is_last(data):
                del self._began_ns[descriptor]
                self._replace(descriptor)
            elif self._goes_on:
                self._send(descriptor, now_ns)
            else:
                del self._began_ns[descriptor]
                self._free.append(descriptor)

    def _is_answer(self, descriptor: int, data: bytes) -> bool:
        """Tell whether this is one whole answer; one that refuses is one too."""
        if descriptor not in self._began_ns:
            self._lose(descriptor, f"not asked for: {data[:80]!r}")
            return False
        try:
            size = answer_size(data)
        except ValueError as e:
            self._lose(descriptor, str(e))
            return False
        if size > len(data) or not size:
            self._partial[descriptor] = data
            return False
        if size < len(data):
            self._lose(descriptor, f"more than one answer: {data[size:][:80]!r}")
            return False
        if not data.startswith(b"HTTP/1.1 2"):
            status = data.partition(b"\r")[0].decode(errors="replace")
            self.faults[f"answered {status}"] += 1
        return True

    def _lose(self, descriptor: int, why: str) -> None:
        """Count a fault, and replace the connection."""
        self.faults[why] += 1
        self._began_ns.pop(descriptor, None)
        self._partial.pop(descriptor, None)
        if descriptor in self._free:
            self._free.remove(descriptor)
        self._replace(descriptor)

    def _replace(self, descriptor: int) -> None:
        os.close(descriptor)
        try:
            self._connect()
        except OSError as e:
            self.faults[f"connecting: {e}"] += 1
            return
        if self._goes_on:
            self._send(self._free.pop(), time.monotonic_ns())


def quantile_ms(sorted_ns: Sequence[int], share: float) -> float:
    """Return the duration that `share` (0 to 1) of all do not exceed; 0 when there are none."""
    if not sorted_ns:
        return 0.0
    return sorted_ns[max(0, min(len(sorted_ns) - 1, int(share * len(sorted_ns) + 0.999999) - 1))] / 1e6


def _report(pushers: Pushers, began_ns: int, answered: int, took_s: float, cpu_s: float) -> dict[str, Any]:
    took = sorted(pushers.took_ns)
    return {
        "began_ns": began_ns,
        "answered": len(took),
        "answered_per_s": answered / took_s,
        "latency": {f"p{share:g}_ms": quantile_ms(took, share / 100) for share in (50, 99, 99.9, 100)},
        "behind": pushers.behind,
        "cpu_s": cpu_s,
        "faults": pushers.faults.total(),
        "problems": [f"{count} x {why}" for why, count in pushers.faults.items() if count],
    }


def main(arguments: Sequence[str]) -> None:
    """Push and print the report."""
    given = _parser().parse_args(arguments)
    key, data = os.environ.get("MEGACOMET_API_KEY", ""), (stamped_data if given.stamp else data_of)(given.bytes)
    requests = [REQUESTS[given.to](given.port, key, channel, data) for channel in shuffled(given.channels)]
    gc.disable()  # nothing here makes a cycle
    pushers = Pushers(given.port, requests, given.connections, given.stamp)
    before, began_ns = time.process_time(), time.monotonic_ns()
    took_s = pushers.push(given.seconds, given.rate, given.requests or sys.maxsize)
    answered = len(pushers.took_ns)
    pushers.finish()
    print(json.dumps(_report(pushers, began_ns, answered, took_s, time.process_time() - before)))


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m bench.pushers", description=__doc__)
    p.add_argument("--port", type=int, required=True, help="of the server on 127.0.0.1")
    p.add_argument("--to", choices=tuple(REQUESTS), default="megacomet", help="whose requests (megacomet)")
    p.add_argument("--connections", type=int, default=64, help="how many (64)")
    p.add_argument("--channels", type=int, default=1000, help="how many (1000)")
    p.add_argument("--bytes", type=int, default=100, help="of the data of a message (100)")
    p.add_argument("--seconds", type=float, default=10.0, help="how long (10)")
    p.add_argument("--requests", type=int, default=0, help="end after so many; 0: after --seconds (0)")
    p.add_argument("--rate", type=float, default=0.0, help="requests/s; 0: as fast as they are answered (0)")
    p.add_argument("--stamp", action="store_true", help="the data tell when they were sent, for bench.readers")
    return p


if __name__ == "__main__":
    main(sys.argv[1:])
