"""The console's doors on a real server: sign-in, sessions over a restart, keys that go, and `--admin`."""

from __future__ import annotations

import json
import re
import socket
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.integration.server import LINE_S, Server
from tests.integration.test_keys import audit_of, megacomet, new_key
from tests.integration.test_processes import user_for_a_server
from tests.test_wheel import build, sources

__all__ = ["sources"]  # a fixture

OPTIONS: Final = ("--port=0", "--interface=127.0.0.1")
PUSH: Final = {"channel": "a", "data": 1}
TRACE: Final = "Traceback"


class Answer:
    """One answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Browser:
    """Who has signed in, or has not: one request a connection."""

    def __init__(self, server: Server, port: int = 0) -> None:
        self._address = (server.host, port or server.port)
        self.cookie = ""
        self.csrf = ""

    def sign_in(self, key: str) -> Answer:
        """Sign in."""
        answer = self.ask("POST", "/console/session", {"key": key})
        if answer.status == 200:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
            self.csrf = answer.json()["csrf"]
        return answer

    def ask(self, method: str, path: str, body: Any = None, *headers: str) -> Answer:
        """Send a request as a page of the console does, and return the answer."""
        with self.open(method, path, body, *headers) as file:
            status, got = _head(file)
            return Answer(status, got, file.read(int(got.get("content-length", 0))))

    @contextmanager
    def open(self, method: str, path: str, body: Any = None, *headers: str) -> Iterator[Any]:
        """Send a request, and return what its answer is read from."""
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(data)}", *headers]
        if self.cookie:
            lines.append(f"Cookie: theme=dark; {self.cookie}")
        if method not in ("GET", "HEAD"):
            lines += ["Content-Type: application/json", "Origin: http://test", "Sec-Fetch-Site: same-origin"]
            lines += [f"X-CSRF-Token: {self.csrf}"] if self.csrf else []
        with socket.create_connection(self._address, LINE_S) as client, client.makefile("rb") as file:
            client.sendall("\r\n".join([*lines, "", ""]).encode() + data)
            yield file


def _head(file: Any) -> tuple[int, dict[str, str]]:
    status = int(file.readline().split()[1])
    lines = iter(file.readline, b"\r\n")
    return status, {name.lower(): value.strip() for name, _, value in (line.decode().partition(":") for line in lines)}


def test_from_sign_in_to_sign_out(tmp_path: Path) -> None:
    """A session opens what its key opens, from our pages only, and is over when it is signed out."""
    with Server(tmp_path / "state", *OPTIONS) as server:
        browser = Browser(server)
        assert browser.ask("GET", "/").headers["location"] == "/console/"
        page = browser.ask("GET", "/console/")
        [place] = set(re.findall(rb"/console/@[0-9a-f]+/", page.body))
        assert browser.ask("GET", f"{place.decode()}app.js").headers["cache-control"].endswith("immutable")
        assert browser.ask("GET", "/console/session").status == 401
        assert browser.ask("GET", "/console/api/stats").status == 401

        assert browser.sign_in(server.key).json()["scope"] == "admin"
        assert browser.ask("GET", "/console/api/stats").json()["version"]
        assert browser.ask("GET", "/api/stats").status == 401
        assert browser.ask("POST", "/console/api/push", PUSH).json()["status"] == "queued"
        whole, browser.csrf = browser.csrf, ""
        assert browser.ask("POST", "/console/api/push", PUSH).status == 403
        browser.csrf = whole
        assert browser.ask("POST", "/console/api/push", PUSH, "Origin: http://evil").status == 400  # two of them
        assert browser.ask("GET", "/console/api/stats").json()["messages"]["in"] == 1

        reader = Browser(server)
        reader.sign_in(new_key(server, "look", "read"))
        assert reader.ask("GET", "/console/api/workers").status == 200
        assert reader.ask("POST", "/console/api/workers/0/drain", {}).status == 403
        assert Browser(server).sign_in(new_key(server, "shop", "push")).status == 403

        assert browser.ask("DELETE", "/console/session").status == 204
        assert browser.ask("GET", "/console/api/stats").status == 401
        assert reader.ask("GET", "/console/api/stats").status == 200
        told = [(note["action"], note["key"], note["result"]) for note in audit_of(server)]
        assert [each for each in told if each[0] != "reload-keys"] == [
            ("sign-in", "api-key", "done"),
            ("sign-in", "look", "done"),
            ("sign-in", "shop", "forbidden"),
            ("sign-out", "api-key", "done"),
        ]
        assert not [line for line in server.lines if TRACE in line]


def test_a_key_is_revoked(tmp_path: Path) -> None:
    """Its sessions are over with the next request, and a stream that is open ends by itself."""
    with Server(tmp_path / "state", *OPTIONS) as server:
        browser = Browser(server)
        browser.sign_in(new_key(server, "look", "read"))
        with browser.open("GET", "/console/api/events") as stream:
            assert _head(stream)[0] == 200
            assert stream.readline().startswith(b"retry: ")
            assert megacomet(server, "revoke", "look").returncode == 0
            assert stream.read().endswith(b"\n\n")  # to its end
        answer = browser.ask("GET", "/console/api/stats")
        assert (answer.status, answer.json()["detail"]) == (401, "the key of this session was revoked")


def test_the_manager_is_killed(tmp_path: Path) -> None:
    """Sessions outlive the manager, those that were signed out do not come back, and a broken file is named."""
    state = tmp_path / "state"
    with Server(state, *OPTIONS) as first:
        stays, left = Browser(first), Browser(first)
        for browser in (stays, left):
            assert browser.sign_in(first.key).status == 200
        left.ask("DELETE", "/console/session")
        port = first.port
        first.kill("manager")
        with Server(state, *OPTIONS) as second:
            second.adopt(first)
            assert second.port == port
            assert stays.ask("GET", "/console/session").json()["csrf"] == stays.csrf
            assert stays.ask("POST", "/console/api/push", PUSH).status == 200
            assert left.ask("GET", "/console/session").status == 401
            for name in ("console-secret", "console-signed-out"):
                assert (state / name).stat().st_mode & 0o777 == 0o600
    (state / "console-secret").write_bytes(b"broken")
    third = Server(state, *OPTIONS).launch()
    assert third.wait_end() == 1
    assert f"megacomet: the console's secret {state}/console-secret is not 64 hexadecimal digits" in "\n".join(
        third.lines
    )
    third.kill_all()


def test_without_privileges(tmp_path: Path) -> None:
    """With --uid the server's user has the secrets that root has made, and sign-outs are remembered."""
    user = user_for_a_server()
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    state = tmp_path / "state"
    with Server(state, *OPTIONS, twistd=[f"--uid={user}"]) as server:
        stays, left = Browser(server), Browser(server)
        for browser in (stays, left):
            assert browser.sign_in(server.key).status == 200
        assert left.ask("DELETE", "/console/session").status == 204
    with Server(state, *OPTIONS, twistd=[f"--uid={user}"]) as server:
        for browser, status in ((stays, 200), (left, 401)):
            again = Browser(server)
            again.cookie = browser.cookie
            assert again.ask("GET", "/console/session").status == status
        for name in ("console-secret", "console-signed-out"):
            assert (state / name).stat().st_uid == user


def test_attempts_on_the_admin_address(tmp_path: Path) -> None:
    """`--admin` has the console and the public port has not; there too an address has ten attempts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Server(tmp_path / "state", *OPTIONS, f"--admin=tcp:{port}:interface=127.0.0.1") as server:
        for path in ("/", "/console/", "/console/session", "/console/api/stats"):
            assert Browser(server).ask("GET", path).status == 404
        browser = Browser(server, port)
        assert browser.ask("GET", "/").headers["location"] == "/console/"
        assert browser.ask("GET", "/console/").status == 200
        inside = Browser(server, port)
        assert inside.sign_in(server.key).status == 200
        assert [browser.sign_in(f"wrong-{n}").status for n in range(11)] == [401] * 10 + [429]
        answer = browser.sign_in(server.key)
        assert (answer.status, 1 <= int(answer.headers["retry-after"]) <= 300) == (429, True)
        assert inside.ask("GET", "/console/api/stats").status == 200
        refused = [note for note in audit_of(server) if note["result"] != "done"]
        assert [note["result"] for note in refused] == ["unauthorized"]
        assert inside.ask("DELETE", "/console/session").status == 204


def test_from_a_wheel(tmp_path: Path, sources: Path) -> None:
    """A server that was installed from a wheel serves the console, byte for byte what the checkout has."""
    installed = tmp_path / "installed"
    with zipfile.ZipFile(build(sources, "wheel", tmp_path)) as wheel:
        wheel.extractall(installed)
    # Away from the checkout, which a process that is started in it would import.
    away = ("env", "-C", str(tmp_path))
    with Server(tmp_path / "state", *OPTIONS, wrapper=away, env={"PYTHONPATH": str(installed)}) as server:
        server.wait_line(f"the console: .* files from {installed}/megacomet/console/pages")
        browser = Browser(server)
        page = browser.ask("GET", "/console/").body
        [place] = set(re.findall(rb"/console/@[0-9a-f]+/", page))
        pages = sources / "admin-ui"
        assert page.replace(place, b"/console/@/") == (pages / "index.html").read_bytes()
        served = [path for path in pages.rglob("*") if path.suffix in (".js", ".mjs", ".css") and path.is_file()]
        assert served
        for path in served:
            answer = browser.ask("GET", place.decode() + path.relative_to(pages).as_posix())
            assert (answer.status, answer.body) == (200, path.read_bytes())
