"""Finding the server and the key: what counts more, what is refused, and who is not to have a key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from megacomet import whereabouts
from megacomet.cli.finding import Asked, Found, find
from megacomet.errors import CallError, SettingError
from megacomet.settings import load
from megacomet.whereabouts import Door, Whereabouts
from tests.strangers import Stranger

URL = "http://192.0.2.7:8080"


def search(state_dir: Path | None, url: str | None = None, key_file: Path | None = None, **more: Any) -> Found:
    """Find with these settings, in this environment (names in capitals)."""
    environ = {"HOME": "/nowhere"} | {f"MEGACOMET_{name}": value for name, value in more.items() if name.isupper()}
    given = {name: value for name, value in more.items() if not name.isupper()}
    if state_dir is not None:
        given["state_dir"] = str(state_dir)
    settings, sources = load(given, environ)
    return find(Asked(url, None if key_file is None else str(key_file)), settings, sources, environ)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[int]:
    """A running manager that has the lock of the state directory."""
    with Stranger("megacomet: manager") as server:
        (tmp_path / "lock").write_text(f"{server.pid}\n")
        yield server.pid


def tell(state_dir: Path, pid: int, *addresses: tuple[str, str]) -> None:
    """Leave where a server is."""
    doors = [Door(*address) for address in addresses]
    whereabouts.write(str(state_dir), Whereabouts(pid, "1.2.3", "2026-11-28T09:00:00Z", doors))


# Where


def test_the_order(tmp_path: Path, manager: int) -> None:
    """The option before the variable, before the running server, before the settings."""
    tell(tmp_path, manager, ("http://0.0.0.0:8081", "public"))
    assert str(search(tmp_path, URL, URL="unix:/x").address) == URL
    assert str(search(tmp_path, URL="unix:/x").address) == "unix:/x"
    found = search(tmp_path, port=8082)
    assert (str(found.address), found.about_address) == ("http://127.0.0.1:8081", f"as process {manager} has told")
    assert found.server is not None
    whereabouts.remove(str(tmp_path))
    found = search(tmp_path, port=8082)
    assert (str(found.address), found.server) == ("http://127.0.0.1:8082", None)
    assert found.about_address.endswith(f"no running server is known from {tmp_path}")


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        ([("http://0.0.0.0:80", "public"), ("http://[::]:80", "public")], "http://127.0.0.1:80"),
        ([("http://[::]:80", "public")], "http://[::1]:80"),
        ([("unix:/x", "public"), ("http://0.0.0.0:8000", "classic")], "unix:/x"),
        ([("http://0.0.0.0:80", "public"), ("https://0.0.0.0:81", "api")], "https://127.0.0.1:81"),
    ],
)
def test_the_running_server(addresses: list[tuple[str, str]], found: str, tmp_path: Path, manager: int) -> None:
    """The API is at an address of its own if there is one, else at the first public one."""
    tell(tmp_path, manager, *addresses)
    assert str(search(tmp_path).address) == found


def test_a_server_that_does_not_know(tmp_path: Path, manager: int) -> None:
    """Of systemd's sockets at --admin nobody knows the address."""
    tell(tmp_path, manager, ("http://0.0.0.0:80", "public"), ("systemd:index=0", "api"))
    with pytest.raises(CallError, match=rf"process {manager}\) has its API cannot be known: name it with --url"):
        search(tmp_path)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, "http://127.0.0.1:80"),
        ({"port": 8080, "interface": "192.0.2.7"}, "http://192.0.2.7:8080"),
        ({"listen": ["systemd:index=0", "tcp6:81"], "port": 8080}, "http://[::1]:81"),
        ({"admin": "unix:/x", "listen": ["tcp6:81"]}, "unix:/x"),
    ],
)
def test_the_settings(settings: dict[str, Any], found: str, tmp_path: Path) -> None:
    """Without a running server the settings tell."""
    assert str(search(tmp_path, **settings).address) == found


@pytest.mark.parametrize("settings", [{"port": 0}, {"listen": ["systemd:index=0"]}, {"admin": "systemd:index=0"}])
def test_settings_that_do_not_tell(settings: dict[str, Any], tmp_path: Path) -> None:
    """What cannot be known has to be named."""
    with pytest.raises(CallError, match="name it with --url"):
        search(tmp_path, **settings)


def test_no_url(tmp_path: Path) -> None:
    """What is no URL is told with where it came from."""
    with pytest.raises(SettingError, match=r"url = 'x' \(from command line\): must be http://HOST:PORT"):
        search(tmp_path, "x")
    with pytest.raises(SettingError, match=r"url = 'x' \(from MEGACOMET_URL\)"):
        search(tmp_path, URL="x")
    with pytest.raises(SettingError, match=r"url = '' \(from command line\)"):
        search(tmp_path, "")
    assert str(search(tmp_path, URL="").address) == "http://127.0.0.1:80"


# The key


def test_the_key(tmp_path: Path) -> None:
    """The file that was named before the setting, before the state directory; all of them are told by their place."""
    (tmp_path / "api-key").write_text("of-the-directory\n")
    (tmp_path / "named").write_text("of-the-file\n")
    found = search(tmp_path, URL, tmp_path / "named", API_KEY="of-the-setting")
    assert (found.key, found.about_key) == ("of-the-file", f"the key is that of {tmp_path / 'named'}")
    found = search(tmp_path, URL, API_KEY="of-the-setting")
    assert (found.key, found.about_key) == ("of-the-setting", "the key is that of MEGACOMET_API_KEY")
    found = search(tmp_path, URL)
    assert (found.key, found.about_key) == ("of-the-directory", f"the key is that of {tmp_path / 'api-key'}")
    assert "of-the-directory" not in repr(found)


def test_no_key(tmp_path: Path) -> None:
    """Without a key the server is asked nevertheless, and whoever is refused is told why."""
    found = search(tmp_path)
    assert found.key == ""
    assert found.about_key == f"no key was sent: {tmp_path / 'api-key'} is not there; --api-key-file names another"


@pytest.mark.parametrize(
    ("content", "why"), [("", "is empty"), ("a b\n", "is not one line of letters"), (None, "Is a")]
)
def test_a_key_that_cannot_be_read(content: str | None, why: str, tmp_path: Path) -> None:
    """The file is named; one that was asked for is a wrong use, that of the directory a failure."""
    path = tmp_path / "api-key"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    with pytest.raises(CallError, match=f"the API key {path} .*{why}"):
        search(tmp_path)
    with pytest.raises(SettingError, match=f"api-key-file = '{path}' .*{why}"):
        search(tmp_path, key_file=path)
    with pytest.raises(SettingError, match="it is not there"):
        search(tmp_path, key_file=tmp_path / "typo")


def test_who_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of a state directory that nobody named goes to this machine only."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    state = tmp_path / ".local/state/megacomet"
    state.mkdir(parents=True)
    (state / "api-key").write_text("secret\n")

    def key_for(url: str) -> str:
        environ = {"HOME": str(tmp_path)}
        settings, sources = load({}, environ)
        return find(Asked(url, None), settings, sources, environ).key

    assert [key_for(url) for url in ("http://localhost:1", "unix:/x", "http://0.0.0.0:1")] == ["secret"] * 3
    assert key_for(URL) == ""
    assert search(state, URL).key == "secret"
