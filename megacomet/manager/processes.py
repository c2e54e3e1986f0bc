"""Processes that are not ours to wait for: held by a pidfd, so that a number that is used again is never mistaken."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IReadDescriptor)
class Process:
    """A running process; a reader of the reactor while its end is watched for."""

    def __init__(self, reactor: IReactorFDSet, pid: int, pidfd: int) -> None:
        """Take over the pidfd; use `open_process`."""
        self.pid = pid
        self._reactor = reactor
        self._pidfd = pidfd
        self._gone: Callable[[], None] | None = None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process is gone."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def watch(self, gone: Callable[[], None]) -> None:
        """Have `gone` called once, when the process ends."""
        self._gone = gone
        self._reactor.addReader(self)

    def has_ended(self) -> bool:
        """Tell whether the process is gone, perhaps before `gone` was called."""
        if self._pidfd < 0:
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Watch no more, let go of the process."""
        if self._pidfd >= 0:
            if self._gone is not None:
                self._reactor.removeReader(self)
            os.close(self._pidfd)
            self._pidfd = -1

    # A reader of the reactor

    def fileno(self) -> int:
        """Return the pidfd."""
        return self._pidfd

    def logPrefix(self) -> str:
        """Name the process in the reactor's own messages."""
        return f"process {self.pid}"

    def doRead(self) -> None:
        """The pidfd is readable: the process ended."""
        gone = self._gone
        self.close()
        if gone is not None:
            gone()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends."""


def open_process(reactor: IReactorFDSet, pid: int) -> Process | None:
    """Return the process of that number, None when there is none."""
    try:
        return Process(reactor, pid, os.pidfd_open(pid))
    except ProcessLookupError:
        return None
