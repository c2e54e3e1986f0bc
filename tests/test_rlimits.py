"""How many workers are run, and how many connections they hold."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from megacomet.errors import StartError
from megacomet.rlimits import (
    connections_for,
    connections_per_worker,
    open_descriptors,
    raise_descriptor_limit,
    workers_for,
)


@pytest.mark.parametrize(
    ("workers", "capacity", "limit", "cores", "expected"),
    [
        (0, 0, 20_000, 2, 2),
        (0, 0, 20_000, 1, 1),
        (0, 1_000, 20_000, 8, 8),
        (0, 1_000_000, 20_000, 2, 54),
        (0, 140_000, 20_000, 2, 8),
        (0, 1_000_000, 1_048_576, 2, 2),
        (8, 0, 20_000, 2, 8),
        (1, 1_000_000, 20_000, 2, 1),
    ],
)
def test_workers(workers: int, capacity: int, limit: int, cores: int, expected: int) -> None:
    """--workers is obeyed; otherwise there are enough for --capacity, and one for each core."""
    assert workers_for(workers, capacity, limit, cores) == expected


@pytest.mark.parametrize("limit", [600, 1024, 4096, 20_000, 1_048_576])
def test_a_worker_has_room_for_uneven_spread(limit: int) -> None:
    """Five standard deviations above its share, a worker still has descriptors left."""
    share = connections_per_worker(limit)
    assert share >= 1
    assert share == 1 or share + 5 * share**0.5 <= limit - 512


def test_one_worker_takes_all_that_it_can() -> None:
    """A lone worker gets every connection, so it needs no room for chance."""
    assert connections_for(1, 20_000) == 20_000 - 512
    assert connections_for(2, 20_000) == 2 * connections_per_worker(20_000)


def test_a_limit_without_room_is_an_error() -> None:
    """Under a limit that leaves nothing for connections the server does not start, and says why."""
    with pytest.raises(StartError, match="limit of 256 open files is too low"):
        workers_for(0, 0, 256, 2)


def test_soft_limit_is_raised_to_hard() -> None:
    """The soft limit of open files goes up to the hard one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, before[1]), before[1]))
        limit = raise_descriptor_limit()
        assert limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert limit == before[1] or before[1] == resource.RLIM_INFINITY
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_open_descriptors(tmp_path: Path) -> None:
    """The open ones are counted, where the system tells them."""
    before = open_descriptors()
    with open(os.devnull):
        assert open_descriptors() == before + 1
    assert open_descriptors(str(tmp_path / "nothing")) == 0
