"""How long things took, by class."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.histogram import BOUNDS_S, Histogram, quantile


@pytest.mark.parametrize(
    ("seconds", "class_"),
    [(0.0, 0), (0.0005, 0), (0.00051, 1), (1.0, 10), (10.0, len(BOUNDS_S) - 1), (10.1, len(BOUNDS_S))],
)
def test_classes(seconds: float, class_: int) -> None:
    """A time is in the first class that it does not exceed; what is too long for all is in one more."""
    histogram = Histogram()
    histogram.add(seconds)
    assert [n for n, count in enumerate(histogram.counts) if count] == [class_]


def test_sums() -> None:
    """The same time may count several times; what is told is JSON, and does not change any more."""
    histogram = Histogram()
    histogram.add(0.5, 3)
    told = json.loads(json.dumps(histogram.told()))
    histogram.add(0.25)
    assert (sum(told["counts"]), told["sum_s"]) == (3, 1.5)
    assert (sum(histogram.counts), histogram.sum_s) == (4, 1.75)


def counts(**by_class: int) -> list[int]:
    """How many there are, as `c3=7`: seven in the class 3."""
    return [by_class.get(f"c{n}", 0) for n in range(len(BOUNDS_S) + 1)]


@pytest.mark.parametrize(
    ("classes", "share", "seconds"),
    [
        ({"c0": 10}, 0.5, 0.00025),
        ({"c0": 10, "c1": 10}, 0.5, 0.0005),
        ({"c3": 40, "c2": 60}, 0.9, 0.0025 + 0.0025 * 30 / 40),
        ({"c13": 1}, 1.0, 10.0),
        ({"c0": 1, "c14": 99}, 0.99, 10.0),
        ({"c14": 1}, 0.5, 10.0),
    ],
)
def test_quantiles(classes: dict[str, int], share: float, seconds: float) -> None:
    """Within a class times are taken to be spread evenly; what took longer than all bounds is the longest of them."""
    assert quantile(counts(**classes), share) == pytest.approx(seconds)


def test_a_quantile_of_nothing() -> None:
    """Of no messages nobody knows how long they took."""
    assert quantile(counts(), 0.99) is None
    assert quantile([], 0.99) is None


@given(st.lists(st.floats(0, 12), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_quantile_is_in_the_class_of_the_true_one(times: list[float], share: float) -> None:
    """Whatever the times, what is told is in the class in which the true time is."""
    histogram = Histogram()
    for each in times:
        histogram.add(each)
    found = quantile(histogram.counts, share)
    assert found is not None
    rank = share * len(times)
    reached = [bound for bound in BOUNDS_S if sum(each <= bound for each in times) >= rank]
    longest = reached[0] if reached else BOUNDS_S[-1]
    at = BOUNDS_S.index(longest)
    assert (BOUNDS_S[at - 1] if at else 0.0) <= found <= longest * (1 + 1e-9)
