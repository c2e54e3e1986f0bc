"""Owns the processes of a benchmark: the servers that are measured and the load client.

Each ends with its block, and by its leash when the benchmark is killed and has no time to end anything. Each is a
session of its own: what a terminal sends to all its processes reaches the benchmark alone, which ends the others.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench import measure
from megacomet.doctor.readings import Files
from megacomet.swarm import own_server
from megacomet.swarm.sources import first_port

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent
_READY_S = 60.0
_STOP_S = 60.0


class Server:
    """A server under measurement.

    Attributes:
        process: the one that was started; the others descend from it.
        port: where it listens, on 127.0.0.1.
        key: for its API, "" without one.
        push_port: where it takes pushes.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, key: str = "", key_file: str = "", push_port: int = 0
    ) -> None:
        self.process = process
        self.port = port
        self.key = key
        self.key_file = key_file
        self.push_port = push_port or port

    @property
    def url(self) -> str:
        """Where the load goes."""
        return f"http://127.0.0.1:{self.port}"

    def pids(self) -> list[int]:
        """Return all processes of the server."""
        return measure.tree(self.process.pid)

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask for a path with the key; (0, b"") when nobody answers."""
        return self.call("GET", path)

    def call(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        """Make one request with the key; (0, b"") when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def counted(self, transport: str) -> int:
        """Return how many connections of a transport the server itself counts, -1 when it does not say."""
        status, body = self.get("/api/stats")
        return int(json.loads(body)["connections"][transport]) if status == 200 else -1

    def push(self, data: str, **target: object) -> None:
        """Push one message.

        Raises:
            RuntimeError: it was not accepted.
        """
        status, body = self.call("POST", "/api/push", json.dumps({**target, "data": data}))
        if status != 200:
            raise RuntimeError(f"push to {target}: {status} {body[:200]!r}")

    def push_to_everyone(self) -> None:
        """Push one message to all, such as the load client recognises."""
        self.push(f"0 * {time.monotonic_ns()}", everyone=True)


def free_port() -> int:
    """Return a port that nobody uses, below those that the kernel gives to clients."""
    return own_server.free_port(0, first_port(Files()))


@contextlib.contextmanager
def megacomet(workers: int, *options: str, environ: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run MegaComet with a state directory of its own; `environ` is added to the environment, also to PYTHONPATH."""
    with tempfile.TemporaryDirectory() as state, open(f"{state}/log", "wb") as log:
        port = free_port()
        more = dict(environ or {})
        whole = own_server.environment(state, {**os.environ, "PYTHONPATH": more.pop("PYTHONPATH", "")}) | more
        command = own_server.command("--port", str(port), "--workers", str(workers), *options)
        with running(command, whole, log) as process:
            server = Server(process, port, key_file=f"{state}/api-key")
            try:
                measure.wait_for(lambda: _up(process, server, "/readyz"), _READY_S, "the server's readiness")
            except BaseException:
                sys.stderr.write(Path(f"{state}/log").read_text(errors="replace")[-4000:])
                raise
            server.key = Path(server.key_file).read_text().strip()
            yield server


def _up(process: subprocess.Popen[bytes], server: Server, path: str) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the server ended with status {process.returncode}")
    return server.get(path)[0] == 200


@contextlib.contextmanager
def bare_loop(workers: int) -> Iterator[Server]:
    """Run the bare loop; a line to `process.stdin` makes it write to all streams."""
    port = free_port()
    command = [sys.executable, str(HERE / "bare_loop.py"), str(workers), str(port)]
    with running(command, dict(os.environ), None, asked=False) as process:
        measure.wait_for(lambda: listens(port), _READY_S, "the bare loop")
        yield Server(process, port)


@contextlib.contextmanager
def bare_klein() -> Iterator[Server]:
    """Run the bare Klein endpoint."""
    port = free_port()
    with running([sys.executable, str(HERE / "bare_klein.py"), str(port)], dict(os.environ), None) as process:
        measure.wait_for(lambda: listens(port), _READY_S, "Klein")
        yield Server(process, port, key="none")


def listens(port: int) -> bool:
    """Tell whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running(
    command: list[str], environ: dict[str, str], log: Any, asked: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server with all its processes; `asked`: it is told to end by SIGTERM, else it ends with its input."""
    process = subprocess.Popen(
        command, env=environ, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
    )
    try:
        with _leashed(process):
            yield process
    finally:
        pids = measure.tree(process.pid)
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        if asked:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            print(f"the server did not stop within {_STOP_S:.0f} s", file=sys.stderr)
        for pid in pids:
            _end(pid, command)


@contextlib.contextmanager
def _leashed(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Have the process end when this one does, even by SIGKILL; after the block it is the caller's to end."""
    command = [sys.executable, str(HERE / "leash.py"), str(process.pid)]
    leash = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        leash.kill()
        leash.communicate()


def _end(pid: int, command: list[str]) -> None:
    """Kill a process of the tree that outlived it (the bare loop's children may take a moment)."""
    end = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        print(f"had to kill process {pid} of {command[0]}", file=sys.stderr)


class Load:
    """A run of the load client, with its live counts."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.live: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("{"):
                self.live = json.loads(line)
            else:
                sys.stderr.write(line)

    def told(self, name: str) -> int:
        """Return what it told last of one of its counts, 0 before it has told anything.

        Raises:
            RuntimeError: the load client has ended.
        """
        if self.process.poll() is not None:
            raise RuntimeError(f"the load client ended with status {self.process.returncode}")
        return int(self.live.get(name, 0))

    def waits(self, clients: int) -> bool:
        """Whether so many clients wait.

        Raises:
            RuntimeError: the load client has ended.
        """
        return self.told("waiting") >= clients

    def pids(self) -> list[int]:
        """Return its processes."""
        return measure.tree(self.process.pid)

    def finish(self) -> dict[str, Any]:
        """Interrupt it and return its report."""
        self.process.send_signal(signal.SIGINT)
        return self.report()

    def report(self, tell: bool = True) -> dict[str, Any]:
        """Wait for its end and return its report; `tell` what it complains of."""
        assert self.process.stdout is not None
        text = self.process.stdout.read()
        self.process.wait()
        self._reader.join()
        if not text:
            raise RuntimeError(f"the load client ended with status {self.process.returncode} and no report")
        report: dict[str, Any] = json.loads(text)
        for problem in report["problems"] if tell else ():
            print(f"  load client: {problem}", file=sys.stderr)
        return report


def load(server: Server, clients: int, *options: str) -> AbstractContextManager[Load]:
    """Run the load client against the server; `--hold` for as long as the block lasts unless it is given."""
    command = ["megacomet.swarm", "--url", server.url, "--clients", str(clients), "--json"]
    command += options if "--hold" in options else ("--hold", "3600", *options)
    return _loading(command, server.key)


def whole_run(clients: int, workers: int, *options: str) -> AbstractContextManager[Load]:
    """Run a whole run, which starts its own server."""
    sizes = ("--clients", str(clients), "--server-workers", str(workers))
    return _loading(["megacomet.swarm", "--whole", *sizes, "--json", *options], "")


def readers(server: Server, streams: int, transport: str, path: str, *options: str) -> AbstractContextManager[Load]:
    """Run the readers against the server for as long as the block lasts; `path` may hold `{n}`, the stream's number."""
    command = ["bench.readers", "--port", str(server.port), "--streams", str(streams)]
    return _loading([*command, "--transport", transport, "--path", path, *options], server.key)


def pushers(server: Server, to: str, *options: str) -> AbstractContextManager[Load]:
    """Run the load client of single pushes; `to`: whose requests it makes."""
    return _loading(["bench.pushers", "--port", str(server.push_port), "--to", to, *options], server.key)


def feeders(server: Server, *options: str) -> AbstractContextManager[Load]:
    """Run the load client of batches."""
    return _loading(["bench.feeders", "--port", str(server.port), *options], server.key)


@contextlib.contextmanager
def _loading(command: list[str], key: str) -> Iterator[Load]:
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MEGACOMET_API_KEY": key},
        start_new_session=True,
    )
    run = Load(process)
    try:
        with _leashed(process):
            yield run
    finally:
        if process.poll() is None:
            process.terminate()
            process.terminate()
        process.wait()
