"""The load client of broadcasts: holds many streams of one server, counts what arrives, and tells when it did.

    python -m bench.readers --port PORT --streams N --transport sse|ws|poll [--path '/comet/events?channel=c{n}'] …

A delivery is an occurrence of `t=`, which messages carry followed by 20 digits of the monotonic clock in nanoseconds.
It arrived when the kernel gave it to its socket, and the kernel writes that time down (SO_TIMESTAMPNS, socket(7)): a
load client that has no processor of its own can so be left out of what is measured. With --rest it does nothing for a
while when something comes, and reads what lies there afterwards; what it costs does not count as the server's time
then. Pings of a WebSocket are answered. A `poll` is a request that is not answered. It ends after --longest seconds, or
with SIGINT or SIGTERM; its report is one JSON object, its live counts are JSON lines on the standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import gc
import json
import os
import resource
import select
import signal
import struct
import sys
import time
from _socket import AF_INET, CMSG_SPACE, IPPROTO_IP, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET
from _socket import socket as raw_socket
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from megacomet.swarm import pipes
from megacomet.swarm.histogram import Histogram
from megacomet.swarm.processes import Child, fork

MARK: Final = b"t="
_TIME_DIGITS: Final = 20
#: What may stand behind the data of a message; signs of life are something else.
_ENDS: Final = b'"}\r\n'
#: Of a limit of 20,000 descriptors, with room for what a process has besides.
STREAMS_PER_PROCESS: Final = 19_000
#: A source address has about 28,000 ports towards one server; searching a free one is slow when many are taken.
_STREAMS_PER_SOURCE: Final = 2_000
_IP_BIND_ADDRESS_NO_PORT: Final = 24
#: Begun and not answered at once: enough that the server is never waited for, less than its queues hold (4,096 each by
#: default in the kernel), unless another number is given. And those begun before the events are looked at again.
_UNANSWERED: Final = 2048
_CONNECTS_A_TURN: Final = 64
_EVENTS_A_TURN: Final = 512
#: Small, for the sake of Python's allocator; a message of these benchmarks has some 100 bytes.
_READ_BYTES: Final = 256
_MORE_BYTES: Final = 65536
_TELL_S: Final = 0.1
#: asm-generic/socket.h; Python has no name for it. What comes with a read is a timespec of the system's clock.
_SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@qq")
_STAMP_BYTES: Final = CMSG_SPACE(_TIMESPEC.size)

_ENDED: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
#: Zero is the state that is asked for at every event.
_OPEN, _FREE, _CONNECTING, _ASKED, _OTHER = range(5)
_PING, _CLOSE = 9, 8
_HEADS: Final = {
    "poll": "",
    "sse": "Accept: text/event-stream\r\n",
    "ws": "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
}
_ANSWERS: Final = {"sse": b"HTTP/1.1 200 ", "ws": b"HTTP/1.1 101 "}


@attrs.frozen
class Plan:
    """What the streams of one process do.

    Attributes:
        process: its number, which chooses its source addresses.
        first: number of the first stream over all processes.
        path: of the requests; `{n}` stands for the stream's number.
        rate: connects/s of this process, 0 as fast as it goes.
        unanswered: begun and not answered at once by this process.
        each: keep of every message when it was sent and how long it took.
        rest_s: do nothing for so long when something comes and all streams are open.
    """

    process: int
    first: int
    count: int
    port: int
    transport: str
    path: str
    rate: float
    unanswered: int
    each: bool
    nice: int
    rest_s: float

    def request(self, n: int) -> bytes:
        """Return the request of the n-th stream of this process."""
        path = self.path.replace("{n}", str(self.first + n))
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n{_HEADS[self.transport]}\r\n".encode()

    def source(self, n: int) -> str:
        """Return the address that the n-th stream of this process connects from."""
        return f"127.{10 + self.process}.{n // _STREAMS_PER_SOURCE}.1"


class Readers:
    """The streams of one process; call `turn` over and over."""

    def __init__(self, plan: Plan, rest: Callable[[float], None] = time.sleep) -> None:
        self._plan = plan
        self._rest = rest
        self._epoll = select.epoll()
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._state = bytearray([_FREE]) * descriptors
        self._number = array("I", bytes(4 * descriptors))
        self._seen = array("I", bytes(4 * descriptors))
        self._partial: dict[int, bytes] = {}
        self._is_reading = False
        #: what the system's clock is ahead of the monotonic one
        self._ahead_ns = 0
        self._began = time.monotonic()
        self._begun = self._unanswered = 0
        #: seconds from the first connect to the last answer
        self.opening_s = 0.0
        #: streams that are open, were lost; deliveries; pings answered; when the last delivery arrived
        self.open = self.lost = self.received = self.pings = self.last_ns = 0
        self.latency = Histogram()
        self.each: list[tuple[int, int]] = []
        self.errors: Counter[str] = Counter()
        self.called = False

    def watch(self, descriptor: int) -> None:
        """Set `called` when the descriptor can be read."""
        self._state[descriptor] = _OTHER
        self._epoll.register(descriptor, select.EPOLLIN)

    def counts(self) -> dict[str, Any]:
        """Return the counters as plain data; `waiting` as other load clients call it."""
        told = {name: getattr(self, name) for name in ("lost", "received", "pings", "last_ns", "opening_s")}
        return {**told, "waiting": self.open, "errors": dict(self.errors), "cpu_s": time.process_time()}

    def shares(self) -> dict[str, int]:
        """Return how many deliveries the stream with the fewest and the one with the most had, and how many had any."""
        seen = [self._seen[d] for d, state in enumerate(self._state) if state == _OPEN]
        return {"least": min(seen, default=0), "most": max(seen, default=0), "reached": len(seen) - seen.count(0)}

    def turn(self, longest_s: float) -> None:
        """Open what is due, wait at most `longest_s` for events and work them off."""
        delay = self._open_due()
        events = self._epoll.poll(min(delay, longest_s), _EVENTS_A_TURN)
        if events and not self._is_reading and self._begun == self._plan.count and not self._unanswered:
            self._rest(self._plan.rest_s)
        self._is_reading = bool(events)
        self._ahead_ns = time.time_ns() - time.monotonic_ns()
        for descriptor, mask in events:
            if self._state[descriptor]:
                self._not_open(descriptor)
            else:
                self._arrived(descriptor, ends=bool(mask & _ENDED))

    def _delivered(self, piece: bytes, arrived_ns: int) -> None:
        """Take down when a message arrived; `piece` begins with the time at which it was sent."""
        self.last_ns = max(self.last_ns, arrived_ns)
        sent_ns = int(piece[:_TIME_DIGITS])
        self.latency.record(arrived_ns - sent_ns)
        if self._plan.each:
            self.each.append((sent_ns, arrived_ns - sent_ns))

    # opening

    def _open_due(self) -> float:
        """Begin the connects that are due; returns the seconds until the next one is."""
        plan, due = self._plan, self._plan.count
        if self._begun == due:
            return 3600.0
        if plan.rate:
            due = min(due, int((time.monotonic() - self._began) * plan.rate) + 1)
        last = min(due, self._begun + min(_CONNECTS_A_TURN, plan.unanswered - self._unanswered))
        while self._begun < last:
            self._connect(self._begun)
            self._begun += 1
        if self._unanswered >= plan.unanswered:
            return 3600.0
        return 0.002 if self._begun == due else 0.0

    def _connect(self, n: int) -> None:
        connection = raw_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)
        connection.setsockopt(IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        connection.setsockopt(SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        connection.bind((self._plan.source(n), 0))
        error = connection.connect_ex(("127.0.0.1", self._plan.port))
        if error not in (0, errno.EINPROGRESS):
            connection.close()
            self.errors[errno.errorcode[error]] += 1
            return
        descriptor = connection.detach()
        self._number[descriptor] = n
        self._state[descriptor] = _CONNECTING
        self._unanswered += 1
        self._epoll.register(descriptor, select.EPOLLOUT)
        self._not_open(descriptor)

    def _not_open(self, descriptor: int) -> None:
        state = self._state[descriptor]
        if state == _CONNECTING:
            self._ask(descriptor)
        elif state == _ASKED:
            self._answered(descriptor)
        elif state == _OTHER:
            self.called = True

    def _ask(self, descriptor: int) -> None:
        try:
            os.write(descriptor, self._plan.request(self._number[descriptor]))
        except BlockingIOError:
            return
        except OSError as e:
            self._unanswered -= 1
            self._leave(descriptor, errno.errorcode.get(e.errno or 0, str(e)))
            return
        self._epoll.modify(descriptor, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
        self._state[descriptor] = _ASKED
        if self._plan.transport == "poll":
            self._opened(descriptor)

    def _answered(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _MORE_BYTES)
        except OSError as e:
            data = b""
            self.errors[errno.errorcode.get(e.errno or 0, str(e))] += 1
        head, blank, rest = (self._partial.pop(descriptor, b"") + data).partition(b"\r\n\r\n")
        if data and not blank:
            self._partial[descriptor] = head
            return
        if not head.startswith(_ANSWERS[self._plan.transport]):
            self._unanswered -= 1
            self._leave(descriptor, f"answered {head[:80]!r}")
            return
        self._opened(descriptor)
        if rest:
            self._taken_apart(descriptor, rest, time.monotonic_ns())
        self._arrived(descriptor)  # an edge is told only once

    def _opened(self, descriptor: int) -> None:
        self._state[descriptor] = _OPEN
        self._seen[descriptor] = 0
        self._unanswered -= 1
        self.open += 1
        self.opening_s = time.monotonic() - self._began

    # reading

    def _arrived(self, descriptor: int, *, ends: bool = False) -> None:
        """Take all that is there: an edge is told only once, also one that is of the last message and of the end."""
        data, arrived_ns, asked, ended = b"", 0, _READ_BYTES, False
        connection = raw_socket(AF_INET, SOCK_STREAM, 0, fileno=descriptor)
        try:
            while True:
                piece, stamps, _, _ = connection.recvmsg(asked, _STAMP_BYTES)
                ended = not piece
                if ended:
                    break  # it comes without a time
                arrived_ns = self._time(stamps)
                data += piece
                if len(piece) < asked and not ends:
                    break
                asked = _MORE_BYTES
        except BlockingIOError:
            pass
        except OSError as e:
            self.errors[errno.errorcode.get(e.errno or 0, str(e))] += 1
            ended = True
        finally:
            connection.detach()
        if data:
            self._taken_apart(descriptor, data, arrived_ns)
        if ended:
            self._leave(descriptor, "closed by the server")

    def _time(self, stamps: list[tuple[int, int, bytes]]) -> int:
        """Return when the last segment of a read arrived, in ns of the monotonic clock; now if the kernel is silent."""
        if not stamps:
            return time.monotonic_ns()
        seconds, ns = _TIMESPEC.unpack(stamps[0][2])
        return int(seconds * 1_000_000_000 + ns - self._ahead_ns)

    def _taken_apart(self, descriptor: int, data: bytes, arrived_ns: int) -> None:
        if self._plan.transport == "ws":
            self._frames(descriptor, self._partial.pop(descriptor, b"") + data)
        pieces = data.split(MARK)[1:]
        self._seen[descriptor] += len(pieces)
        self.received += len(pieces)
        # The kernel says when the last segment came: of a message that something lies behind the time is not known.
        if pieces and len(pieces[-1].rstrip(_ENDS)) == _TIME_DIGITS:
            self._delivered(pieces[-1], arrived_ns)

    def _frames(self, descriptor: int, data: bytes) -> None:
        """Answer pings, tell of close frames; keep what is not whole."""
        at = 0
        while len(data) - at >= 2:
            start, length = at + 2, data[at + 1]
            if length >= 126:
                start += 2 if length == 126 else 8
                length = int.from_bytes(data[at + 2 : start], "big")
            if len(data) < start + length:
                break
            if data[at] & 15 == _PING:
                self._pong(descriptor, data[start : start + length])
            elif data[at] & 15 == _CLOSE:
                self.errors[f"close frame {int.from_bytes(data[start : start + 2], 'big')}"] += 1
            at = start + length
        if at < len(data):
            self._partial[descriptor] = data[at:]

    def _pong(self, descriptor: int, payload: bytes) -> None:
        with contextlib.suppress(OSError):  # a connection that is gone says so when it is read
            # Masked, as a client must; with a key of zeros the payload stays what it is.
            os.write(descriptor, bytes((0x8A, 0x80 | len(payload))) + bytes(4) + payload)
            self.pings += 1

    def _leave(self, descriptor: int, why: str) -> None:
        if self._state[descriptor] == _OPEN:
            self.open -= 1
            self.lost += 1
        self.errors[why] += 1
        self._state[descriptor] = _FREE
        self._partial.pop(descriptor, None)
        os.close(descriptor)


def _work(plan: Plan, commands: int, reports: int) -> None:
    """What a child does until its command pipe ends."""
    os.nice(plan.nice)
    gc.disable()  # nothing here makes a cycle
    readers = Readers(plan)
    readers.watch(commands)
    due = 0.0
    while not readers.called:
        readers.turn(_TELL_S)
        if (now := time.monotonic()) >= due:
            due = now + _TELL_S
            pipes.send(reports, readers.counts())
    last_words = {"final": True, "latency": readers.latency.to_json(), "each": readers.each}
    pipes.send(reports, readers.counts() | readers.shares() | last_words)


def _added(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the sum over the processes."""
    errors: Counter[str] = Counter()
    for one in told:
        errors.update(one.get("errors", {}))
    summed = {name: sum(one.get(name, 0) for one in told) for name in ("waiting", "received", "pings", "lost")}
    last = {name: max((one.get(name, 0) for one in told), default=0) for name in ("last_ns", "opening_s")}
    return {**summed, **last, "cpu_s": sum(one.get("cpu_s", 0.0) for one in told), "errors": dict(errors)}


def _report(children: Sequence[Child], streams: int) -> dict[str, Any]:
    finals = [child.final or {} for child in children]
    latency = Histogram()
    for final in finals:
        if final:
            latency.merge(Histogram.from_json(final["latency"]))
    summed = _added(finals)
    problems = [f"{count} x {error}" for error, count in summed["errors"].items()]
    problems += ["a process ended without a report"] * sum(not final for final in finals)
    return {
        "streams": streams,
        **summed,
        "least": min((final["least"] for final in finals if final), default=0),
        "most": max((final["most"] for final in finals if final), default=0),
        "reached": sum(final["reached"] for final in finals if final),
        "latency": {f"p{share:g}_ms": latency.quantile(share / 100) / 1e6 for share in (50, 99, 99.9, 100)},
        "histogram": latency.to_json(),
        "each": [one for final in finals if final for one in final["each"]],
        "problems": problems,
    }


def _plans(given: argparse.Namespace) -> list[Plan]:
    cores = os.cpu_count() or 1
    needed = max(1, -(-given.streams // STREAMS_PER_PROCESS))
    count = min(-(-needed // cores) * cores, given.streams)
    bounds = [given.streams * n // count for n in range(count + 1)]
    return [
        Plan(
            process=n,
            first=bounds[n],
            count=bounds[n + 1] - bounds[n],
            port=given.port,
            transport=given.transport,
            path=given.path,
            rate=given.rate / count,
            unanswered=max(1, given.unanswered // count) if given.unanswered else _UNANSWERED,
            each=given.each,
            nice=given.nice,
            rest_s=given.rest,
        )
        for n in range(count)
    ]


def main(arguments: Sequence[str]) -> None:
    """Fork the processes, pass on what they tell, print the report."""
    given = _parser().parse_args(arguments)
    interrupted: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: interrupted.append(number))
    children: list[Child] = []
    for plan in _plans(given):
        children.append(fork(functools.partial(_work, plan), children))
    end = time.monotonic() + given.longest
    try:
        while not interrupted and time.monotonic() < end and not any(child.ended for child in children):
            _gather(children, _TELL_S)
            print(json.dumps(_added([child.live for child in children])), file=sys.stderr, flush=True)
        for child in children:
            child.finish()
        end = time.monotonic() + 30
        while time.monotonic() < end and not all(child.ended for child in children):
            _gather(children, _TELL_S)
    finally:
        for child in children:
            child.reap()
    print(json.dumps(_report(children, given.streams)))


def _gather(children: Sequence[Child], longest_s: float) -> None:
    end = time.monotonic() + longest_s
    while (left := end - time.monotonic()) > 0:
        waiting = {child.reports: child for child in children if not child.ended}
        if not waiting:
            return
        for descriptor in select.select(list(waiting), [], [], left)[0]:
            waiting[descriptor].read()


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m bench.readers", description=__doc__)
    p.add_argument("--port", type=int, required=True, help="of the server on 127.0.0.1")
    p.add_argument("--streams", type=int, default=1000, help="how many (1000)")
    p.add_argument("--transport", choices=tuple(_HEADS), default="sse")
    p.add_argument("--path", default="/comet/events?channel=bench", help="of the requests; {n} is the stream's number")
    p.add_argument("--rate", type=float, default=0.0, help="connects/s; 0: as fast as they are answered (0)")
    p.add_argument("--unanswered", type=int, default=0, help=f"connects under way at once ({_UNANSWERED} a process)")
    p.add_argument("--each", action="store_true", help="report when each message was sent and what it took")
    p.add_argument("--nice", type=int, default=19, help="how far to step back behind the server (19)")
    p.add_argument("--rest", type=float, default=0.0, help="seconds that arrived messages are left to lie (0)")
    p.add_argument("--longest", type=float, default=900.0, help="seconds after which it ends by itself (900)")
    return p


if __name__ == "__main__":
    main(sys.argv[1:])
