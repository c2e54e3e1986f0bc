"""The state directory: made, locked, private, and clear in what it refuses."""

from __future__ import annotations

import os
import resource
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from megacomet.errors import StartError
from megacomet.statedir import SOCKET_PATH_MAX_BYTES, StateDir, hand_over, lock_holder, make_file, prepare


@pytest.fixture
def held() -> Iterator[list[StateDir]]:
    """What is put into the list is released after the test."""
    made: list[StateDir] = []
    yield made
    for each in made:
        each.release()


def mode_of(path: str | Path) -> int:
    return os.stat(path).st_mode & 0o7777


def test_it_is_made(tmp_path: Path, held: list[StateDir]) -> None:
    """A missing directory is made, with those above it; it and the sockets' directory are closed to others."""
    path = tmp_path / "a" / "b"
    held.append(prepare(str(path)))
    assert mode_of(path) == mode_of(held[0].sockets) == 0o700
    assert mode_of(path / "lock") == 0o600
    assert held[0].owner == os.geteuid()


def test_an_open_sockets_directory_is_closed(tmp_path: Path, held: list[StateDir]) -> None:
    """A sockets' directory that is open to others is closed to them; the state directory keeps its mode."""
    (tmp_path / "link").mkdir(mode=0o777)
    tmp_path.chmod(0o755)
    held.append(prepare(str(tmp_path)))
    assert mode_of(tmp_path / "link") == 0o700
    assert mode_of(tmp_path) == 0o755


def test_one_server_at_a_time(tmp_path: Path, held: list[StateDir]) -> None:
    """A second server is told which process has the directory; after that one's end it may have it."""
    first = prepare(str(tmp_path))
    with pytest.raises(StartError, match=rf"another MegaComet \(process {os.getpid()}\) runs"):
        prepare(str(tmp_path))
    first.release()
    held.append(prepare(str(tmp_path)))


def test_who_has_the_lock(tmp_path: Path) -> None:
    """The lock tells the process that has it, or had it last; trying to know does not take it."""
    assert lock_holder(str(tmp_path)) is None
    state = prepare(str(tmp_path))
    assert lock_holder(str(tmp_path)) == os.getpid()
    state.release()
    assert lock_holder(str(tmp_path)) == os.getpid()
    (tmp_path / "lock").write_bytes(b"")
    assert lock_holder(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/dev/null", "the state directory /dev/null cannot be used: file exists"),
        ("/dev/null/x", "the state directory /dev/null/x cannot be used: /dev/null: file exists"),
        ("/proc/nothing", "the state directory /proc/nothing cannot be used: no such file or directory"),
    ],
)
def test_what_cannot_be_used(path: str, said: str) -> None:
    """A directory that cannot be made is named together with the reason."""
    with pytest.raises(StartError) as caught:
        prepare(path)
    assert str(caught.value) == said


def test_a_link_in_the_place_of_the_lock(tmp_path: Path) -> None:
    """Nobody makes us write to another file by a link."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    state = tmp_path / "state"
    state.mkdir()
    (state / "lock").symlink_to(victim)
    with pytest.raises(StartError, match="lock"):
        prepare(str(state))
    assert victim.read_text() == "precious"


def test_something_else_in_the_place_of_the_sockets(tmp_path: Path, held: list[StateDir]) -> None:
    """A file or a link where the sockets should stand is refused, and the lock is let go."""
    (tmp_path / "link").symlink_to("/tmp")
    with pytest.raises(StartError, match="it is not a directory of ours"):
        prepare(str(tmp_path))
    (tmp_path / "link").unlink()
    held.append(prepare(str(tmp_path)))


def test_a_long_path(tmp_path: Path, held: list[StateDir]) -> None:
    """Under a path that is too long for sockets they stand elsewhere, always at the same place."""
    deep = str(tmp_path / ("d" * 100))
    first = prepare(deep)
    first.release()
    held.append(prepare(deep))
    again = held[0]
    try:
        assert again.sockets == first.sockets
        assert not again.sockets.startswith(deep)
        assert mode_of(again.sockets) == 0o700
        assert max(len(path) for path in (again.link_path, again.control_path)) <= SOCKET_PATH_MAX_BYTES
    finally:
        os.rmdir(again.sockets)


def test_too_long_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sockets fit neither there nor among temporary files, path and limit are told, and the lock is free."""
    temporary = tmp_path / ("t" * (SOCKET_PATH_MAX_BYTES - len(str(tmp_path))))
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    deep = str(tmp_path / ("d" * 100))
    for _ in range(2):
        with pytest.raises(
            StartError, match=rf"in {temporary}/megacomet-[0-9a-f]+: .* have 147 bytes.* 107; a shorter"
        ):
            prepare(deep)
    assert os.listdir(temporary) == []


def test_the_end(tmp_path: Path, held: list[StateDir]) -> None:
    """After an orderly end no socket is left; to clear twice is nothing."""
    held.append(prepare(str(tmp_path)))
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(held[0].link_path)
    held[0].clear()
    held[0].clear()
    assert os.listdir(held[0].sockets) == []


@pytest.mark.parametrize(("mode", "passed"), [(0o700, False), (0o701, True)])
def test_a_directory_of_somebody_else(mode: int, passed: bool, tmp_path: Path, held: list[StateDir]) -> None:
    """A directory that the server's user may not pass is refused at the start, not at the first connection."""
    tmp_path.chmod(mode)
    ours = os.geteuid()
    other = ours + 1
    if ours != 0:
        # Only root gives things away; for anybody else the same is an error of the system.
        with pytest.raises(StartError):
            prepare(str(tmp_path), other, os.getegid() + 1)
    elif passed:
        held.append(prepare(str(tmp_path), other, 1))
        assert os.stat(held[0].sockets).st_uid == other
    else:
        with pytest.raises(StartError, match=f"is closed to user {other}: it belongs to user {ours}"):
            prepare(str(tmp_path), other, 1)


# -- files


def test_a_file_is_made_whole(tmp_path: Path) -> None:
    """A file is there with all that stands in it, for its owner alone, or it is not there."""
    path = tmp_path / "secret"
    make_file(str(path), b"data", os.getuid(), os.getgid())
    assert path.read_bytes() == b"data"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        make_file(str(path), b"other")
    assert path.read_bytes() == b"data"
    assert os.listdir(tmp_path) == ["secret"]


def test_a_file_that_does_not_fit(tmp_path: Path) -> None:
    """On a full disk nothing is left behind."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            make_file(str(tmp_path / "secret"), b"data")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []


def test_hand_over(tmp_path: Path) -> None:
    """At a start with another user the file becomes theirs; not what only has its name there."""
    user = 65_534 if os.geteuid() == 0 else os.geteuid()
    hand_over(str(tmp_path / "secret"), user, -1)
    (tmp_path / "secret").write_bytes(b"a secret")
    hand_over(str(tmp_path / "secret"), user, -1)
    assert (tmp_path / "secret").stat().st_uid == user
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"")
    for make in (os.link, os.symlink):
        (tmp_path / "secret").unlink()
        make(theirs, tmp_path / "secret")
        hand_over(str(tmp_path / "secret"), user, -1)
        assert theirs.stat().st_uid == os.geteuid()
