"""The zygote's protocol, on a real process that forks: what a manager asks, and what becomes of workers without one."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from megacomet.forking import sigterm
from megacomet.listeners import Address, Listener, Listeners
from megacomet.manager.takeover import take_over
from megacomet.settings import Settings, to_json
from megacomet.zygote import Birth, Run, Zygote

WAIT_S = 30.0
SETTINGS = Settings(stop_s=1, state_dir="/nowhere")
IGNORED = (signal.SIGINT, signal.SIGHUP)


def waits(number: int, listeners: list[Listener]) -> int:
    """A worker that lives until a signal ends it."""
    signal.pause()
    return 0


class Running:
    """A zygote in a process of its own, with two workers' sockets."""

    def __init__(self, path: Path, run: Run) -> None:
        self.path = str(path)
        self.sockets = {number: socket.socket() for number in range(2)}
        self.sockets[0].bind(("127.0.0.1", 0))
        self.sockets[1].bind(("127.0.0.1", 0))
        self.listeners = Listeners([Address("http://x", "public", False, self.sockets)])
        control = socket.socket(socket.AF_UNIX)
        control.bind(self.path)
        control.listen()
        layout, descriptors = self.listeners.pack()
        birth = Birth("us", to_json(SETTINGS), "/nowhere/link.sock", "c0ffee", layout, len(descriptors), 2)
        self.pid = os.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                for number in IGNORED:
                    signal.signal(number, signal.SIG_IGN)
                sigterm.install()
                Zygote(birth, SETTINGS, control, self.listeners, run).serve()
            os._exit(0)
        self.pidfd = os.pidfd_open(self.pid)
        control.close()

    def ended(self) -> bool:
        """Wait for its end."""
        return bool(select.select([self.pidfd], [], [], WAIT_S)[0])

    def close(self) -> None:
        """Leave nothing."""
        if not select.select([self.pidfd], [], [], 0)[0]:
            with contextlib.suppress(OSError):
                Connection(self.path).ask("end")
            if not self.ended():
                os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.listeners.close()


class Connection:
    """A connection to the control socket."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def ask(self, op: str, **more: object) -> None:
        self.socket.sendall(json.dumps({"op": op, **more}).encode() + b"\n")

    def next(self) -> dict[str, Any]:
        """The next event."""
        event: dict[str, Any] = json.loads(self.file.readline())
        return event

    def supervise(self) -> dict[str, Any]:
        self.ask("supervise")
        return self.next()

    def fork(self, number: int) -> int:
        """A new worker's process."""
        self.ask("fork", worker=number)
        event = self.next()
        assert (event["event"], event["worker"]) == ("forked", number)
        pid: int = event["pid"]
        return pid

    def close(self) -> None:
        self.file.close()
        self.socket.close()


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a zygote whose workers run a function, and ends it."""
    made: list[Running] = []

    def starts(run: Run = waits) -> Running:
        made.append(Running(tmp_path / f"zygote{len(made)}.sock", run))
        return made[-1]

    yield starts
    for each in made:
        each.close()


@contextlib.contextmanager
def supervised(running: Running) -> Iterator[Connection]:
    """A manager's connection."""
    connection = Connection(running.path)
    try:
        connection.supervise()
        yield connection
    finally:
        connection.close()


def test_hello(start: Start) -> None:
    """Who supervises learns the process, what it was made from, and its workers."""
    running = start()
    connection = Connection(running.path)
    hello = connection.supervise()
    assert hello["event"] == "hello"
    assert (hello["pid"], hello["birth"], hello["nonce"]) == (running.pid, "us", "c0ffee")
    assert hello["workers"] == {}
    connection.close()


@pytest.mark.parametrize(("ending", "code"), [(lambda *_: 0, 0), (lambda *_: 3, 3), (lambda *_: sys.exit(4), 4)])
def test_a_workers_exit_status(start: Start, ending: Run, code: int) -> None:
    """The end of a worker is told with its number and its exit status."""
    with supervised(start(ending)) as manager:
        pid = manager.fork(1)
        assert manager.next() == {"event": "exited", "worker": 1, "pid": pid, "code": code}


def test_a_worker_that_fails(start: Start) -> None:
    """A worker that raises ends with a status of its own; the zygote's stack is never returned to."""

    def fails(number: int, listeners: list[Listener]) -> int:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        raise RuntimeError("a bug")

    with supervised(start(fails)) as manager:
        manager.fork(0)
        assert manager.next()["code"] == 70
        manager.fork(0)
        assert manager.next()["code"] == 70


def test_a_worker_that_is_killed(start: Start) -> None:
    """The end of a worker by a signal is told as the signal's number below zero."""
    with supervised(start()) as manager:
        pid = manager.fork(0)
        os.kill(pid, signal.SIGKILL)
        assert manager.next() == {"event": "exited", "worker": 0, "pid": pid, "code": -9}


def test_a_number_is_forked_once(start: Start) -> None:
    """A number that lives is not forked again; who asks is told who it is."""
    with supervised(start()) as manager:
        assert manager.fork(0) == manager.fork(0)
        assert manager.fork(1) != manager.fork(0)


def test_what_a_worker_is_given(start: Start, tmp_path: Path) -> None:
    """A worker has its own sockets, and nothing of the zygote or of other workers."""
    out = tmp_path / "given"

    def tells(number: int, listeners: list[Listener]) -> int:
        if number == 0:
            return waits(number, listeners)
        told = {
            "number": number,
            "listeners": [os.fstat(listener.socket.fileno()).st_ino for listener in listeners],
            "open": list(open_files()),
            "ignored": [signal.getsignal(number) == signal.SIG_IGN for number in IGNORED],
            "ends": sigterm.then == sigterm.end,
        }
        out.write_text(json.dumps(told))
        return 0

    ours = list(open_files())  # the zygote of this test is a fork of the tests' process
    running = start(tells)
    inodes = [os.fstat(each.fileno()).st_ino for each in running.sockets.values()]
    with supervised(running) as manager:
        manager.fork(0)
        manager.fork(1)
        assert manager.next()["code"] == 0
    told = json.loads(out.read_text())
    assert told["number"] == 1
    assert told["listeners"] == [inodes[1]]
    assert f"socket:[{inodes[1]}]" in told["open"]
    assert f"socket:[{inodes[0]}]" not in told["open"]
    assert told["open"].count("anon_inode:[pidfd]") <= ours.count("anon_inode:[pidfd]")
    assert (told["ignored"], told["ends"]) == ([True, True], True)


def open_files() -> Iterator[str]:
    """What this process has open; what pytest had open when it forked is not the zygote's to close."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{name}")


def test_it_outlives_its_manager(start: Start) -> None:
    """Without a manager workers go on, the next manager finds them, and with the last one the zygote ends."""
    running = start()
    with supervised(running) as manager:
        pids = {"0": manager.fork(0), "1": manager.fork(1)}
    second = Connection(running.path)
    assert second.supervise()["workers"] == pids
    second.close()
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    assert running.ended()


def test_nobody_queues_at_a_worker_that_died_without_a_manager(start: Start) -> None:
    """Where no successor will come soon, a dead worker's socket is shut."""
    running = start()
    for each in running.sockets.values():
        each.listen()
    with supervised(running) as manager:
        manager.fork(0)
        pid = manager.fork(1)
    os.kill(pid, signal.SIGKILL)
    watch = select.poll()
    watch.register(running.sockets[1], select.POLLIN)
    assert watch.poll(WAIT_S * 1000)  # shut: its end is an event
    with socket.socket() as client:
        assert client.connect_ex(running.sockets[1].getsockname()) != 0
    with socket.socket() as client:
        assert client.connect_ex(running.sockets[0].getsockname()) == 0


def test_end(start: Start) -> None:
    """At the word of the manager it ends its workers and itself."""
    running = start()
    with supervised(running) as manager:
        manager.fork(0)
        manager.fork(1)
        manager.ask("end")
        assert running.ended()


def test_retire(start: Start) -> None:
    """Asked to retire it asks its workers to go, and kills who does not in the time of a stop."""

    def stubborn(number: int, listeners: list[Listener]) -> int:
        if number == 1:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()

    running = start(stubborn)
    with supervised(running) as manager:
        manager.fork(0)
        manager.fork(1)
        manager.ask("retire")
        codes = {event["worker"]: event["code"] for event in (manager.next(), manager.next())}
    assert codes[0] == -signal.SIGTERM
    assert codes[1] in (-signal.SIGKILL, -signal.SIGTERM)
    assert running.ended()


@pytest.mark.parametrize(
    "line",
    [b"nonsense", b"[]", b"{}", b'{"op":"dance"}', b'{"op":"fork"}', b'{"op":"fork","worker":"x"}', b"\xff\xfe"],
)
def test_requests_that_are_none(start: Start, line: bytes) -> None:
    """A request that nobody understands is answered with an error, and the connection goes on."""
    with supervised(start()) as manager:
        manager.socket.sendall(line + b"\n")
        assert manager.next()["event"] == "error"
        manager.fork(0)


def test_a_request_without_end(start: Start) -> None:
    """A flood without a line's end is cut off, and the zygote serves others."""
    running = start()
    flood = Connection(running.path)
    with contextlib.suppress(OSError):
        flood.socket.sendall(b"x" * 200_000)
    with contextlib.suppress(OSError):
        assert flood.file.readline() == b""
    flood.close()
    with supervised(running) as manager:
        manager.fork(0)


def test_takeover(start: Start) -> None:
    """The next manager is given the sockets and the secret of a zygote that was made as its own would be."""
    running = start()
    with supervised(running) as manager:
        manager.fork(0)
    found = take_over(running.path, "us", 1)
    assert found is not None
    assert (found.nonce, found.workers) == ("c0ffee", 1)
    names = [found.listeners.of(number)[0].socket.getsockname() for number in range(2)]
    assert names == [running.sockets[number].getsockname() for number in range(2)]
    found.listeners.close()


def test_takeover_of_others(start: Start) -> None:
    """A zygote that was made from other settings is gone when the next manager goes on."""
    running = start()
    with supervised(running) as manager:
        manager.fork(0)
    assert take_over(running.path, "others", 1) is None
    assert running.ended()


def test_takeover_of_nothing(tmp_path: Path) -> None:
    """No socket, or one that nobody listens on, is nothing to take over."""
    assert take_over(str(tmp_path / "none"), "us", 1) is None
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    assert take_over(str(tmp_path / "dead"), "us", 1) is None
