"""The secret that sessions are signed with."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest

from megacomet.console.secret_file import FILE_NAME, load_or_make_secret
from megacomet.errors import StartError


def test_it_is_made_once(tmp_path: Path) -> None:
    """The first start makes it, the next one reads it: sessions survive a restart."""
    first = load_or_make_secret(str(tmp_path))
    assert len(first) == 32
    assert load_or_make_secret(str(tmp_path)) == first
    assert os.listdir(tmp_path) == [FILE_NAME]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """It is the owner's alone, whatever the umask is."""
    old = os.umask(0)
    try:
        load_or_make_secret(str(tmp_path), os.getuid(), os.getgid())
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_what_root_has_made(tmp_path: Path) -> None:
    """A secret of an earlier start by root belongs to the user of this one."""
    user = 65_534 if os.geteuid() == 0 else os.geteuid()
    secret = load_or_make_secret(str(tmp_path))
    assert load_or_make_secret(str(tmp_path), user) == secret
    assert (tmp_path / FILE_NAME).stat().st_uid == user


def test_two_servers_have_two(tmp_path: Path) -> None:
    """It is drawn at random."""
    for name in "ab":
        (tmp_path / name).mkdir()
    assert load_or_make_secret(str(tmp_path / "a")) != load_or_make_secret(str(tmp_path / "b"))


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"0" * 63, b"0" * 65, b"0" * 63 + b"x", b"A" * 64, b"0" * 64 + b"\n\n", b"\xff" * 64]
)
def test_a_broken_file(tmp_path: Path, content: bytes) -> None:
    """A cut or foreign file stops the start, is named, and is not written over."""
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(StartError, match=f"{path} is not 64 hexadecimal digits: remove the file"):
        load_or_make_secret(str(tmp_path))
    assert path.read_bytes() == content


def test_an_unreadable_file(tmp_path: Path) -> None:
    """What cannot be read stops the start and is named; a pipe in its place does not hold it up."""
    path = tmp_path / FILE_NAME
    path.mkdir()
    with pytest.raises(StartError, match=f"{path} cannot be read: is a directory"):
        load_or_make_secret(str(tmp_path))
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(StartError, match=f"{path} is not 64 hexadecimal digits"):
        load_or_make_secret(str(tmp_path))


def test_a_place_that_cannot_be_written() -> None:
    """A state directory that cannot be written stops the start and is named."""
    with pytest.raises(StartError, match="cannot be written to /proc/self/console-secret"):
        load_or_make_secret("/proc/self")


def test_a_full_disk(tmp_path: Path) -> None:
    """A secret that could not be written whole is not there, so the next start makes another."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(StartError, match=f"cannot be written to {tmp_path}/console-secret: file too large"):
            load_or_make_secret(str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []
