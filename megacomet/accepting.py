"""The listening sockets of a lot: how new clients are taken, turned away, and let in again.

A worker never binds. To turn new clients away it shuts its own sockets down, so that the kernel sends them to the other
workers or refuses them; with room to spare it calls `listen` on the same sockets again. A socket that several processes
share (UNIX, inherited from systemd) cannot be shut for one of them: there the worker only stops looking.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from _socket import socket as raw_socket
from collections.abc import Callable
from typing import Any, Final

from twisted.logger import Logger

#: Clients that the kernel keeps for us while we are busy or being replaced. It cuts this to net.core.somaxconn.
QUEUE: Final = 65_535
#: Connections a listener and turn, so that those who are inside have their turn too.
ACCEPTS: Final = 128
#: Descriptors below the limit at which no more clients are let in: for the link, logs and what is given back.
SPARE: Final = 512
#: Those of them that even a queue of clients that never ends may not have.
RESERVE: Final = 128

#: Where peers on this machine come from: 127.0.0.0/8, and ::1.
_LOOPBACK_V4: Final = "127."
_LOOPBACK_V6: Final = "::1"
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Entrance:
    """One listening socket.

    Attributes:
        accept: accept4 without the object that `socket.accept` makes; gives (descriptor, address).
        flags: what the row of every connection that comes in here has in its kind from the start.
        is_open: whether connections are taken from it.
    """

    __slots__ = ("_epoll", "_is_shared", "_socket", "accept", "flags", "is_open")

    def __init__(self, epoll: select.epoll, listener: socket.socket, flags: int, is_shared: bool) -> None:
        """Take a bound socket; nothing listens before `open`."""
        listener.setblocking(False)
        self._epoll = epoll
        self._socket = listener
        self._is_shared = is_shared or listener.family == socket.AF_UNIX
        self.accept: Callable[[], tuple[int, Any]] = listener._accept  # type: ignore[attr-defined]
        self.flags = flags
        self.is_open = False

    def share(self) -> None:
        """Somebody else accepts from it too, or will: it is not shut any more."""
        self._is_shared = True

    def open(self) -> None:
        """Listen, and have events for clients that wait.

        Raises:
            OSError: the kernel does not let us.
        """
        if not self.is_open:
            self._socket.listen(QUEUE)
            self._epoll.register(self._socket.fileno(), select.EPOLLIN)
            self.is_open = True

    def shut(self) -> None:
        """Turn new clients away. Those that wait in the queue are reset, so it should be empty."""
        if self.is_open:
            self.is_open = False
            # A socket that was shut down reports HUP without end, so it must not stay in the set.
            self._epoll.unregister(self._socket.fileno())
            if not self._is_shared:
                # ENOTCONN: somebody with a copy of the socket has shut it before us.
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RD)


class Entrances:
    """All listening sockets of a lot, and the rule when they take nobody.

    When the numbers of new descriptors come near the limit, the queues are emptied and the sockets shut. They are
    opened again when a good many connections have ended, so that doors do not open and shut with every client.

    Attributes:
        knocking: descriptors of listeners that had an event.
        times_full: how often there was no more room.
    """

    _log = Logger()

    def __init__(
        self, epoll: select.epoll, admit: Callable[[int, int], None], descriptors: int, spare: int, reserve: int
    ) -> None:
        """Begin without any.

        Args:
            epoll: where their events come.
            admit: takes a new descriptor, and the flags of the listener it came in by.
            descriptors: the process's limit.
            spare: see `SPARE`.
            reserve: see `RESERVE`.
        """
        self.knocking: list[int] = []
        self.times_full = 0
        self._epoll = epoll
        self._admit = admit
        self._all: dict[int, Entrance] = {}
        self._most = descriptors - spare
        self._last = descriptors - reserve
        self._spare = spare
        self._is_full = False
        self._is_closed = False
        self._to_leave = 0

    def add(self, listener: socket.socket, flags: int, is_shared: bool) -> None:
        """Take connections from a bound socket.

        Raises:
            OSError: the kernel does not let us listen there.
        """
        entrance = Entrance(self._epoll, listener, flags, is_shared)
        entrance.open()
        self._all[listener.fileno()] = entrance

    def serve(self, connections: int) -> None:
        """Take those who wait where somebody knocked; where everybody is turned away, empty all queues first.

        Args:
            connections: how many there are, before.
        """
        if self._is_full or self._is_closed:
            self.knocking[:] = self._all
        for fd in self.knocking:
            try:
                connections += self._accept(self._all[fd], connections)
            except Exception:
                self._log.failure("a listener failed")
        self.knocking.clear()

    def _accept(self, entrance: Entrance, connections: int) -> int:
        accept, admit, flags = entrance.accept, self._admit, entrance.flags
        for came in range(ACCEPTS):
            if not entrance.is_open:
                return came
            try:
                fd, address = accept()
            except BlockingIOError:
                if self._is_full or self._is_closed:
                    entrance.shut()
                return came
            except OSError as e:
                self._not_accepted(entrance, e, connections + came)
                return came
            if address and (address[0] == _LOOPBACK_V6 or address[0].startswith(_LOOPBACK_V4)):
                _stop_probing(fd)
            admit(fd, flags)
            if fd >= self._most:
                self._fill(fd, connections + came + 1)
        return ACCEPTS

    def _not_accepted(self, entrance: Entrance, error: OSError, connections: int) -> None:
        if error.errno in _NO_ROOM:
            self._fill(self._last, connections)
        elif error.errno == errno.EINVAL:
            # Somebody who took us for dead has shut it. We are not: `reopen` listens again.
            entrance.shut()
        # Anything else (ECONNABORTED, EPERM of a firewall, ...) concerns that one client.

    def _fill(self, fd: int, connections: int) -> None:
        if not self._is_full and not self._is_closed:
            self._is_full = True
            self.times_full += 1
            self._log.warn("no room beyond {n} connections: not listening for now", n=connections)
        # An eighth of those inside, where they are few: other things may have used the descriptors up.
        self._to_leave = max(0, connections - min(self._spare, connections // 8 + 1))
        if fd >= self._last:
            for entrance in self._all.values():
                entrance.shut()

    def reopen(self, connections: int) -> None:
        """Listen again where it was shut, if there is room; to be called now and then."""
        if self._is_closed or (self._is_full and connections > self._to_leave):
            return
        if self._is_full:
            self._is_full = False
            self._log.info("room again with {n} connections: listening", n=connections)
        for entrance in self._all.values():
            try:
                entrance.open()
            except OSError:
                self._log.failure("cannot listen again; trying on")

    def close(self, connections: int, *, is_succeeded: bool = False) -> None:
        """Take those who wait in the queues by now, and turn everybody away from then on.

        Args:
            connections: how many there are, before.
            is_succeeded: whether those who come then wait for another process that will listen on the same sockets.
        """
        self._is_closed = True
        if is_succeeded:
            for entrance in self._all.values():
                entrance.share()
        self.serve(connections)

    def open_again(self, connections: int) -> None:
        """Take back `close`: let clients in, if there is room."""
        self._is_closed = False
        self.reopen(connections)


def _stop_probing(fd: int) -> None:
    """Turn off the keep-alive that a connection has from its listener.

    A peer on this machine cannot vanish without its kernel, which is ours, closing the connection. And the probes do
    harm there: the kernel rounds its timers, so that those of thousands who came within seconds fire at once, and
    loopback drops all beyond net.core.netdev_max_backlog (1,000). TCP_USER_TIMEOUT ends a connection after one lost
    probe.
    """
    borrowed = raw_socket(socket.AF_INET, socket.SOCK_STREAM, 0, fd)  # of any family: it only names the number
    try:
        borrowed.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
    except OSError:
        pass  # it has been reset by now; whoever reads it will see
    finally:
        borrowed.detach()
