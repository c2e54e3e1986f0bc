"""`megacomet top`: the server live, on a screen, or as one JSON object a line."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from megacomet.cli.arguments import Parser, server_options
from megacomet.cli.calling import api_of
from megacomet.cli.looks import Look, Looker
from megacomet.cli.output import print_object
from megacomet.cli.statuses import FINE, ending
from megacomet.setting_rules import Seconds, Whole

INTERVAL_S: Final = 1.0
#: Oftener would put the server under load, and tell no more: its workers report once a second.
LEAST_INTERVAL_S: Final = 0.1
_INTERVAL: Final = Seconds(3600)
_COUNT: Final = Whole(1, 1_000_000_000)


def main(arguments: Sequence[str]) -> int:
    """Show the server until it is enough; return the exit status."""
    return ending("top", lambda: _top(parser().parse_args(arguments)))


def parser() -> Parser:
    """Return the parser of the command."""
    about = "Shows the server live, on a screen; as JSON lines with --json, or where stdout is no terminal."
    p = Parser(prog="megacomet top", parents=[server_options()], description=about)
    p.add_argument("--interval", type=_interval, default=INTERVAL_S, metavar="S", help="pause between two looks (1)")
    p.add_argument("--count", type=_count, metavar="N", help="end after so many looks")
    return p


def _interval(text: str) -> float:
    try:
        return max(LEAST_INTERVAL_S, _INTERVAL.parse(text))
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{text!r} must be {e}") from None


def _count(text: str) -> int:
    try:
        return _COUNT.parse(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{text!r} must be {e}") from None


def _top(options: argparse.Namespace) -> int:
    looker = Looker(lambda: api_of(options))
    if options.json or not (sys.stdout.isatty() and sys.stdin.isatty()):
        print_looks(looker, options.interval, options.count, time.sleep)
    else:
        from megacomet.cli.terminal import check_terminal, show  # curses is not needed for lines

        check_terminal()
        show(looker, looker.look(), options.interval, options.count)
    return FINE


def print_looks(looker: Looker, interval_s: float, count: int | None, pause: Callable[[float], None]) -> None:
    """Print a JSON object for each look.

    Args:
        looker: looks.
        interval_s: between two looks.
        count: so many looks; None: until it is ended.
        pause: waits so many seconds.

    Raises:
        CallError: the first look failed. Later ones are told of.
    """
    look: Look = looker.look()
    printed = 0
    while True:
        print_object(look.as_object())
        printed += 1
        if printed == count:
            return
        pause(interval_s)
        look = looker.try_to_look()
