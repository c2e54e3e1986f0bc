"""The console, put together: what a start takes from the disk, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.logger import Logger

from megacomet.console.doors import Console
from megacomet.console.files import NONE, Files, load_files
from megacomet.console.secret_file import load_or_make_secret
from megacomet.console.sessions import Sessions
from megacomet.console.signed_out import SignedOut
from megacomet.console.tokens import Seal
from megacomet.model.keys import Keys
from megacomet.model.notes import IAudit
from megacomet.shipped import CONSOLE

_log = Logger()


class Membership:
    """What is known of sessions from one start to the next.

    Attributes:
        seal: signs their tokens.
        signed_out: those that have ended before their time.
    """

    def __init__(self, state_dir: str, uid: int | None = None, gid: int | None = None) -> None:
        """Read it, or make it.

        Args:
            state_dir: it must be there.
            uid, gid: who will run the server, None: whoever runs this.

        Raises:
            StartError: a file is broken or cannot be used; it is named.
        """
        self.seal = Seal(load_or_make_secret(state_dir, uid, gid))
        self.signed_out = SignedOut(state_dir, uid, gid)

    def close(self) -> None:
        """Close its file."""
        self.signed_out.close()


def make_console(
    membership: Membership, keys: Keys, audit: IAudit, now: Callable[[], float], clock: Callable[[], float]
) -> Console:
    """Put the console together.

    Args:
        membership: what was known of sessions at the start.
        keys: who may sign in.
        audit: takes note of who signs in and out.
        now: Unix seconds.
        clock: seconds that are never put back.
    """
    sessions = Sessions(keys, membership.seal, membership.signed_out)
    return Console(find_files(CONSOLE.find()), sessions, keys, audit, now, clock)


def find_files(directory: Path | None) -> Files:
    """Return the files of a directory; when there are none, that is logged and the server goes on without."""
    if directory is None:
        _log.error("the console has no files: this installation is not complete, and /console/ is 404")
        return NONE
    try:
        files = load_files(directory)
    except (OSError, ValueError) as e:
        _log.error("the console has no files, and /console/ is 404: {why}", why=str(e))
        return NONE
    _log.info(
        "the console: {number} files from {directory}, {size} KB in memory",
        number=len(files.by_path) + 1,
        directory=str(directory),
        size=round(files.size / 1000),
    )
    return files
