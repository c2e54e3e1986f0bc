"""How a run is cut to a machine: workers, client processes, source addresses, and the largest run that fits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.doctor.costs import WORKERS_MOST
from megacomet.rlimits import connections_for
from megacomet.settings import Settings
from megacomet.swarm.fitting import (
    FILES,
    OTHER_PROCESSES,
    PORTS,
    PROCESSES,
    SPARE_DESCRIPTORS,
    Limits,
    Shape,
    fitted,
    needed_bytes,
)
from megacomet.swarm.sources import LOOPBACK_SOURCES, PORTS_USED

GB = 1_000_000_000
SERVER = Settings(port=80)


def limits(**more: Any) -> Limits:
    """Those of the machine on which the million is held."""
    fields: dict[str, Any] = {
        "descriptors": 20_000,
        "ports": 28_232,
        "sources": LOOPBACK_SOURCES,
        "targets": 1,
        "cores": 2,
        "memory": 22 * GB,
    }
    return Limits(**{**fields, **more})


@pytest.mark.parametrize(
    ("wanted", "limit", "shape"),
    [
        (1_000_000, {}, Shape(1_000_000, 54, 51)),
        (1_000_000, {"descriptors": 1_048_576}, Shape(1_000_000, 2, 2)),
        (20_000, {}, Shape(20_000, 2, 2)),
        (1, {}, Shape(1, 2, 1)),
        (20_000, {"ports": 100}, Shape(20_000, 2, 2)),
        (20_000, {"ports": 1000, "sources": 2}, Shape(1500, 2, 1, PORTS)),
        (20_000, {"ports": 1000, "sources": 2, "targets": 8}, Shape(12_000, 2, 2, PORTS)),
        (20_000, {"ports": 0}, Shape(0, 0, 0, PORTS)),
        (20_000, {"descriptors": SPARE_DESCRIPTORS}, Shape(0, 0, 0, FILES)),
        (20_000, {"bounds": {"fs.file-max": 9000, "other": 12_000}}, Shape(9000, 2, 2, "fs.file-max")),
        (20_000, {"memory": 100_000_000}, Shape(0, 0, 0, "memory")),
        (1_000_000, {"processes": OTHER_PROCESSES + 10}, Shape(93_055, 5, 5, PROCESSES)),
        (20_000, {"memory": None}, Shape(20_000, 2, 2)),
    ],
)
def test_shapes(wanted: int, limit: dict[str, Any], shape: Shape) -> None:
    """Each limit has its part in the run, and the one that lets no more in is named."""
    assert fitted(wanted, limits(**limit), SERVER) == shape


def test_less_memory_than_asked() -> None:
    """With less memory it is the largest run that fits, to the client."""
    shape = fitted(1_000_000, limits(memory=4 * GB), SERVER)
    assert shape.bound == "memory"
    assert needed_bytes(shape.clients, limits(), SERVER) <= 4 * GB < needed_bytes(shape.clients + 1, limits(), SERVER)
    assert 250_000 < shape.clients < 450_000


def test_a_server_elsewhere() -> None:
    """Against another's server there are no workers to run, and its end of a connection takes nothing here."""
    here, there = fitted(10_000_000, limits(), SERVER), fitted(10_000_000, limits(), None)
    assert there.workers == 0
    assert there.clients > here.clients


def test_given_workers() -> None:
    """A number of workers that was given is kept."""
    assert fitted(20_000, limits(), Settings(port=80, workers=7)).workers == 7


@given(
    wanted=st.integers(1, 3_000_000),
    descriptors=st.integers(700, 1_048_576),
    ports=st.integers(1, 60_000),
    sources=st.sampled_from([1, 10, LOOPBACK_SOURCES]),
    cores=st.integers(1, 64),
    memory=st.none() | st.integers(0, 64 * GB),
    processes=st.none() | st.integers(1, 5000),
    bound=st.integers(0, 5_000_000),
)
def test_no_limit_is_broken(
    wanted: int,
    descriptors: int,
    ports: int,
    sources: int,
    cores: int,
    memory: int | None,
    processes: int | None,
    bound: int,
) -> None:
    """Whatever the machine: the run keeps within each limit, and is cut only when a limit demands it."""
    machine = Limits(descriptors, ports, sources, 1, cores, memory, processes, {"bound": bound})
    shape = fitted(wanted, machine, SERVER)
    assert (shape.bound == "") == (shape.clients == wanted)
    if not shape.clients:
        return
    assert shape.clients <= bound
    assert shape.clients <= sources * int(ports * PORTS_USED)
    assert shape.clients <= shape.processes * (descriptors - SPARE_DESCRIPTORS)
    assert 1 <= shape.workers <= WORKERS_MOST or cores > WORKERS_MOST
    assert memory is None or needed_bytes(shape.clients, machine, SERVER) <= memory
    if shape.workers < WORKERS_MOST:
        assert connections_for(shape.workers, descriptors) >= shape.clients


@given(st.integers(0, 2_000_000), st.integers(0, 2_000_000))
def test_more_clients_never_take_less(one: int, other: int) -> None:
    """The memory that a run needs never falls with its clients."""
    less, more = sorted((one, other))
    assert needed_bytes(less, limits(), SERVER) <= needed_bytes(more, limits(), SERVER)
