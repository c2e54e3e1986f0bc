"""How the server's figures went over the last hour: rings of points, one every few seconds, none of which ever grows.

A point that was not taken stays unknown, it is not made up from its neighbours: neither when the process was held up
nor when the machine slept.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Final

UNKNOWN: Final = float("nan")


class Trends:
    """Rings of 32-bit numbers, all of the same length; 4 bytes a point and series."""

    def __init__(self, names: Iterable[str], points: int) -> None:
        """
        Args:
            names: of the series.
            points: so many of each are kept.
        """
        self._rings = {name: array("f", [UNKNOWN]) * points for name in names}
        self._points = points
        self._head = -1
        self._length = 0

    def add(self, ahead: int, values: Mapping[str, float | None]) -> None:
        """Keep a point of each series.

        Args:
            ahead: so many steps behind the last one; 0: in its place. What lies between stays unknown.
            values: by series; None, and what is missing: not known.
        """
        if not self._length:
            ahead = 1
        for _ in range(min(ahead, self._points)):
            self._head = (self._head + 1) % self._points
            for ring in self._rings.values():
                ring[self._head] = UNKNOWN
        self._length = min(self._points, self._length + ahead)
        for name, ring in self._rings.items():
            value = values.get(name)
            ring[self._head] = UNKNOWN if value is None else value

    def series(self) -> dict[str, list[float]]:
        """Return all points by series, the oldest first; NaN: not known."""
        begin = self._head + 1 - self._length
        return {
            name: (ring[begin:] + ring[: self._head + 1] if begin < 0 else ring[begin : self._head + 1]).tolist()
            for name, ring in self._rings.items()
        }


class Steps:
    """Which point a moment belongs to, while timers come late and machines sleep."""

    def __init__(self, step_s: float) -> None:
        """Begin; `step_s` lies between two points."""
        self._step_s = step_s
        self._last_s: float | None = None

    def ahead(self, now_s: float) -> int:
        """Return how many points the one of now is ahead of the last one; 0: it has the same place.

        Args:
            now_s: seconds, of a clock that never jumps and goes on while the machine sleeps.
        """
        if self._last_s is None:
            self._last_s = now_s
            return 1
        ahead = max(0, round((now_s - self._last_s) / self._step_s))
        # Not by what a timer was late, else it would be late for ever; anew behind every gap.
        self._last_s = self._last_s + self._step_s if ahead == 1 else now_s
        return ahead
