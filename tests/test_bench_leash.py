"""What a benchmark started ends when the benchmark does, however that was."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LEASH = Path(__file__).parent.parent / "bench" / "leash.py"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for ever."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as waiting:
        yield waiting
        waiting.kill()


def leash(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(LEASH), str(process.pid)], stdin=subprocess.PIPE)


def test_the_end_of_the_pipe_ends_the_process(process: subprocess.Popen[bytes]) -> None:
    """Whoever holds the other end of the pipe is gone: the process is asked to end."""
    with leash(process) as one:
        assert one.stdin is not None
        one.stdin.write(b"something")
        one.stdin.close()
        assert one.wait(60) == 0
    assert process.wait(60) == -signal.SIGTERM


def test_a_process_that_is_gone() -> None:
    """When the process has ended by itself, there is nothing to do and nobody else is hit."""
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    with leash(gone) as one:
        assert one.stdin is not None
        one.stdin.close()
        assert one.wait(60) == 0
