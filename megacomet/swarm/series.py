"""Owns what a run looked like over time: rows of figures, as many as a chart can show, and points of them. No clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

#: A chart is some 600 points wide; a row of the six columns is some 50 bytes of JSON.
MOST: Final = 600
#: Two a second at first: a ramp of ten seconds has a shape then.
STEP_S: Final = 0.5

#: (seconds, value), in the order of time.
Points = Sequence[tuple[float, float]]


class Series:
    """Rows by time, at most `MOST`: when there are more, every second one goes and rows come half as often."""

    __slots__ = ("_next", "columns", "rows", "step_s")

    def __init__(self, columns: Sequence[str]) -> None:
        """Begin; the first column is the time in seconds."""
        self.columns = tuple(columns)
        self.rows: list[tuple[float | None, ...]] = []
        self.step_s = STEP_S
        self._next = 0.0

    def due(self, seconds: float) -> bool:
        """Whether a row is due."""
        return seconds >= self._next

    def add(self, *row: float | None) -> None:
        """Add a row.

        Args:
            row: a figure for each column; the time, which never falls, comes first. None: not known.
        """
        if len(row) != len(self.columns):
            raise ValueError(f"{len(row)} figures for {len(self.columns)} columns")
        self.rows.append(row)
        if len(self.rows) > MOST:
            self.step_s *= 2
            # The last row stays: what was at the end is not thinned away.
            self.rows = self.rows[::-2][::-1]
        self._next = (row[0] or 0.0) + self.step_s

    def column(self, name: str) -> list[tuple[float, float]]:
        """Return the points of one column, those that are known.

        Raises:
            ValueError: there is no such column.
        """
        if name not in self.columns:
            raise ValueError(f"a series without {name!r}")
        at = self.columns.index(name)
        return [(row[0] or 0.0, value) for row in self.rows if (value := row[at]) is not None]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"columns": list(self.columns), "rows": [list(row) for row in self.rows]}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Series:
        """Make one of what `to_json` gave.

        Raises:
            ValueError, KeyError, TypeError: it is not such data.
        """
        made = cls([str(name) for name in plain["columns"]])
        for row in plain["rows"]:
            if len(row) != len(made.columns) or not all(value is None or is_number(value) for value in row):
                raise ValueError(f"no row of a series: {row!r:.80}")
            if row[0] is None or (made.rows and row[0] < (made.rows[-1][0] or 0.0)):
                raise ValueError(f"a series goes back in time: {row!r:.80}")
            made.rows.append(tuple(row))
        return made


def per_second(points: Points, until_s: float = math.inf) -> list[tuple[float, float]]:
    """Return the rise of a count by the second, each figure at the begin of its time; the last one ends the line.

    Args:
        points: of the count.
        until_s: what comes later is left out, but for the point that reaches it.
    """
    found: list[tuple[float, float]] = []
    (since, before), *rest = points or [(0.0, 0.0)]
    for seconds, count in rest:
        if seconds - since < 1.0 and (seconds, count) != rest[-1]:
            continue
        if seconds > since:
            found.append((since, (count - before) / (seconds - since)))
        since, before = seconds, count
        if seconds >= until_s:
            break
    return [*found, (since, found[-1][1])] if found else []


def scaled(points: Points, unit: float) -> list[tuple[float, float]]:
    """Return the points, their values in another unit."""
    return [(x, y / unit) for x, y in points]


def highest(*lines: Points) -> float:
    """Return the largest value of all of them, 1.0 when there is none."""
    return max((y for points in lines for _, y in points), default=1.0)


def is_number(value: Any) -> bool:
    """Return whether it is a number that can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18
