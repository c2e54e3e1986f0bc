"""The megacomet command: its subcommands, and `megacomet config`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from megacomet import __version__
from megacomet.cli import main as cli
from megacomet.cli.config import reference
from megacomet.settings import HIDDEN, ROWS
from tests.fake_server import serving

REFERENCE = Path(__file__).parents[1] / "docs/reference/settings.md"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("MEGACOMET_")]:
        monkeypatch.delenv(name)


# The command


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """--help lists every subcommand; nothing at all is a wrong use and says the same."""
    assert cli.main(["--help"]) == cli.main(["-h"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in cli.COMMANDS)
    assert cli.main([]) == 2
    assert capsys.readouterr().err * 2 == out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version tells the version."""
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"MegaComet {__version__}\n"


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that does not exist is named, with those that do."""
    assert cli.main(["swam"]) == 2
    err = capsys.readouterr().err
    assert "'swam'" in err
    assert "swarm" in err


def test_a_command_gets_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A subcommand is found by its name, gets what stands after it, and its status is the command's."""
    module = ModuleType("some_command")
    module.main = lambda arguments: 40 + len(arguments)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_command", module)
    monkeypatch.setitem(cli.COMMANDS, "some", cli.Command("some_command:main", ""))
    assert cli.main(["some", "--a", "b"]) == 42


def test_nothing_is_imported_that_is_not_needed() -> None:
    """megacomet --version starts quickly: it imports neither Twisted nor any subcommand."""
    code = (
        "import sys; from megacomet.cli.main import main; main(['--version']);"
        "sys.exit(any(name.startswith(('twisted', 'megacomet.swarm')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("raised", "status"), [("KeyboardInterrupt", 130), ("BrokenPipeError", 141), ("SystemExit(3)", 3)]
)
def test_how_a_run_ends(raised: str, status: int) -> None:
    """Ctrl-C and a reader that went away end the command quietly, with the status that shells expect."""
    code = (
        "import sys, types; from megacomet.cli import main as cli\n"
        f"def stop(arguments): raise {raised}\n"
        "sys.modules['stop'] = types.SimpleNamespace(main=stop)\n"
        "cli.COMMANDS['stop'] = cli.Command('stop:main', '')\n"
        "sys.argv = ['megacomet', 'stop']; cli.run()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (status, b"", b"")


# megacomet config


def test_config(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting is printed with the value in force and where it came from."""
    path = tmp_path / "m.toml"
    path.write_text('ping_s = 20\norigins = ["https://a.example"]')
    monkeypatch.setenv("MEGACOMET_API_KEY", "open-sesame")
    assert cli.main(["config", "--config", str(path), "--port", "8080"]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert list(lines) == list(ROWS)
    assert lines["port"] == ["8080", "command", "line"]
    assert lines["ping_s"] == ["20", str(path)]
    assert lines["origins"] == ['["https://a.example"]', str(path)]
    assert lines["api_key"] == [HIDDEN, "MEGACOMET_API_KEY"]
    assert lines["pong_s"] == ["10", "built-in"]
    assert "open-sesame" not in out


def test_config_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints the same for programs, the key hidden."""
    assert cli.main(["config", "--json", "--workers", "3", "--api-key", "open-sesame", "--listen", "tcp6:81"]) == 0
    got = json.loads(capsys.readouterr().out)
    assert list(got) == list(ROWS)
    assert got["workers"] == {"value": 3, "source": "command line"}
    assert got["listen"] == {"value": ["tcp6:81"], "source": "command line"}
    assert got["api_key"] == {"value": HIDDEN, "source": "command line"}
    assert got["port"] == {"value": 80, "source": "built-in"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "99999"], "port = '99999' (from command line): must be a whole number from 0 to 65535"),
        (["--config", "/does/not/exist"], "config = '/does/not/exist'"),
        (["--prot", "1"], "option --prot not recognized"),
        (["port"], "Wrong number of arguments."),
        (["--url", "http://a"], "--url is for --running"),
        (["--reference", "--json"], "--reference stands alone"),
        (["--running", "--timeout", "x"], "timeout: 'x' must be a number of seconds"),
        (["--running", "--url", "x"], "url = 'x' (from command line): must be http://HOST:PORT"),
    ],
)
def test_config_used_wrongly(capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str) -> None:
    """What keeps the server from starting is told here in the same words, as one line, with status 2."""
    assert cli.main(["config", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"megacomet config: {reason}")
    assert err.count("\n") == 1


def test_config_help(capsys: pytest.CaptureFixture[str]) -> None:
    """--help shows the settings' options and the command's own."""
    assert cli.main(["config", "--help"]) == 0
    out = capsys.readouterr().out
    assert all(option in out for option in ("--port=", "--json", "--reference", "--no-classic"))


RUNNING = {
    "port": {"value": 8080, "source": "command line"},
    "api_key": {"value": HIDDEN, "source": "MEGACOMET_API_KEY"},
    "ping_s": {"value": 25.0, "source": "built-in"},
    "of_a_newer_version": {"value": ["\x1b"], "source": "m\x1b.toml"},
}


def test_config_of_the_running_server(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """--running asks the server, and prints what it tells in the same form, or as it came."""
    ask = ["config", "--running", "--url", "http://comet.example", "--api-key", "k", "--timeout", "5"]
    with serving(monkeypatch) as server:
        server.says("/api/config", RUNNING)
        assert cli.main(ask) == 0
        assert capsys.readouterr().out.splitlines() == [
            "port                8080        command line",
            "api_key             (hidden)    MEGACOMET_API_KEY",
            "ping_s              25          built-in",
            'of_a_newer_version  ["\\u001b"]  m\\x1b.toml',
        ]
        assert cli.main([*ask, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == RUNNING
        assert server.requests[0].headers["Authorization"] == "Bearer k"


def test_config_of_a_server_that_does_not_tell(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody there is status 3, something else status 1."""
    ask = ["config", "--running", "--url", "http://comet.example"]
    with serving(monkeypatch) as server:
        server.says("/api/config", [1])
        assert cli.main(ask) == 1
        server.refuses = ConnectionRefusedError(111, "Connection refused")
        assert cli.main(ask) == 3
    assert capsys.readouterr().err == (
        "megacomet config: the server's settings are not of the form that this version knows\n"
        "megacomet config: no server answers at http://comet.example:80: connection refused\n"
    )


def test_reference_page(capsys: pytest.CaptureFixture[str]) -> None:
    """The page of all settings says what the server does; `megacomet config --reference` makes it anew."""
    assert REFERENCE.read_text("utf-8") == reference()
    assert cli.main(["config", "--reference"]) == 0
    assert capsys.readouterr().out == reference()
