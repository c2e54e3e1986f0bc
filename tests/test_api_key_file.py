"""The key file on the disk: whole at any moment, private, and clear in what it refuses."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from megacomet.api.key_file import FILE_NAME, change_keys, read_keys
from megacomet.api.key_lines import format_keys
from megacomet.errors import KeyFileError
from megacomet.model.keys import NamedKey, digest_of

NOBODY = 65_534


def key(name: str, scope: str = "push") -> NamedKey:
    """Return a key."""
    return NamedKey(name, scope, digest_of(name.encode()), "2026-11-28T09:00:00Z")


def add(state_dir: Path, *names: str) -> None:
    """Add keys."""
    change_keys(str(state_dir), lambda keys: (*keys, *map(key, names)))


def names_in(state_dir: Path) -> list[str]:
    """Return the names of the keys."""
    return [each.name for each in read_keys(str(state_dir))]


def test_without_a_file(tmp_path: Path) -> None:
    """Nobody needs a key with a name."""
    assert read_keys(str(tmp_path)) == ()


def test_keys_come_and_go(tmp_path: Path) -> None:
    """Keys are kept in the order they were made, and the file of the last one goes with it."""
    add(tmp_path, "one")
    add(tmp_path, "two", "three")
    assert names_in(tmp_path) == ["one", "two", "three"]
    change_keys(str(tmp_path), lambda keys: keys[1:])
    assert names_in(tmp_path) == ["two", "three"]
    assert os.listdir(tmp_path) == [FILE_NAME]
    for _ in range(2):
        change_keys(str(tmp_path), lambda _: ())
        assert os.listdir(tmp_path) == []


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """The file is its owner's alone, whatever the umask is and whatever mode it had."""
    (tmp_path / FILE_NAME).write_bytes(format_keys([key("one")]))
    (tmp_path / FILE_NAME).chmod(0o666)
    old = os.umask(0)
    try:
        add(tmp_path, "two")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_a_change_that_is_refused(tmp_path: Path) -> None:
    """What the change raises is raised, and the file is the one it was."""
    add(tmp_path, "one")
    before = (tmp_path / FILE_NAME).stat()

    def refuse(_: object) -> NoReturn:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_keys(str(tmp_path), refuse)
    assert (tmp_path / FILE_NAME).stat() == before


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new file does not get to the disk, the old one stays, nothing lies about, and the reason is told."""
    add(tmp_path, "one")

    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match=f"{FILE_NAME} cannot be written: no space left on device"):
        add(tmp_path, "two")
    assert names_in(tmp_path) == ["one"]
    assert os.listdir(tmp_path) == [FILE_NAME]


def test_a_change_that_was_killed(tmp_path: Path) -> None:
    """What a killed change has left beside the file is not in the way of the next, and is gone after it."""
    add(tmp_path, "one")
    (tmp_path / f"{FILE_NAME}.new").write_bytes(b'{"name":')
    assert names_in(tmp_path) == ["one"]
    add(tmp_path, "two")
    assert names_in(tmp_path) == ["one", "two"]
    assert os.listdir(tmp_path) == [FILE_NAME]


def test_two_changes_at_a_time(tmp_path: Path) -> None:
    """Who changes the keys while another does waits, so that no key is lost."""
    other = threading.Thread(target=add, args=(tmp_path, "two"))

    def slowly(keys: tuple[NamedKey, ...]) -> tuple[NamedKey, ...]:
        other.start()
        directory = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(directory)
        return (*keys, key("one"))

    change_keys(str(tmp_path), slowly)
    other.join()
    assert names_in(tmp_path) == ["one", "two"]


def test_a_broken_file_is_not_changed(tmp_path: Path) -> None:
    """Who cannot be read is not written over."""
    (tmp_path / FILE_NAME).write_bytes(b"nonsense\n")
    with pytest.raises(KeyFileError, match=f"line 1 of .*{FILE_NAME} is not JSON"):
        add(tmp_path, "one")
    assert (tmp_path / FILE_NAME).read_bytes() == b"nonsense\n"


def test_what_is_no_file(tmp_path: Path) -> None:
    """A directory or a pipe in its place is named; nobody waits for the pipe."""
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(KeyFileError, match="cannot be read: it is not a file"):
        read_keys(str(tmp_path))
    with pytest.raises(KeyFileError, match="cannot be read: it is not a file"):
        add(tmp_path, "one")
    (tmp_path / FILE_NAME).rmdir()
    os.mkfifo(tmp_path / FILE_NAME)
    with pytest.raises(KeyFileError, match="cannot be read: it is not a file"):
        read_keys(str(tmp_path))


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    """A file that cannot be opened is named with the reason, and so is a directory."""
    (tmp_path / FILE_NAME).symlink_to(FILE_NAME)
    with pytest.raises(KeyFileError, match=f"{FILE_NAME} cannot be read: too many levels"):
        read_keys(str(tmp_path))
    with pytest.raises(KeyFileError, match=f"{FILE_NAME} cannot be changed: no such file"):
        add(tmp_path / "nowhere", "one")


def test_a_directory_that_cannot_be_written() -> None:
    """A state directory where nothing can be made is named."""
    with pytest.raises(KeyFileError, match=f"/proc/self/{FILE_NAME} cannot be written: "):
        change_keys("/proc/self", lambda _: (key("one"),))


# -- owners; only root may give files away, and for others there is nothing to give


def test_root_makes_keys_for_the_server(tmp_path: Path) -> None:
    """A key that root makes is in a file of the user who runs the server: the lock's owner, else the directory's."""
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    add(tmp_path, "one")
    assert (tmp_path / FILE_NAME).stat().st_uid == tmp_path.stat().st_uid
    (tmp_path / "lock").write_bytes(b"1\n")
    os.chown(tmp_path / "lock", user, -1)
    add(tmp_path, "two")
    assert (tmp_path / FILE_NAME).stat().st_uid == user


def test_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may write to the directory, but is neither root nor the server's user, makes no file that it cannot read."""
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(KeyFileError, match=f"cannot be written: the server is user {user}'s, who could not read it"):
        add(tmp_path, "one")
    assert os.listdir(tmp_path) == []
