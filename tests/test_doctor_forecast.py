"""The forecast: what so many take, how many fit, which bound is met first; and the report of it all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.doctor import costs
from megacomet.doctor.forecast import MOST, forecast, most_in
from megacomet.doctor.report import aim_of, make_report
from megacomet.doctor.start import warnings
from megacomet.model import room
from megacomet.settings import Settings
from tests.machines import LIMITS, MILLION, Machine

ROOT = Path(__file__).parents[1]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One on which all is well."""
    return Machine(tmp_path)


def test_a_million(machine: Machine) -> None:
    """What was measured of a million after a message to each (426 MB) is what is forecast, within 3 %."""
    report = make_report(machine.files, machine.aim(), [])
    told = report.forecast
    assert told.workers == 54
    assert abs(told.processes["poll"] - 426_000_000) < 0.03 * 426_000_000
    assert told.kernel == 4_096_000_000
    assert told.total == costs.needed_bytes(MILLION, 54, Settings())
    assert (told.fits, told.first) == (True, "fs.file-max")
    assert told.most == 2_466_183 - costs.OWN_FILES - 2327


def test_the_constants_are_in_the_results() -> None:
    """Each measured figure stands in bench/RESULTS.md, and one place of the code has it."""
    text = (ROOT / "bench/RESULTS.md").read_text("utf-8")
    for figure in ("112 MB", "298 MB", "parked in 35.5", "330 B", "369", "271,924", "22.0 us", "28.4 MB", "0.99 pages"):
        assert figure.split()[0] in text, figure
    for command in ("bench idle_memory", "bench idle_streams", "bench million", "bench pings", "bench kernel_memory"):
        assert f"`python -m {command}" in text, command
    assert room.SOCKET_BYTES is costs.SOCKET_BYTES


def test_memory_is_the_first_bound(machine: Machine) -> None:
    """On a small machine it is; one more connection would not fit."""
    machine.write("proc/meminfo", "MemAvailable: 2000000 kB\n")
    report = make_report(machine.files, machine.aim(), [])
    told = report.forecast
    assert (told.fits, told.first) == (False, "memory")
    assert told.most is not None
    aim = machine.aim(told.most)
    assert costs.needed_bytes(told.most, aim.workers, aim.settings) <= 2_048_000_000
    assert costs.needed_bytes(told.most + 1, machine.aim(told.most + 1).workers, aim.settings) > 2_048_000_000


def test_descriptors_are_the_first_bound(machine: Machine) -> None:
    """Under a low limit they are."""
    machine.write("proc/self/limits", LIMITS.format(hard="1024"))
    told = make_report(machine.files, machine.aim(), []).forecast
    assert (told.most, told.first) == (102_500, "open files (RLIMIT_NOFILE)")


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    """Then nothing is said about how many fit."""
    machine = Machine(tmp_path, bare=True)
    told = forecast(machine.files, machine.aim(), [])
    assert (told.most, told.first, told.room, told.fits) == (None, "", None, True)
    assert told.as_object()["first_bound"] is None
    machine.write("proc/meminfo", "MemAvailable: 2000000 kB\n")
    assert forecast(machine.files, machine.aim(), []).first == "memory"


@given(st.integers(0, 10**12), st.integers(1, 10**6), st.integers(0, 10**9))
def test_the_largest_number(room_bytes: int, each: int, base: int) -> None:
    """It fits, and one more does not."""
    found = most_in(room_bytes, lambda connections: base + each * connections)
    assert 0 <= found < MOST
    assert found == 0 or base + each * found <= room_bytes
    assert found == MOST - 1 or base + each * (found + 1) > room_bytes


def test_how_many_when_nobody_says(machine: Machine) -> None:
    """The settings' capacity; without one, what the workers' descriptors allow."""
    assert aim_of(machine.files, Settings(capacity=5000), 0, 2).connections == 5000
    assert aim_of(machine.files, Settings(capacity=5000), 7000, 2).connections == 7000
    assert aim_of(machine.files, Settings(), 0, 2).connections == 37_222
    assert aim_of(machine.files, Settings(workers=8), 0, 2).workers == 8
    machine.remove("proc/self/limits")
    nothing = aim_of(machine.files, Settings(), 0, 2)
    assert (nothing.connections, nothing.workers) == (0, 2)


def test_the_running_server(machine: Machine) -> None:
    """Its limits count, not those of who asks."""
    machine.write("proc/77/limits", LIMITS.format(hard="1048576"))
    aim = aim_of(machine.files, Settings(), MILLION, 2, "77")
    assert aim.workers == 2


def test_report(machine: Machine) -> None:
    """All of it is JSON, and what is low makes it not fine."""
    machine.set(net__core__somaxconn=128)
    machine.write("proc/vmstat", "oom_kill 3\n")
    report = make_report(machine.files, machine.aim(), None)
    told = json.loads(json.dumps(report.as_object()))
    assert told["fine"] is False
    assert told["kernel_log"] is False
    assert [(one["where"], one["count"]) for one in told["traces"]] == [("oom_kill in /proc/vmstat", 3)]
    assert [one["name"] for one in told["checks"] if one["state"] != "fine"] == ["net.core.somaxconn"]
    assert told["forecast"]["fits"] == report.forecast.most
    assert [one.name for one in report.low] == ["net.core.somaxconn"]


def test_warnings(machine: Machine) -> None:
    """A server that starts says one line for each thing that is low, and nothing else."""
    assert list(warnings(machine.files, machine.aim())) == []
    machine.set(net__core__somaxconn=128)
    machine.write("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet")
    machine.write("sys/devices/system/clocksource/clocksource0/available_clocksource", "hpet")
    first, second = warnings(machine.files, machine.aim())
    assert first == (
        "net.core.somaxconn is 128, 260 needed for 1,000,000 connections: sysctl -w net.core.somaxconn=260"
    )
    assert second.startswith("clock source is hpet for 1,000,000 connections: ")
