"""How long things took, by class."""

from __future__ import annotations

import json

import pytest

from megacomet.model.histogram import BOUNDS_S, Histogram


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
