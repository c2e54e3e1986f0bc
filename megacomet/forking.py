"""What is made once, before the forks, and gets descriptors of its own behind each.

A worker that is built in the zygote costs memory once for all; built in each fork, it has the kernel copy a megabyte
of the pages that were shared. But an epoll set must not be built there: parent and children would share the one. So
the sets of the zygote are empty places (`LateEpoll`), its reactor has no waker and is not installed (`LateReactor`),
and a fork fills in what is missing.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.internet.main import installReactor
from twisted.python.failure import Failure


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
    """An epoll reactor that is made before the fork, and installed and woken behind it.

    Attributes:
        reactor: may be given to whoever needs one; nothing may be asked of it before `install`.
    """

    def __init__(self) -> None:
        self.reactor: Any = Reactor()
        self._drop_waker()
        self._epoll = LateEpoll(self.reactor._poller)

    def _drop_waker(self) -> None:
        # Twisted's inside: the waker's pipe would be shared by all. A test pins what is done here.
        for waker in list(self.reactor._internalReaders):
            self.reactor.removeReader(waker)
            waker.connectionLost(Failure(Exception("made anew behind the fork")))
        self.reactor._internalReaders.clear()
        self.reactor.waker = None

    def install(self) -> None:
        """Be this process's reactor."""
        self.open()
        installReactor(self.reactor)

    def open(self) -> None:
        """Be a reactor that works, if not the process's."""
        self._epoll.open()
        self.reactor.installWaker()

    def close(self) -> None:
        """Be none any more, for good: what was asked for later is forgotten, and no descriptor stays."""
        for call in self.reactor.getDelayedCalls():
            call.cancel()
        self._drop_waker()
        self.reactor.removeAll()
        self.reactor._poller.close()
