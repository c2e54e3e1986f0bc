"""A real server for a test: starts `twistd -n megacomet`, reads its log, knows its processes, and leaves none behind.

Everything here waits for an event (a line of the log, the end of a process) with a bound: a multiple of `UNIT_S`, which
a slow machine may stretch with MEGACOMET_TEST_UNIT_S.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import psutil

from megacomet.zygote import UNWANTED_S

_UNIT: Final = "MEGACOMET_TEST_UNIT_S"
UNIT_S: Final = float(os.environ.get(_UNIT, "5"))
#: A start imports for half a second on an idle machine; an orderly stop has `stop_s`.
START_S: Final = 6 * UNIT_S
STOP_S: Final = 6 * UNIT_S
LINE_S: Final = 3 * UNIT_S

_READY: Final = re.compile(r"ready: (\S+(?: \S+)*?), (\d+) workers?, up to (\d+) connections")
_KEY: Final = re.compile(r"API key (\S+) ")
_TITLE: Final = re.compile(r"megacomet: (manager|zygote|worker (\d+))$")


class Server:
    """One server, from its start to its last process' end; a context manager.

    Attributes:
        state_dir: its state directory.
        addresses: as the ready line told them.
        host, port: of the first HTTP address; of all interfaces, the loopback.
        key: of the API, as the log told it or as the option gave it.
        lines: of its log so far.
    """

    def __init__(
        self,
        state_dir: Path,
        *options: str,
        twistd: Sequence[str] = (),
        workers: int = 2,
        env: dict[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        wrapper: Sequence[str] = (),
    ) -> None:
        """
        Args:
            state_dir: for its state; the pid file stands beside it.
            options: of megacomet.
            twistd: twistd's own options.
            workers: how many.
            env: more variables.
            pass_fds: descriptors that the process inherits.
            wrapper: a command to start it with.
        """
        self.state_dir = state_dir
        self.pid_file = state_dir.parent / f"{state_dir.name}.pid"
        self.addresses: list[str] = []
        self.host = "127.0.0.1"
        self.port = 0
        self.key = ""
        self.lines: list[str] = []
        self._command = [
            *wrapper,
            *(sys.executable, "-c", _TWISTD, "--nodaemon", f"--pidfile={self.pid_file}", *twistd, "megacomet"),
            *(f"--state-dir={state_dir}", f"--workers={workers}", *options),
        ]
        self._env = {**environ(), **(env or {})}
        self._pass_fds = pass_fds
        self._unread = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: dict[int, psutil.Process] = {}

    # -- life

    def launch(self) -> Server:
        """Start the process, and wait for nothing."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._env,
            pass_fds=self._pass_fds,
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        return self

    def launch_daemon(self) -> tuple[int, str]:
        """Start a daemon; return exit code and output of the command, which ends when the daemon stands."""
        command = [word for word in self._command if word != "--nodaemon"]
        # The daemon closes its terminal; a pipe would be inherited by nobody.
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self._env,
            timeout=START_S,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def adopt(self, earlier: Server) -> None:
        """Count the processes that an earlier manager has left as this server's."""
        self._seen.update(earlier._seen)

    def wait_ready(self) -> Server:
        """Wait for the ready line; note addresses and key."""
        line = self.wait_line(_READY.pattern, START_S)
        found = _READY.search(line)
        assert found is not None
        self.addresses = found[1].split()
        tcp = [address for address in self.addresses if address.startswith("http://")]
        if tcp:
            host, _, port = tcp[0].removeprefix("http://").rpartition(":")
            self.host, self.port = host.replace("0.0.0.0", "127.0.0.1"), int(port)
        keys = [made[1] for earlier in self.lines if (made := _KEY.search(earlier))]
        key_file = self.state_dir / "api-key"
        self.key = keys[0] if keys else key_file.read_text().strip() if key_file.exists() else ""
        self.processes()
        return self

    def __enter__(self) -> Server:
        try:
            return self.launch().wait_ready()
        except BaseException:
            self.kill_all()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._process is not None and self._process.poll() is None:
                self.stop()
            if kind is None:
                self.assert_nothing_left()
        finally:
            if kind is not None:
                print("\n".join(["", f"-- the log of {self.state_dir.name} --", *self.lines]))
            self.kill_all()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the manager to end, and return how it did; nothing of it is left then."""
        self.processes()
        assert self._process is not None
        self._process.send_signal(number)
        code = self.wait_end()
        self.assert_nothing_left()
        return code

    def wait_end(self) -> int:
        """Wait for the end of the manager, reading its log; return its exit code."""
        process = self._process
        assert process is not None
        for _ in self._new_lines(STOP_S):
            pass
        return process.wait(STOP_S)

    def assert_nothing_left(self) -> None:
        """Fail if a process that the server ever had is still there."""
        left = [one for one in self._seen.values() if is_alive(one)]
        # A zygote whose manager was ended before it came takes a time of its own.
        psutil.wait_procs(left, timeout=UNWANTED_S + STOP_S)
        left = [one for one in left if is_alive(one)]
        assert not left, f"processes were left behind: {left}"

    def kill_all(self) -> None:
        """End whatever is left, after a test that failed or that has killed the manager."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(psutil.Error):
                self.processes()
            self._process.kill()
            self._process.wait()
        for one in self._seen.values():
            with contextlib.suppress(psutil.Error):
                if is_alive(one):
                    one.kill()
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()

    # -- its log

    def wait_line(self, pattern: str, seconds: float = LINE_S, after: int = 0) -> str:
        """Return the first line that the pattern is found in.

        Args:
            pattern: a regular expression.
            seconds: how long to wait for it.
            after: number of lines to pass over; `len(lines)` for what is to come.
        """
        for line in self.lines[after:]:
            if re.search(pattern, line):
                return line
        for line in self._new_lines(seconds):
            if re.search(pattern, line):
                return line
        raise AssertionError(f"no line with {pattern!r} in the log:\n" + "\n".join(self.lines))

    def _new_lines(self, seconds: float) -> Iterator[str]:
        """Read the log until it ends or the time is over."""
        assert self._process is not None
        assert self._process.stdout is not None
        until = time.monotonic() + seconds
        out = self._process.stdout.fileno()
        while (left := until - time.monotonic()) > 0:
            if not select.select([out], [], [], left)[0]:
                return
            data = os.read(out, 65_536)
            if not data:
                return
            *lines, self._unread = (self._unread + data).split(b"\n")
            texts = [line.decode() for line in lines]
            self.lines += texts
            yield from texts

    # -- its processes

    def processes(self) -> dict[str, psutil.Process]:
        """Return the running processes by title: manager, zygote, worker 0 ..."""
        candidates = list(self._seen.values())
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                manager = psutil.Process(self._process.pid)
                candidates += [manager, *manager.children(recursive=True)]
        found: dict[str, psutil.Process] = {}
        for one in candidates:
            with contextlib.suppress(psutil.Error):
                title = _TITLE.search(" ".join(one.cmdline()).strip())
                if title is not None and is_alive(one):
                    found[title[1]] = one
                    self._seen[one.pid] = one
        return found

    def pid(self, title: str) -> int:
        """Return the process number of "manager", "zygote" or "worker 3"."""
        return self.processes()[title].pid

    def kill(self, title: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a process, and return its number; SIGKILL is waited for."""
        one = self.processes()[title]
        one.send_signal(number)
        if number == signal.SIGKILL:
            wait_gone(one)
            if self._process is not None and one.pid == self._process.pid:
                self._process.wait()
        return one.pid

    def ask_zygote(self, op: str) -> dict[str, Any]:
        """Ask the running zygote over its control socket."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(LINE_S)
            control.connect(str(self.state_dir / "link" / "zygote.sock"))
            control.sendall(json.dumps({"op": op}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(control.makefile("rb").readline())
            return answer

    # -- its port

    def connect(self, host: str = "") -> socket.socket:
        """Open a connection to the public port."""
        return socket.create_connection((host or self.host, self.port), LINE_S)

    def get(self, path: str, host: str = "") -> bytes:
        """Ask for a path on a connection of its own; return all that comes."""
        with self.connect(host) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
            return read_all(client)

    def push(self, body: dict[str, Any]) -> bytes:
        """POST to /api/push; return the whole answer."""
        data = json.dumps(body).encode()
        head = (
            f"POST /api/push HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        with self.connect() as client:
            client.sendall(head.encode() + data)
            return read_all(client)


def environ() -> dict[str, str]:
    """Return the environment for our programs, which refuse to start with what is none of their settings."""
    return {name: value for name, value in os.environ.items() if name != _UNIT}


class LogFile:
    """A log in a file, followed by events of the file system."""

    def __init__(self, path: Path) -> None:
        """Follow a file that is there."""
        self._path = path

    def wait_line(self, pattern: str, seconds: float = START_S) -> str:
        """Return the first line that the pattern is found in, waiting for the file to change."""
        changes = subprocess.Popen(
            ["tail", "-n", "+1", "-f", str(self._path)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert changes.stdout is not None
        lines: list[str] = []
        try:
            while select.select([changes.stdout], [], [], seconds)[0]:
                lines.append(changes.stdout.readline().decode())
                if re.search(pattern, lines[-1]):
                    return lines[-1]
        finally:
            changes.kill()
            changes.wait()
            changes.stdout.close()
        raise AssertionError(f"no line with {pattern!r} in the log:\n" + "".join(lines))


#: As the command twistd does; `-m twisted` is another program.
_TWISTD: Final = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"


def read_all(client: socket.socket) -> bytes:
    """Read until the other end closes."""
    pieces = []
    while piece := client.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def is_alive(one: psutil.Process) -> bool:
    """Tell whether it runs; a zombie does not."""
    try:
        return one.is_running() and one.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_gone(one: psutil.Process) -> None:
    """Wait for the end of any process, ours or not."""
    try:
        pidfd = os.pidfd_open(one.pid)
    except ProcessLookupError:
        return
    end = select.poll()  # a test may have more descriptors than select(2) can name
    end.register(pidfd, select.POLLIN)
    try:
        assert end.poll(STOP_S * 1000), f"{one} does not end"
    finally:
        os.close(pidfd)
