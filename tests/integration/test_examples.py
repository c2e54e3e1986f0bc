"""The examples that push, each run as it stands: by the commands that its head tells, on a real server."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from tests.integration.programs import Program, run, user_environ
from tests.integration.server import LINE_S, Server
from tests.integration.test_cli import free_port
from tests.integration.test_keys import megacomet, new_key

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
#: Each has an address for posts, and tells on its output when it serves it.
BACKENDS: Final = {
    "flask_app.py": r"Running on http",
    "django_app.py": r"Quit the server with",
    "fastapi_app.py": r"Uvicorn running on",
    "push.php": r"Development Server \(\S+\) started",
}
#: Where the heads of the examples have their backends.
PORT: Final = "5000"
MOST_LINES: Final = 60


def head_commands(name: str) -> list[str]:
    """Return the commands in the head of an example: the first indented block of its comment."""
    lines = [re.sub(r"^(#|//) ?", "", line) for line in (EXAMPLES / name).read_text("utf-8").splitlines()]
    start = next(n for n, line in enumerate(lines) if line.startswith("    "))
    end = next(n for n, line in enumerate(lines) if n > start and not line.startswith("    "))
    return [line.strip() for line in lines[start:end]]


class Backend:
    """One of the backends, running.

    Attributes:
        program: its process.
        key: that it pushes with.
    """

    def __init__(self, stack: ExitStack, name: str, server: Server, port: int) -> None:
        """Start it with a key of its own that is called as it is."""
        *_, start, self._post = (line.replace(PORT, str(port)) for line in head_commands(name))
        self.key = new_key(server, name, "push")
        self._env = user_environ(MEGACOMET_URL=f"http://127.0.0.1:{server.port}", MEGACOMET_API_KEY=self.key)
        self.program = stack.enter_context(Program(start, EXAMPLES, self._env))

    def post(self) -> dict[str, Any]:
        """Post to it as its head tells; return the JSON of its answer."""
        done = run(self._post, EXAMPLES, self._env)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


class House:
    """A server that may be stopped and started again, and the backends.

    Attributes:
        server: the one that runs.
        backends: by the names of their files.
    """

    def __init__(self, stack: ExitStack, state_dir: Path) -> None:
        self._stack = stack
        self._state_dir = state_dir
        self.server = self._start(0)
        self.backends: dict[str, Backend] = {}
        for name in BACKENDS:
            port = stack.enter_context(free_port())
            self.backends[name] = Backend(stack, name, self.server, port)
        for name, serves in BACKENDS.items():
            self.backends[name].program.wait_for(serves)

    def _start(self, port: int) -> Server:
        return self._stack.enter_context(Server(self._state_dir, f"--port={port}", "--interface=127.0.0.1", workers=1))

    def restart(self) -> None:
        """Start it again where it was."""
        self.server = self._start(self.server.port)

    def heard(self, backend: Backend) -> tuple[dict[str, Any], Any]:
        """Listen to the news while something is posted; return the answer and the data that came."""
        with self.server.connect() as client, client.makefile("rb") as stream:
            client.sendall(b"GET /comet/stream?channel=news HTTP/1.0\r\nHost: test\r\n\r\n")
            assert any(b'"position"' in line for line in stream), "the stream ended"
            answer = backend.post()
            return answer, json.loads(stream.readline())["data"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The server and all backends."""
    with ExitStack() as stack:
        yield House(stack, tmp_path_factory.mktemp("examples") / "state")


@pytest.mark.parametrize("name", BACKENDS)
def test_a_post_is_pushed(house: House, name: str) -> None:
    """Whoever listens is told what was posted, by the time that the post is answered."""
    answer, data = house.heard(house.backends[name])
    assert answer["live"] is True
    assert data["text"] == answer["text"] == "hello"


def test_the_server_is_away(house: House) -> None:
    """Posts are answered all the same, and the log tells; when the server is back nothing else has to be done."""
    house.server.stop()
    for name, backend in house.backends.items():
        answer = backend.post()
        assert (answer["live"], answer["text"]) == (False, "hello"), name
        backend.program.wait_for(r"the push to news (failed|was not taken): .")
    house.restart()
    for name, backend in house.backends.items():
        answer, data = house.heard(backend)
        assert (answer["live"], data["text"]) == (True, "hello"), name


@pytest.mark.parametrize("name", BACKENDS)
def test_a_key_is_revoked(house: House, name: str) -> None:
    """The post is answered all the same; the log has the server's reason, and not the key."""
    backend = house.backends[name]
    assert megacomet(house.server, "revoke", name).returncode == 0
    assert backend.post()["live"] is False
    backend.program.wait_for(r"the push to news was not taken: .*the key is not known here")
    assert backend.key not in backend.program.output


# -- without a backend


def shell_environ(house: House, **more: str) -> dict[str, str]:
    """Return the environment of somebody who has the server's key."""
    url = f"http://127.0.0.1:{house.server.port}"
    return user_environ(MEGACOMET_URL=url, MEGACOMET_API_KEY=house.server.key, **more)


def test_curl(house: House) -> None:
    """The answer comes on stdout with status 0."""
    _, push = head_commands("push.sh")
    done = run(push, EXAMPLES, shell_environ(house))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["status"] in ("sent", "queued")


@pytest.mark.parametrize(
    ("line", "more", "status", "said"),
    [
        ("./push.sh news nonsense", {}, 22, "JSON is malformed"),
        ("./push.sh news 1", {"MEGACOMET_API_KEY": "another"}, 22, "the key is not known here"),
        ("./push.sh news 1", {"MEGACOMET_API_KEY": ""}, 2, "MEGACOMET_API_KEY"),
        ("./push.sh news", {}, 2, "usage"),
        ("./push.sh 'a\"b' 1", {}, 2, "quote"),
    ],
)
def test_curl_that_is_refused(house: House, line: str, more: dict[str, str], status: int, said: str) -> None:
    """The status tells a script, and the reason a person."""
    done = run(line, EXAMPLES, {**shell_environ(house), **more})
    assert done.returncode == status
    assert said in done.stdout + done.stderr


def test_the_key_is_on_no_command_line() -> None:
    """Nobody else on the machine reads it from the list of processes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LINE_S)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        env = user_environ(MEGACOMET_URL=url, MEGACOMET_API_KEY="a-secret")
        with Program("./push.sh news 1", EXAMPLES, env):
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as request:
                assert any(b"a-secret" in line for line in request)
                lines = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    assert any("curl" in line and url in line for line in lines)
    assert not any("a-secret" in line for line in lines)


def test_cron(house: House, tmp_path: Path) -> None:
    """Set up as the crontab's head tells, and run as cron would, which gives a job hardly any environment."""
    env = shell_environ(house, HOME=str(tmp_path), MEGACOMET_STATE_DIR=str(house.server.state_dir))
    done = run("\n".join(head_commands("cron/crontab")), EXAMPLES, env)
    assert done.returncode == 0, done.stderr
    settings = tmp_path / ".megacomet.env"
    assert settings.stat().st_mode & 0o777 == 0o600
    with settings.open("a") as file:
        file.write(f"MEGACOMET_URL=http://127.0.0.1:{house.server.port}\n")

    [line] = [each for each in (EXAMPLES / "cron/crontab").read_text().splitlines() if not each.startswith("#")]
    *when, job = line.split(maxsplit=5)
    assert when == ["*"] * 5
    bare = {"HOME": str(tmp_path), "LOGNAME": "user", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    done = run(job, tmp_path, bare)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "cron would send a mail"
    told = house.server.get("/comet/poll?channel=load&since=oldest&timeout=0").partition(b"\r\n\r\n")[2]
    [message] = json.loads(told)["messages"]
    assert len(message["data"]["load"]) == 3

    assert megacomet(house.server, "revoke", "load").returncode == 0
    done = run(job, tmp_path, bare)
    assert done.returncode != 0
    assert "the key is not known here" in done.stdout + done.stderr


# -- all of them


@pytest.mark.parametrize("path", [path for path in EXAMPLES.rglob("*") if path.is_file()], ids=lambda path: path.name)
def test_it_can_be_read_at_a_glance(path: Path) -> None:
    """No example is longer than a page."""
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES
