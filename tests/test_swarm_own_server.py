"""The own server of a whole run: what it is started with, and the port that it gets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

import megacomet
from megacomet.swarm.own_server import HOST, command, environment, free_port

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
