"""Control groups of both versions, in and outside of containers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.doctor.groups import groups, memory_limits, process_limit, processors
from tests.machines import Machine

V2 = "sys/fs/cgroup"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without a file."""
    return Machine(tmp_path, bare=True)


def test_version_2(machine: Machine) -> None:
    """The narrowest of the group and those around it counts."""
    machine.write("proc/self/cgroup", "0::/a/b\n")
    for path, most in (("a/b", "max"), ("a", "3000000"), ("", "9000000")):
        machine.write(f"{V2}/{path}/memory.max", most)
        machine.write(f"{V2}/{path}/memory.current", "1000000")
    machine.write(f"{V2}/a/memory.stat", "anon 5\ninactive_file 500000\n")
    found = [(limit.path, limit.most, limit.left) for limit in memory_limits(machine.files)]
    assert found == [
        (f"{V2}/a/memory.max", 3_000_000, 2_500_000),
        (f"{V2}/memory.max", 9_000_000, 8_000_000),
    ]
    machine.write(f"{V2}/a/b/pids.max", "50")
    machine.write(f"{V2}/a/pids.max", "20")
    assert process_limit(machine.files) == (f"{V2}/a/pids.max", 20)
    machine.write(f"{V2}/a/b/cpu.max", "150000 100000")
    machine.write(f"{V2}/a/cpu.max", "max 100000")
    assert processors(machine.files) == (f"{V2}/a/b/cpu.max", 1.5)


def test_version_1(machine: Machine) -> None:
    """Each kind has a tree of its own; a kind may be mounted with another."""
    machine.write("proc/7/cgroup", "4:memory:/app\n3:cpu,cpuacct:/app\n2:pids:/\n0::/\n")
    machine.write(f"{V2}/memory/app/memory.limit_in_bytes", "3000000")
    machine.write(f"{V2}/memory/app/memory.usage_in_bytes", "4000000")
    machine.write(f"{V2}/memory/app/memory.stat", "inactive_file 1\ntotal_inactive_file 300000\n")
    machine.write(f"{V2}/memory/memory.limit_in_bytes", "9223372036854771712")
    machine.write(f"{V2}/memory/memory.usage_in_bytes", "1")
    assert [(limit.most, limit.left) for limit in memory_limits(machine.files, "7")] == [(3_000_000, 0)]
    machine.write(f"{V2}/cpu,cpuacct/app/cpu.cfs_quota_us", "50000\n")
    machine.write(f"{V2}/cpu,cpuacct/app/cpu.cfs_period_us", "100000\n")
    assert processors(machine.files, "7") == (f"{V2}/cpu,cpuacct/app/cpu.cfs_quota_us", 0.5)
    machine.write(f"{V2}/cpu,cpuacct/app/cpu.cfs_quota_us", "-1\n")
    assert processors(machine.files, "7") is None
    machine.write(f"{V2}/pids/pids.max", "99")
    assert process_limit(machine.files, "7") == (f"{V2}/pids/pids.max", 99)


def test_in_a_container(machine: Machine) -> None:
    """The group's own name is not there, its files stand at the mount."""
    machine.write("proc/self/cgroup", "0::/docker/abc\n")
    machine.write(f"{V2}/memory.max", "5000")
    machine.write(f"{V2}/memory.current", "1000")
    assert [limit.left for limit in memory_limits(machine.files)] == [4000]


def test_no_way_out(machine: Machine) -> None:
    """A group above the namespace is told with dots; they lead nowhere else."""
    machine.write("proc/self/cgroup", "0::/../../etc\n")
    assert [group.path for group in groups(machine.files, "memory")] == [V2]


@given(st.text())
def test_odd_lists(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever stands there, nothing breaks and nothing outside is read."""
    machine = Machine(tmp_path_factory.getbasetemp() / "odd", bare=True)
    (machine.root / "proc/self").mkdir(parents=True, exist_ok=True)
    (machine.root / "proc/self/cgroup").write_bytes(text.encode("utf-8", "replace"))
    for kind in ("memory", "pids", "cpu"):
        for group in groups(machine.files, kind):
            assert group.path.startswith(V2)
            assert ".." not in group.path.split("/")
    assert list(memory_limits(machine.files)) == []
    assert process_limit(machine.files) is None
    assert processors(machine.files) is None
