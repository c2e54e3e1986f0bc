"""The load client's histogram: quantiles within a bucket, an exact maximum, sums and the JSON form."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megacomet.swarm.histogram import Histogram

DURATIONS = st.lists(st.integers(0, 10**13), min_size=1, max_size=50)


def filled(durations: list[int]) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    return histogram


def test_empty() -> None:
    """With nothing counted every figure is zero."""
    histogram = Histogram()
    assert (histogram.count, histogram.max_ns, histogram.quantile(0.99)) == (0, 0, 0)


def test_negative_counts_as_zero() -> None:
    """A clock that seems to go backwards does not break the count."""
    histogram = filled([-5])
    assert (histogram.count, histogram.quantile(1.0)) == (1, 0)


def test_seen_several_times() -> None:
    """A duration that many deliveries share is counted for each of them in one go."""
    histogram = filled([1 << 40])
    histogram.record(5_000, 99)
    assert (histogram.count, histogram.max_ns) == (100, 1 << 40)
    assert histogram.quantile(0.99) < 6_000


def test_beyond_the_last_bucket() -> None:
    """A duration that no bucket is large enough for is counted in the last one, and the maximum is exact."""
    histogram = filled([1 << 80])
    assert (histogram.count, histogram.max_ns) == (1, 1 << 80)


@given(DURATIONS, st.sampled_from([0.01, 0.5, 0.99, 0.999, 1.0]))
@settings(max_examples=200, deadline=None)
def test_quantiles(durations: list[int], share: float) -> None:
    """A quantile is never below the true one, and at most a unit and 1/32 above it."""
    ordered = sorted(durations)
    true = next(d for n, d in enumerate(ordered, 1) if n >= share * len(ordered))
    told = filled(durations).quantile(share)
    assert true <= told <= true + true // 32 + 1024


@given(DURATIONS)
@settings(max_examples=100, deadline=None)
def test_shares(durations: list[int]) -> None:
    """The part that took no longer than the longest is all, and it never falls; each is in one step."""
    histogram = filled(durations)
    assert sum(count for _, count in histogram.steps()) == len(durations)
    shares = [histogram.share_until(upper_ns) for upper_ns, _ in histogram.steps()]
    assert shares == sorted(shares)
    assert shares[-1] == histogram.share_until(max(durations)) == 1.0
    assert histogram.share_until(-1) == 0.0


@given(DURATIONS, DURATIONS)
@settings(max_examples=100, deadline=None)
def test_merge_and_json(one: list[int], other: list[int]) -> None:
    """Two machines' histograms, sent as JSON and added, say the same as one that saw everything."""
    merged = Histogram.from_json(filled(one).to_json())
    merged.merge(Histogram.from_json(filled(other).to_json()))
    assert merged.to_json() == filled(one + other).to_json()
    assert merged.count == len(one) + len(other)


def test_bad_json() -> None:
    """A bucket that does not exist is refused."""
    with pytest.raises(ValueError, match="no such bucket"):
        Histogram.from_json({"max_ns": 1, "buckets": {"-1": 1}})
