"""`megacomet config`: every setting with its value in force and where that came from; and the reference page."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence

from twisted.python import usage

from megacomet.cli.arguments import KEY_HELP, TIMEOUT_HELP, TIMEOUT_S, URL_HELP, seconds
from megacomet.cli.calling import Api
from megacomet.cli.finding import Asked, find
from megacomet.cli.output import print_json
from megacomet.cli.statuses import FINE, WRONG_USE, complain, ending
from megacomet.cli.text import table
from megacomet.errors import CallError
from megacomet.options import SettingsOptions
from megacomet.settings import HIDDEN, ROWS, Row, Settings, entries, shown, written


class ConfigOptions(SettingsOptions):
    """The settings' options, which server to ask, and the form of the answer."""

    synopsis = "Usage: megacomet config [options]"
    longdesc = "Prints every setting in force and where it came from. Takes the options of twistd megacomet."
    optFlags = [
        ["json", None, "Print one JSON object."],
        ["reference", None, "Print the reference page of all settings, in Markdown."],
        ["running", None, "Print the settings of the running server."],
    ]
    optParameters = [
        ["url", None, None, f"With --running: {URL_HELP}."],
        ["api-key-file", None, None, f"With --running: {KEY_HELP}."],
        ["timeout", None, None, f"With --running: {TIMEOUT_HELP} (10)."],
    ]

    def postOptions(self) -> None:
        super().postOptions()
        asks = [name for name in ("url", "api-key-file", "timeout") if self[name] is not None]
        if asks and not self["running"]:
            raise usage.UsageError(f"--{asks[0]} is for --running")
        if self["reference"] and (self["running"] or self["json"]):
            raise usage.UsageError("--reference stands alone")
        try:
            self.timeout_s = seconds(self["timeout"]) if self["timeout"] is not None else TIMEOUT_S
        except argparse.ArgumentTypeError as e:
            raise usage.UsageError(f"timeout: {e}") from None


def main(arguments: Sequence[str]) -> int:
    """Print the settings; return the exit status."""
    return ending("config", lambda: _config(arguments))


def _config(arguments: Sequence[str]) -> int:
    options = ConfigOptions()
    try:
        options.parseOptions(list(arguments))
    except usage.UsageError as e:
        complain("config", str(e))
        return WRONG_USE
    if options["reference"]:
        print(reference(), end="")
    elif options["running"]:
        _running(options)
    elif options["json"]:
        print(as_json(options.settings, options.sources))
    else:
        print("\n".join(as_lines(entries(options.settings, options.sources))))
    return FINE


def _running(options: ConfigOptions) -> None:
    """Print the settings of the running server; raise `CallError` when it does not tell them."""
    asked = Asked(options["url"], options["api-key-file"])
    with Api(find(asked, options.settings, options.sources, os.environ), options.timeout_s) as api:
        answer = api.get("/api/config")
    told = answer.value
    if not isinstance(told, dict) or not all(isinstance(one, dict) and "value" in one for one in told.values()):
        raise CallError("the server's settings are not of the form that this version knows")
    if options["json"]:
        print_json(answer.body)
    else:
        print("\n".join(as_lines(told)))


def as_lines(told: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return a line for each setting: name, value as the file would have it, source."""
    return table((name, _written(one["value"]), str(one.get("source"))) for name, one in told.items())


def _written(value: object) -> str:
    return HIDDEN if value == HIDDEN else written(value)


def as_json(settings: Settings, sources: Mapping[str, str]) -> str:
    """Return an object that has value and source for each setting."""
    return json.dumps(entries(settings, sources), indent=2)


def reference() -> str:
    """Return `docs/reference/settings.md`; a test compares them."""
    return _HEAD + "\n".join(_section(row) for row in ROWS.values())


_HEAD = """\
# Settings

Made by `megacomet config --reference`; change it there.

Every setting can come from four sources; a later one wins:

1. what is built in;
2. a TOML file, named by `--config FILE` or `MEGACOMET_CONFIG`: `port = 8080`, without sections;
3. the environment: `MEGACOMET_PORT=8080`; an empty variable counts as not set;
4. the command line of `twistd megacomet`: `--port 8080`.

`megacomet config`, with the same options, prints every value in force and where it came from.

Durations are seconds, sizes are bytes; `_` may group the digits of a whole number. A flag is `true` or `false` in the
file, also `yes`, `on`, `1` or `no`, `off`, `0` in the environment, and `--classic` or `--no-classic` on the command
line. A list is an array in the file, has commas between its items in the environment, and is an option given several
times on the command line; a list from a later source replaces that of an earlier one.

A value that breaks its rule, an unknown key in the file and an unknown `MEGACOMET_` variable keep the server from
starting, before it opens a socket; the message names the setting, the value, the rule and the source. `MEGACOMET_URL`
is for [the `megacomet` command](cli.md) and passed over. Zero means "no limit" nowhere, unless its row says so.

"""


def _section(row: Row) -> str:
    about = row.about
    lines = [f"## `{row.name}`", "", about.text, ""]
    lines += [f"- must be {about.rule.phrase}{' (bytes)' if about.unit == 'bytes' else ''}"]
    lines += [f"- built in: `{shown(row.name, row.default)}`"]
    if about.zero:
        lines += [f"- `{shown(row.name, row.nothing)}` means: {about.zero}"]
    lines += [f"- `{row.option}`, `{row.variable}`", ""]
    return "\n".join(lines)
