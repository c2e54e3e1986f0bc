"""The settings: the one way from what was given to a validated, frozen object that knows where each value came from.

`setting_table.py` owns the rows. Sources, a later one wins:

    built-in  <  TOML file (`--config`, or MEGACOMET_CONFIG)  <  MEGACOMET_<NAME>  <  command line

Nothing unknown is passed over: a key of the file or a MEGACOMET_ variable that is no setting is an error, since it is
mostly a slip of the pen in the name of one. MEGACOMET_URL is known, and is the `megacomet` command's.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from megacomet.errors import SettingError
from megacomet.setting_table import HIDDEN, PREFIX, ROWS, About, Row, Settings, wrong_value

__all__ = [
    "BUILT_IN",
    "COMMAND_LINE",
    "HIDDEN",
    "PREFIX",
    "ROWS",
    "URL_VARIABLE",
    "About",
    "Row",
    "Settings",
    "entries",
    "from_json",
    "load",
    "shown",
    "to_json",
    "written",
]

BUILT_IN: Final = "built-in"
COMMAND_LINE: Final = "command line"
#: Variables that are no settings: the file of them, and what the `megacomet` command alone asks for.
CONFIG_VARIABLE: Final = PREFIX + "CONFIG"
URL_VARIABLE: Final = PREFIX + "URL"
_NO_SETTINGS: Final = (CONFIG_VARIABLE, URL_VARIABLE)
#: A built-in value gives way to what was chosen for the other: (this one, not more than that one).
_NOT_MORE_THAN: Final = (("mailbox_bytes", "store_bytes"), ("message_bytes", "store_bytes"))


def load(command_line: Mapping[str, object], environ: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """Put the settings together from all sources.

    Args:
        command_line: what was given, by the setting's name and `config`: a text, a bool, or texts for a list.
        environ: the environment; an empty variable counts as not set.

    Returns:
        The settings, and for each by name where its value came from.

    Raises:
        SettingError: names the setting, its value, its rule and where it came from.
    """
    values: dict[str, Any] = {}
    sources = dict.fromkeys(ROWS, BUILT_IN)
    for name, value, source in _given(command_line, environ):
        values[name] = _read(name, value, source)
        sources[name] = source
    _give_way(values, sources)
    if not values.get("state_dir"):
        values["state_dir"], sources["state_dir"] = _default_state_dir(environ)
    values["state_dir"] = os.path.abspath(os.path.expanduser(values["state_dir"]))
    return Settings(**values), sources


def to_json(settings: Settings) -> str:
    """Pack the settings for another process of the same version. The API key is in it: for pipes, not for arguments."""
    return json.dumps(attrs.asdict(settings))


def from_json(text: str) -> Settings:
    """Unpack what `to_json` packed."""
    return Settings(**{name: ROWS[name].about.rule.check(value) for name, value in json.loads(text).items()})


def _given(command_line: Mapping[str, object], environ: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    """Yield name, value and source of everything that was given, the strongest source last."""
    path, source = command_line.get("config"), COMMAND_LINE
    if path is None:
        path, source = environ.get(CONFIG_VARIABLE), CONFIG_VARIABLE
    if path:
        for name, value in _read_file(str(path), source).items():
            yield name, value, str(path)
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in _NO_SETTINGS and environ[variable]:
            yield variable.removeprefix(PREFIX).lower(), _Written(environ[variable]), variable
    for name, value in command_line.items():
        if name != "config":
            yield name, _Written(value) if isinstance(value, str) else value, COMMAND_LINE


class _Written(str):
    """A value as text, to be parsed; any other has its type already."""


def _read_file(path: str, source: str) -> dict[str, object]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as e:
        raise SettingError("config", path, f"a file that can be read ({e.strerror or e})", source) from None
    except (ValueError, RecursionError) as e:
        # Not TOML, not UTF-8, a number of thousands of digits, a path with NUL in it: the reason says which.
        raise SettingError("config", path, f"a TOML file in UTF-8 ({e})", source) from None


def _read(name: str, value: object, source: str) -> Any:
    """Return the value in its own type, or raise `SettingError`."""
    if name not in ROWS:
        near = difflib.get_close_matches(name, ROWS, n=1)
        # What was meant as a secret is none of the log's business, however its name is spelt.
        shown = HIDDEN if "key" in name or (near and ROWS[near[0]].about.secret) else value
        raise SettingError(name, shown, f"the name of a setting{f' (perhaps {near[0]})' if near else ''}", source)
    rule = ROWS[name].about.rule
    try:
        return rule.parse(str(value)) if isinstance(value, _Written) else rule.check(value)
    except ValueError as e:
        raise wrong_value(name, value, str(e), source) from None


def _give_way(values: dict[str, Any], sources: dict[str, str]) -> None:
    for name, bound in _NOT_MORE_THAN:
        most = values.get(bound, ROWS[bound].default)
        if values.get(name, ROWS[name].default) <= most:
            continue
        if sources[name] != BUILT_IN:
            raise SettingError(name, values[name], f"not more than {bound} ({most}, {sources[bound]})", sources[name])
        values[name], sources[name] = most, f"{BUILT_IN}, lowered to {bound}"


def _default_state_dir(environ: Mapping[str, str]) -> tuple[str, str]:
    # systemd lists several with colons between them when StateDirectory= names several; the first is ours.
    first = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if first:
        return first, "STATE_DIRECTORY"
    if os.geteuid() == 0:
        return "/var/lib/megacomet", BUILT_IN
    return os.path.join(environ.get("HOME") or "~", ".local/state/megacomet"), BUILT_IN


def entries(settings: Settings, sources: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """Return value and source of each setting, as JSON knows them; a secret is hidden."""
    return {name: _entry(name, getattr(settings, name), sources[name]) for name in ROWS}


def _entry(name: str, value: object, source: str) -> dict[str, object]:
    return {"value": HIDDEN if ROWS[name].about.secret and value else value, "source": source}


def shown(name: str, value: object) -> str:
    """Return a setting's value as text for people, as it would be written in the file; a secret is hidden."""
    return HIDDEN if ROWS[name].about.secret and value else written(value)


def written(value: object) -> str:
    """Return a value as it would be written in the file."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return json.dumps(list(value), ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)
