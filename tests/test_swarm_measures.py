"""What a whole run has measured: the figures that people look for, the page, and JSON and back."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from megacomet.swarm.measures import COLUMNS, EMPTY, HELD, IDLE, PUSHED, REACHED, Mark, Measures
from megacomet.swarm.series import Series

MB = 1_000_000
GB = 1_000_000_000


def series() -> Series:
    """Two clients and two moments."""
    made = Series(COLUMNS)
    made.add(0.0, 0, 0, 100 * MB, 0, 20 * MB)
    made.add(1.0, 2, 1, None, 8000, 20 * MB)
    return made


def measures(**more: Any) -> Measures:
    """Of a million."""
    fields: dict[str, Any] = {
        "workers": 54,
        "server_processes": 56,
        "wanted": 1_000_000,
        "low": ("net.core.somaxconn is 128",),
        "counted": (1_000_000, 999_999),
        "stages": (("ramp", 0.0), ("hold", 40.0)),
        "marks": {
            EMPTY: Mark(0.0, 298 * MB, 44 * MB, 20 * MB, 3.0, 1 * GB, 0, 22 * GB),
            HELD: Mark(40.0, 398 * MB, 60 * MB, 90 * MB, 43.0, 9 * GB, 400 * MB, 13 * GB),
            IDLE: Mark(70.0, 398 * MB, 60 * MB, 90 * MB, 43.3),
            PUSHED: Mark(100.0, 398 * MB, 60 * MB, 90 * MB, 49.3),
            REACHED: Mark(130.0, 420 * MB, 60 * MB, 90 * MB, 60.0),
        },
        "lost": 18_500,
        "back_s": 1.9,
        "series": series(),
    }
    return Measures(**{**fields, **more})


def test_figures() -> None:
    """Memory and CPU, each for one connection, and the processors that were used while idle and while pushed to."""
    assert measures().figures(1_000_000) == {
        "idle_cores": 0.01,
        "busy_cores": 0.2,
        "kernel_bytes_each": 8400.0,
        "load_bytes_each": 70.0,
        "server_bytes": 398 * MB,
        "server_bytes_each": 100.0,
        "available_bytes_each": 9000 - 8400 - 70,
        "ramp_cpu_us_each": 40.0,
    }


def test_another_s_server() -> None:
    """Of a server that is not ours only our side is known."""
    told = measures(server_processes=0, workers=0).figures(1_000_000)
    assert set(told) == {"kernel_bytes_each", "load_bytes_each"}


def test_a_run_that_ended_early() -> None:
    """What was not reached has no figures, and no line."""
    early = Measures(wanted=5, marks={EMPTY: Mark(0.0)})
    assert early.figures(0) == {}
    assert list(early.lines(5, 0)) == []


def test_lines() -> None:
    """The page has the figures with their units."""
    page = "\n".join(measures(bound="memory").lines(900_000, 1_000_000))
    for told in (
        "900,000 of 1,000,000 clients that were asked for: memory",
        "1,000,000 connections when all were held, 999,999 at the end",
        "398 MB in 56 processes, 54 workers (298 MB before, manager 60 MB)",
        "idle 1.0 %, with pushes 20.0 % of a processor",
        "18,500 connections lost with a worker, all back after 1.9 s",
        "420 MB, after a message to each",
        "doctor: low  net.core.somaxconn is 128",
    ):
        assert told in page
    lost = "\n".join(measures(back_s=-1.0).lines(1_000_000, 999_999))
    assert "18,500 connections lost with a worker, not all came back" in lost


def test_json() -> None:
    """JSON and back is the same."""
    again = Measures.from_json(json.loads(json.dumps(measures().to_json(1_000_000))))
    assert again == measures()
    assert again.series.rows == series().rows


@pytest.mark.parametrize(
    "more",
    [
        {"marks": {"held": {"at_s": 1.0, "colour": 5}}},
        {"marks": []},
        {"counted": [1]},
        {"counted": 5},
        {"stages": [["ramp"]]},
        {"stages": [["ramp", "x"]]},
        {"series": {}},
        {"series": {"columns": ["a"], "rows": [[0.0, 1]]}},
    ],
)
def test_no_measures(more: dict[str, Any]) -> None:
    """What is none is refused, whatever is wrong with it."""
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        Measures.from_json({**measures().to_json(1), **more})


def test_every_field_is_told() -> None:
    """The JSON form leaves nothing out."""
    assert {a.name for a in attrs.fields(Measures)} < set(measures().to_json(1))
