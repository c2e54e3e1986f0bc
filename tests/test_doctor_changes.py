"""--fix and --undo on a tree of files: all of it or nothing, and back to what was."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.doctor.changes import (
    DROP_IN,
    JOURNAL,
    LIMITS,
    Plan,
    make,
    plan,
    read_journal,
    take_back,
    write_whole,
)
from megacomet.doctor.checks import examine
from megacomet.doctor.etc_files import SYSCTLS
from megacomet.errors import ChangeError
from tests.machines import LIMITS as LIMITS_TEXT
from tests.machines import MILLION, Machine

HEAD = "# Written by megacomet doctor --fix; megacomet doctor --undo takes it back.\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One on which three settings and the limit of open files are low."""
    machine = Machine(tmp_path)
    machine.set(net__core__somaxconn=128, vm__min_free_kbytes=512, net__ipv4__tcp_mem="100 200 300")
    machine.write("proc/self/limits", LIMITS_TEXT.format(hard="1024"))
    machine.set(fs__nr_open=100_000)
    (machine.root / "etc").mkdir()
    return machine


def planned(machine: Machine, connections: int = MILLION) -> Plan:
    """Work out what is to be done."""
    findings = examine(machine.files, machine.aim(connections)).values()
    return plan(machine.files, (one for group in findings for one in group))


def tree(machine: Machine) -> dict[str, str]:
    """Return all files, without what the journal keeps."""
    root = machine.root
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def words(files: dict[str, str], but: str = "nothing") -> dict[str, list[str]]:
    """Return the files' words: the kernel writes its tabs itself."""
    return {path: text.split() for path, text in files.items() if not path.endswith(but)}


def test_plan(machine: Machine) -> None:
    """The files say who has written them; the bound of descriptors stands first."""
    todo = planned(machine)
    assert not todo.is_empty
    limit = todo.after[LIMITS].split()[-1]
    assert todo.after == {
        SYSCTLS: f"{HEAD}fs.nr_open = {limit}\nnet.core.somaxconn = 7000\n"
        "net.ipv4.tcp_mem = 102000 136000 204000\nvm.min_free_kbytes = 1024\n",
        LIMITS: f"{HEAD}* hard nofile {limit}\nroot hard nofile {limit}\n",
    }
    assert todo.after[SYSCTLS].splitlines()[1] == f"fs.nr_open = {limit}"
    assert todo.live["net.ipv4.tcp_mem"] == ("100 200 300", "102000 136000 204000")
    lines = list(todo.lines())
    assert lines[:3] == ["--- /dev/null", f"+++ /{SYSCTLS}", "@@ -0,0 +1,5 @@"]
    assert "sysctl vm.min_free_kbytes: 512 -> 1024" in lines


def test_a_file_that_is_read_later(machine: Machine) -> None:
    """What it takes back of the difference stands under it; what it sets higher is no matter."""
    machine.write("usr/lib/sysctl.d/99-vendor.conf", "vm.min_free_kbytes = 600\nnet.core.somaxconn = 65535\n")
    todo = planned(machine)
    assert [(one.name, one.value, one.wanted) for one in todo.later.losses] == [("vm.min_free_kbytes", "600", "1024")]
    *_, last = todo.lines()
    assert last.startswith("! /usr/lib/sysctl.d/99-vendor.conf, read later, sets vm.min_free_kbytes to 600: ")


def test_nothing_to_do(tmp_path: Path) -> None:
    """Where nothing is low nothing is written."""
    todo = planned(Machine(tmp_path))
    assert todo.is_empty
    assert list(todo.lines()) == []


def test_fix_and_undo(machine: Machine) -> None:
    """What was low is fine then; and everything is as it was, to the byte, when it is taken back."""
    machine.write(LIMITS, "* hard nofile 5\n")
    before = tree(machine)
    todo = planned(machine)
    make(machine.root, todo)
    assert machine.live("net.ipv4.tcp_mem") == "102000 136000 204000"
    assert machine.read(SYSCTLS) == todo.after[SYSCTLS]
    assert (machine.root / SYSCTLS).stat().st_mode & 0o777 == 0o644
    low = [one.name for group in examine(machine.files, machine.aim()).values() for one in group if one.is_low]
    assert low == ["open files (RLIMIT_NOFILE)"]  # until somebody signs in anew
    told = take_back(machine.root)
    assert f"/{SYSCTLS} removed" in told
    assert f"/{LIMITS} as before" in told
    assert "sysctl vm.min_free_kbytes = 512" in told
    assert tree(machine) == before
    with pytest.raises(ChangeError, match="there is nothing to undo"):
        take_back(machine.root)


def test_systemd(machine: Machine) -> None:
    """Where there is a unit its limit counts; the directory of the drop-in goes with it."""
    machine.write("usr/lib/systemd/system/megacomet.service", "")
    before = tree(machine)
    todo = planned(machine)
    make(machine.root, todo)
    limit = todo.after[LIMITS].split()[-1]
    assert machine.read(DROP_IN) == f"{HEAD}[Service]\nLimitNOFILE={limit}\n"
    take_back(machine.root)
    assert tree(machine) == before
    assert not (machine.root / DROP_IN).parent.exists()


def test_twice(machine: Machine) -> None:
    """A second --fix keeps what the first has written, and --undo goes back before the first."""
    before = tree(machine)
    make(machine.root, planned(machine))
    machine.set(net__ipv4__tcp_rmem="1 2 3")
    todo = planned(machine)
    assert "net.ipv4.tcp_rmem = 1 16384 16384" in todo.after[SYSCTLS]
    assert "vm.min_free_kbytes = 1024" in todo.after[SYSCTLS]
    make(machine.root, todo)
    take_back(machine.root)
    assert machine.live("net.ipv4.tcp_rmem") == "1 2 3"
    before["proc/sys/net/ipv4/tcp_rmem"] = machine.read("proc/sys/net/ipv4/tcp_rmem") or ""
    assert words(tree(machine)) == words(before)


def test_a_value_that_was_nothing(machine: Machine) -> None:
    """No reserved ports is a value too, and comes back; what was not to be read is left alone."""
    machine.set(net__ipv4__ip_local_port_range="50 60999")
    todo = planned(machine)
    assert "sysctl net.ipv4.ip_local_reserved_ports: (nothing) -> 80" in todo.lines()
    make(machine.root, todo)
    assert machine.live("net.ipv4.ip_local_reserved_ports") == "80"
    assert "sysctl net.ipv4.ip_local_reserved_ports = (nothing)" in take_back(machine.root)
    assert machine.live("net.ipv4.ip_local_reserved_ports") == ""
    todo = Plan({}, {}, {"vm.swappiness": (None, "5")})
    assert list(todo.lines()) == ["sysctl vm.swappiness: (not known) -> 5"]
    make(machine.root, todo)
    assert take_back(machine.root) == []
    assert machine.live("vm.swappiness") == "5"


def test_a_file_of_somebody_s(machine: Machine) -> None:
    """All that stands there is kept, but for the values that are too low; and comes back to the byte."""
    data = (
        b"; mine \xff\r\n# old\nnet.ipv4.conf.*.rp_filter = 2\n-net.core.somaxconn=5\nvm/min_free_kbytes = 1\nodd line"
    )
    machine.write(SYSCTLS, "")
    (machine.root / SYSCTLS).write_bytes(data)
    make(machine.root, planned(machine))
    lines = (machine.root / SYSCTLS).read_bytes().split(b"\n")
    assert lines[:3] == data.split(b"\n")[:3]
    assert lines[3:6] == [b"-net.core.somaxconn = 7000", b"vm/min_free_kbytes = 1024", b"odd line"]
    assert [line.split(b" ")[0] for line in lines[6:]] == [b"fs.nr_open", b"net.ipv4.tcp_mem", b""]
    take_back(machine.root)
    assert (machine.root / SYSCTLS).read_bytes() == data


def test_what_is_more_stays(machine: Machine) -> None:
    """The files of etc/ are there, not in force yet: nothing in them gets less, and their values count at once."""
    for path, name in ((SYSCTLS, "sysctl.d"), (LIMITS, "limits.d")):
        machine.write(path, Path("etc", name, "60-megacomet.conf").read_text())
    machine.write("etc/systemd/system/megacomet.service", Path("etc/systemd/megacomet.service").read_text())
    machine.set(net__core__somaxconn=100)
    machine.write("proc/self/limits", LIMITS_TEXT.format(hard="600"))
    todo = planned(machine, 100_000)
    assert todo.live["net.core.somaxconn"] == ("100", "65535")
    before = machine.read(SYSCTLS) or ""
    assert todo.after[SYSCTLS].startswith(before)
    assert DROP_IN not in todo.after
    limits = (machine.read(LIMITS) or "").splitlines()
    assert todo.after[LIMITS].splitlines()[: len(limits)] == limits
    make(machine.root, todo)
    take_back(machine.root)
    assert machine.read(SYSCTLS) == before


@pytest.mark.parametrize(
    ("stands", "becomes"),
    [
        *(("07000", "7000"), ("015531", "7001"), ("015527", "7000"), ("0x1b58", "7000"), ("0X1B59", "7001")),
        *(("08000", "7000"), ("9000x", "7000"), ("+9000", "7000"), ("9_000", "7000"), ("9" * 20, "7000")),
    ],
)
def test_numbers_as_the_kernel_reads_them(machine: Machine, stands: str, becomes: str) -> None:
    """A 0 in front means to the base of 8, 0x to that of 16; what the kernel refuses is no more than what is needed."""
    machine.write(SYSCTLS, f"net.core.somaxconn = {stands}\n")
    todo = planned(machine)
    assert todo.live["net.core.somaxconn"] == ("128", becomes)
    assert todo.after[SYSCTLS].splitlines()[0] == f"net.core.somaxconn = {becomes}"
    assert f"-net.core.somaxconn = {stands}" in list(todo.lines())


def test_a_drop_in_that_is_there(machine: Machine) -> None:
    """Its limit is raised, what else it says stays."""
    machine.write("etc/systemd/system/megacomet.service", "[Service]\nLimitNOFILE=2000\n")
    machine.write(DROP_IN, "[Service]\nLimitNOFILE=1024:4096\nNice=1\n")
    limit = planned(machine).after[LIMITS].split()[-1]
    assert planned(machine).after[DROP_IN] == f"[Service]\nLimitNOFILE={limit}\nNice=1\n"
    machine.write(DROP_IN, "[Service]\nNice=1\n")
    assert planned(machine).after[DROP_IN] == f"[Service]\nNice=1\n[Service]\nLimitNOFILE={limit}\n"
    machine.write(DROP_IN, "[Service]\nLimitNOFILE=infinity\n")
    assert DROP_IN not in planned(machine).after


def failing(at: int, error: int = errno.ENOSPC) -> Callable[[Path, str], None]:
    """Return what writes files until the disk is full."""
    written = []

    def write(path: Path, text: str) -> None:
        written.append(path)
        if len(written) > at:
            path.write_text(text[: len(text) // 2])
            raise OSError(error, os.strerror(error), str(path))
        write_whole(path, text)

    return write


@pytest.mark.parametrize("at", [0, 1, 2, 3])
@pytest.mark.parametrize("former", [False, True], ids=["first", "again"])
def test_a_full_disk(machine: Machine, at: int, former: bool) -> None:
    """Wherever it gets full, nothing is changed and nothing half is left; the error names the file."""
    machine.write("usr/lib/systemd/system/megacomet.service", "")
    if former:
        make(machine.root, planned(machine))
        machine.set(vm__min_free_kbytes=600)
        machine.write("proc/self/limits", LIMITS_TEXT.format(hard="1000"))
        machine.set(fs__nr_open=90_000)
    before = tree(machine)
    with pytest.raises(ChangeError, match=r"60-megacomet.*: No space left on device$") as caught:
        make(machine.root, planned(machine, 2 * MILLION), failing(at))
    assert caught.value.left == []
    assert tree(machine) == before


@pytest.mark.parametrize("path", [SYSCTLS, LIMITS, JOURNAL])
def test_something_in_the_way(machine: Machine, path: str) -> None:
    """A directory where a file should be: told, and all is as it was."""
    (machine.root / path).mkdir(parents=True)
    before = tree(machine)
    with pytest.raises(ChangeError, match=r"60-megacomet"):
        make(machine.root, planned(machine))
    assert tree(machine) == before


def test_no_directory(machine: Machine) -> None:
    """Where /etc is no directory nothing can be written; so it is where it is read-only."""
    (machine.root / "etc").rmdir()
    machine.write("etc", "")
    before = tree(machine)
    with pytest.raises(ChangeError, match="Not a directory"):
        make(machine.root, planned(machine))
    assert tree(machine) == before


@pytest.mark.parametrize("name", ["fs.nr_open", "vm.min_free_kbytes"])
def test_a_sysctl_that_is_refused(machine: Machine, name: str) -> None:
    """The kernel does not take a value: those before it and the files are put back."""
    todo = planned(machine)
    before = tree(machine)
    path = machine.root / f"proc/sys/{name.replace('.', '/')}"
    text = path.read_text()
    path.unlink()
    path.mkdir()
    with pytest.raises(ChangeError, match="Is a directory") as caught:
        make(machine.root, todo)
    assert [name.rpartition(".")[2] in left for left in caught.value.left] == [True]
    path.rmdir()
    path.write_text(text)
    take_back(machine.root)  # whether it has changed is not known, so the way back is kept
    assert words(tree(machine)) == words(before)


def test_no_room_for_the_way_back(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full for the former file too: it is in the journal, and comes back when there is room."""
    machine.write(SYSCTLS, "# mine\n")
    before = tree(machine)
    written: list[Path] = []
    replace = os.replace

    def full(old: Path, new: Path) -> None:
        written.append(new)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(new))
        replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(ChangeError, match=r"could not be put back: .*60-megacomet.conf.*; --undo may be tried$"):
            make(machine.root, planned(machine))
    assert (machine.root / JOURNAL).exists()
    take_back(machine.root)
    assert words(tree(machine)) == words(before)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_ctrl_c(machine: Machine, at: int) -> None:
    """Whoever thinks better of it half-way finds all as it was."""
    before = tree(machine)
    written: list[Path] = []

    def write(path: Path, text: str) -> None:
        written.append(path)
        if len(written) > at:
            raise KeyboardInterrupt
        write_whole(path, text)

    with pytest.raises(KeyboardInterrupt):
        make(machine.root, planned(machine), write)
    assert words(tree(machine)) == words(before)
    assert not (machine.root / JOURNAL).exists()


def test_the_bound_before_the_limit(machine: Machine) -> None:
    """A limit above fs.nr_open lets nobody sign in, so it never stands in the file, neither forth nor back."""
    limits: list[tuple[int, int]] = []
    machine.write(LIMITS, "* hard nofile 4096\n")

    def write(path: Path, text: str) -> None:
        if "limits.d" in str(path):
            limits.append((int(text.split()[-1]), int(machine.live("fs.nr_open"))))
        write_whole(path, text)

    make(machine.root, planned(machine), write)
    assert [limit <= bound for limit, bound in limits] == [True]
    (machine.root / SYSCTLS).unlink()
    (machine.root / SYSCTLS).mkdir()
    machine.remove("proc/sys/fs/nr_open")
    (machine.root / "proc/sys/fs/nr_open").mkdir()
    with pytest.raises(ChangeError):
        take_back(machine.root)
    assert machine.read(LIMITS) == "* hard nofile 4096\n"


def test_a_module_that_was_unloaded(machine: Machine) -> None:
    """Its sysctl is not there when all is taken back: told, and no reason to keep the rest."""
    machine.set(net__netfilter__nf_conntrack_max=1000, net__netfilter__nf_conntrack_count=50)
    todo = planned(machine)
    assert "\n-net.netfilter.nf_conntrack_max = 1000010\n" in todo.after[SYSCTLS]
    make(machine.root, todo)
    machine.remove("proc/sys/net/netfilter/nf_conntrack_max")
    assert "sysctl net.netfilter.nf_conntrack_max: there is none any more" in take_back(machine.root)
    assert not (machine.root / JOURNAL).exists()


def test_changed_meanwhile(machine: Machine) -> None:
    """Between the question and the answer somebody writes the file: his work is not lost."""
    todo = planned(machine)
    machine.write(LIMITS, "x\n")
    before = tree(machine)
    with pytest.raises(ChangeError, match="it has been changed meanwhile"):
        make(machine.root, todo)
    assert words(tree(machine)) == words(before)


class Killed(BaseException):
    """Ends everything at once, as kill -9 does."""


def test_a_value_that_the_kernel_refuses(machine: Machine) -> None:
    """Writing it fails: the error names the sysctl, and what was done before is undone."""
    todo = planned(machine)
    path = machine.root / "proc/sys/vm/min_free_kbytes"
    path.unlink()
    path.symlink_to("/dev/full")  # reading it never ends either
    with pytest.raises(ChangeError, match=r"proc/sys/vm/min_free_kbytes: No space left on device"):
        make(machine.root, todo)
    path.unlink()
    assert machine.live("net.core.somaxconn") == "128"
    assert not (machine.root / SYSCTLS).exists()


def test_a_disk_that_fails(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not reach the disk is not done, and the file that was begun goes."""
    before = tree(machine)

    def fsync(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ChangeError, match=r"60-megacomet.*: Input/output error$"):
        make(machine.root, planned(machine))
    assert tree(machine) == before


@pytest.mark.parametrize("at", [0, 1, 2])
def test_killed_half_way(machine: Machine, at: int) -> None:
    """What was killed at any file can be taken back, and done again."""
    before = tree(machine)
    written: list[Path] = []

    def write(path: Path, text: str) -> None:
        written.append(path)
        if len(written) > at:
            path.write_text(text[:3])
            raise Killed
        write_whole(path, text)

    with pytest.raises(Killed):
        make(machine.root, planned(machine), write)
    if at:  # before the journal there is nothing to undo
        take_back(machine.root)
    assert words(tree(machine), but=".new") == words(before)
    make(machine.root, planned(machine))
    take_back(machine.root)
    assert words(tree(machine)) == words(before)


def test_an_undo_that_fails(machine: Machine) -> None:
    """It says what was in the way and what it has done; the journal stays, and the next one does the rest."""
    before = tree(machine)
    make(machine.root, planned(machine))
    (machine.root / LIMITS).unlink()
    (machine.root / LIMITS).mkdir()
    with pytest.raises(
        ChangeError, match=r"limits.d/60-megacomet.conf: .*; done so far: .*sysctl .*--undo may be tried"
    ):
        take_back(machine.root)
    (machine.root / LIMITS).rmdir()
    take_back(machine.root)
    assert words(tree(machine)) == words(before)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is broken"),
        ("[" * 100_000, "is broken"),
        ("[]", "is none that"),
        ('{"files": {}, "sysctls": {}, "more": 1}', "is none that"),
        ('{"files": {"etc/passwd": ""}, "sysctls": {}}', "is none that"),
        ('{"files": {"etc/sysctl.d/60-megacomet.conf": 1}, "sysctls": {}}', "is none that"),
        ('{"files": {}, "sysctls": {"kernel.core_pattern/../../x": "1"}}', "is none that"),
        ('{"files": {}, "sysctls": {"net..x": "1"}}', "is none that"),
        ('{"files": {}, "sysctls": {"net.core.somaxconn": 1}}', "is none that"),
    ],
)
def test_a_journal_of_another(machine: Machine, text: str, why: str) -> None:
    """Neither --fix nor --undo trusts what --fix has not written."""
    machine.write(JOURNAL, text)
    before = tree(machine)
    for act in (lambda: take_back(machine.root), lambda: make(machine.root, planned(machine))):
        with pytest.raises(ChangeError, match=why):
            act()
    assert tree(machine) == before


def test_a_journal_that_cannot_be_read(machine: Machine) -> None:
    """It is told."""
    (machine.root / JOURNAL).mkdir(parents=True)
    with pytest.raises(ChangeError, match="Is a directory"):
        read_journal(machine.root)


def test_a_file_that_cannot_be_read(machine: Machine) -> None:
    """What cannot be kept is not written over."""
    (machine.root / SYSCTLS).parent.mkdir(parents=True)
    (machine.root / SYSCTLS).symlink_to("nowhere")
    with pytest.raises(ChangeError, match="it is a link"):
        make(machine.root, planned(machine))
    assert (machine.root / SYSCTLS).is_symlink()
    (machine.root / SYSCTLS).unlink()
    (machine.root / SYSCTLS).mkdir()
    with pytest.raises(ChangeError, match="it is there and cannot be read"):
        make(machine.root, planned(machine))


@given(st.dictionaries(st.from_regex(r"(net|vm)(\.[a-z0-9_]+){1,3}", fullmatch=True), st.text(alphabet="0123456789 ")))
def test_journals_come_back(tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]) -> None:
    """What is written is what is read."""
    root = tmp_path_factory.getbasetemp() / "journal"
    (root / JOURNAL).parent.mkdir(parents=True, exist_ok=True)
    journal = {"files": {SYSCTLS: None, LIMITS: "x"}, "sysctls": values}
    (root / JOURNAL).write_text(json.dumps(journal))
    assert read_journal(root) == journal
