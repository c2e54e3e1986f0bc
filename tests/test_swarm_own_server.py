"""The own server of a whole run: what it is started with, and the port that it gets."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

import pytest

import megacomet
from megacomet.swarm.own_server import HOST, command, environment, free_port, keep, remove_stale

CODE = str(Path(megacomet.__file__).parents[1])


def test_environment() -> None:
    """It has a state of its own and the code of the command, and none of the settings meant for another server."""
    given = {"MEGACOMET_PORT": "80", "MEGACOMET_API_KEY": "x", "PATH": "/bin", "PYTHONPATH": "/a", "TMPDIR": "/tmp"}
    found = environment("/state", given)
    code = f"{CODE}{os.pathsep}/a"
    assert found == {"MEGACOMET_STATE_DIR": "/state", "PATH": "/bin", "PYTHONPATH": code, "TMPDIR": "/state"}
    assert environment("/state", {})["PYTHONPATH"] == CODE


def test_command() -> None:
    """It is this installation's, stays in the foreground and writes no pid file."""
    found = command("--port=81")
    assert found[3:] == ["--nodaemon", "--pidfile=", "megacomet", "--port=81"]


def test_a_free_port() -> None:
    """It lies below those that clients get, where there are such."""
    assert 20_768 <= free_port(0, 32_768) < 32_768
    assert free_port(0, 1) >= 1024


def test_a_port_that_is_taken() -> None:
    """Who asks for one that is taken is told, and gets no other."""
    with socket.create_server((HOST, 0)) as taken, pytest.raises(OSError, match="in use"):
        free_port(taken.getsockname()[1], 32_768)


def test_what_a_killed_run_has_left(tmp_path: Path) -> None:
    """The next run removes the folder, unless somebody keeps it, its server still stops, or it is no run's."""
    kept, stopping, stale, foreign = (tmp_path / f"megacomet-{name}" for name in ("kept", "stopping", "stale", "other"))
    for folder in (kept, stopping, stale, foreign):
        (folder / "link").mkdir(parents=True)
    for folder in (stopping, stale):
        os.close(keep(str(folder)))
    descriptor = keep(str(kept))
    with open(stopping / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_stale(str(tmp_path))
        assert {path.name for path in tmp_path.iterdir()} == {kept.name, stopping.name, foreign.name}
    os.close(descriptor)
    remove_stale(str(tmp_path))
    assert list(tmp_path.iterdir()) == [foreign]


def test_a_link_to_a_stale_folder(tmp_path: Path) -> None:
    """What a link of that name leads to is not touched."""
    target = tmp_path / "elsewhere"
    target.mkdir()
    os.close(keep(str(target)))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (temporary / "megacomet-link").symlink_to(target)
    remove_stale(str(temporary))
    assert target.exists()
