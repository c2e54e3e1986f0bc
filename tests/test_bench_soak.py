"""The verdict of a soak: what has returned to where it was passes, each leak is told by its name and by how much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench import returning
from bench.figures import Figure
from bench.standing import DESCRIPTORS, PSS, is_exact, told
from megacomet.swarm.series import Series
from megacomet.swarm.soak import ACCEPTED, MEMORY

MANAGER, WORKER = MEMORY + "manager", MEMORY + "worker 0"
REST = {
    MANAGER: 44e6,
    WORKER: 16e6,
    DESCRIPTORS + "manager": 24.0,
    "rows (open connections)": 0.0,
    "entries of the directory": 0.0,
    "bytes of the store": 0.0,
    "sockets of the server's port": 4.0,
    ACCEPTED: 7.0,
    "TCP sockets in use": 20.0,
    PSS + "manager": 50e6,
}


def series(memory: Callable[[float], float]) -> Series:
    """Samples of 20 minutes with 2,000 connects a second: the manager's memory as given, a worker's that jitters."""
    made = Series(("seconds", MANAGER, WORKER, ACCEPTED))
    for n in range(301):
        seconds = 4.0 * n
        made.add(seconds, memory(seconds), 16e6 + 300_000 * (n % 7), 2000 * seconds)
    return made


def unmet(figures: Any) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures if figure.met is False}


def test_what_returned() -> None:
    """Counts that are what they were and memory that jitters are well; what is of others is not judged."""
    after = {**REST, MANAGER: 45.5e6, WORKER: 15e6, ACCEPTED: 2e6, "TCP sockets in use": 99.0, PSS + "manager": 70e6}
    assert returning.not_returned(REST, after) == {}
    judged = list(returning.of_rest(REST, after))
    assert [figure.met for figure in judged] == [True] * 7
    assert unmet(returning.of_time(series(lambda seconds: 44e6))) == {}


@pytest.mark.parametrize("name", [name for name in REST if is_exact(name)])
@pytest.mark.parametrize("more", [1, -1])
def test_one_that_is_left(name: str, more: int) -> None:
    """A single row, descriptor, entry, byte of the store or socket too many is told, and so is one too few."""
    after = {**REST, name: REST[name] + more}
    assert returning.not_returned(REST, after) == {name: more}
    (figure,) = unmet(returning.of_rest(REST, after)).values()
    assert (figure.name, figure.value) == (f"{name}: more than before", more)


def test_what_is_not_told_any_more() -> None:
    """A figure that there is no more, or that there was not, has not returned."""
    assert returning.not_returned({"a": 1.0}, {}) == {"a": -1.0}
    assert returning.not_returned({}, {"a": 2.0, MANAGER: 5.0}) == {"a": 2.0}


def test_memory_that_stays() -> None:
    """Of memory at rest a process may have 2 MB more, and no more than that."""
    (figure,) = unmet(returning.of_rest(REST, {**REST, WORKER: REST[WORKER] + 2_100_000})).values()
    assert (figure.name, figure.value) == (f"{WORKER}: more than before", 2.1)


def test_memory_that_rises() -> None:
    """A leak of 16 bytes in every tenth connect is seen as a slope, though nothing of it is seen in two samples."""
    (figure,) = unmet(returning.of_time(series(lambda seconds: 44e6 + 1.6 * 2000 * seconds))).values()
    assert figure.name == f"{MANAGER}: rise of the line"
    assert figure.value == pytest.approx(1.6 * 2000 * 900 / 1e6)
    assert "1.60 a connect" in figure.detail


def test_memory_that_has_risen() -> None:
    """What is there once and for all after the first minutes is no leak."""
    assert unmet(returning.of_time(series(lambda seconds: 44e6 + min(seconds, 300) * 50_000))) == {}


def test_line() -> None:
    """Who waits for the end is told how it stands."""
    assert returning.line(series(lambda seconds: 44e6)) == "1,200 s: 0 rows, 2,400,000 connects so far, 61.8 MB"


def test_rate() -> None:
    """How many come in a second is told of the time that is looked at; without samples it is none."""
    assert returning.connects_per_s(series(lambda seconds: 0)) == pytest.approx(2000)
    assert returning.connects_per_s(Series(("seconds", ACCEPTED))) == 0


@pytest.mark.parametrize(
    ("points", "rise"),
    [([], 0.0), ([(1, 5)], 0.0), ([(1, 5), (1, 7)], 0.0), ([(0, 1), (2, 5)], 2.0), ([(0, 0), (1, 3), (2, 0)], 0.0)],
)
def test_slope(points: list[tuple[float, float]], rise: float) -> None:
    """The line of least squares."""
    assert returning.slope(points) == rise


def report(**changed: Any) -> dict[str, Any]:
    names = ("lost", "repeated", "out_of_order", "dropped", "skipped", "needless")
    return {**dict.fromkeys(names, 0), "gaps": 50, "problems": [], **changed}


def test_messages_that_arrived() -> None:
    """Gaps that are true are well."""
    assert unmet(returning.of_messages([report(skipped=90), report(needless=2)])) == {}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"lost": 1}, "messages lost"),
        ({"repeated": 1}, "messages repeated"),
        ({"out_of_order": 1}, "messages out of order"),
        ({"dropped": 1}, "connections lost"),
        ({"problems": ["x"]}, "complaints of the load client"),
        ({"needless": 3}, "of them without anything missed"),
    ],
)
def test_messages_that_did_not(changed: dict[str, Any], name: str) -> None:
    """One fault in one of the runs is told."""
    assert list(unmet(returning.of_messages([report(), report(**changed)]))) == [name]


def test_nobody_came_back_late() -> None:
    """Without a gap it was not tried whether gaps are told."""
    assert list(unmet(returning.of_messages([report(gaps=0)]))) == ["gaps told to who came back late"]


def test_page() -> None:
    """Figures are summed over workers and transports."""
    page = """# TYPE megacomet_connections gauge
megacomet_connections{worker="0",transport="sse"} 3.0
megacomet_connections{worker="1",transport="ws"} 4.0
# TYPE megacomet_directory_entries gauge
megacomet_directory_entries 9.0
# TYPE megacomet_connections_accepted_total counter
megacomet_connections_accepted_total{worker="0"} 5.0
megacomet_connections_accepted_total{worker="1"} 6.0
"""
    found = told(page)
    assert (found["connections that wait"], found["entries of the directory"], found[ACCEPTED]) == (7, 9, 11)
    assert found["bytes of the store"] == 0
