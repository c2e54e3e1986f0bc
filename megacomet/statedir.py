"""The state directory: made when it is missing, locked by one server, with a private directory for our sockets.

A UNIX socket's path has at most 107 bytes. Under a longer state directory the sockets stand in a directory of their own
in the system's place for temporary files; its name follows from the state directory, so that the next manager finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
import tempfile
from typing import Final

import attrs

from megacomet.errors import StartError

SOCKET_PATH_MAX_BYTES: Final = 107
#: Holds the lock, and in digits the process that has it.
LOCK_NAME: Final = "lock"
_CONTROL_NAME: Final = "zygote.sock"
_LONGEST_NAME: Final = len(f"/{_CONTROL_NAME}")


@attrs.frozen
class StateDir:
    """Where things are.

    Attributes:
        path: the state directory itself.
        sockets: directory of the sockets, 0700.
        lock_fd: holds the lock as long as it is open.
        owner: the user who will run the server.
    """

    path: str
    sockets: str
    lock_fd: int
    owner: int

    @property
    def link_path(self) -> str:
        """Where workers find the manager."""
        return os.path.join(self.sockets, "link.sock")

    @property
    def control_path(self) -> str:
        """Where the manager finds the zygote."""
        return os.path.join(self.sockets, _CONTROL_NAME)

    @property
    def log_path(self) -> str:
        """The named pipe that carries the log of zygote and workers; it outlives a manager."""
        return os.path.join(self.sockets, "log")

    def release(self) -> None:
        """Let another server have the directory."""
        os.close(self.lock_fd)

    def clear(self) -> None:
        """Remove the names of the sockets; nobody is left who would use them."""
        for path in (self.link_path, self.control_path, self.log_path):
            with contextlib.suppress(OSError):
                os.unlink(path)


def prepare(path: str, uid: int | None = None, gid: int | None = None) -> StateDir:
    """Make the state directory ready and take its lock.

    Args:
        path: absolute.
        uid: who will own what is made here, None: this process' user.
        gid: the same for the group.

    Raises:
        StartError: names the directory and what is wrong with it.
    """
    owner = -1 if uid is None else uid
    group = -1 if gid is None else gid
    try:
        _make_state_dir(path, owner, group)
        lock_fd = _lock(path, owner, group)
    except OSError as e:
        raise StartError(f"the state directory {path} cannot be used: {_why(e, path)}") from None
    try:
        return StateDir(path, _make_sockets_dir(path, owner, group), lock_fd, os.geteuid() if uid is None else uid)
    except OSError as e:
        os.close(lock_fd)
        raise StartError(f"the directory of our sockets cannot be used: {_why(e, path)}") from None
    except BaseException:
        os.close(lock_fd)
        raise


def lock_holder(path: str) -> int | None:
    """Return the process of the last server that has taken the lock of a state directory; it may be gone by now.

    The lock itself is not tried: a server that starts at that moment would find it taken.

    Args:
        path: of the directory.

    Returns:
        None: there was never one.

    Raises:
        OSError: the directory cannot be read by this user.
    """
    try:
        with open(os.path.join(path, LOCK_NAME), "rb") as file:
            text = file.read(32).strip()
    except FileNotFoundError:
        return None
    return int(text) if text.isdigit() and int(text) > 0 else None


def sockets_dir(path: str) -> str:
    """Return where the sockets of a state directory stand; nothing is made."""
    inside = os.path.join(path, "link")
    if len(os.fsencode(inside)) + _LONGEST_NAME <= SOCKET_PATH_MAX_BYTES:
        return inside
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return os.path.join(tempfile.gettempdir(), f"megacomet-{name}")


def control_path_of(path: str) -> str:
    """Return where the zygote of a state directory is found, see `StateDir.control_path`."""
    return os.path.join(sockets_dir(path), _CONTROL_NAME)


def make_file(path: str, data: bytes, uid: int | None = None, gid: int | None = None) -> None:
    """Make a file that only its owner may read, whole or not at all: one that is there is complete.

    Args:
        path: of it; its directory must be there.
        data: what is to stand in it.
        uid, gid: who shall own it, None: whoever runs this.

    Raises:
        FileExistsError: there is one already; it stays as it is.
        OSError: it cannot be made.
    """
    unfinished = f"{path}.{secrets.token_hex(8)}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.fchmod(descriptor, 0o600)  # whatever the umask is
            os.fchown(descriptor, -1 if uid is None else uid, -1 if gid is None else gid)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(unfinished, path)
    finally:
        os.unlink(unfinished)


def hand_over(path: str, uid: int, gid: int) -> None:
    """Let a file of secrets belong to who will run the server, where root has made it; a link is left as it is.

    It is not told when that fails: whoever cannot read the file says so when it is read.
    """
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            found = os.fstat(fd)
            # With a second name it may be anybody's file, put here by who may write to the directory.
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                os.fchown(fd, uid, gid)
        finally:
            os.close(fd)


def _why(error: OSError, path: str) -> str:
    reason = (error.strerror or str(error)).lower()
    named = os.fsdecode(error.filename) if error.filename else path
    return reason if named == path else f"{named}: {reason}"


def _make_state_dir(path: str, owner: int, group: int) -> None:
    """Make the directory if it is missing; one that is there keeps its owner.

    Raises:
        StartError: who will own our processes could not pass it.
        OSError: it cannot be made.
    """
    if not os.path.isdir(path):
        # Those on the way to it belong to who starts us, and others may pass.
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        os.mkdir(path, 0o700)
        os.chown(path, owner, group)
    found = os.stat(path)
    mine, ours = owner in (-1, found.st_uid), group in (-1, found.st_gid)
    passable = stat.S_IXUSR if mine else stat.S_IXGRP if ours else stat.S_IXOTH
    if owner > 0 and not found.st_mode & passable:
        raise StartError(f"the state directory {path} is closed to user {owner}: it belongs to user {found.st_uid}")


def _lock(path: str, owner: int, group: int) -> int:
    """Take the lock, which goes with the process however it ends.

    Raises:
        StartError: another server runs with this directory.
        OSError: the directory cannot be written.
    """
    fd = os.open(os.path.join(path, LOCK_NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(fd, 32).decode("ascii", "replace").strip()
            raise StartError(
                f"another MegaComet (process {holder or '?'}) runs with the state directory {path}"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        os.fchown(fd, owner, group)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _make_sockets_dir(path: str, owner: int, group: int) -> str:
    """Make the private directory of the sockets.

    Raises:
        StartError: something of somebody else stands in its place, or their paths would be too long.
        OSError: it cannot be made.
    """
    wanted = sockets_dir(path)
    needed = len(os.fsencode(wanted)) + _LONGEST_NAME
    if needed > SOCKET_PATH_MAX_BYTES:
        raise StartError(
            f"our sockets cannot stand in {wanted}: their paths would have {needed} bytes, and may have "
            f"{SOCKET_PATH_MAX_BYTES}; a shorter state directory or a shorter TMPDIR is needed"
        )
    with contextlib.suppress(FileExistsError):
        os.mkdir(wanted, 0o700)
    found = os.lstat(wanted)
    # Where everybody may make directories, somebody may have made this one before us, or put a link in its place.
    foreign = os.path.dirname(wanted) != path and found.st_uid not in (os.geteuid(), owner)
    if foreign or not stat.S_ISDIR(found.st_mode):
        raise StartError(f"our sockets cannot stand in {wanted}: it is not a directory of ours")
    os.chmod(wanted, 0o700)
    os.chown(wanted, owner, group)
    return wanted
