"""Reading the system's files: whatever stands in them, or does not, is a value."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.doctor.readings import Files, fields, kilobytes, sysctl_number, sysctl_path
from tests.machines import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without a file."""
    return Machine(tmp_path, bare=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [("4096\n", 4096), ("-1", -1), (" 7 ", 7), ("9223372036854775807\n", 9223372036854775807)]
    + [(text, None) for text in ("", "max\n", "1 2", "٣", "0x10", "1.5", "9" * 21, "\0", "1_000")],
)
def test_numbers(machine: Machine, text: str, value: int | None) -> None:
    """A whole number is one; anything else is odd, and shown."""
    machine.write("file", text)
    files = machine.files
    assert files.number("file") == value
    assert files.reason("file") == ("not known" if value is not None else f"odd: {text.strip()!r}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0", 0), ("00", 0), ("7", 7), ("010", 8), ("0x10", 16), ("0X1f", 31), ("00000000000000000010", 8)),
        *(("18446744073709551615", 2**64 - 1), ("0xffffffffffffffff", 2**64 - 1)),
        *(
            (text, None)
            for text in ("", "08", "0x", "0xg", "0o7", "0b1", "+5", "-1", " 5", "5 ", "5\n", "٣", "1_0", "1a")
        ),
        *((text, None) for text in ("18446744073709551616", "000000000000000000010")),
    ],
)
def test_numbers_of_sysctls(text: str, value: int | None) -> None:
    """As a kernel has read them that each was written to (Linux 6.18, net.core.somaxconn)."""
    assert sysctl_number(text) == value


def test_several_numbers(machine: Machine) -> None:
    """As many as there should be, or it is odd."""
    machine.write("file", "1\t2\t3\n")
    assert machine.files.numbers("file", 3) == (1, 2, 3)
    assert machine.files.numbers("file", 2) is None


def test_a_long_odd_text_is_cut(machine: Machine) -> None:
    """Nobody wants to read all of it."""
    machine.write("file", "x" * 1000)
    files = machine.files
    assert files.number("file") is None
    assert len(files.reason("file")) < 60


def test_missing(machine: Machine) -> None:
    """What is not there is told so."""
    files = machine.files
    assert files.text("proc/none") is None
    assert files.number("proc/none") is None
    assert files.reason("proc/none") == "missing"
    assert files.names("proc/none") == []


def test_not_to_be_read(machine: Machine) -> None:
    """A directory, a path through a file, one with NUL: each has its reason, none is a traceback."""
    machine.write("file", "1")
    (machine.root / "directory").mkdir()
    files = machine.files
    for path in ("directory", "file/below", "nul\0"):
        assert files.text(path) is None
        assert files.reason(path).startswith("not to be read ("), path
    assert files.names("nul\0") == []


def test_closed() -> None:
    """What a user may not read is told so; this one is for writing only, even for root."""
    files = Files(Path("/"))
    assert files.text("proc/sys/vm/compact_memory") is None
    assert files.reason("proc/sys/vm/compact_memory") == "closed to this user"


def test_a_pipe_holds_nobody_up(machine: Machine) -> None:
    """A pipe that nobody writes to is empty."""
    os.mkfifo(machine.root / "pipe")
    assert machine.files.text("pipe") == ""


def test_long_files_are_read_in_pieces(machine: Machine) -> None:
    """A file longer than a piece is whole."""
    text = "0123456789" * 20_000
    machine.write("file", text)
    assert machine.files.text("file") == text


def test_bytes_that_are_no_text(machine: Machine) -> None:
    """They are replaced."""
    (machine.root / "file").write_bytes(b"\xff\xfe1")
    assert machine.files.text("file") == "��1"


def test_read_only(machine: Machine, tmp_path: Path) -> None:
    """As the mount says; what is not there is not read-only."""
    assert not Files(tmp_path).is_read_only("none")
    machine.write("file", "1")
    assert not Files(tmp_path).is_read_only("file")
    machine.closed.add("file")
    assert machine.files.is_read_only("file")


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv", "run/systemd/container"])
def test_containers(machine: Machine, mark: str) -> None:
    """Each runtime leaves its mark."""
    assert not machine.files.is_container
    machine.write(mark, "")
    assert machine.files.is_container


def test_sysctl_path() -> None:
    """Dots are slashes."""
    assert sysctl_path("net.ipv4.tcp_mem") == "proc/sys/net/ipv4/tcp_mem"


@given(st.text())
def test_tables_of_anything(text: str) -> None:
    """Whatever stands there, it is a table of names."""
    assert all(name for name in fields(text))
    assert kilobytes(text, "MemAvailable") is None or "MemAvailable" in text


def test_tables() -> None:
    """With a colon or without."""
    assert fields("A:   12 kB\noom_kill 3\n\nalone\n: x\n") == {"A": "12 kB", "oom_kill": "3"}
    assert kilobytes("MemFree: 3 kB\nMemAvailable: 2 kB\n", "MemAvailable") == 2048
    assert kilobytes("MemAvailable: many\n", "MemAvailable") is None
    assert kilobytes(None, "MemAvailable") is None
