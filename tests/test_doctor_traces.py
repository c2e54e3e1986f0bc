"""Traces of what has run short, in the kernel's counters and in its log."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.doctor import kernel_log
from megacomet.doctor.traces import COUNTERS, LINES, Trace, find, messages, netstat, plain_messages, read_log
from tests.machines import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One on which all is well."""
    return Machine(tmp_path)


def found(machine: Machine, *log: str) -> list[Trace]:
    """Look for traces."""
    return list(find(machine.files, log))


def test_nothing_has_run_short(machine: Machine, tmp_path: Path) -> None:
    """Then nothing is said; also where nothing is to be read."""
    assert found(machine, "TCP: Hash tables configured (established 131072 bind 65536)") == []
    assert list(find(Machine(tmp_path / "bare", bare=True).files, None)) == []


@pytest.mark.parametrize("name", COUNTERS)
def test_counters(machine: Machine, name: str) -> None:
    """Each that has counted is told, with what to do."""
    machine.write("proc/net/netstat", f"TcpExt: Other {name}\nTcpExt: 9 1847\n")
    (trace,) = found(machine)
    assert (trace.where, trace.count) == (f"{name} in /proc/net/netstat", 1847)
    assert trace.what
    assert trace.do


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("TCP: request_sock_TCP: Possible SYN flooding on port 127.0.0.1:23056. Sending cookies.", "handshakes"),
        ("TCP: request_sock_TCP: Possible SYN flooding on port 80. Dropping request.", "handshakes"),
        ("TCP: out of memory -- consider tuning tcp_mem", "no memory"),
        ("TCP: too many orphaned sockets", "not acknowledged"),
        ("TCP: time wait bucket table overflow", "over"),
        ("VFS: file-max limit 2466183 reached", "descriptors"),
        ("nf_conntrack: nf_conntrack: table full, dropping packet", "firewall"),
        ("nf_conntrack: table full, dropping packet.", "firewall"),
        ("Memory cgroup out of memory: Killed process 812 (twistd)", "control group"),
        ("Out of memory: Killed process 812 (twistd) total-vm:1kB", "machine was out of memory"),
        ("ksoftirqd/0: page allocation failure: order:0, mode:0x20", "could not wait"),
    ],
)
def test_lines_of_the_log(machine: Machine, line: str, words: str) -> None:
    """The kernel's words, and what they mean."""
    told = found(machine, "something else", line, line)
    (trace,) = told
    assert (trace.count, trace.last) == (2, line)
    assert words in trace.what


def test_every_pattern_has_its_line() -> None:
    """None of them stands there untried."""
    lines = test_lines_of_the_log.pytestmark[0].args[1]  # type: ignore[attr-defined]
    for pattern, _, _ in LINES:
        assert any(pattern.search(line) for line, _ in lines), pattern


def test_packets(machine: Machine) -> None:
    """Those that were dropped, by processor."""
    machine.write("proc/net/softnet_stat", "1 0000000a 0\n1 00000000 0\n1 00000fff 0\n")
    (trace,) = found(machine)
    assert trace.count == 10 + 4095
    assert "(CPU 0: 10, CPU 2: 4,095)" in trace.what


def test_tcp_at_this_moment(machine: Machine) -> None:
    """Memory and orphans at their bounds."""
    machine.write("proc/net/sockstat", "sockets: used 17\nTCP: inuse 1 orphan 131072 tw 0 alloc 8 mem 383869\n")
    memory, orphans = found(machine)
    assert memory.what == "TCP has 383,869 pages, and pressure begins at 383,869"
    assert orphans.what.startswith("131,072 closed connections")
    machine.write("proc/net/sockstat", "TCP: inuse 1 orphan 131071 tw 0 alloc 8 mem 383868\n")
    assert found(machine) == []
    machine.write("proc/net/sockstat", "TCP: inuse orphan mem\n")
    assert found(machine) == []


def test_descriptors_of_the_system(machine: Machine) -> None:
    """When hardly any is left."""
    machine.set(**{"fs__file-nr": "960 0 1000"})
    (trace,) = found(machine)
    assert trace.what == "960 of 1,000 descriptors of the system are in use"


def test_killed_for_memory(machine: Machine) -> None:
    """By the machine or by a group, of either version."""
    machine.write("proc/vmstat", "oom_kill 3\n")
    group = "sys/fs/cgroup/system.slice/megacomet.service"
    machine.write(f"{group}/memory.events", "low 0\nmax 7\noom 0\n")
    assert [(trace.where, trace.count) for trace in found(machine)] == [
        ("oom_kill in /proc/vmstat", 3),
        (f"/{group}/memory.events", 7),
    ]
    machine.write("proc/vmstat", "")
    machine.write("proc/self/cgroup", "3:memory:/\n")
    machine.write("sys/fs/cgroup/memory/memory.failcnt", "5\n")
    assert [trace.count for trace in found(machine)] == [5]


@given(st.text(alphabet=st.sampled_from("TcpExt: IpListenOverflows0123456789-\n"), max_size=200))
def test_odd_counters(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever stands there, it is a table of numbers."""
    machine = Machine(tmp_path_factory.getbasetemp() / "netstat", bare=True)
    machine.write("proc/net/netstat", text)
    assert all(isinstance(number, int) for number in netstat(machine.files).values())


def test_short_counters(machine: Machine) -> None:
    """A line that is cut off, of another group, or no number is passed over."""
    machine.write("proc/net/netstat", "TcpExt: A B\nTcpExt: 1\nIpExt: C\nOther: 4\nX: D\nX: y\n\n")
    assert netstat(machine.files) == {"A": 1}


# The log itself


def test_records() -> None:
    """A record of /dev/kmsg has a head, a text and a dictionary; what has none is passed over."""
    records = [b"6,1,2,-;one; two\n SUBSYSTEM=net\n", b"odd", b"x,1;no", b"4,2,3,c;\xff\n"]
    assert messages(iter(records)) == ["one; two", "�"]


def test_plain_messages() -> None:
    """Those of syslog(2) have a level and a time."""
    assert plain_messages("<6>[   12.345678] one\n<4>two\n[1.0] three") == ["one", "two", "[1.0] three"]


def test_ways() -> None:
    """The first way that works; none: the log is closed."""

    def closed() -> list[str]:
        raise PermissionError

    assert read_log((closed, lambda: ["x"])) == ["x"]
    assert read_log((closed, closed)) is None


@pytest.fixture
def device(machine: Machine) -> Path:
    """The file of the log."""
    machine.write(kernel_log.DEVICE, "6,1,2,-;TCP: too many orphaned sockets\n")
    return machine.root / kernel_log.DEVICE


@pytest.mark.usefixtures("device")
def test_reading_the_device(machine: Machine) -> None:
    """One read is one record; it ends where the kernel has no more."""
    assert kernel_log.kernel_messages(machine.root) == ["TCP: too many orphaned sockets"]


@pytest.mark.usefixtures("device")
def test_a_log_without_end(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends at EAGAIN, and goes on where records were written over."""
    steps: list[bytes | OSError] = [b"6,1,2,-;a\n", BrokenPipeError(), b"6,3,2,-;b\n", BlockingIOError()]

    def read(_fd: int, _most: int) -> bytes:
        step = steps.pop(0)
        if isinstance(step, OSError):
            raise step
        return step

    monkeypatch.setattr(os, "read", read)
    assert kernel_log.kernel_messages(machine.root) == ["a", "b"]
    monkeypatch.setattr(kernel_log, "_MOST_RECORDS", 2)
    steps[:] = [b"6,1,2,-;a\n", b"6,1,2,-;b\n"]
    assert kernel_log.kernel_messages(machine.root) == ["a", "b"]


def test_without_the_device(machine: Machine) -> None:
    """Below another root that is all."""
    assert kernel_log.kernel_messages(machine.root) is None


def test_this_machine() -> None:
    """The real log is lines, or closed."""
    told = kernel_log.kernel_messages()
    assert told is None or all(isinstance(line, str) for line in told)


@pytest.mark.parametrize(("size", "length"), [(-1, 0), (40, -1)], ids=["no size", "no lines"])
def test_syslog_refuses(size: int, length: int) -> None:
    """Where users may not read the log."""

    def klogctl(action: int, _buffer: object, _size: int) -> int:
        return size if action == 10 else length

    with pytest.raises(OSError, match=r"syslog\(2\)"):
        kernel_log.by_syslog(klogctl)


def test_syslog() -> None:
    """Its lines without level and time."""
    text = b"<6>[    1.000000] TCP: too many orphaned sockets\n"

    def klogctl(action: int, buffer: ctypes.Array[ctypes.c_char] | None, size: int) -> int:
        if action == 3:
            assert buffer is not None
            buffer[: len(text)] = text
            return len(text)
        return len(text) + 10

    assert kernel_log.by_syslog(klogctl) == ["TCP: too many orphaned sockets"]
