"""Processes that have a name in `ps`, whoever's it is, and tell of each SIGHUP."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType

_CODE = """
import os, setproctitle, signal, sys
setproctitle.setproctitle(sys.argv[1])
# Not print: a signal that comes while it is under way would have it called in itself, which it refuses.
signal.signal(signal.SIGHUP, lambda *_: os.write(1, b"told\\n"))
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""


class Stranger:
    """One process; a context manager, at whose end it is killed."""

    def __init__(self, title: str) -> None:
        """
        Args:
            title: its name.
        """
        self._process = subprocess.Popen([sys.executable, "-c", _CODE, title], stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def __enter__(self) -> Stranger:
        assert self.line() == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def line(self) -> str:
        """Wait for the next thing that it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")
