"""docs/reference/cli.md tells of every option that there is, and of no other; and of what programs rely on."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs
import pytest

from megacomet.cli import doctor, key, listen, push, stats, status, statuses, top
from megacomet.cli.arguments import server_options
from megacomet.cli.config import ConfigOptions
from megacomet.cli.local import Local
from megacomet.cli.looks import Look
from megacomet.cli.main import COMMANDS
from megacomet.cli.screen import COLUMNS
from megacomet.cli.status import Told, make_report
from megacomet.doctor.finding import STATES
from megacomet.doctor.report import make_report as make_doctor_report
from megacomet.settings import ROWS
from megacomet.swarm import command_line
from megacomet.whereabouts import Whereabouts
from tests.fake_server import STATS, worker
from tests.machines import Machine

TEXT: Final = (Path(__file__).parents[1] / "docs/reference/cli.md").read_text("utf-8")
KEYS_TEXT: Final = (Path(__file__).parents[1] / "docs/reference/keys.md").read_text("utf-8")
COMMON: Final = "Finding the server and the key"
PARSERS: Final[Mapping[str, argparse.ArgumentParser]] = {
    "doctor": doctor.parser(),
    "push": push.parser(),
    "listen": listen.parser(),
    "stats": stats.parser(),
    "status": status.parser(),
    "top": top.parser(),
}


def section(title: str) -> str:
    """Return what stands under a title."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
    assert found is not None, title
    return found[1]


def documented(text: str) -> set[str]:
    """Return the options that have a row of their own."""
    return {
        option for row in re.findall(r"^\| (`--?[^|]*)\|", text, re.M) for option in re.findall(r"`(--?[a-z-]+)", row)
    }


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the options of a command but --help."""
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction):
            yield from action.option_strings


def test_every_command_is_there() -> None:
    """The table has the commands, in the order of --help."""
    assert re.findall(r"^\| \[`(\w+)`\]", TEXT, re.M) == list(COMMANDS)


@pytest.mark.parametrize("name", PARSERS)
def test_options(name: str) -> None:
    """A command's own options stand in its section, the common ones once for all."""
    own = set(options_of(PARSERS[name])) - set(options_of(server_options()))
    assert documented(section(f"`megacomet {name}`")) == own


def test_options_of_swarm() -> None:
    """The load client has all of its options in its section: it goes its own way to the server."""
    assert documented(section("`megacomet swarm`")) == set(options_of(command_line.parser()))


def test_common_options() -> None:
    """Those that all have."""
    assert documented(section(COMMON)) == set(options_of(server_options()))


def test_options_of_config() -> None:
    """Beside the settings and what is common."""
    names = {f"--{row[0]}" for row in (*ConfigOptions.optFlags, *ConfigOptions.optParameters)}
    assert documented(section("`megacomet config`")) == names - set(options_of(server_options()))
    assert not {row.option for row in ROWS.values()} & documented(section("`megacomet config`"))


def test_options_of_key() -> None:
    """They stand where the keys are told of."""
    [commands] = [action for action in key.parser()._actions if isinstance(action, argparse._SubParsersAction)]
    for command in commands.choices.values():
        for option in options_of(command):
            assert option == "-c" or option in KEYS_TEXT


def test_statuses() -> None:
    """The table has every exit status, and no other."""
    told = [int(number) for number in re.findall(r"^\| (\d+) \|", section("Exit status"), re.M)]
    known = {value for name, value in vars(statuses).items() if name.isupper() and isinstance(value, int)}
    assert set(told) == known
    assert told == sorted(told)


def fields(text: str) -> set[str]:
    """Return the fields that have a row, several in one row too."""
    return {
        field for row in re.findall(r"^\| (`[a-z_]+`[^|]*)\|", text, re.M) for field in re.findall(r"`([a-z_]+)`", row)
    }


def test_the_form_of_status() -> None:
    """Every field of --json is told, those of processes too."""
    text = section("`megacomet status`")
    made = make_report(Local(), Told("", True, STATS, [worker(0)], None, None), None, "/state")
    assert fields(text) == set(made)
    told = re.search(r"`\[({\"process\".*?})\]`", text)
    assert told is not None
    assert set(re.findall(r'"([a-z_]+)"', told[1])) == set(made["processes"][0])


def test_the_form_of_doctor(tmp_path: Path) -> None:
    """Every field of --json is told, those of checks, forecast and traces too."""
    text = section("`megacomet doctor`")
    machine = Machine(tmp_path)
    machine.set(**{"fs__file-nr": "1 0 1"})
    made = make_doctor_report(machine.files, machine.aim(), None).as_object()
    assert fields(text) == set(made)
    for name in ("checks", "forecast", "traces"):
        told = re.search(rf"^\| `{name}` \| `\[?{{(.*?)}}", text, re.M)
        assert told is not None
        one = made[name] if name == "forecast" else made[name][0]
        assert re.findall(r'"([a-z_]+)"', told[1]) == list(one)
    for state in STATES:
        assert f"`{state}`" in text


def test_the_form_of_top() -> None:
    """Every field of a line is told, and every key."""
    text = section("`megacomet top`")
    assert fields(text) - {column.key for column in COLUMNS} - {"q"} == set(Look("").as_object())
    keys = re.search(r"^\| (`w`[^|]*)\|", text, re.M)
    assert keys is not None
    assert re.findall(r"`(.)`", keys[1]) == [column.key for column in COLUMNS if column.key]


def test_the_form_of_the_file() -> None:
    """server.json has the fields that are shown."""
    text = section("`server.json`")
    assert re.findall(r'"(\w+)":', text)[:4] == [field.name for field in attrs.fields(Whereabouts)]
