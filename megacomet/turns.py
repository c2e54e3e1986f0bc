"""Whose turn it is: a few of many processes at a time may do what takes long.

A broadcast has every worker busy at once. Where they are more than the processors, each of them would wait for the
others between any two of its slices, and so would a message to a single client that comes meanwhile. So only as many as
there are processors work on broadcasts; the others are free for what is short.

The turns are locks on the bytes of a file without a name, which all forks of a process share (fcntl(2), F_SETLK): the
kernel gives back those of a process that dies. Beside them an eventfd(2) counts how many are free, so that one of those
that wait is woken. The locks say what is true: a count that is too low, after a process that died, costs the others no
more than `ASK_S`; one that is too high is corrected by whoever is woken for nothing.

Who waits has a read lock on one more byte of the file: a turn goes on for as long as nobody does, since who paused then
would pause for nothing, and the kernel forgets those that die.

Turns are short, so that all are done at about the same time: when each did its whole part in one, the last one often
began when the others had ended, and worked alone. And each goes with a processor, to which its holder moves: the
scheduler was seen to leave two of them on one for tens of ms, while the other idled (bench/RESULTS.md).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from megacomet.forking import IReactor

#: Seconds after which a process lets those that wait have theirs, at the end of a slice.
TURN_S: Final = 0.005
#: Seconds for which it leaves its turn to them.
YIELD_S: Final = 0.002
#: Seconds after which who waits asks again without being woken.
ASK_S: Final = 0.05
#: struct flock of fcntl(2): type, whence, start, length, process.
_FLOCK: Final = struct.Struct("@hhqqi")


@implementer(IReadDescriptor)
class Turns:
    """Turns that the forks of this process share."""

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        """So many may have their turn at a time."""
        self._places = places
        self._clock = clock
        self._file = os.memfd_create("megacomet-turns")
        self._free = os.eventfd(places, os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._was_woken = False
        self._at = -1
        self._since = 0.0
        self._pause_s = 0.0
        self._wake: Callable[[], None] | None = None
        self._reactor: IReactor | None = None

    def take(self) -> bool:
        """Have a turn, unless all are taken; tells whether this process has one.

        Who has one already asks before each of the short steps of its slice: all others go first.
        """
        if self._at >= 0:
            os.sched_yield()
            return True
        if not self._was_woken:
            self._count_down()
        self._was_woken = False
        first = os.getpid()
        for n in range(self._places):
            at = (first + n) % self._places
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
            except BlockingIOError:
                continue
            self._at, self._since, self._pause_s = at, self._clock(), 0.0
            self._move()
            self._wait_no_more()
            return True
        self._pause_s = ASK_S
        return False

    def slice_over(self, *, is_done: bool) -> None:
        """A slice is over: the turn is given back when there is no more to do, and when it was long and others wait."""
        is_long = self._at >= 0 and self._clock() - self._since >= TURN_S
        is_over = self._at >= 0 and (is_done or (is_long and self._is_awaited()))
        if is_done:
            self._pause_s = 0.0
            self._wait_no_more()
            self._pass_on()
        elif is_over:
            self._pause_s = YIELD_S
        if is_over:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._at)
            self._at = -1
            os.eventfd_write(self._free, 1)

    def _move(self) -> None:
        """Go to the turn's processor; the scheduler may put this process elsewhere at any time."""
        allowed = os.sched_getaffinity(0)
        with contextlib.suppress(OSError):  # which are allowed has just changed
            os.sched_setaffinity(0, {sorted(allowed)[self._at % len(allowed)]})
            os.sched_setaffinity(0, allowed)

    def close(self) -> None:
        """Have no more turns."""
        os.close(self._file)
        os.close(self._free)

    # -- waiting

    def _pass_on(self) -> None:
        """Who was woken and has nothing to do any more wakes another."""
        if self._was_woken:
            self._was_woken = False
            os.eventfd_write(self._free, 1)

    def _count_down(self) -> bool:
        try:
            os.eventfd_read(self._free)
        except BlockingIOError:
            return False
        return True

    def wait(self, reactor: IReactor, wake: Callable[[], None]) -> float:
        """Return the seconds after which there is a point in going on, or in asking again.

        Args:
            wake: called when a turn that was refused may be free earlier.
        """
        if self._pause_s == ASK_S and self._reactor is None:
            fcntl.lockf(self._file, fcntl.LOCK_SH, 1, self._places)  # nobody ever has it for writing
            reactor.add_exclusive_reader(self)
            self._reactor, self._wake = reactor, wake
        return self._pause_s

    def _wait_no_more(self) -> None:
        if self._reactor is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._places)
            self._reactor.removeReader(self)
            self._reactor = None

    def _is_awaited(self) -> bool:
        """Ask whether another waits for a turn, without a lock that it could run into."""
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, self._places, 1, 0)
        kind, *_ = _FLOCK.unpack(fcntl.fcntl(self._file, fcntl.F_GETLK, asked))
        return bool(kind != fcntl.F_UNLCK)

    def doRead(self) -> None:
        """A turn is free: go and take it, if no other was faster."""
        if not self._count_down():
            return
        self._was_woken = True
        self._wait_no_more()
        assert self._wake is not None
        self._wake()

    def fileno(self) -> int:
        """Return the descriptor of the count, which can be read when a turn is free."""
        return self._free

    def connectionLost(self, reason: Failure) -> None:
        """The reactor is done with it."""

    def logPrefix(self) -> str:
        """Return what Twisted calls it in the log."""
        return "turns"
