"""The named pipe that zygote and workers log to, as the manager holds it.

It has a name because it outlives a manager: its writers go on with the next one. That one opens the same pipe.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from megacomet.logs import LogRelay

#: What a burst may hold; the most that an unprivileged process gets (fs.pipe-max-size).
PIPE_BYTES = 1024 * 1024
READ_BYTES = 65_536


@implementer(IReadDescriptor)
class LogPipe:
    """Reads the pipe and gives what comes to the relay."""

    def __init__(self, reactor: IReactorFDSet, path: str, relay: LogRelay) -> None:
        """Open the pipe, and make it where there is none.

        Raises:
            OSError: it cannot be made or opened.
        """
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        if not stat.S_ISFIFO(os.lstat(path).st_mode):
            os.unlink(path)
            os.mkfifo(path, 0o600)
        # For writing too: a pipe without writers would be at its end, and readable without end.
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._path = path
        self._reactor = reactor
        self._relay = relay
        reactor.addReader(self)

    def open_writer(self) -> int:
        """Return a descriptor for those who log; it never blocks, and fails when there is no manager."""
        return os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the reading descriptor."""
        return self._fd

    def logPrefix(self) -> str:
        """Name the pipe in the reactor's own messages."""
        return "log pipe"

    def doRead(self) -> None:
        """Take what is there, at most one piece a turn."""
        with contextlib.suppress(BlockingIOError):
            self._relay.dataReceived(os.read(self._fd, READ_BYTES))

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends."""

    def close(self) -> None:
        """Pass on what is left, and close."""
        self._reactor.removeReader(self)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._fd, READ_BYTES):
                self._relay.dataReceived(data)
        self._relay.finish()
        os.close(self._fd)
