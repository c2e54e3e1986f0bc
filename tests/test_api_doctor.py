"""GET /api/doctor: what `megacomet doctor --json` prints, of the machine of the running server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from megacomet.manager.checkup import LOOK_S, Checkup
from megacomet.manager.main import Manager
from megacomet.settings import Settings
from megacomet.wire.doctor import doctor_json
from tests.doors import PUSH_KEY, READ_KEY, Doors, get
from tests.machines import Machine


def test_what_was_found() -> None:
    """All of it, for a key that may read; one that may push only is refused."""
    doors = Doors()
    answer = doors.ask(get("/api/doctor", key=READ_KEY))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == doors.doctor.found
    assert doors.ask(get("/api/doctor", key=PUSH_KEY)).status == 403
    assert doors.ask(get("/api/doctor", key=None)).status == 401


class FakeManager(Manager):
    """Knows what its processes have."""

    def memory_of(self, now: float) -> dict[int, int]:
        """Two processes."""
        return {1: 2_000_000_000, 2: 1_000_000_000}

    def connections(self) -> dict[str, int]:
        """By transport."""
        return {"poll": 100_000, "ws": 150_000}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One on which all is well."""
    return Machine(tmp_path)


def test_the_manager_looks(machine: Machine) -> None:
    """Every field of the description is there; what the server has is room for it."""
    machine.write("proc/meminfo", "MemAvailable: 1000000 kB\n")
    told = Checkup(Settings(capacity=1_000_000), FakeManager(), lambda: 0.0, lambda: machine.files).look()
    assert json.loads(doctor_json(told)) == told
    assert told["connections"] == 1_000_000
    assert told["forecast"]["room_bytes"] == 1_024_000_000 + 3_000_000_000 + 250_000 * 4096
    assert told["kernel_log"] is False


def test_it_looks_seldom(machine: Machine) -> None:
    """Who asks again soon is told the same."""
    now = 100.0
    looks: list[Any] = []

    def files() -> Any:
        looks.append(now)
        return machine.files

    made = Checkup(Settings(), FakeManager(), lambda: now, files)
    first = made.look()
    now += LOOK_S / 2
    assert made.look() is first
    now += LOOK_S
    assert made.look() is not first
    assert len(looks) == 2
