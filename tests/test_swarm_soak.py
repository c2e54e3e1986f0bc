"""Which charts there are of a soak, and what each of them shows."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from megacomet.swarm.series import MOST, Series
from megacomet.swarm.soak import (
    ACCEPTED,
    DIRECTORY,
    MEMORY,
    ROWS,
    STORED,
    charts,
    connections,
    connects,
    memory,
)

PROCESSES = ("manager", "worker 0", "worker 1", "zygote")


def samples(processes: tuple[str, ...] = PROCESSES, rows: int = 4) -> Series:
    """One every four seconds: process n has n more MB each time, and 2,000 clients connect a second."""
    made = Series(("seconds", *(MEMORY + name for name in processes), ROWS, DIRECTORY, STORED, ACCEPTED))
    for n in range(rows):
        held = (20e6 + 1e6 * n * (place + 1) for place in range(len(processes)))
        made.add(4.0 * (n + 1), *held, 7000 + n % 7, 7300 - n % 13, 4000 + n % 9, 500 + 8000 * n)
    return made


def test_all_of_them() -> None:
    """Three pictures, each of which is one, and small however long the soak was and however many processes it had."""
    drawn = charts(samples((*PROCESSES, "worker 2", "worker 3"), MOST))
    assert list(drawn) == ["soak-memory", "soak-connections", "soak-connects"]
    for svg in drawn.values():
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert len(svg) <= 40_000


def test_memory() -> None:
    """Each process by itself, in MB from zero on, over all of the time; the title says how many have connected."""
    made = memory(samples())
    assert [line.name for line in made.lines] == [*PROCESSES]
    assert [line.points[-1] for line in made.lines] == [(16.0, 23.0), (16.0, 26.0), (16.0, 29.0), (16.0, 32.0)]
    assert (made.x.most, made.y.part(0), made.y.part(32) > 0.8) == (16, 0, True)
    assert made.title == "Memory of each process over 24,000 connects"


def test_memory_of_many_workers() -> None:
    """Of many workers the largest and the smallest are shown, so that one that grows is seen."""
    made = memory(samples(("manager", *(f"worker {n}" for n in range(8)), "zygote")))
    assert [line.name for line in made.lines] == ["manager", "zygote", "largest of 8 workers", "smallest of 8 workers"]
    assert [line.points[-1] for line in made.lines] == [(16.0, 23.0), (16.0, 50.0), (16.0, 47.0), (16.0, 26.0)]


def test_memory_that_is_not_known() -> None:
    """A sample that has no figure of a process is left out of its line."""
    made = samples(rows=2)
    made.add(16.0, None, *(1e6 for _ in made.columns[2:]))
    assert [line.points[-1][0] for line in memory(made).lines] == [8.0, 16.0, 16.0, 16.0]


def test_connections() -> None:
    """What there is of clients and of messages, each count as it was."""
    made = connections(samples())
    assert [line.points[0][1] for line in made.lines] == [7000, 7300, 4000]
    assert made.y.most >= 7300


def test_connects() -> None:
    """The rate between one sample and the next, until the last one; the title tells both."""
    made = connects(samples())
    assert made.lines[0].points == [(4.0, 2000.0), (8.0, 2000.0), (12.0, 2000.0), (16.0, 2000.0)]
    assert made.title == "24,000 connects in 12 s"


@pytest.mark.parametrize("name", [ROWS, DIRECTORY, STORED, ACCEPTED])
def test_a_column_that_is_missing(name: str) -> None:
    """It is told by its name."""
    plain = samples().to_json()
    plain["columns"][plain["columns"].index(name)] = "something else"
    with pytest.raises(ValueError, match="a series without '" + name.replace("(", r"\(").replace(")", r"\)")):
        charts(Series.from_json(plain))
