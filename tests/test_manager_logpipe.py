"""The named pipe of the log: never in the way of who writes, and the next manager reads on."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from megacomet.logs import LogRelay
from megacomet.manager.logpipe import LogPipe


class LogPipeTests(SynchronousTestCase):
    """A pipe, a reactor that the test turns, and what came out."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "log")
        self.reactor = MemoryReactorClock()
        self.said: list[str] = []
        self.pipe = self.open()

    def open(self) -> LogPipe:
        return LogPipe(self.reactor, self.path, LogRelay(self.log, lambda: 0.0))

    def log(self, event: dict[str, Any]) -> None:
        self.said.append(event["relayed_text"])

    def test_lines(self) -> None:
        """What is written comes out, and an empty pipe is nothing to read."""
        writer = self.pipe.open_writer()
        os.write(writer, b"one\ntwo\n")
        self.pipe.doRead()
        self.pipe.doRead()
        self.assertEqual(self.said, ["one", "two"])
        self.assertIn(self.pipe, self.reactor.getReaders())
        os.close(writer)
        self.pipe.doRead()  # no writer is left, and that is no end
        self.pipe.close()
        self.assertNotIn(self.pipe, self.reactor.getReaders())

    def test_nobody_reads(self) -> None:
        """Who writes is told that it is full, and does not wait."""
        writer = self.pipe.open_writer()
        with pytest.raises(BlockingIOError):
            deque(iter(lambda: os.write(writer, b"x" * 4095 + b"\n"), 0))
        os.close(writer)
        self.pipe.close()
        self.assertGreater(len(self.said), 10)

    def test_the_last_words(self) -> None:
        """What is in the pipe at the end is still logged, a line without its end too."""
        writer = self.pipe.open_writer()
        os.write(writer, b"whole\nhalf")
        os.close(writer)
        self.pipe.close()
        self.assertEqual(self.said, ["whole", "half"])

    def test_the_next_manager(self) -> None:
        """A worker that outlives its manager writes to the next one by the descriptor that it has."""
        writer = self.pipe.open_writer()
        self.pipe.close()
        with pytest.raises(BrokenPipeError):
            os.write(writer, b"lost\n")
        self.pipe = self.open()
        os.write(writer, b"found\n")
        self.pipe.doRead()
        self.assertEqual(self.said, ["found"])
        os.close(writer)
        self.pipe.close()

    def test_a_file_in_its_place(self) -> None:
        """Something else of that name makes way."""
        self.pipe.close()
        os.unlink(self.path)
        Path(self.path).write_text("not a pipe")
        self.pipe = self.open()
        writer = self.pipe.open_writer()
        os.write(writer, b"here\n")
        self.pipe.close()
        os.close(writer)
        self.assertEqual(self.said, ["here"])
