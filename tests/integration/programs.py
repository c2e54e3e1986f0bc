"""Programs that a user starts on a terminal: what they say is read, and they end with Ctrl-C.

Waits have the bounds of `server`.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.integration.server import START_S, STOP_S, environ

#: Where the commands of the tests' own Python are: `megacomet`, `twistd`, `flask` …
COMMANDS: Final = Path(sys.executable).parent


def user_environ(**more: str) -> dict[str, str]:
    """Return the environment of a user who has our Python's commands on the path, and nothing else of ours."""
    bare = {name: value for name, value in environ().items() if not name.startswith(("MEGACOMET_", "PYTHON"))}
    path = f"{COMMANDS}:{os.environ['PATH']}"
    return {**bare, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", **more}


class Program:
    """A line of a shell that runs until it is ended; a context manager.

    Attributes:
        output: what it has said so far, on stdout and stderr.
    """

    def __init__(self, line: str, cwd: Path, env: dict[str, str]) -> None:
        """
        Args:
            line: for /bin/sh.
            cwd: where it is started.
            env: all of its environment.
        """
        self.output = ""
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", line],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a terminal's Ctrl-C reaches all processes of its session
        )

    def wait_for(self, pattern: str, seconds: float = START_S) -> re.Match[str]:
        """Wait until a regular expression is found in what it says; return the match."""
        assert self._process.stdout is not None
        until = time.monotonic() + seconds
        out = self._process.stdout.fileno()
        while (found := re.search(pattern, self.output)) is None:
            ready = select.select([out], [], [], max(0, until - time.monotonic()))[0]
            said = os.read(out, 65_536) if ready else b""
            assert said, f"no {pattern!r} in what it says:\n{self.output}"
            self.output += said.decode()
        return found

    def interrupt(self) -> int:
        """Press Ctrl-C; return how it ended."""
        os.killpg(self._process.pid, signal.SIGINT)
        out, _ = self._process.communicate(timeout=STOP_S)
        self.output += out.decode()
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.interrupt()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        if kind is not None:
            print(f"-- what it said --\n{self.output}")


def run(line: str, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell to its end."""
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
