"""What this machine tells of a server: its processes, without its API."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from megacomet import whereabouts
from megacomet.cli import local
from megacomet.cli.local import Local, Process, look, process
from megacomet.statedir import control_path_of
from megacomet.whereabouts import Whereabouts
from tests.strangers import Stranger


@contextmanager
def zygote(state_dir: Path, told: bytes) -> Iterator[list[bytes]]:
    """Something that answers at the place of the zygote; what it was asked."""
    path = Path(control_path_of(str(state_dir)))
    path.parent.mkdir(exist_ok=True)
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()

        def answer() -> None:
            client, _ = door.accept()
            with client, client.makefile("rb") as file:
                asked.append(file.readline())
                client.sendall(told)

        thread = threading.Thread(target=answer)
        thread.start()
        yield asked
        thread.join()


def test_nothing(tmp_path: Path) -> None:
    """Where no server ever was."""
    found = look(str(tmp_path))
    assert found == Local()
    assert not found.is_any
    assert look(str(tmp_path / "gone")) == Local()


def test_a_server(tmp_path: Path) -> None:
    """The manager by the lock, the others by the zygote; who has another name by now is none of them."""
    with Stranger("megacomet: manager") as manager, Stranger("megacomet: worker 3") as worker:
        (tmp_path / "lock").write_text(f"{manager.pid}\n")
        told = Whereabouts(manager.pid, "1.2.3", "", [])
        whereabouts.write(str(tmp_path), told)
        family = {"pid": os.getpid(), "workers": {"3": worker.pid, "4": os.getpid()}}
        with zygote(tmp_path, json.dumps(family).encode() + b"\n") as asked:
            found = look(str(tmp_path))
        assert asked == [b'{"op": "report"}\n']
        assert found.manager is not None
        assert (found.manager.pid, found.zygote, found.server) == (manager.pid, None, told)
        assert {number: each.pid for number, each in found.workers.items()} == {3: worker.pid}
        assert found.is_any


@pytest.mark.parametrize("told", [b"", b"nonsense\n", b"{}\n", b"[]\n", b'{"pid": 1, "workers": 3}\n'])
def test_an_odd_zygote(told: bytes, tmp_path: Path) -> None:
    """Whatever stands in its place tells nothing."""
    with zygote(tmp_path, told):
        assert look(str(tmp_path)) == Local()


def test_a_zygote_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for for ever."""
    monkeypatch.setattr(local, "_PATIENCE_S", 0.01)
    path = Path(control_path_of(str(tmp_path)))
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        assert look(str(tmp_path)) == Local()


def test_a_closed_directory(tmp_path: Path) -> None:
    """Where the lock cannot be read it is said that nobody knows; a file that can be believed tells nevertheless."""
    (tmp_path / "lock").mkdir()
    found = look(str(tmp_path))
    assert found.why_unknown == f"whether a server runs cannot be known: {tmp_path / 'lock'}: Is a directory"
    assert found.manager is None
    with Stranger("megacomet: manager") as manager:
        whereabouts.write(str(tmp_path), Whereabouts(manager.pid, "1.2.3", "", []))
        found = look(str(tmp_path))
    assert (found.why_unknown, found.manager and found.manager.pid) == ("", manager.pid)


def test_a_process() -> None:
    """Memory and age of a process; of one that is gone nothing is known."""
    mine = process(os.getpid())
    assert mine.memory_bytes is not None
    assert mine.memory_bytes > 1_000_000
    assert mine.uptime_s is not None
    assert mine.uptime_s >= 0
    with Stranger("gone") as gone:
        pass
    assert process(gone.pid) == Process(gone.pid, None, None)


def test_long_paths(tmp_path: Path) -> None:
    """The zygote of a long path is found where the server puts it."""
    deep: Any = tmp_path / ("d" * 100)
    assert not control_path_of(str(deep)).startswith(str(deep))
