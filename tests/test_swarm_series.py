"""A run's figures over time: bounded, in the order of time, and the last one kept."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.swarm.series import MOST, STEP_S, Series, per_second, scaled


def filled(seconds: float, step_s: float = 0.05) -> Series:
    """A run of so long, looked at so often."""
    series = Series(("seconds", "value"))
    for n in range(int(seconds / step_s)):
        if series.due(n * step_s):
            series.add(n * step_s, n)
    return series


def test_two_a_second() -> None:
    """A short run has a row twice a second."""
    assert [seconds for seconds, _ in filled(10).rows] == pytest.approx([n * STEP_S for n in range(20)])


def test_a_long_run_is_thinned() -> None:
    """A run of three hours has no more rows than a chart can show, evenly over all of it."""
    series = filled(3 * 3600, 0.5)
    times = [row[0] or 0.0 for row in series.rows]
    assert MOST // 2 <= len(times) <= MOST
    assert max(b - a for a, b in pairwise(times)) <= series.step_s * 2
    assert times[-1] >= 3 * 3600 - 2 * series.step_s
    assert times[0] <= 2 * series.step_s


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=3 * MOST))
def test_bounded(times: list[float]) -> None:
    """However rows come: at most so many, in order, the last one among them; JSON and back is the same."""
    series = Series(("seconds", "value"))
    for seconds in sorted(times):
        series.add(seconds, None)
    assert len(series.rows) <= MOST
    assert series.rows[-1] == (max(times), None)
    assert series.rows == sorted(series.rows, key=lambda row: row[0] or 0.0)
    again = Series.from_json(json.loads(json.dumps(series.to_json())))
    assert (again.columns, again.rows) == (series.columns, series.rows)


def test_column() -> None:
    """What is not known is no point."""
    series = Series(("seconds", "a", "b"))
    series.add(0.0, 1, None)
    series.add(1.0, 2, 5)
    assert series.column("a") == [(0.0, 1), (1.0, 2)]
    assert series.column("b") == [(1.0, 5)]
    with pytest.raises(ValueError, match="2 figures for 3 columns"):
        series.add(2.0, 1)
    with pytest.raises(ValueError, match="a series without 'c'"):
        series.column("c")


@pytest.mark.parametrize(
    "rows",
    [[[0.0]], [[0.0, "1"]], [[None, 1]], [[1.0, 1], [0.5, 1]], [[0.0, True]], [[0.0, float("inf")]], [5], "x"],
)
def test_no_series(rows: Any) -> None:
    """What is none is refused."""
    with pytest.raises((ValueError, TypeError)):
        Series.from_json({"columns": ["seconds", "value"], "rows": rows})


@pytest.mark.parametrize(
    ("points", "rates"),
    [
        ([], []),
        ([(0.0, 0.0)], []),
        ([(0.0, 0.0), (0.5, 100.0)], [(0.0, 200.0), (0.5, 200.0)]),
        ([(0.0, 0.0), (0.5, 100.0), (1.0, 300.0), (3.0, 300.0)], [(0.0, 300.0), (1.0, 0.0), (3.0, 0.0)]),
        ([(0.0, 0.0), (0.0, 5.0)], []),
    ],
)
def test_per_second(points: list[tuple[float, float]], rates: list[tuple[float, float]]) -> None:
    """Each rate is over a second at least, or what there is."""
    assert per_second(points, 100.0) == rates


def test_other_unit() -> None:
    """Bytes become megabytes, at the same times."""
    assert scaled([(0.0, 5e6), (2.0, 7e6)], 1e6) == [(0.0, 5.0), (2.0, 7.0)]
