"""A whole run of the load client with a server of its own: its page, and that nothing is left however it ends."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from megacomet.doctor.readings import Files
from megacomet.swarm.main import main
from megacomet.swarm.own_server import free_port
from megacomet.swarm.sources import first_port
from megacomet.swarm.whole import END, HOLD, KILL, RAMP, SERVER, STAGES
from tests.integration.server import START_S, STOP_S, UNIT_S, Server

#: By which the processes of one run are found: each inherits its folder for temporary files.
_FOLDER: Final = "TMPDIR"
_RUN: Final = (
    *("--whole", "--clients", "300", "--server-workers", "2", "--hold", "1", "--settle", "0.2", "--push-rate", "200"),
    *("--mix", "sse=2,ws=1,poll=2,script=1"),
)
_ELSEWHERE: Final = ("--whole", "--clients", "100", "--hold", "0.4", "--settle", "0", "--push-rate", "100")
#: The signal that a run is sent at each of its stages.
_SIGNALS: Final = dict(zip(STAGES, itertools.cycle((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)), strict=False))

#: Runs side by side: they mostly wait.
_AT_ONCE: Final = 7


class Running:
    """A run that was started, with its temporary files in a folder of the test.

    Attributes:
        live: what its live lines have told, as objects.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.live: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "megacomet.swarm", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, _FOLDER: str(folder)},
            start_new_session=True,
        )

    def until(self, stage: str) -> None:
        """Wait until its live lines tell of a stage."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("{"):
                self.live.append(json.loads(line))
                if self.live[-1]["stage"] == stage:
                    return
        pytest.fail(f"it ended before {stage}, with status {self.process.wait()}: {self.report()['problems']}")

    def report(self) -> dict[str, Any]:
        """Wait for its end, and return its report."""
        out, _ = self.process.communicate(timeout=STOP_S)
        found: dict[str, Any] = json.loads(out)
        return found

    def manager(self) -> psutil.Process:
        """Return the manager of its server."""
        return next(one for one in self.processes() if one.cmdline()[:1] == ["megacomet: manager"])

    def processes(self) -> list[psutil.Process]:
        """Return all processes of the run that live."""
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                # The server's have given their title the place of their environment; they are where its files are.
                is_ours = one.cwd().startswith(str(self.folder)) or one.environ().get(_FOLDER) == str(self.folder)
                if is_ours and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        return found

    def assert_gone(self, port: int = 0) -> None:
        """Nothing of it is left: no process, no file, no socket."""
        psutil.wait_procs(self.processes(), timeout=STOP_S)
        assert self.processes() == []
        assert list(self.folder.iterdir()) == []
        with socket.socket() as probe:
            assert not port or probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED

    def kill_all(self) -> None:
        """End what a failed test has left."""
        for one in self.processes():
            with contextlib.suppress(psutil.Error):
                one.kill()
        self.process.communicate()


@contextlib.contextmanager
def run(folder: Path, *arguments: str) -> Iterator[Running]:
    """Have a run."""
    running = Running(folder, *arguments)
    try:
        yield running
    finally:
        running.kill_all()


def test_whole_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One command: all clients held, pushed to, lost with a worker and back, reached; a page, charts, nothing left."""
    temporary, name = tmp_path / "tmp", tmp_path / "run.json"
    temporary.mkdir()
    with run(temporary, *_RUN, "--json", str(name)) as running:
        page, _ = running.process.communicate(timeout=START_S + STOP_S)
        assert running.process.returncode == 0, page
        assert "all well     all 300 clients alive, each was reached, no message lost" in page
        running.assert_gone()
    plain = json.loads(name.read_text())
    measures = plain["measures"]
    assert (plain["connected"], plain["waiting"], plain["heard"], plain["lost"]) == (300, 300, 300, 0)
    assert measures["counted"] == [300, 300]
    assert measures["server_processes"] == 4
    assert 0 < measures["lost"] < 300
    assert [stage for stage, _ in measures["stages"]] == list(STAGES)
    assert set(measures["figures"]) >= {"server_bytes_each", "kernel_bytes_each", "idle_cores", "busy_cores"}
    assert main(["--charts", str(name), str(tmp_path / "charts")]) == 0
    drawn = sorted(path.name for path in (tmp_path / "charts").iterdir())
    assert drawn == ["connections.svg", "latency.svg", "memory.svg", "ramp.svg"]
    assert len(capsys.readouterr().out.splitlines()) == 4


def interrupt(running: Running, stage: str) -> None:
    """Whoever interrupts it at any stage gets a report on what was seen."""
    os.killpg(running.process.pid, _SIGNALS[stage])  # as a terminal does: the clients get it too
    report = running.report()
    assert report["interrupted"], stage
    assert stage == END or f"interrupted at the stage {stage!r}" in report["problems"]
    assert running.process.returncode == (0 if stage == END else 1), stage


def kill(running: Running, stage: str) -> None:
    """Who kills it has killed all of it."""
    running.process.kill()
    assert running.process.wait() == -signal.SIGKILL, stage


def kill_server(running: Running, stage: str) -> None:
    """A server that ends by itself ends the run, which says so."""
    running.manager().kill()
    report = running.report()
    assert report["problems"][0].startswith("the server ended by signal 9"), stage
    assert running.process.returncode == 1


def kill_keeper(running: Running, stage: str) -> None:
    """Even the process that keeps the server may be killed: that ends the run."""
    keeper = running.manager().parent()
    assert keeper is not None
    keeper.kill()
    assert running.report()["problems"][0] == "the process that keeps the server has died", stage
    assert running.process.returncode == 1


#: How runs end, and at which stage. What a killed one leaves depends on which processes there are: the server's that
#: starts, the clients' too, one less of the server's, those that end.
_ENDS: Final = (
    *((interrupt, stage) for stage in STAGES),
    *((kill, stage) for stage in (SERVER, RAMP, KILL, END)),
    *((kill_server, HOLD), (kill_keeper, HOLD)),
)


def test_however_it_ends(tmp_path: Path) -> None:
    """Whatever ends a run, at whatever stage: nothing is left behind, no process, no file, no socket."""
    ports: set[int] = set()
    while len(ports) < len(_ENDS):
        ports.add(free_port(0, first_port(Files())))

    def one(end: tuple[Callable[[Running, str], None], str], port: int) -> None:
        act, stage = end
        folder = tmp_path / str(port)
        folder.mkdir()
        with run(folder, *_RUN, "--json", "--server-port", str(port)) as running:
            running.until(stage)
            act(running, stage)
            running.assert_gone(port)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        assert list(pool.map(one, _ENDS, sorted(ports))) == [None] * len(_ENDS)


def test_another_s_server(tmp_path: Path) -> None:
    """With an address it is that server's whole run: nobody is killed, and only our own side is measured."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with Server(tmp_path / "state") as server, run(temporary, *_ELSEWHERE, *_at(server), "--json") as running:
        report = running.report()
        running.assert_gone()
    measures = report["measures"]
    assert report["problems"] == []
    assert (measures["counted"], measures["lost"], measures["server_processes"]) == ([100, -1], -1, 0)
    assert set(measures["figures"]) == {"kernel_bytes_each", "load_bytes_each"}
    assert report["heard"] == 100


def _at(server: Server) -> tuple[str, ...]:
    return "--url", f"http://127.0.0.1:{server.port}", "--key-file", str(server.state_dir / "api-key")


def test_port_that_is_taken(tmp_path: Path) -> None:
    """A port that somebody else has is told before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with run(tmp_path, *_RUN, "--server-port", str(port)) as running:
            _, err = running.process.communicate(timeout=UNIT_S * 4)
            assert err.splitlines()[-1] == f"megacomet swarm: --server-port: {port}: Address already in use"
            assert running.process.returncode == 2
            assert running.processes() == []
