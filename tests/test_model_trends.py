"""The rings of the last hour, beside a plain list of points."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.trends import Steps, Trends

POINTS = 7
_values = st.none() | st.integers(0, 2**24).map(float)
_points = st.lists(st.tuples(st.integers(0, 2 * POINTS), _values, _values), max_size=40)


def known(points: list[float]) -> list[float | None]:
    """The points with None for what is not known."""
    return [None if math.isnan(value) else value for value in points]


@given(_points)
def test_beside_a_list(points: list[tuple[int, float | None, float | None]]) -> None:
    """Whatever is added, late, twice or after a long while, the rings have the end of what a list of all points has."""
    trends = Trends(["a", "b"], POINTS)
    model: list[tuple[float | None, float | None]] = []
    for ahead, a, b in points:
        trends.add(ahead, {"a": a, "b": b})
        if model and not ahead:
            model[-1] = (a, b)
        else:
            model += [(None, None)] * (ahead - 1 if model else 0) + [(a, b)]
        series = {name: known(found) for name, found in trends.series().items()}
        assert series == {"a": [a for a, _ in model[-POINTS:]], "b": [b for _, b in model[-POINTS:]]}


def test_nothing_yet() -> None:
    """Before the first point all series are there, and empty."""
    assert Trends(["a"], POINTS).series() == {"a": []}


def test_what_is_missing() -> None:
    """A series that a point says nothing of is not known there, and what is no series is not kept."""
    trends = Trends(["a", "b"], POINTS)
    trends.add(1, {"a": 1.0})
    trends.add(1, {"b": 2.0, "c": 3.0})
    assert {name: known(found) for name, found in trends.series().items()} == {"a": [1.0, None], "b": [None, 2.0]}


def test_what_it_takes() -> None:
    """An hour of fifteen series is 43,200 bytes, and stays so however long the server runs."""
    trends = Trends([str(n) for n in range(15)], 720)
    for _ in range(2000):
        trends.add(1, {"3": 1.5})
    rings: dict[str, array[float]] = trends._rings
    assert sum(len(ring) * ring.itemsize for ring in rings.values()) == 43_200


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([100.0, 105.0, 110.0], [1, 1, 1]),
        ([100.0, 105.2, 110.1, 114.9, 120.0], [1, 1, 1, 1, 1]),
        ([100.0, 106.0, 112.0, 118.0, 124.0], [1, 1, 1, 2, 1]),
        ([100.0, 105.0, 113.0, 115.0, 120.0], [1, 1, 2, 0, 1]),
        ([100.0, 105.0, 3705.0, 3710.0], [1, 1, 720, 1]),
        ([100.0, 105.0, 3707.4, 3712.4, 3717.4], [1, 1, 720, 1, 1]),
    ],
    ids=["in time", "a little late", "slow", "held up", "slept", "slept, and out of step"],
)
def test_steps(moments: list[float], expected: list[int]) -> None:
    """A timer that is a little late changes nothing; what was missed counts once, also when it goes on elsewhere."""
    steps = Steps(5)
    assert [steps.ahead(moment) for moment in moments] == expected


@given(st.lists(st.floats(0, 2.4), min_size=2, max_size=200))
def test_late_timers(late: list[float]) -> None:
    """However late each timer is by less than half a step, there is one point for each."""
    steps = Steps(5)
    assert [steps.ahead(n * 5 + each) for n, each in enumerate([0.0, *late])] == [1] * (len(late) + 1)


@given(st.lists(st.floats(0.01, 20_000), min_size=1, max_size=50))
def test_no_step_is_lost(pauses: list[float]) -> None:
    """After any pauses there are as many steps as time has passed for, but for half a step each."""
    steps, now, passed = Steps(5), 0.0, 0
    steps.ahead(now)
    for pause in pauses:
        now += pause
        passed += steps.ahead(now)
    assert abs(passed * 5 - now) <= 2.5 * len(pauses) + 5
