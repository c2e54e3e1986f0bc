"""Owns the names of what a soak samples over time, as `python -m bench soak` writes them, and how it is drawn."""

from __future__ import annotations

from typing import Final

from megacomet.swarm.series import Points, Series, highest, per_second, scaled
from megacomet.swarm.svg import Chart, Line, drawn, linear_axis

#: A column begins so for each process: bytes without the pages of files.
MEMORY: Final = "memory of "
ROWS: Final = "rows (open connections)"
DIRECTORY: Final = "entries of the directory"
STORED: Final = "messages of the store"
#: What has come in since the server's start.
ACCEPTED: Final = "connections accepted"
#: With more processes than there is room for, the largest and the smallest of the workers are shown.
_MOST_LINES: Final = 6
_WORKER: Final = "worker "
_SECONDS: Final = "seconds of coming and going"
_MB: Final = 1e6


def charts(series: Series) -> dict[str, str]:
    """Return the charts, by name, as SVG.

    Raises:
        ValueError: it is not the series of a soak, or too short.
    """
    if len(series.rows) < 2:
        raise ValueError("its series has fewer than two samples")
    found = {
        "soak-memory": memory(series),
        "soak-connections": connections(series),
        "soak-connects": connects(series),
    }
    return {name: drawn(chart) for name, chart in found.items()}


def memory(series: Series) -> Chart:
    """Return the memory of each process over time."""
    names = [name for name in series.columns if name.startswith(MEMORY)]
    if not names:
        raise ValueError(f"its series has no column {MEMORY!r} and a process")
    lines: dict[str, Points] = {name.removeprefix(MEMORY): scaled(series.column(name), _MB) for name in names}
    if len(lines) > _MOST_LINES:
        lines = _with_extremes(lines)
    return Chart(
        f"Memory of each process over {_connects(series):,.0f} connects",
        linear_axis(_SECONDS, _end(series)),
        linear_axis("MB (1,000,000 bytes), without pages of files", highest(*lines.values())),
        [Line(name, points) for name, points in lines.items()],
    )


def connections(series: Series) -> Chart:
    """Return over time what the server has of clients, and of messages to them."""
    names = {"connections": ROWS, "entries of the directory": DIRECTORY, "messages of the store": STORED}
    lines = [Line(told, series.column(name)) for told, name in names.items()]
    return Chart(
        f"What the server keeps over {_connects(series):,.0f} connects",
        linear_axis(_SECONDS, _end(series)),
        linear_axis("how many", highest(*(line.points for line in lines))),
        lines,
    )


def connects(series: Series) -> Chart:
    """Return how many connected in each second."""
    rates = per_second(series.column(ACCEPTED))
    return Chart(
        f"{_connects(series):,.0f} connects in {_end(series) - (series.rows[0][0] or 0.0):,.0f} s",
        linear_axis(_SECONDS, _end(series)),
        linear_axis("connects a second", highest(rates)),
        [Line("connects a second", rates, steps=True)],
    )


def _with_extremes(lines: dict[str, Points]) -> dict[str, Points]:
    """Return the lines, instead of each worker's the largest and the smallest of them at each time."""
    others = {name: points for name, points in lines.items() if not name.startswith(_WORKER)}
    found: dict[float, list[float]] = {}
    for name in lines.keys() - others.keys():
        for seconds, value in lines[name]:
            found.setdefault(seconds, []).append(value)
    count = len(lines) - len(others)
    return {
        **others,
        f"largest of {count} workers": [(x, max(values)) for x, values in sorted(found.items())],
        f"smallest of {count} workers": [(x, min(values)) for x, values in sorted(found.items())],
    }


def _connects(series: Series) -> float:
    points = series.column(ACCEPTED)
    return points[-1][1] - points[0][1] if points else 0.0


def _end(series: Series) -> float:
    return series.rows[-1][0] or 0.0
