"""The Python client, without a browser: on Twisted's reactor and in a program of asyncio, each in its process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any, Final, Self

from tests.integration.crews import Shows
from tests.integration.numbers import Gap, Message
from tests.integration.server import LINE_S, environ

_ROOT: Final = Path(__file__).parents[2]
ALL: Final = ("websocket", "sse", "poll")
#: What stands for the transport of a client that does not come back.
ENDED: Final = "ended"
#: Kind of program -> its clients with their options.
PROGRAMS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "twisted": {
        "twisted": {},
        "pywebsocket": {"transports": ["websocket"]},
        "pysse": {"transports": ["sse"]},
        "pypoll": {"transports": ["poll"]},
    },
    "asyncio": {"asyncio": {}},
}


class PythonCrew(Shows):
    """See `Crew`; a context manager.

    Attributes:
        clients: see `Crew`.
        errors: what has ended clients, in words, and what went to the standard error.
    """

    def __init__(self, port: int, hurry: int, programs: Mapping[str, Mapping[str, Any]] = PROGRAMS) -> None:
        """
        Args:
            port: where to connect, on the loopback.
            hurry: how many times as fast their clocks run.
            programs: what runs.
        """
        super().__init__()
        self.errors: list[str] = []
        self.clients = {
            name: tuple(options.get("transports", ALL))
            for clients in programs.values()
            for name, options in clients.items()
        }
        command = [sys.executable, "-m", "tests.integration.python_clients", str(port), str(hurry)]
        pipes: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": environ(),
            "cwd": _ROOT,
        }
        self._processes = [
            subprocess.Popen([*command, kind, json.dumps(clients)], **pipes) for kind, clients in programs.items()
        ]
        self._threads = [
            threading.Thread(target=read, args=(one,))
            for one in self._processes
            for read in (self._read, self._complain)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        try:
            for name, transports in self.clients.items():
                self.wait_transport(name, transports[0])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *reason: object) -> None:
        self.wake()
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            try:
                process.wait(LINE_S)
            finally:
                process.kill()
                process.wait()
        for thread in self._threads:
            thread.join(LINE_S)
        for process in self._processes:
            for pipe in (process.stdout, process.stderr):
                assert pipe is not None
                pipe.close()

    def sleep(self) -> None:
        """See `Crew`."""
        for process in self._processes:
            process.send_signal(SIGSTOP)

    def wake(self) -> None:
        """See `Crew`. Their clock has stood still, as that of a machine that sleeps does."""
        for process in self._processes:
            process.send_signal(SIGCONT)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            client = told["client"]
            if "state" in told:
                self.is_at(client, told["transport"] if told["state"] == "connected" else "")
            elif "error" in told:
                self.errors.append(f"{client}: {told['error']}")
                self.is_at(client, ENDED)
            else:
                shown = Message(told["number"], told["id"]) if "id" in told else Gap()
                self.show(client, told["channel"], shown)

    def _complain(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.errors.append(line.decode().rstrip())

    def wait_error(self, client: str) -> None:
        """Wait until a client has ended."""
        self.wait_transport(client, ENDED)

    def faults(self) -> list[str]:
        """Return what has ended clients, and what was written to the standard error."""
        return self.errors
