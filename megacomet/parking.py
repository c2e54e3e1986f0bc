"""The parking lot: all connections of a worker as one reader of the reactor.

It owns the events, the order in which they are served, and the way of connections in. What a row is stands in `rows`
and `kinds`. What the bytes mean it does not know: a front does (`IFront`).

An event is a hint. It may be older than its row (the descriptor was closed earlier in the batch, and its number given
to a new connection), so what happens depends on what the kernel answers now, never on the event's flags.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from typing import Final, Protocol

from twisted.logger import Logger
from twisted.python.failure import Failure

from megacomet.accepting import RESERVE, SPARE, Entrances
from megacomet.kinds import (
    ASKING,
    CROWDED,
    DRAINING,
    IDLE,
    LISTENER,
    PARKED,
    READING,
    SOCKET,
    STATE,
    STREAM,
    TAKING,
)
from megacomet.rows import Rows

#: Events a turn, so that the rest of the reactor is never starved.
EVENTS: Final = 512
#: Rows that are due, a turn.
DUE: Final = 512
#: A request head has a few hundred bytes; what is longer comes in several events.
READ_BYTES: Final = 4096
#: A WebSocket may have long messages to send, a body too.
HEAR_BYTES: Final = 16 * READ_BYTES


def _nobody_rests() -> None:
    """Do nothing."""


class IFront(Protocol):
    """Whoever knows what the bytes mean. Whatever it raises costs the connection and nothing else."""

    def received(self, fd: int, data: bytes, known: int) -> None:
        """Bytes came for a row that is READING; the first `known` of them were put back with `Rows.keep` before."""

    def gone(self, fd: int) -> None:
        """The connection of a stream, of a body, or of a row that has a key, has ended; it is closed after this."""

    def due(self, fd: int) -> None:
        """The deadline of a waiting request, of a stream, or of a head of which a part has come, has passed."""

    def heard(self, fd: int, data: bytes) -> None:
        """Bytes came from a stream."""

    def taken(self, fd: int, data: bytes) -> None:
        """Bytes came of a body."""

    def flushed(self, fd: int) -> None:
        """A stream is owed nothing any more."""

    def turned(self) -> None:
        """A turn of the lot is over."""


class ParkingLot:
    """The reader, on a table of rows.

    Attributes:
        rows: the table.
        front: to be set before anything else is called.
        wake: called before a turn: whoever counts its seconds, and rests, goes on.
        accepted: connections that came in by listeners.
        given_back: connections that came from somebody else who had served them.
    """

    _log = Logger()

    front: IFront
    wake: Callable[[], None]

    def __init__(self, rows: Rows, *, descriptors: int, spare: int = SPARE, reserve: int = RESERVE) -> None:
        """
        Args:
            rows: the table.
            descriptors: the process's limit.
            spare: see `accepting.SPARE`.
            reserve: see `accepting.RESERVE`.
        """
        self.rows = rows
        self.wake = _nobody_rests
        self.accepted = 0
        self.given_back = 0
        self._turns = 0
        self._entrances = Entrances(rows.epoll, self._admit, descriptors, spare, reserve)
        self._by_state: tuple[Callable[[int], None], ...] = (
            self._ignore,  # FREE
            self._entrances.knocking.append,  # LISTENER
            self._read,  # READING
            self._read,  # IDLE
            self._stirred,  # PARKED
            self._stirred_again,  # CROWDED
            rows.flush,  # WRITING
            self._resume,  # RESUMING
            self._drain,  # DRAINING
            self._ignore,  # AWAY
            self._hear,  # STREAM
            self._hear,  # SOCKET
            self._asks,  # ASKING
            self._take,  # TAKING
            self._calls,  # CALLING
        )

    # -- what the reactor wants of a reader

    def fileno(self) -> int:
        """Return the descriptor of the whole set."""
        return self.rows.epoll.fileno()

    def logPrefix(self) -> str:
        """Name the lot in the reactor's own messages."""
        return "parking"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has ended; the process does too, and the kernel closes what is left."""

    def doRead(self) -> None:
        """Serve a batch of events. Listeners come last: a number that was freed here is not given away here."""
        self.wake()
        kinds, by_state = self.rows.kinds, self._by_state
        for fd, _ in self.rows.epoll.poll(0, EVENTS):
            try:
                by_state[kinds[fd] & STATE](fd)
            except Exception:
                self._fail(fd)
        self._entrances.serve(self.rows.open)
        self._turns += 1
        self._turned()

    # -- what the worker wants

    def tick(self, now: float) -> bool:
        """Serve rows whose deadline has passed; to be called each second, or when `rest_s` has said.

        Returns:
            Whether there may be more of them: then call again with the same `now`, after others had their turn.
        """
        self._entrances.reopen(self.rows.open)
        due = self.rows.deadlines.due(now, DUE)
        for fd in due:
            try:
                self._due(fd)
            except Exception:
                self._fail(fd)
        self._turns += bool(due)
        self._turned()
        return len(due) == DUE

    def rest_s(self, most: int) -> int:
        """Return after how many seconds `tick` is due again while nothing happens: at least 1, at most `most`."""
        return self.rows.deadlines.rest(most)

    def listen(self, listener: socket.socket, *, flags: int = 0, is_shared: bool = False) -> None:
        """Take connections from a bound socket.

        Args:
            listener: its options are inherited by what is accepted; it must stay open.
            flags: 0 or `kinds.ENTRANCE`.
            is_shared: whether other processes accept from it too: then it is never shut. UNIX sockets always are.

        Raises:
            OSError: the kernel does not let us listen there.
        """
        self.rows.grow(listener.fileno())
        self._entrances.add(listener, flags, is_shared)
        self.rows.kinds[listener.fileno()] = LISTENER

    def stop_listening(self, *, is_succeeded: bool = False) -> None:
        """Take those who wait in the queues by now, and turn everybody away from then on; see `Entrances.close`."""
        self._entrances.close(self.rows.open, is_succeeded=is_succeeded)

    def listen_again(self) -> None:
        """Take back `stop_listening`."""
        self._entrances.open_again(self.rows.open)

    def adopt(self, fd: int, unread: bytes) -> None:
        """Take a connection that somebody else has served until now.

        Args:
            fd: belongs to the lot from now on.
            unread: what they have read of the next requests.
        """
        self.given_back += 1
        try:
            self.rows.enter(fd, 0)
            if unread:
                self.front.received(fd, unread, 0)
            else:
                self.rows.idle(fd)
        except Exception:
            self._fail(fd)

    def stirred(self) -> tuple[int, ...]:
        """Return what stays as it is while no connection does anything, and nothing is written to one."""
        return self._turns, self.rows.open, self.rows.sent

    def counts(self) -> dict[str, int]:
        """Return connections by how they came in and how they ended."""
        return {
            "accepted": self.accepted,
            "given_back": self.given_back,
            "times_full": self._entrances.times_full,
            "bytes": self.rows.sent,
            **self.rows.ended,
        }

    # -- new connections and events, by state

    def _admit(self, fd: int, flags: int) -> None:
        rows = self.rows
        self.accepted += 1
        try:
            rows.enter(fd, flags)
            try:
                data = os.read(fd, READ_BYTES)  # the request is there already, mostly
            except BlockingIOError:
                rows.wait_for_head(fd)
                return
            except OSError:
                data = b""
            if data:
                self.front.received(fd, data, 0)
            else:
                rows.drop(fd, "gone")
        except Exception:
            self._fail(fd)

    def _ignore(self, fd: int) -> None:
        """An event of a row that was freed or released earlier in the batch."""

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        rows = self.rows
        if not data:
            rows.drop(fd, "gone")
            return
        if rows.kinds[fd] & STATE == IDLE:
            rows.begin(fd)
        kept = rows.unread.pop(fd, b"") if rows.unread else b""
        self.front.received(fd, kept + data, len(kept))

    def _stirred(self, fd: int) -> None:
        # One byte tells the end from more requests; the rest of them stays in the kernel.
        try:
            data = os.read(fd, 1)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.rows.hold(fd, data)
        else:
            self._end(fd, "gone")

    def _stirred_again(self, fd: int) -> None:
        # Unread bytes hide the end from `read`.
        self._end_if(fd, select.POLLRDHUP)

    def _end_if(self, fd: int, wanted: int, ends: int = ~0) -> None:
        # The event may be old: ask for this descriptor alone.
        fresh = select.poll()
        fresh.register(fd, wanted)
        for _, events in fresh.poll(0):
            if events & ends:
                self._end(fd, "gone")

    def _resume(self, fd: int) -> None:
        self.front.received(fd, self.rows.resume(fd), 0)

    def _drain(self, fd: int) -> None:
        try:
            if os.read(fd, 16 * READ_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.rows.close(fd)

    def _hear(self, fd: int) -> None:
        rows = self.rows
        if not self._is_flushed(fd):
            return
        if rows.unread and fd in rows.unread:
            data = rows.unread.pop(fd)
            rows.attend(fd)
        else:
            data = self._more(fd)
        if data:
            self.front.heard(fd, data)

    def _more(self, fd: int) -> bytes:
        """Read more of what has no end of its own here; b"": nothing is there by now, or the connection has ended."""
        try:
            data = os.read(fd, HEAR_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._end(fd, "gone")
        return data

    def _asks(self, fd: int) -> None:
        if self._is_flushed(fd) and self.rows.kinds[fd] & STATE == ASKING:
            self._stirred_again(fd)

    def _take(self, fd: int) -> None:
        if not self.rows.deadlines.is_armed(fd):  # paused: nothing but a broken connection makes events
            self._end_if(fd, 0, select.POLLERR)
            return
        if data := self._more(fd):
            self.front.taken(fd, data)

    def _calls(self, fd: int) -> None:
        if fd in self.rows.unread:
            self._stirred_again(fd)
        else:
            self._stirred(fd)

    def _is_flushed(self, fd: int) -> bool:
        """Send what a stream is owed; tells whether there is still a stream."""
        rows = self.rows
        if rows.backlogs and fd in rows.backlogs:
            try:
                if rows.send_more(fd):
                    self.front.flushed(fd)
            except OSError:
                self._end(fd, "gone")
                return False
            return rows.kinds[fd] & STATE >= STREAM
        return True

    # -- what becomes of rows

    def _due(self, fd: int) -> None:
        state = self.rows.kinds[fd] & STATE
        if state in (PARKED, CROWDED, STREAM, SOCKET, ASKING) or (state == READING and fd in self.rows.unread):
            self.front.due(fd)
        elif state == DRAINING:
            self.rows.close(fd)
        elif state == TAKING:
            self._end(fd, "silent")
        else:
            self.rows.drop(fd, {READING: "silent", IDLE: "idle"}.get(state, "slow"))

    def _end(self, fd: int, why: str) -> None:
        try:
            if self.rows.keys[fd] is not None or self.rows.kinds[fd] & STATE >= STREAM:
                self.front.gone(fd)
        finally:
            self.rows.drop(fd, why)

    def _fail(self, fd: int) -> None:
        """Something is wrong with us, not with the peer: say so, and give up this connection only."""
        self._log.failure("connection {fd} failed", fd=fd)
        try:
            if self.rows.kinds[fd] & STATE > LISTENER:
                self._end(fd, "failed")
        except Exception:
            self._log.failure("connection {fd} failed to end", fd=fd)

    def _turned(self) -> None:
        try:
            self.front.turned()
        except Exception:
            self._log.failure("the end of a turn failed")
