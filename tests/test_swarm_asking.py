"""What a whole run makes of the answers of the server's API."""

from __future__ import annotations

from typing import Any

import pytest

from megacomet.swarm.asking import busiest, counted


@pytest.mark.parametrize(
    ("stats", "number"),
    [
        ({"connections": {"poll": 3, "sse": 4}}, 7),
        ({"connections": {}}, 0),
        ({"connections": {"poll": None}}, -1),
        ({"connections": 7}, -1),
        ({}, -1),
        (None, -1),
        ([1], -1),
    ],
)
def test_counted(stats: Any, number: int) -> None:
    """All transports together; an answer that is none says nothing."""
    assert counted(stats) == number


@pytest.mark.parametrize(
    ("workers", "found"),
    [
        ([{"pid": 7, "connections": {"poll": 3}}, {"pid": 8, "connections": {"poll": 1, "ws": 3}}], (8, 4)),
        ([{"pid": 7, "connections": {"poll": 0}}], None),
        ([{"pid": None, "connections": {"poll": 5}}], None),
        ([{"pid": 7, "connections": None}], None),
        ([7], None),
        ({}, None),
        (None, None),
    ],
)
def test_busiest(workers: Any, found: tuple[int, int] | None) -> None:
    """The one that most clients would miss; none that has nobody, or no process."""
    assert busiest(workers) == found
