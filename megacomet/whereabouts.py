"""`<state_dir>/server.json`: where the running server is found, for whoever does not see its command line.

    {"pid": 812, "version": "0.1.0", "started": "2026-11-28T09:00:00Z",
     "addresses": [{"address": "http://0.0.0.0:8080", "serves": "public"}]}

The manager writes it when it is ready and removes it at an orderly stop. Readers believe it as long as the process runs
and has the lock. There is no secret in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from megacomet.proctitle import has_title
from megacomet.statedir import lock_holder

FILE_NAME: Final = "server.json"
#: Beside it, what was being written when a manager was killed; the next one writes over it.
_UNFINISHED: Final = FILE_NAME + ".new"
#: Whoever may pass the state directory may know.
_MODE: Final = 0o644
_MAX_BYTES: Final = 1_000_000

#: What an address serves, beside the kinds of `listeners`.
API: Final = "api"
BINARY: Final = "binary"


@attrs.frozen
class Door:
    """One address of a server.

    Attributes:
        address: as the ready line shows it.
        serves: `public`, `classic`, `api` or `binary`.
    """

    address: str
    serves: str


@attrs.frozen
class Whereabouts:
    """What is told of a server.

    Attributes:
        pid: of its manager.
        version: of MegaComet.
        started: when, RFC 3339 UTC.
        addresses: where it listens.
    """

    pid: int
    version: str
    started: str
    addresses: Sequence[Door]


def write(state_dir: str, found: Whereabouts) -> None:
    """Write the file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = os.path.join(state_dir, _UNFINISHED)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(unfinished)
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    with open(fd, "w", encoding="utf-8") as file:
        os.fchmod(fd, _MODE)  # whatever the umask is
        file.write(json.dumps(attrs.asdict(found)) + "\n")
    os.rename(unfinished, os.path.join(state_dir, FILE_NAME))


def remove(state_dir: str) -> None:
    """Remove the file; without one nothing happens."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(state_dir, FILE_NAME))


def manager_of(state_dir: str, is_manager: Callable[[int], bool] | None = None) -> int | None:
    """Return the process of the manager that runs with a state directory.

    Args:
        state_dir: the directory.
        is_manager: tells whether a process is a manager, None: looks at its name.

    Returns:
        None: none runs on this machine, or in this container.

    Raises:
        OSError: it is not known: the lock cannot be read.
    """
    pid = lock_holder(state_dir)
    return pid if pid is not None and (is_manager or _is_manager)(pid) else None


def read(state_dir: str, is_manager: Callable[[int], bool] | None = None) -> Whereabouts | None:
    """Return where the server of a state directory is, None when nothing is told that can be believed.

    Args:
        state_dir: the directory.
        is_manager: as in `manager_of`.
    """
    try:
        found = _parse(_read(os.path.join(state_dir, FILE_NAME)))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none, closed to this user, or none of ours
    if not (is_manager or _is_manager)(found.pid):
        return None
    with contextlib.suppress(OSError):  # the lock may be closed to this user where the file is not
        if lock_holder(state_dir) != found.pid:
            return None
    return found


def _is_manager(pid: int) -> bool:
    return has_title(pid, "manager")


def _read(path: str) -> bytes:
    # A pipe in its place would hold us up until somebody writes to it.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("it is not a file")
        return file.read(_MAX_BYTES)


def _parse(data: bytes) -> Whereabouts:
    """Raise `ValueError`, `KeyError` or `TypeError` when it is not of the form."""
    told: Any = json.loads(data)
    doors = [Door(str(each["address"]), str(each["serves"])) for each in told["addresses"]]
    return Whereabouts(int(told["pid"]), str(told["version"]), str(told["started"]), doors)
