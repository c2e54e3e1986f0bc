"""What the doctor says of equal pages: advice, whatever the kernel does with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from megacomet.doctor import ksm
from megacomet.doctor.finding import FINE, UNKNOWN, Aim, Finding
from megacomet.settings import Settings
from tests.machines import MILLION, Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One whose kernel can, and is not told to."""
    return Machine(tmp_path)


def look(machine: Machine, workers: int = 54) -> Finding:
    """Make the check."""
    return ksm.merging(machine.files, Aim(MILLION, workers, Settings()))


def test_off(machine: Machine) -> None:
    """It says what it would bring to so many workers, what it costs, and the line that switches it on."""
    found = look(machine)
    assert (found.state, found.value, found.needs) == (FINE, "0: off", "")
    assert found.change == "echo 1 > /sys/kernel/mm/ksm/run"
    assert " 54 workers take some 84 MB less then, and the kernel 25 MB for looking" in found.why
    assert " looks at 100 pages, then sleeps 20 ms: theirs are merged after 156 s or more" in found.why
    assert " 12 to 18 % of a processor" in found.why
    assert " 2 workers take some 2 MB less then, and the kernel 1 MB" in look(machine, 2).why


def test_on(machine: Machine) -> None:
    """Nothing is left to advise; the kernel's own reckoning is told, which may be a loss."""
    machine.write(ksm.RUN, "1\n")
    machine.write(f"{ksm.KSM}/pages_to_scan", "2000\n")
    machine.write(f"{ksm.KSM}/general_profit", "82000000\n")
    found = look(machine)
    assert (found.state, found.value, found.change) == (FINE, "1: on", "")
    assert " 2,000 pages, then sleeps 20 ms: theirs are merged after 8 s or more" in found.why
    assert found.why.endswith(" saves 82 MB by it now, of all processes.")
    machine.write(f"{ksm.KSM}/general_profit", "-3000000\n")
    assert look(machine).why.endswith(" saves -3 MB by it now, of all processes.")
    machine.write(f"{ksm.KSM}/general_profit", "much\n")
    assert look(machine).why.endswith(" of a processor.")


def test_taken_apart(machine: Machine) -> None:
    """What was merged is not any more: it is as good as off."""
    machine.write(ksm.RUN, "2\n")
    found = look(machine)
    assert (found.state, found.value) == (FINE, "2: off, none stay merged")
    assert found.change == "echo 1 > /sys/kernel/mm/ksm/run"


def test_one_worker(machine: Machine) -> None:
    """It has nobody to share with, so nothing is advised."""
    found = look(machine, 1)
    assert (found.state, found.change) == (FINE, "")
    assert found.why.endswith(" One worker has nobody to share them with.")


def test_a_container(machine: Machine) -> None:
    """Where nobody can write it here, the host is meant."""
    machine.closed.add(ksm.RUN)
    assert look(machine).change == "echo 1 > /sys/kernel/mm/ksm/run, on the host"


@pytest.mark.parametrize("run", ["0\n", "1\n"])
def test_a_kernel_that_is_too_old(machine: Machine, run: str) -> None:
    """Workers cannot agree there, so nothing is advised."""
    machine.write(ksm.RUN, run)
    machine.remove(f"{ksm.KSM}/general_profit")
    found = look(machine)
    assert (found.state, found.change) == (FINE, "")
    assert found.value.endswith("; Linux older than 6.4")
    assert "PR_SET_MEMORY_MERGE" in found.why


def test_a_kernel_without_it(machine: Machine) -> None:
    """The directory is missing where others of its kind are not."""
    for name in ("run", "pages_to_scan", "sleep_millisecs", "general_profit"):
        machine.remove(f"{ksm.KSM}/{name}")
    found = look(machine)
    assert (found.state, found.value, found.change) == (FINE, "not in this kernel", "")


@pytest.mark.parametrize("text", ["", "3\n", "-1\n", "on\n", "1 1\n"])
def test_what_is_not_known(machine: Machine, text: str) -> None:
    """Odd words are shown, and nothing is advised."""
    machine.write(ksm.RUN, text)
    found = look(machine)
    assert (found.state, found.value, found.change) == (UNKNOWN, "", "")
    assert found.why.endswith(f" It is odd: {text.strip()!r} here.")


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    """Without /sys it is not known."""
    found = look(Machine(tmp_path, bare=True))
    assert found.state == UNKNOWN
    assert found.why.endswith(" It is missing here.")


@pytest.mark.parametrize(("name", "text"), [("pages_to_scan", "0\n"), ("pages_to_scan", "x"), ("sleep_millisecs", "")])
def test_a_pace_that_is_not_known(machine: Machine, name: str, text: str) -> None:
    """Then how long it takes is not told."""
    machine.write(f"{ksm.KSM}/{name}", text)
    assert "sleeps" not in look(machine).why
