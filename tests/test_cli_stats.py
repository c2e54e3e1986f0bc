"""megacomet stats: the numbers for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from megacomet.cli import stats
from tests.fake_server import STATS, FakeServer, bare_environment, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server without sockets."""
    bare_environment(monkeypatch)
    monkeypatch.setenv("MEGACOMET_API_KEY", "k")
    with serving(monkeypatch) as made:
        yield made


ASK = ("--url", "http://comet.example")


def test_for_people(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures below each other with their units, and how long the server has run by its own clock."""
    server.says("/api/stats", STATS)
    assert stats.main(ASK) == 0
    assert capsys.readouterr().out == (
        "MegaComet 1.2.3, up 1 d 1 h, since 2026-11-27T08:00:00Z\n"
        "\n"
        "connections  1,000,003\n"
        "  poll       1,000,000\n"
        "  sse                2\n"
        "  stream             0\n"
        "  ws                 1\n"
        "messages\n"
        "  in                 5\n"
        "  out            1,234\n"
        "store\n"
        "  messages           7\n"
        "  bytes         1.5 MB\n"
        "  channels           3\n"
        "  waiting            0\n"
        "memory        400.0 MB\n"
        "  manager      40.0 MB\n"
        "  zygote         900 B\n"
        "  workers     360.0 MB\n"
    )


def test_without_a_clock() -> None:
    """Nothing is said of what is not known; what a server says is made harmless."""
    assert stats.headline({**STATS, "version": "\x1b"}, None) == "MegaComet \\x1b, since 2026-11-27T08:00:00Z"


def test_for_programs(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer as it came."""
    server.says("/api/stats", STATS)
    assert stats.main([*ASK, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == STATS


@pytest.mark.parametrize(
    "value",
    [[], {}, {**STATS, "store": 1}, {**STATS, "memory": {"manager": None}}, {**STATS, "connections": {"a": "b"}}],
)
def test_odd_numbers(value: Any, server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON of another form is told as such."""
    server.says("/api/stats", value)
    assert stats.main(ASK) == 1
    assert capsys.readouterr().err == (
        "megacomet stats: the server's numbers are not of the form that this version knows\n"
    )


def test_refused(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong key is told with where it came from."""
    server.refuses_with("/api/stats", 401, "unauthorized", "the key is not known here")
    assert stats.main(ASK) == 1
    assert capsys.readouterr().err == (
        "megacomet stats: 401 unauthorized: the key is not known here (the key is that of MEGACOMET_API_KEY)\n"
    )
