"""server.json: written whole, believed while its process runs and has the lock, and no longer."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from megacomet import whereabouts
from megacomet.statedir import LOCK_NAME
from megacomet.whereabouts import FILE_NAME, Door, Whereabouts
from tests.strangers import Stranger

TOLD = Whereabouts(812, "1.2.3", "2026-11-28T09:00:00Z", [Door("http://0.0.0.0:8080", "public")])


def everybody(_pid: int) -> bool:
    """Every process is a manager."""
    return True


def lock(path: Path, pid: int) -> None:
    """Write who has the lock."""
    (path / LOCK_NAME).write_text(f"{pid}\n")


def test_what_is_written(tmp_path: Path) -> None:
    """What was written is read; the file has the documented form and can be read by all who may pass."""
    old = os.umask(0o077)
    try:
        whereabouts.write(str(tmp_path), TOLD)
    finally:
        os.umask(old)
    lock(tmp_path, 812)
    assert whereabouts.read(str(tmp_path), everybody) == TOLD
    path = tmp_path / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o644
    assert json.loads(path.read_text()) == {
        "pid": 812,
        "version": "1.2.3",
        "started": "2026-11-28T09:00:00Z",
        "addresses": [{"address": "http://0.0.0.0:8080", "serves": "public"}],
    }


def test_written_anew(tmp_path: Path) -> None:
    """What a manager that was killed has left, finished or not, is written over; in the end nothing is left."""
    (tmp_path / f"{FILE_NAME}.new").write_text("half")
    (tmp_path / FILE_NAME).write_text("old")
    whereabouts.write(str(tmp_path), TOLD)
    assert os.listdir(tmp_path) == [FILE_NAME]
    whereabouts.remove(str(tmp_path))
    whereabouts.remove(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    """What cannot be written is told to the caller; what cannot be removed is not there anyway."""
    with pytest.raises(OSError, match="No such file"):
        whereabouts.write(str(tmp_path / "gone"), TOLD)
    whereabouts.remove(str(tmp_path / "gone"))


def test_whom_to_believe(tmp_path: Path) -> None:
    """A process that is gone, is no manager or has not the lock is not believed; a closed lock is no reason."""
    whereabouts.write(str(tmp_path), TOLD)
    assert whereabouts.read(str(tmp_path), everybody) is None  # nobody has the lock
    lock(tmp_path, 813)
    assert whereabouts.read(str(tmp_path), everybody) is None
    lock(tmp_path, 812)
    assert whereabouts.read(str(tmp_path), lambda pid: pid == 813) is None
    (tmp_path / LOCK_NAME).unlink()
    (tmp_path / LOCK_NAME).mkdir()  # cannot be read, whoever we are
    assert whereabouts.read(str(tmp_path), everybody) == TOLD


@pytest.mark.parametrize(
    "text",
    [
        *("", "nonsense", "[]", "null", "{}", '{"pid": "x"}', '{"pid": null, "version": "", "started": ""}'),
        '{"pid": 812, "version": "", "started": "", "addresses": 1}',
        '{"pid": 812, "version": "", "started": "", "addresses": [{"address": "a"}]}',
        "\udcff",
    ],
)
def test_what_is_none_of_ours(text: str, tmp_path: Path) -> None:
    """A file of another form is as none."""
    (tmp_path / FILE_NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    lock(tmp_path, 812)
    assert whereabouts.read(str(tmp_path), everybody) is None


def test_a_pipe_in_its_place(tmp_path: Path) -> None:
    """Nobody holds us up."""
    os.mkfifo(tmp_path / FILE_NAME)
    assert whereabouts.read(str(tmp_path), everybody) is None


def test_processes(tmp_path: Path) -> None:
    """A manager is known by its name in ps."""
    assert whereabouts.manager_of(str(tmp_path)) is None
    lock(tmp_path, os.getpid())
    assert whereabouts.manager_of(str(tmp_path)) is None
    with Stranger("megacomet: manager") as server:
        lock(tmp_path, server.pid)
        assert whereabouts.manager_of(str(tmp_path)) == server.pid
        whereabouts.write(str(tmp_path), Whereabouts(server.pid, "", "", []))
        assert whereabouts.read(str(tmp_path)) == Whereabouts(server.pid, "", "", [])
    assert whereabouts.read(str(tmp_path)) is None
    assert whereabouts.manager_of(str(tmp_path)) is None


def test_a_closed_lock(tmp_path: Path) -> None:
    """Where the lock cannot be read it is not known whether a manager runs."""
    (tmp_path / LOCK_NAME).mkdir()
    with pytest.raises(OSError, match="directory"):
        whereabouts.manager_of(str(tmp_path))
