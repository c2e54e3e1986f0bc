"""The options of twistd megacomet: spelt like the settings, checked before anything opens, and the log's form."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.application.app import AppLogger
from twisted.python import usage
from twisted.scripts.twistd import ServerOptions

from megacomet import __version__
from megacomet.errors import SettingError
from megacomet.options import Options, json_log
from megacomet.setting_rules import Flag, Many
from megacomet.settings import BUILT_IN, COMMAND_LINE, ROWS


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("MEGACOMET_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """The log's signal is ours only while a test runs."""
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def parse(*arguments: str) -> Options:
    """The options, as without twistd."""
    options = Options()
    options.parseOptions(list(arguments))
    return options


class Plugin:
    """Stands where twistd finds the plugin."""

    tapname = "megacomet"
    description = ""
    options = Options


class Twistd(ServerOptions):
    """twistd's own options, with our plugin as the only one."""

    _getPlugins = staticmethod(lambda _interface: [Plugin])


def twistd(*arguments: str) -> Any:
    """twistd's options after parsing."""
    config = Twistd()
    config.parseOptions(list(arguments))
    return config


# The options


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_every_setting_is_an_option(row: Any) -> None:
    """Each setting can be given as the option of its name, and is in --help with what it does."""
    options = Options()
    assert row.about.text.split()[0] in str(options)
    if isinstance(row.about.rule, Flag):
        arguments, value = [row.option], True
    elif isinstance(row.about.rule, Many):
        texts = ("tcp:81", "unix:/run/a,b") if row.name == "listen" else ("https://a.example", "https://b.example")
        arguments, value = [part for text in texts for part in (row.option, text)], texts
    else:
        value = {str: "/a" if row.name == "state_dir" else "json" if row.name == "log_format" else "::1"}.get(
            type(row.default), row.default or 1
        )
        value = {"admin": "tcp:81", "ws_echo": "/echo"}.get(row.name, value)
        arguments = [f"{row.option}={value}"]
    options.parseOptions(arguments)
    assert getattr(options.settings, row.name) == value
    assert {name: source for name, source in options.sources.items() if source != BUILT_IN} == {row.name: COMMAND_LINE}


def test_flags_can_be_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment switches on, the command line can switch off."""
    monkeypatch.setenv("MEGACOMET_CLASSIC", "true")
    assert parse().settings.classic
    assert not parse("--no-classic").settings.classic
    with pytest.raises(usage.UsageError, match="exclude each other"):
        parse("--classic", "--no-classic")


def test_config_file(tmp_path: Path) -> None:
    """--config names the file."""
    path = tmp_path / "m.toml"
    path.write_text("port = 8080")
    assert parse("--config", str(path)).settings.port == 8080
    assert parse("-c", str(path), "--port", "0").settings.port == 0


def test_wrong_value() -> None:
    """A wrong value is an error of usage whose text is the setting's."""
    with pytest.raises(usage.UsageError) as caught:
        parse("--port", "99999")
    assert str(caught.value) == str(SettingError("port", "99999", ROWS["port"].about.rule.phrase, COMMAND_LINE))


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version tells MegaComet's version, not Twisted's."""
    with pytest.raises(SystemExit) as caught:
        parse("--version")
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"MegaComet {__version__}\n"


# Under twistd


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "99999"], "port = '99999' (from command line): must be a whole number from 0 to 65535"),
        (["--prot", "80"], "option --prot not recognized"),
        (["80"], "Wrong number of arguments."),
    ],
)
def test_one_line_under_twistd(arguments: Sequence[str], reason: str) -> None:
    """Under twistd a wrong option ends the start with one line, not with all options of twistd."""
    with pytest.raises(SystemExit) as caught:
        twistd("-n", "megacomet", *arguments)
    assert caught.value.code == f"megacomet: {reason}"


def test_text_log_is_twistds_own() -> None:
    """In the text form twistd's logging is left alone."""
    assert twistd("-n", "megacomet")["logger"] is None


def test_json_log_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """With log_format json twistd logs objects, on stdout when in the foreground."""
    config = twistd("-n", "megacomet", "--log-format", "json")
    assert config["logger"] is json_log
    observer = AppLogger(config)._observerFactory()
    observer({"log_format": "hello"})
    assert json.loads(capsys.readouterr().out)["text"] == "hello"


def test_json_log_in_a_file(tmp_path: Path) -> None:
    """--logfile names the file, and twistd's name for it is the default of a daemon."""
    path = tmp_path / "a.log"
    config = twistd("-n", "--logfile", str(path), "megacomet", "--log-format", "json")
    config["logger"]()({"log_format": "hello"})
    assert json.loads(path.read_text())["text"] == "hello"


def test_json_log_of_a_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon without --logfile logs where twistd would, and cannot log to stdout."""
    monkeypatch.chdir(tmp_path)
    twistd("megacomet", "--log-format", "json")["logger"]()({"log_format": "hello"})
    assert json.loads((tmp_path / "twistd.log").read_text())["text"] == "hello"
    config = twistd("--logfile", "-", "megacomet", "--log-format", "json")
    with pytest.raises(SystemExit, match="cannot log to stdout"):
        config["logger"]()


@pytest.mark.parametrize("other", ["--syslog", "--logger=twisted.logger.textFileLogObserver"])
def test_json_log_excludes_other_forms(other: str) -> None:
    """twistd's own options for another form of the log contradict log_format json."""
    with pytest.raises(SystemExit) as caught:
        twistd("-n", other, "megacomet", "--log-format", "json")
    assert "exclude each other" in str(caught.value.code)


# A real twistd

PROBE = """
import os
import signal
from twisted.application.service import MultiService
from twisted.logger import Logger
from megacomet.options import Options

class Service(MultiService):
    def startService(self):
        from twisted.internet import reactor
        Logger("probe").info("port {port}", port=self.port)
        print("printed")
        reactor.callWhenRunning(os.kill, os.getpid(), signal.SIGUSR1 if self.rotate else signal.SIGCONT)
        # After the turn in which the signal is worked off.
        reactor.callLater(0, reactor.callLater, 0, self.end, 3)

    def end(self, turns):
        from twisted.internet import reactor
        Logger("probe").info("turn {turns}", turns=turns)
        if turns:
            reactor.callLater(0, self.end, turns - 1)
        else:
            reactor.stop()

def makeService(options):
    service = Service()
    service.port = options.settings.port
    service.rotate = not options.parent["nodaemon"]
    return service
"""
PLUGIN = """
from twisted.application.service import ServiceMaker
Probe = ServiceMaker("probe", "probe", "", "probe")
"""


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    """A directory with a plugin that has our options, logs a few lines and stops."""
    plugins = tmp_path / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "probe_plugin.py").write_text(PLUGIN)
    (tmp_path / "probe.py").write_text(PROBE)
    return tmp_path


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run twistd until it has ended, as a daemon too: that keeps a pipe open until then."""
    ends, held = os.pipe()
    try:
        result = subprocess.run(
            [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", *arguments],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(directory)},
            capture_output=True,
            text=True,
            pass_fds=[held],
            check=False,
        )
    finally:
        os.close(held)
    with os.fdopen(ends, "rb") as reading:
        reading.read()
    return result


def test_twistd_refuses(probe: Path) -> None:
    """A wrong value ends twistd with one line on stderr and a status that says so."""
    result = run(probe, "-n", "probe", "--port", "99999")
    assert result.returncode == 1
    assert result.stderr == "megacomet: port = '99999' (from command line): must be a whole number from 0 to 65535\n"
    assert result.stdout == ""


def test_twistd_logs_json(probe: Path) -> None:
    """Every line that twistd logs is an object, printed ones too."""
    result = run(probe, "-n", "probe", "--port", "81", "--log-format", "json")
    assert (result.returncode, result.stderr) == (0, "")
    texts = [json.loads(line)["text"] for line in result.stdout.splitlines()]
    assert "port 81" in texts
    assert "printed" in texts


def test_daemon_rotates_its_json_log(probe: Path) -> None:
    """A daemon logs to its file, and SIGUSR1 rotates it as twistd's own."""
    result = run(probe, "--logfile", "a.log", "probe", "--log-format", "json")
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "")
    older, newer = (probe / "a.log.1").read_text(), (probe / "a.log").read_text()
    texts = [json.loads(line)["text"] for line in (older + newer).splitlines()]
    assert "printed" in texts
    assert texts[-1] == "Server Shut Down."
