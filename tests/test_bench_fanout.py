"""A broadcast of a benchmark ends when all have it, and fails at once when a connection is lost on the way."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.fanout import broadcast
from bench.processes import Load, Server

#: A load client that tells its counts once, and reports when its input ends.
CLIENT = """
import sys
print(sys.argv[1], file=sys.stderr, flush=True)
sys.stdin.read()
print('{"problems": []}')
"""


@contextlib.contextmanager
def load(**counts: object) -> Iterator[Load]:
    """A load client that tells these counts."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", CLIENT, json.dumps(counts)]
    with subprocess.Popen(command, **pipes) as process:
        running = Load(process)
        try:
            yield running
        finally:
            process.stdin.close()
            running.report()


def sent(running: Load, received: int) -> tuple[int, int]:
    return broadcast(lambda _: 7, Server(running.process, 1), running, received)


def test_all_have_it() -> None:
    """It tells when it began and when the last one had it."""
    with load(received=20, lost=0, last_ns=9) as running:
        assert sent(running, 20) == (7, 9)


@pytest.mark.parametrize("received", [19, 20])
def test_a_lost_connection(received: int) -> None:
    """One that is lost is told with the reason, whether it had this message before that or not."""
    wanted = "2 connections were lost while a message went to all: {'closed by the server': 2}"
    counts = {"received": received, "lost": 2, "last_ns": 9, "errors": {"closed by the server": 2}}
    with load(**counts) as running, pytest.raises(RuntimeError, match=wanted):
        sent(running, 20)
