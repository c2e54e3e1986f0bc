"""Owns the verdict of a soak: what has not returned to where it was, and by how much. No clock, no server.

A process of Python does not give back its memory to the byte: the allocator keeps pages that are filled in part. So
of memory two things are asked. At rest a process may have `MEMORY_BYTES` more than at rest before. And while clients
come and go, the line that fits its samples best may rise by as much over the part of the time that is looked at: over
15 minutes with 2,000 connects a second that is a byte a connect, and there is no object of Python below 16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from bench.figures import Figure, at_least, at_most
from bench.standing import is_exact
from megacomet.swarm.series import Points, Series
from megacomet.swarm.soak import ACCEPTED, MEMORY, ROWS

MEMORY_BYTES: Final = 2_000_000
#: The part of the time that is looked at: the last three quarters, 15 minutes of 20.
WINDOW: Final = 0.75
#: A gap may be told because another channel with the same checksum of the name has lost something.
NEEDLESS_SHARE: Final = 0.02


def slope(points: Points) -> float:
    """Return how much the line that fits the points best rises in a second; 0.0 for fewer than two."""
    count = len(points)
    mean_x, mean_y = (sum(point[n] for point in points) / max(1, count) for n in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def window(points: Points) -> Points:
    """Return the points of the last three quarters of the time."""
    if not points:
        return []
    begin = points[0][0] + (1 - WINDOW) * (points[-1][0] - points[0][0])
    return [point for point in points if point[0] >= begin]


def not_returned(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return by how much figures differ that must be what they were, without those that are."""
    names = [name for name in {**before, **after} if is_exact(name)]
    differences = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in names}
    return {name: difference for name, difference in differences.items() if difference}


def of_rest(before: Mapping[str, float], after: Mapping[str, float]) -> Iterator[Figure]:
    """Judge what there is at rest beside what there was.

    Args:
        before, after: figures by name, see `standing`.
    """
    for name in before:
        was, now = before[name], after.get(name, 0.0)
        if name.startswith(MEMORY):
            detail = f"{was / 1e6:.2f} MB before, {now / 1e6:.2f} after"
            yield at_most(f"{name}: more than before", (now - was) / 1e6, "MB", MEMORY_BYTES / 1e6, detail)
        elif is_exact(name):
            detail = f"{was:,.0f} before, {now:,.0f} after"
            yield Figure(f"{name}: more than before", now - was, "", "0", now == was, detail)


def of_time(series: Series) -> Iterator[Figure]:
    """Judge how memory went on while clients came and went."""
    rate = connects_per_s(series)
    for name in series.columns:
        if not name.startswith(MEMORY):
            continue
        points = window(series.column(name))
        seconds = points[-1][0] - points[0][0] if points else 0.0
        rise = slope(points)
        each = f", {rise / rate:.2f} a connect" if rate else ""
        detail = f"{rise:,.0f} B/s over {seconds:,.0f} s{each}; {_span(points)}"
        yield at_most(f"{name}: rise of the line", rise * seconds / 1e6, "MB", MEMORY_BYTES / 1e6, detail)


def connects_per_s(series: Series) -> float:
    """Return how many connections came in a second, over the part of the time that is looked at."""
    points = window(series.column(ACCEPTED))
    seconds = points[-1][0] - points[0][0] if points else 0.0
    return (points[-1][1] - points[0][1]) / seconds if seconds else 0.0


def line(series: Series) -> str:
    """Return how it stands, for who waits for the end."""
    now = dict(zip(series.columns, series.rows[-1], strict=True))
    memory = sum(value or 0.0 for name, value in now.items() if name.startswith(MEMORY))
    rows, accepted = (now.get(name) or 0.0 for name in (ROWS, ACCEPTED))
    return f"{now[series.columns[0]]:,.0f} s: {rows:,.0f} rows, {accepted:,.0f} connects so far, {memory / 1e6:.1f} MB"


def of_messages(reports: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    """Judge what became of the messages.

    Args:
        reports: of the load client's runs.
    """
    complaints = [str(problem) for report in reports for problem in report["problems"]]
    yield attrs.evolve(none("complaints of the load client", len(complaints)), detail="; ".join(complaints[:10]))

    def total(name: str) -> int:
        return sum(int(report[name]) for report in reports)

    for name in ("lost", "repeated", "out_of_order"):
        yield none(f"messages {name.replace('_', ' ')}", total(name))
    yield none("connections lost", total("dropped"))
    gaps, needless = total("gaps"), total("needless")
    yield at_least("gaps told to who came back late", gaps, "", 1, f"{total('skipped'):,} messages in them")
    share = needless / gaps if gaps else 0.0
    yield at_most("of them without anything missed", 100 * share, "%", 100 * NEEDLESS_SHARE, f"{needless:,}")


def none(name: str, value: float) -> Figure:
    """Return a figure that must be nothing."""
    return Figure(name, value, "", "0", value == 0)


def _span(points: Points) -> str:
    values = [value / 1e6 for _, value in points] or [0.0]
    return f"{min(values):.2f} to {max(values):.2f} MB"
