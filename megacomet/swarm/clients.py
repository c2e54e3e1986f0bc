"""Owns the parked clients of one process: connections that are opened, held, read, asked again and dropped on purpose.

A client is a descriptor and a row: no object, no buffer and no timer exists for one that waits. An event is a hint: a
row that is free is skipped, and a close is believed only when the read says so.
"""

from __future__ import annotations

import os
import resource
import select
import time
from array import array
from collections.abc import Callable
from typing import Any, Final

from megacomet.swarm import sockets, transports
from megacomet.swarm.answers import Answer, BadAnswer, cut, cut_head, header
from megacomet.swarm.events import CLOSE, GAP, PING, POSITION, Event
from megacomet.swarm.ledger import Ledger
from megacomet.swarm.mix import TRANSPORTS
from megacomet.swarm.opening import Opening
from megacomet.swarm.plan import Plan
from megacomet.swarm.switching import Switching

_READ_BYTES: Final = 65536

# What a descriptor is. From _ASKED on it is a client's whose request is written.
_FREE: Final = 0
_OTHER: Final = 1
_CONNECTING: Final = 2
#: A stream whose answer has not begun, a poll that waits, a stream that waits.
_ASKED: Final = 3
_WAITING: Final = 4
_STREAMING: Final = 5


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
        self._epoll = select.epoll()
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._kind_at = bytearray(descriptors)
        self._client_at = array("i", bytes(4 * descriptors))
        #: what is not complete: bytes, or a transport's reader
        self._partial: dict[int, Any] = {}
        self._known = bytearray(plan.count)
        self._transport_of = bytearray(map(plan.mix.first, range(plan.first, plan.first + plan.count)))
        names = transports.Names(plan.host, plan.prefix, plan.first, plan.rooms, plan.listens, plan.since)
        self._pollers, self._streamers = transports.made(names, plan.mix.numbers)
        self._opening = Opening(plan.count, plan.rate, clock, plan.away_s)
        away = plan.away_s > 0
        self._switching = Switching(plan.count, plan.switch_s, plan.first, away) if plan.switch_s else None
        self._leaving = self._switching.leaving if self._switching is not None else set()
        #: where each client is, which only switching asks for; -1: nowhere
        self._descriptor_of = array("i", [-1]) * plan.count if plan.switch_s else array("i")
        self.ledger = Ledger(
            *(plan.first, plan.count, plan.prefix),
            began_ns=plan.began_ns,
            positions=plan.since,
            rooms=plan.rooms,
            listens=plan.listens,
            everyone=plan.everyone,
            clock_ns=clock_ns,
        )
        self._waiting_by = [0] * len(TRANSPORTS)
        self.errors: dict[str, int] = {}
        #: connections that have been established at least once, are established
        self.connected = self.open = 0
        #: answers; those without a message; closed by the server after an answer or with an end, without one
        self.answered = self.timeouts = self.closed = self.dropped = 0
        #: CPU of this process when the last client had connected
        self.connect_cpu_s = 0.0
        self.called = False

    @property
    def waiting(self) -> int:
        """Polls that wait for an answer and streams that have begun."""
        return sum(self._waiting_by)

    def watch(self, descriptor: int) -> None:
        """Set `called` when the descriptor can be read."""
        self._kind_at[descriptor] = _OTHER
        self._epoll.register(descriptor, select.EPOLLIN)

    def begin(self) -> None:
        """Note that pushing begins, and begin to switch."""
        self.ledger.begin()
        if self._switching is not None:
            self._switching.begin(self._clock())

    def halt(self) -> None:
        """Switch no more, and have those come that are away."""
        if self._switching is not None:
            self._switching.halt()
            self._opening.call_back()

    def turn(self, longest_s: float) -> None:
        """Open and drop what is due, wait at most `longest_s` for events and work them off."""
        now = self._clock()
        if self._switching is not None:
            self._switch(self._switching, now)
            longest_s = min(longest_s, self._switching.delay_s(now))
        for client in self._opening.due(now):
            self._connect(client)
        kind_at = self._kind_at
        for descriptor, _ in self._epoll.poll(min(self._opening.delay_s(now), longest_s), 1024):
            kind = kind_at[descriptor]
            if kind >= _ASKED:
                self._readable(descriptor, kind)
            elif kind == _CONNECTING:
                self._ask(descriptor, self._client_at[descriptor], new=False)
            elif kind == _OTHER:
                self.called = True

    def close(self) -> None:
        """Close all connections."""
        for descriptor, kind in enumerate(self._kind_at):
            if kind >= _CONNECTING:
                os.close(descriptor)
        self._kind_at = bytearray(len(self._kind_at))
        self._epoll.close()

    def counts(self) -> dict[str, Any]:
        """Return the counters as plain data."""
        names = ("connected", "open", "waiting", "answered", "timeouts", "closed", "dropped", "connect_cpu_s")
        return {
            **{name: getattr(self, name) for name in names},
            **self.ledger.counts(),
            "reconnects": self._opening.reconnects,
            "switches": self._switching.switches if self._switching is not None else 0,
            "transports": {TRANSPORTS[n]: self._waiting_by[n] for n in self._plan.mix.numbers},
            "errors": dict(self.errors),
        }

    # opening

    def _connect(self, client: int) -> None:
        plan = self._plan
        source = plan.sources[client % len(plan.sources)] if plan.sources else ""
        address = plan.addresses[(plan.first + client) % len(plan.addresses)]
        try:
            descriptor = sockets.begun(plan.family, source, address)
        except OSError as e:
            self._failed(client, sockets.name_of(e))
            return
        self._client_at[descriptor] = client
        self._kind_at[descriptor] = _CONNECTING
        self._opening.connecting += 1
        if self._descriptor_of:
            self._descriptor_of[client] = descriptor
        if self.ledger.positions is not None:
            self.ledger.positions.connected(client)
        # On loopback the handshake is over when connect returns, so the request can mostly be written at once.
        self._ask(descriptor, client, new=True)

    # asking

    def _ask(self, descriptor: int, client: int, new: bool) -> None:
        """Write the first request; `new`: the descriptor is not in the epoll set yet."""
        try:
            os.write(descriptor, self._request(client))
        except BlockingIOError:
            if new:
                self._epoll.register(descriptor, select.EPOLLOUT)
            return
        except OSError as e:
            self._leave(descriptor, client)
            self._failed(client, sockets.name_of(e))
            return
        if new:
            self._epoll.register(descriptor, select.EPOLLIN)
        else:
            self._epoll.modify(descriptor, select.EPOLLIN)
        self._opening.connecting -= 1
        self.open += 1
        number = self._transport_of[client]
        if number in self._pollers:
            self._kind_at[descriptor] = _WAITING
            self._waiting_by[number] += 1
        else:
            self._kind_at[descriptor] = _ASKED
        if not self._known[client]:
            self._met(client)

    def _met(self, client: int) -> None:
        self._known[client] = 1
        self.connected += 1
        self.ledger.met(client)
        if self.connected == self._plan.count:
            self.connect_cpu_s = time.process_time()

    def _request(self, client: int) -> bytes:
        number = self._transport_of[client]
        position = b""
        if self.ledger.positions is not None:
            # Once it was connected and was told no position: ask for all that is kept, older runs' are told apart.
            position = self.ledger.positions.of(client) or (transports.OLDEST if self._known[client] else b"")
        poller = self._pollers.get(number)
        return poller.request(client, position) if poller else self._streamers[number].request(client, position)

    # reading

    def _readable(self, descriptor: int, kind: int) -> None:
        client = self._client_at[descriptor]
        leaves = self._switching if client in self._leaving else None
        try:
            data = os.read(descriptor, leaves.piece_bytes() if leaves is not None else _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as e:
            self._gone(descriptor, client, sockets.name_of(e))
            return
        try:
            if kind == _WAITING:
                self._read_poll(descriptor, client, data)
            else:
                self._read_stream(descriptor, client, data, kind)
        except BadAnswer:
            self._gone(descriptor, client, "bad answer")
        if leaves is not None and self._descriptor_of[client] == descriptor:
            self._leaving.discard(client)
            self._drop(leaves, descriptor, client)

    def _read_poll(self, descriptor: int, client: int, data: bytes) -> None:
        ended = not data
        if self._partial:
            data = self._partial.pop(descriptor, b"") + data
        if not data:
            self._gone(descriptor, client, "")
            return
        answer = cut(data, ended)
        if answer is not None:
            self._answered(descriptor, client, answer, len(data) - answer.size, ended)
        elif ended:
            self._gone(descriptor, client, "cut answer")
        else:
            self._partial[descriptor] = data

    def _answered(self, descriptor: int, client: int, answer: Answer, rest: int, ended: bool) -> None:
        number = self._transport_of[client]
        if answer.status == 200:
            events = self._pollers[number].read(answer)
            self.timeouts += events[0][0] == POSITION
            self.ledger.told(client, events)
        elif answer.status == 204:
            self.timeouts += 1
            self._timed_out(client, header(answer.head, b"megacomet-position"))
        self.answered += 1
        if answer.status not in (200, 204):
            self._close(descriptor, client)
            self._failed(client, f"http {answer.status}")
            return
        if rest:
            self._count("bytes that nobody asked for")
        if answer.closes or ended or rest:
            self._close(descriptor, client)
            self.closed += 1
            self._opening.at_once(client)
        else:
            # When the server has closed behind its answer, the next read says so and the client comes back.
            self._write(descriptor, self._request(client))

    def _timed_out(self, client: int, position: bytes) -> None:
        """Go on from where an answer without a message says: after a restart the server answers so until one does.

        Another log than before is a gap, which the answer to a script has no words for.
        """
        positions = self.ledger.positions
        if positions is None or not position:
            return
        before = positions.of(client)
        kind, channel = POSITION, b""
        if before and before.split(b"-")[0] != position.split(b"-")[0]:
            kind, channel = GAP, b"@%b%d" % (self._plan.prefix.encode(), self._plan.first + client)
        self.ledger.told(client, [(kind, position, channel, b"")])

    def _read_stream(self, descriptor: int, client: int, data: bytes, kind: int) -> None:
        if not data:
            self._gone(descriptor, client, "")
            return
        streamer = self._streamers[self._transport_of[client]]
        held = self._partial.pop(descriptor, None) if self._partial else None
        if kind == _ASKED:
            data = self._opened(descriptor, client, streamer, held + data if held else data)
            held = None
            if not data:
                return
        events, held = streamer.receive(held, data)
        if held:
            self._partial[descriptor] = held
        rest = self.ledger.told(client, events)
        if rest is not None:
            self._obey(descriptor, client, rest)

    def _opened(self, descriptor: int, client: int, streamer: transports.Streamer, data: bytes) -> bytes:
        """Read the head of the answer; returns what follows it so far."""
        read = cut_head(data)
        if read is None:
            self._partial[descriptor] = data
            return b""
        status, head = read
        fault = streamer.fault(head) if status == streamer.status else f"http {status}"
        if fault:
            self._close(descriptor, client)
            self._failed(client, fault)
            return b""
        self._kind_at[descriptor] = _STREAMING
        self._waiting_by[self._transport_of[client]] += 1
        return data[len(head) + 4 :]

    def _obey(self, descriptor: int, client: int, events: list[Event]) -> None:
        """Do what a stream asks of its connection."""
        for kind, _, _, text in events:
            if kind == PING:
                self._write(descriptor, transports.pong(text))
                continue
            if kind == CLOSE:
                self._write(descriptor, transports.close(int(text)))
                self._count(f"closed with {text.decode()}")
            self._close(descriptor, client)
            self.closed += 1
            self._opening.later(client)
            return

    @staticmethod
    def _write(descriptor: int, data: bytes) -> None:
        """Write a little; when that fails, the next read tells why."""
        try:
            os.write(descriptor, data)
        except OSError:
            pass

    # leaving

    def _switch(self, switching: Switching, now: float) -> None:
        for client in switching.due(now, self._may_leave):
            if switching.waits_for_bytes():
                switching.leaving.add(client)
            else:
                self._drop(switching, self._descriptor_of[client], client)

    def _may_leave(self, client: int) -> bool:
        descriptor = self._descriptor_of[client]
        return descriptor >= 0 and self._kind_at[descriptor] >= _ASKED and client not in self._leaving

    def _drop(self, switching: Switching, descriptor: int, client: int) -> None:
        how = switching.drop()
        if how.reset:
            sockets.reset_at_close(descriptor)
        self._close(descriptor, client)
        plan = self._plan
        hears = plan.listens(plan.first + client)
        self._transport_of[client] = plan.mix.other(self._transport_of[client], hears, switching.chance)
        opening, positions = self._opening, self.ledger.positions
        # Who has no position yet asks for all that is kept, and would not be told that something is gone.
        away = how.away and plan.learns_of_gaps(plan.first + client) and positions is not None and positions.of(client)
        (opening.much_later if away else opening.later if how.rests else opening.at_once)(client)

    def _gone(self, descriptor: int, client: int, error: str) -> None:
        """The connection was lost while it waited."""
        self._close(descriptor, client)
        self.dropped += 1
        if error:
            self._count(error)
        self._opening.later(client)

    def _failed(self, client: int, error: str) -> None:
        self._count(error)
        self._opening.later(client)

    def _close(self, descriptor: int, client: int) -> None:
        """Close a connection that was established."""
        if self._kind_at[descriptor] != _ASKED:
            self._waiting_by[self._transport_of[client]] -= 1
        self.open -= 1
        self._leave(descriptor, client)

    def _leave(self, descriptor: int, client: int) -> None:
        if self._kind_at[descriptor] == _CONNECTING:
            self._opening.connecting -= 1
        self._kind_at[descriptor] = _FREE
        self._partial.pop(descriptor, None)
        if self._descriptor_of:
            self._descriptor_of[client] = -1
        os.close(descriptor)

    def _count(self, error: str) -> None:
        self.errors[error] = self.errors.get(error, 0) + 1
