"""Another process that takes turns when it is told to, and is done with them; a reactor for those who wait."""

from __future__ import annotations

import os
import signal

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import MemoryReactorClock

from megacomet.turns import Turns


class MemoryReactor(MemoryReactorClock):
    """Twisted's in memory, with what `megacomet.forking.Reactor` adds.

    Attributes:
        asked: how often it was asked whether something waits.
        waits: what it answers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.waits = False

    def add_exclusive_reader(self, reader: IReadDescriptor) -> None:
        """Add a reader like any other."""
        self.addReader(reader)

    def is_anything_waiting(self) -> bool:
        """Answer what it is told to."""
        self.asked += 1
        return self.waits


class Fork:
    """A fork of this process, until its end."""

    def __init__(self, turns: Turns) -> None:
        self._asking, asked = os.pipe()
        telling, self._told = os.pipe()
        self._ask, self._hear = asked, telling
        self.pid = os.fork()
        if self.pid == 0:
            os.close(asked)
            while word := os.read(self._asking, 1):
                if word == b"t":
                    os.write(self._told, b"y" if turns.take() else b"n")
                elif word == b"w":
                    turns.wait(MemoryReactor(), lambda: None)
                    os.write(self._told, b"y")
                else:
                    turns.slice_over(is_done=True)
                    os.write(self._told, b"y")
            os._exit(0)
        os.close(self._asking)
        os.close(self._told)

    def does(self, word: bytes) -> bool:
        """Let it take a turn (`t`), wait for one (`w`) or be done (`g`); tells whether it could."""
        os.write(self._ask, word)
        return os.read(self._hear, 1) == b"y"

    def end(self, number: int = signal.SIGKILL) -> None:
        """Kill it."""
        os.kill(self.pid, number)
        os.waitpid(self.pid, 0)
        os.close(self._ask)
        os.close(self._hear)
