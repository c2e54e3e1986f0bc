"""The options of a whole run, and how it is cut to the machine that the doctor has looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from megacomet.swarm import survey
from megacomet.swarm.options import Options, Unusable, parse
from tests.machines import LIMITS, MILLION, Machine

KEY = {"MEGACOMET_API_KEY": "key"}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One on which a million fit."""
    made = Machine(tmp_path)
    made.set(net__core__netdev_max_backlog=100_000, net__core__somaxconn=65_535)
    return made


def fitted(machine: Machine, *arguments: str, **more: Any) -> Options:
    """The options of the run that fits."""
    return survey.fitted(attrs.evolve(parse(arguments, KEY), **more), machine.files)


def test_a_million() -> None:
    """One option asks for it all: a server of its own, pushes, a message to everyone, a minute."""
    options = parse(["--million"], {})
    assert (options.clients, options.whole, options.own_server) == (MILLION, True, True)
    assert (options.hold_s, options.push_rate, options.everyone, options.since) == (60.0, 500.0, True, True)


def test_any_number() -> None:
    """`--whole` is for any number; what is said otherwise holds."""
    options = parse(["--whole", "--clients", "500", "--hold", "3", "--push-rate", "0", "--drain", "5"], {})
    assert (options.clients, options.hold_s, options.push_rate, options.drain_s) == (500, 3.0, 0.0, 5.0)
    assert parse(["--whole"], {}).clients == 1000


def test_without_it_all_is_as_it_was() -> None:
    """A run that is not whole pushes nothing by itself and holds ten seconds."""
    options = parse([], {})
    assert (options.hold_s, options.patience_s, options.drain_s, options.settle_s) == (10.0, 30.0, 10.0, 0.0)
    assert (options.push_rate, options.everyone, options.whole, options.own_server) == (None, False, False, False)
    assert options.addresses == (("127.0.0.1", 80),)


def test_another_server() -> None:
    """With an address it is that server's whole run; on one of several machines nobody speaks to everyone."""
    options = parse(["--whole", "--url", "http://127.0.0.1:81", "--part", "1/2"], KEY)
    assert (options.own_server, options.everyone, options.push_address) == (False, False, ("127.0.0.1", 81))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--million", "--clients", "5"], "--million and --clients"),
        (["--whole", "--batch", "5"], "--whole and --batch"),
        (["--whole", "--switch", "5"], "--whole and --switch"),
        (["--away", "5"], "--away: nobody"),
        (["--everyone", "5", "--part", "1/2"], "--everyone: each part"),
        (["--million", "--merge", "a"], "--million and --merge"),
        (["--whole", "--charts", "a", "b"], "--whole and --charts"),
        (["--whole", "--part", "1/2"], "--part needs"),
        (["--whole", "--source", "127.0.0.2"], "--source needs"),
        (["--whole", "--push-url", "http://a"], "--push-url needs"),
        (["--whole", "--ports", "8000-8007"], "--ports needs"),
        (["--server-workers", "5"], "--server-workers is for"),
        (["--whole", "--url", "http://127.0.0.1", "--server-port", "5"], "--server-port is for"),
        (["--whole", "--url", "http://127.0.0.1"], "pushing needs a key"),
        (["--whole", "--json", "/nowhere/run.json"], "--json: /nowhere/run.json"),
    ],
)
def test_what_does_not_go_together(arguments: list[str], told: str) -> None:
    """It is refused at once, by name."""
    with pytest.raises(Unusable, match=told):
        parse(arguments, {})


def test_everyone() -> None:
    """At the end one message goes to everyone, and with seconds one so often besides."""
    found = [parse([*given], {"MEGACOMET_API_KEY": "k"}) for given in ((), ("--everyone",), ("--everyone", "5"))]
    assert [(one.everyone, one.everyone_s) for one in found] == [(False, 0.0), (True, 0.0), (True, 5.0)]


def test_names_of_two_runs() -> None:
    """Another prefix is in the names of the rooms too, so that two runs can have theirs at the same time."""
    given = ["--channels", "1", "--rooms", "2", "--transport", "ws"]
    assert parse(given, {}).shared.of(1) == [b"room:1"]
    assert parse([*given, "--prefix", "w7-"], {}).shared.of(1) == [b"room:w7-1"]


def test_json() -> None:
    """`--json` alone is for stdout, with a name for a file."""
    assert (parse(["--json"], {}).json, parse(["--json"], {}).json_file) == (True, "")
    options = parse(["--json", "run.json"], {})
    assert (options.json, options.json_file) == (False, "run.json")


def test_it_is_worked_out(machine: Machine) -> None:
    """Under a limit of 20,000 open files a million needs 54 workers and 51 processes, each with its addresses."""
    options = fitted(machine, "--million")
    assert (options.clients, options.server_workers, options.processes) == (MILLION, 54, 51)
    assert (options.bound, options.low) == ("", ())
    each = [options.sources_of(n) for n in range(options.processes)]
    assert len({source for sources in each for source in sources}) == 510


def test_a_high_limit_needs_more_addresses(machine: Machine) -> None:
    """Two processes of half a million come from so many addresses that the ports of none run out."""
    machine.write("proc/self/limits", LIMITS.format(hard="1048576"))
    options = fitted(machine, "--million")
    assert options.processes == 2
    assert [len(options.sources_of(n)) for n in range(2)] == [250, 250]


def test_a_narrow_range_of_ports(machine: Machine) -> None:
    """Few ports are made up for by more source addresses."""
    options = fitted(machine, "--whole", "--clients", "20000", ports=100)
    assert len(options.sources_of(0)) == 134
    assert options.bound == ""


def test_a_narrow_range_of_ports_elsewhere(machine: Machine) -> None:
    """Towards another machine an address has no more clients than ports: the largest run that fits is told."""
    options = fitted(machine, "--whole", "--url", "http://192.0.2.1", "--clients", "20000", ports=1000)
    assert (options.clients, options.wanted, options.bound) == (750, 20_000, "source ports")


def test_less_memory_than_asked(machine: Machine) -> None:
    """With 4 GB it is the largest run that fits, and it says so; the doctor says what is low."""
    machine.write("proc/meminfo", "MemTotal: 5000000 kB\nMemAvailable: 4000000 kB\n")
    options = fitted(machine, "--million")
    assert options.bound == "memory"
    assert 250_000 < options.clients < 450_000
    assert (options.wanted, len(options.indexes)) == (MILLION, options.clients)
    assert any(line.startswith("memory is ") for line in options.low)


def test_nothing_fits(machine: Machine) -> None:
    """Without memory for a server there is no run at all."""
    machine.write("proc/meminfo", "MemTotal: 500000 kB\nMemAvailable: 40000 kB\n")
    with pytest.raises(Unusable, match="not one client fits: memory"):
        fitted(machine, "--million")


def test_a_part_is_not_cut(machine: Machine) -> None:
    """A machine of several that cannot hold its part says so: the others would count on it."""
    machine.write("proc/meminfo", "MemTotal: 500000 kB\nMemAvailable: 400000 kB\n")
    with pytest.raises(Unusable, match=r"--part: 500,000 clients are this machine's, and [0-9,]+ fit: memory"):
        fitted(machine, "--whole", "--clients", "1000000", "--part", "1/2", "--url", "http://127.0.0.1")


def test_both_ends_count(machine: Machine) -> None:
    """Each connection is two files and two places in epoll when both ends are on this machine."""
    machine.set(fs__epoll__max_user_watches=1_202_000)
    options = fitted(machine, "--million")
    assert (options.clients, options.bound) == (600_000, "fs.epoll.max_user_watches")


def test_limits_that_cannot_be_raised(machine: Machine) -> None:
    """With 700 open files, 250 workers at most hold what they can."""
    machine.write("proc/self/limits", LIMITS.format(hard="700"))
    options = fitted(machine, "--million")
    assert options.bound == "open files (RLIMIT_NOFILE)"
    assert options.server_workers == 250
    assert options.clients < 250 * (700 - 512)


def test_processes_that_are_too_few(machine: Machine) -> None:
    """A number of processes that was given is kept, or refused."""
    assert fitted(machine, "--million", "--processes", "60").processes == 60
    with pytest.raises(Unusable, match="--processes: 1000000 clients need at least 51"):
        fitted(machine, "--million", "--processes", "50")
