"""What the machine has left, by files as the kernel writes them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from megacomet.manager.machine import available_bytes, elapsed_s

KB = 1024
MEMINFO = "MemTotal:       24684096 kB\nMemFree:        1000 kB\nMemAvailable:   5000 kB\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(MEMINFO)
    return tmp_path


def group(root: Path, path: str, **content: str) -> None:
    """Write the files of a control group."""
    directory = root / "sys/fs/cgroup" / path
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in content.items():
        (directory / name.replace("__", ".")).write_text(text)


def test_this_machine() -> None:
    """The real one tells."""
    found = available_bytes()
    assert found is not None
    assert found > 1_000_000


def test_no_control_group(root: Path) -> None:
    """Where nothing is limited it is what the machine has."""
    assert available_bytes(root) == 5000 * KB


def test_the_machine_does_not_tell(tmp_path: Path) -> None:
    """On a system without that file nobody knows."""
    assert available_bytes(tmp_path) is None


@pytest.mark.parametrize(
    ("most", "left"),
    [("3000000\n", 1_500_000), ("500000\n", 0), ("max\n", 5000 * KB), ("9000000000\n", 5000 * KB)],
    ids=["limited", "more than it may", "not limited", "more than there is"],
)
@pytest.mark.parametrize("path", ["system.slice/megacomet.service", ""], ids=["its own", "in a container"])
def test_version_2(root: Path, most: str, left: int, path: str) -> None:
    """A limit of the service counts, less what it has taken; what is cached of files does not count as taken."""
    (root / "proc/self/cgroup").write_text("1:cpu:/\n0::/system.slice/megacomet.service\n")
    stat = "anon 5\ninactive_file 500000\n"
    group(root, path, memory__max=most, memory__current="2000000\n", memory__stat=stat)
    assert available_bytes(root) == left


def test_version_1(root: Path) -> None:
    """So it is with the older kind of groups."""
    (root / "proc/self/cgroup").write_text("5:memory:/app\n0::/\n")
    limits = {"memory__limit_in_bytes": "3000000\n", "memory__usage_in_bytes": "2000000\n"}
    group(root, "memory/app", **limits, memory__stat="inactive_file 1\ntotal_inactive_file 300000\n")
    assert available_bytes(root) == 1_300_000
    (root / "sys/fs/cgroup/memory/app/memory.stat").unlink()
    assert available_bytes(root) == 1_000_000


def test_time_goes_on() -> None:
    """The clock is no earlier than the one that stands while the machine sleeps."""
    assert elapsed_s() >= time.monotonic() - 1
