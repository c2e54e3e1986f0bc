"""megacomet doctor: what people and programs see, what is asked, and the status."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from megacomet.cli import doctor, main
from megacomet.cli.doctor_text import lines
from megacomet.cli.local import Local, Process
from megacomet.doctor import ksm
from megacomet.doctor.changes import JOURNAL, LIMITS
from megacomet.doctor.etc_files import SYSCTLS
from megacomet.doctor.report import make_report
from tests.fake_server import bare_environment
from tests.machines import LIMITS as LIMITS_TEXT
from tests.machines import MILLION, Machine

Run = Callable[..., int]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One on which all is well."""
    return Machine(tmp_path / "root")


@pytest.fixture
def run(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on that machine."""
    bare_environment(monkeypatch)
    monkeypatch.setattr(doctor, "_ROOT", machine.root)
    return lambda *arguments: doctor.main(["--state-dir", str(tmp_path / "state"), *arguments])


class Terminal(io.StringIO):
    """A terminal on which somebody has typed."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_all_is_well(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0, one screen, nothing that asks for anything."""
    assert run("--capacity", "1_000_000") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "1,000,000 connections on 54 workers: nothing stands in the way"
    assert not any(line.startswith("!") for line in out)
    assert len(out) < 60
    assert max(map(len, out)) < 132


def test_something_is_low(machine: Machine, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1; what is low comes first, with reason and the line that changes it."""
    machine.set(net__core__somaxconn=128)
    assert run("--capacity", "1000000") == 1
    out = capsys.readouterr().out
    assert out.startswith("1,000,000 connections on 54 workers: 1 of 29 checks is low\n\n! net.core.somaxconn: 128")
    assert "  -> sysctl -w net.core.somaxconn=260\n" in out


def test_long(machine: Machine, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """With --long each check tells its reason, once."""
    machine.set(net__core__somaxconn=128)
    run("--capacity", "1000000", "--long")
    out = capsys.readouterr().out
    assert out.count("A parked connection has nothing in its buffers.") == 1
    assert out.count("A listener's queue:") == 1


def test_text(machine: Machine) -> None:
    """Traces, a log that is closed, a machine that tells nothing; and nothing that a terminal would obey."""
    log = ["TCP: too many orphaned sockets \x1b[2J"]
    machine.write("proc/net/softnet_stat", "1 0000000a 0\n1 0000000a 0\n")
    text = "\n".join(lines(make_report(machine.files, machine.aim(), log), False))
    assert "  20 x packets were dropped" in text
    assert "too many orphaned sockets \\x1b[2J" in text
    assert "closed to this user" not in text
    text = "\n".join(lines(make_report(machine.files, machine.aim(1), None), False))
    assert "The kernel's log is closed to this user" in text
    bare = Machine(machine.root / "bare", bare=True)
    text = "\n".join(lines(make_report(bare.files, bare.aim(workers=1), ()), True))
    assert "1,000,000 connections on 1 worker: nothing stands in the way" in text
    assert "net.core.somaxconn: not known (unknown)" in text
    assert "How many fit is not known" in text
    assert "Nothing has run short since the machine started" in text


def test_advice(machine: Machine, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """What is only advised has its line with --long; nothing is low because of it, and --fix leaves it alone."""
    assert run("--capacity", "1000000", "--long") == 0
    assert capsys.readouterr().out.count("\n  -> echo 1 > /sys/kernel/mm/ksm/run\n") == 1
    assert run("--capacity", "1000000") == 0
    assert "->" not in capsys.readouterr().out
    assert run("--capacity", "1000000", "--fix") == 0
    assert capsys.readouterr().out == "There is nothing to write\n"
    assert machine.read(ksm.RUN) == "0\n"


def test_json(machine: Machine, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """One object, the same status."""
    machine.set(net__core__somaxconn=128)
    assert run("--capacity", "1000000", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["fine"] is False
    assert told["connections"] == MILLION
    assert told["later"] == {"losses": [], "unread": []}


def test_capacity_of_the_settings(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --capacity it is the server's, from its file of settings."""
    (tmp_path / "settings.toml").write_text("capacity = 5000\n")
    assert run("--config", str(tmp_path / "settings.toml"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["connections"] == 5000


def test_the_running_server(machine: Machine, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that runs is whose limits count."""
    machine.write("proc/self/limits", LIMITS_TEXT.format(hard="300"))
    assert run("--capacity", "1000000") == 1
    machine.write("proc/77/limits", LIMITS_TEXT.format(hard="20000"))
    here = Local(Process(77, None, None), None, {0: Process(78, None, None)})
    monkeypatch.setattr(doctor.local, "look", lambda _: here)
    assert run("--capacity", "1000000") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--capacity", "0"], "'0' must be a whole number from 1"),
        (["--capacity", "-5"], "must be a whole number"),
        (["--capacity", "1e6"], "must be a whole number"),
        (["--capacity", "٣"], "must be a whole number"),
        (["--capacity", "_"], "must be a whole number"),
        (["--capacity", "100000001"], "must be a whole number"),
        (["--yes"], "--yes is for --fix"),
        (["--fix", "--undo"], "not allowed with"),
        (["--json", "--fix"], "--json and --fix exclude each other"),
        (["--json", "--undo"], "--json and --undo exclude each other"),
        (["--config", "/nonexistent"], "config"),
        (["more"], "unrecognized arguments: more"),
    ],
)
def test_wrong_use(run: Run, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and one line."""
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.startswith("megacomet doctor: ")
    assert err.count("\n") == 1


# --fix and --undo


def test_fix(machine: Machine, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows the difference and writes; the next look is well; --undo takes it back."""
    (machine.root / "etc").mkdir()
    machine.set(net__core__somaxconn=128)
    assert run("--capacity", "1000000", "--fix", "--yes") == 0
    out = capsys.readouterr().out
    assert "+net.core.somaxconn = 260\n" in out
    assert "sysctl net.core.somaxconn: 128 -> 260\nDone; " in out
    assert machine.live("net.core.somaxconn") == "260"
    assert run("--capacity", "1000000") == 0
    assert run("--capacity", "1000000", "--fix") == 0
    assert "There is nothing to write" in capsys.readouterr().out
    assert run("--undo") == 0
    assert capsys.readouterr().out == f"/{SYSCTLS} removed\nsysctl net.core.somaxconn = 128\n"
    assert machine.live("net.core.somaxconn") == "128"
    assert run("--undo") == 1
    assert capsys.readouterr().err.startswith("megacomet doctor: there is nothing to undo")


def test_what_does_not_last(machine: Machine, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is read later takes it back: told before it is written, then in each look, also for programs."""
    machine.set(net__core__somaxconn=128)
    machine.write("etc/sysctl.d/99-local.conf", "net.core.somaxconn=128\n")
    line = "! /etc/sysctl.d/99-local.conf, read later, sets net.core.somaxconn to 128: "
    line += "that holds after the next start, not 260\n"
    assert run("--capacity", "1000000", "--fix", "--yes") == 1
    assert f"sysctl net.core.somaxconn: 128 -> 260\n{line}Done; " in capsys.readouterr().out
    assert run("--capacity", "1000000", "--fix") == 1
    assert capsys.readouterr().out == f"There is nothing to write\n{line}"
    assert run("--capacity", "1000000") == 0
    assert f": nothing stands in the way\n\n{line}\n" in capsys.readouterr().out
    assert run("--capacity", "1000000", "--json") == 0
    loss = {"path": "/etc/sysctl.d/99-local.conf", "name": "net.core.somaxconn", "value": "128", "wanted": "260"}
    assert json.loads(capsys.readouterr().out)["later"] == {"losses": [loss], "unread": []}
    machine.remove("etc/sysctl.d/99-local.conf")
    assert run("--capacity", "1000000", "--fix") == 0


def test_what_is_left_to_do(machine: Machine, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """What no file changes is told, and the status is 1; so is what holds later only."""
    (machine.root / "etc").mkdir()
    machine.write("etc/systemd/system/megacomet.service", "")
    machine.write("proc/self/limits", LIMITS_TEXT.format(hard="1024"))
    machine.write("proc/meminfo", "MemAvailable: 1000 kB\n")
    assert run("--capacity", "1000000", "--fix", "--yes") == 1
    out = capsys.readouterr().out
    assert "Not written, for you to do: memory: fewer connections" in out
    assert "who signs in from now on" in out
    assert "systemctl daemon-reload" in out
    assert machine.read(LIMITS) is not None


@pytest.mark.parametrize(
    ("typed", "done"), [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("", False)]
)
def test_asking(
    machine: Machine,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    done: bool,
) -> None:
    """Nothing is written unless somebody says yes."""
    (machine.root / "etc").mkdir()
    machine.set(net__core__somaxconn=128)
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert run("--capacity", "1000000", "--fix") == int(not done)
    assert ("Nothing was changed" in capsys.readouterr().out) is not done
    assert (machine.read(JOURNAL) is not None) is done


def test_nobody_to_ask(machine: Machine, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal --yes is needed."""
    machine.set(net__core__somaxconn=128)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert run("--capacity", "1000000", "--fix") == 1
    assert machine.read(JOURNAL) is None


def test_it_cannot_be_written(machine: Machine, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says which file and why."""
    machine.write("etc", "")
    machine.set(net__core__somaxconn=128)
    assert run("--capacity", "1000000", "--fix", "--yes") == 1
    err = capsys.readouterr().err
    assert err.startswith("megacomet doctor: ")
    assert "Not a directory" in err


def test_no_root(
    machine: Machine, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is not root is told what is missing."""
    machine.write("etc", "")
    machine.set(net__core__somaxconn=128)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert run("--capacity", "1000000", "--fix", "--yes") == 1
    assert capsys.readouterr().err.endswith("; root is needed for this\n")


def test_the_command_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Under its name."""
    assert main.main(["doctor", "--help"]) == 0
    assert "--capacity N" in capsys.readouterr().out
