"""Owns the pushing of numbered messages over HTTP: a few keep-alive connections, one request under way on each.

A client's messages always go over the same connection, one after the answer of the other: so the order in which they
are acknowledged is the order in which they must arrive.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import re
import select
import time
from _socket import SOCK_NONBLOCK, SOCK_STREAM
from _socket import socket as raw_socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from megacomet.swarm.answers import Answer, BadAnswer, cut
from megacomet.swarm.check import Published, everyone_of, text_of
from megacomet.swarm.histogram import Histogram
from megacomet.swarm.opening import RETRY_S
from megacomet.swarm.options import Address

#: Messages made and not yet sent, over all connections: a server that is slower than the rate is told so in the report.
_QUEUE_MOST: Final = 10_000
#: Messages made before the events are looked at again.
_MADE_A_TURN: Final = 200
_STATUS: Final = re.compile(rb'"status":\s*"([a-z]+)"').search
# What the names of messages are.
CLIENT: Final = "client"
CHANNEL: Final = "channel"
EVERYONE: Final = "everyone"
#: Who the one message to everyone is for that has no number.
_ALL: Final = -1


@attrs.frozen
class PushPlan:
    """What to push.

    Attributes:
        first, count, prefix: the clients, as in the clients' plan; or the channels, whose names are made alike; or
            everyone, with a count of 1.
        to: what the names are, CLIENT, CHANNEL or EVERYONE.
        rate: messages/s; 0: every connection sends its next message when it has the answer to the last.
        seed: of the choice of clients.
        listeners: how many clients hear each of the channels; empty: each name is one client's.
    """

    first: int
    count: int
    address: Address
    family: int
    host: str
    key: str
    prefix: str = "c"
    rate: float = 0.0
    connections: int = 8
    seed: int = 1
    to: str = CLIENT
    listeners: Sequence[int] = ()


@attrs.define
class _Connection:
    number: int
    descriptor: int = -1
    queue: deque[tuple[int, int, bytes]] = attrs.Factory(deque)
    #: client, its message's number, clock at sending; None when no request is under way
    asked: tuple[int, int, int] | None = None
    unwritten: bytes = b""
    partial: bytes = b""
    rests_until: float = 0.0


class Publisher:
    """Pushes until it is told to halt; call `turn` over and over."""

    def __init__(
        self,
        plan: PushPlan,
        clock: Callable[[], float] = time.monotonic,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._clock_ns = clock_ns
        self._random = random.Random(plan.seed)
        self._epoll = select.epoll()
        self._connections = [_Connection(n) for n in range(min(plan.connections, plan.count))]
        self._at: dict[int, _Connection] = {}
        self._began: float | None = None
        self._made = 0
        self._queued = 0
        self._head = (
            f"POST /api/push HTTP/1.1\r\nHost: {plan.host}\r\nAuthorization: Bearer {plan.key}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._name = json.dumps(plan.prefix)[1:-1]
        self.published = Published(plan.count)
        self.acknowledged = 0
        #: deliveries that the acknowledged messages should come to
        self.promised = 0
        self.behind = 0
        self.statuses: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.latency = Histogram()
        self.first_ns = self.last_ns = 0
        self.called = False

    def watch(self, descriptor: int) -> None:
        """Set `called` when the descriptor can be read."""
        self._epoll.register(descriptor, select.EPOLLIN)

    def begin(self) -> None:
        """Start pushing."""
        self._began = self._clock()
        self.first_ns = self._clock_ns()

    def halt(self) -> None:
        """Make no more messages; those that are made are still sent."""
        self._began = None

    def push_to_everyone(self) -> None:
        """Push one message to all connections of the server."""
        body = b'{"everyone":true,"data":"%s"}' % text_of(0, "*", self._clock_ns()).encode()
        self._connections[0].queue.append((_ALL, 0, body))
        self._queued += 1

    @property
    def idle(self) -> bool:
        """Whether every message that was made has its answer."""
        return not self._queued and not any(c.asked for c in self._connections)

    def turn(self, longest_s: float) -> None:
        """Make and send what is due, wait at most `longest_s` for events and work them off."""
        now = self._clock()
        if self._began is not None and self._plan.rate:
            longest_s = min(longest_s, self._make_due(now, self._began))
        for connection in self._connections:
            if connection.asked is None:
                longest_s = min(longest_s, self._send_next(connection, now))
        for descriptor, event in self._epoll.poll(longest_s, 64):
            at = self._at.get(descriptor)
            if at is None:
                self.called = True
            elif event & select.EPOLLOUT and at.unwritten:
                self._write(at)
            else:
                self._readable(at)

    def give_up(self) -> None:
        """Count everything without an answer as not acknowledged, and close."""
        for connection in self._connections:
            for client, number, _ in connection.queue:
                self._unacknowledged(client, number, "not sent")
            connection.queue.clear()
            if connection.asked is not None:
                self._unacknowledged(*connection.asked[:2], "no answer")
            if connection.descriptor >= 0:
                os.close(connection.descriptor)
        self._connections = []
        self._epoll.close()

    def counts(self) -> dict[str, Any]:
        """Return the counters as plain data."""
        return {
            "made": self._made,
            "acknowledged": self.acknowledged,
            "promised": self.promised,
            "behind": self.behind,
            "statuses": dict(self.statuses),
            "errors": dict(self.errors),
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
        }

    # making

    def _make_due(self, now: float, began: float) -> float:
        """Make the messages that are due by the rate; returns the seconds until the next one is."""
        due = int((now - began) * self._plan.rate) + 1 - self.behind
        for _ in range(min(due - self._made, _MADE_A_TURN)):
            if self._queued >= _QUEUE_MOST:
                self.behind += due - self._made
                return 0.01
            client = self._random.randrange(self._plan.count)
            self._connections[client % len(self._connections)].queue.append(self._message(client))
            self._queued += 1
        if self._made < due:
            return 0.0
        return max(0.0, began + (self._made + self.behind) / self._plan.rate - now)

    def _message(self, client: int) -> tuple[int, int, bytes]:
        self._made += 1
        number = self.published.next_number(client)
        if self._plan.to == EVERYONE:
            name, target = everyone_of(self._name), '"everyone":true'
        else:
            name = f"{self._name}{self._plan.first + client}"
            target = f'"{self._plan.to}":"{name}"'
        return client, number, f'{{{target},"data":"{text_of(number, name, self._clock_ns())}"}}'.encode()

    def _next(self, connection: _Connection) -> tuple[int, int, bytes] | None:
        if connection.queue:
            self._queued -= 1
            return connection.queue.popleft()
        if self._began is None or self._plan.rate:
            return None
        every = len(self._connections)
        ours = (self._plan.count - connection.number + every - 1) // every
        return self._message(connection.number + every * self._random.randrange(ours))

    # sending

    def _send_next(self, connection: _Connection, now: float) -> float:
        """Send the connection's next message if there is one; returns the seconds that it wants to wait at most."""
        if connection.rests_until > now:
            return connection.rests_until - now
        message = self._next(connection)
        if message is None:
            return 3600.0
        client, number, body = message
        if connection.descriptor < 0 and not self._open(connection):
            self._unacknowledged(client, number, "not connected")
            return RETRY_S
        connection.asked = (client, number, self._clock_ns())
        connection.unwritten = b"%s%d\r\n\r\n%s" % (self._head, len(body), body)
        self._write(connection)
        return 3600.0

    def _open(self, connection: _Connection) -> bool:
        raw = raw_socket(self._plan.family, SOCK_STREAM | SOCK_NONBLOCK, 0)
        if raw.connect_ex(self._plan.address) not in (0, errno.EINPROGRESS):
            raw.close()
            connection.rests_until = self._clock() + RETRY_S
            return False
        connection.descriptor = raw.detach()
        self._at[connection.descriptor] = connection
        self._epoll.register(connection.descriptor, select.EPOLLIN)
        return True

    def _write(self, connection: _Connection) -> None:
        try:
            connection.unwritten = connection.unwritten[os.write(connection.descriptor, connection.unwritten) :]
        except BlockingIOError:
            pass
        except OSError as e:
            self._lost(connection, errno.errorcode.get(e.errno or 0, "write failed"))
            return
        wanted = select.EPOLLIN | (select.EPOLLOUT if connection.unwritten else 0)
        self._epoll.modify(connection.descriptor, wanted)

    # reading

    def _readable(self, connection: _Connection) -> None:
        try:
            data = os.read(connection.descriptor, 65536)
        except BlockingIOError:
            return
        except OSError as e:
            self._lost(connection, errno.errorcode.get(e.errno or 0, "read failed"))
            return
        connection.partial += data
        try:
            answer = cut(connection.partial, not data) if connection.partial else None
        except BadAnswer:
            self._lost(connection, "bad answer")
            return
        if answer is not None and connection.asked is not None:
            connection.partial = connection.partial[answer.size :]
            self._answered(connection, answer, *connection.asked)
        elif not data or answer is not None:
            self._lost(connection, "connection lost" if connection.asked else "")

    def _answered(self, connection: _Connection, answer: Answer, client: int, number: int, asked_ns: int) -> None:
        connection.asked = None
        self.last_ns = self._clock_ns()
        self.latency.record(self.last_ns - asked_ns)
        if answer.status == 200:
            status = _STATUS(answer.body)
            word = status[1].decode() if status else "?"
            self.statuses[word] = self.statuses.get(word, 0) + 1
            if client != _ALL:
                self.acknowledged += 1
                self.promised += self._plan.listeners[client] if self._plan.listeners else 1
        else:
            self._unacknowledged(client, number, f"http {answer.status}")
            if answer.status in (429, 503):
                connection.rests_until = self._clock() + RETRY_S
        if answer.closes:
            self._leave(connection)

    def _lost(self, connection: _Connection, error: str) -> None:
        if connection.asked is not None:
            self._unacknowledged(*connection.asked[:2], error)
        connection.rests_until = self._clock() + RETRY_S
        self._leave(connection)

    def _leave(self, connection: _Connection) -> None:
        del self._at[connection.descriptor]
        with contextlib.suppress(OSError):
            os.close(connection.descriptor)
        connection.descriptor = -1
        connection.asked = None
        connection.unwritten = connection.partial = b""

    def _unacknowledged(self, client: int, number: int, error: str) -> None:
        self.errors[error] = self.errors.get(error, 0) + 1
        if client != _ALL:
            self.published.unacknowledged(client, number)
