"""megacomet top: lines of JSON, and what is used wrongly. The screen is tested where it is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from megacomet.cli import top
from megacomet.cli.looks import Looker
from megacomet.errors import NoServer
from tests.fake_server import STATS, FakeServer, bare_environment, serving, worker
from tests.test_cli_looks import FakeApi


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server without sockets."""
    bare_environment(monkeypatch)
    monkeypatch.setenv("MEGACOMET_API_KEY", "k")
    monkeypatch.setenv("MEGACOMET_URL", "http://comet.example")
    with serving(monkeypatch) as made:
        made.says("/api/stats", STATS)
        made.says("/api/workers", [worker(0)])
        yield made


def test_one_look(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Where stdout is no terminal a look is a line."""
    assert top.main(["--count", "1"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["stats"], told["workers"], told["error"]) == (STATS, [worker(0)], None)


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each interval, also while nobody answers; the count ends it without another pause."""
    api = FakeApi()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        api.stats = NoServer("nobody") if len(pauses) == 1 else STATS

    top.print_looks(Looker(lambda: api), 0.5, 3, pause)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["error"] for one in told] == [None, "nobody", None]
    assert pauses == [0.5, 0.5]


def test_nobody_from_the_start(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The first look tells whether there is anything to look at."""
    server.refuses = ConnectionRefusedError(111, "Connection refused")
    assert top.main([]) == 3
    out, err = capsys.readouterr()
    assert (out, err) == ("", "megacomet top: no server answers at http://comet.example:80: connection refused\n")


def test_intervals() -> None:
    """A pause that would put the server under load is made longer."""
    assert top.parser().parse_args(["--interval", "0.001"]).interval == 0.1
    assert top.parser().parse_args([]).interval == 1.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--interval", "0"], "argument --interval: '0' must be a number of seconds"),
        (["--count", "0"], "argument --count: '0' must be a whole number from 1 to"),
        (["x"], "unrecognized arguments: x"),
    ],
)
def test_wrong_use(arguments: list[str], said: str, server: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, status 2."""
    assert top.main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"megacomet top: {said}")
