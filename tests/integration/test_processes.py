"""What operators see of the processes: starts, names, deaths, successors, ends. On real processes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.server import LINE_S, START_S, LogFile, Server, is_alive, read_all, wait_gone

GET = b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with two workers on a free port of the loopback."""
    with Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1") as running:
        yield running


# -- the start


@pytest.fixture(scope="module", autouse=True)
def orphans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, socket.socket]]:
    """Workers whose manager was killed before the first test of this file, and a client that polls one of them.

    What becomes of them takes half a minute, in which the other tests run.
    """
    server = Server(tmp_path_factory.mktemp("orphans") / "state", "--port=0", "--interface=127.0.0.1")
    try:
        server.launch().wait_ready()
        with server.connect() as client:
            client.sendall(b"GET /sue.js HTTP/1.1\r\nHost: test\r\n\r\n")
            waiting_worker(server)
            server.kill("manager")
            yield server, client
    finally:
        server.kill_all()


def test_ready_line(tmp_path: Path) -> None:
    """The log says where the server listens, with how many workers, and for how many connections."""
    with Server(tmp_path / "state", "--port=0", workers=3) as server:
        port = server.port
        assert server.addresses == [f"http://0.0.0.0:{port}", f"http://[::]:{port}"]
        assert server.wait_line(r"ready: .*, 3 workers, up to \d+ connections")
        for host in ("127.0.0.1", "::1"):
            assert server.get("/healthz", host).endswith(b"ok")


def test_names_in_ps(server: Server) -> None:
    """Every process says in ps what it is."""
    assert sorted(server.processes()) == ["manager", "worker 0", "worker 1", "zygote"]


def test_zygote_holds_no_reactor(server: Server) -> None:
    """The running zygote has no reactor, no epoll, no second thread, and nothing that only the manager needs."""
    report = server.ask_zygote("report")
    assert report["reactor"] is False
    assert report["epolls"] == 0
    assert report["threads"] == 1
    assert not {"klein", "twisted.web", "treq", "werkzeug"} & set(report["modules"])
    # Standard ones, control socket, two listeners, two pidfds, the manager's connection and ours, the places of two
    # epoll sets and of the waker's pipe that its forks make, and the turns that they share, with the count of those
    # that are free.
    assert len(report["descriptors"]) == 3 + 1 + 2 + 2 + 2 + 2 + 2 + 2


def test_workers_import_nothing_by_themselves(server: Server) -> None:
    """What a worker uses was imported before it was forked, so that all share it."""
    zygote, worker = (maps_of(server.pid(title)) for title in ("zygote", "worker 0"))
    assert worker - zygote == set()


def maps_of(pid: int) -> set[str]:
    """The shared objects of a process: extension modules among them."""
    text = Path(f"/proc/{pid}/maps").read_text()
    return {line.split(maxsplit=5)[5] for line in text.splitlines() if line.endswith(".so")}


def test_api_key_is_told_once(tmp_path: Path) -> None:
    """The key that the first start makes is on the log; the second start does not repeat it."""
    with Server(tmp_path / "state", "--port=0") as first:
        first.wait_line(r"API key \S+ \(made now")
        key = first.key
    with Server(tmp_path / "state", "--port=0") as second:
        assert second.key == key
        assert not [line for line in second.lines if key in line]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--port=http"], "port = 'http' (from command line): must be"),
        (["--port=0", "--interface=192.0.2.7"], "cannot listen on 192.0.2.7:0: it is not an address of this machine"),
        (["--listen=unix:/nowhere/at/all"], "cannot listen on 'unix:/nowhere/at/all': no such file or directory"),
        (["--port=0", "--admin=tcp:none"], "admin = 'tcp:none' is no endpoint"),
        (["--port=0", "--admin=unix:/nowhere/x"], "cannot listen on 'unix:/nowhere/x': no such file or directory"),
        (["--port=0", "--state-dir=/proc/nothing"], "the state directory /proc/nothing cannot be used: no such file"),
        (["--port=0", "--state-dir=/dev/null"], "the state directory /dev/null cannot be used: file exists"),
    ],
)
def test_a_start_that_fails(tmp_path: Path, options: list[str], said: str) -> None:
    """A setting that cannot be obeyed is named in one line, the exit status tells, and nothing is left."""
    server = Server(tmp_path / "state", *options).launch()
    try:
        assert server.wait_end() == 1
    finally:
        server.kill_all()
    assert any(said in line for line in server.lines), server.lines
    assert not [line for line in server.lines if "Traceback" in line]
    assert not server.pid_file.exists()


def test_port_in_use(tmp_path: Path) -> None:
    """A port that somebody else has is named, and the server does not start."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = Server(tmp_path / "state", f"--port={port}", "--interface=127.0.0.1").launch()
        try:
            assert server.wait_end() == 1
        finally:
            server.kill_all()
    assert f"megacomet: cannot listen on 127.0.0.1:{port}: the port is in use" in server.lines


def test_a_port_that_is_asked_for_twice(tmp_path: Path) -> None:
    """The API's address lies where clients are to come in by: the server does not start, and says why."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(tmp_path / "state", f"--port={port}", f"--admin=tcp:{port}:interface=127.0.0.1").launch()
    try:
        assert server.wait_end() == 1
    finally:
        server.kill_all()
    twice = "it is asked for twice, by admin or as the classic port 9000"
    assert f"megacomet: cannot listen on 127.0.0.1:{port}: {twice}" in server.lines


def test_two_servers_with_one_state_directory(server: Server) -> None:
    """A second server with the same state directory does not start, and names the first one's process."""
    second = Server(server.state_dir, "--port=0", twistd=["--pidfile="]).launch()
    try:
        assert second.wait_end() == 1
    finally:
        second.kill_all()
    assert any(f"another MegaComet (process {server.pid('manager')}) runs" in line for line in second.lines)


def test_listening_on_a_unix_socket(tmp_path: Path) -> None:
    """Five workers share a UNIX socket, four of them at a time, and it is gone after the end."""
    path = tmp_path / "public.sock"
    with Server(tmp_path / "state", f"--listen=unix:{path}", workers=5) as server:
        assert server.addresses == [f"unix:{path}"]
        assert ask_unix(path).endswith(b"ok")
        server.kill("worker 0")
        assert ask_unix(path).endswith(b"ok")
    assert not path.exists()


def ask_unix(path: Path) -> bytes:
    """Ask for /healthz."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LINE_S)
        client.connect(str(path))
        client.sendall(GET)
        return read_all(client)


def test_listening_on_sockets_of_systemd(tmp_path: Path) -> None:
    """Sockets that systemd opened are used, by name and number, by all workers; it is told of start and end."""
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.bind(str(tmp_path / "notify"))
    with socket.socket() as one, socket.socket() as two, notices:
        ports = []
        for given in (one, two):
            given.bind(("127.0.0.1", 0))
            ports.append(given.getsockname()[1])
        os.set_inheritable(one.fileno(), True)
        # The variables hold the number of the process itself, and descriptors begin at 3: a shell arranges both.
        script = f'exec 3<&{one.fileno()} 4<&{two.fileno()}; LISTEN_PID=$$ exec "$@"'
        server = Server(
            tmp_path / "state",
            "--listen=systemd:domain=INET:name=web",
            "--listen=systemd:domain=INET:index=1",
            env={"LISTEN_FDS": "2", "LISTEN_FDNAMES": "web:more", "NOTIFY_SOCKET": str(tmp_path / "notify")},
            pass_fds=[one.fileno(), two.fileno()],
            wrapper=["/bin/bash", "-c", script, "bash"],
        )
        with server:
            assert server.addresses == [f"http://127.0.0.1:{port}" for port in ports]
            for server.port in ports:
                assert server.get("/healthz").endswith(b"ok")
            notices.settimeout(LINE_S)
            assert notices.recv(100) == b"READY=1"
        assert notices.recv(100) == b"STOPPING=1"


def test_a_long_state_directory(tmp_path: Path) -> None:
    """A state directory whose path is too long for UNIX sockets works all the same."""
    deep = tmp_path / ("d" * 100) / "state"
    deep.parent.mkdir()
    with Server(deep, "--port=0") as server:
        assert server.get("/healthz").endswith(b"ok")


# -- the death of a worker


def test_a_killed_worker_is_back(server: Server) -> None:
    """After kill -9 a worker is back at its number, the log says how it went, and clients are served."""
    before = server.pid("worker 1")
    seen = len(server.lines)
    server.kill("worker 1")
    server.wait_line(
        rf"worker 1 \(process {before}\) is gone: it was ended by SIGKILL; the next one in 0 s", after=seen
    )
    server.wait_line("all workers are up again", after=seen)
    assert server.pid("worker 1") != before
    assert server.get("/healthz").endswith(b"ok")


def test_clients_queued_at_a_dead_worker_are_served(tmp_path: Path) -> None:
    """Clients that have connected to a worker which is stopped, and then killed, are answered by its successor."""
    with Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1", workers=1) as server:
        server.kill("worker 0", signal.SIGSTOP)
        clients = [server.connect() for _ in range(50)]
        for client in clients:
            client.sendall(GET)
        server.kill("worker 0")
        for client in clients:
            assert read_all(client).endswith(b"ok")
            client.close()


def test_a_worker_that_keeps_dying(tmp_path: Path) -> None:
    """One that dies again and again is back after ever longer pauses; meanwhile nobody waits at its door."""
    with Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1", workers=1) as server:
        for pause in ("0", "0.5", "1", "2"):
            seen = len(server.lines)
            server.kill("worker 0")
            server.wait_line(rf"worker 0 .* is gone: it was ended by SIGKILL; the next one in {pause} s", after=seen)
            if pause != "2":
                server.wait_line("all workers are up again", after=seen)
        server.wait_line("worker 0 is not back: its listeners are shut meanwhile", after=seen)
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        server.wait_line("all workers are up again", after=seen)
        assert server.get("/healthz").endswith(b"ok")


def test_a_worker_that_is_asked_to_go(server: Server) -> None:
    """SIGTERM to one worker restarts it alone, its waiting clients get their empty answer."""
    with server.connect() as client:
        # The answer to the first says that a worker has the connection, and has read the second with it.
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\nGET /sue.js HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.recv(65_536).endswith(b"\r\n\r\nok")
        busy = waiting_worker(server)
        seen = len(server.lines)
        server.kill(busy, signal.SIGTERM)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"Connection: close" in answer
    server.wait_line(rf"{busy} .* is gone: it ended with status 0", after=seen)
    server.wait_line("all workers are up again", after=seen)


def waiting_worker(server: Server) -> str:
    """The title of the worker that has taken the only client: its socket is among its descriptors."""
    until = time.monotonic() + LINE_S
    while time.monotonic() < until:
        for title, one in server.processes().items():
            if title.startswith("worker") and any(
                each.status == psutil.CONN_ESTABLISHED for each in one.net_connections("tcp")
            ):
                return title
    raise AssertionError("no worker has a client")


def test_a_worker_that_hangs_is_replaced(server: Server) -> None:
    """A worker that is stopped and says nothing for ten seconds is killed, and replaced."""
    before = server.kill("worker 0", signal.SIGSTOP)
    seen = len(server.lines)
    server.wait_line(rf"worker 0 \(process {before}\) was silent for .* killed", START_S, after=seen)
    server.wait_line("all workers are up again", after=seen)
    assert server.pid("worker 0") != before


# -- the death of the zygote


def test_a_killed_zygote(server: Server) -> None:
    """Workers live on without their zygote; the next one forks the successors of those that die."""
    workers = {title: server.pid(title) for title in ("worker 0", "worker 1")}
    seen = len(server.lines)
    before = server.kill("zygote")
    server.wait_line("the zygote is gone", after=seen)
    assert {title: server.pid(title) for title in workers} == workers
    assert server.get("/healthz").endswith(b"ok")
    seen = len(server.lines)
    server.kill("worker 0")
    server.wait_line("worker 0 .* is gone: ended after its zygote", after=seen)
    server.wait_line("all workers are up again", after=seen)
    assert server.pid("zygote") != before
    assert server.pid("worker 0") != workers["worker 0"]
    assert server.pid("worker 1") == workers["worker 1"]


# -- the death of the manager


def test_a_killed_manager(tmp_path: Path) -> None:
    """Workers keep their clients without a manager, and the next manager takes workers, clients and addresses over."""
    first = Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1")
    second = Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1")
    try:
        first.launch().wait_ready()
        client = first.connect()
        client.sendall(b"GET /sue.js HTTP/1.1\r\nHost: test\r\n\r\n")
        waiting_worker(first)
        before = {title: one.pid for title, one in first.processes().items()}
        first.kill("manager")
        assert b"503" in first.get("/healthz").split(b"\r\n")[0]
        second.launch().wait_ready()
        second.adopt(first)
        second.wait_line("2 workers of an earlier manager are taken over")
        for number in range(2):  # the manager knows them before they have its answer
            second.wait_line(f"worker {number}: link to the manager stands")
        after = {title: one.pid for title, one in second.processes().items()}
        assert after.pop("manager") != before.pop("manager")
        assert after == before
        assert second.port == first.port
        assert b'"status":"sent"' in second.push({"client": "sue", "data": "still here"})
        assert client.recv(65_536).endswith(b"still here")
        client.close()
        second.kill("worker 1")
        second.wait_line("all workers are up again")
        second.stop()
    finally:
        second.kill_all()
        first.kill_all()


def test_a_machine_that_is_too_small_is_told_at_the_start(tmp_path: Path) -> None:
    """A capacity that no machine has is warned of before the server is ready, with what is needed; then it serves."""
    options = ("--port=0", "--interface=127.0.0.1", "--capacity=100_000_000")
    with Server(tmp_path / "state", *options) as server:
        told = [line for line in server.lines if "needed for 100,000,000 connections" in line]
        assert any("Server#warn] memory is " in line for line in told)
        assert any("open files (RLIMIT_NOFILE) is " in line for line in told)
        assert server.get("/healthz").endswith(b"ok")


def test_another_manager_with_other_settings(tmp_path: Path) -> None:
    """Workers that were made from other settings are sent away, and the port is free for their successors."""
    first = Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1")
    try:
        first.launch().wait_ready()
        first.kill("manager")
        with Server(
            tmp_path / "state", f"--port={first.port}", "--interface=127.0.0.1", "--ping-s=7", workers=3
        ) as second:
            second.wait_line("with other settings are asked to go")
            assert second.get("/healthz").endswith(b"ok")
            first.assert_nothing_left()
    finally:
        first.kill_all()


# -- the end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(server: Server, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C answer the clients that wait, and leave no process and no socket behind."""
    with server.connect() as client:
        client.sendall(b"GET /sue.js HTTP/1.1\r\nHost: test\r\n\r\n")
        waiting_worker(server)
        server.stop(number)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"Connection: close" in answer
    assert sorted(path.name for path in (server.state_dir / "link").iterdir()) == []


def test_ctrl_c_in_a_terminal_reaches_all(server: Server) -> None:
    """A terminal signals every process of its group: workers and zygote leave that to the manager."""
    workers = {title: server.pid(title) for title in ("worker 0", "worker 1", "zygote")}
    for title in workers:
        server.kill(title, signal.SIGINT)
        server.kill(title, signal.SIGHUP)
    server.kill("zygote", signal.SIGTERM)
    assert server.ask_zygote("report")["workers"] == {"0": workers["worker 0"], "1": workers["worker 1"]}
    assert {title: server.pid(title) for title in workers} == workers


def test_stop_of_a_worker_that_hangs(tmp_path: Path) -> None:
    """A worker that does not answer is killed when the time of a stop is over."""
    with Server(tmp_path / "state", "--port=0", "--stop-s=2") as server:
        server.kill("worker 1", signal.SIGSTOP)
        server.stop()
        assert server.wait_line(r"worker 1 .* did not end in time: killed")


def test_stop_during_the_start(tmp_path: Path) -> None:
    """A server that is told to end before it is ready ends, and leaves nothing."""
    server = Server(tmp_path / "state", "--port=0").launch()
    try:
        server.wait_line("the link to the workers starting on", START_S)
        server.stop()
    finally:
        server.kill_all()


# -- the log


def test_a_workers_line_carries_its_number(server: Server) -> None:
    """What a worker logs is on the one log, with its number."""
    server.kill("worker 1", signal.SIGTERM)
    assert server.wait_line("worker 1: ending: 0 connections")


def test_the_log_cannot_block_a_worker(server: Server) -> None:
    """While nobody reads the log, because the manager is stopped, workers serve their clients."""
    server.kill("manager", signal.SIGSTOP)
    try:
        for _ in range(20):
            for request in (b"GET /\x00 HTTP/1.1\r\n\r\n", b"\xff\xfe\r\n\r\n"):
                with server.connect() as client:
                    client.sendall(request)
                    assert client.recv(65_536).startswith(b"HTTP/1.1 4")
    finally:
        server.kill("manager", signal.SIGCONT)


def test_a_worker_that_dies_of_its_own(server: Server) -> None:
    """A crash in a worker leaves its last words on the log."""
    seen = len(server.lines)
    server.kill("worker 0", signal.SIGSEGV)
    server.wait_line("Fatal Python error: Segmentation fault", after=seen)
    server.wait_line("worker 0 .* is gone: it was ended by SIGSEGV", after=seen)
    server.wait_line("all workers are up again", after=seen)


# -- privileges


def test_privileges(tmp_path: Path) -> None:
    """With --uid everything runs as that user, also a worker that is restarted later."""
    user = user_for_a_server()
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    with Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1", twistd=[f"--uid={user}"]) as server:
        assert (server.state_dir / "api-key").stat().st_uid == user
        server.kill("worker 0")
        server.wait_line("all workers are up again")
        assert {one.uids().effective for one in server.processes().values()} == {user}
        assert server.get("/healthz").endswith(b"ok")
        assert b'"status"' in server.push({"client": "sue", "data": 1})


def user_for_a_server() -> int:
    """Nobody, where root runs the test and nobody may run this Python; else who runs the test."""
    used = [Path(sys.executable), Path(sys.executable).resolve(), Path(os.__file__), Path(__file__)]
    passed = {parent for path in used for parent in path.parents}
    reachable = all(directory.stat().st_mode & 0o001 for directory in passed)
    return 65_534 if os.geteuid() == 0 and reachable else os.geteuid()


def test_daemon(tmp_path: Path) -> None:
    """As a daemon it logs to its file, and its pid file tells whom to stop."""
    log = tmp_path / "log"
    server = Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1", twistd=[f"--logfile={log}"])
    server.launch_daemon()
    pid = int(server.pid_file.read_text())
    manager = psutil.Process(pid)
    try:
        follow = LogFile(log)
        assert re.search(r"127.0.0.1:(\d+)", follow.wait_line("ready: "))
        everyone = [manager, *manager.children(recursive=True)]
        assert len(everyone) == 4
        manager.terminate()
        for one in everyone:
            wait_gone(one)
    finally:
        for one in [manager, *server.processes().values()]:
            if is_alive(one):
                one.kill()


@pytest.mark.parametrize("ours", [True, False])
def test_a_daemon_that_cannot_start(tmp_path: Path, ours: bool) -> None:
    """Whoever starts a daemon is told on the terminal that it did not start, and why."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1] if not ours else 0
        interface = "192.0.2.7" if ours else "127.0.0.1"
        server = Server(
            tmp_path / "state", f"--port={port}", f"--interface={interface}", twistd=[f"--logfile={tmp_path / 'log'}"]
        )
        code, said = server.launch_daemon()
    assert code == 1
    assert "cannot listen on" in said
    with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):  # it tells first and removes its pid file then
        wait_gone(psutil.Process(int(server.pid_file.read_text())))
    assert not server.pid_file.exists()


# -- nobody comes


def test_nobody_comes_for_the_workers(orphans: tuple[Server, socket.socket]) -> None:
    """Without a manager for 30 seconds workers close their clients and end, and the zygote after them."""
    server, client = orphans
    client.settimeout(30 + START_S)
    assert b"Connection: close" in read_all(client)
    server.assert_nothing_left()
