"""Owns which charts there are of a whole run, and what each shows: out of its report. No files, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from megacomet.swarm.histogram import Histogram
from megacomet.swarm.measures import Measures
from megacomet.swarm.report import Report
from megacomet.swarm.svg import Chart, Line, drawn, linear_axis, logarithmic_axis

_SECONDS: Final = "seconds since the first client"
_MB: Final = 1e6
#: What is shorter than this is drawn at the edge of a chart of latencies.
_SHORTEST_MS: Final = 0.1


def charts(report: Report) -> dict[str, str]:
    """Return the charts, by name, as SVG; none when it is not the report of a whole run."""
    measures = report.measures
    if measures is None or not measures.series.rows:
        return {}
    found = [connections(report, measures), memory(report, measures), ramp(report, measures), latency(report)]
    names = ("connections", "memory", "ramp", "latency")
    return {name: drawn(chart) for name, chart in zip(names, found, strict=True) if chart is not None}


def connections(report: Report, measures: Measures) -> Chart:
    """Return clients that have connected, and that wait, over time."""
    connected, waiting = (measures.series.column(name) for name in ("connected", "waiting"))
    return Chart(
        f"{report.connected:,} connections over time",
        linear_axis(_SECONDS, _end(measures)),
        linear_axis("clients", _highest(connected, waiting)),
        [Line("have connected", connected), Line("wait for messages", waiting)],
        _stages(measures),
    )


def memory(report: Report, measures: Measures) -> Chart:
    """Return memory over time."""
    names = {"server": "server (PSS)", "kernel": "kernel: slab and sockets", "load": "load client (PSS)"}
    lines = [Line(told, _scaled(measures.series.column(name), _MB)) for name, told in names.items()]
    lines = [line for line in lines if line.points]
    return Chart(
        f"Memory of {report.connected:,} connections over time",
        linear_axis(_SECONDS, _end(measures)),
        linear_axis("MB (1,000,000 bytes)", _highest(*(line.points for line in lines))),
        lines,
        _stages(measures),
    )


def ramp(report: Report, measures: Measures) -> Chart:
    """Return how many connected in each second, until all had."""
    rates = per_second(measures.series.column("connected"), report.connect_s)
    return Chart(
        f"Ramp: {report.connected:,} connections in {report.connect_s:,.1f} s",
        linear_axis(_SECONDS, max((x for x, _ in rates), default=1.0)),
        linear_axis("connects a second", _highest(rates)),
        [Line("connects a second", rates, steps=True)],
    )


def latency(report: Report) -> Chart | None:
    """Return which part of the messages had arrived after how long; None: none arrived."""
    kinds = {
        f"{report.latency.count:,} pushes to clients": report.latency,
        f"{report.failover.count:,} while a worker was gone": report.failover,
        "one message to everyone": report.reach,
        "rooms": report.fanout,
    }
    lines = [Line(name, arrived(histogram)) for name, histogram in kinds.items() if histogram.count]
    if not lines:
        return None
    times = [x for line in lines for x, _ in line.points]
    return Chart(
        "From push to delivery",
        logarithmic_axis("milliseconds", max(_SHORTEST_MS, min(times)), max(times)),
        linear_axis("% of the messages had arrived", 100.0),
        lines,
    )


def per_second(points: Sequence[tuple[float, float]], until_s: float) -> list[tuple[float, float]]:
    """Return the rise of a count by the second, each figure at the begin of its time; the last one ends the line.

    Args:
        points: (seconds, count), in the order of time.
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


def arrived(histogram: Histogram) -> list[tuple[float, float]]:
    """Return how many percent had arrived after how many ms."""
    found, seen = [], 0
    for upper_ns, count in histogram.steps():
        seen += count
        found.append((max(_SHORTEST_MS, upper_ns / 1e6), 100.0 * seen / histogram.count))
    return found


def _stages(measures: Measures) -> list[tuple[str, float]]:
    """Return those that begin visibly after the first client."""
    return [(name, at) for name, at in measures.stages if at > _end(measures) / 100]


def _scaled(points: Sequence[tuple[float, float]], unit: float) -> list[tuple[float, float]]:
    return [(x, y / unit) for x, y in points]


def _end(measures: Measures) -> float:
    return max(measures.series.rows[-1][0] or 0.0, *(seconds for _, seconds in measures.stages), 1.0)


def _highest(*lines: Sequence[tuple[float, float]]) -> float:
    return max((y for points in lines for _, y in points), default=1.0)
