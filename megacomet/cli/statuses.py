"""How a command ends: the exit statuses, and which error has which."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from megacomet.cli.text import safe
from megacomet.errors import CallError, NoServer, SettingError

FINE: Final = 0
#: The server refused it, or it failed; of `status`: something is not as it should be.
FAILED: Final = 1
WRONG_USE: Final = 2
#: As LSB has it for init scripts: the service does not run.
NO_SERVER: Final = 3
#: What a shell reports of a program that SIGINT, SIGPIPE or SIGTERM ended.
INTERRUPTED: Final = 128 + 2
BROKEN_PIPE: Final = 128 + 13
TERMINATED: Final = 128 + 15


def ending(command: str, run: Callable[[], int]) -> int:
    """Run a command; tell its error as one line on stderr, and return the exit status.

    Args:
        command: its name.
        run: does it, and returns a status. Its SystemExit is that of argparse: --help, and wrong use.
    """
    try:
        return run()
    except SystemExit as e:
        return e.code if isinstance(e.code, int) else WRONG_USE if e.code else FINE
    except (CallError, SettingError) as e:
        complain(command, str(e))
        return status_of(e)


def status_of(error: CallError | SettingError) -> int:
    """Return the status of a command that an error has ended."""
    if isinstance(error, SettingError):
        return WRONG_USE
    return NO_SERVER if isinstance(error, NoServer) else FAILED


def complain(command: str, text: str) -> None:
    """Say on stderr what is wrong."""
    print(f"megacomet {command}: {safe(text)}", file=sys.stderr)
