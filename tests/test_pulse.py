"""What a process tells of its own life."""

from __future__ import annotations

import pytest

from megacomet.pulse import SECONDS, Pulse


def felt(*beats: tuple[float, float]) -> dict[str, float]:
    """What is told after seconds that began then, with so much of a processor used."""
    pulse = Pulse()
    for now, cpu_s in beats:
        pulse.feel(now, cpu_s, 1.0)
    return pulse.counts()


def test_the_first_second() -> None:
    """Nothing is known yet but what was used."""
    assert felt((100.0, 0.25)) == {"uptime_s": 0.0, "lag_s": 0.0, "cpu_s": 0.25, "cpu_share": 0.0}


@pytest.mark.parametrize(
    ("beats", "lag_s", "share"),
    [
        ([(0, 0), (1, 0.5)], 0.0, 0.5),
        ([(0, 0), (1.25, 0.5)], 0.25, 0.4),
        ([(0, 0), (1.5, 0), (2.5, 0)], 0.5, 0.0),  # the longest is told for a while
        ([(0, 0), (0.99, 0)], 0.0, 0.0),
    ],
)
def test_lag_and_share(beats: list[tuple[float, float]], lag_s: float, share: float) -> None:
    """How late seconds began, and which part of a processor was taken meanwhile."""
    told = felt(*beats)
    assert (told["lag_s"], told["cpu_share"]) == (lag_s, share)


def test_what_is_past_is_forgotten() -> None:
    """Lag and share are of the last seconds; uptime and use of all."""
    beats = [(0.0, 0.0), (10.0, 9.0)]
    beats += [(10.0 + n, 9.0) for n in range(1, SECONDS + 1)]
    assert felt(*beats) == {"uptime_s": 10.0 + SECONDS, "lag_s": 0.0, "cpu_s": 9.0, "cpu_share": 0.0}


def test_after_a_rest() -> None:
    """Seconds that were left out are no lag, and what was used is divided by all of them."""
    pulse = Pulse()
    for now, cpu_s, after_s in ((0.0, 0.0, 1.0), (1.0, 0.5, 1.0), (6.25, 0.6, 5.0)):
        pulse.feel(now, cpu_s, after_s)
    told = pulse.counts()
    assert (told["uptime_s"], told["lag_s"], told["cpu_share"]) == (6.25, 0.25, round(0.1 / 5.25, 4))
