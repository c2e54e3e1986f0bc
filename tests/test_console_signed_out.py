"""Sessions that were signed out stay so, over restarts, full disks and clocks that are put back."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from megacomet.console.signed_out import FILE_NAME, SignedOut
from megacomet.errors import PeerError, StartError

NOW = 1_795_860_000.5
LINE = 37


def an_id(number: int) -> bytes:
    """Return the id of a session."""
    return number.to_bytes(17, "big")


@contextmanager
def opened(path: Path, most: int = 100) -> Iterator[SignedOut]:
    """Open the file for a while, as a server that runs."""
    signed_out = SignedOut(str(path), most=most)
    try:
        yield signed_out
    finally:
        signed_out.close()


@contextmanager
def disk_with_room_for(size: int) -> Iterator[None]:
    """No file may become larger meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What is logged during a test."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_over_a_restart(tmp_path: Path) -> None:
    """Whoever has signed out is out for the next server too; nobody else is."""
    with opened(tmp_path) as signed_out:
        assert an_id(1) not in signed_out
        signed_out.add(an_id(1), NOW + 100, NOW)
        signed_out.add(an_id(1), NOW + 100, NOW)
        signed_out.add(an_id(2), NOW + 100, NOW)
        assert an_id(1) in signed_out
    with opened(tmp_path) as signed_out:
        assert [an_id(n) in signed_out for n in (1, 2, 3)] == [True, True, False]
        signed_out.add(an_id(3), NOW + 100, NOW)
    with opened(tmp_path) as signed_out:
        assert [an_id(n) in signed_out for n in (1, 2, 3)] == [True, True, True]
    path = tmp_path / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size == 3 * LINE


def test_what_root_has_made(tmp_path: Path) -> None:
    """The file of an earlier start by root belongs to the user of this one."""
    user = 65_534 if os.geteuid() == 0 else os.geteuid()
    for uid in (None, user):
        SignedOut(str(tmp_path), uid).close()
    assert (tmp_path / FILE_NAME).stat().st_uid == user


def test_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    """What was cut was not confirmed, and is written over; what stands before it holds."""
    with opened(tmp_path) as signed_out:
        signed_out.add(an_id(1), NOW, NOW)
        signed_out.add(an_id(2), NOW, NOW)
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-10])
    with opened(tmp_path) as signed_out:
        assert [an_id(n) in signed_out for n in (1, 2)] == [True, False]
        signed_out.add(an_id(3), NOW, NOW)
    with opened(tmp_path) as signed_out:
        assert [an_id(n) in signed_out for n in (1, 2, 3)] == [True, False, True]


@pytest.mark.parametrize("at", [0, 5, 12, 20, 36, 37, 50, 73])
def test_a_broken_file(tmp_path: Path, at: int) -> None:
    """A line that nobody can read stops the start with its number: a session might be valid again."""
    with opened(tmp_path) as signed_out:
        signed_out.add(an_id(1), NOW, NOW)
        signed_out.add(an_id(2), NOW, NOW)
    path = tmp_path / FILE_NAME
    data = bytearray(path.read_bytes())
    data[at] = 0x21
    path.write_bytes(data)
    with pytest.raises(StartError, match=f"line {at // LINE + 1} of {path} is broken: remove it together with"):
        SignedOut(str(tmp_path))
    assert path.read_bytes() == data


def test_what_is_no_file(tmp_path: Path) -> None:
    """A directory, a link, a pipe and a missing directory stop the start and are named."""
    path = tmp_path / FILE_NAME
    path.mkdir()
    with pytest.raises(StartError, match=f"{path}, cannot be opened: is a directory"):
        SignedOut(str(tmp_path))
    path.rmdir()
    path.symlink_to("/dev/null")
    with pytest.raises(StartError, match=f"{path}, cannot be opened: too many levels"):
        SignedOut(str(tmp_path))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StartError, match=f"{path}, cannot be read: it is not a file"):
        SignedOut(str(tmp_path))
    with pytest.raises(StartError, match="cannot be opened: no such file or directory"):
        SignedOut(str(tmp_path / "nothing"))


def test_a_full_disk(tmp_path: Path, logged: list[str]) -> None:
    """Whoever signs out is out, the log says what a restart would mean, and with room again it is made good."""
    with opened(tmp_path) as signed_out:
        with disk_with_room_for(LINE + 10):
            for n in (1, 2, 3):
                signed_out.add(an_id(n), NOW, NOW)
            assert all(an_id(n) in signed_out for n in (1, 2, 3))
            assert [line.partition("signed out: ")[2] for line in logged] == [
                "only 10 of 37 bytes were written; it is valid again after a restart",
                "only 10 of 74 bytes were written; it is valid again after a restart",
            ]
        with opened(tmp_path) as other:
            assert [an_id(n) in other for n in (1, 2)] == [True, False]
        signed_out.add(an_id(4), NOW, NOW)
    with opened(tmp_path) as signed_out:
        assert all(an_id(n) in signed_out for n in (1, 2, 3, 4))


def test_bounded(tmp_path: Path) -> None:
    """When there are too many, those whose time is over make room; without any, nobody is let in again for it."""
    with opened(tmp_path, most=3) as signed_out:
        for n, until in ((1, NOW - 10), (2, NOW + 10), (3, NOW + 20)):
            signed_out.add(an_id(n), until, NOW - 20)
        signed_out.add(an_id(4), NOW + 30, NOW)
        with pytest.raises(PeerError) as caught:
            signed_out.add(an_id(5), NOW + 40, NOW)
        assert caught.value.code == "overloaded"
        assert [an_id(n) in signed_out for n in (1, 2, 3, 4, 5)] == [False, True, True, True, False]
    assert (tmp_path / FILE_NAME).stat().st_size == 3 * LINE
    with opened(tmp_path, most=3) as signed_out:
        assert [an_id(n) in signed_out for n in (1, 2, 3, 4)] == [False, True, True, True]


def test_restarts_of_a_full_file(tmp_path: Path) -> None:
    """Where old lines stand behind those that were written anew, each sign-out outlives all restarts that follow."""
    stay = (1, 3, 6, 9)
    with opened(tmp_path, most=8) as signed_out:
        for n in range(1, 9):
            signed_out.add(an_id(n), NOW + (100 if n in stay else 1), NOW)
        signed_out.add(an_id(9), NOW + 100, NOW + 10)
    later: list[int] = []
    for n in (10, 11, 12, 13):
        with opened(tmp_path, most=8) as signed_out:
            signed_out.add(an_id(n), NOW + 100, NOW + 10)
        later.append(n)
        with opened(tmp_path, most=8) as signed_out:
            assert [each for each in (*stay, *later) if an_id(each) not in signed_out] == []
    assert (tmp_path / FILE_NAME).stat().st_size == 8 * LINE


def test_a_clock_put_forward_and_back(tmp_path: Path) -> None:
    """While there is room nobody is forgotten, whatever the clock says meanwhile."""
    with opened(tmp_path) as signed_out:
        signed_out.add(an_id(1), NOW + 100, NOW)
        signed_out.add(an_id(2), NOW + 1e9, NOW + 1e9)
        assert an_id(1) in signed_out
    with opened(tmp_path) as signed_out:
        assert an_id(1) in signed_out
