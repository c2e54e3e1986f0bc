"""How long things took, in fixed classes: one costs a search among a few numbers, and all of them are whole numbers.

Workers count in them and tell the manager once a second; it adds them up as they are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

#: The longest time of each class, seconds; the last class has what took longer. From what a parked connection is
#: written in (a push to one client takes a millisecond) to what nobody should wait for.
BOUNDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Counts by class.

    Attributes:
        counts: how many there were in each class; one class more than `BOUNDS_S`.
        sum_s: of all their times, seconds.
    """

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """Something took so long, so many times."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += times
        self.sum_s += seconds * times

    def told(self) -> dict[str, object]:
        """Return it as JSON knows it."""
        return {"counts": list(self.counts), "sum_s": round(self.sum_s, 6)}


def quantile(counts: Sequence[float], share: float) -> float | None:
    """Return the time that so large a part of all took at most, seconds; None: there were none.

    Within a class they are taken to be spread evenly, the first one begins at nothing. Of the last class it is only
    known that they took longer than the longest bound, which is returned then.

    Args:
        counts: by class.
        share: 0.5 for the median.
    """
    rank = share * sum(counts)
    below = 0.0
    for n, count in enumerate(counts[: len(BOUNDS_S)]):
        if count and below + count >= rank:
            shortest = BOUNDS_S[n - 1] if n else 0.0
            return shortest + (BOUNDS_S[n] - shortest) * (rank - below) / count
        below += count
    return BOUNDS_S[-1] if sum(counts) else None
