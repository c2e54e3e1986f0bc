"""Owns the counting of durations: fixed memory, quantiles within 3.2 %, an exact maximum, mergeable."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any, Final

#: 32 buckets per power of two: a quantile is told as its bucket's upper end, at most 1/32 too high.
_PER_POWER_BITS: Final = 5
_PER_POWER: Final = 1 << _PER_POWER_BITS
#: Durations are counted in units of 1,024 ns; 36 powers of two above the first 64 units are 2,000 hours.
_UNIT_BITS: Final = 10
_BUCKETS: Final = _PER_POWER * 38


class Histogram:
    """Counts of durations in nanoseconds."""

    __slots__ = ("_counts", "count", "max_ns")

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _BUCKETS))
        self.count = 0
        self.max_ns = 0

    def record(self, duration_ns: int, times: int = 1) -> None:
        """Count a duration, once or as often as it was seen; a negative one counts as zero."""
        units = duration_ns >> _UNIT_BITS if duration_ns > 0 else 0
        shift = units.bit_length() - _PER_POWER_BITS - 1
        bucket = units if shift <= 0 else (shift << _PER_POWER_BITS) + (units >> shift)
        self._counts[bucket if bucket < _BUCKETS else _BUCKETS - 1] += times
        self.count += times
        if duration_ns > self.max_ns:
            self.max_ns = duration_ns

    def quantile(self, share: float) -> int:
        """Return the duration in ns that `share` (0 to 1) of all do not exceed; 0 when nothing was counted."""
        wanted = share * self.count
        seen = 0
        for upper_ns, count in self.steps():
            seen += count
            if seen >= wanted:
                return upper_ns
        return self.max_ns

    def share_until(self, duration_ns: int) -> float:
        """Return which part (0 to 1) took no longer, within the width of a bucket; 1 when nothing was counted."""
        if not self.count or duration_ns >= self.max_ns:
            return 1.0
        return sum(count for upper_ns, count in self.steps() if upper_ns <= duration_ns) / self.count

    def steps(self) -> Iterator[tuple[int, int]]:
        """Yield the longest duration in ns of each bucket that is not empty, and how many are in it; in order."""
        for bucket, count in enumerate(self._counts):
            if count:
                yield min(_upper_ns(bucket), self.max_ns), count

    def merge(self, other: Histogram) -> None:
        """Add what the other has counted."""
        for bucket, count in enumerate(other._counts):
            if count:
                self._counts[bucket] += count
        self.count += other.count
        self.max_ns = max(self.max_ns, other.max_ns)

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the maximum and the buckets that are not empty."""
        return {"max_ns": self.max_ns, "buckets": {str(b): n for b, n in enumerate(self._counts) if n}}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Histogram:
        """Make one of what `to_json` gave.

        Raises:
            ValueError, KeyError, TypeError: it is not such data.
        """
        made = cls()
        for bucket, count in plain["buckets"].items():
            if not 0 <= int(bucket) < _BUCKETS:
                raise ValueError(f"no such bucket: {bucket}")
            made._counts[int(bucket)] = int(count)
            made.count += int(count)
        made.max_ns = int(plain["max_ns"])
        return made


def _upper_ns(bucket: int) -> int:
    """Return the largest duration that falls into the bucket."""
    shift = max(0, (bucket >> _PER_POWER_BITS) - 1)
    units = bucket - (shift << _PER_POWER_BITS)
    return ((units + 1) << shift << _UNIT_BITS) - 1
