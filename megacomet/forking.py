"""What is made once, before the forks, and gets descriptors of its own behind each.

A worker that is built in the zygote costs memory once for all; built in each fork, it has the kernel copy a megabyte
of the pages that were shared. But an epoll set must not be built there: parent and children would share the one. So
the sets of the zygote are empty places (`LateEpoll`), so is the pipe of its reactor's waker (`LateReactor`), and a
fork fills in what is missing. What a fork runs before its first client was weighed for the same reason: it takes none
of Python's hooks (`fork`) and sets no handler (`Sigterm`).
"""

from __future__ import annotations

import ctypes
import os
import random
import select
import signal
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.internet.main import installReactor
from twisted.python.failure import Failure

#: Not a look at each fork: that makes objects.
_libc_fork: Final = ctypes.PyDLL(None, use_errno=True).fork


def fork() -> int:
    """Fork, for a process with one thread: the libc's fork(2), and what of Python's hooks such a one needs.

    `os.fork` makes the locks of all threads anew, of the import system and of the logging module besides, of which none
    is held here: 0.33 MB of copied pages in each of 54 workers (bench/RESULTS.md).

    Returns:
        the child's pid; 0 in the child.

    Raises:
        OSError: it cannot be.
    """
    pid: int = _libc_fork()
    if pid < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno))
    if pid == 0:
        random.seed()  # else all children draw the same numbers
    return pid


class Sigterm:
    """What SIGTERM does in a process and its forks, with a handler that is set once: a fork only says what is next.

    Attributes:
        then: is called.
    """

    def __init__(self) -> None:
        self.then: Callable[[], object] = self.ignore

    def install(self) -> None:
        """Set the handler; nothing happens until something else is said."""
        signal.signal(signal.SIGTERM, lambda _number, _frame: self.then())

    @staticmethod
    def ignore() -> None:
        """Go on."""

    @staticmethod
    def end() -> None:
        """End this process as if there were no handler."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)


#: There is one in a process.
sigterm: Final = Sigterm()


class LateEpoll:
    """An epoll object whose set is made behind the fork: until then its number is /dev/null's."""

    def __init__(self, epoll: select.epoll) -> None:
        """Empty the object's place; it stays usable as an object, and refuses to be used as a set."""
        self._fd = epoll.fileno()
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(null, self._fd, inheritable=False)
        os.close(null)

    def open(self) -> None:
        """Make the set, which is this process's alone."""
        fresh = select.epoll()
        os.dup2(fresh.fileno(), self._fd, inheritable=False)
        fresh.close()


class IReactor(Protocol):
    """What a worker's link needs of its reactor: some of Twisted's, and what `Reactor` adds."""

    def callLater(self, delay: float, call: Callable[..., object], /, *args: Any, **kwargs: Any) -> IDelayedCall:
        """See `IReactorTime`."""

    def adoptStreamConnection(self, fileDescriptor: Any, addressFamily: Any, factory: Any) -> Any:
        """See `IReactorSocket`."""

    def removeReader(self, reader: Any) -> Any:
        """See `IReactorFDSet`."""

    def add_exclusive_reader(self, reader: IReadDescriptor) -> None:
        """Add a reader of a descriptor that many processes read: of those that sleep one is woken, not all."""

    def is_anything_waiting(self) -> bool:
        """Tell whether some descriptor can be served now; timers do not count."""


class Reactor(EPollReactor):
    """Twisted's, with two things that its epoll set can do besides. A test pins what is used of its inside."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = select.poll()
        self._asked.register(self._poller.fileno(), select.POLLIN)

    def add_exclusive_reader(self, reader: IReadDescriptor) -> None:
        """See `IReactor`."""
        self.addReader(reader)
        self._poller.unregister(reader.fileno())
        self._poller.register(reader.fileno(), select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def is_anything_waiting(self) -> bool:
        """See `IReactor`."""
        return bool(self._asked.poll(0))


class LateReactor:
    """An epoll reactor that is made and started before the fork, and installed and woken behind it.

    Attributes:
        reactor: may be given to whoever needs one; nothing may be asked of it before `install`.
    """

    def __init__(self) -> None:
        self.reactor: Any = Reactor()
        self._waker = self.reactor.waker
        self._epoll = LateEpoll(self.reactor._poller)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._wake_by(null, null)
        self.reactor.startRunning(installSignalHandlers=False)  # the first half of its `run`

    def _wake_by(self, reads: int, writes: int) -> None:
        """Put a pipe into the places of the waker's own; Twisted's inside, a test pins what is done here."""
        os.dup2(reads, self._waker.i, inheritable=False)
        os.dup2(writes, self._waker.o, inheritable=False)
        for fd in {reads, writes}:
            os.close(fd)

    def install(self) -> None:
        """Be this process's reactor."""
        self.open()
        installReactor(self.reactor)

    def run(self) -> None:
        """Run until the reactor is stopped: the second half of its own `run`."""
        self.reactor.mainLoop()

    def open(self) -> None:
        """Be a reactor that works, if not the process's."""
        self._epoll.open()
        self._wake_by(*os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        self.reactor._poller.register(self._waker.i, select.EPOLLIN)

    def close(self) -> None:
        """Be none any more, for good: what was asked for later is forgotten, and no descriptor stays."""
        for call in self.reactor.getDelayedCalls():
            call.cancel()
        self.reactor._internalReaders.clear()
        self.reactor.removeReader(self._waker)
        self._waker.connectionLost(Failure(Exception("closed")))
        self.reactor.removeAll()
        self.reactor._poller.close()
