"""megacomet key: keys are made, listed and revoked, and what became of it is told in words, JSON and statuses."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from megacomet.api.key_file import FILE_NAME, change_keys, read_keys
from megacomet.api.key_lines import MAX_KEYS
from megacomet.cli import main as cli
from megacomet.model.keys import NamedKey, digest_of
from tests.strangers import Stranger

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command with a state directory of its own; return status, output and errors."""
    for name in [name for name in os.environ if name.startswith("MEGACOMET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MEGACOMET_STATE_DIR", str(tmp_path))

    def running(*arguments: str) -> tuple[int, str, str]:
        status = cli.main(["key", *arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return running


def test_new(run: Run, tmp_path: Path) -> None:
    """The key, and nothing but the key, is on stdout, so that a script can take it; its hash is kept, not itself."""
    status, out, err = run("new", "shop", "--scope", "push")
    key = out.rstrip("\n")
    assert (status, out) == (0, key + "\n")
    assert re.fullmatch(r"mc_[A-Za-z0-9_-]{43}", key)
    assert err == (
        f"The key shop has scope push; it is not shown again. No server runs here with {tmp_path}: "
        "this counts from the next start on.\n"
    )
    [kept] = read_keys(str(tmp_path))
    assert (kept.name, kept.scope, kept.digest) == ("shop", "push", digest_of(key.encode()))
    assert key not in (tmp_path / FILE_NAME).read_text()


def test_new_as_json(run: Run, tmp_path: Path) -> None:
    """--json prints one object, and the options may stand before the name too."""
    status, out, err = run("new", "--json", "--scope=admin", "shop")
    got = json.loads(out)
    assert (status, err) == (0, "")
    [kept] = read_keys(str(tmp_path))
    assert digest_of(got.pop("key").encode()) == kept.digest
    assert got == {"name": "shop", "scope": "admin", "created": kept.created, "server": None, "told": False}


def test_two_keys_are_different(run: Run) -> None:
    """A key is drawn at random."""
    assert run("new", "a", "--scope", "read")[1] != run("new", "b", "--scope", "read")[1]


def test_list(run: Run) -> None:
    """The keys are listed by name with scope and date; without keys there is nothing on stdout."""
    status, out, err = run("list")
    assert (status, out) == (0, "")
    assert err.startswith("no key with a name is kept in ")
    assert json.loads(run("list", "--json")[1]) == {"keys": []}
    for name, scope in (("shop", "push"), ("a-longer-name", "admin")):
        run("new", name, "--scope", scope)
    status, out, err = run("list")
    lines = [line.split() for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [line[:2] for line in lines] == [["NAME", "SCOPE"], ["a-longer-name", "admin"], ["shop", "push"]]
    assert len({line.index(word) for line, word in zip(out.splitlines(), ("SCOPE", "admin", "push"), strict=True)}) == 1
    got = json.loads(run("list", "--json")[1])
    assert got == {
        "keys": [
            {"name": "a-longer-name", "scope": "admin", "created": lines[1][2]},
            {"name": "shop", "scope": "push", "created": lines[2][2]},
        ]
    }


def test_revoke(run: Run, tmp_path: Path) -> None:
    """The key of the name is gone, and no other."""
    run("new", "shop", "--scope", "push")
    run("new", "look", "--scope", "read")
    status, out, err = run("revoke", "shop")
    assert (status, err) == (0, "")
    assert out.startswith("The key shop is revoked. No server runs here ")
    assert [key.name for key in read_keys(str(tmp_path))] == ["look"]
    got = json.loads(run("revoke", "look", "--json")[1])
    assert (got["name"], got["scope"], got["told"]) == ("look", "read", False)
    assert read_keys(str(tmp_path)) == ()


def test_the_server_is_told(run: Run, tmp_path: Path) -> None:
    """A server that runs is told, and named by its process."""
    with Stranger("megacomet: manager") as server:
        (tmp_path / "lock").write_text(f"{server.pid}\n")
        err = run("new", "shop", "--scope", "push")[2]
        assert err.endswith(f" The server (process {server.pid}) was told.\n")
        assert server.line() == "told"
        got = json.loads(run("revoke", "shop", "--json")[1])
        assert (got["server"], got["told"]) == (server.pid, True)
        assert server.line() == "told"


def test_the_server_cannot_be_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change stands, the reason is told, and the status says that something is left to do."""

    def refuse(*_: Any) -> NoReturn:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    with Stranger("megacomet: manager") as server:
        (tmp_path / "lock").write_text(f"{server.pid}\n")
        status, out, err = run("new", "shop", "--scope", "push")
        assert status == 1
        assert out.startswith("mc_")
        assert err.endswith("The server could not be told (operation not permitted): send SIGHUP to its manager.\n")
        status, out, err = run("revoke", "shop")
        assert (status, out) == (1, "")
        assert "is revoked. The server could not be told" in err
        status, out, err = run("new", "shop", "--scope", "push", "--json")
        assert (status, json.loads(out)["told"]) == (1, False)
        assert err.startswith("megacomet key: The server could not be told (operation not permitted)")
        assert run("revoke", "shop", "--json")[::2] == (1, err)
    assert read_keys(str(tmp_path)) == ()


def many(count: int) -> tuple[NamedKey, ...]:
    """Return keys."""
    return tuple(NamedKey(f"k{n}", "push", digest_of(b"%d" % n), "2026-11-28T09:00:00Z") for n in range(count))


def test_what_fails(run: Run, tmp_path: Path) -> None:
    """A doubled name, an unknown one and one too many change nothing: status 1 and one line that says why."""
    change_keys(str(tmp_path), lambda _: many(MAX_KEYS - 1))
    assert run("new", "last", "--scope", "push")[0] == 0
    before = (tmp_path / FILE_NAME).read_bytes()
    for arguments, said in (
        (("new", "last", "--scope", "read"), "there is a key last already"),
        (("new", "more", "--scope", "read"), f"there are {MAX_KEYS} keys already"),
        (("revoke", "more"), "there is no key 'more'"),
        (("revoke", "api-key"), "there is no key 'api-key'"),
    ):
        assert run(*arguments) == (1, "", f"megacomet key: {said}\n")
    assert (tmp_path / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("arguments", [("new", "shop", "--scope", "push"), ("list",), ("revoke", "shop")])
def test_a_broken_file(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A file that is broken is named with its line, and not touched."""
    (tmp_path / FILE_NAME).write_bytes(b"nonsense\n")
    assert run(*arguments) == (1, "", f"megacomet key: line 1 of {tmp_path / FILE_NAME} is not JSON (character 1)\n")
    assert (tmp_path / FILE_NAME).read_bytes() == b"nonsense\n"


@pytest.mark.parametrize("arguments", [("new", "shop", "--scope", "push"), ("list",), ("revoke", "shop")])
def test_no_state_directory(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A state directory that is not there is not made: it would have the wrong owner, or the wrong name."""
    status, out, err = run(*arguments, "--state-dir", str(tmp_path / "typo"))
    assert (status, out) == (1, "")
    assert err.startswith(f"megacomet key: the state directory {tmp_path / 'typo'} is not there")
    assert os.listdir(tmp_path) == []


def test_the_state_directory_of_the_settings(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found as the server finds it: command line before environment before file."""
    places = {name: tmp_path / name for name in ("line", "environment", "file")}
    for path in places.values():
        path.mkdir()
    (tmp_path / "m.toml").write_text(f'state_dir = "{places["file"]}"')
    config = f"--config={tmp_path / 'm.toml'}"
    monkeypatch.setenv("MEGACOMET_STATE_DIR", str(places["environment"]))
    run("new", "one", "--scope=push", config, f"--state-dir={places['line']}")
    run("new", "two", "--scope=push", config)
    monkeypatch.delenv("MEGACOMET_STATE_DIR")
    run("new", "three", "--scope=push", config)
    found = {name: [key.name for key in read_keys(str(path))] for name, path in places.items()}
    assert found == {"line": ["one"], "environment": ["two"], "file": ["three"]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the following arguments are required: new|list|revoke"),
        (("make",), "invalid choice: 'make'"),
        (("new",), "the following arguments are required: NAME, --scope"),
        (("new", "shop"), "the following arguments are required: --scope"),
        (("new", "shop", "--scope", "write"), "invalid choice: 'write'"),
        (("new", "two words", "--scope", "push"), "a key has a name that is not 1 to 64 of"),
        (("new", "api-key", "--scope", "push"), "that of the server's own key"),
        (("new", "shop", "more", "--scope", "push"), "unrecognized arguments: more"),
        (("revoke",), "the following arguments are required: NAME"),
        (("list", "--state", "x"), "unrecognized arguments: --state x"),
        (("list", "--config", "/does/not/exist"), "megacomet key: config = '/does/not/exist'"),
    ],
)
def test_used_wrongly(run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    """What the command does not understand has status 2, and changes nothing."""
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert os.listdir(tmp_path) == []


def test_help(run: Run) -> None:
    """--help tells of each command, and each of its options."""
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    assert all(word in out for word in ("new", "list", "revoke"))
    status, out, _ = run("new", "--help")
    assert status == 0
    assert all(word in out for word in ("--scope", "{push,read,admin}", "--state-dir", "--json", "NAME"))
