"""What a whole run makes of the answers of the server's API."""

from __future__ import annotations

from typing import Any

import pytest

from megacomet.swarm.asking import busiest, counted, ended


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


def test_ended() -> None:
    """What workers have ended, for whatever reason of theirs; clients that go are none of it, nor is another page."""
    page = """# TYPE megacomet_connections_ended_total counter
megacomet_connections_ended_total{reason="gone"} 500.0
megacomet_connections_ended_total{reason="idle"} 9.0
megacomet_connections_ended_total{reason="silent"} 1.0
megacomet_connections_ended_total{reason="slow"} 2.0
megacomet_connections_ended_total{reason="failed"} 1.2e+06
"""
    assert ended(page) == 1_200_003
    assert ended("megacomet_ready 1.0\n") == ended("") == -1


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
