"""Figures for people."""

from __future__ import annotations

import pytest

from megacomet.cli.figures import age, count, duration, lag, rate, share, size


@pytest.mark.parametrize(("number", "shown"), [(None, "-"), (0, "0"), (999, "999"), (1_234_567, "1,234,567")])
def test_count(number: int | None, shown: str) -> None:
    """Thousands are grouped."""
    assert count(number) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        *((None, "-"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB")),
        *((1_500_000, "1.5 MB"), (1_234_500_000, "1,234.5 MB")),
    ],
)
def test_size(number: int | None, shown: str) -> None:
    """MB are 1,000,000 bytes."""
    assert size(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((None, "-"), (-3.0, "0 s"), (0.9, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s")),
        *((3600, "1 h 0 min"), (86_399, "23 h 59 min"), (86_400, "1 d 0 h"), (100 * 86_400 + 7200, "100 d 2 h")),
    ],
)
def test_duration(seconds: float | None, shown: str) -> None:
    """Two units are enough."""
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (0.0, "0.0 ms"), (0.00044, "0.4 ms"), (0.25, "250 ms"), (1.0, "1.0 s"), (1234.5, "1,234.5 s")],
)
def test_lag(seconds: float | None, shown: str) -> None:
    """Short times are in milliseconds."""
    assert lag(seconds) == shown


@pytest.mark.parametrize(("part", "shown"), [(None, "-"), (0.0, "0.0 %"), (0.123, "12.3 %"), (1.5, "150.0 %")])
def test_share(part: float | None, shown: str) -> None:
    """Of one processor."""
    assert share(part) == shown


@pytest.mark.parametrize(
    ("per_s", "shown"), [(None, "-/s"), (0.0, "0/s"), (2.5, "2.5/s"), (99.96, "100.0/s"), (12_345.6, "12,346/s")]
)
def test_rate(per_s: float | None, shown: str) -> None:
    """Small rates have a digit more."""
    assert rate(per_s) == shown


@pytest.mark.parametrize(
    ("started", "now", "seconds"),
    [
        ("2026-11-28T09:00:00Z", "2026-11-28T10:00:01+00:00", 3601),
        ("2026-11-28T09:00:00Z", None, None),
        ("yesterday", "2026-11-28T10:00:01Z", None),
        ("2026-11-28T09:00:00", "2026-11-28T10:00:01Z", None),
    ],
)
def test_age(started: str, now: str | None, seconds: float | None) -> None:
    """Between two moments; of what is none, nobody knows."""
    assert age(started, now) == seconds
