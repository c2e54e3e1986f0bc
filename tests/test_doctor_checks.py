"""What the doctor says of each setting: fine where nothing has to change, and low with the line that changes it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megacomet import binding, listeners
from megacomet.doctor import descriptors, ksm, memory, ports, queues, tcp
from megacomet.doctor.checks import CHECKS, examine
from megacomet.doctor.costs import DEAREST, WORKERS_MOST, needed_bytes, room_of, workers_of
from megacomet.doctor.finding import FINE, FIXED, LOW, STATES, UNKNOWN, Aim, Finding, Held
from megacomet.doctor.report import make_report
from megacomet.rlimits import connections_per_worker
from megacomet.settings import ROWS, Settings
from megacomet.wire.doctor import doctor_json
from tests.machines import FILES, LIMITS, MILLION, Machine, sysctl

ALL = [check for checks in CHECKS.values() for check in checks]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One on which all is well."""
    return Machine(tmp_path)


def look(machine: Machine, check: object, connections: int = MILLION, **given: object) -> Finding:
    """Make one check."""
    found: Finding = check(machine.files, machine.aim(connections, **given))  # type: ignore[operator]
    return found


def test_all_is_well(machine: Machine) -> None:
    """A machine of today with 24 GB needs no change for a million, and each check says why."""
    for finding in (one for group in examine(machine.files, machine.aim()).values() for one in group):
        assert finding.state == FINE, finding
        assert finding.why.endswith("."), finding
        assert finding.source, finding
        assert finding.value, finding
        assert not finding.change or finding.name == ksm.NAME, finding
        assert not finding.sysctls, finding


def test_every_setting_of_the_list_is_looked_at(machine: Machine) -> None:
    """None is forgotten, and none is told twice."""
    names = [one.name for group in examine(machine.files, machine.aim()).values() for one in group]
    assert len(set(names)) == len(names) == len(ALL)
    for name in ("fs.nr_open", "fs.file-max", "net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog"):
        assert name in names
    for name in ("netdev_max_backlog", "rmem_max", "wmem_max"):
        assert f"net.core.{name}" in names
    for name in ("tcp_mem", "tcp_rmem", "tcp_wmem", "ip_local_port_range", "ip_local_reserved_ports"):
        assert f"net.ipv4.{name}" in names
    for name in ("tcp_max_tw_buckets", "tcp_fin_timeout", "tcp_migrate_req"):
        assert f"net.ipv4.{name}" in names
    for name in ("vm.min_free_kbytes", "vm.swappiness", "vm.overcommit_memory", "net.netfilter.nf_conntrack_max"):
        assert name in names


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    """Without a file nothing is low and nothing breaks: it is not known, with the reason."""
    machine = Machine(tmp_path, bare=True)
    found = [one for group in examine(machine.files, machine.aim()).values() for one in group]
    assert {one.state for one in found} == {UNKNOWN, FINE}
    known = {one.name for one in found if one.state == FINE}
    assert known == {
        "net.netfilter.nf_conntrack_max",  # there is none
        *("control group: memory", "control group: processes", "processors"),
    }
    assert all("missing" in one.why or "not to be read" in one.why for one in found if one.state == UNKNOWN)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(FILES)),
    st.one_of(st.text(max_size=60), st.integers().map(str), st.sampled_from(["", "max", "-1", "0", "1 2 3", "9" * 20])),
    st.sampled_from([0, 1, 1000, MILLION, 100_000_000]),
)
def test_odd_files(tmp_path_factory: pytest.TempPathFactory, path: str, text: str, connections: int) -> None:
    """Whatever stands in a file, every check has an answer of the known form."""
    machine = Machine(tmp_path_factory.mktemp("odd"))
    (machine.root / path).write_bytes(text.encode("utf-8", "replace"))
    for finding in (one for group in examine(machine.files, machine.aim(connections)).values() for one in group):
        assert finding.state in STATES
        assert finding.most is None or finding.most >= 0
        assert finding.change or not finding.is_low, finding
        assert not finding.change or finding.is_low or finding.name == ksm.NAME, finding


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 20, "-7", "x", "\u0663"], ids=["endless", "long", "-", "x", "3"])
@pytest.mark.parametrize("path", sorted(FILES))
def test_odd_numbers(machine: Machine, path: str, number: str) -> None:
    """Whatever stands where a number should be, the report is one that the API can tell."""
    machine.write(path, re.sub(r"\b[0-9]+\b", number, FILES[path]))
    for connections in (0, MILLION):
        assert doctor_json(make_report(machine.files, machine.aim(connections), ()).as_object())


@pytest.mark.parametrize("path", sorted(path for path in FILES if path.startswith("proc/sys")))
def test_what_is_mounted_read_only(machine: Machine, path: str) -> None:
    """In a container nothing is written: what is low is not changeable there."""
    machine.closed.add(path)
    for text in ("1\n", "1 1\n", "1 1 1\n"):
        machine.write(path, text)
        for finding in (one for group in examine(machine.files, machine.aim()).values() for one in group):
            if sysctl(finding.name) == path:
                assert finding.state in (FIXED, UNKNOWN, FINE)
                assert not finding.sysctls


# Descriptors


@pytest.mark.parametrize(
    ("hard", "workers", "state", "most", "written"),
    [
        ("20000", 0, FINE, 4_652_750, 0),
        ("1048576", 0, FINE, 250 * connections_per_worker(1_048_576), 0),
        ("unlimited", 0, FINE, 250 * connections_per_worker(1_048_576), 0),
        ("4096", 0, LOW, 824_000, 526_572),
        ("1024", 0, LOW, 102_500, 526_572),
        ("256", 0, LOW, 0, 526_572),
        ("20000", 54, FINE, 1_004_994, 0),
        ("20000", 8, LOW, 148_888, 131_000),
        ("20000", 1, LOW, 19_488, 1_000_512),
    ],
)
def test_open_files(machine: Machine, hard: str, workers: int, state: str, most: int, written: int) -> None:
    """As many workers as there may be must have room for all; with --workers, those."""
    machine.write("proc/self/limits", LIMITS.format(hard=hard))
    found = look(machine, descriptors.open_files, workers=workers)
    assert (found.state, found.most) == (state, most)
    assert abs(found.descriptors - written) <= 0.02 * written
    if written:
        assert room_of(Settings(workers=workers), found.descriptors, 2) >= MILLION
        assert found.change == f"* hard nofile {found.descriptors} in /etc/security/limits.d"


def test_where_the_limit_is_changed(machine: Machine) -> None:
    """With systemd's unit in that, in a container where it is started."""
    machine.write("proc/self/limits", LIMITS.format(hard="1024"))
    machine.write("usr/lib/systemd/system/megacomet.service", "")
    found = look(machine, descriptors.open_files)
    assert found.change == f"LimitNOFILE={found.descriptors} in megacomet.service"
    machine.write(".dockerenv", "")
    found = look(machine, descriptors.open_files)
    assert (found.state, found.descriptors) == (FIXED, 0)
    assert found.change.startswith("--ulimit nofile=")


@pytest.mark.parametrize("text", ["", "Max open files  many more files\n", "Max open files\n", LIMITS.format(hard="٣")])
def test_a_limit_that_is_not_told(machine: Machine, text: str) -> None:
    """Then it is not known."""
    machine.write("proc/self/limits", text)
    assert look(machine, descriptors.open_files).state == UNKNOWN


def test_the_bound_of_limits(machine: Machine) -> None:
    """It is low when the limit that has to be raised would be above it, and not else."""
    machine.set(fs__nr_open=20_000)
    assert look(machine, descriptors.nr_open).state == FINE
    machine.write("proc/self/limits", LIMITS.format(hard="1024"))
    found = look(machine, descriptors.nr_open)
    assert found.state == LOW
    assert int(found.sysctls["fs.nr_open"]) >= look(machine, descriptors.open_files).descriptors


def test_files_of_the_system(machine: Machine) -> None:
    """A connection is one; what others have open is theirs, what the running server has is not counted twice."""
    machine.set(**{"fs__file-max": 1_000_000, "fs__file-nr": "500000 0 1000000"})
    found = look(machine, descriptors.file_max)
    assert found.sysctls == {"fs.file-max": "1502000"}
    assert found.most == 498_000
    for number in range(300):
        machine.write(f"proc/77/fd/{number}", "")
    aim = Aim(MILLION, 8, Settings(), held=memory.held_by(machine.files, (77, 78)))
    assert descriptors.file_max(machine.files, aim).sysctls == {"fs.file-max": "1501700"}


def test_epoll(machine: Machine) -> None:
    """On a machine of 2 GB the kernel gives a user fewer places than a million."""
    machine.set(fs__epoll__max_user_watches=400_000)
    found = look(machine, descriptors.epoll_watches)
    assert found.sysctls == {"fs.epoll.max_user_watches": "1002000"}
    assert found.most == 398_000


# Queues


@pytest.mark.parametrize(
    ("value", "connections", "workers", "need"),
    [
        (128, MILLION, 54, 260),
        (128, MILLION, 2, 7_000),
        (128, 1_000, 1, 1_000),
        (4096, 100_000, 2, 7_000),
        (4095, 28_000, 2, 4_096),
    ],
)
def test_somaxconn(machine: Machine, value: int, connections: int, workers: int, need: int) -> None:
    """It is what comes to one worker while it is late."""
    machine.set(net__core__somaxconn=value)
    found = queues.somaxconn(machine.files, Aim(connections, workers, Settings()))
    assert found.sysctls == {"net.core.somaxconn": str(need)}
    assert found.change == f"sysctl -w net.core.somaxconn={need}"
    assert queues.somaxconn(machine.files, Aim(100, workers, Settings())).state == FINE


@pytest.mark.parametrize(
    ("limit", "caps", "state"),
    [
        ("65536", "", LOW),
        ("65536", "CapEff:\t0000000000004000\n", FINE),
        ("65536", "CapEff:\t00000000a80425fb\n", LOW),
        ("65536", "CapEff:\tx\n", LOW),
        ("884736", "", FINE),
        ("884735", "", LOW),
        ("unlimited", "", FINE),
        ("x", "", UNKNOWN),
    ],
)
def test_locked_memory(machine: Machine, limit: str, caps: str, state: str) -> None:
    """The soft limit has room for an io_uring of each of 54 workers, or does not count for who may lock any."""
    machine.write("proc/self/limits", LIMITS.format(hard="20000").replace("8388608  ", f"{limit}  ", 1))
    machine.write("proc/self/status", f"Name:\tx\n{caps}")
    found = look(machine, memory.locked)
    assert found.state == state
    assert ("884736" in found.change) == (state == LOW)
    machine.write(".dockerenv", "")
    found = look(machine, memory.locked)
    assert found.state == (FIXED if state == LOW else state)


def test_the_usual_queue(machine: Machine) -> None:
    """So few that all have come before anybody comes again find the kernel's own value enough; one more does not."""
    for connections, state in ((20_000, FINE), (28_000, FINE), (28_001, LOW)):
        assert queues.somaxconn(machine.files, Aim(connections, 2, Settings())).state == state


def test_the_queue_is_that_of_the_listeners() -> None:
    """More than the listeners ask for is of no use."""
    assert listeners.BACKLOG == queues.BACKLOG


def test_syn_backlog(machine: Machine) -> None:
    """It counts only where SYN cookies are off."""
    machine.set(net__ipv4__tcp_max_syn_backlog=128)
    assert look(machine, queues.syn_backlog).state == FINE
    machine.set(net__ipv4__tcp_syncookies=0)
    assert look(machine, queues.syn_backlog).sysctls == {"net.ipv4.tcp_max_syn_backlog": "347"}


def test_packets(machine: Machine) -> None:
    """The queue counts where packets pass it: without a card (in a container), or with RPS."""
    assert look(machine, queues.packet_backlog).state == FINE
    machine.write("sys/class/net/eth0/queues/rx-0/rps_cpus", "00000000,00000003\n")
    assert look(machine, queues.packet_backlog).sysctls == {"net.core.netdev_max_backlog": "56000"}
    assert look(machine, queues.packet_backlog, 900).state == FINE
    machine.write("sys/class/net/eth0/queues/rx-0/rps_cpus", "00000000,00000000\n")
    machine.write("sys/class/net/veth7/operstate", "up\n")
    assert look(machine, queues.packet_backlog).state == LOW
    machine.write("sys/class/net/veth7/operstate", "down\n")
    assert look(machine, queues.packet_backlog).state == FINE


def test_spread(machine: Machine) -> None:
    """One processor that drops packets of a card with one queue gets help; drops of all alike are another matter."""
    found = look(machine, queues.spread)
    assert (found.state, found.value) == (FINE, "eth0: 1 queue, RPS off, interrupts on CPU 1")
    machine.write("proc/net/softnet_stat", "1d997de5 0000000a 0\n1e08e4c7 00000000 0\n")
    found = look(machine, queues.spread)
    assert found.state == LOW
    assert found.change == "echo 3 > /sys/class/net/eth0/queues/rx-0/rps_cpus"
    aim = Aim(MILLION, 54, Settings(), cores=36)
    assert queues.spread(machine.files, aim).change.startswith("echo f,ffffffff > ")
    machine.write("proc/net/softnet_stat", "1d997de5 0000000a 0\n1e08e4c7 00000009 0\n")
    assert look(machine, queues.spread).state == FINE
    machine.write("proc/net/softnet_stat", "1d997de5 0000000a 0\n1e08e4c7 00000000 0\n")
    machine.write("sys/class/net/eth0/queues/rx-1/rps_cpus", "0\n")
    found = look(machine, queues.spread)
    assert (found.state, found.value) == (FINE, "eth0: 2 queues, RPS off, interrupts on CPU 1")


def test_interrupts_by_name(machine: Machine) -> None:
    """Where the card's numbers are not told, its name is looked for."""
    machine.remove("sys/class/net/eth0/device/msi_irqs/38")
    assert queues.interrupts_of(machine.files, "eth0") == []
    machine.write("proc/interrupts", "  CPU0 CPU1\n 9: 4 0 PCI eth0-TxRx-0\n 10: 0 4 PCI eth01\n")
    assert queues.interrupts_of(machine.files, "eth0") == [0]
    machine.write("proc/interrupts", "")
    assert queues.interrupts_of(machine.files, "eth0") == []


@pytest.mark.parametrize("text", ["", "1 2\n", "x y z\n"])
def test_packets_that_nobody_counts(machine: Machine, text: str) -> None:
    """Then it is not known."""
    machine.write("proc/net/softnet_stat", text)
    assert look(machine, queues.spread).state == UNKNOWN


# TCP


def test_pages_of_tcp(machine: Machine) -> None:
    """What is under way of a broadcast must not bring pressure; the other two numbers go along."""
    machine.set(net__ipv4__tcp_mem="10000 20000 300000")
    found = look(machine, tcp.memory)
    assert found.sysctls == {"net.ipv4.tcp_mem": "102000 136000 300000"}
    assert found.change == "sysctl -w net.ipv4.tcp_mem='102000 136000 300000'"
    assert look(machine, tcp.memory, 20_000).state == FINE


@pytest.mark.parametrize(
    ("check", "name", "value", "new"),
    [
        (tcp.receive_buffers, "net.ipv4.tcp_rmem", "4096 8192 9000", "4096 16384 16384"),
        (tcp.receive_buffers, "net.ipv4.tcp_rmem", "4096 87380 9000", "4096 87380 87380"),
        (tcp.send_buffers, "net.ipv4.tcp_wmem", "1 2 3", "1 4096 4096"),
    ],
)
def test_buffers(machine: Machine, check: object, name: str, value: str, new: str) -> None:
    """Only what was lowered too far is raised."""
    machine.write(sysctl(name), value)
    assert look(machine, check).sysctls == {name: new}


def test_the_firewall(machine: Machine) -> None:
    """Its table must have all, beside what it has of others; where nothing is tracked it is no bound."""
    machine.set(net__netfilter__nf_conntrack_max=262_144, net__netfilter__nf_conntrack_count=1040)
    found = look(machine, tcp.conntrack)
    assert found.sysctls == {"net.netfilter.nf_conntrack_max": "1001000"}
    assert found.most == 261_144
    machine.set(net__netfilter__nf_conntrack_count=0)
    assert (look(machine, tcp.conntrack).state, look(machine, tcp.conntrack).most) == (FINE, None)
    machine.remove(sysctl("net.netfilter.nf_conntrack_count"))
    assert look(machine, tcp.conntrack).most == 262_144
    machine.set(net__netfilter__nf_conntrack_max=0)
    assert look(machine, tcp.conntrack).state == FINE
    machine.write(sysctl("net.netfilter.nf_conntrack_max"), "odd")
    assert look(machine, tcp.conntrack).state == UNKNOWN


@pytest.mark.parametrize("text", ["", "Tcp: CurrEstab\n", "Tcp: CurrEstab\nTcp: x\n", "Tcp:\nTcp:\n"])
def test_connections_that_nobody_counts(machine: Machine, text: str) -> None:
    """Then there are none."""
    machine.write("proc/net/snmp", text)
    assert tcp.established(machine.files) == 0


# Ports


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"port": 80}, [80]),
        ({"port": 0}, []),
        ({"listen": ("tcp:81:interface=127.0.0.1", "unix:/run/x", "tcp6:82", "systemd:index=0")}, [81, 82]),
        ({"admin": "tcp:8081"}, [80, 8081]),
        ({"classic": True}, [80, *range(8000, 8008), 9000]),
    ],
)
def test_ports_of_the_server(given: dict[str, object], found: list[int]) -> None:
    """As far as the settings tell."""
    assert list(ports.ports_of(Settings(**given))) == found  # type: ignore[arg-type]


def test_the_original_s_ports() -> None:
    """They are those that are bound."""
    assert ports.CLASSIC[:-1] == binding.CLASSIC_PORTS


@pytest.mark.parametrize(
    ("reserved", "state", "new"),
    [
        ("", LOW, "8000-8007,9000"),
        ("8000-8007,9000", FINE, ""),
        ("1-65535", FINE, ""),
        ("8003,7999,9001-9005", LOW, "7999-8007,9000-9005"),
        ("80-8x", UNKNOWN, ""),
    ],
)
def test_reserved_ports(machine: Machine, reserved: str, state: str, new: str) -> None:
    """A port of the server that the kernel gives to others is to be reserved, those that are stay."""
    machine.set(net__ipv4__ip_local_port_range="1024 60999", net__ipv4__ip_local_reserved_ports=reserved)
    found = look(machine, ports.reserved_ports, classic=True)
    assert (found.state, found.sysctls.get("net.ipv4.ip_local_reserved_ports", "")) == (state, new)
    assert look(machine, ports.reserved_ports, port=443).state in (FINE, UNKNOWN)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 9)), max_size=8))
def test_spans_are_merged_without_loss(given: list[tuple[int, int]]) -> None:
    """What is written has the same ports as what it was made of, in spans that do not touch."""
    parts = [(first, first + more) for first, more in given]
    text = ",".join(ports._written(*span) for span in ports._merged(parts))
    merged = ports.spans(text)
    assert merged is not None
    assert {n for a, b in merged for n in range(a, b + 1)} == {n for a, b in parts for n in range(a, b + 1)}
    assert all(b + 1 < c for (_, b), (c, _) in pairwise(merged))


# Memory and processors


def test_memory(machine: Machine) -> None:
    """What is needed must be there; what the running server has is room for it."""
    machine.write("proc/meminfo", "MemAvailable: 4000000 kB\n")
    found = look(machine, memory.memory)
    assert (found.state, found.value, found.needs) == (FIXED, "4,096 MB to be had", "5,581 MB")
    machine.write("proc/77/smaps_rollup", "Rss: 9 kB\nPss:             1500000 kB\n")
    aim = Aim(MILLION, 54, Settings(), held=memory.held_by(machine.files, (77,)))
    assert memory.memory(machine.files, aim).state == FINE


def test_a_group_s_memory(machine: Machine) -> None:
    """Its limit must have room for all; the line says how large it should be."""
    machine.write("sys/fs/cgroup/system.slice/megacomet.service/memory.max", "2000000000\n")
    found = look(machine, memory.group_memory)
    assert found.state == FIXED
    assert found.change.startswith("MemoryMax=5584M ")
    assert look(machine, memory.memory).state == FIXED
    machine.write("sys/fs/cgroup/system.slice/megacomet.service/memory.max", "9000000000\n")
    assert look(machine, memory.group_memory).state == FINE


def test_processes_and_processors(machine: Machine) -> None:
    """The unit's bounds."""
    group = "sys/fs/cgroup/system.slice/megacomet.service"
    machine.write(f"{group}/pids.max", "57\n")
    assert look(machine, memory.group_processes).change.startswith("TasksMax=58 ")
    machine.write(f"{group}/pids.max", "58\n")
    assert look(machine, memory.group_processes).state == FINE
    machine.write(f"{group}/cpu.max", "50000 100000\n")
    found = look(machine, memory.processors)
    assert (found.state, found.value, found.needs) == (FIXED, "0.5", "0.88")
    assert look(machine, memory.processors, ping_s=50.0).state == FINE


def test_overcommit(machine: Machine) -> None:
    """With 2 the kernel wants to have all that workers might write."""
    machine.set(vm__overcommit_memory=2)
    found = look(machine, memory.overcommit)
    assert (found.state, found.value, found.needs) == (FINE, "2, 5,174 MB left", "1,604 MB")
    machine.write("proc/meminfo", "CommitLimit: 1000 kB\nCommitted_AS: 5000 kB\n")
    found = look(machine, memory.overcommit)
    assert (found.state, found.value) == (LOW, "2, 0 MB left")
    assert memory.overcommit(machine.files, Aim(MILLION, 54, Settings(), held=Held(5, 5))).state == FINE
    machine.write("proc/meminfo", "")
    assert look(machine, memory.overcommit).state == UNKNOWN


def test_min_free_and_swap(machine: Machine) -> None:
    """Below the kernel's own least it is raised; swappiness is told."""
    machine.set(vm__min_free_kbytes=512)
    assert look(machine, memory.min_free).sysctls == {"vm.min_free_kbytes": "1024"}
    assert look(machine, memory.swappiness).value == "60, no swap"
    machine.write("proc/meminfo", "SwapTotal: 5 kB\n")
    assert look(machine, memory.swappiness).value == "60"


def test_clock(machine: Machine) -> None:
    """A slow one is changed where there is a fast one."""
    machine.write(f"{memory.CLOCKS}/current_clocksource", "hpet\n")
    found = look(machine, memory.clock)
    assert (found.state, found.change) == (LOW, f"echo tsc > /{memory.CLOCKS}/current_clocksource")
    machine.write(f"{memory.CLOCKS}/available_clocksource", "hpet acpi_pm\n")
    assert look(machine, memory.clock).state == FIXED
    machine.write(f"{memory.CLOCKS}/current_clocksource", "\x1b[2J")
    assert look(machine, memory.clock).state == UNKNOWN


# What it costs


def test_the_most_workers() -> None:
    """They are those that the setting allows."""
    rule = ROWS["workers"].about.rule
    assert rule.check(WORKERS_MOST) == WORKERS_MOST
    with pytest.raises(ValueError, match="whole number"):
        rule.check(WORKERS_MOST + 1)


def test_costs_grow() -> None:
    """More connections need more, and the dearest transport is what is reckoned with."""
    settings = Settings()
    assert DEAREST == "ws"
    assert needed_bytes(2000, 2, settings) > needed_bytes(1000, 2, settings) > needed_bytes(1000, 2, settings, "poll")
    assert workers_of(settings, MILLION, 20_000, 2) == 54
    assert workers_of(settings, MILLION, 600, 2) == WORKERS_MOST
    assert workers_of(settings, MILLION, 100, 2) == 1
    assert room_of(settings, 100, 2) == 0
