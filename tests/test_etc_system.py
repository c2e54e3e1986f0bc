"""What operators are given for systemd, the kernel and logrotate: it can be read, and agrees with the server."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from megacomet.api.audit import FILE_NAME as AUDIT_LOG
from megacomet.binding import MOST_SHARERS
from megacomet.doctor import ksm
from megacomet.listeners import BACKLOG
from megacomet.manager.supervisor import REAP_S
from megacomet.rlimits import connections_for, workers_for
from megacomet.setting_table import ROWS
from megacomet.settings import Settings, load

ROOT: Final = Path(__file__).parents[1]
ETC: Final = ROOT / "etc"
PAGE: Final = (ROOT / "docs/operations/deployment.md").read_text("utf-8")

MILLION: Final = 1_000_000
#: What `workers` allows.
WORKERS_MAX: Final = 250
#: What the kernel counts for the io_uring of a worker (four fit under a limit of 65,536, and 512 under 8 MB).
RING_BYTES: Final = 16_384
#: The kernel's own fs.nr_open, above which no process' limit may be.
NR_OPEN: Final = 1024 * 1024
#: What our uses of the kernel's settings rest on, by where the kernel's authors describe them.
DOCUMENTED: Final = {
    "net.core.somaxconn": "Documentation/networking/ip-sysctl.rst",
    "net.core.netdev_max_backlog": "Documentation/admin-guide/sysctl/net.rst",
    "net.ipv4.tcp_migrate_req": "Documentation/networking/ip-sysctl.rst",
    "net.netfilter.nf_conntrack_max": "Documentation/networking/nf_conntrack-sysctl.rst",
    "fs.epoll.max_user_watches": "epoll(7)",
}

#: Section -> name -> values, in their order: systemd adds up what is said several times.
Unit = dict[str, dict[str, list[str]]]


def parse_unit(text: str) -> Unit:
    """Read a unit as far as ours use the form: sections, and one assignment a line."""
    unit: Unit = defaultdict(lambda: defaultdict(list))
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals, line
            assert section, line
            unit[section][name].append(value)
    return unit


def known_names() -> dict[str, set[str]]:
    """What systemd knows, by section."""
    known: dict[str, set[str]] = {}
    for line in (ROOT / "tests/systemd_names.txt").read_text("utf-8").splitlines()[1:]:
        if line.startswith("["):
            names = known[line.strip("[]")] = set()
        else:
            names.update(line.split())
    return known


def parse_settings(text: str) -> dict[str, int]:
    """Read a file of sysctl.d; a - before a name means that it need not be there."""
    rows = [line.partition("=") for line in text.splitlines() if line and not line.startswith("#")]
    settings = {name.strip().removeprefix("-"): int(value) for name, _, value in rows}
    assert len(settings) == len(rows)
    return settings


def read(name: str) -> str:
    """A file of etc/."""
    return (ETC / name).read_text("utf-8")


def without_comments(name: str) -> list[list[str]]:
    """The words of each line of a file of etc/."""
    return [line.split() for line in read(name).splitlines() if line and not line.startswith("#")]


SERVICE: Final = parse_unit(read("systemd/megacomet.service"))
SOCKET: Final = parse_unit(read("systemd/megacomet.socket"))
SYSCTL: Final = parse_settings(read("sysctl.d/60-megacomet.conf"))


def said(name: str) -> str:
    """What the service says once."""
    (value,) = SERVICE["Service"][name]
    return value


# -- systemd


@pytest.mark.parametrize("unit", [SERVICE, SOCKET])
def test_names(unit: Unit) -> None:
    """systemd passes over a name that it does not know, and the server would run without what it stands for."""
    known = known_names()
    for section, assignments in unit.items():
        assert set(assignments) <= known[section]


def test_what_is_no_unit() -> None:
    """The reader of the units, and the list of names, see what they are there for."""
    for text in ("[Service]\nType notify", "Type=notify"):
        with pytest.raises(AssertionError):
            parse_unit(text)
    assert "KillMod" not in known_names()["Service"]
    assert "KillMode" not in known_names()["Install"]


def test_start() -> None:
    """It runs in the foreground, as systemd expects, is ready when it says so, and reads its keys again at SIGHUP."""
    assert said("ExecStart") == "/opt/megacomet/bin/twistd --nodaemon --pidfile= megacomet"
    assert said("Type") == "notify"
    assert said("ExecReload") == "/bin/kill -HUP $MAINPID"
    # All settings but these can be had by the environment: a command line would win over the file.
    assert said("EnvironmentFile") == "-/etc/default/megacomet"


def test_death_of_the_manager() -> None:
    """Its workers live on, until systemd has started the next one, which runs as the same user with the same files."""
    assert said("KillMode") == "process"
    assert said("Restart") == "on-failure"
    assert int(said("RestartSec")) < 30  # as long as workers wait
    assert "DynamicUser" not in SERVICE["Service"]
    assert said("OOMPolicy") == "continue"


def test_stop() -> None:
    """The server has the time that it may take for a stop, and for killing what does not end."""
    assert int(said("TimeoutStopSec")) > Settings().stop_s + 2 * REAP_S


def test_one_user_and_one_directory() -> None:
    """All files mean the same user, and the same state directory as the server's built-in one."""
    ((kind, user, _, *_, home),) = without_comments("sysusers.d/megacomet.conf")
    assert (kind, said("User")) == ("u", user)
    assert home == f"/var/lib/{said('StateDirectory')}"
    assert home in (ROWS["state_dir"].about.zero or "")
    rotated = read("logrotate.d/megacomet")
    assert f"\n{home}/{AUDIT_LOG} {{\n    su {user} {user}\n" in rotated
    assert {domain for domain, *_ in without_comments("limits.d/60-megacomet.conf")} == {user, "root"}


def test_privileges() -> None:
    """The one thing that it may do besides what any user may is to open a port below 1024; the port is one of those."""
    assert said("AmbientCapabilities") == said("CapabilityBoundingSet") == "CAP_NET_BIND_SERVICE"
    assert Settings().port < 1024
    assert said("NoNewPrivileges") == "yes"


def test_descriptors() -> None:
    """Under the limit a million connections have room, with however few cores; the other way to start has the same."""
    limit = int(said("LimitNOFILE"))
    workers = workers_for(0, MILLION, limit, cores=1)
    assert workers <= WORKERS_MAX
    assert connections_for(workers, limit) >= MILLION
    assert limit <= NR_OPEN
    for domain, kind, item, value in without_comments("limits.d/60-megacomet.conf"):
        assert (kind, item, int(value)) == ("hard", "nofile", limit), domain


def test_memory_of_io_uring() -> None:
    """What each worker's ring takes is allowed to as many workers as there can be."""
    assert said("LimitMEMLOCK") == "8M"
    assert WORKERS_MAX * RING_BYTES <= 8 * 1024 * 1024


def test_socket() -> None:
    """What its comment says to write into the settings is taken by the server, and names this socket."""
    given = dict(re.findall(r"\b(MEGACOMET_\w+)=(\S+)", read("systemd/megacomet.socket")))
    settings, _ = load({}, given)
    (name,) = SOCKET["Socket"]["FileDescriptorName"]
    assert settings.listen == (f"systemd:domain=INET6:name={name}",)
    assert settings.workers == MOST_SHARERS
    assert SOCKET["Socket"]["ListenStream"] == [str(Settings().port)]
    assert SOCKET["Socket"]["Backlog"] == [str(BACKLOG)]


# -- the kernel


def test_kernel_settings_exist() -> None:
    """Each is described by the kernel's authors, and by us; where this machine shows it, it is one number."""
    assert set(SYSCTL) == set(DOCUMENTED)
    for name in SYSCTL:
        assert f"`{name}`" in PAGE
        path = Path("/proc/sys", *name.split("."))
        # Some are absent in a container, and where no firewall tracks connections.
        assert not path.exists() or path.read_text().split()[0].isdigit()


def test_kernel_settings_suffice() -> None:
    """A million connections fit, and a listener's queue is as long as the server asks for."""
    assert SYSCTL["net.core.somaxconn"] == BACKLOG
    assert SYSCTL["fs.epoll.max_user_watches"] > MILLION
    assert SYSCTL["net.netfilter.nf_conntrack_max"] > MILLION
    assert "-net.netfilter.nf_conntrack_max" in read("sysctl.d/60-megacomet.conf")


def test_every_kernel_setting_has_its_reason() -> None:
    """Above each stands why."""
    lines = read("sysctl.d/60-megacomet.conf").splitlines()
    for before, line in pairwise(lines):
        assert not line or line.startswith("#") or before.startswith("# ")


# -- equal pages


def test_equal_pages() -> None:
    """What the doctor advises is what the file does at each boot; faster only for who asks for it."""
    assert without_comments("tmpfiles.d/megacomet-ksm.conf") == [["w", f"/{ksm.RUN}", "-", "-", "-", "-", "1"]]
    asked = [line[1:].split() for line in read("tmpfiles.d/megacomet-ksm.conf").splitlines() if line.startswith("#w")]
    assert asked == [["w", f"/{ksm.KSM}/pages_to_scan", "-", "-", "-", "-", "2000"]]


# -- the page


def test_page() -> None:
    """The page about deployment puts each file into its place."""
    for path in ETC.rglob("*"):
        relative = path.relative_to(ROOT).as_posix()
        if path.is_file() and not relative.startswith(("etc/grafana", "etc/prometheus")):
            assert re.search(rf"\b{re.escape(relative)}\b", PAGE), relative
