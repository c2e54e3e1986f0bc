"""Keys and the audit log as operators have them: `megacomet key` beside a running server. On real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.server import Server, environ
from tests.integration.test_processes import user_for_a_server

PUSH = {"client": "sue", "data": 1}
CUT = "/api/clients/sue/disconnect"


class Client:
    """A connection that is kept."""

    def __init__(self, server: Server) -> None:
        self.socket = server.connect()
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def ask(self, method: str, path: str, key: str, body: Any = None) -> tuple[int, Any]:
        """Send a request; return status and JSON of its answer."""
        data = b"" if body is None else json.dumps(body).encode()
        self.socket.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\nX-Request-Id: of-a-test\r\n"
            f"Content-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        status = int(self._file.readline().split()[1])
        headers = dict(line.split(b": ", 1) for line in iter(self._file.readline, b"\r\n"))
        return status, json.loads(self._file.read(int(headers[b"Content-Length"])))


def megacomet(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `megacomet key` for a server."""
    return subprocess.run(
        [
            *(sys.executable, "-c", "from megacomet.cli.main import run; run()", "key"),
            *(*arguments, f"--state-dir={server.state_dir}"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=environ(),
    )


def new_key(server: Server, name: str, scope: str) -> str:
    """Make a key, and wait until the server knows it."""
    seen = len(server.lines)
    made = megacomet(server, "new", name, "--scope", scope)
    assert made.returncode == 0
    assert made.stderr.endswith(f"The server (process {server.pid('manager')}) was told.\n")
    server.wait_line(f"the API keys were read again: added {name}", after=seen)
    return made.stdout.strip()


def audit_of(server: Server) -> list[dict[str, Any]]:
    """Return what stands in the audit log."""
    return [json.loads(line) for line in (server.state_dir / "audit.log").read_text().splitlines()]


def hang_up(server: Server, line: str) -> str:
    """Send SIGHUP, and wait for a line of the log."""
    seen = len(server.lines)
    server.kill("manager", signal.SIGHUP)
    return server.wait_line(line, after=seen)


def test_the_life_of_a_key(tmp_path: Path) -> None:
    """A key is made beside a running server, opens what its scope allows, survives a broken file, and is revoked."""
    with Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1") as server, Client(server) as client:
        assert client.ask("POST", "/api/push", server.key, PUSH)[0] == 200
        key = new_key(server, "shop", "push")
        assert client.ask("POST", "/api/push", key, PUSH)[0] == 200
        status, problem = client.ask("POST", CUT, key, {})
        assert (status, problem["code"]) == (403, "forbidden")
        assert client.ask("GET", "/api/stats", key)[0] == 403
        look = new_key(server, "look", "read")
        assert client.ask("GET", "/api/stats", look)[0] == 200
        assert client.ask("POST", "/api/push", look, PUSH)[0] == 403

        path = server.state_dir / "keys.jsonl"
        whole = path.read_bytes()
        path.write_bytes(whole[:-20])
        line = hang_up(server, "the API keys stay as they were")
        assert f"line 2 of {path} is not JSON" in line
        assert client.ask("POST", "/api/push", key, PUSH)[0] == 200
        assert megacomet(server, "list").returncode == 1
        path.write_bytes(whole)
        hang_up(server, "the API keys were read again: nothing has changed")

        seen = len(server.lines)
        assert megacomet(server, "revoke", "shop").returncode == 0
        server.wait_line("the API keys were read again: removed shop", after=seen)
        status, problem = client.ask("POST", "/api/push", key, PUSH)
        assert (status, problem["code"]) == (401, "unauthorized")
        with Client(server) as other:
            assert other.ask("POST", CUT, server.key, {}) == (200, {"disconnected": 0})
            mine = "{}:{}".format(*other.socket.getsockname())
        notes = audit_of(server)
        assert [(note["action"], note["result"]) for note in notes] == [
            ("reload-keys", "done"),
            ("reload-keys", "done"),
            ("reload-keys", "refused"),
            ("reload-keys", "done"),
            ("disconnect", "done"),
        ]
        last = notes[-1]
        assert (last["key"], last["address"], last["request_id"]) == ("api-key", mine, "of-a-test")
        assert (server.state_dir / "audit.log").stat().st_mode & 0o777 == 0o600


def test_the_log_is_rotated(tmp_path: Path) -> None:
    """What logrotate has moved away is written no more after SIGHUP."""
    with Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1") as server, Client(server) as client:
        log = server.state_dir / "audit.log"
        client.ask("POST", CUT, server.key, {})
        log.rename(tmp_path / "audit.log.1")
        hang_up(server, "the API keys were read again")
        client.ask("POST", CUT, server.key, {"reconnect": False, "block_s": 60})
        assert [note["block_s"] for note in audit_of(server)] == [60]
        assert (tmp_path / "audit.log.1").read_bytes().count(b"\n") == 1


def test_a_broken_file_keeps_the_server_from_starting(tmp_path: Path) -> None:
    """A start with keys that nobody can read ends with one line that names file and line, and status 1."""
    (tmp_path / "state").mkdir(0o700)
    path = tmp_path / "state" / "keys.jsonl"
    path.write_text("nonsense\n")
    server = Server(tmp_path / "state", "--port=0").launch()
    try:
        assert server.wait_end() == 1
    finally:
        server.kill_all()
    assert f"megacomet: the API keys cannot be used: line 1 of {path} is not JSON (character 1)" in server.lines
    assert path.read_text() == "nonsense\n"


def test_without_privileges(tmp_path: Path) -> None:
    """With --uid the server reads, after it became that user, what root has made before and since."""
    user = user_for_a_server()
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    with Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1", twistd=[f"--uid={user}"]) as server:
        new_key(server, "first", "push")
    with Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1", twistd=[f"--uid={user}"]) as server:
        key = new_key(server, "second", "push")
        for name in ("keys.jsonl", "audit.log"):
            assert (server.state_dir / name).stat().st_uid == user
        with Client(server) as client:
            assert client.ask("POST", "/api/push", key, PUSH)[0] == 200
            client.ask("POST", CUT, server.key, {})
        assert [note.get("added") for note in audit_of(server)] == [["first"], ["second"], None]


#: Leads the session of the terminal that is its first argument, and becomes what the others say. Who runs the tests may
#: have been started with nohup, and what it ignores is ignored by all that it starts.
IN_A_TERMINAL = (
    "import fcntl, os, signal, sys, termios; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.setsid();"
    "fd = int(sys.argv[1]); fcntl.ioctl(fd, termios.TIOCSCTTY, 0);"
    "os.dup2(fd, 0); os.close(fd); os.execvp(sys.argv[2], sys.argv[2:])"
)


def test_a_terminal_that_is_closed(tmp_path: Path) -> None:
    """A server in the foreground of a terminal obeys SIGHUP, and ends in good order when the terminal is closed."""
    ours, theirs = os.openpty()
    server = Server(
        tmp_path / "state",
        "--port=0",
        "--interface=127.0.0.1",
        pass_fds=[theirs],
        wrapper=[sys.executable, "-c", IN_A_TERMINAL, str(theirs)],
    )
    with server:
        os.close(theirs)
        hang_up(server, "the API keys were read again: nothing has changed")
        os.close(ours)
        assert server.wait_end() == 0
        assert server.wait_line("the terminal is gone")
        server.assert_nothing_left()
