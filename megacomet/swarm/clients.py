"""Owns the parked clients of one process: long-polls that are opened, held, read and asked again.

A client is a descriptor and a row: no object, no buffer and no timer exists for one that waits. An event is a hint: a
row that is free is skipped, and a close is believed only when the read says so.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import time
from _socket import IPPROTO_IP, SOCK_NONBLOCK, SOCK_STREAM
from _socket import socket as raw_socket
from array import array
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import attrs

from megacomet.swarm.answers import Answer, BadAnswer, cut, header
from megacomet.swarm.check import Receipts, read_text
from megacomet.swarm.histogram import Histogram
from megacomet.swarm.options import Address

#: linux/in.h: the port is chosen at connect time, so one address can be used towards each destination in full.
IP_BIND_ADDRESS_NO_PORT: Final = 24
#: Connects begun before the events are looked at again.
_CONNECTS_A_TURN: Final = 64
#: Handshakes under way at once; more would only overflow the queue of the listener (4,096 by default in the kernel).
_CONNECTING_AT_ONCE: Final = 256
#: Wait before a client that failed tries again, so that a dead server is not hammered.
RETRY_S: Final = 0.5
_READ_BYTES: Final = 65536

_FREE: Final = 0
_CONNECTING: Final = 1
_WAITING: Final = 2
_OTHER: Final = 3


@attrs.frozen
class Plan:
    """What the clients of one process do.

    Attributes:
        first: index of the first client over all processes; its name is the prefix and the index.
        count: how many.
        rate: connects/s of this process; 0: as fast as it goes.
        since: poll on from the last position.
        began_ns: the run's begin on the monotonic clock; older messages are another run's.
    """

    first: int
    count: int
    addresses: tuple[Address, ...]
    family: int
    host: str
    prefix: str = "c"
    sources: tuple[str, ...] = ()
    rate: float = 0.0
    since: bool = False
    began_ns: int = 0


class Clients:
    """The clients of one process; call `turn` over and over."""

    def __init__(
        self,
        plan: Plan,
        clock: Callable[[], float] = time.monotonic,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._clock_ns = clock_ns
        self._epoll = select.epoll()
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._kind_at = bytearray(descriptors)
        self._client_at = array("i", bytes(4 * descriptors))
        self._partial: dict[int, bytes] = {}
        self._positions: list[bytes | None] = [None] * plan.count if plan.since else []
        self._known = bytearray(plan.count)
        self._heard = bytearray(plan.count)
        self._prefix = plan.prefix.encode()
        self._tail = f" HTTP/1.1\r\nHost: {plan.host}\r\n\r\n".encode()
        self._unopened = 0
        #: to be opened again: at once, and not before a time (in the order of times, since the wait is always the same)
        self._reopen: deque[int] = deque()
        self._retries: deque[tuple[float, int]] = deque()
        self._began: float | None = None
        self._connecting = 0
        self.receipts = Receipts(plan.count)
        #: from push to delivery; the same for messages to everyone
        self.latency = Histogram()
        self.reach = Histogram()
        self.errors: dict[str, int] = {}
        #: connections that have been established at least once, are established, wait for an answer now
        self.connected = self.open = self.waiting = 0
        #: answers; of them 204; closed by the server after an answer, without one; opened again
        self.answered = self.timeouts = self.closed = self.dropped = self.reconnects = 0
        #: messages: of an older run, of another publisher, of another client; heard by everyone, repeats of that
        self.stale = self.foreign = self.misdelivered = self.heard = self.heard_again = 0
        #: CPU of this process when the last client had connected; the clock at the last numbered message
        self.connect_cpu_s = 0.0
        self.last_ns = 0
        self.called = False

    def watch(self, descriptor: int) -> None:
        """Set `called` when the descriptor can be read."""
        self._kind_at[descriptor] = _OTHER
        self._epoll.register(descriptor, select.EPOLLIN)

    def turn(self, longest_s: float) -> None:
        """Open what is due, wait at most `longest_s` for events and work them off."""
        delay = self._open_due(self._clock())
        kind_at = self._kind_at
        for descriptor, _ in self._epoll.poll(min(delay, longest_s), 1024):
            kind = kind_at[descriptor]
            if kind == _WAITING:
                self._readable(descriptor)
            elif kind == _CONNECTING:
                self._ask(descriptor, self._client_at[descriptor], new=False)
            elif kind == _OTHER:
                self.called = True

    def close(self) -> None:
        """Close all connections."""
        for descriptor, kind in enumerate(self._kind_at):
            if kind in (_CONNECTING, _WAITING):
                os.close(descriptor)
        self._kind_at = bytearray(len(self._kind_at))
        self._epoll.close()

    def counts(self) -> dict[str, Any]:
        """Return the counters as plain data."""
        names = (
            *("connected", "open", "waiting", "answered", "timeouts", "closed", "dropped", "reconnects", "stale"),
            *("foreign", "misdelivered", "heard", "heard_again", "connect_cpu_s", "last_ns"),
        )
        receipts = self.receipts
        counted = {name: getattr(self, name) for name in names}
        return counted | {"errors": dict(self.errors), "delivered": receipts.delivered, "repeated": receipts.repeated}

    # opening

    def _open_due(self, now: float) -> float:
        """Begin the connects that are due; returns the seconds until the next one is."""
        plan = self._plan
        if self._began is None:
            self._began = now
        room = min(_CONNECTS_A_TURN, _CONNECTING_AT_ONCE - self._connecting)
        while self._retries and self._retries[0][0] <= now:
            self._reopen.append(self._retries.popleft()[1])
        while room > 0 and self._reopen:
            self.reconnects += 1
            self._connect(self._reopen.popleft())
            room -= 1
        due = plan.count
        if plan.rate:
            due = min(due, int((now - self._began) * plan.rate) + 1)
        last = min(due, self._unopened + max(room, 0))
        for client in range(self._unopened, last):
            self._connect(client)
        self._unopened = last
        return self._next_delay(now, due)

    def _next_delay(self, now: float, due: int) -> float:
        delay = 3600.0
        if self._connecting < _CONNECTING_AT_ONCE:
            if self._unopened < due or self._reopen:
                return 0.0
            if self._unopened < self._plan.count and self._began is not None:
                delay = max(0.0, self._began + self._unopened / self._plan.rate - now)
            if self._retries:
                delay = min(delay, max(0.0, self._retries[0][0] - now))
        return delay

    def _connect(self, client: int) -> None:
        plan = self._plan
        try:
            connection = raw_socket(plan.family, SOCK_STREAM | SOCK_NONBLOCK, 0)
            if plan.sources:
                connection.setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                connection.bind((plan.sources[client % len(plan.sources)], 0))
            error = connection.connect_ex(plan.addresses[(plan.first + client) % len(plan.addresses)])
        except OSError as e:
            self._failed(client, _name_of(e.errno))
            return
        if error not in (0, errno.EINPROGRESS):
            connection.close()
            self._failed(client, _name_of(error))
            return
        descriptor = connection.detach()
        self._client_at[descriptor] = client
        self._kind_at[descriptor] = _CONNECTING
        self._connecting += 1
        # On loopback the handshake is over when connect returns, so the request can mostly be written at once.
        self._ask(descriptor, client, new=True)

    # asking

    def _ask(self, descriptor: int, client: int, new: bool) -> None:
        """Write the poll; `new`: the descriptor is not in the epoll set yet."""
        try:
            os.write(descriptor, self._request(client))
        except BlockingIOError:
            if new:
                self._epoll.register(descriptor, select.EPOLLOUT)
            return
        except OSError as e:
            self._leave(descriptor)
            self._failed(client, _name_of(e.errno))
            return
        if self._kind_at[descriptor] == _CONNECTING:
            self._established(descriptor, client, new)
        self.waiting += 1

    def _established(self, descriptor: int, client: int, new: bool) -> None:
        if new:
            self._epoll.register(descriptor, select.EPOLLIN)
        else:
            self._epoll.modify(descriptor, select.EPOLLIN)
        self._kind_at[descriptor] = _WAITING
        self._connecting -= 1
        self.open += 1
        if not self._known[client]:
            self._known[client] = 1
            self.connected += 1
            if self.connected == self._plan.count:
                self.connect_cpu_s = time.process_time()

    def _request(self, client: int) -> bytes:
        line = b"GET /%s%d.js" % (self._prefix, self._plan.first + client)
        if self._positions:
            position = self._positions[client]
            if position is not None:
                line += b"?since=" + position
            elif self._known[client]:
                # Nothing was ever read, so no position is known: ask for all that is kept, older runs' are told apart.
                line += b"?since=oldest"
        return line + self._tail

    # reading

    def _readable(self, descriptor: int) -> None:
        client = self._client_at[descriptor]
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as e:
            self._gone(descriptor, client, _name_of(e.errno))
            return
        ended = not data
        if self._partial:
            data = self._partial.pop(descriptor, b"") + data
        if not data:
            self._gone(descriptor, client, "")
            return
        try:
            answer = cut(data, ended)
        except BadAnswer:
            self._gone(descriptor, client, "bad answer")
            return
        if answer is not None:
            self._answered(descriptor, client, answer, len(data) - answer.size, ended)
        elif ended:
            self._gone(descriptor, client, "cut answer")
        else:
            self._partial[descriptor] = data

    def _answered(self, descriptor: int, client: int, answer: Answer, rest: int, ended: bool) -> None:
        self.waiting -= 1
        self.answered += 1
        if answer.status == 200:
            self._message(client, answer)
        elif answer.status == 204:
            self.timeouts += 1
        else:
            self._refused(descriptor, client, answer)
            return
        if rest:
            self._count("bytes that nobody asked for")
        if answer.closes or ended or rest:
            self._leave(descriptor)
            self.open -= 1
            self.closed += 1
            self._reopen.append(client)
        else:
            self._ask_again(descriptor, client)

    def _ask_again(self, descriptor: int, client: int) -> None:
        # When the server has closed behind its answer, the next read says so and the client comes back.
        with contextlib.suppress(OSError):
            os.write(descriptor, self._request(client))
        self.waiting += 1

    def _refused(self, descriptor: int, client: int, answer: Answer) -> None:
        self._leave(descriptor)
        self.open -= 1
        self._failed(client, f"http {answer.status}")

    def _message(self, client: int, answer: Answer) -> None:
        if self._positions:
            position = header(answer.head, b"megacomet-position")
            if position:
                self._positions[client] = position
        read = read_text(answer.body)
        if read is None:
            self.foreign += 1
            return
        number, name, made_ns = read
        if made_ns < self._plan.began_ns:
            self.stale += 1
        elif name == b"*":
            self.heard_again += self._heard[client]
            self.heard += 1 - self._heard[client]
            self._heard[client] = 1
            self.reach.record(self._clock_ns() - made_ns)
        elif name != b"%s%d" % (self._prefix, self._plan.first + client):
            self.misdelivered += 1
        else:
            self.last_ns = self._clock_ns()
            self.latency.record(self.last_ns - made_ns)
            self.receipts.received(client, number)

    # leaving

    def _gone(self, descriptor: int, client: int, error: str) -> None:
        """The connection was lost while its poll waited."""
        self._leave(descriptor)
        self.open -= 1
        self.waiting -= 1
        self.dropped += 1
        if error:
            self._count(error)
        self._retries.append((self._clock() + RETRY_S, client))

    def _failed(self, client: int, error: str) -> None:
        self._count(error)
        self._retries.append((self._clock() + RETRY_S, client))

    def _leave(self, descriptor: int) -> None:
        if self._kind_at[descriptor] == _CONNECTING:
            self._connecting -= 1
        self._kind_at[descriptor] = _FREE
        self._partial.pop(descriptor, None)
        os.close(descriptor)

    def _count(self, error: str) -> None:
        self.errors[error] = self.errors.get(error, 0) + 1


def _name_of(number: int | None) -> str:
    return errno.errorcode.get(number or 0, f"errno {number}")
