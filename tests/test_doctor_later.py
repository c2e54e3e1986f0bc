"""What files that are read after ours make of it, in the order of sysctl.d(5)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.doctor.etc_files import SYSCTLS
from megacomet.doctor.later import DIRECTORIES, Later, Loss, look_later
from megacomet.doctor.report import make_report
from megacomet.wire.doctor import doctor_json
from tests.machines import Machine

NAME = "net.core.somaxconn"
WANTED = {NAME: "260"}
RESERVED = "net.ipv4.ip_local_reserved_ports"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One without a file."""
    return Machine(tmp_path, bare=True)


def losses(machine: Machine, wanted: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """Return the files, and the values that they set."""
    return [(one.path, one.value) for one in look_later(machine.files, None, wanted or WANTED).losses]


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_each_directory(machine: Machine, directory: str) -> None:
    """A file with a later name counts wherever it is; one with an earlier name, or of another kind, nowhere."""
    for name in ("50-early.conf", "60-megacomet.conf", "99-late.conf.bak", "99-late", "README"):
        machine.write(f"{directory}/{name}", f"{NAME} = 1\n")
    assert losses(machine) == []
    machine.write(f"{directory}/60-megacomet.local.conf", f"{NAME} = 2\n")
    assert losses(machine) == [(f"/{directory}/60-megacomet.local.conf", "2")]


def test_the_same_name_is_hidden(machine: Machine) -> None:
    """Of files with one name that of the first directory is read, also where it is empty or leads to nowhere."""
    for number, directory in enumerate(DIRECTORIES):
        machine.write(f"{directory}/99-x.conf", f"{NAME} = {number}\n")
    assert losses(machine) == [("/etc/sysctl.d/99-x.conf", "0")]
    machine.remove("etc/sysctl.d/99-x.conf")
    assert losses(machine) == [("/run/sysctl.d/99-x.conf", "1")]
    machine.write("etc/sysctl.d/99-x.conf", "")
    assert losses(machine) == []
    for target in ("/dev/null", "nowhere"):
        machine.remove("etc/sysctl.d/99-x.conf")
        (machine.root / "etc/sysctl.d/99-x.conf").symlink_to(target)
        assert look_later(machine.files, None, WANTED) == Later()


def test_the_last_one_counts(machine: Machine) -> None:
    """What is put right again is no loss; else each file in the way is told, by name and not by directory."""
    machine.write("usr/lib/sysctl.d/80-c.conf", f"{NAME} = 3\n")
    machine.write("etc/sysctl.d/70-b.conf", f"{NAME} = 2\n")
    machine.write("lib/sysctl.d/90-d.conf", f"{NAME} = 4096\n")
    assert losses(machine) == []
    machine.write("run/sysctl.d/95-e.conf", f"{NAME} = 5000\n{NAME} = 5\n")
    told = [("/etc/sysctl.d/70-b.conf", "2"), ("/usr/lib/sysctl.d/80-c.conf", "3"), ("/run/sysctl.d/95-e.conf", "5")]
    assert losses(machine) == told


def test_a_link_as_debian_has_it(machine: Machine) -> None:
    """/etc/sysctl.conf is read by the name of the link that leads to it."""
    machine.write("etc/sysctl.conf", f"{NAME} = 1\n")
    assert losses(machine) == []
    (machine.root / "etc/sysctl.d").mkdir()
    (machine.root / "etc/sysctl.d/99-sysctl.conf").symlink_to("../sysctl.conf")
    assert losses(machine) == [("/etc/sysctl.d/99-sysctl.conf", "1")]


@pytest.mark.parametrize(
    "line",
    [
        *(
            "net.core.somaxconn=1",
            "  net.core.somaxconn  =  1  ",
            "-net.core.somaxconn = 1",
            "- net.core.somaxconn = 1",
        ),
        *("net/core/somaxconn = 1", "-net/core/somaxconn=1", "/net/core/somaxconn = 1", "net//core/somaxconn = 1"),
        *("net.core.somaxconn = 1\r", "odd\0net.core.somaxconn = 1", "= 3\n\xff\nnet.core.somaxconn = 1"),
    ],
)
def test_how_it_may_be_written(machine: Machine, line: str) -> None:
    """All that systemd takes for the name."""
    machine.write("etc/sysctl.d/99-x.conf", f"a\n{line}\n[b]\n")
    assert losses(machine) == [("/etc/sysctl.d/99-x.conf", "1")]


@pytest.mark.parametrize(
    "line",
    [
        *("# net.core.somaxconn = 1", " ; net.core.somaxconn = 1", "net.core.somaxconn 1", "net.core.somaxconn"),
        *(
            "net.core.* = 1",
            "net.core.somaxcon[n] = 1",
            "-net.core.*",
            "net.core/somaxconn = 1",
            "Net.Core.Somaxconn = 1",
        ),
        *("", "=", "= 1", "-", "-=", "x net.core.somaxconn = 1", "net.core.somaxconn = 260"),
    ],
)
def test_what_does_not_mean_it(machine: Machine, line: str) -> None:
    """Comments, odd lines, other names, patterns (they never win over a name), and what is enough."""
    machine.write("etc/sysctl.d/99-x.conf", f"{line}\n")
    assert look_later(machine.files, None, WANTED) == Later()


@pytest.mark.parametrize("line", ["-net.core.somaxconn", "  - net/core/somaxconn ", "net.core.somaxconn ="])
def test_nobody_sets_it(machine: Machine, line: str) -> None:
    """A name with - and no value takes ours back, and the kernel's own value stays."""
    machine.write("etc/sysctl.d/99-x.conf", f"{line}\n")
    later = look_later(machine.files, None, WANTED)
    assert later.losses == (Loss("/etc/sysctl.d/99-x.conf", NAME, "", "260"),)
    assert list(later.lines()) == [
        f"/etc/sysctl.d/99-x.conf, read later, lets nobody set {NAME}: that holds after the next start, not 260"
    ]


@pytest.mark.parametrize(
    ("name", "wanted", "value", "is_lost"),
    [
        ("net.ipv4.tcp_mem", "100 200 300", "100\t200  300", False),
        ("net.ipv4.tcp_mem", "100 200 300", "100 201 300", False),
        ("net.ipv4.tcp_mem", "100 200 300", "900 199 900", True),
        ("net.ipv4.tcp_mem", "100 200 300", "900 900", True),
        ("net.ipv4.tcp_migrate_req", "0", "0", False),
        (NAME, "260", "0261", True),
        (NAME, "260", "0403", True),
        (NAME, "260", "0404", False),
        (NAME, "260", "0x103", True),
        (NAME, "260", "0X104", False),
        (NAME, "260", "0999", True),
        ("net.ipv4.tcp_mem", "8 16 24", "010 0x10 030", False),
        ("net.ipv4.tcp_mem", "10 16 24", "010 0x10 030", True),
        (NAME, "260", "many", True),
        (NAME, "260", "-1", True),
        (NAME, "260", "9" * 30, True),
        (RESERVED, "8000-8007,9000", "9000,7000-8003,8004-8100", False),
        (RESERVED, "8000-8007,9000", "8000-8007", True),
        (RESERVED, "9000", "9001", True),
        (RESERVED, "9000", "x", True),
        (RESERVED, "9000", "09000", True),
        (RESERVED, "8000-8007", "017500-0x1f47", False),
        (RESERVED, "9000", "9001-8999", True),
        (RESERVED, "9000", "1-65536", True),
        ("net.ipv4.tcp_congestion_control", "bbr", "bbr", False),
        ("net.ipv4.tcp_congestion_control", "bbr", "cubic", True),
    ],
)
def test_enough(machine: Machine, name: str, wanted: str, value: str, is_lost: bool) -> None:
    """Numbers may be larger and lists of ports longer; what is no such thing is told."""
    machine.write("etc/sysctl.d/99-x.conf", f"{name} = {value}\n")
    assert bool(losses(machine, {name: wanted})) is is_lost


@pytest.mark.parametrize(
    ("name", "wanted", "value"),
    [(NAME, "260", "0999"), (NAME, "260", "many"), (RESERVED, "9000", "09000"), ("net.ipv4.tcp_mem", "1 2 3", "1 x 3")],
)
def test_a_number_that_is_none(machine: Machine, name: str, wanted: str, value: str) -> None:
    """It is told, and nobody guesses what the kernel makes of it."""
    machine.write("etc/sysctl.d/99-x.conf", f"{name} = {value}\n")
    (line,) = look_later(machine.files, None, {name: wanted}).lines()
    assert line == (
        f"/etc/sysctl.d/99-x.conf, read later, sets {name} to {value}, which is no number that is understood: "
        f"whether {wanted} holds after the next start is not known"
    )


def test_what_stands_in_our_file(machine: Machine) -> None:
    """It counts too, with the larger number where more is needed now; what it sets to nothing does not."""
    machine.write("etc/sysctl.d/99-x.conf", "vm.a = 1\nnet.core.somaxconn = 300\nvm.b = 1\nvm.d = 1\n")
    text = "vm.a = 5\nnet/core/somaxconn = 4096\n-vm.b\n-vm.c = 3\n"
    later = look_later(machine.files, text, WANTED)
    assert [(one.name, one.value, one.wanted) for one in later.losses] == [(NAME, "300", "4096"), ("vm.a", "1", "5")]
    assert look_later(machine.files, None, {}) == Later()


def test_a_file_that_cannot_be_read(machine: Machine) -> None:
    """It is told, with the reason; where nothing of ours is at stake nobody looks."""
    (machine.root / "etc/sysctl.d/99-x.conf").mkdir(parents=True)
    later = look_later(machine.files, None, WANTED)
    assert later.losses == ()
    assert list(later.lines()) == [
        "/etc/sysctl.d/99-x.conf, read later, is not to be read (Is a directory): what it sets is not known"
    ]
    assert later.as_object()["unread"] == [
        {"path": "/etc/sysctl.d/99-x.conf", "why": "not to be read (Is a directory)"}
    ]
    assert look_later(machine.files, None, {}) == Later()


def test_a_name_that_is_no_text(machine: Machine) -> None:
    """The report is one that the API can tell, whatever a file is called."""
    machine.write(SYSCTLS, f"{NAME} = 260\n")
    path = os.fsencode(machine.root) + b"/etc/sysctl.d/99-\xff.conf"
    Path(os.fsdecode(path)).write_text(f"{NAME} = 1\n")
    report = make_report(machine.files, machine.aim(workers=1), ())
    assert [(one.path, one.value) for one in report.later.losses] == [("/etc/sysctl.d/99-\ufffd.conf", "1")]
    assert doctor_json(report.as_object())


@given(st.text(), st.text())
def test_whatever_stands_there(tmp_path_factory: pytest.TempPathFactory, ours: str, theirs: str) -> None:
    """No text of either file breaks the look; the same text in both takes nothing back."""
    machine = Machine(tmp_path_factory.getbasetemp() / "later", bare=True)
    machine.write("etc/sysctl.d/99-x.conf", "")
    (machine.root / "etc/sysctl.d/99-x.conf").write_bytes(theirs.encode("utf-8", "replace"))
    for one in look_later(machine.files, ours, WANTED).losses:
        assert one.name
        assert one.wanted
    text = machine.files.text("etc/sysctl.d/99-x.conf")
    assert all(one.name == NAME for one in look_later(machine.files, text, WANTED).losses)
