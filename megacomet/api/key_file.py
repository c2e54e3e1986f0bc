"""The file `<state_dir>/keys.jsonl`: read by the server, changed by `megacomet key`, and whole at any moment.

A change is made by one process at a time: it holds a lock on the state directory. The new file is complete and on the
disk before it takes the place of the old one, so that neither a full disk nor a kill loses a key. Owns the file as a
file; what stands in it is `key_lines.py`'s.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable
from typing import Final

from megacomet.api.key_lines import MAX_FILE_BYTES, format_keys, parse_keys
from megacomet.errors import KeyFileError
from megacomet.model.keys import NamedKey
from megacomet.statedir import LOCK_NAME

FILE_NAME: Final = "keys.jsonl"
#: Beside it, what a change was writing when it was killed; the next change writes over it.
_UNFINISHED: Final = FILE_NAME + ".new"
_MODE: Final = 0o600

Change = Callable[[tuple[NamedKey, ...]], tuple[NamedKey, ...]]


def read_keys(state_dir: str) -> tuple[NamedKey, ...]:
    """Return the keys of a state directory, none when there is no file.

    Raises:
        KeyFileError: the file is broken or cannot be read.
    """
    path = os.path.join(state_dir, FILE_NAME)
    try:
        # A pipe in its place would hold us up until somebody writes to it.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return ()
    except OSError as e:
        raise _cannot(path, "read", e) from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise KeyFileError(path, 0, "cannot be read: it is not a file")
        with open(fd, "rb", closefd=False) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as e:
        raise _cannot(path, "read", e) from None
    finally:
        os.close(fd)
    return parse_keys(data, path)


def change_keys(state_dir: str, change: Change) -> None:
    """Change the keys of a state directory; who changes them at the same time waits.

    The file belongs to the user who runs the server, also when root changes it.

    Args:
        state_dir: it must be there.
        change: takes the keys and returns those that are to be, at most `key_lines.MAX_KEYS`. What it raises is
            raised here, and nothing is changed.

    Raises:
        KeyFileError: the file is broken, or cannot be read or written; it is as it was.
    """
    path = os.path.join(state_dir, FILE_NAME)
    try:
        directory = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as e:
        raise _cannot(path, "changed", e) from None
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        keys = change(read_keys(state_dir))
        if keys:
            _replace(state_dir, format_keys(keys))
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        with contextlib.suppress(OSError):  # it is done; some file systems cannot do this for a directory
            os.fsync(directory)
    except OSError as e:
        raise _cannot(path, "written", e) from None
    finally:
        os.close(directory)


def _replace(state_dir: str, data: bytes) -> None:
    """Put a new file in the place of the old one; raise `OSError`, and the old one stays."""
    unfinished = os.path.join(state_dir, _UNFINISHED)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(unfinished)
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        try:
            os.fchmod(fd, _MODE)  # whatever the umask is
            uid, gid = _owner(state_dir)
            if os.geteuid() == 0:
                os.fchown(fd, uid, gid)
            elif os.geteuid() != uid:
                raise PermissionError(errno.EPERM, f"the server is user {uid}'s, who could not read it")
            with open(fd, "wb", closefd=False) as file:
                file.write(data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(unfinished, os.path.join(state_dir, FILE_NAME))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise


def _owner(state_dir: str) -> tuple[int, int]:
    """Return user and group of who runs the server: the lock is theirs, also when the directory is not."""
    try:
        found = os.lstat(os.path.join(state_dir, LOCK_NAME))
    except FileNotFoundError:  # none was ever started here
        found = os.stat(state_dir)
    return found.st_uid, found.st_gid


def _cannot(path: str, what: str, error: OSError) -> KeyFileError:
    return KeyFileError(path, 0, f"cannot be {what}: {(error.strerror or str(error)).lower()}")
