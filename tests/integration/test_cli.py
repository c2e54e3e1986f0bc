"""The megacomet command as people use it: beside a real server, without one, and with one that is in trouble."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from megacomet import __version__
from tests.integration import vt52
from tests.integration.server import START_S, STOP_S, Server, read_all

LOOPBACK: Final = ("--port=0", "--interface=127.0.0.1")
RUN: Final = (sys.executable, "-c", "from megacomet.cli.main import run; run()")
#: The same, at home in the terminal that it is started on: Ctrl-C and sizes reach it.
ON_A_TERMINAL: Final = (*RUN[:2], f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {RUN[2]}")
#: All that ask a server, and what else they need.
ASKING: Final = (
    ("push", "--client", "sue", "1"),
    ("push", "--batch", os.devnull),
    ("stats",),
    ("status",),
    ("top", "--count", "1"),
    ("config", "--running"),
)
#: For a server that hangs: it is the wait itself that is tried.
SHORT: Final = ("--timeout", "0.2")


def environment(state_dir: Path) -> dict[str, str]:
    """Return the environment of whoever runs a command for this state directory, and nothing else of ours."""
    no = ("MEGACOMET_", "COLUMNS", "LINES")  # the latter would be believed instead of the terminal's size
    bare = {name: value for name, value in os.environ.items() if not name.startswith(no)}
    return bare | {"MEGACOMET_STATE_DIR": str(state_dir)}


def megacomet(state_dir: Path, *arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run a command; return its status, output and errors."""
    done = subprocess.run(
        [*RUN, *arguments], env=environment(state_dir), input=stdin, capture_output=True, timeout=START_S, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def as_json(state_dir: Path, *arguments: str) -> Any:
    """Run a command that does well with --json; return what it prints."""
    status, out, err = megacomet(state_dir, *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests that leave it as it is."""
    with Server(tmp_path_factory.mktemp("cli") / "state", *LOOPBACK) as running:
        yield running


# -- beside a server


def test_the_file(server: Server) -> None:
    """A server that is ready has told where it is."""
    told = json.loads((server.state_dir / "server.json").read_text())
    assert told["pid"] == server.pid("manager")
    assert told["addresses"] == [{"address": f"http://127.0.0.1:{server.port}", "serves": "public"}]


def test_push(server: Server) -> None:
    """A message reaches whoever waits for it; several targets have a line each."""
    with server.connect() as client:
        client.sendall(b"GET /comet/stream?channel=news HTTP/1.0\r\nHost: test\r\n\r\n")
        stream = client.makefile("rb")
        while b'"position"' not in stream.readline():
            pass
        status, out, err = megacomet(server.state_dir, "push", "--channel", "news", "--receipt", '{"a": [1]}')
        assert (status, err) == (0, "")
        assert re.fullmatch(r"sent  \S+  news  1 connection\n", out)
        assert json.loads(stream.readline())["data"] == {"a": [1]}
        stream.close()
    status, out, _ = megacomet(server.state_dir, "push", "--client", "a", "--client", "b", "--text", "-", stdin=b"hi\n")
    assert status == 0
    assert [line.split()[::2] for line in out.splitlines()] == [["queued", "@a"], ["queued", "@b"]]
    assert as_json(server.state_dir, "push", "--everyone", "1")["status"] in ("sent", "queued")


def test_push_once(server: Server) -> None:
    """What was sent once is told as such."""
    first = as_json(server.state_dir, "push", "--client", "once", "--once", "k", "1")
    assert as_json(server.state_dir, "push", "--client", "once", "--once", "k", "1") == {**first, "repeated": True}


def test_a_push_that_is_refused(server: Server) -> None:
    """The server's reason, with the field."""
    status, out, err = megacomet(server.state_dir, "push", "--client", "a b", "1")
    assert (status, out) == (1, "")
    assert err.startswith("megacomet push: 422 bad-fields: /client: ")


def test_a_batch(server: Server, tmp_path: Path) -> None:
    """A file of lines, a large one too, and lines that are at fault."""
    path = tmp_path / "lines"
    path.write_text("".join(f'{{"client":"many{n}","data":"{"x" * 1000}"}}\n' for n in range(3000)))
    status, out, err = megacomet(server.state_dir, "push", "--batch", str(path))
    assert (status, err) == (0, "")
    assert out.startswith("3,000 lines: 0 sent, 3,000 queued, 0 unheard, 0 repeated, 0 failed; position ")
    lines = b'{"client":"a","data":1}\nnonsense\n'
    status, out, err = megacomet(server.state_dir, "push", "--batch", "-", stdin=lines)
    assert (status, out[:8]) == (1, "2 lines:")
    assert err.startswith("megacomet push: line 2: bad-json: ")


def test_a_batch_that_is_refused_while_it_waits(server: Server, tmp_path: Path) -> None:
    """Whoever feeds a batch slowly is told at once that it is refused, not at the next line."""
    key = tmp_path / "key"
    key.write_text("wrong\n")
    feed = subprocess.Popen(
        [*RUN, "push", "--batch", "-", "--api-key-file", str(key)],
        env=environment(server.state_dir),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert feed.stdin is not None
        assert feed.stderr is not None
        assert feed.wait(START_S) == 1
        assert feed.stderr.read().startswith(b"megacomet push: 401 unauthorized: ")
    finally:
        feed.kill()
        feed.communicate()


def test_stats(server: Server) -> None:
    """The server's numbers."""
    assert as_json(server.state_dir, "stats")["memory"]["manager"] > 1_000_000
    status, out, _ = megacomet(server.state_dir, "stats")
    assert status == 0
    assert re.search(r"^memory +\d+\.\d MB$", out, re.M)


def test_status(server: Server) -> None:
    """All processes, with their numbers in ps."""
    told = as_json(server.state_dir, "status")
    assert (told["running"], told["answers"], told["troubles"]) == (True, True, [])
    assert {one["process"]: one["pid"] for one in told["processes"]} == {
        title: one.pid for title, one in server.processes().items()
    }
    status, out, _ = megacomet(server.state_dir, "status")
    assert status == 0
    assert out.startswith("MegaComet ")


def test_doctor(server: Server) -> None:
    """The real machine is looked at, with the limits of the server that runs; the API tells of the same checks."""
    status, out, err = megacomet(server.state_dir, "doctor", "--capacity", "1000", "--json")
    told = json.loads(out)
    assert (status, err) == (0 if told["fine"] else 1, "")
    assert told["connections"] == 1000
    assert told["forecast"]["room_bytes"] > 0
    names = [check["name"] for check in told["checks"]]
    head = f"GET /api/doctor HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {server.key}\r\n\r\n"
    with server.connect() as client:
        client.sendall(head.encode())
        asked = json.loads(read_all(client).partition(b"\r\n\r\n")[2])
    assert [check["name"] for check in asked["checks"]] == names
    assert asked["connections"] > 0


def test_the_running_settings(server: Server) -> None:
    """Those of the server, not those of whoever asks."""
    running = as_json(server.state_dir, "config", "--running")["port"]
    assert (running["value"], running["source"], running["default"]) == (0, "command line", 80)
    assert as_json(server.state_dir, "config")["port"] == {"value": 80, "source": "built-in"}
    status, out, _ = megacomet(server.state_dir, "config", "--running")
    assert status == 0
    assert re.search(r"^port +0 +command line$", out, re.M)


def test_top_as_lines(server: Server) -> None:
    """A line a look, with rates from the second on."""
    status, out, err = megacomet(server.state_dir, "top", "--count", "2", "--interval", "0.1")
    first, second = map(json.loads, out.splitlines())
    assert (status, err, len(second["workers"])) == (0, "", 2)
    assert (first["rates"]["in"], second["rates"]["in"]) == (None, 0.0)


@pytest.mark.parametrize("command", ASKING)
def test_a_wrong_key(server: Server, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Status 1, and whose key it was."""
    key = tmp_path / "key"
    key.write_text("wrong\n")
    status, out, err = megacomet(server.state_dir, *command, "--api-key-file", str(key))
    assert status == 1
    assert f"401 unauthorized: the key is not known here (the key is that of {key})" in err + out


@pytest.mark.parametrize("command", ASKING)
def test_by_url(server: Server, tmp_path: Path, command: tuple[str, ...]) -> None:
    """The server and the key may be named, and then nothing is looked for."""
    status, _, err = megacomet(
        tmp_path / "nowhere",
        *command,
        f"--url=http://127.0.0.1:{server.port}",
        f"--api-key-file={server.state_dir / 'api-key'}",
    )
    assert (status, err) == (0, "")


# -- other places


def test_admin_on_a_unix_socket(tmp_path: Path) -> None:
    """An address of the API alone is found, and that the public one is none."""
    door = tmp_path / "admin.sock"
    with Server(tmp_path / "state", *LOOPBACK, f"--admin=unix:{door}") as server:
        for command in ASKING:
            assert megacomet(server.state_dir, *command)[::2] == (0, "")
        told = as_json(server.state_dir, "status")
        assert told["url"] == f"unix:{door}"
        assert {one["serves"] for one in told["addresses"]} == {"public", "api"}
        status, _, err = megacomet(server.state_dir, "stats", "--url", f"http://127.0.0.1:{server.port}")
        assert (status, err) == (1, "megacomet stats: 404 not-found: nothing stands here\n")


# -- trouble


@pytest.mark.parametrize("command", ASKING)
def test_no_server(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Status 3, in one line."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = "http://{}:{}".format(*nobody.getsockname())
        status, out, err = megacomet(tmp_path, *command, "--url", url)
    assert status == 3
    assert f"no server answers at {url}: connection refused" in err + out


@pytest.mark.parametrize("command", ASKING)
def test_a_server_that_hangs(tmp_path: Path, command: tuple[str, ...]) -> None:
    """It does not hang the command."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        url = "http://{}:{}".format(*door.getsockname())
        status, out, err = megacomet(tmp_path, *command, "--url", url, *SHORT)
    assert status == 3
    assert f"no answer from {url} within 0.2 s" in err + out


def test_the_life_of_a_server(tmp_path: Path) -> None:
    """Not there, in trouble, killed and stopped: status tells each of them apart."""
    state = tmp_path / "state"
    with free_port() as port:
        assert megacomet(state, "status")[0] == 3
        with Server(state, f"--port={port}", "--interface=127.0.0.1") as server:
            assert megacomet(state, "status")[0] == 0
            pid = server.kill("manager")
            status, out, err = megacomet(state, "status")
            assert (status, err) == (1, "")
            assert out.startswith("! the manager is gone; 2 workers with their clients wait for the next one\n")
            assert {"zygote", "worker 0", "worker 1"} <= {line[:8].strip() for line in out.splitlines()}
            assert json.loads((state / "server.json").read_text())["pid"] == pid
            assert megacomet(state, "push", "--client", "sue", "1")[0] != 0
            with Server(state, f"--port={port}", "--interface=127.0.0.1", twistd=["--pidfile="]) as again:
                again.adopt(server)
                assert as_json(state, "status")["processes"][0]["pid"] == again.pid("manager") != pid
                again.stop()
            server.kill_all()
        assert not (state / "server.json").exists()
        status, out, _ = megacomet(state, "status")
        assert status == 3
        assert f"MegaComet does not run with {state}" in out


def test_a_manager_that_hangs(tmp_path: Path) -> None:
    """The process is named that runs and does not answer."""
    with Server(tmp_path / "state", *LOOPBACK) as server:
        pid = server.kill("manager", signal.SIGSTOP)
        try:
            status, out, _ = megacomet(server.state_dir, "status", *SHORT)
        finally:
            server.kill("manager", signal.SIGCONT)
        assert status == 1
        assert out.startswith(f"! process {pid} runs but does not answer at http://127.0.0.1:{server.port} (no answer ")


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """A port that nobody has: a server may be started there again and again."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    yield port


# -- on a terminal


class Terminal:
    """A command on a terminal of its own; a context manager.

    Attributes:
        seen: all that it has written.
        screen: the same as it looks, on a VT52.
    """

    def __init__(self, state_dir: Path, *arguments: str, name: str = vt52.NAME, rows: int = 24) -> None:
        self._ours, self._theirs = pty.openpty()
        columns = 120
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        self._before = termios.tcgetattr(self._ours)
        self.seen = ""
        self.screen = vt52.Vt52(rows, columns)
        self._process = subprocess.Popen(
            [*ON_A_TERMINAL, *arguments],
            env=environment(state_dir) | {"TERM": name},
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def wait_for(self, is_so: Callable[[list[str]], object]) -> None:
        """Wait for something to be so of the lines of the screen."""
        until = time.monotonic() + START_S
        while not is_so(self.screen.lines):
            left = until - time.monotonic()
            assert left > 0, "\n".join(["it does not come:", *self.screen.lines])
            self._read(left)

    def wait_for_text(self, text: str) -> None:
        """Wait for a text to stand on the screen."""
        self.wait_for(lambda lines: any(text in line for line in lines))

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def send(self, number: signal.Signals) -> None:
        """Send a signal, as the terminal does for Ctrl-C."""
        self._process.send_signal(number)

    def resize(self, rows: int, columns: int) -> None:
        """Give it another size."""
        self.screen = vt52.Vt52(rows, columns)
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def wait_end(self) -> int:
        """Wait for the end, reading what comes; return the status."""
        pidfd, until = os.pidfd_open(self._process.pid), time.monotonic() + STOP_S
        try:
            while not select.select([pidfd], [], [], 0)[0]:
                self._read(max(0.0, until - time.monotonic()), pidfd)
            while select.select([self._ours], [], [], 0)[0]:
                self._read(0)
        finally:
            os.close(pidfd)
        return self._process.wait()

    def wait_for_bytes(self, text: str) -> None:
        """Wait for a text to come, wherever on the screen."""
        until = time.monotonic() + START_S
        while text not in self.seen:
            self._read(max(0.0, until - time.monotonic()))

    def _read(self, seconds: float, other: int = -1) -> None:
        """Read something, or wait for the other descriptor."""
        ready = select.select([self._ours, *([other] if other >= 0 else [])], [], [], seconds)[0]
        assert ready, "\n".join(["nothing comes:", *self.screen.lines])
        if self._ours in ready:
            text = os.read(self._ours, 65_536).decode()
            self.seen += text
            self.screen.feed(text)

    @property
    def has_its_modes(self) -> bool:
        """Whether the terminal is as it was."""
        return termios.tcgetattr(self._ours) == self._before


def test_top_on_a_terminal(server: Server) -> None:
    """The screen is there, goes with the size, obeys keys, and leaves the terminal as it was."""
    with Terminal(server.state_dir, "top", "--interval", "0.1") as top:
        top.wait_for(lambda lines: lines[-1].startswith("q quit"))
        top.wait_for(lambda lines: lines[0].startswith(f"MegaComet {__version__}  http://127.0.0.1:{server.port}  up "))
        top.wait_for(lambda lines: [line.split()[:2] for line in lines[8:10]] == [["0", "up"], ["1", "up"]])
        top.press("w")
        top.wait_for(lambda lines: [line.split()[:2] for line in lines[8:10]] == [["1", "up"], ["0", "up"]])
        top.press(" ")
        top.wait_for_text("PAUSED")
        top.resize(10, 40)
        top.wait_for(lambda lines: lines[-1].startswith("q quit") and lines[-2].startswith("      0  up"))
        top.press("q")
        assert top.wait_end() == 0
        assert top.has_its_modes


@pytest.mark.parametrize(
    ("end", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), ("\x03", 130), ("q", 0)], ids=str
)
def test_how_top_ends(server: Server, end: signal.Signals | str, status: int) -> None:
    """However it ends, the terminal has its modes and the screen that was there."""
    with Terminal(server.state_dir, "top", name="xterm") as top:
        top.wait_for_bytes("q quit")
        if isinstance(end, str):
            top.press(end)
        else:
            top.send(end)
        assert top.wait_end() == status
        assert top.has_its_modes
        assert top.seen.count("\x1b[?1049h") == top.seen.count("\x1b[?1049l") == 1


def test_top_of_a_server_that_goes_and_comes(tmp_path: Path) -> None:
    """It says that nobody answers, and goes on with the next server, wherever that is."""
    state = tmp_path / "state"
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(state, *LOOPBACK))
        top = stack.enter_context(Terminal(state, "top", "--interval", "0.1"))
        top.wait_for_text(f"http://127.0.0.1:{server.port}  up")
        server.stop()
        top.wait_for(lambda lines: lines[0].startswith("no server answers at "))
        again = stack.enter_context(Server(state, *LOOPBACK))
        top.wait_for(lambda lines: f"http://127.0.0.1:{again.port}  up" in lines[0])
        top.press("q")
        assert top.wait_end() == 0


def test_top_without_a_screen(server: Server) -> None:
    """A terminal that cannot place text is refused, before anything is drawn."""
    environ = environment(server.state_dir) | {"TERM": "dumb"}
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*RUN, "top"], env=environ, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert done.stderr.startswith(b"megacomet top: TERM = 'dumb' ")
