"""`megacomet config`: every setting with its value in force and where that came from; and the reference page."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence

from twisted.python import usage

from megacomet.cli.main import WRONG_USE
from megacomet.options import SettingsOptions
from megacomet.settings import ROWS, Row, Settings, entries, shown


class ConfigOptions(SettingsOptions):
    """The settings' options, and the form of the answer."""

    synopsis = "Usage: megacomet config [options]"
    longdesc = "Prints every setting in force and where it came from. Takes the options of twistd megacomet."
    optFlags = [
        ["json", None, "Print one JSON object."],
        ["reference", None, "Print the reference page of all settings, in Markdown."],
    ]


def main(arguments: Sequence[str]) -> int:
    """Print the settings; return the exit status."""
    options = ConfigOptions()
    try:
        options.parseOptions(list(arguments))
    except usage.UsageError as e:
        print(f"megacomet config: {e}", file=sys.stderr)
        return WRONG_USE
    except SystemExit as e:
        # --help and --version end like this.
        return int(e.code or 0)
    if options["reference"]:
        print(reference(), end="")
    elif options["json"]:
        print(as_json(options.settings, options.sources))
    else:
        print("\n".join(as_lines(options.settings, options.sources)))
    return 0


def as_lines(settings: Settings, sources: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each setting: name, value as the file would have it, source."""
    values = {name: shown(name, getattr(settings, name)) for name in ROWS}
    names_width, values_width = max(map(len, ROWS)), max(map(len, values.values()))
    for name, value in values.items():
        yield f"{name:<{names_width}}  {value:<{values_width}}  {sources[name]}"


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
starting, before it opens a socket; the message names the setting, the value, the rule and the source. Zero means "no
limit" nowhere, unless its row says so.

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
