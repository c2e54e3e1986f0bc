"""The `megacomet` command: finds the subcommand and imports only what that needs.

A subcommand is a function that takes its arguments and returns an exit status, one of `statuses`. It is entered in
`COMMANDS`, and nowhere else.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, NamedTuple

from megacomet import __version__
from megacomet.cli.statuses import BROKEN_PIPE, INTERRUPTED, WRONG_USE


class Command(NamedTuple):
    """A subcommand.

    Attributes:
        target: `module:function`.
        about: one line for --help.
    """

    target: str
    about: str


COMMANDS: Final[dict[str, Command]] = {
    "push": Command("megacomet.cli.push:main", "publish a message, or many"),
    "listen": Command("megacomet.cli.listen:main", "show what is published, as it comes"),
    "stats": Command("megacomet.cli.stats:main", "tell the server's numbers"),
    "status": Command("megacomet.cli.status:main", "tell whether the server runs, and how it stands"),
    "top": Command("megacomet.cli.top:main", "show the same, live"),
    "key": Command("megacomet.cli.key:main", "make, list and revoke keys of the API"),
    "config": Command("megacomet.cli.config:main", "print every setting in force and where it came from"),
    "doctor": Command("megacomet.cli.doctor:main", "tell what this machine allows, and what stands in the way"),
    "swarm": Command("megacomet.swarm.main:main", "open many clients against a server and count what reaches them"),
}


def run() -> None:
    """Be the console script: run what the command line says, and exit with its status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name is shown somehow, whatever the locale can
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has seen enough. Python would complain when it flushes stdout at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = BROKEN_PIPE
    sys.exit(status)


def main(arguments: Sequence[str]) -> int:
    """Run the subcommand that the arguments begin with; return the exit status."""
    if not arguments:
        print(usage(), file=sys.stderr)
        return WRONG_USE
    name, *rest = arguments
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--version":
        print(f"MegaComet {__version__}")
        return 0
    if name not in COMMANDS:
        print(f"megacomet: there is no command {name!r}; the commands are {', '.join(COMMANDS)}", file=sys.stderr)
        return WRONG_USE
    return find(COMMANDS[name])(rest)


def find(command: Command) -> Callable[[list[str]], int]:
    """Import a subcommand's function."""
    module, _, function = command.target.partition(":")
    found: Callable[[list[str]], int] = getattr(import_module(module), function)
    return found


def usage() -> str:
    """Return what --help prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.about}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: megacomet COMMAND [options]",
            "       megacomet --version",
            "",
            "Commands (each takes --help):",
            *lines,
            "",
            "The server itself is started by twistd: twistd -n megacomet --port 80",
        ]
    )
