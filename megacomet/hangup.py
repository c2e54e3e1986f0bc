"""SIGHUP: what it means to the manager, and how another program sends it to the one of a state directory.

To a server it means "read again what may change while you run". A terminal that is closed sends the same signal to who
runs in its foreground; that one is meant to end, unless it was started with `nohup`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from megacomet.proctitle import has_title
from megacomet.statedir import lock_holder


class Hangup:
    """Takes SIGHUP for the manager.

    Attributes:
        reload: reads again what may change; set as soon as there is something.
    """

    _log = Logger()

    def __init__(self, reactor: Any, find_terminal: Callable[[], int | None]) -> None:
        """
        Args:
            reactor: runs `reload`, and is stopped when the terminal is gone.
            find_terminal: called by `listen`; returns the descriptor of the terminal to end with, None: there is none.
        """
        self._reactor = reactor
        self._find_terminal = find_terminal
        self.reload: Callable[[], None] = _nothing
        self._terminal: int | None = None

    def listen(self) -> None:
        """Take the signal from now on; what it asks for is done when the reactor runs."""
        if signal.signal(signal.SIGHUP, self._taken) is signal.SIG_DFL:
            self._terminal = self._find_terminal()

    def _taken(self, *_: object) -> None:
        self._reactor.callFromThread(self._act)  # this is in the middle of anything

    def _act(self) -> None:
        if self._terminal is not None and not os.isatty(self._terminal):
            self._log.info("the terminal is gone")
            self._reactor.stop()
            return
        try:
            self.reload()
        except Exception:
            self._log.failure("SIGHUP could not be obeyed")


def foreground_terminal() -> int | None:
    """Return a descriptor of the terminal that this process is in the foreground of; None: there is none.

    Who runs in the background is left alone by a terminal that is closed, and may be sent SIGHUP later for a reload.
    """
    for fd in (0, 1, 2):
        try:
            if os.tcgetpgrp(fd) == os.getpgrp():
                return fd
        except OSError:
            pass  # closed, or not the terminal of this session
    return None


def _nothing() -> None:
    """What is read for the first time needs no reading again."""


def hang_up(state_dir: str) -> int | None:
    """Send SIGHUP to the server that runs with a state directory.

    Returns:
        its process; None: no server runs with it on this machine, or in this container.

    Raises:
        OSError: it is not known whether one runs, or the signal may not be sent.
    """
    pid = lock_holder(state_dir)
    if pid is None:
        return None
    try:
        # The descriptor stays with the process that is looked at, whoever has its number by the time of the signal.
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        if not has_title(pid, "manager"):
            return None
        signal.pidfd_send_signal(pidfd, signal.SIGHUP)
    except ProcessLookupError:
        return None
    finally:
        os.close(pidfd)
    return pid
