"""The options that commands have in common, one set for all of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from megacomet.cli.statuses import WRONG_USE
from megacomet.cli.text import safe
from megacomet.setting_rules import Seconds

HOUR: Final = 3600
DAY: Final = 24 * HOUR
TIMEOUT_S: Final = 10.0
_SECONDS: Final = Seconds(HOUR)
#: As long as a message may be kept.
_LIFE: Final = Seconds(30 * DAY, zero=True)

CONFIG_HELP: Final = "TOML file with settings"
URL_HELP: Final = "the server: http://HOST:PORT, https://HOST:PORT or unix:PATH, also as MEGACOMET_URL"
KEY_HELP: Final = "file that holds the API key"
TIMEOUT_HELP: Final = "how long to wait for a connection, and for each next piece of an answer"


class Parser(argparse.ArgumentParser):
    """argparse without abbreviated options, and with a wrong use told in one line, as everywhere here."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **rest})

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and exit."""
        print(f"{self.prog}: {safe(message)} (--help tells more)", file=sys.stderr)
        raise SystemExit(WRONG_USE)


def settings_options() -> Parser:
    """Return a parent of parsers: the options of who reads settings, and --json."""
    parent = Parser(add_help=False)
    parent.add_argument("--config", "-c", metavar="FILE", help=CONFIG_HELP)
    parent.add_argument("--state-dir", metavar="DIR", help="state directory of the server, as megacomet config tells")
    parent.add_argument("--json", action="store_true", help="print JSON")
    return parent


def address_options() -> Parser:
    """Return a parent of parsers: the options of who calls a server without a key, with those of `settings_options`."""
    parent = Parser(add_help=False, parents=[settings_options()])
    parent.add_argument("--url", help=URL_HELP)
    parent.add_argument("--timeout", type=seconds, default=TIMEOUT_S, metavar="S", help=f"{TIMEOUT_HELP} (10)")
    return parent


def server_options() -> Parser:
    """Return a parent of parsers: the options of who asks the API, with those of `address_options`."""
    parent = Parser(add_help=False, parents=[address_options()])
    parent.add_argument("--api-key-file", metavar="FILE", help=KEY_HELP)
    return parent


def seconds(text: str) -> float:
    """Read a duration."""
    return _number(_SECONDS, text)


def seconds_of_life(text: str) -> float:
    """Read how long a message is kept."""
    return _number(_LIFE, text)


def _number(rule: Seconds, text: str) -> float:
    try:
        return rule.parse(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{text!r} must be {e}") from None


def given_settings(options: argparse.Namespace) -> Mapping[str, object]:
    """Return what the options say about settings, as `settings.load` takes it."""
    return {name: value for name in ("config", "state_dir") if (value := getattr(options, name)) is not None}
