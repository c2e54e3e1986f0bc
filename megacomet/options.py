"""The options of `twistd megacomet` and of `megacomet config`: made from the table of settings, checked by `settings`.

Owns how options are spelt, and what twistd must be told before it opens its log. What a value must be is not its
business.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.logger import FileLogObserver
from twisted.python import usage
from twisted.python.logfile import LogFile

from megacomet import __version__
from megacomet.errors import SettingError
from megacomet.logs import json_observer
from megacomet.setting_rules import Flag, Many
from megacomet.settings import ROWS, Row, Settings, load, shown


def _help(row: Row) -> str:
    """Return the line of --help: what it does, what is built in, what nothing means."""
    unset = row.default in ("", ())
    built_in = "" if unset else f"built-in: {shown(row.name, row.default)}"
    zero = f"{'empty' if unset else '0'}: {row.about.zero}" if row.about.zero else ""
    notes = "; ".join(filter(None, (row.about.unit, built_in, zero)))
    return f"{row.about.text} [{notes}]" if notes else row.about.text


class SettingsOptions(usage.Options):
    """One option per setting, and --config; what was given comes out as `settings` and `sources`.

    Attributes:
        settings: what is in force.
        sources: for each setting by name, where its value came from.
    """

    settings: Settings
    sources: dict[str, str]

    optFlags = [
        flag
        for row in ROWS.values()
        if isinstance(row.about.rule, Flag)
        for flag in (
            [row.option[2:], None, _help(row)],
            [f"no-{row.option[2:]}", None, f"The opposite of {row.option}, where the file or the environment says so."],
        )
    ]
    optParameters = [
        ["config", "c", None, "TOML file with settings."],
        *(
            [row.option[2:], None, None, _help(row)]
            for row in ROWS.values()
            if not isinstance(row.about.rule, Flag | Many)
        ),
    ]

    def __init__(self) -> None:
        self.lists: dict[str, list[str]] = {}
        super().__init__()

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"MegaComet {__version__}")
        sys.exit(0)

    def given(self) -> dict[str, object]:
        """Return what the command line holds, by the setting's name."""
        found: dict[str, object] = dict(self.lists)
        if self["config"] is not None:
            found["config"] = self["config"]
        for row in ROWS.values():
            name = row.option[2:]
            if isinstance(row.about.rule, Flag):
                if self[name] and self[f"no-{name}"]:
                    raise usage.UsageError(f"--{name} and --no-{name} exclude each other")
                if self[name] or self[f"no-{name}"]:
                    found[row.name] = bool(self[name])
            elif not isinstance(row.about.rule, Many) and self[name] is not None:
                found[row.name] = self[name]
        return found

    def postOptions(self) -> None:
        try:
            self.settings, self.sources = load(self.given(), os.environ)
        except SettingError as e:
            raise usage.UsageError(str(e)) from None


def _collector(row: Row) -> Callable[[SettingsOptions, str], None]:
    def collect(self: SettingsOptions, item: str) -> None:
        self.lists.setdefault(row.name, []).append(item)

    collect.__doc__ = f"{_help(row)} (may be given several times)"
    return collect


# usage.Options finds an option that may be repeated as a method of its name.
for _row in ROWS.values():
    if isinstance(_row.about.rule, Many):
        setattr(SettingsOptions, f"opt_{_row.name}", _collector(_row))


class Options(SettingsOptions):
    """The options of the twistd plugin."""

    synopsis = "[options]"
    longdesc = "A comet server: holds a million browsers open and pushes to any of them with one HTTP call."

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        try:
            super().parseOptions(options)
        except usage.UsageError as e:
            if self.parent is None:
                raise
            # twistd would print all its options, and the reason somewhere below them.
            sys.exit(f"megacomet: {e}")

    def postOptions(self) -> None:
        super().postOptions()
        if self.parent is not None and self.settings.log_format == "json":
            json_log.serve(self.parent)


class JSONLog:
    """Makes the observer of twistd's log in the form of JSON: same places, same rotation as twistd's own.

    twistd takes the name of a factory, not the factory, and calls it without arguments. So there is one object, found
    by its name in this module, that is told the options first.
    """

    def __init__(self) -> None:
        self._options: usage.Options | None = None

    def serve(self, options: usage.Options) -> None:
        """Take twistd's options, and put the name of this object in as `logger`.

        Raises:
            UsageError: another option of twistd is about a log of another form.
        """
        if options["logger"] is not None:
            raise usage.UsageError("log_format json and twistd's --logger exclude each other")
        if options.get("syslog"):
            raise usage.UsageError("log_format json and twistd's --syslog exclude each other")
        self._options = options
        options["logger"] = JSON_LOG_NAME

    def __call__(self) -> FileLogObserver:
        """Open the log; called by twistd when it is a daemon already if it is to be one."""
        assert self._options is not None
        return json_observer(_open_log(self._options["logfile"], bool(self._options["nodaemon"])))


json_log: Final = JSONLog()
JSON_LOG_NAME: Final = f"{__name__}.json_log"


def _open_log(path: str | None, in_foreground: bool) -> Any:
    """Open what twistd would open for its log: stdout, or a file that SIGUSR1 rotates."""
    if path == "-" and not in_foreground:
        sys.exit("Daemons cannot log to stdout, exiting!")
    if path == "-" or (not path and in_foreground):
        return sys.stdout
    file = LogFile.fromFullPath(path or "twistd.log")
    # As twistd does, unless somebody has other plans for the signal.
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda _signal, _frame: _rotate_soon(file))
    return file


def _rotate_soon(file: LogFile) -> None:
    from twisted.internet import reactor

    reactor.callFromThread(file.rotate)  # type: ignore[attr-defined]
