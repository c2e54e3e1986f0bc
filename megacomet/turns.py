"""Whose turn it is: a few of many processes at a time may do what takes long.

A broadcast has every worker busy at once. Where they are more than the processors, each of them would wait for the
others between any two of its slices, and so would a message to a single client that comes meanwhile. So only as many as
there are processors work on broadcasts; the others are free for what is short.

The turns are locks on the bytes of a file without a name, which all forks of a process share (fcntl(2), F_SETLK): the
kernel gives back those of a process that dies.
"""

from __future__ import annotations

import fcntl
import os
from typing import Final

#: Slices in a row that a process may have; then it lets the others have theirs.
SLICES: Final = 20


class Turns:
    """Turns that the forks of this process share.

    Attributes:
        goes_on: whether the process that had a turn may ask for the next one at once, else a little later.
    """

    def __init__(self, places: int) -> None:
        """So many may have their turn at a time."""
        self.goes_on = False
        self._places = places
        self._file = os.memfd_create("megacomet-turns")
        self._at = -1
        self._slices = 0

    def take(self) -> bool:
        """Have a turn for one slice, unless all are taken; tells whether this process has one."""
        self.goes_on = False
        first = os.getpid()
        for n in range(self._places):
            at = (first + n) % self._places
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
            except BlockingIOError:
                continue
            self._at = at
            self._slices = (self._slices + 1) % SLICES
            self.goes_on = self._slices > 0
            return True
        return False

    def give_back(self) -> None:
        """The slice is over; without a turn nothing happens."""
        if self._at >= 0:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._at)
            self._at = -1

    def close(self) -> None:
        """Have no more turns."""
        os.close(self._file)
