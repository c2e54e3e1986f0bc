"""The watch on the rest of the machine: who is a bystander, and how much they took between two times."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import bystanders
from bench.bystanders import Watch


def task(pid: int) -> Path:
    return Path(f"/proc/{pid}/task/{pid}")


def test_who_is_a_bystander() -> None:
    """Who started us is one; we and what we have started are not."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = set(bystanders._tasks())
    assert task(os.getppid()) in found
    assert not {task(os.getpid()), task(child.pid)} & found


@pytest.fixture
def spent(monkeypatch: pytest.MonkeyPatch) -> dict[Path, int]:
    """Tasks of others, and what they have computed in all, in ns."""
    others: dict[Path, int] = {task(70): 5_000, task(75): 9_000}
    monkeypatch.setattr(bystanders, "_tasks", lambda: iter(list(others)))
    monkeypatch.setattr(bystanders, "_spent_ns", lambda one: others.get(one, 0))
    return others


def looked(watch: Watch, monkeypatch: pytest.MonkeyPatch, at_ns: int) -> None:
    monkeypatch.setattr("time.monotonic_ns", lambda: at_ns)
    watch.look()


def test_the_share_of_the_processors(spent: dict[Path, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was computed before the watch does not count; between two looks it counts as a whole."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    watch = Watch()
    for at_ns, more in ((0, 0), (10, 0), (20, 8), (30, 2), (40, 0)):
        spent[task(75)] += more
        looked(watch, monkeypatch, at_ns)
    assert watch.share(0, 10) == 0.0
    assert watch.share(10, 20) == 8 / 10 / 2
    assert watch.share(12, 18) == 8 / 10 / 2
    assert watch.share(5, 35) == 10 / 40 / 2
    assert watch.share(30, 40) == 0.0
    assert watch.share(-5, 99) == 10 / 40 / 2


def test_one_that_ends(spent: dict[Path, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes nothing any more, and what it took stays."""
    watch = Watch()
    looked(watch, monkeypatch, 0)
    spent[task(70)] += 6
    looked(watch, monkeypatch, 10)
    del spent[task(70)]
    looked(watch, monkeypatch, 20)
    assert watch.share(0, 10) == watch.share(0, 20) * 2 > 0
    assert watch.share(10, 20) == 0.0


def test_one_that_begins_to_compute(spent: dict[Path, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sleeps is looked at seldom; what it has computed by then counts when it is seen."""
    monkeypatch.setattr(bystanders, "_LOOKS", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    spent[task(80)] = 0
    watch = Watch()
    looked(watch, monkeypatch, 0)
    spent[task(80)] = 4
    looked(watch, monkeypatch, 10)
    assert watch.share(0, 10) == 0.0
    looked(watch, monkeypatch, 20)
    assert watch.share(0, 20) == 4 / 20
