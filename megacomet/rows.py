"""The rows of the lot: what is known of each connection, and what may be done with it.

It owns the descriptors from their registration to their close, what was read and is not used yet, what was written and
is not sent yet, and the deadlines. Columns are indexed by descriptor, so that a connection that waits has no object of
its own: `kinds` says what state it is in. What is rare has an entry in a dict only while it lasts.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from math import inf
from typing import Final

from megacomet import peers
from megacomet.backlog import Backlog
from megacomet.deadlines import Deadlines
from megacomet.kinds import (
    ASKING,
    AWAY,
    CALLING,
    CLOSES,
    CROWDED,
    DRAINING,
    ENTRANCE,
    FREE,
    IDLE,
    LINGERS,
    PARKED,
    READING,
    RESUMING,
    SOCKET,
    STATE,
    STREAM,
    WRITING,
)
from megacomet.model.row_keys import RowKeys

#: How long a peer may take to read why it was refused, seconds.
LINGER_S: Final = 2
#: How long a peer may take nothing of its answer, seconds: the sockets' TCP_USER_TIMEOUT, for all families.
STALL_S: Final = 60
#: What all connections of a worker may owe their readers together: one alone may ask for a megabyte and not read it,
#: and twenty thousand would take the machine's memory before their minute is over.
OWED_BYTES: Final = 128_000_000

_OPEN: Final = select.EPOLLIN | select.EPOLLRDHUP


class Rows:
    """The table.

    Attributes:
        keys: by descriptor: what waits there, the front's own; None where nothing does.
        kinds: by descriptor: state and flags.
        forms: by descriptor: how what is written to a stream must look, the front's own; 0 where there is none.
        unread: what was read of a connection and is not used yet.
        backlogs: what was written to a connection and is not sent yet.
        owed: bytes of all backlogs together.
        sent: bytes written to connections.
        deadlines: at most one a row.
        open: rows in use, listeners not counted.
        ended: connections by why they ended on their own.
        epoll: the set that the connections are in.
    """

    def __init__(
        self,
        *,
        now: float,
        backlog_bytes: int,
        head_s: float,
        keep_alive_s: float,
        owed_bytes: int = OWED_BYTES,
    ) -> None:
        """Make an empty table.

        Args:
            now: seconds of the clock of the deadlines.
            backlog_bytes: a connection of which more is unsent is closed as slow.
            head_s: how long a request head may take.
            keep_alive_s: how long a connection may be silent between two requests.
            owed_bytes: of all connections; who would owe more is closed as slow.
        """
        self.keys = RowKeys()
        self.kinds = bytearray()
        self.forms = bytearray()
        self.unread: dict[int, bytes] = {}
        self.backlogs: dict[int, Backlog] = {}
        self.owed = self.sent = 0
        self.deadlines = Deadlines(now)
        self.open = 0
        self.ended = dict.fromkeys(("gone", "idle", "silent", "slow", "failed"), 0)
        self.epoll = select.epoll()
        self._backlog_bytes = backlog_bytes
        self._owed_bytes = owed_bytes
        self._head_s = head_s
        self._keep_alive_s = keep_alive_s

    # -- from the beginning to a request

    def grow(self, fd: int) -> None:
        """Have a row for the descriptor. Columns grow in place: others refer to them."""
        more = fd + 1 - len(self.kinds)
        if more > 0:
            more = max(more, 256)
            self.kinds.extend(bytes(more))
            self.forms.extend(bytes(more))
            self.keys.grow(len(self.kinds))
            self.deadlines.grow(len(self.kinds))

    def enter(self, fd: int, flags: int) -> None:
        """A new connection; its row has the flags for good."""
        if fd >= len(self.kinds):
            self.grow(fd)
        self.kinds[fd] = READING | flags
        self.open += 1
        os.set_blocking(fd, False)
        self.epoll.register(fd, _OPEN)

    def wait_for_head(self, fd: int) -> None:
        """The head's time runs from now; if it runs already, it goes on."""
        if not self.deadlines.is_armed(fd):
            self.deadlines.arm(fd, self._head_s)

    def keep(self, fd: int, data: bytes) -> None:
        """Put back the beginning of a request: it is given again, with what comes."""
        self.unread[fd] = data
        self.wait_for_head(fd)

    def begin(self, fd: int) -> None:
        """The next request is being received."""
        self.kinds[fd] = self.kinds[fd] & ENTRANCE | READING
        self.deadlines.disarm(fd)

    def flag(self, fd: int, flags: int) -> None:
        """Set the flags of the request: `CLOSES`, `LINGERS`, `FRONT`."""
        self.kinds[fd] = self.kinds[fd] & (STATE | ENTRANCE) | flags

    # -- waiting

    def park(self, fd: int, seconds: float) -> None:
        """The request waits for its answer, and is due after `seconds`, which may be infinite."""
        self.kinds[fd] = self.kinds[fd] & ~STATE | PARKED
        if seconds == inf:
            self.deadlines.disarm(fd)
        else:
            self.deadlines.arm(fd, seconds)

    def hold(self, fd: int, data: bytes) -> None:
        """Put back what came behind the request; it is used after the answer, in another turn.

        Behind the last request of a connection there is nothing to be used: it is dropped.
        """
        state = self.kinds[fd] & STATE
        if state in (PARKED, WRITING, SOCKET, CALLING):
            self.unread[fd] = data
        if state == PARKED:
            self.kinds[fd] += CROWDED - PARKED
        if state in (PARKED, CALLING):
            self.epoll.modify(fd, select.EPOLLRDHUP)
        elif state == SOCKET:
            self.attend(fd)

    # -- answers

    def answer(self, fd: int, data: bytes, body: bytes = b"") -> bool:
        """Write the whole answer to the request. What becomes of the connection then, its flags say.

        A body that many are sent is given beside its head: it is not copied, however many are owed it.

        Returns:
            Whether it was written or will be; else the connection is closed.
        """
        try:
            sent = os.writev(fd, (data, body)) if body else os.write(fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.drop(fd, "gone")
            return False
        self.sent += sent
        if sent == len(data) + len(body):
            self._answered(fd)
            return True
        if not self._owe(fd, data, sent, self._backlog_bytes, body):
            self.drop(fd, "slow")
            return False
        self.kinds[fd] = self.kinds[fd] & ~STATE | WRITING
        self.deadlines.arm(fd, STALL_S)
        # Nothing but OUT: the next request waits for this answer, and a peer that half-closes may still read.
        self.epoll.modify(fd, select.EPOLLOUT)
        return True

    def _owe(self, fd: int, data: bytes, sent: int, most: int, body: bytes = b"") -> bool:
        """Keep what was not sent; False when that is too much."""
        rest = len(data) + len(body) - sent
        backlog = self.backlogs.get(fd)
        if rest + (backlog.size if backlog else 0) > most or self.owed + rest > self._owed_bytes:
            return False
        self.owed += rest
        if backlog is None:
            self.backlogs[fd] = Backlog(data, sent, body)
        else:
            backlog.push(data)
        return True

    def flush(self, fd: int) -> None:
        """Send more of the backlog, and go on as `answer` would when it is empty."""
        try:
            is_flushed = self._flush(fd)
        except BlockingIOError:
            return
        except OSError:
            self.drop(fd, "gone")
            return
        if is_flushed:
            self._answered(fd, is_muted=True)
        else:
            self.deadlines.arm(fd, STALL_S)

    def _flush(self, fd: int) -> bool:
        backlog = self.backlogs[fd]
        sent = backlog.flush(fd)
        self.owed -= sent
        self.sent += sent
        if backlog.size:
            return False
        del self.backlogs[fd]
        return True

    def _answered(self, fd: int, is_muted: bool = False) -> None:
        kind = self.kinds[fd]
        if kind & CLOSES:
            if kind & LINGERS or fd in self.unread:
                self._linger(fd)
            else:
                self.close(fd)
        elif fd in self.unread:
            # OUT has the kernel wake us in the next turn: what is in our hands raises no IN.
            self.kinds[fd] = kind & ~STATE | RESUMING
            self.deadlines.disarm(fd)
            self.epoll.modify(fd, _OPEN | select.EPOLLOUT)
        else:
            if is_muted:
                self.epoll.modify(fd, _OPEN)
            self.idle(fd)

    def resume(self, fd: int) -> bytes:
        """Begin the next request with what was read before, which is returned."""
        self.epoll.modify(fd, _OPEN)
        self.begin(fd)
        return self.unread.pop(fd)

    def idle(self, fd: int) -> None:
        """Between two requests."""
        self.kinds[fd] = self.kinds[fd] & ENTRANCE | IDLE
        self.deadlines.arm(fd, self._keep_alive_s)

    def _linger(self, fd: int) -> None:
        self.kinds[fd] = DRAINING
        self.unread.pop(fd, None)
        self.epoll.modify(fd, select.EPOLLIN)
        self.deadlines.arm(fd, LINGER_S)
        borrowed = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fd)  # of any family: it only names the number
        try:
            borrowed.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(fd)
        finally:
            borrowed.detach()

    # -- streams

    def stream(self, fd: int, form: int, seconds: float, *, is_socket: bool) -> None:
        """The answer to the request has begun and does not end; the row is due after `seconds`."""
        self.kinds[fd] = self.kinds[fd] & ENTRANCE | (SOCKET if is_socket else STREAM)
        self.forms[fd] = form
        self.deadlines.arm(fd, seconds)
        peers.mark(fd)
        if fd in self.unread:  # else it has the events already that a stream wants
            self.attend(fd)

    def attend(self, fd: int) -> None:
        """Have the events that a stream wants."""
        wanted = select.EPOLLRDHUP if self.kinds[fd] & STATE == ASKING else _OPEN
        if fd in self.backlogs or fd in self.unread:  # OUT has the kernel wake us for what is in our own hands
            wanted |= select.EPOLLOUT
        self.epoll.modify(fd, wanted)

    def ask(self, fd: int) -> None:
        """A request of a WebSocket is under way: read no more until `listen`."""
        self.kinds[fd] += ASKING - SOCKET
        self.attend(fd)

    def listen(self, fd: int) -> None:
        """The request of a WebSocket is answered."""
        self.kinds[fd] += SOCKET - ASKING
        self.attend(fd)

    def send(self, fd: int, data: bytes, most: int) -> str:
        """Write to a stream, behind what it is owed already, of which it may be `most` bytes.

        Returns:
            "" when it is written or will be; else why it cannot be: nothing has been done about it.
        """
        sent = 0
        if fd not in self.backlogs:
            try:
                sent = os.write(fd, data)
            except BlockingIOError:
                pass
            except OSError:
                return "gone"
            self.sent += sent
            if sent == len(data):
                return ""
        return self.send_later(fd, data, sent, most)

    def send_later(self, fd: int, data: bytes, sent: int, most: int) -> str:
        """Write the rest of what a stream did not take; see `send`."""
        is_first = fd not in self.backlogs
        if not self._owe(fd, data, sent, most):
            return "slow"
        if is_first:
            self.attend(fd)
        return ""

    def send_more(self, fd: int) -> bool:
        """Send more of what a stream is owed; tells whether it is owed nothing now.

        Raises:
            OSError: the connection is broken.
        """
        try:
            is_flushed = self._flush(fd)
        except BlockingIOError:
            return False
        if is_flushed:
            self.attend(fd)
        return is_flushed

    def finish(self, fd: int, data: bytes, *, is_slow: bool = False) -> None:
        """End a stream behind the last bytes; who is slow is sent no whole piece that waits before them."""
        self.forms[fd] = 0
        self.unread.pop(fd, None)
        self.flag(fd, CLOSES | LINGERS)
        backlog = self.backlogs.get(fd)
        if backlog is not None and is_slow:
            self.owed -= backlog.size
            backlog.cut()
            self.owed += backlog.size
            if not backlog.size:
                del self.backlogs[fd]
        if fd in self.backlogs:
            self.backlogs[fd].push(data)
            self.owed += len(data)
            self.kinds[fd] = self.kinds[fd] & ~STATE | WRITING
            self.deadlines.arm(fd, STALL_S)
            self.epoll.modify(fd, select.EPOLLOUT)
        else:
            self.answer(fd, data)

    # -- the end

    def release(self, fd: int) -> None:
        """Take the connection out of the set, to hand it to somebody else; then `close` or `retake` it."""
        self.epoll.unregister(fd)
        self.kinds[fd] = AWAY
        self.deadlines.disarm(fd)
        self.unread.pop(fd, None)

    def retake(self, fd: int) -> None:
        """Nobody wanted the connection: its request is answered here."""
        self.epoll.register(fd, _OPEN)
        self.kinds[fd] = READING

    def drop(self, fd: int, why: str) -> None:
        """Close, and count why."""
        self.ended[why] += 1
        self.close(fd)

    def close(self, fd: int) -> None:
        """End the connection and free its row; nobody is told."""
        if self.kinds[fd] & STATE != AWAY:
            # Somebody else may have a copy; without this, events would go on for a number that is no longer its.
            with contextlib.suppress(OSError):  # it never was registered: the kernel had no room
                self.epoll.unregister(fd)
        self.kinds[fd] = FREE
        self.forms[fd] = 0
        self.keys[fd] = None
        self.deadlines.disarm(fd)
        self.unread.pop(fd, None)
        if fd in self.backlogs:
            self.owed -= self.backlogs.pop(fd).size
        self.open -= 1
        os.close(fd)
