"""The key that a fresh server makes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from megacomet.api.own_key import FILE_NAME, load_or_make_key
from megacomet.errors import StartError


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """The first start makes the key, the next one reads it."""
    first = load_or_make_key(str(tmp_path))
    assert first.made
    assert first.path == str(tmp_path / FILE_NAME)
    assert len(first.key) >= 43
    again = load_or_make_key(str(tmp_path))
    assert (again.key, again.made) == (first.key, False)
    assert os.listdir(tmp_path) == [FILE_NAME]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """Key and directory are the owner's alone, whatever the umask is."""
    old = os.umask(0)
    try:
        made = load_or_make_key(str(tmp_path / "a" / "b"), os.getuid(), os.getgid())
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(made.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "a" / "b").st_mode) == 0o700


def test_two_keys_are_different(tmp_path: Path) -> None:
    """A key is drawn at random."""
    assert load_or_make_key(str(tmp_path / "a")).key != load_or_make_key(str(tmp_path / "b")).key


def test_a_key_of_ones_own(tmp_path: Path) -> None:
    """Whoever writes the file decides on the key; the line's end is not part of it."""
    (tmp_path / FILE_NAME).write_bytes(b"my-own-key\r\n")
    assert load_or_make_key(str(tmp_path)).key == "my-own-key"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words\n", b"two\nlines\n", b"\xff\n", b"x" * 2000])
def test_a_file_without_a_key(tmp_path: Path, content: bytes) -> None:
    """An empty or broken file stops the start; it is not overwritten."""
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(StartError, match="api-key"):
        load_or_make_key(str(tmp_path))
    assert path.read_bytes() == content


def test_an_unreadable_file(tmp_path: Path) -> None:
    """A key that cannot be read stops the start and is named."""
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(StartError, match="cannot be read: Is a directory"):
        load_or_make_key(str(tmp_path))


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    """A state directory that is a file stops the start."""
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(StartError, match="state/api-key"):
        load_or_make_key(str(tmp_path / "state"))


def test_a_directory_that_cannot_be_written() -> None:
    """A state directory that cannot be written stops the start and is named."""
    with pytest.raises(StartError, match="cannot be written to /proc/self/api-key"):
        load_or_make_key("/proc/self")
